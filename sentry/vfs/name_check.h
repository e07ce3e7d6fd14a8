/* name_check.h: permission to make and remove names, shared by name_ops.c and rename.c. */
#pragma once

#include <stdbool.h>

#include "platform/base/compiler.h"

struct inode;

/* May a name be made in dir? ENOENT for a removed directory, EACCES. The directory is locked. */
int name_may_create(struct inode *dir) must_check;
/* May victim's name be removed from dir? EACCES, EPERM (sticky), ENOTDIR, EISDIR, ENOENT. */
int name_may_delete(struct inode *dir, struct inode *victim, bool directory) must_check;
/* "" (the root), "." or "..". */
bool name_is_special(const char *name);
