/* fs_context.c: root, working directory and umask of a task. */
#include "sentry/vfs/fs_context.h"

#include <stdlib.h>

#include "sentry/vfs/mount.h"

static struct fs_context *context_new(const struct path *root, const struct path *cwd,
                                      uint32_t umask)
{
    struct fs_context *fs = calloc(1, sizeof(*fs));
    if (!fs) {
        return NULL;
    }
    refcount_init(&fs->ref);
    mutex_init(&fs->lock, RANK_FS_CONTEXT);
    fs->root = *root;
    fs->cwd = *cwd;
    fs->umask = umask & 0777;
    path_ref(root);
    path_ref(cwd);
    return fs;
}

struct fs_context *fs_context_new(const struct path *root, const struct path *cwd, uint32_t umask)
{
    struct fs_context *fs = context_new(root, cwd, umask);
    if (fs && root->mount) {
        fs->ns = mount_get_namespace(root->mount);
    }
    return fs;
}

struct fs_context *fs_context_copy(struct fs_context *fs)
{
    mutex_lock(&fs->lock);
    struct fs_context *copy = context_new(&fs->root, &fs->cwd, fs->umask);
    if (copy) {
        copy->ns = mount_namespace_ref(fs->ns);
    }
    mutex_unlock(&fs->lock);
    return copy;
}

struct fs_context *fs_context_ref(struct fs_context *fs)
{
    refcount_get(&fs->ref);
    return fs;
}

struct fs_context *fs_context_unref(struct fs_context *fs)
{
    if (fs && refcount_put(&fs->ref)) {
        path_unref(&fs->root);
        path_unref(&fs->cwd);
        mount_namespace_unref(fs->ns);
        mutex_fini(&fs->lock);
        free(fs);
    }
    return NULL;
}

static void get(struct fs_context *fs, const struct path *field, struct path *ret)
{
    mutex_lock(&fs->lock);
    *ret = *field;
    path_ref(ret);
    mutex_unlock(&fs->lock);
}

static void set(struct fs_context *fs, struct path *field, const struct path *value)
{
    path_ref(value);
    mutex_lock(&fs->lock);
    struct path old = *field;
    *field = *value;
    mutex_unlock(&fs->lock);
    path_unref(&old);
}

void fs_context_get_root(struct fs_context *fs, struct path *ret_root)
{
    get(fs, &fs->root, ret_root);
}

void fs_context_get_cwd(struct fs_context *fs, struct path *ret_cwd)
{
    get(fs, &fs->cwd, ret_cwd);
}

void fs_context_set_root(struct fs_context *fs, const struct path *root)
{
    set(fs, &fs->root, root);
}

void fs_context_set_cwd(struct fs_context *fs, const struct path *cwd)
{
    set(fs, &fs->cwd, cwd);
}

uint32_t fs_context_umask(struct fs_context *fs)
{
    mutex_lock(&fs->lock);
    uint32_t mask = fs->umask;
    mutex_unlock(&fs->lock);
    return mask;
}

uint32_t fs_context_set_umask(struct fs_context *fs, uint32_t mask)
{
    mutex_lock(&fs->lock);
    uint32_t old = fs->umask;
    fs->umask = mask & 0777;
    mutex_unlock(&fs->lock);
    return old;
}

uint64_t fs_context_namespace(struct fs_context *fs)
{
    mutex_lock(&fs->lock);
    uint64_t id = fs->ns ? fs->ns->id : 0;
    mutex_unlock(&fs->lock);
    return id;
}

void fs_context_enter(struct fs_context *fs, struct mount_namespace *ns)
{
    struct path root;
    mount_namespace_root(ns, &root);
    fs_context_set_root(fs, &root);
    fs_context_set_cwd(fs, &root);
    mutex_lock(&fs->lock);
    struct mount_namespace *old = fs->ns;
    fs->ns = ns;
    mutex_unlock(&fs->lock);
    path_unref(&root);
    mount_namespace_unref(old);
}

static bool replace(struct path *path, const struct path *old, const struct path *new_root)
{
    if (path->mount != old->mount || path->dentry != old->dentry) {
        return false;
    }
    *path = *new_root;
    path_ref(path);
    return true;
}

void fs_context_pivot(struct fs_context *fs, const struct path *old, const struct path *new_root)
{
    mutex_lock(&fs->lock);
    int replaced = replace(&fs->root, old, new_root) + replace(&fs->cwd, old, new_root);
    mutex_unlock(&fs->lock);
    for (; replaced > 0; replaced--) {
        struct path gone = *old;
        path_unref(&gone);
    }
}
