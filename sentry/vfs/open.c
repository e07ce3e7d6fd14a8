/*
 * open.c: open, O_CREAT, O_TMPFILE, exec's open. Order of checks and errors as Linux: fs/namei.c
 * (path_openat, open_last_lookups, do_open, may_open), fs/open.c (do_dentry_open).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/file_lease.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/inode_flags.h"
#include "sentry/vfs/inotify_hooks.h"
#include "sentry/vfs/landlock.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/name_ops.h"
#include "sentry/vfs/special.h"
#include "sentry/vfs/walk.h"

#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)
#define MAY_EXEC    1
#define MAY_WRITE   2
#define MAY_READ    4

static const struct file_ops path_file_ops = {.anon_name = "[path]"};

/* What the open flags ask of permissions. */
static int access_mask(uint64_t flags)
{
    static const int masks[4] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};
    int mask = masks[flags & O_ACCMODE];
    return (flags & O_TRUNC) != 0 ? mask | MAY_WRITE : mask;
}

static unsigned file_mode(uint64_t flags)
{
    static const unsigned modes[4] = {FILE_READ, FILE_WRITE, FILE_READ | FILE_WRITE, 0};
    return modes[flags & O_ACCMODE];
}

static int check_flags(uint64_t *flags)
{
    if ((*flags & O_PATH) != 0) {
        *flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        return 0;
    }
    if ((*flags & TMPFILE_BIT) != 0) {
        bool whole = (*flags & (O_TMPFILE | O_CREAT)) == O_TMPFILE;
        return whole && (*flags & O_ACCMODE) != O_RDONLY ? 0 : -EINVAL; /* O_TRUNC does not count */
    }
    return (*flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY) ? -EINVAL : 0;
}

/* Makes the missing last component; -EEXIST when somebody else just did (walk again). */
static int create_last(struct walker *w, uint32_t mode, struct path *ret)
{
    char name[NAME_MAX_LENGTH + 1];
    struct inode *dir = path_inode(&w->at);
    struct dentry *dentry;
    struct inode *child = NULL;
    if (w->last_length > NAME_MAX_LENGTH) {
        return -ENAMETOOLONG;
    }
    memcpy(name, w->last, w->last_length);
    name[w->last_length] = '\0';
    mutex_lock(&dir->lock);
    int error = dentry_lookup(w->at.dentry, name, w->last_length, true, &dentry);
    if (error != 0) {
        mutex_unlock(&dir->lock);
        return error;
    }
    if (atomic_load(&dentry->inode)) {
        error = -EEXIST;
    } else if ((dir->flags & INODE_DEAD) != 0) {
        error = -ENOENT;
    } else if (mount_is_read_only(w->at.mount)) {
        error = super_refuse_write(dir);
    } else {
        error = inode_permission(dir, MAY_WRITE | MAY_EXEC);
    }
    if (error == 0) {
        error = landlock_check(&w->at, LANDLOCK_MAKE_REG);
    }
    if (error == 0) {
        error = inode_create(dir, name, name_new_mode(dir, S_IFREG | (mode & 07777)), 0, &child);
    }
    if (error == 0) {
        dentry_instantiate(dentry, child);
        inode_unref(child);
        *ret = (struct path){w->at.mount ? mount_ref(w->at.mount) : NULL, dentry};
    } else {
        dentry_unref(dentry);
    }
    mutex_unlock(&dir->lock);
    if (error == 0) {
        vfs_notify_name(dir, name, child, IN_CREATE);
    }
    return error;
}

