/* task_wait.c: waiting for children. */
#include "sentry/kernel/task_wait.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "sentry/kernel/process.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/task.h"

/* Is it this task, of process child, that is waited for? */
static bool is_named(struct task *task, const struct process *child, int id,
                     const struct wait_request *request)
{
    switch (request->which) {
    case WAIT_ANY_CHILD:
        break;
    case WAIT_CHILD:
        if (id != request->id) {
            return false;
        }
        break;
    case WAIT_CHILD_GROUP:
        if (child->pgid != request->id) {
            return false;
        }
        break;
    case WAIT_OWN_GROUP:
        if (child->pgid != task->process->pgid) {
            return false;
        }
        break;
    }
    return true;
}

static bool eligible(struct task *task, struct process *child, const struct wait_request *request)
{
    if (!is_named(task, child, child->tgid, request)) {
        return false;
    }
    /* Linux: __WCLONE selects children that do not send SIGCHLD. */
    bool clone_child = child->exit_signal != SIGCHLD;
    if (request->options & __WALL) {
        return true;
    }
    return clone_child == ((request->options & __WCLONE) != 0);
}

static void fill_common(struct process *child, struct wait_result *result)
{
    result->pid = child->tgid;
    result->uid = child->leader && child->leader->cred ? child->leader->cred->uid : 0;
    process_cpu_time(child, &result->user_ns, &result->system_ns);
    result->user_ns += child->child_user_ns;
    result->system_ns += child->child_system_ns;
    result->max_rss = max_of(child->max_rss, child->child_max_rss);
}

/* Takes news of one child. False: none that is wanted. (K) */
static bool take_news(struct process *child, const struct wait_request *request,
                      struct wait_result *result)
{
    bool keep = request->options & WNOWAIT;
    if (child->state == PROCESS_ZOMBIE && ptrace_hides_locked(child)) {
        return false;
    }
    if (child->state == PROCESS_ZOMBIE && (request->options & WEXITED)) {
        fill_common(child, result);
        result->status = child->exit_status;
        task_status_to_siginfo(child->exit_status, &result->code, &result->signal_status);
        if (!keep) {
            process_reap_locked(child);
        }
        return true;
    }
    if (child->state == PROCESS_RUNNING && child->stop_unwaited && child->stop_reported &&
        (request->options & WSTOPPED)) {
        fill_common(child, result);
        result->status = child->stop_signal << 8 | 0x7f;
        result->code = CLD_STOPPED;
        result->signal_status = child->stop_signal;
        child->stop_unwaited = keep;
        return true;
    }
    if (child->state == PROCESS_RUNNING && child->continued && (request->options & WCONTINUED)) {
        fill_common(child, result);
        result->status = 0xffff;
        result->code = CLD_CONTINUED;
        result->signal_status = SIGCONT;
        child->continued = keep;
        return true;
    }
    return false;
}

/* 1 found, -EAGAIN nothing yet, 0 there is no such tracee. (K) */
static int look_at_tracees(struct task *task, struct task *tracer,
                           const struct wait_request *request, struct wait_result *result)
{
    int found = 0;
    struct task *tracee;
    TAILQ_FOREACH (tracee, &tracer->ptrace.tracees, ptrace.link) {
        if (!is_named(task, tracee->process, tracee->tid, request)) {
            continue;
        }
        if (ptrace_take_news_locked(tracee, request, result)) {
            return 1;
        }
        found = -EAGAIN;
    }
    return found;
}

/* 1 found, 0 nothing yet, -ECHILD. (K) */
static int look(struct task *task, const struct wait_request *request, struct wait_result *result)
{
    bool any = false;
    struct process *child;
    TAILQ_FOREACH (child, &task->process->children, sibling_link) {
        if (!eligible(task, child, request)) {
            continue;
        }
        any = true;
        if (!ptrace_by_parent_locked(child) && take_news(child, request, result)) {
            return 1;
        }
    }
    struct task *thread;
    TAILQ_FOREACH (thread, &task->process->threads, thread_link) {
        bool mine = thread == task || !(request->options & __WNOTHREAD);
        int found = mine ? look_at_tracees(task, thread, request, result) : 0;
        if (found > 0) {
            return 1;
        }
        any = any || found == -EAGAIN;
    }
    return any ? 0 : -ECHILD;
}

int task_wait(struct task *task, const struct wait_request *request, struct wait_result *ret_result)
{
    struct wait_entry entry = {
        .events = EPOLLIN, .wake = wait_wake_sleeper, .owner = &task->sleeper};
    struct wait_result result;
    memset(&result, 0, sizeof(result));
    int found;
    bool queued = false;
    for (;;) {
        task_sleep_prepare();
        mutex_lock(&kernel_lock);
        found = look(task, request, &result);
        mutex_unlock(&kernel_lock);
        if (found != 0 || (request->options & WNOHANG)) {
            break;
        }
        if (!queued) {
            wait_queue_add(&task->process->child_wait, &entry);
            queued = true;
            continue;
        }
        int slept = task_sleep(SLEEP_FOREVER);
        if (slept == -ERESTARTSYS) {
            found = slept;
            break;
        }
    }
    if (queued) {
        wait_queue_remove(&entry);
    }
    if (found < 0) {
        return found;
    }
    *ret_result = result;
    return 0;
}
