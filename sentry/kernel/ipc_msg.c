/*
 * ipc_msg.c: System V message queues. A sender hands its message to the first waiting receiver that
 * wants it; else it stands in the queue. Linux: ipc/msg.c.
 */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/queue.h"
#include "platform/base/refcount.h"
#include "platform/base/text.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/kernel/ipc_table.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"

#define WAITING 1

struct ipc_message {
    TAILQ_ENTRY(ipc_message) link;
    long type;
    size_t length;
    char text[];
};

/* Which messages a receiver wants. */
enum wanted { ANY, EQUAL, NOT_EQUAL, UP_TO, NUMBER };

struct msg_receiver {
    TAILQ_ENTRY(msg_receiver) link;
    struct task *task;
    enum wanted wanted;
    long type;
    uint64_t size; /* UINT64_MAX with MSG_NOERROR */
    struct ipc_message *message;
    int status;
};

struct msg_sender {
    TAILQ_ENTRY(msg_sender) link;
    struct task *task;
    bool queued;
};

struct msg_queue {
    struct ipc_object object;
    struct refcount ref; /* the table, and sleeping tasks */
    TAILQ_HEAD(, ipc_message) messages;
    TAILQ_HEAD(, msg_receiver) receivers;
    TAILQ_HEAD(, msg_sender) senders;
    uint64_t bytes, count, most_bytes;
    int64_t sent, received; /* seconds */
    int last_sender, last_receiver;
};

static struct ipc_table msg_table = IPC_TABLE_INIT(RANK_OBJECT, msg_mni, msg_next_id);
static uint64_t total_bytes, total_count; /* under msg_table.lock */

static struct msg_queue *find_locked(int id)
{
    struct ipc_object *object = ipc_find_locked(&msg_table, id);
    return object ? container_of(object, struct msg_queue, object) : NULL;
}

struct ipc_message *ipc_message_new(long type, size_t length)
{
    int64_t bytes = (int64_t)(sizeof(struct ipc_message) + length);
    if (kernel_charge(bytes) != 0) {
        return NULL;
    }
    struct ipc_message *message = malloc((size_t)bytes);
    if (!message) {
        ignore_result(kernel_charge(-bytes));
        return NULL;
    }
    message->type = type;
    message->length = length;
    return message;
}

void ipc_message_free(struct ipc_message *message)
{
    if (message) {
        ignore_result(kernel_charge(-(int64_t)(sizeof(*message) + message->length)));
        free(message);
    }
}

long ipc_message_type(const struct ipc_message *message)
{
    return message->type;
}

size_t ipc_message_length(const struct ipc_message *message)
{
    return message->length;
}

char *ipc_message_text(struct ipc_message *message)
{
    return message->text;
}

static void queue_unref(struct msg_queue *queue)
{
    if (refcount_put(&queue->ref)) {
        free(queue);
    }
}

int ipc_msg_get(int key, int flags)
{
    int result = 0;
    mutex_lock(&msg_table.lock);
    struct ipc_object *object = ipc_by_key_locked(&msg_table, key, flags, &result);
    struct msg_queue *queue = NULL;
    if (object) {
        result = ipc_permission(object, flags);
        result = result != 0 ? result : object->id;
    } else if (result == 0) {
        queue = calloc(1, sizeof(*queue));
        result = queue ? ipc_add_locked(&msg_table, &queue->object, key, flags) : -ENOMEM;
    }
    if (queue && result >= 0) {
        refcount_init(&queue->ref);
        TAILQ_INIT(&queue->messages);
        TAILQ_INIT(&queue->receivers);
        TAILQ_INIT(&queue->senders);
        queue->most_bytes = atomic_load(&ipc_limits.msg_mnb);
    } else {
        free(queue);
    }
    mutex_unlock(&msg_table.lock);
    return result;
}

static bool wants(const struct msg_receiver *receiver, const struct ipc_message *message)
{
    switch (receiver->wanted) {
    case EQUAL:
        return message->type == receiver->type;
    case NOT_EQUAL:
        return message->type != receiver->type;
    case UP_TO:
        return message->type <= receiver->type;
    default:
        return true;
    }
}