/* The object to open; references in *ret. */
static int open_walk(struct walker *w, uint64_t flags, uint32_t mode, struct path *ret,
                     bool *ret_created, bool *ret_directory)
{
    bool create = (flags & O_CREAT) != 0;
    bool follow = (flags & O_NOFOLLOW) == 0 && !(create && (flags & O_EXCL) != 0);
    for (;;) {
        int error = walker_to_last(w);
        if (error != 0) {
            return error;
        }
        if (create && w->type == WALK_LAST_NORMAL && w->trailing) {
            return -EISDIR;
        }
        struct path path;
        error = walker_last(w, &path);
        if (error != 0) {
            return error;
        }
        *ret_directory |= w->trailing;
        struct inode *inode = path_inode(&path);
        if (!inode) {
            path_unref(&path);
            if (!create || w->type != WALK_LAST_NORMAL) {
                return -ENOENT;
            }
            error = create_last(w, mode, ret);
            if (error == -EEXIST) {
                w->rest = w->last;
                continue;
            }
            *ret_created = error == 0;
            return error;
        }
        if (S_ISLNK(inode_load(inode->mode)) && w->type == WALK_LAST_NORMAL &&
            (follow || w->trailing)) {
            error = walker_follow(w, &path);
            path_unref(&path);
            if (error != 0) {
                return error;
            }
            continue;
        }
        *ret = path;
        return 0;
    }
}

/* Linux: may_open and sb_permission; may drop O_TRUNC. */
static int may_open(const struct path *path, struct inode *inode, int mask, uint64_t *flags)
{
    unsigned mount_flags = path->mount ? atomic_load(&path->mount->flags) : 0;
    switch (inode_load(inode->mode) & S_IFMT) {
    case S_IFLNK:
        return -ELOOP;
    case S_IFDIR:
        if ((mask & MAY_WRITE) != 0) {
            return -EISDIR;
        }
        if ((mask & MAY_EXEC) != 0) {
            return -EACCES;
        }
        break;
    case S_IFCHR:
    case S_IFBLK:
        if ((mount_flags & MOUNT_NO_DEV) != 0) {
            return -EACCES;
        }
        /* fall through */
    case S_IFIFO:
    case S_IFSOCK:
        if ((mask & MAY_EXEC) != 0) {
            return -EACCES;
        }
        *flags &= ~(uint64_t)O_TRUNC;
        break;
    default:
        if ((mask & MAY_EXEC) != 0 && (mount_flags & MOUNT_NO_EXEC) != 0) {
            return -EACCES;
        }
        if ((mask & MAY_WRITE) != 0 && mount_is_read_only(path->mount)) {
            return super_refuse_write(inode);
        }
        break;
    }
    int error = inode_permission(inode, mask);
    if (error == 0 && inode_is_append_only(inode) &&
        (((mask & MAY_WRITE) != 0 && (*flags & O_APPEND) == 0) || (*flags & O_TRUNC) != 0)) {
        error = -EPERM;
    }
    if (error == 0 && (*flags & O_NOATIME) != 0 && current.cred->fsuid != inode_load(inode->uid) &&
        !capable(CAP_FOWNER)) {
        error = -EPERM;
    }
    return error;
}

/* Gives the file its operations. */
static int open_by_type(struct inode *inode, struct file *file)
{
    uint32_t mode = inode_load(inode->mode);
    bool own = inode->ops->open || inode->file_ops;
    switch (mode & S_IFMT) {
    case S_IFSOCK:
        return -ENXIO;
    case S_IFIFO:
        /* An inherited stream, opened again through /proc/self/fd, opens itself; it is on no
         * mounted file system. A FIFO with a name is a pipe, whatever open op its file system has.
         */
        if (own && !inode->super->root) {
            return inode_open(inode, file);
        }
        return vfs_special.open_fifo ? vfs_special.open_fifo(inode, file) : -ENXIO;
    case S_IFCHR:
    case S_IFBLK:
        if (own) {
            return inode_open(inode, file);
        }
        if (!vfs_special.open_device) {
            return -ENXIO;
        }
        return vfs_special.open_device(inode, inode->rdev, S_ISBLK(mode), file);
    default:
        return inode_open(inode, file);
    }
}

