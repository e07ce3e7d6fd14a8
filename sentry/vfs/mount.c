/*
 * mount.c: the mount tree. Changes are made under mount_lock and, for what the path walk reads
 * (parent, point, the table of mount points), under the name cache's lock too. Linux:
 * fs/namespace.c.
 */
#include "sentry/vfs/mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/lock.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount_tree.h"

#define BUCKETS    256
#define MOUNTS_MAX 100000 /* /proc/sys/fs/mount-max; here of all namespaces together */

struct mutex mount_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_MOUNT};
atomic_int mount_next_id = 20;
static atomic_uint mount_count;
/* under mount_lock */
struct mount_list mounts = TAILQ_HEAD_INITIALIZER(mounts);
struct namespace_list namespaces = TAILQ_HEAD_INITIALIZER(namespaces);
static uint64_t next_namespace = 1;
/* under dentry_lock */
static struct mount *points[BUCKETS];
static struct mount *root_mount; /* of the first namespace; the reference is the list's */

static size_t point_hash(const struct mount *parent, const struct dentry *point)
{
    uint64_t h = ((uintptr_t)parent >> 4) * 31 + ((uintptr_t)point >> 4);
    return (h ^ h >> 8) % BUCKETS;
}

struct mount *mount_ref(struct mount *mount)
{
    refcount_get(&mount->ref);
    return mount;
}

/* The last mount of a super is gone: what is cached of it goes, and its root. */
static void super_unmounted(struct super *super)
{
    struct dentry *root_dentry = super->root_dentry;
    struct inode *root = super->root;
    dentry_shrink(super);
    super->root_dentry = NULL;
    super->root = NULL;
    dentry_unref(root_dentry);
    inode_unref(root);
}

struct mount *mount_unref(struct mount *mount)
{
    if (mount && refcount_put(&mount->ref)) {
        struct super *super = mount->super;
        dentry_unref(mount->root);
        if (atomic_fetch_sub(&super->mounts, 1) == 1) {
            super_unmounted(super);
        }
        super_unref(super);
        free(mount->source);
        free(mount);
        atomic_fetch_sub(&mount_count, 1);
    }
    return NULL;
}

/* A detached mount; takes a reference of super, borrows root. */
int mount_new(struct super *super, struct dentry *root, const char *source, unsigned flags,
              struct mount **ret)
{
    if (atomic_fetch_add(&mount_count, 1) >= MOUNTS_MAX) {
        atomic_fetch_sub(&mount_count, 1);
        return -ENOSPC;
    }
    struct mount *mount = calloc(1, sizeof(*mount));
    char *copy = strdup(source ? source : "none");
    if (!mount || !copy) {
        free(mount);
        free(copy);
        atomic_fetch_sub(&mount_count, 1);
        return -ENOMEM;
    }
    refcount_init(&mount->ref);
    mount->super = super;
    mount->root = dentry_ref(root);
    atomic_init(&mount->flags, flags);
    mount->source = copy;
    mount->id = atomic_fetch_add(&mount_next_id, 1);
    atomic_fetch_add(&super->mounts, 1);
    *ret = mount;
    return 0;
}

int mount_make_root_dentry(struct super *super)
{
    if (!super->root_dentry) {
        super->root_dentry = dentry_new(NULL, "", 0, super->root);
    }
    return super->root_dentry ? 0 : -ENOMEM;
}

struct mount *mount_find_locked(struct mount *mount, struct dentry *dentry)
{
    struct mount *m = points[point_hash(mount, dentry)];
    while (m && (m->parent != mount || m->point != dentry)) {
        m = m->hash_next;
    }
    if (m) {
        m->walks++;
    }
    return m;
}

