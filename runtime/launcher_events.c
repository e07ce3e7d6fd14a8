/*
 * launcher_events.c: messages of the sentry, audit lines of the gofer, signals, and the limits that
 * the launcher watches.
 *
 * Messages are hostile input: they can change the report, the exit status and what is saved below
 * the directory that the user named, nothing else.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "runtime/launcher_internal.h"
#include "runtime/save.h"
#include "runtime/terminal.h"
#include "runtime/usage.h"

#define AUDIT_LINE_MAX          65536
#define FINISH_GRACE_MS         60000 /* for the list of changes after the program ended */
#define LIMIT_GRACE_MS          2000
#define GROWTH_BYTES_PER_SECOND (4ULL << 30)
#define MEMORY_WORTH_TELLING    (1ULL << 20)
#define TMPFS_BYTES_PER_NS      4
#define TMPFS_INTERVAL_NS       200000000ULL

static void size_text(uint64_t bytes, char *buffer, size_t size)
{
    static const char units[] = "KMGT";
    int unit = -1;
    double value = (double)bytes;
    while (value >= 1024 && unit < 3) {
        value /= 1024;
        unit++;
    }
    if (unit < 0) {
        snprintf(buffer, size, "%llu", (unsigned long long)bytes);
    } else {
        snprintf(buffer, size, "%.4g%c", value, units[unit]);
    }
}

static void time_text(uint64_t ms, char *buffer, size_t size)
{
    if (ms % 1000 == 0) {
        snprintf(buffer, size, "%llus", (unsigned long long)(ms / 1000));
    } else {
        snprintf(buffer, size, "%llums", (unsigned long long)ms);
    }
}

void launcher_end(struct launcher *launcher, unsigned grace_ms)
{
    uint64_t deadline = launcher_now_ns() + grace_ms * 1000000ULL;
    if (launcher->phase == PHASE_DONE) {
        return;
    }
    launcher->deadline_ns = min_of(launcher->deadline_ns, deadline);
    if (launcher->phase == PHASE_RUNNING) {
        launcher->phase = PHASE_ENDING;
        if (control_send_simple(launcher->control_fd, CONTROL_TERMINATE, 0, NULL, NULL) != 0) {
            launcher->deadline_ns = 0;
        }
    }
}

static void handle_change(struct launcher *launcher, const struct control_message *message,
                          const char *text, int fd)
{
    /* The target of a symbolic link follows the path's NUL. */
    const char *target = text + strlen(text);
    if (target < text + message->text_length) {
        target++;
    }
    report_add_change(launcher->report, message->name, text, &message->change);
    if (launcher->save_fd < 0 || launcher->save_failed) {
        return;
    }
    int error = save_change(launcher->save_fd, message->name, text, target, &message->change, fd);
    if (error != 0) {
        launcher->save_failed = true;
        report_fail(launcher->report, "cannot save %s below %s: %s", text,
                    launcher->options->save_changes, strerror(-error));
    }
}

static void handle_refusal(struct launcher *launcher, const struct control_message *message,
                           const char *text)
{
    const char *end = text + message->text_length;
    const char *rule = text + strlen(text) + 1;
    const char *reason = rule < end ? rule + strlen(rule) + 1 : end;
    const char *name = strerrorname_np(message->value < 0 ? -message->value : message->value);
    report_add_refusal(launcher->report, message->name, text, name != NULL ? name : "?",
                       rule < end ? rule : "", reason < end ? reason : "");
}

static void handle_exec_failed(struct launcher *launcher, const struct control_message *message,
                               const char *text)
{
    int error = message->value < 0 ? -message->value : message->value;
    const char *program = launcher->options->argv[0];
    if (error == ESRCH) {
        /* The engine's word for a stub that somebody killed: no fault of the program. */
        report_fail(launcher->report, "the process of %s was killed while it started", program);
        launcher_end(launcher, LIMIT_GRACE_MS);
        return;
    }
    launcher->report->exec_error = error != 0 ? error : EIO;
    if (text[0] != 0) {
        report_fail(launcher->report, "cannot run %s: %s", program, text);
    } else if (error == ENOENT) {
        report_fail(launcher->report, "cannot run %s: not found in the sandbox", program);
    } else {
        report_fail(launcher->report, "cannot run %s: %s", program, strerror(error));
    }
    launcher_end(launcher, LIMIT_GRACE_MS);
}

