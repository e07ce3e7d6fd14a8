/*
 * epoll.h: interest sets. Source: epoll(7), Linux fs/eventpoll.c.
 *
 * An item is keyed by (open file description, descriptor number) and does not hold the file: when
 * the file is finally released it leaves every set (vfs_special.file_gone).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "platform/base/compiler.h"

struct file;

/* Registers with the VFS. At boot. */
void epoll_init(void);

int epoll_new(struct file **ret_file) must_check;
bool file_is_epoll(const struct file *file);

/*
 * epoll_ctl(2): op EPOLL_CTL_ADD, MOD, DEL; event is not looked at for DEL. EINVAL: ep is not an
 * epoll file, or is the target, or the flags do not go together; EPERM: the target cannot be
 * polled; EEXIST, ENOENT, ELOOP (a cycle, or nested deeper than 5), ENOMEM.
 */
int epoll_control(struct file *ep, int op, int fd, struct file *target,
                  const struct epoll_event *event) must_check;

/* Up to max ready events: the count, -EAGAIN when there are none (wait on the file's queue for
 * EPOLLIN, entry->exclusive set), -EINVAL when ep is not an epoll file. */
int epoll_collect(struct file *ep, struct epoll_event *events, int max) must_check;
