/*
 * cred.h: credentials of a guest task. Immutable once published: a change makes a copy.
 *
 * Users are virtual: these ids exist in the sentry only. Source: credentials(7), capabilities(7).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "platform/base/refcount.h"

/* Capability numbers: linux/capability.h. A set is a bit mask. */
#define CRED_CAP_LAST 40
#define CRED_CAP_ALL  ((1ULL << (CRED_CAP_LAST + 1)) - 1)

/* What tasks forbid themselves (Landlock), opaque here. */
struct cred_domain {
    struct refcount ref;
    void (*free)(struct cred_domain *domain); /* may run under any lock ranked below RANK_ACCOUNT */
};
void cred_domain_unref(struct cred_domain *domain);

struct cred {
    struct refcount ref;
    uid_t uid, euid, suid, fsuid;
    gid_t gid, egid, sgid, fsgid;
    uint32_t group_count;
    gid_t *groups; /* sorted; owned */
    uint64_t cap_permitted, cap_effective, cap_inheritable, cap_bounding, cap_ambient;
    uint32_t securebits;
    bool no_new_privs;
    bool keep_caps;
    struct cred_domain *domain; /* reference; NULL: none */
};

extern const struct cred cred_boot; /* uid 0, all capabilities; never freed */

/* A new credential: uid and gid everywhere; all capabilities when uid is 0, else none. */
struct cred *cred_new(uid_t uid, gid_t gid) must_check;
/* A private copy to be changed and then published. NULL: no memory. */
struct cred *cred_copy(const struct cred *cred) must_check;
const struct cred *cred_ref(const struct cred *cred);
const struct cred *cred_unref(const struct cred *cred);
int cred_set_groups(struct cred *cred, const gid_t *groups, uint32_t count) must_check;

bool cred_in_group(const struct cred *cred, gid_t gid);     /* fsgid and supplementary groups */
bool cred_in_egroup(const struct cred *cred, gid_t gid);    /* egid and supplementary groups */
bool cred_capable(const struct cred *cred, int capability); /* in the effective set */
/* The calling task's. */
bool capable(int capability);

/*
 * The classic permission check (Linux: generic_permission, acl_permission_check): mask is a
 * combination of 4 (read), 2 (write), 1 (execute/search). Returns 0 or -EACCES. With
 * CAP_DAC_OVERRIDE everything but executing a file without any x bit is allowed.
 */
int cred_permission(const struct cred *cred, uint32_t mode, uid_t uid, gid_t gid,
                    int mask) must_check;
