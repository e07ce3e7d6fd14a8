/*
 * landlock.c: see landlock.h. Domains are immutable and shared by credentials; a domain points to
 * the one it was made from. Walks up the tree are made under the name cache's lock.
 */
#include "sentry/vfs/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/path.h"

#define RULES_MAX 65536 /* of one ruleset */

struct inode_rule {
    struct inode *inode; /* reference */
    uint64_t rights;
};

struct port_rule {
    uint16_t port;
    uint64_t rights;
};

struct landlock_ruleset {
    uint64_t fs, net, scoped;  /* handled */
    struct inode_rule *inodes; /* open addressing by object; inode_slots entries, a power of two */
    size_t inode_slots, inode_count;
    struct port_rule *ports;
    size_t port_count;
};

struct landlock_domain {
    struct cred_domain base;
    struct landlock_domain *parent; /* reference */
    unsigned depth;
    struct landlock_ruleset *rules; /* owned */
    struct landlock_domain *dead_next;
};

static struct landlock_domain *domain_of(const struct cred *cred)
{
    return cred->domain ? container_of(cred->domain, struct landlock_domain, base) : NULL;
}

/* --- rulesets --- */

struct landlock_ruleset *landlock_ruleset_new(uint64_t fs, uint64_t net, uint64_t scoped)
{
    struct landlock_ruleset *ruleset = calloc(1, sizeof(*ruleset));
    if (ruleset) {
        ruleset->fs = fs;
        ruleset->net = net;
        ruleset->scoped = scoped;
    }
    return ruleset;
}

void landlock_ruleset_free(struct landlock_ruleset *ruleset)
{
    if (!ruleset) {
        return;
    }
    for (size_t i = 0; i < ruleset->inode_slots; i++) {
        inode_unref(ruleset->inodes[i].inode);
    }
    free(ruleset->inodes);
    free(ruleset->ports);
    free(ruleset);
}

static bool same_object(const struct inode *a, const struct inode *b)
{
    return a == b || (a->super == b->super && a->ino == b->ino);
}

/* The slot of the object, or the free one where it belongs. */
static struct inode_rule *find_slot(struct inode_rule *slots, size_t count,
                                    const struct inode *inode)
{
    uint64_t hash = (inode->ino ^ (uint64_t)(uintptr_t)inode->super) * 0x9e3779b97f4a7c15ULL;
    size_t i = (size_t)(hash >> 32) & (count - 1);
    while (slots[i].inode && !same_object(slots[i].inode, inode)) {
        i = (i + 1) & (count - 1);
    }
    return &slots[i];
}

/* Room for one rule more: half of the slots stay free. */
static int make_room(struct landlock_ruleset *ruleset)
{
    if (ruleset->inode_count >= RULES_MAX) {
        return -E2BIG;
    }
    if ((ruleset->inode_count + 1) * 2 <= ruleset->inode_slots) {
        return 0;
    }
    size_t count = ruleset->inode_slots ? ruleset->inode_slots * 2 : 8;
    struct inode_rule *slots = calloc(count, sizeof(*slots));
    if (!slots) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < ruleset->inode_slots; i++) {
        if (ruleset->inodes[i].inode) {
            *find_slot(slots, count, ruleset->inodes[i].inode) = ruleset->inodes[i];
        }
    }
    free(ruleset->inodes);
    ruleset->inodes = slots;
    ruleset->inode_slots = count;
    return 0;
}

int landlock_allow_inode(struct landlock_ruleset *ruleset, struct inode *inode, uint64_t rights)
{
    if ((rights & ~ruleset->fs) ||
        (!S_ISDIR(inode_load(inode->mode)) && (rights & ~(uint64_t)LANDLOCK_FS_FILE))) {
        return -EINVAL;
    }
    int result = make_room(ruleset);
    if (result != 0) {
        return result;
    }
    struct inode_rule *rule = find_slot(ruleset->inodes, ruleset->inode_slots, inode);
    if (!rule->inode) {
        rule->inode = inode_ref(inode);
        ruleset->inode_count++;
    }
    rule->rights |= rights;
    return 0;
}

