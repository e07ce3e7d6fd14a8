/* ipc_sem_undo.c: SEM_UNDO: what the end of a task undoes. Linux: ipc/sem.c (exit_sem). */
#include <errno.h>
#include <stdlib.h>

#include "sentry/core/current.h"
#include "sentry/kernel/ipc_sem.h"
#include "sentry/kernel/task.h"

struct sem_undo_list {
    struct refcount ref;
    LIST_HEAD(, sem_undo) undos; /* under sem_table.lock */
};

struct sem_undo_list *sem_undo_list_new(void)
{
    struct sem_undo_list *list = calloc(1, sizeof(*list));
    if (list) {
        refcount_init(&list->ref);
        LIST_INIT(&list->undos);
    }
    return list;
}

struct sem_undo_list *sem_undo_list_ref(struct sem_undo_list *list)
{
    refcount_get(&list->ref);
    return list;
}

static void undo_locked(struct sem_undo *undo)
{
    struct sem_set *set = undo->set;
    for (unsigned i = 0; i < set->count; i++) {
        if (undo->adjust[i] != 0) {
            struct sem_value *value = &set->values[i];
            int sum = value->value + undo->adjust[i];
            value->value = min_of(max_of(sum, 0), IPC_SEM_VALUE_MAX);
            value->pid = current.tgid;
        }
    }
    set->operated = ipc_now();
    sem_wake_locked(set);
}

static void remove_locked(struct sem_undo *undo)
{
    LIST_REMOVE(undo, set_link);
    LIST_REMOVE(undo, list_link);
    free(undo);
}

void sem_undo_list_unref(struct sem_undo_list *list)
{
    if (!list || !refcount_put(&list->ref)) {
        return;
    }
    mutex_lock(&sem_table.lock);
    struct sem_undo *undo;
    while ((undo = LIST_FIRST(&list->undos))) {
        undo_locked(undo);
        remove_locked(undo);
    }
    mutex_unlock(&sem_table.lock);
    free(list);
}

int sem_undo_get_locked(struct sem_set *set, struct sem_undo **ret_undo)
{
    struct task *task = current_task();
    struct sem_undo *undo;
    if (!task->sem_undo) {
        task->sem_undo = sem_undo_list_new();
        if (!task->sem_undo) {
            return -ENOMEM;
        }
    }
    LIST_FOREACH (undo, &task->sem_undo->undos, list_link) {
        if (undo->set == set) {
            *ret_undo = undo;
            return 0;
        }
    }
    undo = calloc(1, sizeof(*undo) + set->count * sizeof(undo->adjust[0]));
    if (!undo) {
        return -ENOMEM;
    }
    undo->set = set;
    undo->list = task->sem_undo;
    LIST_INSERT_HEAD(&set->undos, undo, set_link);
    LIST_INSERT_HEAD(&task->sem_undo->undos, undo, list_link);
    *ret_undo = undo;
    return 0;
}

void sem_undo_clear_locked(struct sem_set *set, int number)
{
    struct sem_undo *undo;
    LIST_FOREACH (undo, &set->undos, set_link) {
        for (unsigned i = 0; i < set->count; i++) {
            if (number < 0 || i == (unsigned)number) {
                undo->adjust[i] = 0;
            }
        }
    }
}

void sem_undo_drop_locked(struct sem_set *set)
{
    struct sem_undo *undo;
    while ((undo = LIST_FIRST(&set->undos))) {
        remove_locked(undo);
    }
}
