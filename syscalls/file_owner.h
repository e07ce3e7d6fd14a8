/* file_owner.h: who hears of a file's events (F_SETOWN): shared by fcntl and ioctl. */
#pragma once

#include "platform/base/compiler.h"

struct file;

/* A process, or with a negative number a process group; 0: nobody. -ESRCH, -EINVAL. */
int file_owner_set(struct file *file, int who) must_check;
/* The same form. */
int file_owner_get(struct file *file);
