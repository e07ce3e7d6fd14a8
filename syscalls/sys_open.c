/*
 * sys_open.c: open, openat, openat2, creat. Sources: Linux fs/open.c (build_open_flags); open(2),
 * openat2(2).
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include "sentry/vfs/file.h"
#include "syscalls/blocking.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define KERNEL_O_LARGEFILE 0100000ULL
#define KERNEL_O_TMPFILE   020000000ULL /* __O_TMPFILE: O_TMPFILE without O_DIRECTORY */
#define VALID_FLAGS                                                                                \
    ((uint64_t)(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NDELAY | O_SYNC | \
                O_ASYNC | O_DIRECT | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH) |  \
     KERNEL_O_LARGEFILE | KERNEL_O_TMPFILE)
#define PATH_FLAGS ((uint64_t)(O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC))

static bool will_create(uint64_t flags)
{
    return (flags & (O_CREAT | KERNEL_O_TMPFILE)) != 0;
}

static int check_resolve(const struct open_how *how)
{
    uint64_t known = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
                     RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;
    if ((how->resolve & ~known) != 0) {
        return -EINVAL;
    }
    if ((how->resolve & RESOLVE_BENEATH) != 0 && (how->resolve & RESOLVE_IN_ROOT) != 0) {
        return -EINVAL;
    }
    /* Linux: such an open can never be answered from the cache alone */
    if ((how->resolve & RESOLVE_CACHED) != 0 &&
        (how->flags & (O_TRUNC | O_CREAT | KERNEL_O_TMPFILE)) != 0) {
        return -EAGAIN;
    }
    return 0;
}

static int check_how(const struct open_how *how)
{
    if ((how->flags & ~VALID_FLAGS) != 0) {
        return -EINVAL;
    }
    if (will_create(how->flags) ? (how->mode & ~07777ULL) != 0 : how->mode != 0) {
        return -EINVAL;
    }
    if ((how->flags & KERNEL_O_TMPFILE) != 0) {
        if ((how->flags & (O_DIRECTORY | O_CREAT)) != O_DIRECTORY ||
            (how->flags & O_ACCMODE) == O_RDONLY) {
            return -EINVAL;
        }
    } else if ((how->flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT)) {
        return -EINVAL; /* Linux 6.4 */
    }
    if ((how->flags & O_PATH) != 0 && (how->flags & ~PATH_FLAGS) != 0) {
        return -EINVAL;
    }
    return check_resolve(how);
}

static unsigned walk_of_resolve(uint64_t resolve)
{
    unsigned walk = 0;
    walk |= (resolve & RESOLVE_NO_XDEV) != 0 ? WALK_NO_XDEV : 0;
    walk |= (resolve & RESOLVE_NO_MAGICLINKS) != 0 ? WALK_NO_MAGICLINKS : 0;
    walk |= (resolve & RESOLVE_NO_SYMLINKS) != 0 ? WALK_NO_SYMLINKS : 0;
    walk |= (resolve & RESOLVE_BENEATH) != 0 ? WALK_BENEATH : 0;
    walk |= (resolve & RESOLVE_IN_ROOT) != 0 ? WALK_IN_ROOT : 0;
    return walk;
}

/* A FIFO waits here for its other end. */
static int wait_until_open(struct file *file)
{
    struct blocking_wait wait;
    int error;
    blocking_begin(&wait, file_wait_queue(file), BLOCKING_ANY, SLEEP_FOREVER);
    while ((error = file_open_wait(file)) == -EAGAIN) {
        int wait_error = blocking_next(&wait);
        if (wait_error < 0) {
            error = wait_error;
            break;
        }
    }
    blocking_end(&wait);
    return error;
}

struct open_attempt {
    const struct lookup *lookup;
    struct open_request request;
    struct file *file; /* a reference */
};

static int try_open(void *context)
{
    struct open_attempt *attempt = context;
    return vfs_open(attempt->lookup->start, attempt->lookup->text, &attempt->request,
                    &attempt->file);
}

static long do_open(struct task *task, int dirfd, uint64_t path, const struct open_how *how)
{
    int error = check_how(how);
    if (error < 0) {
        return error;
    }
    auto_lookup struct lookup lookup;
    unsigned scoped = (how->resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH)) != 0 ? LOOKUP_SCOPED : 0;
    error = lookup_begin(task, dirfd, path, scoped, &lookup);
    if (error < 0) {
        return error;
    }
    struct open_attempt attempt = {.lookup = &lookup,
                                   .request = {.flags = how->flags,
                                               .mode = (uint32_t)how->mode,
                                               .resolve = walk_of_resolve(how->resolve),
                                               .waits = true}};
    error = blocking_wait_lease(try_open, &attempt);
    auto_file struct file *file = attempt.file;
    if (error == 0) {
        error = wait_until_open(file);
    }
    if (error < 0) {
        return error;
    }
    return install_file(task, file_ref(file), (how->flags & O_CLOEXEC) != 0);
}

/* open and openat ignore what they do not know (Linux: build_open_how). */
static long legacy_open(struct task *task, int dirfd, uint64_t path, int flags, unsigned mode)
{
    struct open_how how = {.flags = ((uint64_t)(unsigned)flags & VALID_FLAGS) | KERNEL_O_LARGEFILE,
                           .mode = mode & 07777};
    if ((how.flags & O_PATH) != 0) {
        how.flags &= PATH_FLAGS;
    }
    if (!will_create(how.flags)) {
        how.mode = 0;
    }
    return do_open(task, dirfd, path, &how);
}

long sys_open(struct task *task, const struct syscall_args *args)
{
    return legacy_open(task, AT_FDCWD, arg_u64(args, 0), arg_int(args, 1), arg_uint(args, 2));
}

long sys_openat(struct task *task, const struct syscall_args *args)
{
    return legacy_open(task, arg_int(args, 0), arg_u64(args, 1), arg_int(args, 2),
                       arg_uint(args, 3));
}

long sys_creat(struct task *task, const struct syscall_args *args)
{
    return legacy_open(task, AT_FDCWD, arg_u64(args, 0), O_CREAT | O_WRONLY | O_TRUNC,
                       arg_uint(args, 1));
}

long sys_openat2(struct task *task, const struct syscall_args *args)
{
    struct open_how how;
    uint64_t size = arg_u64(args, 3);
    if (size < sizeof(how)) {
        return -EINVAL;
    }
    int error = copy_in_struct(arg_u64(args, 2), size, &how, sizeof(how));
    if (error < 0) {
        return error;
    }
    if ((how.flags & O_PATH) == 0) {
        how.flags |= KERNEL_O_LARGEFILE;
    }
    return do_open(task, arg_int(args, 0), arg_u64(args, 1), &how);
}
