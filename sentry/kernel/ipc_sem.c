/*
 * ipc_sem.c: System V semaphores. Operations that cannot be done wait in the set's queue, first
 * come first served; who changes a value carries out what has become possible and wakes its owner.
 * Linux: ipc/sem.c.
 */
#include "sentry/kernel/ipc_sem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/text.h"
#include "sentry/core/current.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"

#define WAITING 1 /* a waiter's status: neither done nor failed */

struct sem_waiter {
    TAILQ_ENTRY(sem_waiter) link;
    struct task *task;
    const struct sembuf *operations; /* on the waiting thread's stack or heap */
    unsigned count;
    const struct sembuf *blocking; /* the operation that could not be done */
    struct sem_undo *undo;         /* NULL: nothing to note */
    int pid;
    int status;
    bool alters;
};

struct ipc_table sem_table = IPC_TABLE_INIT(RANK_OBJECT, sem_mni, sem_next_id);
static uint64_t total_values; /* under sem_table.lock */

static struct sem_set *find_locked(int id)
{
    struct ipc_object *object = ipc_find_locked(&sem_table, id);
    return object ? container_of(object, struct sem_set, object) : NULL;
}

static int64_t set_bytes(unsigned count)
{
    return (int64_t)(sizeof(struct sem_set) + count * sizeof(struct sem_value));
}

static struct sem_set *set_new(unsigned count)
{
    if (kernel_charge(set_bytes(count)) != 0) {
        return NULL;
    }
    struct sem_set *set = calloc(1, (size_t)set_bytes(count));
    if (!set) {
        ignore_result(kernel_charge(-set_bytes(count)));
        return NULL;
    }
    refcount_init(&set->ref);
    TAILQ_INIT(&set->waiters);
    LIST_INIT(&set->undos);
    set->count = count;
    return set;
}

static void set_unref(struct sem_set *set)
{
    if (set && refcount_put(&set->ref)) {
        ignore_result(kernel_charge(-set_bytes(set->count)));
        free(set);
    }
}

int ipc_sem_get(int key, int count, int flags)
{
    struct sem_set *set = NULL;
    int error = 0;
    if (count < 0 || (uint64_t)count > atomic_load(&ipc_limits.sem_msl)) {
        return -EINVAL;
    }
    mutex_lock(&sem_table.lock);
    struct ipc_object *object = ipc_by_key_locked(&sem_table, key, flags, &error);
    if (object) {
        bool small = (unsigned)count > container_of(object, struct sem_set, object)->count;
        error = small ? -EINVAL : ipc_permission(object, flags);
        error = error != 0 ? error : object->id;
        mutex_unlock(&sem_table.lock);
        return error;
    }
    if (error == 0 && count == 0) {
        error = -EINVAL;
    }
    if (error == 0 && total_values + (unsigned)count > atomic_load(&ipc_limits.sem_mns)) {
        error = -ENOSPC;
    }
    if (error == 0) {
        set = set_new((unsigned)count);
        error = set ? 0 : -ENOMEM;
    }
    if (error == 0) {
        error = ipc_add_locked(&sem_table, &set->object, key, flags);
        total_values += error >= 0 ? (unsigned)count : 0;
    }
    mutex_unlock(&sem_table.lock);
    if (error < 0) {
        set_unref(set);
    }
    return error;
}

/* Takes back what the first `done` operations did. */
static void roll_back(struct sem_set *set, const struct sem_waiter *waiter, unsigned done)
{
    for (unsigned i = 0; i < done; i++) {
        const struct sembuf *op = &waiter->operations[i];
        set->values[op->sem_num].value -= op->sem_op;
        if (op->sem_flg & SEM_UNDO) {
            waiter->undo->adjust[op->sem_num] =
                (int16_t)(waiter->undo->adjust[op->sem_num] + op->sem_op);
        }
    }
}

/* All operations or none. 0 done, WAITING, or -ERANGE, -EAGAIN (IPC_NOWAIT). Linux:
 * perform_atomic_semop. */