int landlock_allow_port(struct landlock_ruleset *ruleset, uint64_t port, uint64_t rights)
{
    if ((rights & ~ruleset->net) || port > UINT16_MAX) {
        return -EINVAL;
    }
    for (size_t i = 0; i < ruleset->port_count; i++) {
        if (ruleset->ports[i].port == port) {
            ruleset->ports[i].rights |= rights;
            return 0;
        }
    }
    struct port_rule *larger =
        realloc(ruleset->ports, (ruleset->port_count + 1) * sizeof(*ruleset->ports));
    if (!larger) {
        return -ENOMEM;
    }
    ruleset->ports = larger;
    ruleset->ports[ruleset->port_count++] =
        (struct port_rule){.port = (uint16_t)port, .rights = rights};
    return 0;
}

static struct landlock_ruleset *ruleset_copy(const struct landlock_ruleset *ruleset)
{
    struct landlock_ruleset *copy =
        landlock_ruleset_new(ruleset->fs, ruleset->net, ruleset->scoped);
    if (!copy) {
        return NULL;
    }
    copy->inodes = calloc(ruleset->inode_slots + 1, sizeof(*copy->inodes));
    copy->ports = calloc(ruleset->port_count + 1, sizeof(*copy->ports));
    if (!copy->inodes || !copy->ports) {
        landlock_ruleset_free(copy);
        return NULL;
    }
    copy->inode_slots = ruleset->inode_slots;
    copy->inode_count = ruleset->inode_count;
    for (size_t i = 0; i < ruleset->inode_slots; i++) {
        copy->inodes[i] = ruleset->inodes[i];
        if (copy->inodes[i].inode) {
            inode_ref(copy->inodes[i].inode);
        }
    }
    if (ruleset->port_count > 0) {
        memcpy(copy->ports, ruleset->ports, ruleset->port_count * sizeof(*copy->ports));
    }
    copy->port_count = ruleset->port_count;
    return copy;
}

/* --- domains --- */

/* Domains that nobody uses any more, until landlock_reap. */
static struct mutex dead_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_ACCOUNT};
static struct landlock_domain *dead; /* under dead_lock; by dead_next */

static void domain_free(struct cred_domain *base)
{
    struct landlock_domain *domain = container_of(base, struct landlock_domain, base);
    mutex_lock(&dead_lock);
    domain->dead_next = dead;
    dead = domain;
    mutex_unlock(&dead_lock);
}

void landlock_reap(void)
{
    for (;;) {
        mutex_lock(&dead_lock);
        struct landlock_domain *domain = dead;
        dead = domain ? domain->dead_next : NULL;
        mutex_unlock(&dead_lock);
        if (!domain) {
            return;
        }
        if (domain->parent) {
            cred_domain_unref(&domain->parent->base);
        }
        landlock_ruleset_free(domain->rules);
        free(domain);
    }
}

int landlock_restrict(struct cred *cred, const struct landlock_ruleset *ruleset)
{
    struct landlock_domain *parent = domain_of(cred);
    if (parent && parent->depth >= LANDLOCK_LAYERS_MAX) {
        return -E2BIG;
    }
    struct landlock_domain *domain = calloc(1, sizeof(*domain));
    struct landlock_ruleset *rules = ruleset_copy(ruleset);
    if (!domain || !rules) {
        free(domain);
        landlock_ruleset_free(rules);
        return -ENOMEM;
    }
    refcount_init(&domain->base.ref);
    domain->base.free = domain_free;
    domain->parent = parent; /* takes the credentials' reference */
    domain->depth = parent ? parent->depth + 1 : 1;
    domain->rules = rules;
    cred->domain = &domain->base;
    return 0;
}

/* --- files --- */

