/*
 * guest_test.h: the frame of every guest test program.
 *
 * A program is one .c file with TEST_CASE(name) { ... } bodies; main() stands in guest_test.c. Each
 * case runs in a forked child (own process group, default signals, umask 022, fresh empty working
 * directory), is killed after 10 s (TEST_CASE_SLOW: 60 s), and whatever it leaves behind is killed
 * and removed. A failed CHECK ends the case. Programs pass on Linux first; then they run inside the
 * sandbox.
 *
 *   program [--list] [--no-fork] [case ...]     --no-fork: in this process, to debug a single case
 *   prints   ok NAME | FAIL NAME file:line: text | skip NAME: reason
 *   ends     N passed, N failed, N skipped        status 0 if nothing failed
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct guest_case {
    const char *name;
    void (*run)(void);
    unsigned seconds;
    struct guest_case *next;
};

struct guest_helper {
    const char *name;
    int (*run)(int argc, char **argv);
    struct guest_helper *next;
};

void guest_register_case(struct guest_case *c);
void guest_register_helper(struct guest_helper *h);

#define TEST_CASE(id) TEST_CASE_LIMITED(id, 10)
/* For the few cases that need much CPU time or many files: ten seconds may not do on a busy host.
 */
#define TEST_CASE_SLOW(id) TEST_CASE_LIMITED(id, 60)
#define TEST_CASE_LIMITED(id, limit)                                                               \
    static void case_##id(void);                                                                   \
    __attribute__((constructor)) static void register_case_##id(void)                              \
    {                                                                                              \
        static struct guest_case entry = {#id, case_##id, limit, NULL};                            \
        guest_register_case(&entry);                                                               \
    }                                                                                              \
    static void case_##id(void)

/* A second entry point: `program --helper ID ...`; argv[0] is ID. Used as the target of exec.
 * With no arguments at all, the environment variable GUEST_HELPER names it instead. */
#define TEST_HELPER(id)                                                                            \
    static int helper_##id(int argc, char **argv);                                                 \
    __attribute__((constructor)) static void register_helper_##id(void)                            \
    {                                                                                              \
        static struct guest_helper entry = {#id, helper_##id, NULL};                               \
        guest_register_helper(&entry);                                                             \
    }                                                                                              \
    static int helper_##id(int argc __attribute__((unused)), char **argv __attribute__((unused)))

/* Ends the case as failed; from any process or thread of the case. */
__attribute__((noreturn, format(printf, 3, 4))) void guest_fail(const char *file, int line,
                                                                const char *format, ...);
__attribute__((noreturn)) void guest_skip(const char *reason);

/* Checks behind the macros. errno must still be that of the checked expression. */
long guest_check_ok(long result, const char *text, const char *file, int line);
void guest_check_eq(long long a, long long b, const char *text, const char *file, int line);
void guest_check_errno(long result, int want, const char *text, const char *file, int line);
void guest_check_child(pid_t pid, int want_exit, int want_signal, const char *file, int line);

#define SKIP(reason) guest_skip(reason)
#define FAIL(...)    guest_fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            guest_fail(__FILE__, __LINE__, "%s (errno %d)", #cond, errno);                         \
        }                                                                                          \
    } while (0)
#define CHECK_EQ(a, b)                                                                             \
    guest_check_eq((long long)(a), (long long)(b), #a " == " #b, __FILE__, __LINE__)
/* The value of an expression that must not be negative. */
#define CHECK_OK(expr) guest_check_ok((errno = 0, (long)(expr)), #expr, __FILE__, __LINE__)
/* The expression must return -1 with this errno. */
#define CHECK_ERRNO(expr, want)                                                                    \
    guest_check_errno((errno = 0, (long)(expr)), (want), #expr, __FILE__, __LINE__)
/* Waits for a child: it must exit 0 / exit with a code / die of a signal. */
#define CHECK_CHILD_OK(pid)          guest_check_child((pid), 0, 0, __FILE__, __LINE__)
#define CHECK_CHILD_EXIT(pid, code)  guest_check_child((pid), (code), 0, __FILE__, __LINE__)
#define CHECK_CHILD_SIGNAL(pid, sig) guest_check_child((pid), -1, (sig), __FILE__, __LINE__)

/* fork that must succeed. */
pid_t guest_fork(void);
/* waitpid that must succeed and is repeated after EINTR; returns the wait status. */
int guest_wait(pid_t pid);
/* CLOCK_MONOTONIC in milliseconds / nanoseconds. */
long long guest_now_ms(void);
long long guest_now_ns(void);
void guest_sleep_ms(long ms);
/* Writes a whole file (created 0644, truncated) / reads up to size - 1 bytes and a NUL; both must
 * succeed. guest_read_file returns the number of bytes. */
void guest_write_file(const char *path, const char *text);
size_t guest_read_file(const char *path, char *buffer, size_t size);
/* This program's absolute path, for exec. */
const char *guest_self(void);
/* True if this process may change to arbitrary users and groups (root outside a narrow user
 * namespace). Tried in a child. */
bool guest_can_switch_user(void);
/* Drops to user and group 12345 with no supplementary groups; must succeed. */
void guest_become_user(void);
/* True if the effective capability is held. */
bool guest_has_cap(int cap);
/* Installs a handler with flags and an empty mask; must succeed. */
void guest_handle(int sig, void (*handler)(int), int flags);
void guest_handle_info(int sig, void (*handler)(int, siginfo_t *, void *), int flags);
/* Makes SIGALRM arrive every few milliseconds until stopped: for tests of interrupted calls. */
void guest_ticker_start(long interval_ms);
void guest_ticker_stop(void);
/* Opens a new pty pair (O_NOCTTY); skips the case if there is no /dev/ptmx. */
void guest_pty(int *ret_master, int *ret_slave);
/* An address where nothing is ever mapped, hidden from the compiler. */
void *guest_bad(void);
/* Waits up to 5 s until the descriptor is readable; it must become so. Terminal input arrives with
 * a delay, so that a write to the master is not at once visible on the slave. */
void guest_await_readable(int fd);
/* The end of a readable and writable page that is followed by an inaccessible one. */
char *guest_page_end(void);
/* One message byte over a pipe or socket; both must succeed. */
void guest_signal_fd(int fd);
void guest_await_fd(int fd);