static int try_locked(struct sem_set *set, struct sem_waiter *waiter)
{
    for (unsigned i = 0; i < waiter->count; i++) {
        const struct sembuf *op = &waiter->operations[i];
        struct sem_value *value = &set->values[op->sem_num];
        int result = value->value + op->sem_op;
        int status = 0;
        if ((op->sem_op == 0 && value->value != 0) || result < 0) {
            waiter->blocking = op;
            status = op->sem_flg & IPC_NOWAIT ? -EAGAIN : WAITING;
        } else if (result > IPC_SEM_VALUE_MAX) {
            status = -ERANGE;
        } else if (op->sem_flg & SEM_UNDO) {
            int adjust = waiter->undo->adjust[op->sem_num] - op->sem_op;
            if (adjust < -IPC_SEM_VALUE_MAX - 1 || adjust > IPC_SEM_VALUE_MAX) {
                status = -ERANGE;
            } else {
                waiter->undo->adjust[op->sem_num] = (int16_t)adjust;
            }
        }
        if (status != 0) {
            roll_back(set, waiter, i);
            return status;
        }
        value->value = result;
    }
    for (unsigned i = 0; i < waiter->count; i++) {
        set->values[waiter->operations[i].sem_num].pid = waiter->pid;
    }
    set->operated = ipc_now();
    return 0;
}

static void finish_locked(struct sem_set *set, struct sem_waiter *waiter, int status)
{
    TAILQ_REMOVE(&set->waiters, waiter, link);
    waiter->status = status;
    sleeper_wake(&waiter->task->sleeper);
}

void sem_wake_locked(struct sem_set *set)
{
    struct sem_waiter *waiter = TAILQ_FIRST(&set->waiters);
    while (waiter) {
        struct sem_waiter *next = TAILQ_NEXT(waiter, link);
        int status = try_locked(set, waiter);
        if (status != WAITING) {
            bool altered = status == 0 && waiter->alters;
            finish_locked(set, waiter, status);
            if (altered) {
                next = TAILQ_FIRST(&set->waiters);
            }
        }
        waiter = next;
    }
}

/* Sleeps until somebody has finished the waiter. */
static int wait_for(struct sem_set *set, struct sem_waiter *waiter, uint64_t deadline_ns)
{
    for (;;) {
        int result = task_sleep(deadline_ns);
        task_sleep_prepare();
        mutex_lock(&sem_table.lock);
        int status = waiter->status;
        if (status == WAITING && result < 0) {
            TAILQ_REMOVE(&set->waiters, waiter, link);
            status = result == -ETIMEDOUT ? -EAGAIN : -EINTR; /* Linux: never restarted */
        }
        mutex_unlock(&sem_table.lock);
        if (status != WAITING) {
            return status;
        }
    }
}

/* Looks at the operations as a whole: which set they need, what they do. */
static int check_operations(const struct sem_set *set, const struct sem_waiter *waiter)
{
    for (unsigned i = 0; i < waiter->count; i++) {
        if (waiter->operations[i].sem_num >= set->count) {
            return -EFBIG;
        }
    }
    return ipc_permission(&set->object, waiter->alters ? 0222 : 0444);
}

int ipc_sem_operate(int id, const struct sembuf *operations, unsigned count, uint64_t deadline_ns)
{
    struct sem_waiter waiter = {.task = current_task(),
                                .operations = operations,
                                .count = count,
                                .pid = current.tgid,
                                .status = WAITING};
    bool undoes = false;
    for (unsigned i = 0; i < count; i++) {
        undoes = undoes || (operations[i].sem_flg & SEM_UNDO);
        waiter.alters = waiter.alters || operations[i].sem_op != 0;
    }
    task_sleep_prepare();
    mutex_lock(&sem_table.lock);
    struct sem_set *set = find_locked(id);
    int result = set ? check_operations(set, &waiter) : -EINVAL;
    if (result == 0 && undoes) {
        result = sem_undo_get_locked(set, &waiter.undo);
    }
    if (result == 0) {
        result = try_locked(set, &waiter);
    }
    if (result == 0 && waiter.alters) {
        sem_wake_locked(set);
    } else if (result == WAITING) {
        refcount_get(&set->ref);
        TAILQ_INSERT_TAIL(&set->waiters, &waiter, link);
    }
    mutex_unlock(&sem_table.lock);
    if (result == WAITING) {
        result = wait_for(set, &waiter, deadline_ns);
        set_unref(set);
    }
    return result;
}

