/*
 * signal.c: queues, masks, dispositions, and sending. kernel_lock guards all of it.
 * Linux: kernel/signal.c (prepare_signal, complete_signal, send_signal_locked).
 */
#include "sentry/kernel/signal.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/signal_sets.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/landlock.h"

void signal_queue_init(struct signal_queue *queue)
{
    TAILQ_INIT(&queue->entries);
    queue->set = 0;
}

static void entry_free(struct signal_entry *entry)
{
    entry->queued = false;
    if (!entry->timer) {
        free(entry);
    }
}

void signal_queue_flush(struct signal_queue *queue)
{
    struct signal_entry *entry;
    struct signal_entry *next;
    TAILQ_FOREACH_SAFE (entry, &queue->entries, link, next) {
        TAILQ_REMOVE(&queue->entries, entry, link);
        entry_free(entry);
    }
    queue->set = 0;
}

/* Removes every pending instance of the signals in set. */
static void queue_remove_set(struct signal_queue *queue, uint64_t set)
{
    if ((queue->set & set) == 0) {
        return;
    }
    struct signal_entry *entry;
    struct signal_entry *next;
    TAILQ_FOREACH_SAFE (entry, &queue->entries, link, next) {
        if (SIGNAL_BIT(entry->info.si_signo) & set) {
            TAILQ_REMOVE(&queue->entries, entry, link);
            entry_free(entry);
        }
    }
    queue->set &= ~set;
}

struct sighand *sighand_new(void)
{
    struct sighand *sighand = calloc(1, sizeof(*sighand));
    if (sighand) {
        refcount_init(&sighand->ref);
    }
    return sighand;
}

struct sighand *sighand_copy(struct sighand *sighand)
{
    struct sighand *copy = sighand_new();
    if (copy) {
        mutex_lock(&kernel_lock);
        memcpy(copy->actions, sighand->actions, sizeof(copy->actions));
        mutex_unlock(&kernel_lock);
    }
    return copy;
}

struct sighand *sighand_ref(struct sighand *sighand)
{
    refcount_get(&sighand->ref);
    return sighand;
}

struct sighand *sighand_unref(struct sighand *sighand)
{
    if (sighand && refcount_put(&sighand->ref)) {
        free(sighand);
    }
    return NULL;
}

static bool is_ignored(struct process *process, int signo)
{
    uint64_t handler = process->sighand->actions[signo - 1].handler;
    return handler == (uint64_t)(uintptr_t)SIG_IGN ||
           (handler == 0 && (SIGNAL_BIT(signo) & SIGNALS_IGNORED_BY_DEFAULT));
}

/* Wakes threads of a stopped process; SIGCONT and SIGKILL do this even when blocked or ignored. */
static void continue_process(struct process *process)
{
    bool was_stopped = process->stop_requested;
    process->stop_requested = false;
    process->stop_reported = false;
    process->stop_signal = 0;
    struct task *task;
    TAILQ_FOREACH (task, &process->threads, thread_link) {
        task->ptrace.took_stop = false;
        task->ptrace.stop_valid = false;
        /* Linux: ptrace_trap_notify: a seized tracee tells that it would go on. */
        task->ptrace.trap_notify = task->ptrace.seized;
        if (task->stopped || task->ptrace.seized) {
            task_kick_locked(task);
        }
    }
    if (was_stopped) {
        process->continued = true;
        process_notify_parent_locked(process, SIGCHLD, CLD_CONTINUED, SIGCONT);
    }
}

/* Effects of generating a signal, before it is queued. False: it is dropped. */
static bool prepare_signal(struct process *process, struct task *task, int signo)
{
    struct task *each;
    if (SIGNAL_BIT(signo) & SIGNALS_STOP) {
        queue_remove_set(&process->pending, SIGNAL_BIT(SIGCONT));
        TAILQ_FOREACH (each, &process->threads, thread_link) {
            queue_remove_set(&each->pending, SIGNAL_BIT(SIGCONT));
        }
    } else if (signo == SIGCONT) {
        queue_remove_set(&process->pending, SIGNALS_STOP);
        TAILQ_FOREACH (each, &process->threads, thread_link) {
            queue_remove_set(&each->pending, SIGNALS_STOP);
        }
        continue_process(process);
    }
    if (!is_ignored(process, signo)) {
        return true;
    }
    /* A tracer sees ignored signals, too. */
    TAILQ_FOREACH (each, &process->threads, thread_link) {
        if (each->ptrace.tracer && (!task || task == each)) {
            return true;
        }
    }
    /* An ignored signal is kept only while it is blocked: the disposition may change. */
    if (task) {
        return ((task->signal_mask | (task->restore_mask ? task->saved_mask : 0)) &
                SIGNAL_BIT(signo)) != 0;
    }
    TAILQ_FOREACH (each, &process->threads, thread_link) {
        if (each->signal_mask & SIGNAL_BIT(signo)) {
            return true;
        }
    }
    return false;
}