static uint64_t rights_on(const struct landlock_ruleset *rules, const struct inode *inode)
{
    return inode && rules->inode_slots > 0
               ? find_slot(rules->inodes, rules->inode_slots, inode)->rights
               : 0;
}

/* The place above (*mount, *dentry): the directory, or what a mount is on. False at the top. */
static bool go_up_locked(struct mount **mount, struct dentry **dentry) REQUIRES(dentry_lock)
{
    while (*dentry == (*mount)->root) {
        if (!(*mount)->parent) {
            return false;
        }
        *dentry = (*mount)->point;
        *mount = (*mount)->parent;
    }
    if (!(*dentry)->parent) {
        return false;
    }
    *dentry = (*dentry)->parent;
    return true;
}

/* What each layer grants for the object at path and through what is above it; by depth. */
static void granted_rights(const struct landlock_domain *domain, const struct path *path,
                           uint64_t granted[LANDLOCK_LAYERS_MAX])
{
    struct mount *mount = path->mount;
    struct dentry *dentry = path->dentry;
    memset(granted, 0, LANDLOCK_LAYERS_MAX * sizeof(granted[0]));
    mutex_lock(&dentry_lock);
    bool more = true;
    while (more) {
        const struct inode *inode = atomic_load(&dentry->inode);
        for (const struct landlock_domain *d = domain; d; d = d->parent) {
            granted[d->depth - 1] |= rights_on(d->rules, inode);
        }
        more = go_up_locked(&mount, &dentry);
    }
    mutex_unlock(&dentry_lock);
}

/* The rights of `rights` that some layer refuses. */
static uint64_t refused_rights(const struct path *path, uint64_t rights)
{
    const struct landlock_domain *domain = domain_of(current.cred);
    uint64_t granted[LANDLOCK_LAYERS_MAX];
    uint64_t refused = 0;
    if (!domain || !path->mount || !path->dentry) {
        return 0; /* Linux: what is on no mount of the tree (a memfd, a pipe) is free */
    }
    granted_rights(domain, path, granted);
    for (const struct landlock_domain *d = domain; d; d = d->parent) {
        refused |= rights & d->rules->fs & ~granted[d->depth - 1];
    }
    return refused;
}

int landlock_check(const struct path *path, uint64_t rights)
{
    return current.cred->domain && refused_rights(path, rights) ? -EACCES : 0;
}

uint64_t landlock_make_right(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFLNK:
        return LANDLOCK_MAKE_SYM;
    case S_IFDIR:
        return LANDLOCK_MAKE_DIR;
    case S_IFCHR:
        return LANDLOCK_MAKE_CHAR;
    case S_IFBLK:
        return LANDLOCK_MAKE_BLOCK;
    case S_IFIFO:
        return LANDLOCK_MAKE_FIFO;
    case S_IFSOCK:
        return LANDLOCK_MAKE_SOCK;
    default:
        return LANDLOCK_MAKE_REG;
    }
}

/* Would the object have rights in the new place that it lacks in the old one? */
static bool gains(const struct landlock_domain *d, const struct inode *object, uint64_t old,
                  uint64_t new)
{
    uint64_t own = rights_on(d->rules, object);
    uint64_t counts = d->rules->fs;
    if (!S_ISDIR(inode_load(object->mode))) {
        counts &= LANDLOCK_FS_FILE;
    }
    return (counts & (new | own) & ~(old | own)) != 0;
}

int landlock_check_refer(const struct path *from, uint64_t from_rights, const struct path *to,
                         uint64_t to_rights, struct inode *object, struct inode *exchanged)
{
    const struct landlock_domain *domain = domain_of(current.cred);
    uint64_t old[LANDLOCK_LAYERS_MAX];
    uint64_t new[LANDLOCK_LAYERS_MAX];
    if (!domain || !from->mount || !to->mount) {
        return 0;
    }
    if (from->dentry == to->dentry) {
        return landlock_check(to, from_rights | to_rights);
    }
    granted_rights(domain, from, old);
    granted_rights(domain, to, new);
    int result = 0;
    for (const struct landlock_domain *d = domain; d; d = d->parent) {
        unsigned i = d->depth - 1;
        if ((from_rights & d->rules->fs & ~old[i]) || (to_rights & d->rules->fs & ~new[i])) {
            return -EACCES;
        }
        /* Linux: REFER is refused where a layer does not handle it, too. */
        if (!(old[i] & new[i] & LANDLOCK_REFER) || gains(d, object, old[i], new[i]) ||
            (exchanged && gains(d, exchanged, new[i], old[i]))) {
            result = -EXDEV;
        }
    }
    return result;
}

