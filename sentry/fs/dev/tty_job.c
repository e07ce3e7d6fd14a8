/* tty_job.c: the kernel's side of terminals: fills tty_hooks and the kernel's terminal hooks. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>

#include "sentry/fs/dev/tty_hooks.h"
#include "sentry/fs/dev/tty_internal.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/fd_table.h"

static int hook_session(void)
{
    if (!current_task()) {
        return 0;
    }
    mutex_lock(&kernel_lock);
    int sid = current_task()->process->session->sid;
    mutex_unlock(&kernel_lock);
    return sid;
}

static int hook_group(void)
{
    mutex_lock(&kernel_lock);
    int pgid = current_task()->process->pgid;
    mutex_unlock(&kernel_lock);
    return pgid;
}

static bool hook_is_leader(void)
{
    struct process *process = current_task()->process;
    mutex_lock(&kernel_lock);
    bool leader = process->session->sid == process->tgid;
    mutex_unlock(&kernel_lock);
    return leader;
}

static struct tty *hook_session_tty(void)
{
    if (!current_task()) {
        return NULL;
    }
    mutex_lock(&kernel_lock);
    struct process *process = current_task()->process;
    struct tty *tty = process->gave_up_tty ? NULL : process->session->tty;
    if (tty) {
        tty_ref(tty);
    }
    mutex_unlock(&kernel_lock);
    return tty;
}

static void hook_give_up(void)
{
    mutex_lock(&kernel_lock);
    current_task()->process->gave_up_tty = true;
    mutex_unlock(&kernel_lock);
}

static bool hook_session_tty_is(const struct tty *tty)
{
    struct tty *mine = hook_session_tty();
    tty_unref(mine);
    return mine == tty;
}

static void hook_take_session(struct tty *tty)
{
    mutex_lock(&kernel_lock);
    current_task()->process->session->tty = tty;
    mutex_unlock(&kernel_lock);
}

/* The session of a group, or NULL. */
static struct session *group_session_locked(int pgid)
{
    struct process *process;
    TAILQ_FOREACH (process, &all_processes, all_link) {
        if (process->pgid == pgid && process->state != PROCESS_REAPED) {
            return process->session;
        }
    }
    return NULL;
}

static bool hook_drop_session(int sid, struct tty *tty)
{
    struct process *process;
    bool had = false;
    mutex_lock(&kernel_lock);
    TAILQ_FOREACH (process, &all_processes, all_link) {
        if (process->session->sid == sid && process->session->tty == tty) {
            process->session->tty = NULL;
            had = true;
        }
    }
    mutex_unlock(&kernel_lock);
    return had;
}

static int hook_group_session(int pgid)
{
    mutex_lock(&kernel_lock);
    struct session *session = group_session_locked(pgid);
    int sid = session ? session->sid : -1;
    mutex_unlock(&kernel_lock);
    return sid;
}

static bool hook_is_ignored(int signo)
{
    struct task *task = current_task();
    mutex_lock(&kernel_lock);
    bool ignored = (task->signal_mask & SIGNAL_BIT(signo)) != 0 ||
                   task->process->sighand->actions[signo - 1].handler == 1;
    mutex_unlock(&kernel_lock);
    return ignored;
}

static bool hook_is_orphaned(int pgid)
{
    mutex_lock(&kernel_lock);
    bool orphaned = process_group_orphaned_locked(pgid, NULL);
    mutex_unlock(&kernel_lock);
    return orphaned;
}

static void hook_signal_group(int pgid, int signo)
{
    ignore_result(signal_send_group(pgid, signo, NULL)); /* an empty group hears nothing */
}

static void hook_signal_leader(int sid, int signo)
{
    struct process *leader = process_find(sid);
    if (leader) {
        ignore_result(signal_send_process(leader, signo, NULL));
        process_unref(leader);
    }
}

static int hook_install(struct file *file, bool close_on_exec)
{
    return fd_install(current_task()->fds, file, close_on_exec, 0, task_limit(RLIMIT_NOFILE));
}

static uint64_t tty_device(struct tty *tty)
{
    return makedev(PTY_SLAVE_MAJOR, tty->index);
}

/* Called with kernel_lock held (for /proc/pid/stat), so the lock, which is outer, is not taken. */
static int foreground_group(struct tty *tty)
{
    int group = __atomic_load_n(&tty->group, __ATOMIC_RELAXED);
    return group != 0 ? group : -1;
}

/* The kernel read the pointer under kernel_lock and let go of it: a master that closes meanwhile
 * may have freed the pair, after a hang-up that did all of this. */
static void leader_gone(struct tty *tty, bool exiting)
{
    struct tty *alive = pty_ref_if_alive(tty);
    if (alive && hook_session_tty_is(alive)) {
        tty_disassociate(alive, exiting);
    }
    tty_unref(alive);
}

void tty_init(void)
{
    tty_hooks = (struct tty_hooks){
        .session = hook_session,
        .group = hook_group,
        .is_leader = hook_is_leader,
        .session_tty = hook_session_tty,
        .give_up = hook_give_up,
        .take_session = hook_take_session,
        .drop_session = hook_drop_session,
        .group_session = hook_group_session,
        .is_ignored = hook_is_ignored,
        .is_orphaned = hook_is_orphaned,
        .signal_group = hook_signal_group,
        .signal_leader = hook_signal_leader,
        .install = hook_install,
    };
    tty_kernel_hooks.disassociate = leader_gone;
    tty_kernel_hooks.device = tty_device;
    tty_kernel_hooks.foreground_group = foreground_group;
}
