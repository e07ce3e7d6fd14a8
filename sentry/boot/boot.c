/*
 * boot.c: wires the sentry together: engine, kernel, mounts, first task; then the main thread
 * serves the launcher. The main thread lives as long as the process: the stubs' parent-death signal
 * hangs on it.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "platform/platform.h"
#include "sentry/boot/confine.h"
#include "sentry/boot/control.h"
#include "sentry/boot/internal.h"
#include "sentry/core/clock.h"
#include "sentry/core/timer.h"
#include "sentry/fs/anon/async_io.h"
#include "sentry/fs/anon/epoll.h"
#include "sentry/fs/anon/pidfd.h"
#include "sentry/fs/anon/pipe.h"
#include "sentry/fs/dev/device.h"
#include "sentry/fs/dev/host_stream.h"
#include "sentry/fs/dev/tty.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/ipc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/task_clone.h"
#include "sentry/kernel/task_run.h"
#include "sentry/mm/mm.h"
#include "sentry/net/inet.h"
#include "sentry/net/socket.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/file_lease.h"
#include "sentry/vfs/inode.h"
#include "syscalls/dispatch.h"
#include "syscalls/strace.h"

static int fail(const struct sentry_config *config, int error, const char *text)
{
    ignore_result(control_send_simple(config->control_fd, CONTROL_FAILED, -error, NULL, text));
    return error;
}

/* Dies with the launcher, even when that died before this line. */
static int tie_to_launcher(const struct sentry_config *config)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != config->launcher_pid) {
        return -ESRCH;
    }
    return 0;
}

/*
 * The C library looks at /proc/sys/vm/overcommit_memory the first time it gives back memory of an
 * arena that is not the first one, and remembers the answer. A confined sentry may open nothing, so
 * that time is now: a thread of its own takes more than the trim threshold and gives it back.
 */
static void *arena_settle(void *unused)
{
    void *pieces[16];
    (void)unused;
    for (size_t i = 0; i < array_size(pieces); i++) {
        pieces[i] = malloc(100000);
    }
    for (size_t i = array_size(pieces); i > 0; i--) {
        free(pieces[i - 1]);
    }
    return NULL;
}

static void settle_allocator(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, arena_settle, NULL) == 0) {
        pthread_join(thread, NULL);
    }
}

static void signals_and_limits(void)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit of the host's gives EFBIG */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    settle_allocator();
}

static void host_facts(const struct sentry_config *config)
{
    struct sysinfo info;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0) {
        CPU_SET(0, &cpus);
    }
    memcpy(kernel.cpu_mask, &cpus, min_of(sizeof(kernel.cpu_mask), sizeof(cpus)));
    kernel.cpu_count = (uint32_t)CPU_COUNT(&cpus);
    long configured = sysconf(_SC_NPROCESSORS_CONF);
    kernel.cpu_highest = configured > 0 ? (uint32_t)configured - 1 : 0;
    if (sysinfo(&info) == 0) {
        kernel.host_memory_bytes = (uint64_t)info.totalram * info.mem_unit;
        mm_overcommit_limit = kernel.host_memory_bytes + (uint64_t)info.totalswap * info.mem_unit;
    }
    kernel.boot_time_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
    kernel.boot_monotonic_ns = clock_monotonic_ns();
    ignore_result(getrandom(kernel.boot_id, sizeof(kernel.boot_id), 0));
    kernel.nice = getpriority(PRIO_PROCESS, 0);
    kernel.limits.memory_bytes = config->limits.memory;
    inet_limit_memory(config->limits.memory);
    kernel.limits.tasks = config->limits.pids;
}

static int start_platform(const struct sentry_config *config, char *text, size_t size)
{
    const struct platform_ops *ops = platform_find(config->platform);
    if (!ops) {
        snprintf(text, size, "platform %s: not known", config->platform);
        return -EINVAL;
    }
    char reason[256] = "";
    int result = ops->probe(reason, sizeof(reason));
    if (result != 0) {
        snprintf(text, size, "platform %s does not work here: %s", ops->name, reason);
        return result;
    }
    struct platform_config platform_config = {.stub_image_fd = -1, .ready_spaces = 2};
    result = ops->init(&platform_config, &kernel.platform);
    if (result != 0) {
        snprintf(text, size, "platform %s: cannot start: %s", ops->name, strerror(-result));
        return result;
    }
    kernel.platform_ops = ops;
    log_info("platform: %s", ops->name);
    return 0;
}