static void wake_senders(struct msg_queue *queue)
{
    struct msg_sender *sender;
    while ((sender = TAILQ_FIRST(&queue->senders))) {
        TAILQ_REMOVE(&queue->senders, sender, link);
        sender->queued = false;
        sleeper_wake(&sender->task->sleeper);
    }
}

static void finish_receiver(struct msg_queue *queue, struct msg_receiver *receiver, int status)
{
    TAILQ_REMOVE(&queue->receivers, receiver, link);
    receiver->status = status;
    sleeper_wake(&receiver->task->sleeper);
}

/* Hands the message to a waiting receiver. Linux: pipelined_send. */
static bool hand_over(struct msg_queue *queue, struct ipc_message *message)
{
    struct msg_receiver *receiver;
    struct msg_receiver *next;
    TAILQ_FOREACH_SAFE (receiver, &queue->receivers, link, next) {
        if (receiver->wanted == NUMBER || !wants(receiver, message)) {
            continue;
        }
        if (receiver->size < message->length) {
            finish_receiver(queue, receiver, -E2BIG);
            continue;
        }
        receiver->message = message;
        queue->last_receiver = receiver->task->process->tgid;
        queue->received = ipc_now();
        finish_receiver(queue, receiver, 0);
        return true;
    }
    return false;
}

static bool fits(const struct msg_queue *queue, const struct ipc_message *message)
{
    return message->length + queue->bytes <= queue->most_bytes &&
           queue->count + 1 <= queue->most_bytes;
}

static void put_locked(struct msg_queue *queue, struct ipc_message *message)
{
    queue->last_sender = current.tgid;
    queue->sent = ipc_now();
    if (hand_over(queue, message)) {
        return;
    }
    TAILQ_INSERT_TAIL(&queue->messages, message, link);
    queue->bytes += message->length;
    queue->count++;
    total_bytes += message->length;
    total_count++;
}

int ipc_msg_send(int id, struct ipc_message *message, int flags)
{
    struct msg_sender sender = {.task = current_task()};
    task_sleep_prepare();
    mutex_lock(&msg_table.lock);
    struct msg_queue *queue = find_locked(id);
    int result = queue ? 0 : -EINVAL;
    if (queue) {
        refcount_get(&queue->ref);
    }
    while (result == 0) {
        result = queue->object.removed ? -EIDRM : ipc_permission(&queue->object, 0222);
        if (result == 0 && fits(queue, message)) {
            put_locked(queue, message);
            break;
        }
        if (result == 0 && (flags & IPC_NOWAIT)) {
            result = -EAGAIN;
        }
        if (result != 0) {
            break;
        }
        sender.queued = true;
        TAILQ_INSERT_TAIL(&queue->senders, &sender, link);
        mutex_unlock(&msg_table.lock);
        result = task_sleep(SLEEP_FOREVER) == -ERESTARTSYS ? -ERESTARTNOHAND : 0;
        task_sleep_prepare();
        mutex_lock(&msg_table.lock);
        if (sender.queued) {
            TAILQ_REMOVE(&queue->senders, &sender, link);
            sender.queued = false;
        } else if (queue->object.removed) {
            result = -EIDRM;
        }
    }
    mutex_unlock(&msg_table.lock);
    if (queue) {
        queue_unref(queue);
    }
    return result;
}

/* The message that the receiver gets, or NULL. */
static struct ipc_message *find_message(struct msg_queue *queue,
                                        const struct msg_receiver *receiver)
{
    struct ipc_message *found = NULL;
    struct ipc_message *message;
    long number = 0;
    TAILQ_FOREACH (message, &queue->messages, link) {
        if (receiver->wanted == NUMBER) {
            if (number++ == receiver->type) {
                return message;
            }
        } else if (wants(receiver, message)) {
            if (receiver->wanted != UP_TO) {
                return message;
            }
            found = !found || message->type < found->type ? message : found;
        }
    }
    return found;
}

