/*
 * task.c: tasks and processes as objects, the tables that find them, and sleeping.
 */
#include "sentry/kernel/task.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/fs_context.h"

#define PID_MAX 4194304 /* Linux: PID_MAX_LIMIT on 64 bits */

struct mutex kernel_lock;
struct process_list all_processes = TAILQ_HEAD_INITIALIZER(all_processes);
struct process *init_process;

static struct task *task_table; /* (K) uthash by tid; also zombies' leaders */
static int last_pid;            /* (K) */

int pid_get_last(void)
{
    mutex_lock(&kernel_lock);
    int pid = last_pid;
    mutex_unlock(&kernel_lock);
    return pid;
}

int pid_set_last(long pid)
{
    if (pid < 0 || pid >= PID_MAX) {
        return -EINVAL;
    }
    mutex_lock(&kernel_lock);
    last_pid = (int)pid;
    mutex_unlock(&kernel_lock);
    return 0;
}

int pid_allocate_locked(void)
{
    for (int tries = 0; tries < PID_MAX; tries++) {
        last_pid = last_pid + 1 >= PID_MAX ? 300 : last_pid + 1;
        if (!task_find_locked(last_pid) && !process_find_locked(last_pid)) {
            return last_pid;
        }
    }
    return -EAGAIN;
}

struct task *task_find_locked(int tid)
{
    struct task *task = NULL;
    HASH_FIND_INT(task_table, &tid, task);
    return task;
}

struct task *task_find(int tid)
{
    mutex_lock(&kernel_lock);
    struct task *task = task_find_locked(tid);
    if (task) {
        task_ref(task);
    }
    mutex_unlock(&kernel_lock);
    return task;
}

struct process *process_find_locked(int tgid)
{
    if (init_process && tgid == init_process->tgid) {
        return init_process;
    }
    struct task *task = task_find_locked(tgid);
    return task && task->process->tgid == tgid ? task->process : NULL;
}

struct process *process_find(int tgid)
{
    mutex_lock(&kernel_lock);
    struct process *process = process_find_locked(tgid);
    if (process) {
        process_ref(process);
    }
    mutex_unlock(&kernel_lock);
    return process;
}

void task_publish_locked(struct task *task, int tid)
{
    task->tid = tid;
    HASH_ADD_INT(task_table, tid, task);
    task_ref(task);
}

void task_unpublish_locked(struct task *task)
{
    HASH_DEL(task_table, task);
    task_unref(task);
}

void task_rekey_locked(struct task *task, int tid)
{
    HASH_DEL(task_table, task);
    task->tid = tid;
    HASH_ADD_INT(task_table, tid, task);
}

void process_publish_locked(struct process *process)
{
    TAILQ_INSERT_TAIL(&all_processes, process, all_link);
    process_ref(process);
}

struct session *session_new(int sid)
{
    struct session *session = calloc(1, sizeof(*session));
    if (session) {
        refcount_init(&session->ref);
        session->sid = sid;
        session->has_leader = true;
    }
    return session;
}

struct session *session_ref(struct session *session)
{
    refcount_get(&session->ref);
    return session;
}

struct session *session_unref(struct session *session)
{
    if (session && refcount_put(&session->ref)) {
        free(session);
    }
    return NULL;
}

struct process *process_new(struct process *parent)
{
    struct process *process = calloc(1, sizeof(*process));
    if (!process) {
        return NULL;
    }
    refcount_init(&process->ref);
    TAILQ_INIT(&process->threads);
    TAILQ_INIT(&process->children);
    TAILQ_INIT(&process->timers);
    signal_queue_init(&process->pending);
    wait_queue_init(&process->child_wait);
    wait_queue_init(&process->exit_wait);
    timer_init(&process->real_timer, itimer_real_fired);
    process->start_ns = clock_ns(CLOCK_BOOTTIME);
    if (parent) {
        mutex_lock(&kernel_lock);
        memcpy(process->limits, parent->limits, sizeof(process->limits));
        mutex_unlock(&kernel_lock);
        process->personality = parent->personality;
    }
    return process;
}

struct process *process_ref(struct process *process)
{
    refcount_get(&process->ref);
    return process;
}

