/*
 * path_walk.c: from a path text to an object.
 *
 * Runs of cached components are walked under one hold of the name cache's lock without taking
 * references (walk_cached); everything else goes component by component (walk_step). No lock is
 * held across components of the slow way. Linux: fs/namei.c, path_resolution(7), openat2(2).
 */
#include "sentry/vfs/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/text.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/walk.h"

void path_ref(const struct path *path)
{
    if (path->mount) {
        mount_ref(path->mount);
    }
    if (path->dentry) {
        dentry_ref(path->dentry);
    }
}

void path_unref(struct path *path)
{
    if (!path) {
        return;
    }
    dentry_unref(path->dentry);
    mount_unref(path->mount);
    *path = (struct path){NULL, NULL};
}

struct inode *path_inode(const struct path *path)
{
    return path->dentry ? atomic_load(&path->dentry->inode) : NULL;
}

/* Replaces *path, taking the references of by. */
static void path_replace(struct path *path, struct path by)
{
    struct path old = *path;
    *path = by;
    path_unref(&old);
}

static size_t component_length(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0' && text[length] != '/') {
        length++;
    }
    return length;
}

static bool is_dot(const char *name, size_t length)
{
    return length == 1 && name[0] == '.';
}

static bool is_dotdot(const char *name, size_t length)
{
    return length == 2 && name[0] == '.' && name[1] == '.';
}

int walker_init(struct walker *w, const struct path *start, const char *text, unsigned flags)
{
    memset(w, 0, sizeof(*w));
    w->flags = flags;
    w->rest = text;
    if (text[0] == '\0' && (flags & WALK_EMPTY) == 0) {
        return -ENOENT;
    }
    if (strnlen(text, PATH_MAX_LENGTH) >= PATH_MAX_LENGTH) {
        return -ENAMETOOLONG;
    }
    if (text[0] == '/' && (flags & WALK_BENEATH) != 0) {
        return -EXDEV;
    }
    struct fs_context *fs = current.fs;
    bool scoped = (flags & (WALK_BENEATH | WALK_IN_ROOT)) != 0;
    if (!scoped) {
        if (fs) {
            fs_context_get_root(fs, &w->root);
        } else if (!mount_get_root(&w->root)) {
            return -ENOENT;
        }
        if (text[0] == '/') {
            w->at = w->root;
            path_ref(&w->at);
            return 0;
        }
    }
    if (start) {
        w->at = *start;
        path_ref(&w->at);
    } else if (fs) {
        fs_context_get_cwd(fs, &w->at);
    } else if (!mount_get_root(&w->at)) {
        return -ENOENT;
    }
    if (scoped) {
        w->root = w->at; /* and "/" is where the walk starts */
        path_ref(&w->root);
    }
    return 0;
}

void walker_fini(struct walker *w)
{
    path_unref(&w->at);
    path_unref(&w->root);
    free(w->buffer);
    w->buffer = NULL;
}

/* May names be looked up in inode? */
static int check_search(struct inode *inode)
{
    if (!inode) {
        return -ENOENT;
    }
    if (!S_ISDIR(inode_load(inode->mode))) {
        return -ENOTDIR;
    }
    return inode_permission(inode, 1);
}

/* check_search for those that can be answered without calling a file system. */
static bool search_is_plain(const struct inode *inode)
{
    uint32_t mode = inode_load(inode->mode);
    return S_ISDIR(mode) && !inode->ops->permission &&
           cred_permission(current.cred, mode, inode_load(inode->uid), inode_load(inode->gid), 1) ==
               0;
}

/*
 * Walks as many components as the cache answers, never the last one. The references of w->at are
 * exchanged once, at the end.
 */
static void walk_cached(struct walker *w)
{
    bool cross = (w->flags & WALK_NO_XDEV) == 0;
    struct mount *mount = w->at.mount;
    struct dentry *dentry = w->at.dentry;
    const char *rest = w->rest;
    mutex_lock(&dentry_lock);
    for (;;) {
        size_t length = component_length(rest);
        const char *next = rest + length;
        while (*next == '/') {
            next++;
        }
        struct inode *dir = atomic_load_explicit(&dentry->inode, memory_order_relaxed);
        if (*next == '\0' || !dir || is_dotdot(rest, length) || !search_is_plain(dir)) {
            break;
        }
        if (is_dot(rest, length)) {
            rest = next;
            continue;
        }
        if (dir->ops->revalidate && !dentry->super->cache_forever) {
            break;
        }
        struct dentry *child = dentry_find_locked(dentry, rest, length);
        struct mount *child_mount = mount;
        while (child && atomic_load_explicit(&child->mounted, memory_order_relaxed) > 0) {
            struct mount *upper = mount_find_locked(child_mount, child);
            if (!upper) {
                break;
            }
            child_mount = upper;
            child = upper->root;
        }
        struct inode *inode =
            child ? atomic_load_explicit(&child->inode, memory_order_relaxed) : NULL;
        if (!inode || !S_ISDIR(inode_load(inode->mode)) || (child_mount != mount && !cross)) {
            break;
        }
        mount = child_mount;
        dentry = child;
        rest = next;
    }
    struct path old = w->at;
    if (dentry != old.dentry) {
        dentry_ref_locked(dentry);
        w->at.dentry = dentry;
    }
    if (mount != old.mount) {
        w->at.mount = mount_ref(mount);
    }
    mutex_unlock(&dentry_lock);
    w->rest = rest;
    if (w->at.dentry != old.dentry) {
        dentry_unref(old.dentry);
    }
    if (w->at.mount != old.mount) {
        mount_unref(old.mount);
    }
}