static bool wants_signal(struct task *task, int signo)
{
    return !task->exiting && atomic_load(&task->state) < TASK_ZOMBIE &&
           !((task->signal_mask & ~task->wait_mask) & SIGNAL_BIT(signo));
}

/* Chooses a thread for a process-directed signal and wakes it. */
static void complete_signal(struct process *process, struct task *target, int signo)
{
    struct task *task;
    if (signo == SIGKILL) {
        process_group_exit_locked(process, SIGKILL);
        return;
    }
    if (target) {
        if (wants_signal(target, signo)) {
            task_kick_locked(target);
        }
        wait_queue_wake(&target->signal_wait, EPOLLIN);
        return;
    }
    struct task *chosen = NULL;
    TAILQ_FOREACH (task, &process->threads, thread_link) {
        if (wants_signal(task, signo) && (!chosen || task == process->leader)) {
            chosen = task;
        }
    }
    if (chosen) {
        task_kick_locked(chosen);
    }
    TAILQ_FOREACH (task, &process->threads, thread_link) {
        wait_queue_wake(&task->signal_wait, EPOLLIN);
    }
}

static uint64_t queue_length(const struct signal_queue *queue)
{
    uint64_t count = 0;
    struct signal_entry *entry;
    TAILQ_FOREACH (entry, &queue->entries, link) {
        count++;
    }
    return count;
}

static int enqueue(struct process *process, struct signal_queue *queue, int signo,
                   const siginfo_t *info)
{
    if (signo < SIGRTMIN_KERNEL && (queue->set & SIGNAL_BIT(signo))) {
        return 0; /* standard signals do not queue twice */
    }
    struct signal_entry *entry = NULL;
    if (signo < SIGRTMIN_KERNEL ||
        queue_length(queue) < process->limits[RLIMIT_SIGPENDING].rlim_cur) {
        entry = calloc(1, sizeof(*entry));
    }
    if (!entry) {
        if (signo >= SIGRTMIN_KERNEL && info && info->si_code != SI_USER) {
            return -EAGAIN;
        }
        queue->set |= SIGNAL_BIT(signo); /* delivered without its siginfo */
        return 0;
    }
    if (info) {
        entry->info = *info;
    } else {
        entry->info.si_code = SI_KERNEL;
    }
    entry->info.si_signo = signo;
    entry->queued = true;
    TAILQ_INSERT_TAIL(&queue->entries, entry, link);
    queue->set |= SIGNAL_BIT(signo);
    return 0;
}

static int send_locked(struct process *process, struct task *target, int signo,
                       const siginfo_t *info)
{
    if (process->state != PROCESS_RUNNING || process == init_process) {
        return 0;
    }
    if (!prepare_signal(process, target, signo)) {
        return 0;
    }
    int result = enqueue(process, target ? &target->pending : &process->pending, signo, info);
    if (result == 0) {
        complete_signal(process, target, signo);
    }
    return result;
}

int signal_send_task_locked(struct task *task, int signo, const siginfo_t *info)
{
    return send_locked(task->process, task, signo, info);
}

int signal_send_process_locked(struct process *process, int signo, const siginfo_t *info)
{
    return send_locked(process, NULL, signo, info);
}

int signal_send_task(struct task *task, int signo, const siginfo_t *info)
{
    mutex_lock(&kernel_lock);
    int result = signal_send_task_locked(task, signo, info);
    mutex_unlock(&kernel_lock);
    return result;
}

int signal_send_process(struct process *process, int signo, const siginfo_t *info)
{
    mutex_lock(&kernel_lock);
    int result = signal_send_process_locked(process, signo, info);
    mutex_unlock(&kernel_lock);
    return result;
}

int signal_send_group(int pgid, int signo, const siginfo_t *info)
{
    int result = -ESRCH;
    mutex_lock(&kernel_lock);
    struct process *process;
    TAILQ_FOREACH (process, &all_processes, all_link) {
        if (process->pgid == pgid && process->state != PROCESS_REAPED) {
            int sent = signo == 0 ? 0 : signal_send_process_locked(process, signo, info);
            result = result == 0 ? 0 : sent;
        }
    }
    mutex_unlock(&kernel_lock);
    return result;
}

