/*
 * lookup.h: from descriptors and paths of a call to files and objects, and scoped references.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/path.h"
#include "syscalls/syscall.h"

static inline void auto_file_helper(struct file **file)
{
    file_unref(*file);
}
/* A struct file * whose reference is dropped when it leaves scope. */
#define auto_file __attribute__((cleanup(auto_file_helper)))
/* The same for a struct path; initialise it to {0}. */
#define auto_path __attribute__((cleanup(path_unref)))

/* The file of an argument, for I/O: NULL (EBADF) when closed or O_PATH. A reference. */
static inline struct file *arg_file(struct task *task, const struct syscall_args *args, int i)
{
    return fd_get_io(task->fds, arg_int(args, i));
}
/* O_PATH descriptors too. */
static inline struct file *arg_file_raw(struct task *task, const struct syscall_args *args, int i)
{
    bool close_on_exec;
    return fd_get(task->fds, arg_int(args, i), &close_on_exec);
}

/* A path argument with the directory it starts from. */
struct lookup {
    struct path start_storage; /* references, or empty */
    const struct path *start;  /* NULL: absolute, or the working directory */
    struct file *file; /* text is "" and stands for a descriptor (AT_EMPTY_PATH); reference */
    char text[PATH_MAX_LENGTH];
};
void lookup_fini(struct lookup *lookup);
#define auto_lookup __attribute__((cleanup(lookup_fini)))

/*
 * Copies the path in and finds the start. -EFAULT, -ENAMETOOLONG, -ENOENT (an empty path without
 * allow_empty), -EBADF, -ENOTDIR. The lookup is initialised in every case.
 * With allow_empty, "" with a descriptor gives lookup->file; "" with AT_FDCWD walks to the working
 * directory (WALK_EMPTY). allow_null: a NULL address counts as "" (Linux 6.11: statx, fstatat).
 */
enum lookup_flags { LOOKUP_EMPTY = 1, LOOKUP_NULL = 2, LOOKUP_SCOPED = 4 };
int lookup_begin(struct task *task, int dirfd, uint64_t addr, unsigned flags,
                 struct lookup *lookup) must_check;

/*
 * All in one: the object that (dirfd, path) names. at_flags: AT_SYMLINK_NOFOLLOW (or not),
 * AT_EMPTY_PATH. follow: the call's default for a final link. *ret_file is set instead of *ret_path
 * for an anonymous file (pipe, socket …) that has no path; both are references.
 */
int lookup_object(struct task *task, int dirfd, uint64_t addr, unsigned at_flags,
                  struct path *ret_path, struct file **ret_file) must_check;
/* The plain case: a path relative to the working directory. walk: WALK_*. */
int lookup_path(struct task *task, uint64_t addr, unsigned walk, struct path *ret_path) must_check;

/* The inode behind what lookup_object found; borrowed. */
struct inode *lookup_inode(const struct path *path, struct file *file);

/* Linux: access_ok: a buffer outside user addresses is refused before anything happens. */
static inline bool user_range_ok(uint64_t addr, uint64_t length)
{
    return addr <= PLATFORM_GUEST_MAX && length <= PLATFORM_GUEST_MAX - addr;
}

/* Installs file at the lowest free descriptor below RLIMIT_NOFILE; drops the reference on failure.
 * Returns the descriptor or a negative errno. */
int install_file(struct task *task, struct file *file, bool close_on_exec) must_check;
