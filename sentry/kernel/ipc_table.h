/*
 * ipc_table.h: what the three kinds of System V objects have in common: identifiers, keys, owners.
 * Used by sentry/kernel/ipc_*.c only. An object is embedded in its kind; table->lock guards all of
 * both.
 */
#pragma once

#include <stdbool.h>

#include "platform/base/hash.h"
#include "platform/base/lock.h"
#include "sentry/kernel/ipc.h"

struct ipc_object {
    UT_hash_handle hh; /* by key, while it has one */
    int id;
    int32_t key;
    uint32_t uid, gid, cuid, cgid;
    uint32_t mode; /* permissions, and the kind's own bits above them */
    uint16_t sequence;
    bool removed;
    int64_t changed; /* seconds */
};

struct ipc_table {
    struct mutex lock;
    struct ipc_object **slots; /* by index */
    int capacity;
    int lowest_free; /* no free index below it */
    int in_use;
    int last_index;
    uint16_t sequence;
    struct ipc_object *by_key;
    _Atomic uint64_t *most; /* of ipc_limits */
    atomic_int *next_id;    /* of ipc_limits */
};

#define IPC_TABLE_INIT(rank_, most_, next_)                                                        \
    {                                                                                              \
        .lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = (rank_)}, .last_index = -1,            \
        .most = &ipc_limits.most_, .next_id = &ipc_limits.next_                                    \
    }

static inline int ipc_index(int id)
{
    return id & (IPC_MNI_MAX - 1);
}

/* Sets key, owner and mode (the low 9 bits of flags) and gives it an identifier: -ENOSPC, -ENOMEM.
 */
int ipc_add_locked(struct ipc_table *table, struct ipc_object *object, int key,
                   int flags) must_check;
void ipc_remove_locked(struct ipc_table *table, struct ipc_object *object);
/* The key goes, the object stays. */
void ipc_drop_key_locked(struct ipc_table *table, struct ipc_object *object);
/* The object with this key that a get call names: NULL when a new one is to be made, or *ret_error
 * (-ENOENT, -EEXIST). */
struct ipc_object *ipc_by_key_locked(struct ipc_table *table, int key, int flags, int *ret_error);
/* NULL: -EINVAL. */
struct ipc_object *ipc_find_locked(struct ipc_table *table, int id);
/* The same for the STAT commands that take an index. */
struct ipc_object *ipc_find_for_stat_locked(struct ipc_table *table, int id, bool index);
/* The highest index in use; 0 when there is none. */
int ipc_highest_locked(const struct ipc_table *table);
/* May the caller do what the mode bits in flags ask (0444, 0222, or a get call's flags)? 0 or
 * -EACCES. */
int ipc_permission(const struct ipc_object *object, int flags) must_check;
/* Owner, creator or CAP_SYS_ADMIN: 0 or -EPERM. */
int ipc_owner_check(const struct ipc_object *object) must_check;
void ipc_get_perm(const struct ipc_object *object, struct ipc_perm *ret_perm);
int ipc_set_perm(struct ipc_object *object, const struct ipc_perm *perm) must_check;
int64_t ipc_now(void); /* seconds */
