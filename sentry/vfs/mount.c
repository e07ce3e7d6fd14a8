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
#include "sentry/vfs/inode.h"

#define BUCKETS 256

TAILQ_HEAD(mount_list, mount);

static struct mutex mount_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_MOUNT};
static atomic_int next_id = 20;
/* under mount_lock */
static struct mount_list mounts = TAILQ_HEAD_INITIALIZER(mounts);
/* under dentry_lock */
static struct mount *points[BUCKETS];
static struct mount *root_mount; /* reference is the list's */

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
    }
    return NULL;
}

/* A detached mount; takes a reference of super, borrows root. */
static int mount_new(struct super *super, struct dentry *root, const char *source, unsigned flags,
                     struct mount **ret)
{
    struct mount *mount = calloc(1, sizeof(*mount));
    char *copy = strdup(source ? source : "none");
    if (!mount || !copy) {
        free(mount);
        free(copy);
        return -ENOMEM;
    }
    refcount_init(&mount->ref);
    mount->super = super;
    mount->root = dentry_ref(root);
    atomic_init(&mount->flags, flags);
    mount->source = copy;
    mount->id = atomic_fetch_add(&next_id, 1);
    atomic_fetch_add(&super->mounts, 1);
    *ret = mount;
    return 0;
}

static int make_root_dentry(struct super *super)
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

int mount_root(struct super *super, const char *source, unsigned flags, struct path *ret_path)
{
    struct mount *mount;
    mutex_lock(&mount_lock);
    int error = root_mount ? -EBUSY : make_root_dentry(super);
    if (error == 0) {
        error = mount_new(super, super->root_dentry, source, flags, &mount);
    }
    if (error == 0) {
        mount->attached = true;
        TAILQ_INSERT_TAIL(&mounts, mount, link);
        mutex_lock(&dentry_lock);
        root_mount = mount;
        mutex_unlock(&dentry_lock);
        *ret_path = (struct path){mount_ref(mount), dentry_ref(mount->root)};
    }
    mutex_unlock(&mount_lock);
    return error;
}

/* Gives mount its place; takes the reference of the list and those of at. mount_lock is held. */
static void attach_at_locked(struct mount *mount, const struct path *at)
{
    mount->attached = true;
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
static int check_point(const struct mount *mount, const struct path *at)
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
    return at->mount->attached ? 0 : -EINVAL;
}

/* Attaches mount at the topmost object of point. mount_lock is held; takes the reference. */
static int attach(struct mount *mount, const struct path *point)
{
    struct path at = *point;
    path_ref(&at);
    mount_follow(&at);
    int error = check_point(mount, &at);
    if (error != 0) {
        path_unref(&at);
        return error;
    }
    attach_at_locked(mount, &at);
    return 0;
}

int mount_add(struct super *super, const char *source, unsigned flags, const struct path *point)
{
    struct mount *mount = NULL;
    mutex_lock(&mount_lock);
    int error = make_root_dentry(super);
    if (error == 0) {
        error = mount_new(super, super->root_dentry, source, flags, &mount);
    }
    if (error == 0) {
        super_ref(super); /* the caller's is given back when attaching fails */
        error = attach(mount, point);
        super_unref(super);
    }
    mutex_unlock(&mount_lock);
    if (error != 0 && mount) {
        dentry_unref(mount->root);
        atomic_fetch_sub(&super->mounts, 1);
        free(mount->source);
        free(mount);
    }
    return error;
}

static bool is_below(const struct mount *mount, const struct mount *ancestor)
{
    while (mount && mount != ancestor) {
        mount = mount->parent;
    }
    return mount != NULL;
}

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
        (*ret)->locked = false;
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
            attach_at_locked(copy, &at);
            mount->copy = copy;
        }
    }
    return error;
}

