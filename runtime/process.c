/*
 * process.c: fork, the tie to the launcher's life, and the closing of inherited descriptors.
 *
 * The launcher has one thread, so a forked child may run ordinary code.
 */
#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEEP_MAX 16

struct keep_list {
    int fds[KEEP_MAX];
    size_t count;
};

static void keep(struct keep_list *list, int fd)
{
    if (fd >= 0 && list->count < KEEP_MAX) {
        list->fds[list->count++] = fd;
    }
}

static int compare_int(const void *a, const void *b)
{
    int x = *(const int *)a;
    int y = *(const int *)b;
    return (x > y) - (x < y);
}

static void close_gap(unsigned first, unsigned last)
{
    if (first > last) {
        return;
    }
    if (syscall(SYS_close_range, first, last, 0) == 0) {
        return;
    }
    long max = sysconf(_SC_OPEN_MAX);
    for (unsigned fd = first; fd <= last && (long)fd < max; fd++) {
        close((int)fd);
    }
}

/* Closes every descriptor that is not in the list. */
static void close_others(struct keep_list *list)
{
    qsort(list->fds, list->count, sizeof(list->fds[0]), compare_int);
    unsigned next = 0;
    for (size_t i = 0; i < list->count; i++) {
        unsigned fd = (unsigned)list->fds[i];
        if (fd > next) {
            close_gap(next, fd - 1);
        }
        next = max_of(next, fd + 1);
    }
    close_gap(next, ~0U);
}

static void write_small(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ignore_result(write(fd, text, strlen(text)));
        close(fd);
    }
}

/* First steps of every child: it dies with the launcher and has clean signals and its own session,
 * which also keeps the terminal's signals away from it. */
static void become_child(pid_t launcher, const char *oom_score)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != launcher) {
        _exit(1);
    }
    setsid();
    for (int signo = 1; signo < NSIG; signo++) {
        signal(signo, SIG_DFL);
    }
    signal(SIGPIPE, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    /* 0 and 1 stay taken, so that no later descriptor is mistaken for a standard stream. */
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup3(null, STDIN_FILENO, O_CLOEXEC);
        dup3(null, STDOUT_FILENO, O_CLOEXEC);
        close(null);
    }
    fcntl(STDERR_FILENO, F_SETFD, FD_CLOEXEC);
    /* A core file of ours would hold the guest's data. */
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    /* When the host runs out of memory, the sandbox goes first. */
    write_small("/proc/self/oom_score_adj", oom_score);
}

static int start(pid_t *ret_pid)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        return -errno;
    }
    *ret_pid = pid;
    return 0;
}

static int adopt(pid_t pid, struct child *ret_child)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        int error = -errno;
        kill(pid, SIGKILL);
        return error;
    }
    *ret_child = (struct child){.pid = pid, .pidfd = pidfd};
    return 0;
}

int process_start_gofer(const struct gofer_config *config, struct child *ret_child)
{
    pid_t launcher = getpid();
    pid_t pid = -1;
    int error = start(&pid);
    if (error != 0) {
        return error;
    }
    if (pid == 0) {
        struct keep_list list = {0};
        become_child(launcher, "300");
        prctl(PR_SET_NAME, "stockade-gofer");
        keep(&list, STDERR_FILENO);
        keep(&list, config->connection_fd);
        keep(&list, config->audit_fd);
        keep(&list, config->log.fd);
        close_others(&list);
        _exit(gofer_files_run(config));
    }
    return adopt(pid, ret_child);
}

int process_start_sentry(const struct sentry_config *config, struct child *ret_child)
{
    pid_t launcher = getpid();
    pid_t pid = -1;
    int error = start(&pid);
    if (error != 0) {
        return error;
    }
    if (pid == 0) {
        struct keep_list list = {0};
        become_child(launcher, "500");
        prctl(PR_SET_NAME, "stockade-sentry");
        keep(&list, STDIN_FILENO);
        keep(&list, STDOUT_FILENO);
        keep(&list, STDERR_FILENO);
        for (size_t i = 0; i < array_size(config->stream_fd); i++) {
            keep(&list, config->stream_fd[i]);
        }
        keep(&list, config->terminal_fd);
        keep(&list, config->gofer_fd);
        keep(&list, config->control_fd);
        keep(&list, config->strace_fd);
        keep(&list, config->log_fd);
        close_others(&list);
        error = sentry_boot_run(config);
        _exit(error != 0 ? 1 : 0);
    }
    return adopt(pid, ret_child);
}

int process_open_standard(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            /* The lowest free number is fd itself. */
            int opened = open("/dev/null", O_RDWR);
            if (opened != fd) {
                return opened < 0 ? -errno : -EBADF;
            }
        }
    }
    return 0;
}
