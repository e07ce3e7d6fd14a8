/*
 * terminal.c: raw mode, and the way back from it on every path.
 *
 * The saved settings are process-wide because a fatal signal may come anywhere.
 */
#include "runtime/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved_settings;
static volatile sig_atomic_t is_raw;

bool terminal_usable(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

void terminal_restore(void)
{
    if (is_raw) {
        int saved_errno = errno;
        is_raw = 0;
        /* TCSANOW: waiting for output to drain could hang on a stopped terminal. */
        tcsetattr(STDIN_FILENO, TCSANOW, &saved_settings);
        errno = saved_errno;
    }
}

static void restore_and_die(int signo)
{
    terminal_restore();
    signal(signo, SIG_DFL);
    raise(signo);
}

int terminal_enter_raw(void)
{
    static bool prepared;
    struct termios settings;
    if (is_raw) {
        return 0;
    }
    if (tcgetattr(STDIN_FILENO, &settings) != 0) {
        return -errno;
    }
    saved_settings = settings;
    if (!prepared) {
        static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
        for (size_t i = 0; i < array_size(fatal); i++) {
            signal(fatal[i], restore_and_die);
        }
        atexit(terminal_restore);
        prepared = true;
    }
    cfmakeraw(&settings);
    /* Output stays as the guest's own line discipline made it. */
    is_raw = 1;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &settings) != 0) {
        is_raw = 0;
        return -errno;
    }
    return 0;
}

void terminal_size(struct winsize *ret_window)
{
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, ret_window) != 0 || ret_window->ws_row == 0) {
        *ret_window = (struct winsize){.ws_row = 24, .ws_col = 80};
    }
}
