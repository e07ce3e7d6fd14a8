/* fd_table.h: file descriptors of a process; shared with CLONE_FILES. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"
#include "platform/base/refcount.h"

struct file;

struct fd_slot {
    struct file *file; /* reference; NULL: free */
    bool close_on_exec;
};

struct fd_table {
    struct refcount ref;
    struct mutex lock; /* RANK_FD_TABLE */
    /* under lock */
    struct fd_slot *slots;
    uint32_t capacity;
    uint32_t lowest_free; /* no free descriptor below it */
    uint32_t count;
};

struct fd_table *fd_table_new(void) must_check;
/* Copy of all descriptors (fork); those above limit_to (close_range with UNSHARE) are left out. */
int fd_table_copy(struct fd_table *table, uint32_t limit_to, struct fd_table **ret) must_check;
struct fd_table *fd_table_ref(struct fd_table *table);
/* The last reference closes everything (flush and unref, outside the lock). */
struct fd_table *fd_table_unref(struct fd_table *table);

/* The file with a reference, or NULL. O_PATH files are returned too: see fd_get_io. */
struct file *fd_get(struct fd_table *table, int fd, bool *ret_close_on_exec) must_check;
/* As fd_get but NULL for O_PATH descriptors (EBADF for I/O). */
struct file *fd_get_io(struct fd_table *table, int fd) must_check;
/* Installs a reference of file (takes it on success) at the lowest number >= from and < limit
 * (RLIMIT_NOFILE). Returns the number or -EMFILE, -ENOMEM. */
int fd_install(struct fd_table *table, struct file *file, bool close_on_exec, uint32_t from,
               uint64_t limit) must_check;
/* dup2/dup3: puts file at exactly fd, closing what was there. Takes the reference on success. */
int fd_install_at(struct fd_table *table, int fd, struct file *file, bool close_on_exec,
                  uint64_t limit) must_check;
/* pipe2 and socketpair: both or none; takes both references on success. */
int fd_install_two(struct fd_table *table, struct file *const files[2], bool close_on_exec,
                   uint64_t limit, int ret_fds[2]) must_check;
int fd_close(struct fd_table *table, int fd) must_check;
int fd_set_close_on_exec(struct fd_table *table, int fd, bool on) must_check;
/* Closes (or marks, when only_mark) first..last. */
void fd_close_range(struct fd_table *table, uint32_t first, uint32_t last, bool only_mark);
void fd_close_on_exec(struct fd_table *table);
/* The lowest used descriptor >= from, or -1: for /proc/pid/fd. */
int fd_next(struct fd_table *table, uint32_t from);
