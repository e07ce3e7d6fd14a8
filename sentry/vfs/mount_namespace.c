/* mount_namespace.c: trees of their own, and pivot_root. See mount_tree.h. Linux: fs/namespace.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/core/current.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount_tree.h"

struct mount_namespace *mount_namespace_ref(struct mount_namespace *ns)
{
    if (ns) {
        refcount_get(&ns->ref);
    }
    return ns;
}

struct mount_namespace *mount_namespace_unref(struct mount_namespace *ns)
{
    struct mount_list gone = TAILQ_HEAD_INITIALIZER(gone);
    struct mount *mount, *next;
    if (!ns || !refcount_put(&ns->ref)) {
        return NULL;
    }
    mutex_lock(&mount_lock);
    TAILQ_FOREACH_SAFE (mount, &mounts, link, next) {
        if (mount->ns == ns) {
            mount_detach_locked(mount, &gone);
        }
    }
    TAILQ_REMOVE(&namespaces, ns, link);
    mutex_unlock(&mount_lock);
    mount_drop_detached(&gone);
    free(ns);
    return NULL;
}

/* A copy of an attached mount, unbindable ones too. mount_lock is held. */
static int copy_whole_locked(struct mount *mount, struct mount **ret)
{
    int error =
        mount_new(mount->super, mount->root, mount->source, atomic_load(&mount->flags), ret);
    if (error == 0) {
        super_ref(mount->super);
        (*ret)->locked = mount->locked;
        (*ret)->flags_locked = mount->flags_locked;
        (*ret)->unbindable = mount->unbindable;
        mount->copy = *ret;
    }
    return error;
}

/* Copies what is mounted in `old` below its root, whose copy is made. A mount may stand before its
 * parent in the list, so the list is gone through until nothing is left. mount_lock is held. */
static int copy_tree_locked(const struct mount_namespace *old, int before)
{
    bool again = true;
    int error = 0;
    while (again && error == 0) {
        struct mount *mount, *copy;
        again = false;
        TAILQ_FOREACH (mount, &mounts, link) {
            if (mount->ns != old || mount->id >= before || mount->copy || !mount->parent ||
                !mount->parent->copy) {
                continue;
            }
            error = copy_whole_locked(mount, &copy);
            if (error != 0) {
                break;
            }
            struct path at = {mount->parent->copy, mount->point};
            path_ref(&at);
            mount_attach_at_locked(copy, &at);
            again = true;
        }
    }
    return error;
}

/* A path of the old namespace becomes the same place in the new one; *ret_old is to be dropped. */
static void translate(struct path *path, struct path *ret_old)
{
    if (path->mount && path->mount->copy) {
        *ret_old = (struct path){path->mount, NULL};
        path->mount = mount_ref(path->mount->copy);
    }
}

int mount_namespace_copy(struct fs_context *fs)
{
    struct mount *mount, *root = NULL;
    struct path old_root = {NULL, NULL}, old_cwd = {NULL, NULL};
    struct mount_namespace *old = fs->ns;
    if (!old) {
        return -EINVAL;
    }
    mutex_lock(&mount_lock);
    int before = atomic_load(&mount_next_id);
    TAILQ_FOREACH (mount, &mounts, link) {
        mount->copy = NULL;
    }
    struct mount_namespace *ns = mount_namespace_new_locked();
    int error = ns ? copy_whole_locked(old->root, &root) : -ENOMEM;
    if (error == 0) {
        root->attached = true;
        TAILQ_INSERT_TAIL(&mounts, root, link);
        mount_set_root_locked(ns, root);
        error = copy_tree_locked(old, before);
    }
    if (error == 0) {
        mutex_lock(&fs->lock);
        translate(&fs->root, &old_root);
        translate(&fs->cwd, &old_cwd);
        fs->ns = ns;
        mutex_unlock(&fs->lock);
    }
    mutex_unlock(&mount_lock);
    mount_unref(old_root.mount);
    mount_unref(old_cwd.mount);
    mount_namespace_unref(error == 0 ? old : ns);
    return error;
}

struct mount_namespace *mount_namespace_find(uint64_t id)
{
    struct mount_namespace *ns;
    mutex_lock(&mount_lock);
    TAILQ_FOREACH (ns, &namespaces, link) {
        if (ns->id == id) {
            break;
        }
    }
    /* One whose last user is leaving cannot be had any more. */
    bool alive = ns && refcount_get_unless_zero(&ns->ref);
    mutex_unlock(&mount_lock);
    return alive ? ns : NULL;
}

struct mount_namespace *mount_get_namespace(struct mount *mount)
{
    mutex_lock(&mount_lock);
    struct mount_namespace *ns = mount_namespace_ref(mount->ns);
    mutex_unlock(&mount_lock);
    return ns;
}

void mount_namespace_root(struct mount_namespace *ns, struct path *ret)
{
    mutex_lock(&dentry_lock);
    *ret = (struct path){mount_ref(ns->root), dentry_ref(ns->root->root)};
    mutex_unlock(&dentry_lock);
    mount_follow(ret);
}

static int check_pivot_locked(const struct path *root, const struct path *new_root,
                              const struct path *put_old)
{
    const struct mount *mount = new_root->mount;
    if (mount == root->mount || put_old->mount == root->mount) {
        return -EBUSY;
    }
    if (!mount_is_ours(mount) || !mount_is_ours(root->mount) || !mount_is_ours(put_old->mount) ||
        mount->locked || root->dentry != root->mount->root || new_root->dentry != mount->root ||
        !mount->parent) {
        return -EINVAL;
    }
    if (!mount_is_below(put_old->mount, mount) || !mount_is_below(mount, root->mount)) {
        return -EINVAL;
    }
    return dentry_is_deleted(new_root->dentry) || dentry_is_deleted(put_old->dentry) ? -ENOENT : 0;
}

int mount_pivot(const struct path *root, const struct path *new_root, const struct path *put_old)
{
    struct mount *old = root->mount, *mount = new_root->mount;
    struct path dropped = {NULL, NULL};
    mutex_lock(&mount_lock);
    int error = check_pivot_locked(root, new_root, put_old);
    if (error == 0) {
        struct path at = *put_old, place;
        path_ref(&at);
        mutex_lock(&dentry_lock);
        mount_unhook_locked(mount, &dropped);
        mount->parent = NULL;
        mount->point = NULL;
        mutex_unlock(&dentry_lock);
        if (old->parent) { /* the new root goes where the old one was */
            mount_move_locked(old, &at, &place);
            mount_move_in_locked(mount, &place);
        } else {
            mount_move_in_locked(old, &at);
            mount_set_root_locked(old->ns, mount);
        }
    }
    mutex_unlock(&mount_lock);
    path_unref(&dropped);
    return error;
}
