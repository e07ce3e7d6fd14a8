/*
 * path_text.c: the path of an object, built backwards from it to the root under the name cache's
 * lock, which also keeps the mount tree still. Linux: fs/d_path.c.
 */
#include <errno.h>
#include <string.h>

#include "platform/base/text.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/path.h"

/* A buffer filled from its end. */
struct backwards {
    char data[PATH_MAX_LENGTH];
    size_t start; /* of what is filled */
};

static bool prepend(struct backwards *b, const char *bytes, size_t length)
{
    if (length > b->start) {
        return false;
    }
    b->start -= length;
    memcpy(b->data + b->start, bytes, length);
    return true;
}

enum end { END_ROOT, END_DETACHED, END_TOO_LONG };

static enum end collect_locked(struct backwards *b, const struct path *path,
                               const struct path *root) REQUIRES(dentry_lock)
{
    struct mount *mount = path->mount;
    struct dentry *dentry = path->dentry;
    for (;;) {
        if (root && mount == root->mount && dentry == root->dentry) {
            return END_ROOT;
        }
        if (mount && dentry == mount->root) {
            if (!mount->parent) {
                /* Above the caller's root, or unmounted. */
                return root && root->dentry ? END_DETACHED : END_ROOT;
            }
            dentry = mount->point;
            mount = mount->parent;
            continue;
        }
        if (!dentry->parent) {
            return END_DETACHED;
        }
        if (!prepend(b, dentry->name, dentry->length) || !prepend(b, "/", 1)) {
            return END_TOO_LONG;
        }
        dentry = dentry->parent;
    }
}

int path_text(const struct path *path, const struct path *root, bool mark_deleted,
              struct text *text)
{
    struct backwards b;
    b.start = sizeof(b.data);
    mutex_lock(&dentry_lock);
    struct dentry *dentry = path->dentry;
    bool deleted = dentry->disconnected || (dentry->parent && !dentry->hashed);
    enum end end = END_ROOT;
    if (dentry->disconnected && !dentry->parent) {
        if (!prepend(&b, dentry->name, dentry->length)) {
            end = END_TOO_LONG;
        }
    } else {
        end = collect_locked(&b, path, root);
        if (end != END_TOO_LONG && b.start == sizeof(b.data)) {
            ignore_result(prepend(&b, "/", 1));
        }
    }
    mutex_unlock(&dentry_lock);
    if (end == END_TOO_LONG) {
        return -ENAMETOOLONG;
    }
    if (end == END_DETACHED) {
        text_puts(text, "(unreachable)");
    }
    text_append(text, b.data + b.start, sizeof(b.data) - b.start);
    if (deleted && mark_deleted) {
        text_puts(text, " (deleted)");
    }
    return text->failed ? -ENOMEM : 0;
}
