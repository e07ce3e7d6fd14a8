/*
 * ptrace.c: who traces whom: attaching, new tasks, letting go, and what the tracer's waits see.
 * Linux: kernel/ptrace.c, kernel/exit.c (wait_task_zombie, wait_task_stopped).
 */
#include "sentry/kernel/ptrace.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "sentry/kernel/process.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_wait.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/landlock.h"

/* Linux: __ptrace_may_access with PTRACE_MODE_ATTACH_REALCREDS, cap_ptrace_access_check. (K) */
static bool may_attach_locked(const struct task *tracer, const struct task *target)
{
    const struct cred *own = tracer->cred;
    const struct cred *other = target->cred;
    if (!other || !landlock_may_trace(other)) {
        return false;
    }
    if (cred_capable(own, CAP_SYS_PTRACE)) {
        return true;
    }
    bool same = own->uid == other->euid && own->uid == other->suid && own->uid == other->uid &&
                own->gid == other->egid && own->gid == other->sgid && own->gid == other->gid;
    bool subset = (other->cap_permitted & ~own->cap_permitted) == 0;
    bool dumpable = !target->mm || target->mm->dumpable == 1;
    return same && subset && dumpable;
}

static void link_locked(struct task *target, struct task *tracer, bool seized, unsigned options)
{
    struct ptrace_state *state = &target->ptrace;
    state->tracer = tracer;
    state->seized = seized;
    state->options = options;
    state->tracer_privileged = cred_capable(tracer->cred, CAP_SYS_PTRACE);
    atomic_store(&state->mode, 0);
    memset(state->debug, 0, sizeof(state->debug));
    task_ref(target);
    TAILQ_INSERT_TAIL(&tracer->ptrace.tracees, target, ptrace.link);
}

/* The thread that made this process, or another one of its parent. (K) */
static struct task *parent_task_locked(const struct task *task)
{
    struct process *parent = task->process->parent;
    if (!parent || parent == init_process) {
        return NULL;
    }
    struct task *first = NULL;
    struct task *thread;
    TAILQ_FOREACH (thread, &parent->threads, thread_link) {
        if (thread->ptrace.lets_go) {
            continue;
        }
        if (thread->tid == task->process->leader->ptrace.creator_tid) {
            return thread;
        }
        first = first ? first : thread;
    }
    return first;
}

int ptrace_traceme(struct task *task)
{
    mutex_lock(&kernel_lock);
    struct task *tracer = parent_task_locked(task);
    int result = task->ptrace.tracer ? -EPERM : 0;
    if (result == 0 && tracer) { /* Linux: without, if the parent is just ending */
        link_locked(task, tracer, false, 0);
    }
    mutex_unlock(&kernel_lock);
    return result;
}

/* (K) */
static int attach_locked(struct task *tracer, struct task *target, bool seize, unsigned options)
{
    /* DIFFERS: pid 1 has no thread that could stop. */
    if (target->process == tracer->process || target->process == init_process ||
        !may_attach_locked(tracer, target)) {
        return -EPERM;
    }
    if (target->ptrace.tracer || atomic_load(&target->state) >= TASK_ZOMBIE ||
        tracer->ptrace.lets_go) {
        return -EPERM;
    }
    link_locked(target, tracer, seize, options);
    if (!seize) {
        ignore_result(signal_send_task_locked(target, SIGSTOP, NULL));
    }
    return 0;
}

int ptrace_attach(struct task *tracer, struct task *target, bool seize, unsigned options)
{
    mutex_lock(&kernel_lock);
    int result = attach_locked(tracer, target, seize, options);
    bool parked = result == 0 && target->stopped;
    if (parked) {
        task_kick_locked(target);
    }
    mutex_unlock(&kernel_lock);
    /* Linux: JOBCTL_TRAPPING: a task in a group stop becomes one in a ptrace stop unnoticed. */
    while (parked) {
        task_sleep_prepare();
        mutex_lock(&kernel_lock);
        parked = target->ptrace.tracer == tracer && !target->ptrace.stopped &&
                 target->process->stop_requested && !target->exiting && !tracer->exiting;
        mutex_unlock(&kernel_lock);
        if (parked) {
            ignore_result(task_sleep_killable(SLEEP_FOREVER));
        }
    }
    return result;
}

void ptrace_inherit_locked(struct task *child, struct task *parent)
{
    struct ptrace_state *state = &parent->ptrace;
    if (!state->tracer) {
        return;
    }
    link_locked(child, state->tracer, state->seized, state->options);
    child->ptrace.tracer_privileged = state->tracer_privileged;
    if (state->seized) {
        child->ptrace.trap_stop = true;
    } else {
        child->pending.set |= SIGNAL_BIT(SIGSTOP);
    }
    atomic_store(&child->work, true);
}

void ptrace_unlink_locked(struct task *target)
{
    struct ptrace_state *state = &target->ptrace;
    struct task *tracer = state->tracer;
    if (!tracer) {
        return;
    }
    TAILQ_REMOVE(&tracer->ptrace.tracees, target, ptrace.link);
    state->tracer = NULL;
    state->seized = false;
    state->options = 0;
    atomic_store(&state->mode, 0);
    state->trap_stop = state->trap_notify = state->listening = state->took_stop = false;
    /* A group stop that is in effect holds it now. */
    if (state->stopped || target->process->stop_requested) {
        state->stopped = false;
        task_kick_locked(target);
    }
    sleeper_wake(&tracer->sleeper);
    task_unref(target);
}