int landlock_check_open(struct file *file, bool executes)
{
    if (!current.cred->domain || !file->path.mount) {
        return 0;
    }
    uint32_t mode = inode_load(file->inode->mode);
    uint64_t needed = executes ? LANDLOCK_EXECUTE | LANDLOCK_READ_FILE : 0;
    if (file->mode & FILE_READ) {
        needed |= S_ISDIR(mode) ? LANDLOCK_READ_DIR : LANDLOCK_READ_FILE;
    }
    if (file->mode & FILE_WRITE) {
        needed |= LANDLOCK_WRITE_FILE;
    }
    uint64_t later = LANDLOCK_TRUNCATE;
    later |= S_ISCHR(mode) || S_ISBLK(mode) ? (uint64_t)LANDLOCK_IOCTL_DEV : 0;
    uint64_t refused = refused_rights(&file->path, needed | later);
    file->mode |= refused & LANDLOCK_TRUNCATE ? (unsigned)FILE_NO_TRUNCATE : 0U;
    file->mode |= refused & LANDLOCK_IOCTL_DEV ? (unsigned)FILE_NO_IOCTL : 0U;
    return refused & needed ? -EACCES : 0;
}

/* Linux: is_masked_device_ioctl: the VFS answers these itself. */
int landlock_check_ioctl(const struct file *file, unsigned command)
{
    static const unsigned long free[] = {FIOCLEX,       FIONCLEX, FIONBIO,      FIOASYNC,
                                         FIOQSIZE,      FIFREEZE, FITHAW,       FIGETBSZ,
                                         FS_IOC_FIEMAP, FICLONE,  FICLONERANGE, FIDEDUPERANGE};
    if (!(file->mode & FILE_NO_IOCTL)) {
        return 0;
    }
    for (size_t i = 0; i < array_size(free); i++) {
        if ((unsigned)free[i] == command) {
            return 0;
        }
    }
    return -EACCES;
}

int landlock_check_mounts(void)
{
    for (const struct landlock_domain *d = domain_of(current.cred); d; d = d->parent) {
        if (d->rules->fs) {
            return -EPERM;
        }
    }
    return 0;
}

/* --- ports and tasks --- */

int landlock_check_port(uint16_t port, enum landlock_net right)
{
    for (const struct landlock_domain *d = domain_of(current.cred); d; d = d->parent) {
        bool granted = (d->rules->net & right) == 0;
        for (size_t i = 0; i < d->rules->port_count && !granted; i++) {
            granted = d->rules->ports[i].port == port && (d->rules->ports[i].rights & right);
        }
        if (!granted) {
            return -EACCES;
        }
    }
    return 0;
}

static bool has_domain(const struct cred *cred, const struct landlock_domain *domain)
{
    for (const struct landlock_domain *d = domain_of(cred); d; d = d->parent) {
        if (d == domain) {
            return true;
        }
    }
    return false;
}

bool landlock_may_reach(const struct cred *other, enum landlock_scope scope)
{
    for (const struct landlock_domain *d = domain_of(current.cred); d; d = d->parent) {
        if ((d->rules->scoped & scope) && !has_domain(other, d)) {
            return false;
        }
    }
    return true;
}

bool landlock_may_trace(const struct cred *other)
{
    const struct landlock_domain *own = domain_of(current.cred);
    return !own || has_domain(other, own);
}
