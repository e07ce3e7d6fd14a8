/* mount_change.c: copies, moves and flags of mounts. See mount_tree.h. Linux: fs/namespace.c. */
#include <errno.h>
#include <stdlib.h>

#include "sentry/core/current.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount_tree.h"

/* A detached copy of the mount, showing from->dentry. mount_lock is held. */
static int clone_locked(const struct path *from, unsigned flags, struct mount **ret)
{
    struct mount *mount = from->mount;
    if (mount->unbindable || dentry_is_deleted(from->dentry)) {
        return -EINVAL;
    }
    int error = mount_new(mount->super, from->dentry, mount->source, flags, ret);
    if (error == 0) {
        super_ref(mount->super);
        (*ret)->flags_locked = mount->flags_locked;
    }
    return error;
}

/* The part of a recursive bind after the first mount: copies of what is mounted below from. What
 * cannot be copied is left out (Linux: unbindable mounts). mount_lock is held. */
static int copy_below_locked(const struct path *from, struct mount *first, int before)
{
    struct mount *mount;
    int error = 0;
    TAILQ_FOREACH (mount, &mounts, link) {
        mount->copy = NULL;
    }
    from->mount->copy = first;
    TAILQ_FOREACH (mount, &mounts, link) {
        bool below = mount->id < before && mount != from->mount && mount->parent &&
                     mount->parent->copy && !mount->unbindable &&
                     (mount->parent != from->mount || dentry_is_below(mount->point, from->dentry));
        if (!below || error != 0) {
            continue;
        }
        struct path root = {mount, mount->root};
        struct mount *copy;
        error = clone_locked(&root, atomic_load(&mount->flags), &copy);
        if (error == 0) {
            struct path at = {mount->parent->copy, mount->point};
            path_ref(&at);
            mount_attach_at_locked(copy, &at);
            mount->copy = copy;
        }
    }
    return error;
}

int mount_bind(const struct path *from, unsigned flags, bool recursive, const struct path *point)
{
    struct mount *mount = NULL;
    mutex_lock(&mount_lock);
    int before = atomic_load(&mount_next_id);
    int error = mount_is_ours(from->mount) ? clone_locked(from, flags, &mount) : -EINVAL;
    if (error == 0) {
        error = mount_attach_locked(mount, point);
    }
    bool attached = error == 0;
    if (attached && recursive) {
        error = copy_below_locked(from, mount, before);
    }
    struct path undo = {NULL, NULL};
    if (error != 0 && attached) {
        undo = (struct path){mount_ref(mount), dentry_ref(mount->root)};
    }
    mutex_unlock(&mount_lock);
    if (error != 0 && !attached) {
        mount_unref(mount);
    }
    if (undo.mount) {
        ignore_result(mount_remove(&undo, MOUNT_REMOVE_DETACH));
        path_unref(&undo);
    }
    return error;
}

int mount_new_detached(struct super *super, const char *source, unsigned flags,
                       struct path *ret_path)
{
    struct mount *mount;
    mutex_lock(&mount_lock);
    int error = mount_make_root_dentry(super);
    if (error == 0) {
        error = mount_new(super, super->root_dentry, source, flags, &mount);
    }
    mutex_unlock(&mount_lock);
    if (error == 0) {
        *ret_path = (struct path){mount, dentry_ref(mount->root)};
    }
    return error;
}

/* Is something mounted below that place of a mount? mount_lock is held. */
static bool has_mounts_below_locked(const struct path *path)
{
    const struct mount *mount;
    TAILQ_FOREACH (mount, &mounts, link) {
        if (mount->parent == path->mount && dentry_is_below(mount->point, path->dentry)) {
            return true;
        }
    }
    return false;
}

int mount_clone_detached(const struct path *from, bool recursive, struct path *ret_path)
{
    struct mount *mount = NULL;
    int error = -EINVAL;
    mutex_lock(&mount_lock);
    if (mount_is_ours(from->mount) && !(recursive && has_mounts_below_locked(from))) {
        error = clone_locked(from, atomic_load(&from->mount->flags), &mount);
    }
    mutex_unlock(&mount_lock);
    if (error == 0) {
        *ret_path = (struct path){mount, dentry_ref(mount->root)};
    }
    return error;
}

/* May mount go where at says? mount_lock is held. */
static int check_move_locked(const struct path *from, const struct path *at, bool beneath)
{
    const struct mount *mount = from->mount;
    if (from->dentry != mount->root || mount->locked || (mount->attached && !mount->parent) ||
        (!mount->attached && mount->parent) || (mount->attached && !mount_is_ours(mount))) {
        return -EINVAL;
    }
    if (beneath && (at->dentry != at->mount->root || !at->mount->parent || at->mount->locked)) {
        return -EINVAL;
    }
    int error = mount_check_point(mount, at);
    return error == 0 && mount_is_below(at->mount, mount) ? -ELOOP : error;
}

