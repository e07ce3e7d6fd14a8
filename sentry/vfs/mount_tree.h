/*
 * mount_tree.h: the mount tree's inner operations; used by mount.c, mount_change.c and
 * mount_namespace.c only. mount_lock is held by the caller of what ends in _locked and of
 * everything that looks at the tree.
 */
#pragma once

#include "platform/base/lock.h"
#include "sentry/vfs/mount.h"

struct super;

TAILQ_HEAD(mount_list, mount);
TAILQ_HEAD(namespace_list, mount_namespace);

extern struct mutex mount_lock;
extern struct mount_list mounts;         /* all that have a place; under mount_lock */
extern struct namespace_list namespaces; /* under mount_lock */
extern atomic_int mount_next_id;

/* A mount without a place; takes a reference of super, borrows root. -ENOMEM, -ENOSPC. */
int mount_new(struct super *super, struct dentry *root, const char *source, unsigned flags,
              struct mount **ret) must_check;
int mount_make_root_dentry(struct super *super) must_check;
/* Is the mount in the tree that the caller sees (Linux: check_mnt)? */
bool mount_is_ours(const struct mount *mount);
bool mount_is_below(const struct mount *mount, const struct mount *ancestor);
/* May mount stand on at? */
int mount_check_point(const struct mount *mount, const struct path *at) must_check;
/* Gives mount its place; takes the reference of the list and those of at. */
void mount_attach_at_locked(struct mount *mount, const struct path *at);
/* The same at the topmost object of point, if it may stand there. */
int mount_attach_locked(struct mount *mount, const struct path *point) must_check;
/* Takes an attached mount off its place; its parent and point in *ret_at. Both locks are held. */
void mount_unhook_locked(struct mount *mount, struct path *ret_at) REQUIRES(dentry_lock);
/* Gives an attached mount that was taken off a new place; takes the references of at. */
void mount_move_in_locked(struct mount *mount, const struct path *at);
void mount_move_locked(struct mount *mount, const struct path *at, struct path *ret_old);
/* Takes mount out of the tree and moves it to gone; mount_drop_detached drops what these held, with
 * no lock held. */
void mount_detach_locked(struct mount *mount, struct mount_list *gone);
void mount_drop_detached(struct mount_list *gone);

/* An empty namespace in the list: one reference. NULL: no memory. */
struct mount_namespace *mount_namespace_new_locked(void) must_check;
void mount_set_root_locked(struct mount_namespace *ns, struct mount *mount);
