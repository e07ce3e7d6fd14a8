/*
 * gofer_change.c: changes of host files. The gofer decides what is allowed; its errno reaches the
 * guest.
 *
 * The fids of all objects concerned are fetched first: a place known from a listing is about to
 * change.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/fs/gofer/internal.h"

static struct gofer_new_file new_file(struct gofer_super *super, uint32_t mode)
{
    return (struct gofer_new_file){
        .mode = mode,
        .uid = gofer_host_uid(super, current.cred->fsuid),
        .gid = gofer_host_gid(super, current.cred->fsgid),
    };
}

/* Names below dir changed: its listing is old, and so are its times. */
static void dir_changed(struct gofer_node *dir)
{
    gofer_names_forget(dir);
    gofer_node_expire(dir);
    inode_touch_locked(&dir->inode, INODE_SET_MTIME | INODE_SET_CTIME);
}

static int created(struct gofer_node *dir, const char *name, const struct gofer_object *object,
                   struct gofer_node **ret)
{
    dir_changed(dir);
    return gofer_node_get(gofer_super_of(dir), dir, name, &object->attr, object->fid, ret);
}

int gofer_fs_create(struct inode *inode, const char *name, uint32_t mode, uint64_t rdev,
                    struct inode **ret_child)
{
    struct gofer_node *dir = gofer_node_of(inode);
    struct gofer_super *super = gofer_super_of(dir);
    struct gofer_new_file file = new_file(super, mode);
    struct gofer_object object;
    struct gofer_node *child;
    uint64_t fid;
    int fd = -1;
    uint32_t open_result = 0;
    (void)rdev;
    int result = gofer_node_fid(dir, &fid);
    if (result < 0) {
        return result;
    }
    if ((inode->mode & S_ISGID) != 0) {
        file.gid = GOFER_NO_ID; /* the host gives the directory's */
    }
    if (S_ISDIR(mode)) {
        file.mode = mode & 07777;
        result = gofer_mkdir(super->client, fid, name, &file, &object);
    } else if (S_ISREG(mode)) {
        file.mode = mode & 07777;
        result = gofer_create(super->client, fid, name, O_RDWR, &file, &object, &fd, &open_result);
    } else {
        result = gofer_mknod(super->client, fid, name, &file, &object);
    }
    if (result < 0) {
        return result;
    }
    result = created(dir, name, &object, &child);
    if (result < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return result;
    }
    if (S_ISREG(mode)) {
        gofer_fd_keep(child, fd, open_result);
    } else if (S_ISDIR(mode)) {
        inode_set_nlink_locked(inode, inode->nlink + 1);
    }
    *ret_child = &child->inode;
    return 0;
}

int gofer_fs_symlink(struct inode *inode, const char *name, const char *target,
                     struct inode **ret_child)
{
    struct gofer_node *dir = gofer_node_of(inode);
    struct gofer_super *super = gofer_super_of(dir);
    struct gofer_new_file file = new_file(super, 0777);
    struct gofer_object object;
    struct gofer_node *child;
    uint64_t fid;
    int result = gofer_node_fid(dir, &fid);
    if (result == 0) {
        result = gofer_symlink(super->client, fid, name, target, file.uid, file.gid, &object);
    }
    if (result == 0) {
        result = created(dir, name, &object, &child);
    }
    if (result == 0) {
        *ret_child = &child->inode;
    }
    return result;
}

int gofer_fs_link(struct inode *inode, const char *name, struct inode *target)
{
    struct gofer_node *dir = gofer_node_of(inode);
    struct gofer_node *node = gofer_node_of(target);
    struct gofer_attr attr;
    uint64_t fid, target_fid;
    int result = gofer_node_fid(dir, &fid);
    if (result == 0) {
        result = gofer_node_fid(node, &target_fid);
    }
    if (result == 0) {
        result = gofer_link(gofer_super_of(dir)->client, fid, name, target_fid, &attr);
    }
    if (result == 0) {
        gofer_node_update_locked(node, &attr);
        dir_changed(dir);
    }
    return result;
}

static void lose_name(struct gofer_node *node)
{
    struct inode *inode = &node->inode;
    if (S_ISDIR(inode_load(inode->mode))) {
        inode_set_nlink_locked(inode, 0);
        inode_store(inode->flags, inode->flags | INODE_DEAD);
        gofer_names_forget(node);
        /* Nothing to ask any more. */
        atomic_store(&node->valid_until, UINT64_MAX);
    } else {
        inode_set_nlink_locked(inode, inode->nlink > 0 ? inode->nlink - 1 : 0);
        gofer_node_expire(node);
    }
    inode_touch_locked(inode, INODE_SET_CTIME);
}

static int remove_name(struct inode *inode, const char *name, struct inode *child, uint32_t flags)
{
    struct gofer_node *dir = gofer_node_of(inode);
    struct gofer_node *node = gofer_node_of(child);
    uint64_t fid, child_fid;
    int result = gofer_node_fid(dir, &fid);
    if (result == 0) {
        result = gofer_node_fid(node, &child_fid);
    }
    if (result == 0) {
        result = gofer_unlink(gofer_super_of(dir)->client, fid, name, flags);
    }
    if (result == 0) {
        if (flags == AT_REMOVEDIR && inode->nlink > 2) {
            inode_set_nlink_locked(inode, inode->nlink - 1);
        }
        lose_name(node);
        dir_changed(dir);
    }
    return result;
}

int gofer_fs_unlink(struct inode *dir, const char *name, struct inode *child)
{
    return remove_name(dir, name, child, 0);
}

int gofer_fs_rmdir(struct inode *dir, const char *name, struct inode *child)
{
    return remove_name(dir, name, child, AT_REMOVEDIR);
}

