/* fs_context.h: root, working directory and umask of a task; shared with CLONE_FS. */
#pragma once

#include <stdint.h>

#include "platform/base/lock.h"
#include "platform/base/refcount.h"
#include "sentry/vfs/path.h"

struct fs_context {
    struct refcount ref;
    struct mutex lock;          /* RANK_FS_CONTEXT */
    struct path root, cwd;      /* under lock; references */
    uint32_t umask;             /* under lock */
    struct mount_namespace *ns; /* a reference; changed by its only user, under lock */
};

/* Takes references on root and cwd. NULL: no memory. */
struct fs_context *fs_context_new(const struct path *root, const struct path *cwd,
                                  uint32_t umask) must_check;
struct fs_context *fs_context_copy(struct fs_context *fs) must_check;
struct fs_context *fs_context_ref(struct fs_context *fs);
struct fs_context *fs_context_unref(struct fs_context *fs);
/* References of the present values. */
void fs_context_get_root(struct fs_context *fs, struct path *ret_root);
void fs_context_get_cwd(struct fs_context *fs, struct path *ret_cwd);
void fs_context_set_root(struct fs_context *fs, const struct path *root);
void fs_context_set_cwd(struct fs_context *fs, const struct path *cwd);
/* The id of its mount namespace; 0: it has none. */
uint64_t fs_context_namespace(struct fs_context *fs);
/* Goes to another mount namespace, whose reference it takes, at its root. */
void fs_context_enter(struct fs_context *fs, struct mount_namespace *ns);
/* pivot_root: who stands on old goes to new. */
void fs_context_pivot(struct fs_context *fs, const struct path *old, const struct path *new_root);
uint32_t fs_context_umask(struct fs_context *fs);
uint32_t fs_context_set_umask(struct fs_context *fs, uint32_t mask); /* returns the old one */
