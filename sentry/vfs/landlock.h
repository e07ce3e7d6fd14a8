/*
 * landlock.h: what tasks forbid themselves: a stack of layers in the credentials, each with the
 * rights it handles and the objects for which it grants them. Sources: landlock(7), Linux
 * security/landlock/{fs,net,task,ruleset}.c; this is its interface of version 6.
 *
 * A right that a layer handles is granted for an object when rules of that layer for the object and
 * the directories above it grant it; all layers must agree. Rules name objects by file system and
 * inode number, and hold their inodes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct cred;
struct file;
struct inode;
struct path;

#define LANDLOCK_ABI        6
#define LANDLOCK_LAYERS_MAX 16

/* Rights on files: the bits of the guest's ABI. */
enum landlock_fs {
    LANDLOCK_EXECUTE = 1 << 0,
    LANDLOCK_WRITE_FILE = 1 << 1,
    LANDLOCK_READ_FILE = 1 << 2,
    LANDLOCK_READ_DIR = 1 << 3,
    LANDLOCK_REMOVE_DIR = 1 << 4,
    LANDLOCK_REMOVE_FILE = 1 << 5,
    LANDLOCK_MAKE_CHAR = 1 << 6,
    LANDLOCK_MAKE_DIR = 1 << 7,
    LANDLOCK_MAKE_REG = 1 << 8,
    LANDLOCK_MAKE_SOCK = 1 << 9,
    LANDLOCK_MAKE_FIFO = 1 << 10,
    LANDLOCK_MAKE_BLOCK = 1 << 11,
    LANDLOCK_MAKE_SYM = 1 << 12,
    LANDLOCK_REFER = 1 << 13,
    LANDLOCK_TRUNCATE = 1 << 14,
    LANDLOCK_IOCTL_DEV = 1 << 15,
    LANDLOCK_FS_ALL = (1 << 16) - 1,
    /* those that a rule for something that is no directory may grant */
    LANDLOCK_FS_FILE = LANDLOCK_EXECUTE | LANDLOCK_WRITE_FILE | LANDLOCK_READ_FILE |
                       LANDLOCK_TRUNCATE | LANDLOCK_IOCTL_DEV,
};
enum landlock_net {
    LANDLOCK_BIND_TCP = 1,
    LANDLOCK_CONNECT_TCP = 2,
    LANDLOCK_NET_ALL = 3,
};

enum landlock_scope {
    LANDLOCK_SCOPE_ABSTRACT_UNIX = 1,
    LANDLOCK_SCOPE_SIGNALS = 2,
    LANDLOCK_SCOPE_ALL = 3,
};

/* Rules being collected; its owner serialises changes. */
struct landlock_ruleset;
struct landlock_ruleset *landlock_ruleset_new(uint64_t fs, uint64_t net,
                                              uint64_t scoped) must_check;
void landlock_ruleset_free(struct landlock_ruleset *ruleset);
/* -EINVAL: rights that the ruleset does not handle, or that are for directories only. */
int landlock_allow_inode(struct landlock_ruleset *ruleset, struct inode *inode,
                         uint64_t rights) must_check;
int landlock_allow_port(struct landlock_ruleset *ruleset, uint64_t port,
                        uint64_t rights) must_check;
/* One layer more in cred, which is not yet published. -E2BIG, -ENOMEM. */
int landlock_restrict(struct cred *cred, const struct landlock_ruleset *ruleset) must_check;

/* The checks, for the calling task: 0, or -EACCES (-EXDEV, -EPERM where said). */
int landlock_check(const struct path *path, uint64_t rights) must_check;
/* The right to make something of this type. */
uint64_t landlock_make_right(uint32_t mode);
/* An object gets a name in another (or the same) directory; needed: rights in each. -EXDEV: it
 * would gain rights, or REFER is missing. exchanged: the object that comes back, or NULL. */
int landlock_check_refer(const struct path *from, uint64_t from_rights, const struct path *to,
                         uint64_t to_rights, struct inode *object,
                         struct inode *exchanged) must_check;
/* An open file: may it be read, written, executed; notes in file->mode what it may not do later. */
int landlock_check_open(struct file *file, bool executes) must_check;
int landlock_check_ioctl(const struct file *file, unsigned command) must_check;
int landlock_check_port(uint16_t port, enum landlock_net right) must_check;
/* Mounts may not be changed by who has layers on files: -EPERM. */
int landlock_check_mounts(void) must_check;
/* May the caller signal a task with these credentials, or connect to its abstract socket? */
bool landlock_may_reach(const struct cred *other, enum landlock_scope scope);
/* Linux: ptrace_may_access: the other one must not have layers that the caller lacks. */
bool landlock_may_trace(const struct cred *other);
/* Frees domains whose last user is gone; to be called now and then with no lock held, because
 * credentials are dropped under locks that come after an inode's. */
void landlock_reap(void);
