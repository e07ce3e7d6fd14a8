/*
 * epoll.c: epoll: control operations, level triggering, waiting, errors.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/epoll.h>
#include <sys/socket.h>

static int epoll;
static int ends[2];
static struct epoll_event events[16];

static void setup(uint32_t mask)
{
    epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    CHECK_OK(pipe2(ends, O_NONBLOCK));
    struct epoll_event e = {.events = mask, .data.u64 = 0x123456789abcdefULL};
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &e));
}

TEST_CASE(level_triggered)
{
    char byte;
    setup(EPOLLIN);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
    guest_signal_fd(ends[1]);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(epoll_wait(epoll, events, 16, -1), 1);
        CHECK_EQ(events[0].events, EPOLLIN);
        CHECK_EQ(events[0].data.u64, 0x123456789abcdefULL);
    }
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
}

TEST_CASE(modify_and_delete)
{
    setup(EPOLLIN);
    guest_signal_fd(ends[1]);
    struct epoll_event e = {.events = 0, .data.u32 = 7};
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &e));
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
    e.events = EPOLLIN;
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &e));
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
    CHECK_EQ(events[0].data.u32, 7);
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL));
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL), ENOENT);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &e), ENOENT);
}

TEST_CASE(hangup_is_always_reported)
{
    setup(0);
    CHECK_OK(close(ends[1]));
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
    CHECK_EQ(events[0].events, EPOLLHUP);
}

TEST_CASE(maxevents_rotates_fairly)
{
    int pipes[4][2];
    int seen = 0;
    epoll = (int)CHECK_OK(epoll_create1(0));
    for (int i = 0; i < 4; i++) {
        CHECK_OK(pipe(pipes[i]));
        guest_signal_fd(pipes[i][1]);
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[i][0], &e));
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(epoll_wait(epoll, events, 1, 0), 1);
        seen |= 1 << events[0].data.u32;
    }
    CHECK_EQ(seen, 15);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 4);
}

TEST_CASE(timeout)
{
    setup(EPOLLIN);
    long long start = guest_now_ms();
    CHECK_EQ(epoll_wait(epoll, events, 16, 50), 0);
    CHECK(guest_now_ms() - start >= 50);
}

TEST_CASE(wakes_from_another_process)
{
    setup(EPOLLIN);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(30);
        guest_signal_fd(ends[1]);
        _exit(0);
    }
    CHECK_EQ(epoll_wait(epoll, events, 16, -1), 1);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(oneshot)
{
    setup(EPOLLIN | EPOLLONESHOT);
    guest_signal_fd(ends[1]);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
    guest_signal_fd(ends[1]);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT};
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &e), EEXIST);
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &e));
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
}

TEST_CASE(errors)
{
    struct epoll_event e = {.events = EPOLLIN};
    setup(EPOLLIN);
    guest_write_file("f", "");
    int file = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_ERRNO(epoll_create1(1), EINVAL);
    CHECK_ERRNO(epoll_create(0), EINVAL);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &e), EEXIST);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, file, &e), EPERM);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &e), EINVAL);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, 9999, &e), EBADF);
    CHECK_ERRNO(epoll_ctl(9999, EPOLL_CTL_ADD, ends[1], &e), EBADF);
    CHECK_ERRNO(epoll_ctl(ends[0], EPOLL_CTL_ADD, ends[1], &e), EINVAL);
    CHECK_ERRNO(epoll_ctl(epoll, 99, ends[0], &e), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, ends[1], guest_bad()), EFAULT);
    CHECK_ERRNO(epoll_wait(epoll, events, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_wait, epoll, events, -1, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(ends[0], events, 1, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(9999, events, 1, 0), EBADF);
    guest_signal_fd(ends[1]);
    CHECK_ERRNO(syscall(SYS_epoll_wait, epoll, guest_bad(), 1, 0), EFAULT);
    char byte;
    CHECK_ERRNO(read(epoll, &byte, 1), EINVAL);
}

static volatile sig_atomic_t got;

static void note(int sig)
{
    got = sig;
}

TEST_CASE(pwait_mask)
{
    sigset_t set;
    sigset_t none;
    setup(EPOLLIN);
    guest_handle(SIGUSR1, note, 0);
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(raise(SIGUSR1));
    CHECK_ERRNO(epoll_pwait(epoll, events, 16, 5000, &none), EINTR);
    CHECK_EQ(got, SIGUSR1);
}

TEST_CASE(pwait2)
{
    struct timespec t = {0, 30000000};
    setup(EPOLLIN);
    long long start = guest_now_ns();
    long n = syscall(SYS_epoll_pwait2, epoll, events, 16, &t, NULL, 0);
    if (n < 0 && errno == ENOSYS) {
        SKIP("no epoll_pwait2");
    }
    CHECK_EQ(n, 0);
    CHECK(guest_now_ns() - start >= 30000000);
    t = (struct timespec){0, 1000000000};
    CHECK_ERRNO(syscall(SYS_epoll_pwait2, epoll, events, 16, &t, NULL, 0), EINVAL);
}

TEST_CASE(read_hangup)
{
    int pair[2];
    epoll = (int)CHECK_OK(epoll_create1(0));
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    struct epoll_event e = {.events = EPOLLRDHUP};
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &e));
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
    CHECK_OK(shutdown(pair[1], SHUT_WR));
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
    CHECK_EQ(events[0].events, EPOLLRDHUP);
}

TEST_CASE(exclusive_passes_over_the_idle)
{
    int pipes[2];
    struct epoll_event event = {.events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE};
    CHECK_OK(pipe(pipes));
    int idle = (int)CHECK_OK(epoll_create1(0));
    CHECK_OK(epoll_ctl(idle, EPOLL_CTL_ADD, pipes[0], &event));
    pid_t child = guest_fork();
    if (child == 0) {
        int waits = (int)CHECK_OK(epoll_create1(0));
        CHECK_OK(epoll_ctl(waits, EPOLL_CTL_ADD, pipes[0], &event));
        CHECK_EQ(epoll_wait(waits, &event, 1, 5000), 1);
        _exit(0);
    }
    guest_sleep_ms(200);
    CHECK_EQ(write(pipes[1], "x", 1), 1);
    CHECK_CHILD_OK(child);
}