int ipc_sem_stat(int id, int cmd, struct semid_ds *ret_ds)
{
    memset(ret_ds, 0, sizeof(*ret_ds));
    mutex_lock(&sem_table.lock);
    struct ipc_object *object = ipc_find_for_stat_locked(&sem_table, id, cmd != IPC_STAT);
    int result = object ? 0 : -EINVAL;
    if (object && cmd != SEM_STAT_ANY) {
        result = ipc_permission(object, 0444);
    }
    if (result == 0) {
        const struct sem_set *set = container_of(object, struct sem_set, object);
        ipc_get_perm(object, &ret_ds->sem_perm);
        ret_ds->sem_otime = set->operated;
        ret_ds->sem_ctime = object->changed;
        ret_ds->sem_nsems = set->count;
        result = cmd == IPC_STAT ? 0 : object->id;
    }
    mutex_unlock(&sem_table.lock);
    return result;
}

int ipc_sem_set(int id, const struct semid_ds *ds)
{
    mutex_lock(&sem_table.lock);
    struct sem_set *set = find_locked(id);
    int result = set ? ipc_owner_check(&set->object) : -EINVAL;
    if (result == 0) {
        result = ipc_set_perm(&set->object, &ds->sem_perm);
    }
    mutex_unlock(&sem_table.lock);
    return result;
}

int ipc_sem_remove(int id)
{
    mutex_lock(&sem_table.lock);
    struct sem_set *set = find_locked(id);
    int result = set ? ipc_owner_check(&set->object) : -EINVAL;
    if (result == 0) {
        struct sem_waiter *waiter;
        while ((waiter = TAILQ_FIRST(&set->waiters))) {
            finish_locked(set, waiter, -EIDRM);
        }
        sem_undo_drop_locked(set);
        total_values -= set->count;
        ipc_remove_locked(&sem_table, &set->object);
    }
    mutex_unlock(&sem_table.lock);
    if (result == 0) {
        set_unref(set);
    }
    return result;
}

int ipc_sem_info(int cmd, struct seminfo *ret_info)
{
    int most = (int)atomic_load(&ipc_limits.sem_mns);
    mutex_lock(&sem_table.lock);
    *ret_info = (struct seminfo){
        .semmap = most,
        .semmni = (int)atomic_load(&ipc_limits.sem_mni),
        .semmns = most,
        .semmnu = most,
        .semmsl = (int)atomic_load(&ipc_limits.sem_msl),
        .semopm = (int)atomic_load(&ipc_limits.sem_opm),
        .semume = (int)atomic_load(&ipc_limits.sem_opm),
        .semusz = cmd == SEM_INFO ? sem_table.in_use : 20,
        .semvmx = IPC_SEM_VALUE_MAX,
        .semaem = cmd == SEM_INFO ? (int)total_values : IPC_SEM_VALUE_MAX,
    };
    int highest = ipc_highest_locked(&sem_table);
    mutex_unlock(&sem_table.lock);
    return highest;
}

/* Tasks that wait at this semaphore for zero, or for more. */
static int count_waiters(struct sem_set *set, int number, bool for_zero)
{
    int count = 0;
    const struct sem_waiter *waiter;
    TAILQ_FOREACH (waiter, &set->waiters, link) {
        const struct sembuf *op = waiter->blocking;
        count += op->sem_num == number && (op->sem_op == 0) == for_zero;
    }
    return count;
}