/* The tracer gives up a tracee. (K) */
static void let_go_of(struct task *target)
{
    struct process *process = target->process;
    if (target->ptrace.stopped && !target->ptrace.at_signal) {
        target->ptrace.stop_code = 0;
    }
    if (target->ptrace.options & PTRACE_O_EXITKILL) {
        ignore_result(signal_send_task_locked(target, SIGKILL, NULL));
    }
    task_ref(target);
    bool hidden = ptrace_hides_locked(process);
    ptrace_unlink_locked(target);
    if (target != process->leader) {
        if (atomic_load(&target->state) == TASK_ZOMBIE) {
            atomic_store(&target->state, TASK_DEAD);
            task_unpublish_locked(target);
        }
    } else if (process->state == PROCESS_ZOMBIE && hidden) {
        process_announce_exit_locked(process);
    }
    task_unref(target);
}

void ptrace_let_go_locked(struct task *tracer)
{
    struct task *target;
    tracer->ptrace.lets_go = true;
    while ((target = TAILQ_FIRST(&tracer->ptrace.tracees))) {
        let_go_of(target);
    }
}

bool ptrace_hides_locked(const struct process *process)
{
    const struct task *leader = process->leader;
    return leader && leader->ptrace.tracer && leader->ptrace.tracer->process != process->parent;
}

bool ptrace_by_parent_locked(const struct process *process)
{
    const struct task *leader = process->leader;
    return leader && leader->ptrace.tracer && leader->ptrace.tracer->process == process->parent;
}

bool ptrace_allows_privileges_locked(const struct task *task)
{
    return !task->ptrace.tracer || task->ptrace.tracer_privileged;
}

void ptrace_notify_tracer_locked(struct task *task, int code, int status)
{
    struct task *tracer = task->ptrace.tracer;
    if (!tracer) {
        return;
    }
    const struct linux_sigaction *action = &tracer->process->sighand->actions[SIGCHLD - 1];
    bool stop_news = code == CLD_STOPPED || code == CLD_TRAPPED;
    bool ignored = action->handler == (uint64_t)(uintptr_t)SIG_IGN;
    if (!stop_news || (!ignored && !(action->flags & SA_NOCLDSTOP))) {
        siginfo_t info;
        memset(&info, 0, sizeof(info));
        info.si_signo = SIGCHLD;
        info.si_code = code;
        info.si_pid = task->tid;
        info.si_uid = task->cred ? task->cred->uid : 0;
        info.si_status = status;
        ignore_result(signal_send_process_locked(tracer->process, SIGCHLD, &info));
    }
    wait_queue_wake(&tracer->process->child_wait, EPOLLIN);
    sleeper_wake(&tracer->sleeper); /* ptrace_attach may wait */
}

static void fill_common(struct task *tracee, struct wait_result *result)
{
    struct process *process = tracee->process;
    result->pid = tracee->tid;
    result->uid = tracee->cred ? tracee->cred->uid : 0;
    process_cpu_time(process, &result->user_ns, &result->system_ns);
    result->user_ns += process->child_user_ns;
    result->system_ns += process->child_system_ns;
    result->max_rss = max_of(process->max_rss, process->child_max_rss);
}

/* (K) */
static void reap_tracee(struct task *tracee)
{
    struct process *process = tracee->process;
    if (tracee == process->leader && !ptrace_hides_locked(process)) {
        process_reap_locked(process); /* the tracer is the parent, too */
        return;
    }
    task_ref(tracee);
    ptrace_unlink_locked(tracee);
    if (tracee == process->leader) {
        process_announce_exit_locked(process);
    } else {
        atomic_store(&tracee->state, TASK_DEAD);
        task_unpublish_locked(tracee);
    }
    task_unref(tracee);
}

bool ptrace_take_news_locked(struct task *tracee, const struct wait_request *request,
                             struct wait_result *result)
{
    struct process *process = tracee->process;
    struct ptrace_state *state = &tracee->ptrace;
    bool keep = request->options & WNOWAIT;
    bool leader = tracee == process->leader;
    bool ended =
        leader ? process->state == PROCESS_ZOMBIE : atomic_load(&tracee->state) == TASK_ZOMBIE;
    if (ended) {
        if (!(request->options & WEXITED)) {
            return false;
        }
        int status = leader ? process->exit_status : tracee->exit_code;
        fill_common(tracee, result);
        result->status = status;
        task_status_to_siginfo(status, &result->code, &result->signal_status);
        if (!keep) {
            reap_tracee(tracee);
        }
        return true;
    }
    if (state->stopped && !state->listening && state->stop_code != 0) {
        fill_common(tracee, result);
        result->status = state->stop_code << 8 | 0x7f;
        result->code = CLD_TRAPPED;
        result->signal_status = state->stop_code;
        state->stop_code = keep ? state->stop_code : 0;
        return true;
    }
    if (process->state == PROCESS_RUNNING && process->continued &&
        (request->options & WCONTINUED)) {
        fill_common(tracee, result);
        result->status = 0xffff;
        result->code = CLD_CONTINUED;
        result->signal_status = SIGCONT;
        process->continued = keep;
        return true;
    }
    return false;
}
