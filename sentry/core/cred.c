/* cred.c: credentials. */
#include "sentry/core/cred.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/core/current.h"

const struct cred cred_boot = {
    .ref = {1},
    .cap_permitted = CRED_CAP_ALL,
    .cap_effective = CRED_CAP_ALL,
    .cap_bounding = CRED_CAP_ALL,
};

struct cred *cred_new(uid_t uid, gid_t gid)
{
    struct cred *cred = calloc(1, sizeof(*cred));
    if (!cred) {
        return NULL;
    }
    refcount_init(&cred->ref);
    cred->uid = cred->euid = cred->suid = cred->fsuid = uid;
    cred->gid = cred->egid = cred->sgid = cred->fsgid = gid;
    cred->cap_bounding = CRED_CAP_ALL;
    if (uid == 0) {
        cred->cap_permitted = cred->cap_effective = CRED_CAP_ALL;
    }
    return cred;
}

void cred_domain_unref(struct cred_domain *domain)
{
    if (domain && refcount_put(&domain->ref)) {
        domain->free(domain);
    }
}

struct cred *cred_copy(const struct cred *cred)
{
    struct cred *copy = malloc(sizeof(*copy));
    if (!copy) {
        return NULL;
    }
    /* Everything but the count, which others change. */
    const size_t head = offsetof(struct cred, uid);
    memcpy((char *)copy + head, (const char *)cred + head, sizeof(*copy) - head);
    refcount_init(&copy->ref);
    copy->groups = NULL;
    copy->group_count = 0;
    if (copy->domain) {
        refcount_get(&copy->domain->ref);
    }
    if (cred_set_groups(copy, cred->groups, cred->group_count) != 0) {
        cred_domain_unref(copy->domain);
        free(copy);
        return NULL;
    }
    return copy;
}

const struct cred *cred_ref(const struct cred *cred)
{
    if (cred != &cred_boot) {
        refcount_get((struct refcount *)&cred->ref);
    }
    return cred;
}

const struct cred *cred_unref(const struct cred *cred)
{
    if (cred && cred != &cred_boot && refcount_put((struct refcount *)&cred->ref)) {
        cred_domain_unref(cred->domain);
        free(cred->groups);
        free((struct cred *)cred);
    }
    return NULL;
}

static int gid_compare(const void *a, const void *b)
{
    gid_t x = *(const gid_t *)a;
    gid_t y = *(const gid_t *)b;
    return x < y ? -1 : x > y;
}

int cred_set_groups(struct cred *cred, const gid_t *groups, uint32_t count)
{
    gid_t *copy = NULL;
    if (count > 0) {
        copy = malloc(count * sizeof(*copy));
        if (!copy) {
            return -ENOMEM;
        }
        memcpy(copy, groups, count * sizeof(*copy));
        qsort(copy, count, sizeof(*copy), gid_compare);
    }
    free(cred->groups);
    cred->groups = copy;
    cred->group_count = count;
    return 0;
}

static bool in_groups(const struct cred *cred, gid_t gid)
{
    return cred->group_count > 0 &&
           bsearch(&gid, cred->groups, cred->group_count, sizeof(gid), gid_compare) != NULL;
}

bool cred_in_group(const struct cred *cred, gid_t gid)
{
    return cred->fsgid == gid || in_groups(cred, gid);
}

bool cred_in_egroup(const struct cred *cred, gid_t gid)
{
    return cred->egid == gid || in_groups(cred, gid);
}

bool cred_capable(const struct cred *cred, int capability)
{
    return (cred->cap_effective >> capability & 1) != 0;
}

bool capable(int capability)
{
    return cred_capable(current.cred, capability);
}

int cred_permission(const struct cred *cred, uint32_t mode, uid_t uid, gid_t gid, int mask)
{
    uint32_t bits;
    if (cred->fsuid == uid) {
        bits = mode >> 6 & 7;
    } else if (cred_in_group(cred, gid)) {
        bits = mode >> 3 & 7;
    } else {
        bits = mode & 7;
    }
    if (((uint32_t)mask & ~bits) == 0) {
        return 0;
    }
    if (S_ISDIR(mode)) {
        if (cred_capable(cred, CAP_DAC_OVERRIDE)) {
            return 0;
        }
        if ((mask & 2) == 0 && cred_capable(cred, CAP_DAC_READ_SEARCH)) {
            return 0;
        }
        return -EACCES;
    }
    if (mask == 4 && cred_capable(cred, CAP_DAC_READ_SEARCH)) {
        return 0;
    }
    if (((mask & 1) == 0 || (mode & 0111) != 0) && cred_capable(cred, CAP_DAC_OVERRIDE)) {
        return 0;
    }
    return -EACCES;
}
