/* fs_context.c: root, working directory and umask of a task. */
#include "sentry/vfs/fs_context.h"

#include <stdlib.h>

struct fs_context *fs_context_new(const struct path *root, const struct path *cwd, uint32_t umask)
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

struct fs_context *fs_context_copy(struct fs_context *fs)
{
    mutex_lock(&fs->lock);
    struct fs_context *copy = fs_context_new(&fs->root, &fs->cwd, fs->umask);
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