struct process *process_unref(struct process *process)
{
    if (process && refcount_put(&process->ref)) {
        signal_queue_flush(&process->pending);
        sighand_unref(process->sighand);
        session_unref(process->session);
        wait_queue_fini(&process->child_wait);
        wait_queue_fini(&process->exit_wait);
        free(process);
    }
    return NULL;
}

struct task *task_new(struct process *process)
{
    struct task *task = calloc(1, sizeof(*task));
    if (!task) {
        return NULL;
    }
    refcount_init(&task->ref);
    task->process = process_ref(process);
    sleeper_init(&task->sleeper);
    task->sleeper.owner = task;
    signal_queue_init(&task->pending);
    wait_queue_init(&task->signal_wait);
    TAILQ_INIT(&task->ptrace.tracees);
    task->altstack_flags = SS_DISABLE;
    task->syscall_nr = -1;
    task->start_ns = clock_ns(CLOCK_BOOTTIME);
    task->timer_slack_ns = task->default_slack_ns = 50000;
    return task;
}

struct task *task_ref(struct task *task)
{
    refcount_get(&task->ref);
    return task;
}

struct task *task_unref(struct task *task)
{
    if (task && refcount_put(&task->ref)) {
        signal_queue_flush(&task->pending);
        wait_queue_fini(&task->signal_wait);
        cred_unref(task->cred);
        process_unref(task->process);
        free(task);
    }
    return NULL;
}

/* The task is asleep and stays so until its waker is done: see sleeper_wake's callers. */
void task_before_wake(struct sleeper *sleeper)
{
    struct task *task = sleeper->owner;
    struct platform_thread *thread = task->platform_thread;
    if (thread && kernel.platform_ops->thread_bring) {
        kernel.platform_ops->thread_bring(thread);
    }
}

void task_kick_locked(struct task *task)
{
    atomic_store(&task->work, true);
    sleeper_wake(&task->sleeper);
    if (atomic_load(&task->in_guest) && task->platform_thread) {
        kernel.platform_ops->thread_interrupt(task->platform_thread);
    }
}

void task_sleep_prepare(void)
{
    sleeper_prepare(&current.task->sleeper);
}

bool task_signal_pending(struct task *task)
{
    if (!atomic_load(&task->work)) {
        return false;
    }
    mutex_lock(&kernel_lock);
    bool pending = task->exiting || ptrace_trap_pending_locked(task) ||
                   (task->process->stop_requested && !task->ptrace.took_stop) ||
                   ((task->pending.set | task->process->pending.set) &
                    ~(task->signal_mask & ~task->wait_mask)) != 0;
    mutex_unlock(&kernel_lock);
    return pending;
}

/* Arguments, stack and instruction: what /proc tells of a sleeping task. */
static void note_sleep_registers(struct task *task)
{
    const struct arch_regs *regs = &task->regs;
    const uint64_t now[] = {regs->rdi, regs->rsi, regs->rdx, regs->r10,
                            regs->r8,  regs->r9,  regs->rsp, regs->rip};
    _Static_assert(sizeof(now) == sizeof(task->sleep_regs), "in the order of task_sleep_registers");
    for (size_t i = 0; i < array_size(now); i++) {
        atomic_store_explicit(&task->sleep_regs[i], now[i], memory_order_relaxed);
    }
}

void task_complete_registers(struct task *task)
{
    if (kernel.platform_ops->thread_complete && task->platform_thread) {
        ignore_result(kernel.platform_ops->thread_complete(task->platform_thread, &task->regs));
    }
}

void task_sleep_registers(struct task *task, struct arch_regs *ret_regs)
{
    if (task == current.task) {
        task_complete_registers(task);
        note_sleep_registers(task);
    }
    uint64_t seen[array_size(task->sleep_regs)];
    for (size_t i = 0; i < array_size(seen); i++) {
        seen[i] = atomic_load_explicit(&task->sleep_regs[i], memory_order_relaxed);
    }
    *ret_regs = (struct arch_regs){.rdi = seen[0],
                                   .rsi = seen[1],
                                   .rdx = seen[2],
                                   .r10 = seen[3],
                                   .r8 = seen[4],
                                   .r9 = seen[5],
                                   .rsp = seen[6],
                                   .rip = seen[7]};
}

