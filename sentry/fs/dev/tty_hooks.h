/*
 * tty_hooks.h: what terminals ask of the kernel layer, about the calling task unless said.
 * tty_job.c fills it from sentry/kernel; unit tests put their own there. All may be called under a
 * tty's lock.
 */
#pragma once

#include <stdbool.h>

#include "platform/base/compiler.h"

struct file;
struct tty;

struct tty_hooks {
    int (*session)(void); /* id; 0: no task */
    int (*group)(void);
    bool (*is_leader)(void);
    /* The controlling terminal of the caller's session, with a reference, or NULL. */
    struct tty *(*session_tty)(void);
    /* The calling process alone no longer has it (TIOCNOTTY by one that is no leader). */
    void (*give_up)(void);
    /* Makes tty (which a reference was taken for) the terminal of the caller's session. */
    void (*take_session)(struct tty *tty);
    /* Session sid no longer has tty; true when it had (its reference is then the caller's). */
    bool (*drop_session)(int sid, struct tty *tty);
    int (*group_session)(int pgid); /* the session of a group; -1: no such group */
    bool (*is_ignored)(int signo);  /* blocked or ignored */
    bool (*is_orphaned)(int pgid);
    void (*signal_group)(int pgid, int signo);
    void (*signal_leader)(int sid, int signo);
    /* A descriptor for file (its reference is taken), or -EMFILE, -ENOMEM. */
    int (*install)(struct file *file, bool close_on_exec);
};

extern struct tty_hooks tty_hooks;