int gofer_fs_rename(struct inode *old_inode, const char *old_name, struct inode *child,
                    struct inode *new_inode, const char *new_name, struct inode *target,
                    unsigned flags)
{
    struct gofer_node *old_dir = gofer_node_of(old_inode);
    struct gofer_node *new_dir = gofer_node_of(new_inode);
    struct gofer_node *node = gofer_node_of(child);
    struct gofer_node *over = target != NULL ? gofer_node_of(target) : NULL;
    uint64_t old_fid, new_fid, fid;
    if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0) {
        return -EINVAL;
    }
    int result = gofer_node_fid(old_dir, &old_fid);
    if (result == 0) {
        result = gofer_node_fid(new_dir, &new_fid);
    }
    if (result == 0) {
        result = gofer_node_fid(node, &fid);
    }
    if (result == 0 && over != NULL) {
        result = gofer_node_fid(over, &fid);
    }
    if (result == 0) {
        result = gofer_rename(gofer_super_of(old_dir)->client, old_fid, old_name, new_fid, new_name,
                              flags);
    }
    if (result < 0 || node == over) {
        return result;
    }
    gofer_node_move(node, new_dir, new_name);
    gofer_node_expire(node);
    if ((flags & RENAME_EXCHANGE) != 0 && over != NULL) {
        gofer_node_move(over, old_dir, old_name);
        gofer_node_expire(over);
    } else if (over != NULL) {
        lose_name(over);
    }
    dir_changed(old_dir);
    dir_changed(new_dir);
    return 0;
}

static struct gofer_time host_time(const struct timespec *time)
{
    return (struct gofer_time){.seconds = time->tv_sec, .nanoseconds = (uint32_t)time->tv_nsec};
}

int gofer_fs_setattr(struct inode *inode, const struct inode_attr *attr, unsigned set)
{
    struct gofer_node *node = gofer_node_of(inode);
    struct gofer_super *super = gofer_super_of(node);
    struct gofer_change change = {.uid = GOFER_NO_ID, .gid = GOFER_NO_ID};
    struct gofer_attr after;
    uint64_t fid;
    if ((set & INODE_SET_MODE) != 0 && !S_ISLNK(inode_load(inode->mode))) {
        change.set |= GOFER_SET_MODE;
        change.mode = attr->mode & 07777;
    }
    if ((set & INODE_SET_UID) != 0 && attr->uid != inode->uid) {
        change.set |= GOFER_SET_UID;
        change.uid = gofer_host_uid(super, attr->uid);
    }
    if ((set & INODE_SET_GID) != 0 && attr->gid != inode->gid) {
        change.set |= GOFER_SET_GID;
        change.gid = gofer_host_gid(super, attr->gid);
    }
    if ((set & INODE_SET_SIZE) != 0) {
        change.set |= GOFER_SET_SIZE;
        change.size = attr->size;
    }
    if ((set & INODE_SET_ATIME) != 0) {
        change.set |= GOFER_SET_ATIME;
        change.atime = host_time(&attr->atime);
    }
    if ((set & INODE_SET_MTIME) != 0 && (set & INODE_SET_SIZE) == 0) {
        change.set |= GOFER_SET_MTIME;
        change.mtime = host_time(&attr->mtime);
    }
    if (change.set == 0) {
        return 0;
    }
    if ((set & INODE_SET_TOUCH) != 0) {
        change.set |= change.set & GOFER_SET_ATIME ? GOFER_SET_ATIME_NOW : 0;
        change.set |= change.set & GOFER_SET_MTIME ? GOFER_SET_MTIME_NOW : 0;
    }
    int result = gofer_node_fid(node, &fid);
    if (result == 0) {
        result = gofer_setattr(super->client, fid, &change, &after);
    }
    if (result == 0) {
        gofer_node_update_locked(node, &after);
    }
    return result;
}

static bool is_user_xattr(const char *name)
{
    return strncmp(name, "user.", 5) == 0;
}

ssize_t gofer_fs_getxattr(struct inode *inode, const char *name, void *value, size_t size)
{
    struct gofer_node *node = gofer_node_of(inode);
    uint64_t fid;
    if (!is_user_xattr(name)) {
        /* Linux: no POSIX ACLs here; no labels or file capabilities either. */
        return strncmp(name, "system.", 7) == 0 ? -EOPNOTSUPP : -ENODATA;
    }
    int result = gofer_node_fid(node, &fid);
    if (result < 0) {
        return result;
    }
    return gofer_getxattr(gofer_super_of(node)->client, fid, name, value, size);
}

int gofer_fs_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
                      int flags)
{
    struct gofer_node *node = gofer_node_of(inode);
    uint64_t fid;
    if (!is_user_xattr(name)) {
        return -EOPNOTSUPP;
    }
    int result = gofer_node_fid(node, &fid);
    if (result == 0) {
        result =
            gofer_setxattr(gofer_super_of(node)->client, fid, name, value, size, (uint32_t)flags);
    }
    gofer_node_expire(node);
    return result;
}

ssize_t gofer_fs_listxattr(struct inode *inode, char *list, size_t size)
{
    struct gofer_node *node = gofer_node_of(inode);
    uint64_t fid;
    int result = gofer_node_fid(node, &fid);
    return result < 0 ? result : gofer_listxattr(gofer_super_of(node)->client, fid, list, size);
}

int gofer_fs_removexattr(struct inode *inode, const char *name)
{
    struct gofer_node *node = gofer_node_of(inode);
    uint64_t fid;
    if (!is_user_xattr(name)) {
        return -EOPNOTSUPP;
    }
    int result = gofer_node_fid(node, &fid);
    if (result == 0) {
        result = gofer_removexattr(gofer_super_of(node)->client, fid, name);
    }
    gofer_node_expire(node);
    return result;
}