static void output_exceeded(void)
{
    boot_limit_hit("output", "the guest wrote more than the limit to its output", true);
}

static void send_signal_to_self(int signo)
{
    siginfo_t info;
    signal_info_user(&info, signo, SI_USER);
    ignore_result(signal_send_task(current.task, signo, &info));
}

/* The bytes of a System V segment. */
static int new_segment_file(uint64_t size, struct file **ret_file)
{
    struct inode_attr attr = {.size = size};
    struct file *file;
    int result = tmpfs_new_memfd("SYSV", 0, &file);
    if (result != 0) {
        return result;
    }
    result = inode_setattr_unchecked(file->inode, &attr, INODE_SET_SIZE);
    if (result != 0) {
        file_unref(file);
        return result;
    }
    *ret_file = file;
    return 0;
}

static void wire_hooks(const struct sentry_config *config)
{
    kernel_syscall = syscall_dispatch;
    sleeper_before_wake = task_before_wake;
    kernel_first_process_exited = boot_request_finish;
    kernel_limit_hit = boot_limit_hit;
    kernel_install_pidfd = pidfd_install;
    current_hooks.send_signal = send_signal_to_self;
    ipc_segment_file = new_segment_file;
    lease_signal = async_io_send;
    device_init();
    pipe_init();
    epoll_init();
    net_init();
    tty_init();
    if (config->limits.output != SENTRY_NO_LIMIT) {
        host_stream_set_limit(config->limits.output, output_exceeded);
    }
    if (config->strace_fd >= 0) {
        strace_configure(config->strace_fd);
        signal_trace = strace_signal;
        kernel_task_exited = strace_exit;
    }
    ignore_result(
        kernel_set_hostname(config->hostname, min_of(strlen(config->hostname), (size_t)64)));
}

int sentry_boot_run(const struct sentry_config *config)
{
    char text[600] = "";
    struct log_config log = {.fd = config->log_fd >= 0 ? config->log_fd : STDERR_FILENO,
                             .level = config->log_fd >= 0 ? (enum log_level)config->log_level
                                                          : LOG_WARNING,
                             .json = config->log_json,
                             .role = "sentry"};
    log_configure(&log);
    int result = tie_to_launcher(config);
    if (result != 0) {
        return result;
    }
    signals_and_limits();
    mutex_init(&kernel_lock, RANK_KERNEL);
    host_facts(config);
    boot_report_init(config);
    result = start_platform(config, text, sizeof(text));
    if (result == 0) {
        result = timer_start();
    }
    if (result != 0) {
        return fail(config, result, text[0] ? text : "cannot start the timer thread");
    }
    log_debug("start: engine ready");
    wire_hooks(config);
    result = boot_mounts(config, text, sizeof(text));
    if (result != 0) {
        return fail(config, result, text);
    }
    log_debug("start: mounts ready");
    bool program_failed = false;
    struct task *task = NULL;
    result = boot_first_task(config, &task, &program_failed, text, sizeof(text));
    if (result != 0 && program_failed && !boot_gofer_lost()) {
        ignore_result(
            control_send_simple(config->control_fd, CONTROL_EXEC_FAILED, -result, NULL, text));
        ignore_result(control_send_simple(config->control_fd, CONTROL_DONE, 0, NULL, NULL));
        _exit(0);
    }
    if (result != 0) {
        return fail(config, result, text);
    }
    log_debug("start: program loaded");
    result = sentry_confine(kernel.platform_ops, text, sizeof(text));
    if (result != 0) {
        return fail(config, result, text);
    }
    ignore_result(control_send_simple(config->control_fd, CONTROL_EXEC_OK, 0, NULL, NULL));
    result = task_start(task);
    if (result != 0) {
        return fail(config, result, "cannot start the first thread");
    }
    task_unref(task);
    boot_serve_control(config);
}