/* A timer's own entry: queued at most once; otherwise the timer counts an overrun. (K) */
bool signal_send_timer_locked(struct process *process, struct task *target,
                              struct signal_entry *entry)
{
    if (entry->queued) {
        return false;
    }
    int signo = entry->info.si_signo;
    if (process->state != PROCESS_RUNNING || !prepare_signal(process, target, signo)) {
        return true;
    }
    struct signal_queue *queue = target ? &target->pending : &process->pending;
    entry->queued = true;
    TAILQ_INSERT_TAIL(&queue->entries, entry, link);
    queue->set |= SIGNAL_BIT(signo);
    complete_signal(process, target, signo);
    return true;
}

/* Takes a timer's entry out of whatever queue it is in. (K) */
void signal_cancel_timer_locked(struct process *process, struct signal_entry *entry)
{
    if (!entry->queued) {
        return;
    }
    struct signal_queue *queues[1] = {&process->pending};
    struct task *task = NULL;
    struct signal_queue *queue = queues[0];
    for (;;) {
        struct signal_entry *each;
        bool others = false;
        bool found = false;
        TAILQ_FOREACH (each, &queue->entries, link) {
            found = found || each == entry;
            others = others || (each != entry && each->info.si_signo == entry->info.si_signo);
        }
        if (found) {
            TAILQ_REMOVE(&queue->entries, entry, link);
            entry->queued = false;
            if (!others) {
                queue->set &= ~SIGNAL_BIT(entry->info.si_signo);
            }
            return;
        }
        task = task ? TAILQ_NEXT(task, thread_link) : TAILQ_FIRST(&process->threads);
        if (!task) {
            entry->queued = false;
            return;
        }
        queue = &task->pending;
    }
}

bool signal_may_send(struct process *target, int signo)
{
    const struct cred *cred = current.cred;
    struct task *leader = target->leader;
    if (!leader || !leader->cred || target == current.task->process) {
        return true;
    }
    const struct cred *other = leader->cred;
    if (!landlock_may_reach(other, LANDLOCK_SCOPE_SIGNALS)) {
        return false;
    }
    if (cred->euid == other->suid || cred->euid == other->uid || cred->uid == other->suid ||
        cred->uid == other->uid || cred_capable(cred, CAP_KILL)) {
        return true;
    }
    return signo == SIGCONT && target->session == current.task->process->session;
}

void signal_info_user(siginfo_t *info, int signo, int code)
{
    memset(info, 0, sizeof(*info));
    info->si_signo = signo;
    info->si_code = code;
    info->si_pid = current.tgid;
    info->si_uid = current.cred->uid;
}

static void force_locked(struct task *task, const siginfo_t *info)
{
    int signo = info->si_signo;
    struct linux_sigaction *action = &task->process->sighand->actions[signo - 1];
    bool blocked = (task->signal_mask & SIGNAL_BIT(signo)) != 0;
    if (blocked || action->handler == (uint64_t)(uintptr_t)SIG_IGN) {
        action->handler = (uint64_t)(uintptr_t)SIG_DFL;
        task->signal_mask &= ~SIGNAL_BIT(signo);
    }
    queue_remove_set(&task->pending, SIGNAL_BIT(signo));
    if (enqueue(task->process, &task->pending, signo, info) == 0) {
        task->forced_signal = signo; /* taken before any other: its registers are these */
        atomic_store(&task->work, true);
    }
}

void signal_force(struct task *task, const siginfo_t *info)
{
    mutex_lock(&kernel_lock);
    force_locked(task, info);
    mutex_unlock(&kernel_lock);
}

void signal_force_fault(struct task *task, const struct platform_fault *fault)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    info.si_signo = fault->signo;
    info.si_code = fault->code;
    info.si_addr = (void *)(uintptr_t)fault->addr;
    task->fault_trapno = fault->trapno;
    task->fault_error = fault->err;
    task->fault_cr2 = fault->cr2;
    signal_force(task, &info);
}

void signal_set_mask(struct task *task, uint64_t mask)
{
    mutex_lock(&kernel_lock);
    uint64_t newly_blocked = mask & ~task->signal_mask;
    task->signal_mask = mask & ~SIGNALS_UNBLOCKABLE;
    if ((task->pending.set | task->process->pending.set) & ~task->signal_mask) {
        atomic_store(&task->work, true);
    }
    /* A process-directed signal chosen for this thread may now need another one. */
    uint64_t handed = task->process->pending.set & newly_blocked;
    if (handed) {
        struct task *other;
        TAILQ_FOREACH (other, &task->process->threads, thread_link) {
            if (other != task && (handed & ~other->signal_mask)) {
                task_kick_locked(other);
            }
        }
    }
    mutex_unlock(&kernel_lock);
}