void mount_follow(struct path *path)
{
    struct path old = *path;
    mutex_lock(&dentry_lock);
    while (path->mount && atomic_load(&path->dentry->mounted) > 0) {
        struct mount *upper = mount_find_locked(path->mount, path->dentry);
        if (!upper) {
            break;
        }
        path->mount = upper;
        path->dentry = upper->root;
    }
    bool changed = path->mount != old.mount;
    if (changed) {
        path_ref(path);
    }
    mutex_unlock(&dentry_lock);
    if (changed) {
        path_unref(&old);
    }
}

bool mount_get_root(struct path *ret)
{
    mutex_lock(&dentry_lock);
    struct mount *mount = root_mount;
    if (mount) {
        *ret = (struct path){mount_ref(mount), dentry_ref(mount->root)};
    }
    mutex_unlock(&dentry_lock);
    return mount != NULL;
}

/* An empty namespace in the list: one reference. mount_lock is held. NULL: no memory. */
struct mount_namespace *mount_namespace_new_locked(void)
{
    struct mount_namespace *ns = calloc(1, sizeof(*ns));
    if (ns) {
        refcount_init(&ns->ref);
        ns->id = next_namespace++;
        TAILQ_INSERT_TAIL(&namespaces, ns, link);
    }
    return ns;
}

void mount_set_root_locked(struct mount_namespace *ns, struct mount *mount)
{
    mount->ns = ns;
    mutex_lock(&dentry_lock);
    ns->root = mount;
    if (ns->id == 1) {
        root_mount = mount;
    }
    mutex_unlock(&dentry_lock);
}

int mount_root(struct super *super, const char *source, unsigned flags, struct path *ret_path)
{
    struct mount *mount;
    struct mount_namespace *ns = NULL;
    mutex_lock(&mount_lock);
    int error = root_mount ? -EBUSY : mount_make_root_dentry(super);
    if (error == 0) {
        ns = TAILQ_EMPTY(&namespaces) ? mount_namespace_new_locked() : TAILQ_FIRST(&namespaces);
        error = ns ? mount_new(super, super->root_dentry, source, flags, &mount) : -ENOMEM;
    }
    if (error == 0) {
        mount->attached = true;
        TAILQ_INSERT_TAIL(&mounts, mount, link);
        mount_set_root_locked(ns, mount);
        *ret_path = (struct path){mount_ref(mount), dentry_ref(mount->root)};
    }
    mutex_unlock(&mount_lock);
    return error;
}

/* Is the mount in the tree that the caller sees (Linux: check_mnt)? mount_lock is held. */
bool mount_is_ours(const struct mount *mount)
{
    return mount->attached && (!current.fs || !current.fs->ns || mount->ns == current.fs->ns);
}

/* Gives mount its place; takes the reference of the list and those of at. mount_lock is held. */
void mount_attach_at_locked(struct mount *mount, const struct path *at)
{
    mount->attached = true;
    mount->ns = at->mount->ns;
    TAILQ_INSERT_TAIL(&mounts, mount, link);
    mutex_lock(&dentry_lock);
    mount->parent = at->mount;
    mount->point = at->dentry;
    struct mount **bucket = &points[point_hash(at->mount, at->dentry)];
    mount->hash_next = *bucket;
    *bucket = mount;
    atomic_fetch_add(&at->dentry->mounted, 1);
    mutex_unlock(&dentry_lock);
}

/* May mount stand on at? mount_lock is held. */
int mount_check_point(const struct mount *mount, const struct path *at)
{
    struct inode *inode = path_inode(at);
    struct inode *root = atomic_load(&mount->root->inode);
    if (!inode || dentry_is_deleted(at->dentry)) {
        return -ENOENT;
    }
    if (S_ISLNK(inode_load(inode->mode)) && inode->super->no_new_names) {
        return -ENOENT; /* Linux: the links of /proc stand for other objects */
    }
    if (S_ISDIR(inode_load(inode->mode)) != S_ISDIR(inode_load(root->mode))) {
        return -ENOTDIR;
    }
    return mount_is_ours(at->mount) ? 0 : -EINVAL;
}

