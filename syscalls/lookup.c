/*
 * lookup.c: see lookup.h. Order of errors as in Linux: the path text first (getname), then the
 * descriptor (path_init).
 */
#include "syscalls/lookup.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "sentry/vfs/inode.h"

void lookup_fini(struct lookup *lookup)
{
    path_unref(&lookup->start_storage);
    lookup->file = file_unref(lookup->file);
    lookup->start = NULL;
}

/* "" with AT_EMPTY_PATH and a descriptor: the descriptor's own object. */
static int begin_empty(struct task *task, int dirfd, struct lookup *lookup)
{
    bool close_on_exec;
    if (dirfd == AT_FDCWD) {
        return 0;
    }
    lookup->file = fd_get(task->fds, dirfd, &close_on_exec);
    return lookup->file ? 0 : -EBADF;
}

static int begin_at(struct task *task, int dirfd, struct lookup *lookup)
{
    bool close_on_exec;
    auto_file struct file *file = fd_get(task->fds, dirfd, &close_on_exec);
    if (!file) {
        return -EBADF;
    }
    if (!file->path.dentry || !S_ISDIR(file->inode->mode)) {
        return -ENOTDIR;
    }
    lookup->start_storage = file->path;
    path_ref(&lookup->start_storage);
    lookup->start = &lookup->start_storage;
    return 0;
}

int lookup_begin(struct task *task, int dirfd, uint64_t addr, unsigned flags, struct lookup *lookup)
{
    lookup->start_storage = (struct path){0};
    lookup->start = NULL;
    lookup->file = NULL;
    lookup->text[0] = '\0';
    if (addr != 0 || (flags & LOOKUP_NULL) == 0) {
        int error = copy_in_path(addr, lookup->text);
        if (error < 0) {
            return error;
        }
    }
    if (lookup->text[0] == '\0') {
        return (flags & LOOKUP_EMPTY) != 0 ? begin_empty(task, dirfd, lookup) : -ENOENT;
    }
    bool absolute = lookup->text[0] == '/' && (flags & LOOKUP_SCOPED) == 0;
    if (absolute || dirfd == AT_FDCWD) {
        return 0;
    }
    return begin_at(task, dirfd, lookup);
}

int lookup_object(struct task *task, int dirfd, uint64_t addr, unsigned at_flags,
                  struct path *ret_path, struct file **ret_file)
{
    auto_lookup struct lookup lookup;
    unsigned flags = (at_flags & AT_EMPTY_PATH) != 0 ? LOOKUP_EMPTY | LOOKUP_NULL : 0;
    int error = lookup_begin(task, dirfd, addr, flags, &lookup);
    if (error < 0) {
        return error;
    }
    if (lookup.file && !lookup.file->path.dentry) {
        *ret_file = lookup.file;
        lookup.file = NULL;
        return 0;
    }
    if (lookup.file) {
        *ret_path = lookup.file->path;
        path_ref(ret_path);
        return 0;
    }
    unsigned walk = (at_flags & AT_SYMLINK_NOFOLLOW) != 0 ? 0 : WALK_FOLLOW;
    if ((at_flags & AT_EMPTY_PATH) != 0) {
        walk |= WALK_EMPTY;
    }
    return path_walk(lookup.start, lookup.text, walk, ret_path);
}

int lookup_path(struct task *task, uint64_t addr, unsigned walk, struct path *ret_path)
{
    auto_lookup struct lookup lookup;
    int error = lookup_begin(task, AT_FDCWD, addr, 0, &lookup);
    if (error < 0) {
        return error;
    }
    return path_walk(NULL, lookup.text, walk, ret_path);
}

struct inode *lookup_inode(const struct path *path, struct file *file)
{
    return file ? file->inode : path_inode(path);
}

int install_file(struct task *task, struct file *file, bool close_on_exec)
{
    int fd = fd_install(task->fds, file, close_on_exec, 0, task_limit(RLIMIT_NOFILE));
    if (fd < 0) {
        file_unref(file);
    }
    return fd;
}