static struct msg_receiver receiver_of(uint64_t size, long type, int flags)
{
    struct msg_receiver receiver = {.task = current_task(), .type = type, .status = WAITING};
    receiver.size = flags & MSG_NOERROR ? UINT64_MAX : size;
    if (flags & MSG_COPY) {
        receiver.wanted = NUMBER;
    } else if (type == 0) {
        receiver.wanted = ANY;
    } else if (type < 0) {
        receiver.wanted = UP_TO;
        receiver.type = type == LONG_MIN ? LONG_MAX : -type;
    } else {
        receiver.wanted = flags & MSG_EXCEPT ? NOT_EQUAL : EQUAL;
    }
    return receiver;
}

/* Takes the message out of the queue, or copies it. */
static int take_locked(struct msg_queue *queue, struct ipc_message *message, uint64_t size,
                       int flags, struct ipc_message **ret_message)
{
    if (size < message->length && !(flags & MSG_NOERROR)) {
        return -E2BIG;
    }
    if (flags & MSG_COPY) {
        if (size < message->length) {
            return -EINVAL; /* Linux: a copy is whole or none */
        }
        struct ipc_message *copy = ipc_message_new(message->type, message->length);
        if (!copy) {
            return -ENOMEM;
        }
        memcpy(copy->text, message->text, message->length);
        *ret_message = copy;
        return 0;
    }
    TAILQ_REMOVE(&queue->messages, message, link);
    queue->count--;
    queue->bytes -= message->length;
    total_count--;
    total_bytes -= message->length;
    queue->received = ipc_now();
    queue->last_receiver = current.tgid;
    wake_senders(queue);
    *ret_message = message;
    return 0;
}

/* Sleeps until a sender, or the queue's end, has finished the receiver. */
static int wait_for(struct msg_queue *queue, struct msg_receiver *receiver,
                    struct ipc_message **ret_message)
{
    for (;;) {
        int result = task_sleep(SLEEP_FOREVER);
        task_sleep_prepare();
        mutex_lock(&msg_table.lock);
        int status = receiver->status;
        if (status == WAITING && result == -ERESTARTSYS) {
            TAILQ_REMOVE(&queue->receivers, receiver, link);
            status = -ERESTARTNOHAND;
        }
        mutex_unlock(&msg_table.lock);
        if (status != WAITING) {
            *ret_message = receiver->message;
            return status;
        }
    }
}

int ipc_msg_receive(int id, uint64_t size, long type, int flags, struct ipc_message **ret_message)
{
    struct msg_receiver receiver = receiver_of(size, type, flags);
    for (;;) {
        task_sleep_prepare();
        mutex_lock(&msg_table.lock);
        struct msg_queue *queue = find_locked(id);
        int result = queue ? ipc_permission(&queue->object, 0444) : -EINVAL;
        struct ipc_message *message = result == 0 ? find_message(queue, &receiver) : NULL;
        if (message) {
            result = take_locked(queue, message, size, flags, ret_message);
        } else if (result == 0 && (flags & IPC_NOWAIT)) {
            result = -ENOMSG;
        } else if (result == 0) {
            refcount_get(&queue->ref);
            receiver.status = WAITING;
            TAILQ_INSERT_TAIL(&queue->receivers, &receiver, link);
            mutex_unlock(&msg_table.lock);
            result = wait_for(queue, &receiver, ret_message);
            queue_unref(queue);
            if (result == -EAGAIN) {
                continue; /* the queue was changed: look again */
            }
            return result;
        }
        mutex_unlock(&msg_table.lock);
        return result;
    }
}

int ipc_msg_stat(int id, int cmd, struct msqid_ds *ret_ds)
{
    memset(ret_ds, 0, sizeof(*ret_ds));
    mutex_lock(&msg_table.lock);
    struct ipc_object *object = ipc_find_for_stat_locked(&msg_table, id, cmd != IPC_STAT);
    int result = object ? 0 : -EINVAL;
    if (object && cmd != MSG_STAT_ANY) {
        result = ipc_permission(object, 0444);
    }
    if (result == 0) {
        const struct msg_queue *queue = container_of(object, struct msg_queue, object);
        ipc_get_perm(object, &ret_ds->msg_perm);
        ret_ds->msg_stime = queue->sent;
        ret_ds->msg_rtime = queue->received;
        ret_ds->msg_ctime = object->changed;
        ret_ds->__msg_cbytes = queue->bytes;
        ret_ds->msg_qnum = queue->count;
        ret_ds->msg_qbytes = queue->most_bytes;
        ret_ds->msg_lspid = queue->last_sender;
        ret_ds->msg_lrpid = queue->last_receiver;
        result = cmd == IPC_STAT ? 0 : object->id;
    }
    mutex_unlock(&msg_table.lock);
    return result;
}