/* O_TRUNC of a regular file (Linux: handle_truncate). */
static int truncate_opened(struct inode *inode)
{
    int error = inode_get_write(inode);
    if (error != 0) {
        return error;
    }
    struct inode_attr attr = {.size = 0};
    mutex_lock(&inode->lock);
    error = inode_remove_privs(inode);
    mutex_unlock(&inode->lock);
    if (error == 0) {
        error = inode_setattr_unchecked(inode, &attr, INODE_SET_SIZE);
    }
    inode_put_write(inode);
    return error;
}

/* Opens the object; permissions are checked unless it was just created. */
static int open_object(const struct path *path, uint64_t flags, unsigned extra_mode, bool created,
                       struct file **ret_file)
{
    struct inode *inode = path_inode(path);
    struct file *file;
    if ((flags & O_PATH) != 0) {
        return file_new(inode, path, &path_file_ops, FILE_PATH, (unsigned)flags & ~O_CLOEXEC, NULL,
                        ret_file);
    }
    int error = 0;
    if (!created) {
        int mask = (extra_mode & FILE_EXEC) != 0 ? MAY_EXEC : access_mask(flags);
        error = may_open(path, inode, mask, &flags);
    }
    if (error == 0 && S_ISREG(inode_load(inode->mode))) {
        error =
            lease_break(inode, (access_mask(flags) & MAY_WRITE) != 0, (flags & O_NONBLOCK) != 0);
    }
    if (error != 0) {
        return error;
    }
    const uint64_t kept = ~(uint64_t)(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC);
    error = file_new(inode, path, NULL, file_mode(flags) | extra_mode, (unsigned)(flags & kept),
                     NULL, &file);
    if (error != 0) {
        return error;
    }
    error = landlock_check_open(file, (extra_mode & FILE_EXEC) != 0);
    if (error == 0 && (flags & O_TRUNC) != 0 && !created && (file->mode & FILE_NO_TRUNCATE) != 0) {
        error = -EACCES;
    }
    if (error == 0) {
        error = open_by_type(inode, file);
    }
    atomic_fetch_and(&file->flags, ~(unsigned)O_NOCTTY); /* only the open itself looks at it */
    if (error == 0 && (flags & O_TRUNC) != 0 && S_ISREG(inode_load(inode->mode)) && !created) {
        error = truncate_opened(inode);
        if (error == 0) {
            vfs_notify_path(path, IN_MODIFY);
        }
    }
    if (error != 0) {
        file_unref(file);
        return error;
    }
    file->mode |= created ? FILE_OPENED | FILE_CREATED : FILE_OPENED;
    vfs_notify_path(path, IN_OPEN);
    *ret_file = file;
    return 0;
}

/* O_TMPFILE: an unnamed file in the directory. */
static int open_tmpfile(const struct path *start, const char *text,
                        const struct open_request *request, uint64_t flags, struct file **ret_file)
{
    struct path dir_path;
    unsigned follow = (flags & O_NOFOLLOW) == 0 ? WALK_FOLLOW : 0;
    int error = path_walk(start, text, follow | WALK_DIRECTORY | request->resolve, &dir_path);
    if (error != 0) {
        return error;
    }
    struct inode *dir = path_inode(&dir_path);
    struct inode *inode = NULL;
    mutex_lock(&dir->lock);
    error = mount_is_read_only(dir_path.mount) ? super_refuse_write(dir) : 0;
    if (error == 0) {
        error = inode_permission(dir, MAY_WRITE | MAY_EXEC);
    }
    if (error == 0) {
        uint32_t mode = name_new_mode(dir, S_IFREG | (request->mode & 07777));
        error = inode_tmpfile(dir, mode, &inode);
    }
    mutex_unlock(&dir->lock);
    struct path path = {dir_path.mount, NULL};
    if (error == 0) {
        char name[32];
        int length = snprintf(name, sizeof(name), "#%llu", (unsigned long long)inode->ino);
        path.dentry = dentry_new(dir_path.dentry, name, (size_t)length, inode);
        error = path.dentry ? 0 : -ENOMEM;
    }
    if (error == 0) {
        path.dentry->disconnected = true;
        if ((flags & O_EXCL) == 0) {
            inode_store(inode->flags, inode->flags | INODE_LINKABLE);
        }
        error = open_object(&path, flags, 0, true, ret_file);
    }
    dentry_unref(path.dentry);
    inode_unref(inode);
    path_unref(&dir_path);
    return error;
}