void signal_set_temporary_mask(struct task *task, uint64_t mask)
{
    mutex_lock(&kernel_lock);
    task->saved_mask = task->signal_mask;
    task->restore_mask = true;
    mutex_unlock(&kernel_lock);
    signal_set_mask(task, mask);
    atomic_store(&task->work, true);
}

uint64_t signal_pending_set(struct task *task)
{
    mutex_lock(&kernel_lock);
    uint64_t set = task->pending.set | task->process->pending.set;
    mutex_unlock(&kernel_lock);
    return set;
}

static bool take_from(struct signal_queue *queue, int signo, siginfo_t *ret_info)
{
    if (!(queue->set & SIGNAL_BIT(signo))) {
        return false;
    }
    struct signal_entry *entry;
    struct signal_entry *found = NULL;
    bool more = false;
    TAILQ_FOREACH (entry, &queue->entries, link) {
        if (entry->info.si_signo == signo) {
            if (found) {
                more = true;
                break;
            }
            found = entry;
        }
    }
    if (!more) {
        queue->set &= ~SIGNAL_BIT(signo);
    }
    if (!found) {
        memset(ret_info, 0, sizeof(*ret_info));
        ret_info->si_signo = signo;
        ret_info->si_code = SI_USER;
        return true;
    }
    *ret_info = found->info;
    TAILQ_REMOVE(&queue->entries, found, link);
    found->queued = false;
    if (found->timer) {
        posix_timer_delivered_locked(found->timer, ret_info);
    } else {
        free(found);
    }
    return true;
}

/* Linux: next_signal: synchronous faults first, then the lowest number. */
int signal_dequeue_locked(struct task *task, uint64_t set, siginfo_t *ret_info)
{
    struct signal_queue *queues[] = {&task->pending, &task->process->pending};
    if (task->forced_signal != 0) {
        int signo = task->forced_signal;
        task->forced_signal = 0;
        if ((set & SIGNAL_BIT(signo)) && take_from(&task->pending, signo, ret_info)) {
            return signo;
        }
    }
    for (size_t i = 0; i < array_size(queues); i++) {
        uint64_t ready = queues[i]->set & set;
        if (ready == 0) {
            continue;
        }
        uint64_t synchronous = ready & SIGNALS_SYNCHRONOUS;
        int signo = __builtin_ctzll(synchronous ? synchronous : ready) + 1;
        if (take_from(queues[i], signo, ret_info)) {
            return signo;
        }
    }
    return 0;
}

int signal_dequeue(struct task *task, uint64_t set, siginfo_t *ret_info)
{
    mutex_lock(&kernel_lock);
    int signo = signal_dequeue_locked(task, set, ret_info);
    mutex_unlock(&kernel_lock);
    return signo;
}

int signal_set_action(struct process *process, int signo, const struct linux_sigaction *action,
                      struct linux_sigaction *ret_old)
{
    if (signo < 1 || signo > SIGNAL_COUNT ||
        (action && (SIGNAL_BIT(signo) & SIGNALS_UNBLOCKABLE))) {
        return -EINVAL;
    }
    mutex_lock(&kernel_lock);
    struct linux_sigaction *slot = &process->sighand->actions[signo - 1];
    *ret_old = *slot;
    if (action) {
        *slot = *action;
        slot->mask &= ~SIGNALS_UNBLOCKABLE;
        if (is_ignored(process, signo)) {
            /* POSIX: a pending signal is discarded when its action becomes "ignore". */
            queue_remove_set(&process->pending, SIGNAL_BIT(signo));
            struct task *task;
            TAILQ_FOREACH (task, &process->threads, thread_link) {
                queue_remove_set(&task->pending, SIGNAL_BIT(signo));
            }
        }
    }
    mutex_unlock(&kernel_lock);
    return 0;
}

void signal_reset_actions(struct process *process)
{
    mutex_lock(&kernel_lock);
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        struct linux_sigaction *action = &process->sighand->actions[i];
        bool ignored = action->handler == (uint64_t)(uintptr_t)SIG_IGN;
        *action = (struct linux_sigaction){.handler = ignored ? (uint64_t)(uintptr_t)SIG_IGN : 0};
    }
    mutex_unlock(&kernel_lock);
}