/* Attaches mount at the topmost object of point. mount_lock is held; takes the reference. */
int mount_attach_locked(struct mount *mount, const struct path *point)
{
    struct path at = *point;
    path_ref(&at);
    mount_follow(&at);
    int error = mount_check_point(mount, &at);
    if (error != 0) {
        path_unref(&at);
        return error;
    }
    mount_attach_at_locked(mount, &at);
    return 0;
}

int mount_add(struct super *super, const char *source, unsigned flags, const struct path *point)
{
    struct mount *mount = NULL;
    mutex_lock(&mount_lock);
    int error = mount_make_root_dentry(super);
    if (error == 0) {
        error = mount_new(super, super->root_dentry, source, flags, &mount);
    }
    if (error == 0) {
        super_ref(super); /* the caller's is given back when attaching fails */
        error = mount_attach_locked(mount, point);
        super_unref(super);
    }
    mutex_unlock(&mount_lock);
    if (error != 0 && mount) {
        dentry_unref(mount->root);
        atomic_fetch_sub(&super->mounts, 1);
        free(mount->source);
        free(mount);
        atomic_fetch_sub(&mount_count, 1);
    }
    return error;
}

bool mount_is_below(const struct mount *mount, const struct mount *ancestor)
{
    while (mount && mount != ancestor) {
        mount = mount->parent;
    }
    return mount != NULL;
}

/* Takes an attached mount off its place; its parent and point in *ret_at. Both locks are held. */
void mount_unhook_locked(struct mount *mount, struct path *ret_at) REQUIRES(dentry_lock)
{
    struct mount **link = &points[point_hash(mount->parent, mount->point)];
    while (*link != mount) {
        link = &(*link)->hash_next;
    }
    *link = mount->hash_next;
    atomic_fetch_sub(&mount->point->mounted, 1);
    *ret_at = (struct path){mount->parent, mount->point};
}

/* Gives a mount without a place one; takes the references of at. */
void mount_move_in_locked(struct mount *mount, const struct path *at)
{
    mutex_lock(&dentry_lock);
    mount->parent = at->mount;
    mount->point = at->dentry;
    struct mount **bucket = &points[point_hash(at->mount, at->dentry)];
    mount->hash_next = *bucket;
    *bucket = mount;
    atomic_fetch_add(&at->dentry->mounted, 1);
    mutex_unlock(&dentry_lock);
}

/* Moves an attached mount to at, whose references it takes; the old place's in *ret_old. */
void mount_move_locked(struct mount *mount, const struct path *at, struct path *ret_old)
{
    mutex_lock(&dentry_lock);
    mount_unhook_locked(mount, ret_old);
    mutex_unlock(&dentry_lock);
    mount_move_in_locked(mount, at);
}

/* Takes mount out of the tree and moves it to gone. mount_lock is held. */
void mount_detach_locked(struct mount *mount, struct mount_list *gone)
{
    struct path at;
    mutex_lock(&dentry_lock);
    if (mount->parent) {
        mount_unhook_locked(mount, &at);
    }
    mutex_unlock(&dentry_lock);
    mount->attached = false;
    mount->ns = NULL;
    TAILQ_REMOVE(&mounts, mount, link);
    TAILQ_INSERT_TAIL(gone, mount, link);
}

/* Drops the references that detached mounts held; no lock is held. */
void mount_drop_detached(struct mount_list *gone)
{
    struct mount *mount;
    while ((mount = TAILQ_FIRST(gone)) != NULL) {
        TAILQ_REMOVE(gone, mount, link);
        mutex_lock(&dentry_lock);
        struct mount *parent = mount->parent;
        struct dentry *point = mount->point;
        mount->parent = NULL;
        mount->point = NULL;
        mutex_unlock(&dentry_lock);
        dentry_unref(point);
        mount_unref(parent);
        mount_unref(mount);
    }
}

