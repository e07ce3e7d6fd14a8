/* name_ops.h: what open.c shares with the operations on names. */
#pragma once

#include <stdint.h>

struct inode;

/* The mode of a new object in dir: umask applied, setgid stripped where the group is not the
 * caller's. */
uint32_t name_new_mode(const struct inode *dir, uint32_t mode);