/*
 * O_CREAT on somebody else's socket or device in a sticky directory that all may write (Linux:
 * may_create_in_sticky with fs.protected_regular and fs.protected_fifos off).
 */
static int check_sticky_create(const struct path *path)
{
    struct inode *inode = path_inode(path);
    uint32_t mode = inode_load(inode->mode);
    if (S_ISREG(mode) || S_ISFIFO(mode) || S_ISDIR(mode)) {
        return 0;
    }
    struct dentry *parent = dentry_get_parent(path->dentry);
    struct inode *dir = atomic_load(&parent->inode);
    const uint32_t both = S_ISVTX | S_IWOTH;
    uint32_t uid = inode_load(inode->uid);
    int error = 0;
    if (dir && (inode_load(dir->mode) & both) == both && uid != inode_load(dir->uid) &&
        uid != current.cred->fsuid) {
        error = -EACCES;
    }
    dentry_unref(parent);
    return error;
}

int vfs_open(const struct path *start, const char *text, const struct open_request *request,
             struct file **ret_file)
{
    uint64_t flags = request->flags;
    int error = check_flags(&flags);
    if (error != 0) {
        return error;
    }
    if ((flags & TMPFILE_BIT) != 0) {
        return open_tmpfile(start, text, request, flags, ret_file);
    }
    struct walker w;
    struct path path = {NULL, NULL};
    bool created = false;
    bool directory = (flags & O_DIRECTORY) != 0;
    error = walker_init(&w, start, text, request->resolve);
    if (error == 0) {
        error = open_walk(&w, flags, request->mode, &path, &created, &directory);
    }
    walker_fini(&w);
    if (error != 0) {
        return error;
    }
    bool is_directory = S_ISDIR(inode_load(path_inode(&path)->mode));
    if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0 && !created) {
        error = -EEXIST;
    } else if ((flags & O_CREAT) != 0 && is_directory) {
        error = -EISDIR;
    } else if (directory && !is_directory) {
        error = -ENOTDIR;
    } else if ((flags & O_CREAT) != 0) {
        error = check_sticky_create(&path);
    }
    if (error == 0) {
        error = open_object(&path, flags, 0, created, ret_file);
    }
    path_unref(&path);
    return error == LEASE_WAIT && !request->waits ? -EWOULDBLOCK : error;
}

int vfs_open_path(const struct path *path, uint64_t flags, struct file **ret_file)
{
    flags &= ~(uint64_t)(O_CREAT | O_EXCL);
    if (!path_inode(path)) {
        return -ENOENT;
    }
    int error = check_flags(&flags);
    if (error == 0 && (flags & O_DIRECTORY) != 0 && !S_ISDIR(inode_load(path_inode(path)->mode))) {
        error = -ENOTDIR;
    }
    if (error == 0) {
        error = open_object(path, flags, 0, false, ret_file);
    }
    return error == LEASE_WAIT ? -EWOULDBLOCK : error;
}

int vfs_open_exec(const struct path *start, const char *text, unsigned walk, struct file **ret_file)
{
    struct path path;
    int error = path_walk(start, text, walk, &path);
    if (error != 0) {
        return error;
    }
    uint32_t mode = inode_load(path_inode(&path)->mode);
    if (S_ISLNK(mode)) {
        error = -ELOOP;
    } else if (!S_ISREG(mode)) {
        error = -EACCES;
    } else {
        error = open_object(&path, O_RDONLY, FILE_EXEC, false, ret_file);
    }
    path_unref(&path);
    return error == LEASE_WAIT ? -EWOULDBLOCK : error;
}
