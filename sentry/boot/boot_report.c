/*
 * boot_report.c: the end of the sandbox and what the launcher is told. The main thread does the
 * reporting: others only leave a request.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "sentry/boot/control.h"
#include "sentry/boot/internal.h"
#include "sentry/core/clock.h"
#include "sentry/fs/dev/host_stream.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"

#define LIMIT_NAMES      16
#define SENTRY_EXIT_LEAK 98

static const struct sentry_config *boot_config;
static int finish_event = -1;
static atomic_bool finish_requested;
static atomic_int finish_status;
static struct mutex limit_lock;
static const char *limits_reported[LIMIT_NAMES]; /* under limit_lock */

void boot_report_init(const struct sentry_config *config)
{
    boot_config = config;
    finish_event = eventfd(0, EFD_CLOEXEC);
    mutex_init(&limit_lock, RANK_LOG);
}

void boot_request_finish(int wait_status)
{
    bool expected = false;
    if (atomic_compare_exchange_strong(&finish_requested, &expected, true)) {
        atomic_store(&finish_status, wait_status);
        uint64_t one = 1;
        ignore_result(write(finish_event, &one, sizeof(one)));
    }
}

void boot_limit_hit(const char *name, const char *detail, bool fatal)
{
    bool known = false;
    mutex_lock(&limit_lock);
    for (int i = 0; i < LIMIT_NAMES; i++) {
        if (!limits_reported[i]) {
            limits_reported[i] = name;
            break;
        }
        if (strcmp(limits_reported[i], name) == 0) {
            known = true;
            break;
        }
    }
    mutex_unlock(&limit_lock);
    if (!known) {
        ignore_result(
            control_send_simple(boot_config->control_fd, CONTROL_LIMIT, fatal, name, detail));
    }
    if (fatal) {
        boot_request_finish(SIGKILL);
    }
}

/* Every guest process gets SIGKILL; waits a moment for their threads to leave. */
static void kill_all(void)
{
    struct process *process;
    mutex_lock(&kernel_lock);
    TAILQ_FOREACH (process, &all_processes, all_link) {
        if (process != init_process && process->state == PROCESS_RUNNING) {
            process_group_exit_locked(process, SIGKILL);
        }
    }
    mutex_unlock(&kernel_lock);
    uint64_t deadline = clock_monotonic_ns() + NSEC_PER_SEC;
    while (atomic_load(&kernel.task_count) > 0 && clock_monotonic_ns() < deadline) {
        struct timespec pause = {.tv_nsec = 500000};
        nanosleep(&pause, NULL);
    }
}

static void send_stats(const struct sentry_config *config)
{
    struct control_message message = {.type = CONTROL_STATS};
    mutex_lock(&kernel_lock);
    message.stats.cpu_ns = kernel.ended_user_ns + kernel.ended_system_ns;
    mutex_unlock(&kernel_lock);
    message.stats.output_bytes = host_stream_written();
    ignore_result(control_send(config->control_fd, &message, NULL, 0, -1));
}

/* The run-time of AddressSanitizer; absent without it. */
__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

/* The sentry ends without exit(3), so the leak check of a sanitized build is asked for here: once
 * the guest's threads have left, memory that is not reachable has leaked. */
static void check_leaks(void)
{
    if (!__lsan_do_recoverable_leak_check) {
        return;
    }
    kill_all();
    if (atomic_load(&kernel.task_count) == 0 && __lsan_do_recoverable_leak_check() != 0) {
        _exit(SENTRY_EXIT_LEAK);
    }
}

void boot_finish(const struct sentry_config *config, int wait_status)
{
    check_leaks();
    if (boot_gofer_lost()) {
        ignore_result(control_send_simple(config->control_fd, CONTROL_FAILED, EIO, NULL,
                                          "the gofer ended unexpectedly"));
    } else {
        ignore_result(
            control_send_simple(config->control_fd, CONTROL_EXITED, wait_status, NULL, NULL));
    }
    if (config->report_changes && boot_has_changes()) {
        kill_all();
        boot_send_changes(config);
    }
    send_stats(config);
    ignore_result(control_send_simple(config->control_fd, CONTROL_DONE, 0, NULL, NULL));
    _exit(0);
}

/* whole_group: it came from the host's terminal, which signals process groups. */
static void signal_first_process(int signo, bool whole_group)
{
    if (signo < 1 || signo > SIGNAL_COUNT) {
        return;
    }
    struct process *process = process_find(2);
    if (process) {
        siginfo_t info;
        memset(&info, 0, sizeof(info));
        info.si_code = SI_USER;
        if (whole_group) {
            ignore_result(signal_send_group(process->tgid, signo, &info));
        } else {
            ignore_result(signal_send_process(process, signo, &info));
        }
        process_unref(process);
    }
}

static void handle_message(const struct sentry_config *config)
{
    static char text[CONTROL_TEXT_MAX + 1];
    struct control_message message;
    int fd = -1;
    int result = control_receive(config->control_fd, MSG_DONTWAIT, &message, text, &fd);
    if (fd >= 0) {
        close(fd);
    }
    if (result == -EAGAIN) {
        return;
    }
    if (result <= 0) {
        _exit(1); /* the launcher is gone, and with it whoever wants an answer */
    }
    switch (message.type) {
    case CONTROL_SIGNAL:
        signal_first_process(message.value, strcmp(message.name, "group") == 0);
        break;
    case CONTROL_TERMINATE:
        kill_all();
        boot_request_finish(SIGKILL);
        break;
    case CONTROL_MEMORY:
        atomic_store(&kernel.memory_used, message.memory);
        boot_check_tmpfs();
        break;
    case CONTROL_RESIZE:
        boot_console_resize(&message.window);
        break;
    default:
        break;
    }
}

void boot_serve_control(const struct sentry_config *config)
{
    for (;;) {
        struct pollfd polls[2] = {{.fd = config->control_fd, .events = POLLIN},
                                  {.fd = finish_event, .events = POLLIN}};
        if (poll(polls, 2, -1) < 0) {
            continue;
        }
        if (atomic_load(&finish_requested)) {
            boot_console_drain();
            boot_finish(config, atomic_load(&finish_status));
        }
        if (polls[0].revents) {
            handle_message(config);
        }
    }
}