/* Does another mount stand on target? mount_lock is held. */
static bool has_children_locked(const struct mount *target)
{
    const struct mount *mount;
    TAILQ_FOREACH (mount, &mounts, link) {
        if (mount->parent == target) {
            return true;
        }
    }
    return false;
}

/* MNT_EXPIRE: -EAGAIN unless nobody came by since the last call. mount_lock is held. The walk to
 * the mount itself is one crossing. */
static int check_expired_locked(struct mount *target)
{
    mutex_lock(&dentry_lock);
    bool unused = target->expire_walks != 0 && target->walks == target->expire_walks + 1;
    target->expire_walks = target->walks;
    mutex_unlock(&dentry_lock);
    return unused ? 0 : -EAGAIN;
}

int mount_remove(const struct path *path, enum mount_remove_how how)
{
    struct mount_list gone = TAILQ_HEAD_INITIALIZER(gone);
    struct mount *target = path->mount;
    struct mount *mount, *next;
    int error = 0;
    mutex_lock(&mount_lock);
    if (!mount_is_ours(target) || path->dentry != target->root || target->locked) {
        error = -EINVAL;
    } else if (!target->parent) {
        error = -EBUSY;
    } else if (how != MOUNT_REMOVE_DETACH) {
        /* The tree's reference and the caller's path. */
        bool busy = atomic_load(&target->ref.count) > 2 || has_children_locked(target);
        error = busy ? -EBUSY : how == MOUNT_REMOVE_EXPIRE ? check_expired_locked(target) : 0;
    }
    if (error == 0) {
        TAILQ_FOREACH_SAFE (mount, &mounts, link, next) {
            if (mount_is_below(mount, target)) {
                mount_detach_locked(mount, &gone);
            }
        }
    }
    mutex_unlock(&mount_lock);
    mount_drop_detached(&gone);
    return error;
}

void mount_for_each(void (*fn)(struct mount *mount, void *context), void *context)
{
    struct mount *mount;
    mutex_lock(&mount_lock);
    TAILQ_FOREACH (mount, &mounts, link) {
        fn(mount, context);
    }
    mutex_unlock(&mount_lock);
}

void mount_fini(void)
{
    struct mount_list gone = TAILQ_HEAD_INITIALIZER(gone);
    struct mount *mount;
    mutex_lock(&mount_lock);
    while ((mount = TAILQ_LAST(&mounts, mount_list)) != NULL) {
        mount_detach_locked(mount, &gone);
    }
    mutex_lock(&dentry_lock);
    root_mount = NULL;
    mutex_unlock(&dentry_lock);
    mutex_unlock(&mount_lock);
    mount_drop_detached(&gone);
}

static int make_one(char *prefix, bool directory)
{
    struct path path;
    int error = path_walk(NULL, prefix, WALK_FOLLOW, &path);
    if (error == 0) {
        path_unref(&path);
        return 0;
    }
    if (error != -ENOENT) {
        return error;
    }
    error = directory ? vfs_mkdir(NULL, prefix, 0755) : vfs_mknod(NULL, prefix, S_IFREG | 0644, 0);
    return error == -EEXIST ? 0 : error;
}

int mount_make_point(const char *text, bool directory)
{
    char prefix[PATH_MAX_LENGTH];
    size_t length = strnlen(text, sizeof(prefix));
    if (length == 0 || length >= sizeof(prefix) || text[0] != '/') {
        return -EINVAL;
    }
    const struct cred *cred = current.cred;
    current.cred = &cred_boot;
    memcpy(prefix, text, length + 1);
    int error = 0;
    for (size_t i = 1; i < length && error == 0; i++) {
        if (prefix[i] == '/' && prefix[i - 1] != '/') {
            prefix[i] = '\0';
            error = make_one(prefix, true);
            prefix[i] = '/';
        }
    }
    if (error == 0 && prefix[length - 1] != '/') {
        error = make_one(prefix, directory);
    }
    current.cred = cred;
    return error;
}
