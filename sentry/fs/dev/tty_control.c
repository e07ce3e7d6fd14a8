/*
 * tty_control.c: controlling terminals, background access, hang-up. Linux:
 * drivers/tty/tty_jobctrl.c.
 */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>

#include "sentry/core/cred.h"
#include "sentry/core/restart.h"
#include "sentry/fs/dev/tty_hooks.h"
#include "sentry/fs/dev/tty_internal.h"

struct tty_hooks tty_hooks;

#define WAKE_ALL (EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM | EPOLLRDHUP | EPOLLHUP | EPOLLERR)

static int caller_session(void)
{
    return tty_hooks.session ? tty_hooks.session() : 0;
}

/* Linux: __tty_check_change. */
int tty_check_background_locked(struct tty *tty, int signo)
{
    int session = caller_session();
    if (session == 0 || tty->session != session) {
        return 0;
    }
    int group = tty_hooks.group();
    if (tty->group == 0 || tty->group == group) {
        return 0;
    }
    if (tty_hooks.is_ignored(signo)) {
        return signo == SIGTTIN ? -EIO : 0;
    }
    if (tty_hooks.is_orphaned(group)) {
        return -EIO;
    }
    tty_hooks.signal_group(group, signo);
    return -ERESTARTSYS;
}

static bool session_has_tty(void)
{
    struct tty *tty = tty_hooks.session_tty();
    bool has = tty != NULL;
    tty_unref(tty);
    return has;
}

int tty_set_controlling(struct tty *tty, struct file *file, bool steal)
{
    int session = caller_session();
    if (session == 0) {
        return -EPERM;
    }
    bool leader = tty_hooks.is_leader();
    bool has_tty = session_has_tty();
    bool dropped = false;
    int result = 0;
    mutex_lock(&tty->lock);
    if (leader && tty->session == session) {
        result = 0;
    } else if (!leader || has_tty) {
        result = -EPERM;
    } else if (tty->session != 0 && !(steal && capable(CAP_SYS_ADMIN))) {
        result = -EPERM;
    } else if (!(file->mode & FILE_READ) && !capable(CAP_SYS_ADMIN)) {
        result = -EPERM;
    } else {
        if (tty->session != 0) {
            dropped = tty_hooks.drop_session(tty->session, tty);
        }
        tty->session = session;
        tty->group = tty_hooks.group();
        tty_hooks.take_session(tty_ref(tty));
    }
    mutex_unlock(&tty->lock);
    if (dropped) {
        tty_unref(tty);
    }
    return result;
}

void tty_open_controlling(struct tty *tty, struct file *file)
{
    mutex_lock(&tty->lock);
    bool is_free = tty->session == 0;
    mutex_unlock(&tty->lock);
    if (is_free && caller_session() != 0 && tty_hooks.is_leader() && (file->mode & FILE_READ)) {
        ignore_result(tty_set_controlling(tty, file, false));
    }
}

static bool is_controlling(struct tty *tty)
{
    if (caller_session() == 0) {
        return false;
    }
    struct tty *mine = tty_hooks.session_tty();
    bool same = mine == tty;
    tty_unref(mine);
    return same;
}

int tty_drop_controlling(struct tty *tty)
{
    if (!is_controlling(tty)) {
        return -ENOTTY;
    }
    if (tty_hooks.is_leader()) {
        tty_disassociate(tty, false);
    } else {
        tty_hooks.give_up();
    }
    return 0;
}

int tty_get_group(struct tty *tty, bool master, int *ret_group)
{
    if (!master && !is_controlling(tty)) {
        return -ENOTTY;
    }
    mutex_lock(&tty->lock);
    *ret_group = tty->group;
    mutex_unlock(&tty->lock);
    return 0;
}

int tty_get_session(struct tty *tty, bool master, int *ret_session)
{
    if (!master && !is_controlling(tty)) {
        return -ENOTTY;
    }
    mutex_lock(&tty->lock);
    *ret_session = tty->session;
    mutex_unlock(&tty->lock);
    return *ret_session == 0 ? -ENOTTY : 0;
}

int tty_set_group(struct tty *tty, bool master, int group)
{
    (void)master;
    mutex_lock(&tty->lock);
    int result = tty_check_background_locked(tty, SIGTTOU);
    mutex_unlock(&tty->lock);
    if (result == -EIO) {
        return -ENOTTY;
    }
    if (result != 0) {
        return result;
    }
    if (!is_controlling(tty)) {
        return -ENOTTY;
    }
    if (group < 0) {
        return -EINVAL;
    }
    int session = tty_hooks.group_session(group);
    if (session < 0) {
        return -ESRCH;
    }
    if (session != caller_session()) {
        return -EPERM;
    }
    mutex_lock(&tty->lock);
    tty->group = group;
    mutex_unlock(&tty->lock);
    return 0;
}

void tty_hangup(struct tty *tty)
{
    bool dropped = false;
    mutex_lock(&tty->lock);
    if (tty->session != 0) {
        tty_hooks.signal_leader(tty->session, SIGHUP);
        tty_hooks.signal_leader(tty->session, SIGCONT);
        dropped = tty_hooks.drop_session(tty->session, tty);
    }
    tty->session = tty->group = 0;
    tty->hangups++;
    tty->stopped = false;
    mutex_unlock(&tty->lock);
    wait_queue_wake(&tty->slave_queue, WAKE_ALL);
    wait_queue_wake(&tty->master_queue, WAKE_ALL);
    if (dropped) {
        tty_unref(tty);
    }
}

/* Linux: disassociate_ctty, whose pty case signals the foreground group. */
void tty_disassociate(struct tty *tty, bool exiting)
{
    bool dropped = false;
    mutex_lock(&tty->lock);
    if (tty->group != 0) {
        tty_hooks.signal_group(tty->group, SIGHUP);
        if (!exiting) {
            tty_hooks.signal_group(tty->group, SIGCONT);
        }
    }
    if (tty->session != 0) {
        dropped = tty_hooks.drop_session(tty->session, tty);
    }
    tty->session = tty->group = 0;
    mutex_unlock(&tty->lock);
    if (dropped) {
        tty_unref(tty);
    }
}

void tty_set_size(struct tty *tty, const struct winsize *size)
{
    mutex_lock(&tty->lock);
    bool changed = __builtin_memcmp(&tty->size, size, sizeof(*size)) != 0;
    tty->size = *size;
    if (changed && tty->group != 0) {
        tty_hooks.signal_group(tty->group, SIGWINCH);
    }
    mutex_unlock(&tty->lock);
}
