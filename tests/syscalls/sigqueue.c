/*
 * sigqueue.c: queued signals with values, limits of the queue, forged siginfo.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/resource.h>

static volatile int values[128];
static volatile int used;
static volatile int code;
static volatile pid_t sender;

static void note(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    values[used++ % 128] = info->si_value.sival_int;
    code = info->si_code;
    sender = info->si_pid;
}

TEST_CASE(every_instance_in_order)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    guest_handle_info(SIGRTMIN, note, 0);
    for (int i = 0; i < 100; i++) {
        CHECK_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i * 3}));
    }
    CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
    CHECK_EQ(used, 100);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(values[i], i * 3);
    }
    CHECK_EQ(code, SI_QUEUE);
    CHECK_EQ(sender, getpid());
}

TEST_CASE(standard_signal_keeps_the_first_value)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    guest_handle_info(SIGUSR1, note, 0);
    CHECK_OK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 1}));
    CHECK_OK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 2}));
    CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
    CHECK_EQ(used, 1);
    CHECK_EQ(values[0], 1);
}

TEST_CASE(pointer_value)
{
    siginfo_t info;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 5);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(sigqueue(getpid(), SIGRTMIN + 5, (union sigval){.sival_ptr = (void *)&set}));
    CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN + 5);
    CHECK(info.si_value.sival_ptr == &set);
}

TEST_CASE(to_another_process)
{
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMAX);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMAX);
        CHECK_EQ(info.si_pid, getppid());
        CHECK_EQ(info.si_value.sival_int, -5);
        _exit(0);
    }
    CHECK_OK(sigqueue(pid, SIGRTMAX, (union sigval){.sival_int = -5}));
    CHECK_CHILD_OK(pid);
}

TEST_CASE(errors)
{
    union sigval value = {.sival_int = 0};
    CHECK_ERRNO(sigqueue(getpid(), 65, value), EINVAL);
    CHECK_ERRNO(sigqueue(1 << 21, SIGUSR1, value), ESRCH);
    CHECK_OK(sigqueue(getpid(), 0, value));
}

TEST_CASE(forged_codes)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    info.si_code = SI_USER;
    pid_t pid = guest_fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    /* Linux: codes that claim to come from the kernel or kill() only to oneself. */
    CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info), EPERM);
    info.si_code = SI_TKILL;
    CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info), EPERM);
    info.si_code = SI_QUEUE;
    CHECK_OK(syscall(SYS_rt_sigqueueinfo, pid, 0, &info));
    signal(SIGUSR1, SIG_IGN);
    info.si_code = SI_USER;
    CHECK_OK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info));
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

TEST_CASE(limit)
{
    struct rlimit limit;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(getrlimit(RLIMIT_SIGPENDING, &limit));
    limit.rlim_cur = 0;
    CHECK_OK(setrlimit(RLIMIT_SIGPENDING, &limit));
    /* The count is per user, so with limit 0 nothing can be queued at all. */
    CHECK_ERRNO(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1}), EAGAIN);
    /* kill() is never refused. */
    CHECK_OK(kill(getpid(), SIGRTMIN));
    CHECK_OK(sigpending(&set));
    CHECK_EQ(sigismember(&set, SIGRTMIN), 1);
}

TEST_CASE(tgsigqueueinfo)
{
    siginfo_t info;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    memset(&info, 0, sizeof(info));
    info.si_code = -7;
    info.si_value.sival_int = 99;
    CHECK_OK(syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGRTMIN, &info));
    memset(&info, 0, sizeof(info));
    CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
    CHECK_EQ(info.si_code, -7);
    CHECK_EQ(info.si_value.sival_int, 99);
    CHECK_ERRNO(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, SIGRTMIN, &info), EINVAL);
}
