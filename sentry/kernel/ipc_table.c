/* ipc_table.c: identifiers, keys and permissions of System V objects. Linux: ipc/util.c. */
#include "sentry/kernel/ipc_table.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/clock.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"

#define SEQUENCE_MAX (INT32_MAX / IPC_MNI_MAX)

struct ipc_limits ipc_limits = {
    .shm_max = 18446744073692774399ULL, /* Linux: ULONG_MAX - (1 << 24) */
    .shm_all = 18446744073692774399ULL,
    .shm_mni = 4096,
    .msg_max = 8192,
    .msg_mnb = 16384,
    .msg_mni = 32000,
    .sem_msl = 32000,
    .sem_mns = 1024000000,
    .sem_opm = 500,
    .sem_mni = 32000,
    .shm_next_id = -1,
    .msg_next_id = -1,
    .sem_next_id = -1,
};

int64_t ipc_now(void)
{
    return clock_realtime().tv_sec;
}

static int grow(struct ipc_table *table, int index)
{
    if (index < table->capacity) {
        return 0;
    }
    int capacity = table->capacity ? table->capacity : 16;
    while (capacity <= index) {
        capacity *= 2;
    }
    struct ipc_object **slots =
        realloc(table->slots, (size_t)capacity * sizeof(struct ipc_object *));
    if (!slots) {
        return -ENOMEM;
    }
    memset(slots + table->capacity, 0,
           (size_t)(capacity - table->capacity) * sizeof(struct ipc_object *));
    table->slots = slots;
    table->capacity = capacity;
    return 0;
}

static int free_index(struct ipc_table *table, int from)
{
    int index = max_of(from, table->lowest_free);
    while (index < table->capacity && table->slots[index]) {
        index++;
    }
    return index;
}

/* Chooses index and sequence number: what next_id wants, or the lowest free index. Linux:
 * ipc_idr_alloc. */
static int choose_id(struct ipc_table *table, struct ipc_object *object)
{
    int wanted = atomic_exchange(table->next_id, -1);
    int index = free_index(table, wanted < 0 ? 0 : ipc_index(wanted));
    if (index >= IPC_MNI_MAX) {
        return -ENOSPC;
    }
    int result = grow(table, index);
    if (result != 0) {
        return result;
    }
    if (wanted >= 0) {
        object->sequence = (uint16_t)(wanted / IPC_MNI_MAX);
    } else {
        if (index <= table->last_index) {
            table->sequence = (uint16_t)(table->sequence >= SEQUENCE_MAX ? 0 : table->sequence + 1);
        }
        table->last_index = index;
        object->sequence = table->sequence;
    }
    object->id = object->sequence * IPC_MNI_MAX + index;
    return index;
}

int ipc_add_locked(struct ipc_table *table, struct ipc_object *object, int key, int flags)
{
    if ((uint64_t)table->in_use >= min_of(atomic_load(table->most), (uint64_t)IPC_MNI_MAX)) {
        return -ENOSPC;
    }
    int index = choose_id(table, object);
    if (index < 0) {
        return index;
    }
    object->key = key;
    if (key != IPC_PRIVATE) {
        HASH_ADD_INT(table->by_key, key, object);
        if (!hash_was_added(object)) {
            return -ENOMEM;
        }
    }
    object->uid = object->cuid = current.cred->euid;
    object->gid = object->cgid = current.cred->egid;
    object->mode = (uint32_t)flags & 0777;
    object->changed = ipc_now();
    table->slots[index] = object;
    table->lowest_free = index == table->lowest_free ? index + 1 : table->lowest_free;
    table->in_use++;
    return object->id;
}

void ipc_drop_key_locked(struct ipc_table *table, struct ipc_object *object)
{
    if (object->key != IPC_PRIVATE) {
        HASH_DEL(table->by_key, object);
        object->key = IPC_PRIVATE;
    }
}

void ipc_remove_locked(struct ipc_table *table, struct ipc_object *object)
{
    int index = ipc_index(object->id);
    ipc_drop_key_locked(table, object);
    table->slots[index] = NULL;
    table->lowest_free = min_of(table->lowest_free, index);
    table->in_use--;
    object->removed = true;
}

struct ipc_object *ipc_by_key_locked(struct ipc_table *table, int key, int flags, int *ret_error)
{
    struct ipc_object *object = NULL;
    if (key == IPC_PRIVATE) {
        return NULL;
    }
    HASH_FIND_INT(table->by_key, &key, object);
    if (!object) {
        *ret_error = flags & IPC_CREAT ? 0 : -ENOENT;
    } else if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL)) {
        *ret_error = -EEXIST;
        object = NULL;
    }
    return object;
}

struct ipc_object *ipc_find_for_stat_locked(struct ipc_table *table, int id, bool index)
{
    int slot = index ? id : ipc_index(id);
    if (id < 0 || slot >= table->capacity) {
        return NULL;
    }
    struct ipc_object *object = table->slots[slot];
    return object && (index || object->id == id) ? object : NULL;
}

struct ipc_object *ipc_find_locked(struct ipc_table *table, int id)
{
    return ipc_find_for_stat_locked(table, id, false);
}

int ipc_highest_locked(const struct ipc_table *table)
{
    for (int index = table->capacity - 1; index > 0; index--) {
        if (table->slots[index]) {
            return index;
        }
    }
    return 0;
}

int ipc_permission(const struct ipc_object *object, int flags)
{
    const struct cred *cred = current.cred;
    unsigned requested = (unsigned)flags >> 6 | (unsigned)flags >> 3 | (unsigned)flags;
    unsigned granted = object->mode;
    if (cred->euid == object->cuid || cred->euid == object->uid) {
        granted >>= 6;
    } else if (cred_in_group(cred, object->cgid) || cred_in_group(cred, object->gid)) {
        granted >>= 3;
    }
    return (requested & ~granted & 7) != 0 && !capable(CAP_IPC_OWNER) ? -EACCES : 0;
}

int ipc_owner_check(const struct ipc_object *object)
{
    const struct cred *cred = current.cred;
    bool owner = cred->euid == object->cuid || cred->euid == object->uid;
    return owner || capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

void ipc_get_perm(const struct ipc_object *object, struct ipc_perm *ret_perm)
{
    memset(ret_perm, 0, sizeof(*ret_perm));
    ret_perm->__key = object->key;
    ret_perm->uid = object->uid;
    ret_perm->gid = object->gid;
    ret_perm->cuid = object->cuid;
    ret_perm->cgid = object->cgid;
    ret_perm->mode = (__typeof__(ret_perm->mode))object->mode;
    ret_perm->__seq = object->sequence;
}

int ipc_set_perm(struct ipc_object *object, const struct ipc_perm *perm)
{
    if (perm->uid == UINT32_MAX || perm->gid == UINT32_MAX) {
        return -EINVAL;
    }
    object->uid = perm->uid;
    object->gid = perm->gid;
    object->mode = (object->mode & ~0777U) | (perm->mode & 0777U);
    object->changed = ipc_now();
    return 0;
}
