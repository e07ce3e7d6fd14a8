/* inotify.h: notification queues as files. Source: inotify(7), Linux fs/notify/inotify. */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"

struct file;
struct path;

/* flags: O_NONBLOCK. -EMFILE: too many instances. */
int inotify_new(unsigned flags, struct file **ret_file) must_check;
/*
 * inotify_add_watch(2) on the object at path; IN_ONLYDIR and IN_DONT_FOLLOW were honoured by the
 * walk. Returns the watch descriptor; EINVAL: not an inotify file, or no event in mask; EACCES: not
 * readable; EEXIST: IN_MASK_CREATE; ENOSPC: too many watches.
 */
int inotify_add(struct file *file, const struct path *path, uint32_t mask) must_check;
/* inotify_rm_watch(2). EINVAL. */
int inotify_remove(struct file *file, int wd) must_check;