/* "..": the parent of at, across mounts, never above the walk's root. */
static int walk_up(struct walker *w)
{
    struct mount *mount = w->at.mount;
    struct dentry *dentry = w->at.dentry;
    int error = 0;
    mutex_lock(&dentry_lock);
    for (;;) {
        if (mount == w->root.mount && dentry == w->root.dentry) {
            error = (w->flags & WALK_BENEATH) != 0 ? -EXDEV : 0;
            break;
        }
        if (mount && dentry == mount->root) {
            if (!mount->parent) {
                break;
            }
            if ((w->flags & WALK_NO_XDEV) != 0) {
                error = -EXDEV;
                break;
            }
            dentry = mount->point;
            mount = mount->parent;
            continue;
        }
        if (dentry->parent) {
            dentry = dentry->parent;
        }
        break;
    }
    if (error == 0) {
        struct mount *upper;
        while (atomic_load(&dentry->mounted) > 0 &&
               (mount != w->at.mount || dentry != w->at.dentry) &&
               (upper = mount_find_locked(mount, dentry)) != NULL) {
            mount = upper;
            dentry = upper->root;
        }
        if (mount) {
            mount_ref(mount);
        }
        dentry_ref_locked(dentry);
    }
    mutex_unlock(&dentry_lock);
    if (error == 0) {
        path_replace(&w->at, (struct path){mount, dentry});
    }
    return error;
}

/* One name below at; *ret gets references; the dentry may be negative. */
static int walk_name(struct walker *w, const char *name, size_t length, struct path *ret)
{
    struct dentry *dentry;
    int error = dentry_lookup(w->at.dentry, name, length, false, &dentry);
    if (error != 0) {
        return error;
    }
    struct path path = {w->at.mount ? mount_ref(w->at.mount) : NULL, dentry};
    if (atomic_load(&dentry->mounted) > 0) {
        mount_follow(&path);
        if (path.mount != w->at.mount && (w->flags & WALK_NO_XDEV) != 0) {
            path_unref(&path);
            return -EXDEV;
        }
    }
    *ret = path;
    return 0;
}

/* Puts the link's target in front of what is still to walk. */
static int push_target(struct walker *w, const char *target, const char *rest)
{
    size_t target_length = strlen(target), rest_length = strlen(rest);
    if (target_length == 0) {
        return -ENOENT;
    }
    if (target_length >= PATH_MAX_LENGTH) {
        return -ENAMETOOLONG;
    }
    char *buffer = malloc(target_length + rest_length + 2);
    if (!buffer) {
        return -ENOMEM;
    }
    memcpy(buffer, target, target_length);
    buffer[target_length] = '/';
    memcpy(buffer + target_length + (rest_length > 0), rest, rest_length + 1);
    free(w->buffer);
    w->buffer = buffer;
    w->rest = buffer;
    if (target[0] != '/') {
        return 0;
    }
    if ((w->flags & WALK_BENEATH) != 0 ||
        ((w->flags & WALK_NO_XDEV) != 0 && w->at.mount != w->root.mount)) {
        return -EXDEV;
    }
    path_ref(&w->root);
    path_replace(&w->at, w->root);
    return 0;
}

/* Follows link, which stands in w->at; rest is what comes after it ("" at the end). */
static int follow_link(struct walker *w, const struct path *link, const char *rest)
{
    struct inode *inode = path_inode(link);
    if (++w->links > PATH_MAX_LINKS || (w->flags & WALK_NO_SYMLINKS) != 0) {
        return -ELOOP;
    }
    if (inode->ops->follow) {
        if ((w->flags & WALK_NO_MAGICLINKS) != 0) {
            return -ELOOP;
        }
        struct path target;
        int error = inode_follow(inode, &target);
        if (error != 0) {
            return error;
        }
        if ((w->flags & (WALK_BENEATH | WALK_IN_ROOT)) != 0 ||
            ((w->flags & WALK_NO_XDEV) != 0 && target.mount != w->at.mount)) {
            path_unref(&target);
            return -EXDEV;
        }
        path_replace(&w->at, target);
        w->rest = rest;
        w->type = WALK_LAST_NONE;
        return 0;
    }
    if (link->mount && (atomic_load(&link->mount->flags) & MOUNT_NO_SYMFOLLOW) != 0) {
        return -ELOOP;
    }
    if (!mount_is_read_only(link->mount)) {
        inode_accessed(inode, false);
    }
    auto_text struct text target = TEXT_INIT;
    int error = inode_readlink(inode, &target);
    if (error == 0 && target.failed) {
        error = -ENOMEM;
    }
    if (error == 0) {
        error = push_target(w, text_string(&target), rest);
    }
    return error;
}