static int sleep_common(uint64_t deadline_ns)
{
    struct task *task = current.task;
    lock_assert_none_held("sleeping with a lock held");
    note_sleep_registers(task);
    atomic_store(&task->state, TASK_SLEEPING);
    bool hinting = task->platform_thread && kernel.platform_ops->thread_rest;
    if (hinting) {
        kernel.platform_ops->thread_rest(task->platform_thread, true);
    }
    bool woken = sleeper_wait(&task->sleeper, deadline_ns);
    if (hinting) {
        kernel.platform_ops->thread_rest(task->platform_thread, false);
    }
    atomic_store(&task->state, TASK_RUNNING);
    task->voluntary_switches++;
    return woken ? 0 : -ETIMEDOUT;
}

int task_sleep(uint64_t deadline_ns)
{
    struct task *task = current.task;
    if (task_signal_pending(task)) {
        return -ERESTARTSYS;
    }
    int result = sleep_common(deadline_ns);
    return task_signal_pending(task) ? -ERESTARTSYS : result;
}

int task_sleep_killable(uint64_t deadline_ns)
{
    struct task *task = current.task;
    mutex_lock(&kernel_lock);
    bool dying = task->exiting;
    mutex_unlock(&kernel_lock);
    return dying ? -ERESTARTNOINTR : sleep_common(deadline_ns);
}

void task_set_cred(const struct cred *cred)
{
    struct task *task = current.task;
    mutex_lock(&kernel_lock);
    const struct cred *old = task->cred;
    task->cred = cred;
    mutex_unlock(&kernel_lock);
    current.cred = cred;
    cred_unref(old);
}

uint64_t task_limit(int resource)
{
    mutex_lock(&kernel_lock);
    uint64_t limit = current.task->process->limits[resource].rlim_cur;
    mutex_unlock(&kernel_lock);
    return limit;
}

void task_cpu_time(struct task *task, uint64_t *ret_user, uint64_t *ret_system)
{
    *ret_user = atomic_load(&task->user_ns);
    *ret_system = atomic_load(&task->system_ns);
    mutex_assert_held(&kernel_lock);
    if (task->platform_thread &&
        kernel.platform_ops->thread_cpu_time(task->platform_thread, ret_user, ret_system) == 0) {
        *ret_user += task->base_user_ns;
        *ret_system += task->base_system_ns;
    }
}

void process_cpu_time(struct process *process, uint64_t *ret_user, uint64_t *ret_system)
{
    uint64_t user = process->user_ns;
    uint64_t system = process->system_ns;
    struct task *task;
    TAILQ_FOREACH (task, &process->threads, thread_link) {
        uint64_t task_user;
        uint64_t task_system;
        task_cpu_time(task, &task_user, &task_system);
        user += task_user;
        system += task_system;
    }
    *ret_user = user;
    *ret_system = system;
}

/* One writer, the task itself: no read-modify-write is needed. */
static void add(_Atomic uint64_t *counter, uint64_t count)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + count,
                          memory_order_relaxed);
}

void task_count_read(struct task *task, ssize_t result)
{
    add(&task->io_reads, 1);
    if (result > 0) {
        add(&task->io_read_bytes, (uint64_t)result);
    }
}

void task_count_write(struct task *task, ssize_t result)
{
    add(&task->io_writes, 1);
    if (result > 0) {
        add(&task->io_written_bytes, (uint64_t)result);
    }
}

void task_io(struct task *task, struct io_counts *ret_io)
{
    *ret_io = (struct io_counts){.read_bytes = atomic_load(&task->io_read_bytes),
                                 .written_bytes = atomic_load(&task->io_written_bytes),
                                 .reads = atomic_load(&task->io_reads),
                                 .writes = atomic_load(&task->io_writes)};
}

static void io_add(struct io_counts *sum, const struct io_counts *part)
{
    sum->read_bytes += part->read_bytes;
    sum->written_bytes += part->written_bytes;
    sum->reads += part->reads;
    sum->writes += part->writes;
}

void process_io(struct process *process, struct io_counts *ret_io)
{
    struct task *task;
    *ret_io = process->io;
    TAILQ_FOREACH (task, &process->threads, thread_link) {
        struct io_counts io;
        task_io(task, &io);
        io_add(ret_io, &io);
    }
}

void process_keep_io_locked(struct task *task)
{
    struct io_counts io;
    task_io(task, &io);
    io_add(&task->process->io, &io);
}
