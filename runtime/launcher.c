/*
 * launcher.c: starts gofer and sentry, watches them, and takes everything down at the end.
 *
 * The launcher is a child subreaper: whatever the sentry leaves behind becomes its child and is
 * killed and waited for, so that no process outlives launcher_run. If the launcher itself is
 * killed, the children's parent-death signals do the same.
 */
#include "runtime/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/confine.h"
#include "runtime/environment.h"
#include "runtime/launcher_internal.h"
#include "runtime/policy_setup.h"
#include "runtime/save.h"
#include "runtime/terminal.h"
#include "runtime/usage.h"

uint64_t launcher_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* Descriptors for the children; closed in the launcher once they run. */
struct plumbing {
    int control, gofer_client, gofer_server, audit;
    int streams[3], terminal, strace, log;
};

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void plumbing_close(struct plumbing *p)
{
    close_fd(&p->control);
    close_fd(&p->gofer_client);
    close_fd(&p->gofer_server);
    close_fd(&p->audit);
    for (size_t i = 0; i < array_size(p->streams); i++) {
        close_fd(&p->streams[i]);
    }
    close_fd(&p->terminal);
    close_fd(&p->strace);
    close_fd(&p->log);
}

static int open_output(struct report *report, const char *option, const char *path, int flags,
                       int *ret_fd)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | flags, 0666);
    if (fd < 0) {
        report_fail(report, "%s: cannot write %s: %s", option, path, strerror(errno));
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

static int open_files(struct launcher *l, struct plumbing *p)
{
    const struct run_options *o = l->options;
    int error = 0;
    if (o->log_file != NULL) {
        error = open_output(l->report, "--log", o->log_file, O_APPEND, &p->log);
        struct log_config config = {
            .fd = p->log, .level = o->log_level, .json = o->log_json, .role = "launcher"};
        if (error == 0) {
            log_configure(&config);
        }
    } else {
        log_configure(&(struct log_config){
            .fd = STDERR_FILENO, .level = o->log_level, .json = o->log_json, .role = "launcher"});
    }
    if (error == 0 && o->strace && o->strace_file != NULL) {
        error = open_output(l->report, "--strace", o->strace_file, O_TRUNC, &p->strace);
    } else if (error == 0 && o->strace) {
        p->strace = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    if (error == 0 && o->audit_file != NULL) {
        error = open_output(l->report, "--audit", o->audit_file, O_APPEND, &l->audit_file);
    }
    if (error == 0 && o->save_changes != NULL) {
        error = save_open(o->save_changes, &l->save_fd);
        if (error != 0) {
            report_fail(l->report, "--save-changes: cannot write into %s: %s", o->save_changes,
                        strerror(-error));
        }
    }
    return error;
}

static int open_channels(struct launcher *l, struct plumbing *p)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return -errno;
    }
    l->control_fd = pair[0];
    p->control = pair[1];
    /* A sentry that does not read must not block the launcher. */
    struct timeval patience = {.tv_usec = 200000};
    setsockopt(l->control_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return -errno;
    }
    p->gofer_client = pair[0];
    p->gofer_server = pair[1];
    if (pipe2(pair, O_CLOEXEC) != 0) {
        return -errno;
    }
    l->audit_fd = pair[0];
    p->audit = pair[1];
    fcntl(l->audit_fd, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 3; i++) {
        p->streams[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
        if (p->streams[i] < 0) {
            return -errno;
        }
    }
    if (l->terminal) {
        p->terminal = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        return p->terminal < 0 ? -errno : 0;
    }
    return 0;
}

static int open_signals(struct launcher *l)
{
    static const int handled[] = {SIGCHLD, SIGINT,  SIGTERM, SIGHUP,   SIGQUIT,
                                  SIGUSR1, SIGUSR2, SIGTSTP, SIGWINCH, SIGCONT};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < array_size(handled); i++) {
        sigaddset(&set, handled[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_BLOCK, &set, NULL);
    l->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return l->signal_fd < 0 ? -errno : 0;
}

static int start_gofer(struct launcher *l, const struct view *view, const struct policy *policy,
                       const struct plumbing *p)
{
    static const enum gofer_access access_of[] = {[SENTRY_MODE_READ_ONLY] = GOFER_ACCESS_READ,
                                                  [SENTRY_MODE_READ_WRITE] = GOFER_ACCESS_WRITE,
                                                  [SENTRY_MODE_COW] = GOFER_ACCESS_COW,
                                                  [SENTRY_MODE_NO_DELETE] = GOFER_ACCESS_NO_DELETE};
    struct gofer_mount_config *mounts = calloc(view->root_count + 1, sizeof(*mounts));
    if (mounts == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < view->root_count; i++) {
        const struct view_root *root = &view->roots[i];
        mounts[i] = (struct gofer_mount_config){.host_path = root->host_path,
                                                .guest_path = root->guest_path,
                                                .mode = access_of[root->mode],
                                                .exclusive = root->exclusive};
    }
    struct gofer_config config = {
        .mounts = mounts,
        .mount_count = view->root_count,
        .policy = policy,
        .connection_fd = p->gofer_server,
        .audit_fd = p->audit,
        .log = {.fd = p->log >= 0 ? p->log : STDERR_FILENO,
                .level = l->options->log_level,
                .json = l->options->log_json,
                .role = "gofer"},
    };
    int error = process_start_gofer(&config, &l->gofer);
    free(mounts);
    return error;
}

static void choose_limits(const struct launcher *l, struct sentry_limits *limits)
{
    struct rlimit files;
    limits->memory = l->memory_limit;
    if (limits->tmpfs == 0) {
        limits->tmpfs =
            l->memory_limit == SENTRY_NO_LIMIT ? usage_host_memory() / 2 : l->memory_limit / 2;
    }
    if (limits->open_files == 0) {
        bool known = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY;
        limits->open_files = known ? min_of(files.rlim_cur, (rlim_t)(1 << 20)) : 1024;
    }
    if (l->options->cpu_ms != SENTRY_NO_LIMIT) {
        limits->cpu_seconds = (l->options->cpu_ms + 999) / 1000;
    }
}

static int start_sentry(struct launcher *l, const struct view *view, const struct plumbing *p,
                        pid_t launcher_pid)
{
    const struct run_options *o = l->options;
    static char **envp; /* lives as long as the process */
    envp = environment_build(o);
    if (envp == NULL) {
        return -ENOMEM;
    }
    mode_t mask = umask(0);
    umask(mask);
    gid_t groups[64];
    int group_count = o->user_given ? 0 : getgroups(64, groups);
    struct sentry_config config = {
        .argv = o->argv,
        .envp = envp,
        .cwd = view->cwd,
        .uid = o->uid,
        .gid = o->gid,
        .groups = groups,
        .group_count = group_count > 0 ? (size_t)group_count : 0,
        .umask = mask,
        .hostname = o->hostname,
        .mounts = view->mounts,
        .mount_count = view->mount_count,
        .stream_fd = {p->streams[0], p->streams[1], p->streams[2]},
        .is_terminal = l->terminal,
        .terminal_fd = p->terminal,
        .platform = o->platform,
        .limits = o->limits,
        .gofer_fd = p->gofer_client,
        .gofer_pid = l->gofer.pid,
        .control_fd = p->control,
        .strace_fd = p->strace,
        .strace_level = o->strace ? 1 : 0,
        .log_fd = p->log,
        .log_level = (int)o->log_level,
        .log_json = o->log_json,
        .report_changes = o->result_file != NULL || o->show_changes || o->save_changes != NULL,
        .change_contents = o->save_changes != NULL,
        .launcher_pid = launcher_pid,
    };
    for (int i = 0; i < 3; i++) {
        config.stream_is_terminal[i] = l->terminal && isatty(i);
    }
    terminal_size(&config.window);
    choose_limits(l, &config.limits);
    return process_start_sentry(&config, &l->sentry);
}

static int start_all(struct launcher *l, struct view *view)
{
    struct plumbing p = {-1, -1, -1, -1, {-1, -1, -1}, -1, -1, -1};
    struct policy *policy = NULL;
    int error = open_files(l, &p);
    log_debug("start: options read");
    if (error == 0) {
        error = policy_setup(l->options, l->report, &policy);
    }
    if (error == 0) {
        view_apply_policy(view, policy);
    }
    if (error == 0) {
        error = open_channels(l, &p);
    }
    if (error == 0) {
        error = open_signals(l);
    }
    if (error == 0) {
        error = start_gofer(l, view, policy, &p);
        log_debug("start: gofer forked");
    }
    if (error == 0) {
        error = start_sentry(l, view, &p, getpid());
        log_debug("start: sentry forked");
    }
    if (error != 0) {
        report_fail(l->report, "cannot start the sandbox: %s", strerror(-error));
    }
    /* The log stays open for our own lines. */
    p.log = -1;
    plumbing_close(&p);
    policy_free(policy);
    return error;
}

/* Collects one ended child. */
static void note_ended(struct launcher *l, pid_t pid, int status, const struct rusage *usage)
{
    l->reaped_cpu_ns += (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000000ULL;
    l->reaped_cpu_ns += (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000ULL;
    if (pid == l->sentry.pid) {
        l->sentry_ended = true;
        l->sentry_status = status;
    } else if (pid == l->gofer.pid) {
        l->gofer_ended = true;
        l->gofer_status = status;
    }
}

static void reap_ready(struct launcher *l)
{
    int status;
    struct rusage usage;
    pid_t pid;
    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        note_ended(l, pid, status, &usage);
    }
}

static void explain_death(struct launcher *l, const char *who, int status)
{
    if (WIFSIGNALED(status)) {
        report_fail(l->report, "the %s was killed by signal %d (SIG%s)%s", who, WTERMSIG(status),
                    sigabbrev_np(WTERMSIG(status)) != NULL ? sigabbrev_np(WTERMSIG(status)) : "?",
                    WTERMSIG(status) == SIGKILL ? "; perhaps the host is out of memory" : "");
    } else {
        report_fail(l->report, "the %s ended unexpectedly with status %d", who,
                    WEXITSTATUS(status));
    }
}

/* One of the two is gone while the sandbox runs: that ends it. */
static void check_children(struct launcher *l)
{
    reap_ready(l);
    if (l->sentry_ended) {
        launcher_read_control(l);
        if (l->phase != PHASE_DONE && l->deadline_ns != 0 &&
            (!l->report->exited || WIFSIGNALED(l->sentry_status))) {
            explain_death(l, "sentry", l->sentry_status);
        }
        l->phase = PHASE_DONE;
    } else if (l->gofer_ended && l->phase == PHASE_RUNNING) {
        launcher_read_control(l);
        /* A gofer that could not start has said why. */
        if (!l->report->started && WIFEXITED(l->gofer_status) && l->report->error == NULL) {
            l->report->error = strdup("the gofer could not start");
        } else {
            explain_death(l, "gofer", l->gofer_status);
        }
        l->phase = PHASE_DONE;
    }
}

static int poll_timeout_ms(const struct launcher *l, uint64_t now)
{
    uint64_t next = l->deadline_ns;
    if (l->phase == PHASE_RUNNING) {
        next = min_of(next, min_of(l->time_end_ns, l->next_sample_ns));
    }
    if (next == UINT64_MAX) {
        return -1;
    }
    return next <= now ? 0 : (int)min_of((next - now) / 1000000ULL + 1, (uint64_t)60000);
}

static void watch(struct launcher *l)
{
    while (l->phase != PHASE_DONE) {
        struct pollfd fds[] = {
            {.fd = l->signal_fd, .events = POLLIN},
            {.fd = l->control_fd, .events = POLLIN},
            {.fd = l->audit_fd, .events = POLLIN},
            {.fd = l->sentry.pidfd, .events = POLLIN},
            {.fd = l->gofer_ended ? -1 : l->gofer.pidfd, .events = POLLIN},
        };
        int n = poll(fds, array_size(fds), poll_timeout_ms(l, launcher_now_ns()));
        if (n < 0 && errno != EINTR) {
            report_fail(l->report, "poll: %s", strerror(errno));
            return;
        }
        if (fds[0].revents != 0) {
            launcher_read_signals(l);
        }
        if (fds[1].revents != 0) {
            launcher_read_control(l);
        }
        if (fds[2].revents != 0) {
            launcher_read_audit(l);
        }
        if (fds[3].revents != 0 || fds[4].revents != 0) {
            check_children(l);
        }
        uint64_t now = launcher_now_ns();
        launcher_check_limits(l, now);
        if (now >= l->deadline_ns) {
            l->deadline_ns = 0;
            return;
        }
    }
}

/* Gives an orderly sentry and gofer a moment to end by themselves, then kills what is left. */
static void take_down(struct launcher *l)
{
    bool orderly = l->phase == PHASE_DONE && l->deadline_ns != 0 && l->report->error == NULL;
    uint64_t patience = launcher_now_ns() + (orderly ? 500000000ULL : 0);
    close_fd(&l->control_fd);
    while (launcher_now_ns() < patience) {
        reap_ready(l);
        if ((l->sentry_ended || l->sentry.pid == 0) && (l->gofer_ended || l->gofer.pid == 0)) {
            break;
        }
        struct pollfd fds[] = {
            {.fd = l->audit_fd, .events = POLLIN},
            {.fd = l->sentry_ended ? -1 : l->sentry.pidfd, .events = POLLIN},
            {.fd = l->gofer_ended ? -1 : l->gofer.pidfd, .events = POLLIN},
        };
        ignore_result(poll(fds, array_size(fds), 100));
        if (fds[0].revents != 0) {
            launcher_read_audit(l);
        }
    }
    for (;;) {
        int status;
        struct rusage usage;
        usage_kill_children();
        pid_t pid = wait4(-1, &status, WNOHANG | __WALL, &usage);
        if (pid > 0) {
            note_ended(l, pid, status, &usage);
        } else if (pid < 0 && errno == ECHILD) {
            break;
        } else {
            /* A dying process may need a moment; new orphans may come. */
            siginfo_t info;
            ignore_result(poll(NULL, 0, 1));
            ignore_result(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | WNOHANG));
        }
    }
    launcher_read_audit(l);
}

static void finish_usage(struct launcher *l)
{
    struct rusage usage;
    if (getrusage(RUSAGE_CHILDREN, &usage) == 0) {
        l->report->peak_memory =
            max_of(l->report->peak_memory, (uint64_t)usage.ru_maxrss * 1024ULL);
    }
    l->report->cpu_ns = max_of(l->report->cpu_ns, l->reaped_cpu_ns);
    l->report->wall_ns = launcher_now_ns() - l->start_ns;
}

static void launcher_init(struct launcher *l, const struct run_options *options,
                          struct report *report)
{
    *l = (struct launcher){
        .options = options,
        .report = report,
        .sentry = {.pidfd = -1},
        .gofer = {.pidfd = -1},
        .control_fd = -1,
        .audit_fd = -1,
        .signal_fd = -1,
        .audit_file = -1,
        .save_fd = -1,
        .terminal = !options->no_terminal && terminal_usable(),
        .start_ns = launcher_now_ns(),
        .deadline_ns = UINT64_MAX,
        .time_end_ns = UINT64_MAX,
        .memory_limit = options->limits.memory,
    };
    if (options->time_ms != SENTRY_NO_LIMIT) {
        l->time_end_ns = l->start_ns + options->time_ms * 1000000ULL;
    }
    if (l->memory_limit == 0) {
        l->memory_limit = usage_host_memory() / 4 * 3;
    }
    l->next_sample_ns = l->start_ns + 20000000ULL;
}

void launcher_run(const struct run_options *options, struct view *view, struct report *report)
{
    struct launcher l;
    launcher_init(&l, options, report);
    l.control_text = malloc(CONTROL_TEXT_MAX + 1);
    if (l.control_text == NULL) {
        report_fail(report, "out of memory");
        return;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (start_all(&l, view) == 0) {
        confine_launcher();
        if (l.terminal && terminal_enter_raw() != 0) {
            log_warning("the terminal cannot be switched to raw mode");
        }
        watch(&l);
    }
    take_down(&l);
    log_debug("start: all processes gone");
    terminal_restore();
    finish_usage(&l);
    text_fini(&l.audit_line);
    free(l.control_text);
    close_fd(&l.sentry.pidfd);
    close_fd(&l.gofer.pidfd);
    close_fd(&l.audit_fd);
    close_fd(&l.signal_fd);
    close_fd(&l.audit_file);
    close_fd(&l.save_fd);
}