int mount_move(const struct path *from, const struct path *point, bool beneath)
{
    struct mount *mount = from->mount;
    struct path old = {NULL, NULL};
    struct path at = *point;
    path_ref(&at);
    mutex_lock(&mount_lock);
    mount_follow(&at);
    int error = check_move_locked(from, &at, beneath);
    if (error == 0 && beneath) {
        /* The topmost mount goes onto the new one, which takes its place. */
        struct mount *top = at.mount;
        struct path below = {mount_ref(mount), dentry_ref(mount->root)};
        dentry_unref(at.dentry);
        mount_move_locked(top, &below, &at);
        mount_unref(top);
    }
    if (error == 0 && mount->attached) {
        mount_move_locked(mount, &at, &old);
    } else if (error == 0) {
        mount_attach_at_locked(mount_ref(mount), &at);
    } else {
        old = at;
    }
    mutex_unlock(&mount_lock);
    path_unref(&old);
    return error;
}

/* A mount of the sandbox keeps what it forbids. */
static bool allows_more(const struct mount *mount, unsigned flags)
{
    const unsigned kept = MOUNT_READ_ONLY | MOUNT_NO_SUID | MOUNT_NO_DEV | MOUNT_NO_EXEC;
    return mount->flags_locked && (atomic_load(&mount->flags) & kept & ~flags) != 0;
}

int mount_remount(const struct path *path, unsigned flags)
{
    struct mount *mount = path->mount;
    int error = 0;
    mutex_lock(&mount_lock);
    bool read_only = (flags & MOUNT_READ_ONLY) != 0 && !mount_is_read_only(mount);
    if (path->dentry != mount->root) {
        error = -EINVAL;
    } else if (allows_more(mount, flags)) {
        error = -EPERM;
    } else if (read_only && atomic_load(&mount->writers) != 0) {
        error = -EBUSY;
    } else {
        atomic_store(&mount->flags, flags);
    }
    mutex_unlock(&mount_lock);
    return error;
}

int mount_change_flags(const struct path *path, bool recursive, unsigned set, unsigned clear)
{
    struct mount *mount;
    int error = path->dentry == path->mount->root ? 0 : -EINVAL;
    mutex_lock(&mount_lock);
    for (int pass = 0; pass < 2 && error == 0; pass++) {
        bool itself = !path->mount->attached; /* a detached one is not in the list */
        for (mount = itself ? path->mount : TAILQ_FIRST(&mounts); mount && error == 0;
             mount = itself ? NULL : TAILQ_NEXT(mount, link)) {
            unsigned now = atomic_load(&mount->flags);
            unsigned flags = (now & ~clear) | set;
            if (mount != path->mount && !(recursive && mount_is_below(mount, path->mount))) {
                continue;
            }
            if (pass == 1) {
                atomic_store(&mount->flags, flags);
            } else if (allows_more(mount, flags)) {
                error = -EPERM;
            } else if ((flags & ~now & MOUNT_READ_ONLY) != 0 && atomic_load(&mount->writers) != 0) {
                error = -EBUSY;
            }
        }
    }
    mutex_unlock(&mount_lock);
    return error;
}

struct mount *mount_find_id(uint64_t unique_id)
{
    struct mount *mount, *found = NULL;
    mutex_lock(&mount_lock);
    TAILQ_FOREACH (mount, &mounts, link) {
        if (mount_unique_id(mount) == unique_id && mount_is_ours(mount)) {
            found = mount_ref(mount);
            break;
        }
    }
    mutex_unlock(&mount_lock);
    return found;
}

int mount_set_unbindable(const struct path *path, bool recursive, bool unbindable)
{
    struct mount *mount;
    int error = -EINVAL;
    mutex_lock(&mount_lock);
    if (path->mount->attached && path->dentry == path->mount->root) {
        TAILQ_FOREACH (mount, &mounts, link) {
            if (mount == path->mount || (recursive && mount_is_below(mount, path->mount))) {
                mount->unbindable = unbindable;
            }
        }
        error = 0;
    }
    mutex_unlock(&mount_lock);
    return error;
}

void mount_lock_all(void)
{
    struct mount *mount;
    mutex_lock(&mount_lock);
    TAILQ_FOREACH (mount, &mounts, link) {
        mount->locked = mount->parent != NULL;
        mount->flags_locked = true;
    }
    mutex_unlock(&mount_lock);
}
