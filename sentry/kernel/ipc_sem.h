/* ipc_sem.h: sets of semaphores, between ipc_sem.c and ipc_sem_undo.c. Under sem_table.lock. */
#pragma once

#include "platform/base/queue.h"
#include "platform/base/refcount.h"
#include "sentry/kernel/ipc_table.h"

struct sem_value {
    int value; /* 0 … IPC_SEM_VALUE_MAX */
    int pid;   /* who changed it last */
};

struct sem_waiter;
struct sem_undo;

struct sem_set {
    struct ipc_object object;
    struct refcount ref; /* the table, and sleeping tasks */
    int64_t operated;    /* seconds */
    TAILQ_HEAD(, sem_waiter) waiters;
    LIST_HEAD(, sem_undo) undos;
    unsigned count;
    struct sem_value values[];
};

/* What one list of tasks has to undo in one set. */
struct sem_undo {
    LIST_ENTRY(sem_undo) set_link, list_link;
    struct sem_set *set;
    struct sem_undo_list *list;
    int16_t adjust[]; /* as many as the set has */
};

extern struct ipc_table sem_table;

/* The calling task's undo for the set, made if need be. -ENOMEM. */
int sem_undo_get_locked(struct sem_set *set, struct sem_undo **ret_undo) must_check;
/* Values are set anew: nothing is to be undone. number -1: all. */
void sem_undo_clear_locked(struct sem_set *set, int number);
/* The set goes. */
void sem_undo_drop_locked(struct sem_set *set);
/* Values changed: lets waiters go on. */
void sem_wake_locked(struct sem_set *set);