static void handle_limit(struct launcher *launcher, const struct control_message *message,
                         const char *text)
{
    bool fatal = message->value != 0;
    if (strcmp(message->name, "stub") == 0) {
        /* No limit of the user's: a process of ours was killed. */
        report_fail(launcher->report, "%s", text);
        launcher_end(launcher, LIMIT_GRACE_MS);
        return;
    }
    char detail[512];
    snprintf(detail, sizeof(detail), "%s limit reached: %s", message->name,
             text[0] != 0 ? text : "no more is allowed");
    if (report_add_limit(launcher->report, message->name, detail, fatal) && !fatal) {
        /* The program got an error for it; the user should still learn why. */
        report_error("%s", detail);
    }
}

static void handle_message(struct launcher *launcher, const struct control_message *message,
                           const char *text, int fd)
{
    struct report *report = launcher->report;
    switch (message->type) {
    case CONTROL_EXEC_OK:
        report->started = true;
        log_debug("start: program runs");
        break;
    case CONTROL_EXEC_FAILED:
        handle_exec_failed(launcher, message, text);
        break;
    case CONTROL_FAILED:
        report_fail(report, "%s", text[0] != 0 ? text : strerror(abs(message->value)));
        launcher_end(launcher, LIMIT_GRACE_MS);
        break;
    case CONTROL_EXITED:
        if (!report->exited) {
            log_debug("start: program ended");
            report->exited = true;
            report->wait_status = message->value;
        }
        if (launcher->phase == PHASE_RUNNING) {
            launcher->phase = PHASE_ENDING;
            launcher->deadline_ns = launcher_now_ns() + FINISH_GRACE_MS * 1000000ULL;
        }
        break;
    case CONTROL_LIMIT:
        handle_limit(launcher, message, text);
        break;
    case CONTROL_CHANGE:
        handle_change(launcher, message, text, fd);
        break;
    case CONTROL_REFUSAL:
        handle_refusal(launcher, message, text);
        break;
    case CONTROL_STATS:
        report->stats = message->stats;
        break;
    case CONTROL_DONE:
        launcher->phase = PHASE_DONE;
        break;
    default:
        log_warning("unknown message %u from the sentry", message->type);
        break;
    }
}

void launcher_read_control(struct launcher *launcher)
{
    while (launcher->control_fd >= 0) {
        struct control_message message;
        int fd = -1;
        int result = control_receive(launcher->control_fd, MSG_DONTWAIT, &message,
                                     launcher->control_text, &fd);
        if (result == -EAGAIN) {
            return;
        }
        if (result == -ECONNRESET) {
            continue; /* it ended without reading all we sent; what it sent is still there */
        }
        if (result == -EPROTO) {
            log_warning("malformed message from the sentry dropped");
            continue;
        }
        if (result <= 0) {
            close(launcher->control_fd);
            launcher->control_fd = -1;
            return;
        }
        handle_message(launcher, &message, launcher->control_text, fd);
        if (fd >= 0) {
            close(fd);
        }
    }
}

static void take_audit_line(struct launcher *launcher, const char *line, size_t length)
{
    if (launcher->options->log_file != NULL) {
        log_notice("audit: %.*s", (int)length, line);
    }
    report_add_audit_line(launcher->report, line, length);
}

