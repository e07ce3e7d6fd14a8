/*
 * name_ops.c: making and removing names: mkdir, mknod, symlink, link, unlink, rmdir. Order of
 * checks and errors as Linux: fs/namei.c (filename_create, may_create, may_delete).
 */
#include "sentry/vfs/name_ops.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/inode_flags.h"
#include "sentry/vfs/inotify_hooks.h"
#include "sentry/vfs/landlock.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/name_check.h"
#include "sentry/vfs/path.h"
#include "sentry/vfs/walk.h"

#define MAY_EXEC  1
#define MAY_WRITE 2

uint32_t name_new_mode(const struct inode *dir, uint32_t mode)
{
    /* Linux: vfs_prepare_mode: before the umask takes the execute bit that counts here */
    if (!S_ISDIR(mode) && (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) {
        uint32_t gid = (dir->mode & S_ISGID) != 0 ? dir->gid : current.cred->fsgid;
        if (!cred_in_group(current.cred, gid) && !capable(CAP_FSETID)) {
            mode &= ~(uint32_t)S_ISGID;
        }
    }
    if (current.fs) {
        mode &= ~fs_context_umask(current.fs);
    }
    return mode;
}

static int check_sticky(const struct inode *dir, const struct inode *victim)
{
    uint32_t fsuid = current.cred->fsuid;
    if ((dir->mode & S_ISVTX) == 0 || victim->uid == fsuid || dir->uid == fsuid ||
        capable(CAP_FOWNER)) {
        return 0;
    }
    return -EPERM;
}

int name_may_create(struct inode *dir)
{
    if ((dir->flags & INODE_DEAD) != 0) {
        return -ENOENT;
    }
    if (dir->super->no_new_names) {
        return -ENOENT; /* Linux: the look-up itself failed, before any permission was asked */
    }
    return inode_permission(dir, MAY_WRITE | MAY_EXEC);
}

int name_may_delete(struct inode *dir, struct inode *victim, bool directory)
{
    if (dir->super->no_new_names && dir != dir->super->root) {
        return -EPERM; /* Linux: directories of processes in /proc are immutable (S_IMMUTABLE) */
    }
    int error = inode_permission(dir, MAY_WRITE | MAY_EXEC);
    if (error == 0 && inode_is_append_only(dir)) {
        error = -EPERM;
    }
    if (error == 0) {
        error = inode_is_fixed(victim) ? -EPERM : check_sticky(dir, victim);
    }
    if (error != 0) {
        return error;
    }
    bool is_directory = S_ISDIR(inode_load(victim->mode));
    if (directory != is_directory) {
        return directory ? -ENOTDIR : -EISDIR;
    }
    return (dir->flags & INODE_DEAD) != 0 ? -ENOENT : 0;
}

bool name_is_special(const char *name)
{
    return name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A place where a name is to be made: between create_begin and create_end its directory is locked.
 */
struct create_site {
    struct path parent;
    struct inode *dir;
    struct dentry *dentry; /* negative */
    char name[NAME_MAX_LENGTH + 2];
};

static int create_begin(const struct path *start, const char *text, bool directory,
                        struct create_site *site)
{
    bool trailing;
    int error = walk_parent(start, text, 0, &site->parent, site->name, &trailing);
    if (error != 0) {
        return error;
    }
    if (name_is_special(site->name)) {
        path_unref(&site->parent);
        return -EEXIST;
    }
    site->dir = path_inode(&site->parent);
    mutex_lock(&site->dir->lock);
    error = dentry_lookup(site->parent.dentry, site->name, strlen(site->name), true, &site->dentry);
    if (error == 0) {
        if (atomic_load(&site->dentry->inode)) {
            error = -EEXIST;
        } else if (trailing && !directory) {
            error = -ENOENT;
        } else if (mount_is_read_only(site->parent.mount)) {
            error = super_refuse_write(path_inode(&site->parent));
        }
        if (error != 0) {
            dentry_unref(site->dentry);
        }
    }
    if (error != 0) {
        mutex_unlock(&site->dir->lock);
        path_unref(&site->parent);
    }
    return error;
}

/* child: the reference the operation returned, or NULL when it failed. */
static void create_end(struct create_site *site, struct inode *child)
{
    if (child) {
        dentry_instantiate(site->dentry, child);
    }
    mutex_unlock(&site->dir->lock);
    if (child) {
        vfs_notify_name(site->dir, site->name, child, IN_CREATE);
    }
    inode_unref(child);
    dentry_unref(site->dentry);
    path_unref(&site->parent);
}

static int create_object(const struct path *start, const char *text, uint32_t mode, uint64_t rdev,
                         struct path *ret_path)
{
    struct create_site site;
    struct inode *child = NULL;
    int error = create_begin(start, text, S_ISDIR(mode), &site);
    if (error != 0) {
        return error;
    }
    error = landlock_check(&site.parent, landlock_make_right(mode));
    if (error == 0) {
        error = name_may_create(site.dir);
    }
    if (error == 0 && (S_ISCHR(mode) || S_ISBLK(mode)) && !capable(CAP_MKNOD)) {
        error = -EPERM;
    }
    if (error == 0 && S_ISDIR(mode) && site.dir->super->max_links != 0 &&
        site.dir->nlink >= site.dir->super->max_links) {
        error = -EMLINK;
    }
    if (error == 0) {
        error = inode_create(site.dir, site.name, name_new_mode(site.dir, mode), rdev, &child);
    }
    if (error == 0 && ret_path) {
        *ret_path = (struct path){site.parent.mount, site.dentry};
        path_ref(ret_path);
    }
    create_end(&site, child);
    return error;
}

int vfs_mknod(const struct path *start, const char *text, uint32_t mode, uint64_t rdev)
{
    switch (mode & S_IFMT) {
    case 0:
        mode |= S_IFREG;
        break;
    case S_IFREG:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
        break;
    case S_IFDIR:
        return -EPERM;
    default:
        return -EINVAL;
    }
    return create_object(start, text, mode & (S_IFMT | 07777), rdev, NULL);
}

int vfs_bind_socket(const char *text, uint32_t mode, struct path *ret_path)
{
    return create_object(NULL, text, S_IFSOCK | (mode & 07777), 0, ret_path);
}

int vfs_mkdir(const struct path *start, const char *text, uint32_t mode)
{
    return create_object(start, text, S_IFDIR | (mode & 01777), 0, NULL);
}

int vfs_symlink(const char *target, const struct path *start, const char *text)
{
    struct create_site site;
    struct inode *child = NULL;
    if (target[0] == '\0') {
        return -ENOENT;
    }
    if (strnlen(target, PATH_MAX_LENGTH) >= PATH_MAX_LENGTH) {
        return -ENAMETOOLONG;
    }
    int error = create_begin(start, text, false, &site);
    if (error != 0) {
        return error;
    }
    error = landlock_check(&site.parent, LANDLOCK_MAKE_SYM);
    if (error == 0) {
        error = name_may_create(site.dir);
    }
    if (error == 0) {
        error = inode_symlink(site.dir, site.name, target, &child);
    }
    create_end(&site, child);
    return error;
}

/* The checks of vfs_link after permission; dir and inode are locked. */
static int check_link(struct inode *dir, struct inode *inode)
{
    if (dir->super != inode->super) {
        return -EXDEV;
    }
    if (inode_is_fixed(inode) || !dir->ops->link || S_ISDIR(inode->mode)) {
        return -EPERM;
    }
    if (inode->nlink == 0 && (inode->flags & INODE_LINKABLE) == 0) {
        return -ENOENT;
    }
    uint32_t most = dir->super->max_links;
    return most != 0 && inode->nlink >= most ? -EMLINK : 0;
}

/* Landlock: a further name is a right of the object's old place, too. */
static int check_link_right(const struct path *old, const struct path *parent)
{
    struct inode *inode = path_inode(old);
    if (!current.cred->domain) {
        return 0;
    }
    struct path old_parent = {old->mount, dentry_get_parent(old->dentry)};
    int error = landlock_check_refer(&old_parent, 0, parent,
                                     landlock_make_right(inode_load(inode->mode)), inode, NULL);
    dentry_unref(old_parent.dentry);
    return error;
}

int vfs_link(const struct path *old, const struct path *new_start, const char *new_text)
{
    struct create_site site;
    struct inode *inode = path_inode(old);
    int error = create_begin(new_start, new_text, false, &site);
    if (error != 0) {
        return error;
    }
    error = old->mount != site.parent.mount ? -EXDEV : name_may_create(site.dir);
    if (error == 0) {
        error = check_link_right(old, &site.parent);
    }
    if (error == 0 && S_ISDIR(inode_load(inode->mode))) {
        error = -EPERM; /* and its lock might be the directory's own */
    }
    if (error == 0) {
        mutex_lock_nested(&inode->lock);
        error = check_link(site.dir, inode);
        if (error == 0) {
            error = inode_link(site.dir, site.name, inode);
        }
        if (error == 0) {
            inode_store(inode->flags, inode->flags & ~(uint32_t)INODE_LINKABLE);
        }
        mutex_unlock(&inode->lock);
    }
    if (error == 0) {
        vfs_notify_inode(inode, IN_ATTRIB, 0, NULL);
    }
    create_end(&site, error == 0 ? inode_ref(inode) : NULL);
    return error;
}

/* The last component of what is to be removed, before the file system is asked. */
static int check_removed_name(const char *name, bool directory)
{
    if (!name_is_special(name)) {
        return 0;
    }
    if (!directory) {
        return -EISDIR;
    }
    return name[0] == '\0' ? -EBUSY : name[1] == '.' ? -ENOTEMPTY : -EINVAL;
}

/* parent's directory is locked. */
static int remove_locked(const struct path *parent, struct dentry *dentry, const char *name,
                         bool directory, bool trailing)
{
    struct inode *dir = path_inode(parent);
    struct inode *victim = atomic_load(&dentry->inode);
    if (!victim) {
        return -ENOENT;
    }
    if (!directory && trailing) {
        return S_ISDIR(inode_load(victim->mode)) ? -EISDIR : -ENOTDIR;
    }
    int error = landlock_check(parent, directory ? LANDLOCK_REMOVE_DIR : LANDLOCK_REMOVE_FILE);
    if (error == 0) {
        error = name_may_delete(dir, victim, directory);
    }
    if (error != 0) {
        return error;
    }
    mutex_lock_nested(&victim->lock);
    if (atomic_load(&dentry->mounted) > 0) {
        error = -EBUSY;
    } else if (directory) {
        error = inode_rmdir(dir, name, victim);
        if (error == 0) {
            inode_store(victim->flags, victim->flags | INODE_DEAD);
        }
    } else {
        error = inode_unlink(dir, name, victim);
    }
    mutex_unlock(&victim->lock);
    return error;
}

int vfs_unlink(const struct path *start, const char *text, bool directory)
{
    char name[NAME_MAX_LENGTH + 2];
    bool trailing;
    struct path parent;
    int error = walk_parent(start, text, 0, &parent, name, &trailing);
    if (error != 0) {
        return error;
    }
    error = check_removed_name(name, directory);
    if (error == 0 && mount_is_read_only(parent.mount)) {
        error = super_refuse_write(path_inode(&parent));
    }
    if (error != 0) {
        path_unref(&parent);
        return error;
    }
    struct inode *dir = path_inode(&parent);
    struct inode *victim = NULL;
    struct dentry *dentry = NULL;
    mutex_lock(&dir->lock);
    error = dentry_lookup(parent.dentry, name, strlen(name), true, &dentry);
    if (error == 0) {
        error = remove_locked(&parent, dentry, name, directory, trailing);
    }
    if (error == 0) {
        victim = inode_ref(atomic_load(&dentry->inode));
        if (!directory) { /* Linux: fsnotify_link_count comes before IN_DELETE_SELF */
            vfs_notify_inode(victim, IN_ATTRIB, 0, NULL);
        }
        dentry_removed(dentry);
    }
    mutex_unlock(&dir->lock);
    if (error == 0) {
        vfs_notify_name(dir, name, victim, IN_DELETE);
    }
    dentry_unref(dentry);
    inode_unref(victim);
    path_unref(&parent);
    return error;
}
