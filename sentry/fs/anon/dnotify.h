/*
 * dnotify.h: fcntl F_NOTIFY: the file's signal when something happens in a directory. Source:
 * fcntl(2), Linux fs/notify/dnotify.
 */
#pragma once

#include "platform/base/compiler.h"

struct file;

/*
 * Watches the open directory for the DN_* events of mask, once or, with DN_MULTISHOT, for as long
 * as the file is open; adds to what this owner (its descriptor table) watches through this file. No
 * event at all ends the watch. fd is what si_fd will say. ENOTDIR, ENOMEM, ENOSPC: too many.
 */
int dnotify_set(struct file *file, const void *owner, int fd, unsigned mask) must_check;