static void take_audit(struct launcher *launcher, const char *bytes, size_t length)
{
    if (launcher->audit_file >= 0) {
        ignore_result(write(launcher->audit_file, bytes, length));
    }
    while (length > 0) {
        const char *end = memchr(bytes, '\n', length);
        size_t n = end != NULL ? (size_t)(end - bytes) : length;
        if (launcher->audit_line.length + n <= AUDIT_LINE_MAX) {
            text_append(&launcher->audit_line, bytes, n);
        }
        if (end == NULL) {
            return;
        }
        if (!launcher->audit_line.failed) {
            take_audit_line(launcher, text_string(&launcher->audit_line),
                            launcher->audit_line.length);
        }
        text_clear(&launcher->audit_line);
        bytes = end + 1;
        length -= n + 1;
    }
}

void launcher_read_audit(struct launcher *launcher)
{
    char buffer[16384];
    while (launcher->audit_fd >= 0) {
        ssize_t n = read(launcher->audit_fd, buffer, sizeof(buffer));
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            close(launcher->audit_fd);
            launcher->audit_fd = -1;
            return;
        }
        take_audit(launcher, buffer, (size_t)n);
    }
}

/* ---- signals ---- */

static void forward_signal(struct launcher *launcher, int signo, bool group)
{
    ignore_result(control_send_simple(launcher->control_fd, CONTROL_SIGNAL, signo,
                                      group ? "group" : NULL, NULL));
}

static void forward_window(struct launcher *launcher)
{
    struct control_message message = {.type = CONTROL_RESIZE};
    terminal_size(&message.window);
    ignore_result(control_send(launcher->control_fd, &message, NULL, 0, -1));
}

/* Stops us as the terminal's user wishes and goes on after SIGCONT. */
static void stop_self(struct launcher *launcher)
{
    terminal_restore();
    if (!launcher->terminal) {
        forward_signal(launcher, SIGTSTP, true);
    }
    kill(getpid(), SIGSTOP);
    if (launcher->terminal) {
        ignore_result(terminal_enter_raw());
        forward_window(launcher);
    } else {
        forward_signal(launcher, SIGCONT, true);
    }
}

static void handle_signal(struct launcher *launcher, int signo, bool by_terminal)
{
    switch (signo) {
    case SIGCHLD:
    case SIGCONT:
        break;
    case SIGWINCH:
        if (launcher->terminal) {
            forward_window(launcher);
        }
        break;
    case SIGTSTP:
        stop_self(launcher);
        break;
    case SIGTERM:
        if (++launcher->term_count > 1 || !launcher->report->started) {
            launcher->report->ended_by_signal = SIGTERM;
            launcher_end(launcher, LIMIT_GRACE_MS);
            break;
        }
        forward_signal(launcher, signo, by_terminal);
        break;
    default:
        if (!launcher->report->started) {
            launcher->report->ended_by_signal = signo;
            launcher_end(launcher, LIMIT_GRACE_MS);
            break;
        }
        forward_signal(launcher, signo, by_terminal);
        break;
    }
}