static void finish_all(struct msg_queue *queue, int status)
{
    struct msg_receiver *receiver;
    while ((receiver = TAILQ_FIRST(&queue->receivers))) {
        finish_receiver(queue, receiver, status);
    }
    wake_senders(queue);
}

int ipc_msg_set(int id, const struct msqid_ds *ds)
{
    mutex_lock(&msg_table.lock);
    struct msg_queue *queue = find_locked(id);
    int result = queue ? ipc_owner_check(&queue->object) : -EINVAL;
    if (result == 0 && ds->msg_qbytes > atomic_load(&ipc_limits.msg_mnb) &&
        !capable(CAP_SYS_RESOURCE)) {
        result = -EPERM;
    }
    if (result == 0) {
        result = ipc_set_perm(&queue->object, &ds->msg_perm);
    }
    if (result == 0) {
        queue->most_bytes = ds->msg_qbytes;
        finish_all(queue, -EAGAIN); /* they may not be permitted any more */
    }
    mutex_unlock(&msg_table.lock);
    return result;
}

int ipc_msg_remove(int id)
{
    struct ipc_message *message;
    struct ipc_message *next;
    mutex_lock(&msg_table.lock);
    struct msg_queue *queue = find_locked(id);
    int result = queue ? ipc_owner_check(&queue->object) : -EINVAL;
    if (result == 0) {
        ipc_remove_locked(&msg_table, &queue->object);
        finish_all(queue, -EIDRM);
        total_bytes -= queue->bytes;
        total_count -= queue->count;
        TAILQ_FOREACH_SAFE (message, &queue->messages, link, next) {
            ipc_message_free(message);
        }
    }
    mutex_unlock(&msg_table.lock);
    if (result == 0) {
        queue_unref(queue);
    }
    return result;
}

int ipc_msg_info(int cmd, struct msginfo *ret_info)
{
    int mni = (int)atomic_load(&ipc_limits.msg_mni);
    int mnb = (int)atomic_load(&ipc_limits.msg_mnb);
    mutex_lock(&msg_table.lock);
    bool usage = cmd == MSG_INFO;
    *ret_info = (struct msginfo){
        .msgpool = usage ? msg_table.in_use : 32000 * 16384 / 1024,
        .msgmap = usage ? (int)min_of(total_count, (uint64_t)INT_MAX) : 16384,
        .msgmax = (int)atomic_load(&ipc_limits.msg_max),
        .msgmnb = mnb,
        .msgmni = mni,
        .msgssz = 16,
        .msgtql = usage ? (int)min_of(total_bytes, (uint64_t)INT_MAX) : 16384,
        .msgseg = 0xffff,
    };
    int highest = ipc_highest_locked(&msg_table);
    mutex_unlock(&msg_table.lock);
    return highest;
}

int ipc_msg_show(struct text *out)
{
    text_puts(out, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  "
                   "cuid  cgid      stime      rtime      ctime\n");
    mutex_lock(&msg_table.lock);
    for (int i = 0; i < msg_table.capacity; i++) {
        const struct ipc_object *o = msg_table.slots[i];
        if (o) {
            const struct msg_queue *q = container_of(o, struct msg_queue, object);
            text_printf(out,
                        "%10d %10d  %4o  %10llu %10llu %5d %5d %5u %5u %5u %5u %10lld %10lld "
                        "%10lld\n",
                        o->key, o->id, o->mode, (unsigned long long)q->bytes,
                        (unsigned long long)q->count, q->last_sender, q->last_receiver, o->uid,
                        o->gid, o->cuid, o->cgid, (long long)q->sent, (long long)q->received,
                        (long long)o->changed);
        }
    }
    mutex_unlock(&msg_table.lock);
    return 0;
}