int mount_bind(const struct path *from, unsigned flags, bool recursive, const struct path *point)
{
    struct mount *mount = NULL;
    mutex_lock(&mount_lock);
    int before = atomic_load(&next_id);
    int error = from->mount->attached ? clone_locked(from, flags, &mount) : -EINVAL;
    if (error == 0) {
        error = attach(mount, point);
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
    int error = make_root_dentry(super);
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
    if (from->mount->attached && !(recursive && has_mounts_below_locked(from))) {
        error = clone_locked(from, atomic_load(&from->mount->flags), &mount);
    }
    mutex_unlock(&mount_lock);
    if (error == 0) {
        *ret_path = (struct path){mount, dentry_ref(mount->root)};
    }
    return error;
}

/* Takes an attached mount off its place; its parent and point in *ret_at. Both locks are held. */
static void unhook_locked(struct mount *mount, struct path *ret_at) REQUIRES(dentry_lock)
{
    struct mount **link = &points[point_hash(mount->parent, mount->point)];
    while (*link != mount) {
        link = &(*link)->hash_next;
    }
    *link = mount->hash_next;
    atomic_fetch_sub(&mount->point->mounted, 1);
    *ret_at = (struct path){mount->parent, mount->point};
}

/* Moves an attached mount to at, whose references it takes; the old place's in *ret_old. */
static void move_locked(struct mount *mount, const struct path *at, struct path *ret_old)
{
    mutex_lock(&dentry_lock);
    unhook_locked(mount, ret_old);
    mount->parent = at->mount;
    mount->point = at->dentry;
    struct mount **bucket = &points[point_hash(at->mount, at->dentry)];
    mount->hash_next = *bucket;
    *bucket = mount;
    atomic_fetch_add(&at->dentry->mounted, 1);
    mutex_unlock(&dentry_lock);
}

/* May mount go where at says? mount_lock is held. */
static int check_move_locked(const struct path *from, const struct path *at, bool beneath)
{
    const struct mount *mount = from->mount;
    if (from->dentry != mount->root || mount->locked || (mount->attached && !mount->parent) ||
        (!mount->attached && mount->parent)) {
        return -EINVAL;
    }
    if (beneath && (at->dentry != at->mount->root || !at->mount->parent || at->mount->locked)) {
        return -EINVAL;
    }
    int error = check_point(mount, at);
    return error == 0 && is_below(at->mount, mount) ? -ELOOP : error;
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
        move_locked(top, &below, &at);
        mount_unref(top);
    }
    if (error == 0 && mount->attached) {
        move_locked(mount, &at, &old);
    } else if (error == 0) {
        attach_at_locked(mount_ref(mount), &at);
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
    return mount->locked && (atomic_load(&mount->flags) & kept & ~flags) != 0;
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
            if (mount != path->mount && !(recursive && is_below(mount, path->mount))) {
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
        if (mount_unique_id(mount) == unique_id) {
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
            if (mount == path->mount || (recursive && is_below(mount, path->mount))) {
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
        mount->locked = true;
    }
    mutex_unlock(&mount_lock);
}

/* Takes mount out of the tree and moves it to gone. mount_lock is held. */
static void detach_locked(struct mount *mount, struct mount_list *gone)
{
    struct path at;
    mutex_lock(&dentry_lock);
    if (mount->parent) {
        unhook_locked(mount, &at);
    }
    mutex_unlock(&dentry_lock);
    mount->attached = false;
    TAILQ_REMOVE(&mounts, mount, link);
    TAILQ_INSERT_TAIL(gone, mount, link);
}

/* Drops the references that detached mounts held; no lock is held. */
static void drop_detached(struct mount_list *gone)
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
    if (!target->attached || path->dentry != target->root || target->locked) {
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
            if (is_below(mount, target)) {
                detach_locked(mount, &gone);
            }
        }
    }
    mutex_unlock(&mount_lock);
    drop_detached(&gone);
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
        detach_locked(mount, &gone);
    }
    mutex_lock(&dentry_lock);
    root_mount = NULL;
    mutex_unlock(&dentry_lock);
    mutex_unlock(&mount_lock);
    drop_detached(&gone);
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