int ipc_sem_get_one(int id, int number, int cmd)
{
    mutex_lock(&sem_table.lock);
    struct sem_set *set = find_locked(id);
    int result = set ? ipc_permission(&set->object, 0444) : -EINVAL;
    if (result == 0 && (number < 0 || (unsigned)number >= set->count)) {
        result = -EINVAL;
    }
    if (result == 0) {
        result = cmd == GETVAL   ? set->values[number].value
                 : cmd == GETPID ? set->values[number].pid
                                 : count_waiters(set, number, cmd == GETZCNT);
    }
    mutex_unlock(&sem_table.lock);
    return result;
}

int ipc_sem_set_one(int id, int number, int value)
{
    if (value < 0 || value > IPC_SEM_VALUE_MAX) {
        return -ERANGE;
    }
    mutex_lock(&sem_table.lock);
    struct sem_set *set = find_locked(id);
    int result = set && number >= 0 && (unsigned)number < set->count ? 0 : -EINVAL;
    if (result == 0) {
        result = ipc_permission(&set->object, 0222);
    }
    if (result == 0) {
        sem_undo_clear_locked(set, number);
        set->values[number] = (struct sem_value){.value = value, .pid = current.tgid};
        set->object.changed = ipc_now();
        sem_wake_locked(set);
    }
    mutex_unlock(&sem_table.lock);
    return result;
}

int ipc_sem_get_all(int id, uint16_t **ret_values, unsigned *ret_count)
{
    uint16_t *values = NULL;
    mutex_lock(&sem_table.lock);
    struct sem_set *set = find_locked(id);
    int result = set ? ipc_permission(&set->object, 0444) : -EINVAL;
    if (result == 0) {
        values = calloc(set->count, sizeof(*values));
        result = values ? 0 : -ENOMEM;
    }
    for (unsigned i = 0; result == 0 && i < set->count; i++) {
        values[i] = (uint16_t)set->values[i].value;
    }
    if (result == 0) {
        *ret_values = values;
        *ret_count = set->count;
    }
    mutex_unlock(&sem_table.lock);
    return result;
}

int ipc_sem_count(int id)
{
    mutex_lock(&sem_table.lock);
    struct sem_set *set = find_locked(id);
    int result = set ? ipc_permission(&set->object, 0222) : -EINVAL;
    result = result == 0 ? (int)set->count : result;
    mutex_unlock(&sem_table.lock);
    return result;
}

int ipc_sem_set_all(int id, const uint16_t *values, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (values[i] > IPC_SEM_VALUE_MAX) {
            return -ERANGE;
        }
    }
    mutex_lock(&sem_table.lock);
    struct sem_set *set = find_locked(id);
    int result = set && set->count == count ? 0 : -EIDRM;
    for (unsigned i = 0; result == 0 && i < count; i++) {
        set->values[i] = (struct sem_value){.value = values[i], .pid = current.tgid};
    }
    if (result == 0) {
        sem_undo_clear_locked(set, -1);
        set->object.changed = ipc_now();
        sem_wake_locked(set);
    }
    mutex_unlock(&sem_table.lock);
    return result;
}

int ipc_sem_show(struct text *out)
{
    text_puts(out, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      "
                   "ctime\n");
    mutex_lock(&sem_table.lock);
    for (int i = 0; i < sem_table.capacity; i++) {
        const struct ipc_object *o = sem_table.slots[i];
        if (o) {
            const struct sem_set *set = container_of(o, struct sem_set, object);
            text_printf(out, "%10d %10d  %4o %10u %5u %5u %5u %5u %10lld %10lld\n", o->key, o->id,
                        o->mode, set->count, o->uid, o->gid, o->cuid, o->cgid,
                        (long long)set->operated, (long long)o->changed);
        }
    }
    mutex_unlock(&sem_table.lock);
    return 0;
}
