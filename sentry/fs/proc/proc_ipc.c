/*
 * proc_ipc.c: /proc/sysvipc, and the limits of System V IPC and of message queues below /proc/sys,
 * and how long leases last.
 * Linux: ipc/ipc_sysctl.c, ipc/mq_sysctl.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/fs/proc/internal.h"
#include "sentry/kernel/ipc.h"
#include "sentry/vfs/file_lease.h"

static int show_shm(struct proc_node *node, struct text *out)
{
    (void)node;
    return ipc_shm_show(out);
}

static int show_sem(struct proc_node *node, struct text *out)
{
    (void)node;
    return ipc_sem_show(out);
}

static int show_msg(struct proc_node *node, struct text *out)
{
    (void)node;
    return ipc_msg_show(out);
}

const struct proc_entry proc_sysvipc[] = {
    PROC_FILE("msg", 0444, 0, show_msg),
    PROC_FILE("sem", 0444, 0, show_sem),
    PROC_FILE("shm", 0444, 0, show_shm),
    {.name = NULL},
};

/* The next number of data, which moves on. */
static int parse(char **data, uint64_t most, uint64_t *ret)
{
    char *end = *data + strspn(*data, " \t\n");
    char *start = end;
    errno = 0;
    unsigned long long value = strtoull(start, &end, 10);
    if (end == start || *start == '-' || errno != 0 || value > most ||
        (*end != '\0' && !strchr(" \t\n", *end))) {
        return -EINVAL;
    }
    *data = end;
    *ret = value;
    return 0;
}

static int write_limit(char *data, uint64_t least, uint64_t most, _Atomic uint64_t *limit)
{
    uint64_t value = 0;
    int result = parse(&data, most, &value);
    if (result == 0 && value < least) {
        result = -EINVAL;
    }
    if (result == 0) {
        atomic_store(limit, value);
    }
    return result;
}

static int write_next_id(char *data, atomic_int *next_id)
{
    uint64_t value = 0;
    int result = parse(&data, INT32_MAX, &value);
    if (result == 0) {
        atomic_store(next_id, (int)value);
    }
    return result;
}

/* The mode bits let only root write. */
#define LIMIT(name, object, field, least, most)                                                    \
    int proc_show_##name(struct proc_node *node, struct text *out)                                 \
    {                                                                                              \
        (void)node;                                                                                \
        text_printf(out, "%llu\n", (unsigned long long)atomic_load(&object.field));                \
        return 0;                                                                                  \
    }                                                                                              \
    int proc_write_##name(struct proc_node *node, char *data, size_t length)                       \
    {                                                                                              \
        (void)node;                                                                                \
        (void)length;                                                                              \
        return write_limit(data, (least), (most), &object.field);                                  \
    }

#define NEXT_ID(name)                                                                              \
    int proc_show_##name(struct proc_node *node, struct text *out)                                 \
    {                                                                                              \
        (void)node;                                                                                \
        text_printf(out, "%d\n", atomic_load(&ipc_limits.name));                                   \
        return 0;                                                                                  \
    }                                                                                              \
    int proc_write_##name(struct proc_node *node, char *data, size_t length)                       \
    {                                                                                              \
        (void)node;                                                                                \
        (void)length;                                                                              \
        return write_next_id(data, &ipc_limits.name);                                              \
    }

LIMIT(shmmax, ipc_limits, shm_max, 0, UINT64_MAX)
LIMIT(shmall, ipc_limits, shm_all, 0, UINT64_MAX)
LIMIT(shmmni, ipc_limits, shm_mni, 0, IPC_MNI_MAX)
LIMIT(msgmax, ipc_limits, msg_max, 0, INT32_MAX)
LIMIT(msgmnb, ipc_limits, msg_mnb, 0, INT32_MAX)
LIMIT(msgmni, ipc_limits, msg_mni, 0, IPC_MNI_MAX)
LIMIT(mq_queues_max, mqueue_limits, queues_max, 0, INT32_MAX)
LIMIT(mq_msg_max, mqueue_limits, msg_max, 1, 65536)
LIMIT(mq_msg_default, mqueue_limits, msg_default, 1, 65536)
LIMIT(mq_msgsize_max, mqueue_limits, msgsize_max, 128, 16 * 1024 * 1024)
LIMIT(mq_msgsize_default, mqueue_limits, msgsize_default, 128, 16 * 1024 * 1024)
NEXT_ID(shm_next_id)
NEXT_ID(msg_next_id)
NEXT_ID(sem_next_id)

int proc_show_lease_break_time(struct proc_node *node, struct text *out)
{
    (void)node;
    text_printf(out, "%llu\n", (unsigned long long)atomic_load(&lease_break_time));
    return 0;
}

int proc_write_lease_break_time(struct proc_node *node, char *data, size_t length)
{
    (void)node;
    (void)length;
    return write_limit(data, 0, INT32_MAX, &lease_break_time);
}

int proc_show_sem(struct proc_node *node, struct text *out)
{
    (void)node;
    text_printf(out, "%llu\t%llu\t%llu\t%llu\n",
                (unsigned long long)atomic_load(&ipc_limits.sem_msl),
                (unsigned long long)atomic_load(&ipc_limits.sem_mns),
                (unsigned long long)atomic_load(&ipc_limits.sem_opm),
                (unsigned long long)atomic_load(&ipc_limits.sem_mni));
    return 0;
}

int proc_write_sem(struct proc_node *node, char *data, size_t length)
{
    _Atomic uint64_t *limits[] = {&ipc_limits.sem_msl, &ipc_limits.sem_mns, &ipc_limits.sem_opm,
                                  &ipc_limits.sem_mni};
    static const uint64_t most[] = {32000, INT32_MAX, 32000, IPC_MNI_MAX};
    (void)node;
    (void)length;
    for (size_t i = 0; i < array_size(limits); i++) {
        uint64_t value = 0;
        if (data[strspn(data, " \t\n")] == '\0') {
            return i == 0 ? -EINVAL : 0; /* fewer numbers change fewer limits */
        }
        int result = parse(&data, most[i], &value);
        if (result != 0) {
            return result;
        }
        atomic_store(limits[i], value);
    }
    return 0;
}