void launcher_read_signals(struct launcher *launcher)
{
    struct signalfd_siginfo info;
    while (read(launcher->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        /* The terminal signals a whole process group, as a user expects of Ctrl-C. */
        handle_signal(launcher, (int)info.ssi_signo, info.ssi_code == SI_KERNEL);
    }
}

/* ---- limits ---- */

static void check_memory(struct launcher *launcher, uint64_t memory)
{
    char limit[32];
    char detail[128];
    uint64_t exact;
    if (memory > launcher->memory_limit) {
        /* Pages that are shared after fork were counted several times. */
        if (usage_memory_exact(launcher->sentry.pid, &exact) == 0) {
            memory = exact;
        }
    }
    launcher->report->peak_memory = max_of(launcher->report->peak_memory, memory);
    if (memory <= launcher->memory_limit) {
        return;
    }
    size_text(launcher->memory_limit, limit, sizeof(limit));
    snprintf(detail, sizeof(detail), "memory limit of %s exceeded", limit);
    ignore_result(report_add_limit(launcher->report, "memory", detail, true));
    launcher_end(launcher, LIMIT_GRACE_MS / 4);
}

static void check_cpu(struct launcher *launcher, uint64_t cpu_ns)
{
    char limit[32];
    char detail[128];
    launcher->report->cpu_ns = max_of(launcher->report->cpu_ns, cpu_ns);
    if (launcher->options->cpu_ms == SENTRY_NO_LIMIT ||
        cpu_ns <= launcher->options->cpu_ms * 1000000ULL) {
        return;
    }
    time_text(launcher->options->cpu_ms, limit, sizeof(limit));
    snprintf(detail, sizeof(detail), "CPU time limit of %s exceeded", limit);
    ignore_result(report_add_limit(launcher->report, "cpu", detail, true));
    launcher_end(launcher, LIMIT_GRACE_MS);
}

/* How long the sandbox can at most need to reach a limit; that long nobody has to look. */
static uint64_t next_interval_ns(const struct launcher *launcher, const struct usage *usage)
{
    uint64_t interval = 1000000000ULL;
    if (launcher->memory_limit != SENTRY_NO_LIMIT && usage->memory < launcher->memory_limit) {
        uint64_t room = launcher->memory_limit - usage->memory;
        interval = min_of(interval, room / (GROWTH_BYTES_PER_SECOND / 1000000000ULL));
    } else {
        /* Above by shared pages: each exact look is dear. */
        interval = 200000000ULL;
    }
    if (launcher->options->cpu_ms != SENTRY_NO_LIMIT) {
        uint64_t limit = launcher->options->cpu_ms * 1000000ULL;
        long cpus = max_of(sysconf(_SC_NPROCESSORS_ONLN), 1L);
        uint64_t room = limit > usage->cpu_ns ? limit - usage->cpu_ns : 0;
        interval = min_of(interval, room / (uint64_t)cpus);
    }
    /* In-memory files can grow by mappings, which the sentry looks at when memory has grown. */
    uint64_t tmpfs = launcher->options->limits.tmpfs;
    if (tmpfs != 0) {
        interval = min_of(interval, max_of(tmpfs / TMPFS_BYTES_PER_NS, TMPFS_INTERVAL_NS));
    }
    return max_of(interval, 20000000ULL);
}

/* For the guest's /proc/meminfo. Told only when it is worth a message; a sentry that does not read
 * must not block us. */
static void tell_memory(struct launcher *launcher, uint64_t memory)
{
    uint64_t told = launcher->memory_told;
    uint64_t change = memory > told ? memory - told : told - memory;
    if (change < MEMORY_WORTH_TELLING || launcher->control_fd < 0) {
        return;
    }
    struct pollfd poll_control = {.fd = launcher->control_fd, .events = POLLOUT};
    if (poll(&poll_control, 1, 0) == 1 && (poll_control.revents & POLLOUT) != 0) {
        struct control_message message = {.type = CONTROL_MEMORY, .memory = memory};
        ignore_result(control_send(launcher->control_fd, &message, NULL, 0, -1));
        launcher->memory_told = memory;
    }
}

void launcher_check_limits(struct launcher *launcher, uint64_t now_ns)
{
    char limit[32];
    char detail[128];
    if (launcher->phase != PHASE_RUNNING) {
        return;
    }
    if (now_ns >= launcher->time_end_ns) {
        time_text(launcher->options->time_ms, limit, sizeof(limit));
        snprintf(detail, sizeof(detail), "time limit of %s exceeded", limit);
        ignore_result(report_add_limit(launcher->report, "time", detail, true));
        launcher_end(launcher, LIMIT_GRACE_MS);
        return;
    }
    if (now_ns < launcher->next_sample_ns) {
        return;
    }
    struct usage usage;
    if (usage_sample(launcher->sentry.pid, &usage) != 0) {
        launcher->next_sample_ns = now_ns + 100000000ULL;
        return;
    }
    tell_memory(launcher, usage.memory);
    check_memory(launcher, usage.memory);
    check_cpu(launcher, usage.cpu_ns);
    launcher->next_sample_ns = launcher_now_ns() + next_interval_ns(launcher, &usage);
}