/* One component that is not the last. next is what comes after it. */
static int walk_step(struct walker *w, const char *name, size_t length, const char *next)
{
    if (is_dot(name, length)) {
        w->rest = next;
        return 0;
    }
    if (is_dotdot(name, length)) {
        w->rest = next;
        return walk_up(w);
    }
    struct path path;
    int error = walk_name(w, name, length, &path);
    if (error != 0) {
        return error;
    }
    struct inode *inode = path_inode(&path);
    if (!inode) {
        path_unref(&path);
        return -ENOENT;
    }
    if (S_ISLNK(inode_load(inode->mode))) {
        error = follow_link(w, &path, next);
        path_unref(&path);
        return error;
    }
    w->rest = next;
    path_replace(&w->at, path);
    return S_ISDIR(inode_load(inode->mode)) ? 0 : -ENOTDIR;
}

int walker_to_last(struct walker *w)
{
    bool any = false;
    for (;;) {
        while (*w->rest == '/') {
            w->rest++;
            any = true;
        }
        if (*w->rest == '\0') {
            w->type = any ? WALK_LAST_ROOT : WALK_LAST_NONE;
            w->trailing = any;
            return 0;
        }
        walk_cached(w);
        int error = check_search(path_inode(&w->at));
        if (error != 0) {
            return error;
        }
        const char *name = w->rest;
        size_t length = component_length(name);
        const char *next = name + length;
        while (*next == '/') {
            next++;
        }
        if (*next != '\0') {
            error = walk_step(w, name, length, next);
            if (error != 0) {
                return error;
            }
            any = false;
            continue;
        }
        w->last = name;
        w->last_length = length;
        w->trailing = next != name + length;
        w->type = is_dot(name, length)      ? WALK_LAST_DOT
                  : is_dotdot(name, length) ? WALK_LAST_DOTDOT
                                            : WALK_LAST_NORMAL;
        return 0;
    }
}

int walker_last(struct walker *w, struct path *ret)
{
    if (w->type == WALK_LAST_NORMAL) {
        return walk_name(w, w->last, w->last_length, ret);
    }
    if (w->type == WALK_LAST_DOTDOT) {
        int error = walk_up(w);
        if (error != 0) {
            return error;
        }
    }
    *ret = w->at;
    path_ref(ret);
    return 0;
}

int walker_follow(struct walker *w, const struct path *link)
{
    return follow_link(w, link, w->trailing ? "/" : "");
}

int path_walk(const struct path *start, const char *text, unsigned flags, struct path *ret)
{
    struct walker w;
    struct path path = {NULL, NULL};
    int error = walker_init(&w, start, text, flags);
    bool directory = (flags & WALK_DIRECTORY) != 0;
    while (error == 0) {
        error = walker_to_last(&w);
        if (error == 0) {
            error = walker_last(&w, &path);
        }
        if (error != 0) {
            break;
        }
        struct inode *inode = path_inode(&path);
        directory |= w.trailing;
        if (inode && S_ISLNK(inode_load(inode->mode)) && w.type == WALK_LAST_NORMAL &&
            ((flags & WALK_FOLLOW) != 0 || w.trailing)) {
            error = walker_follow(&w, &path);
            path_unref(&path);
            continue;
        }
        if (!inode && ((flags & WALK_CREATE) == 0 || w.type != WALK_LAST_NORMAL)) {
            error = -ENOENT;
        } else if (inode && directory && !S_ISDIR(inode_load(inode->mode))) {
            error = -ENOTDIR;
        }
        break;
    }
    walker_fini(&w);
    if (error != 0) {
        path_unref(&path);
        return error;
    }
    *ret = path;
    return 0;
}

int walk_parent(const struct path *start, const char *text, unsigned flags, struct path *ret_parent,
                char *ret_name, bool *ret_trailing_slash)
{
    struct walker w;
    int error = walker_init(&w, start, text, flags & ~(unsigned)WALK_EMPTY);
    if (error == 0) {
        error = walker_to_last(&w);
    }
    if (error == 0) {
        size_t length = w.type <= WALK_LAST_DOTDOT ? w.last_length : 0;
        length = min_of(length, (size_t)NAME_MAX_LENGTH + 1);
        memcpy(ret_name, w.last ? w.last : "", length);
        ret_name[length] = '\0';
        *ret_trailing_slash = w.trailing;
        *ret_parent = w.at;
        path_ref(ret_parent);
    }
    walker_fini(&w);
    return error;
}

int path_walk_parent(const struct path *start, const char *text, unsigned flags,
                     struct path *ret_parent, char *ret_name, bool *ret_trailing_slash)
{
    char name[NAME_MAX_LENGTH + 2];
    int error = walk_parent(start, text, flags, ret_parent, name, ret_trailing_slash);
    if (error == 0 && strlen(name) > NAME_MAX_LENGTH) {
        path_unref(ret_parent);
        error = -ENAMETOOLONG;
    }
    if (error == 0) {
        strcpy(ret_name, name);
    }
    return error;
}
