/*
 * poll.c: poll: results per descriptor, timeouts, bad descriptors.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

TEST_CASE(timeout)
{
    long long start = guest_now_ms();
    CHECK_EQ(poll(NULL, 0, 50), 0);
    long long took = guest_now_ms() - start;
    CHECK(took >= 50 && took < 3000);
    CHECK_EQ(poll(NULL, 0, 0), 0);
}

TEST_CASE(each_descriptor)
{
    int ends[2];
    CHECK_OK(pipe(ends));
    struct pollfd p[5] = {{.fd = ends[0], .events = POLLIN, .revents = 99},
                          {.fd = ends[1], .events = POLLOUT},
                          {.fd = -1, .events = POLLIN, .revents = 99},
                          {.fd = 9999, .events = POLLIN},
                          {.fd = -5, .events = POLLIN}};
    CHECK_EQ(poll(p, 5, -1), 2);
    CHECK_EQ(p[0].revents, 0);
    CHECK_EQ(p[1].revents, POLLOUT);
    CHECK_EQ(p[2].revents, 0);
    CHECK_EQ(p[3].revents, POLLNVAL);
    CHECK_EQ(p[4].revents, 0);
}

TEST_CASE(regular_files_are_always_ready)
{
    guest_write_file("f", "");
    int fd = (int)CHECK_OK(open("f", O_RDWR));
    int null = (int)CHECK_OK(open("/dev/null", O_RDWR));
    int dir = (int)CHECK_OK(open(".", O_RDONLY));
    struct pollfd p[3] = {{.fd = fd, .events = POLLIN | POLLOUT},
                          {.fd = null, .events = POLLIN | POLLOUT},
                          {.fd = dir, .events = POLLIN | POLLOUT}};
    CHECK_EQ(poll(p, 3, 0), 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(p[i].revents, POLLIN | POLLOUT);
    }
    int path = (int)CHECK_OK(open("f", O_PATH));
    p[0].fd = path;
    CHECK_EQ(poll(p, 1, 0), 1);
    CHECK_EQ(p[0].revents, POLLNVAL);
}

TEST_CASE(woken_by_another_process)
{
    int ends[2];
    CHECK_OK(pipe(ends));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(30);
        guest_signal_fd(ends[1]);
        _exit(0);
    }
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    long long start = guest_now_ms();
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK(guest_now_ms() - start >= 10);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(same_descriptor_twice)
{
    int ends[2];
    CHECK_OK(pipe(ends));
    guest_signal_fd(ends[1]);
    struct pollfd p[2] = {{.fd = ends[0], .events = POLLIN}, {.fd = ends[0], .events = POLLRDNORM}};
    CHECK_EQ(poll(p, 2, 0), 2);
    CHECK_EQ(p[0].revents, POLLIN);
    CHECK_EQ(p[1].revents, POLLRDNORM);
}

TEST_CASE(errors)
{
    struct rlimit limit;
    CHECK_ERRNO(syscall(SYS_poll, guest_bad(), 1, 0), EFAULT);
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 10;
    struct pollfd p[11];
    memset(p, 0xff, sizeof(p));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_ERRNO(poll(p, 11, 0), EINVAL);
    CHECK_EQ(poll(p, 10, 0), 0);
}

static volatile sig_atomic_t got;

static void note(int sig)
{
    got = sig;
}

TEST_CASE(ppoll_mask_is_atomic)
{
    sigset_t set;
    sigset_t none;
    struct timespec t = {5, 0};
    guest_handle(SIGUSR1, note, 0);
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(raise(SIGUSR1));
    CHECK_ERRNO(ppoll(NULL, 0, &t, &none), EINTR);
    CHECK_EQ(got, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &set));
    CHECK_EQ(sigismember(&set, SIGUSR1), 1);
}

TEST_CASE(ppoll_ready_descriptor_leaves_the_signal_pending)
{
    int ends[2];
    sigset_t set;
    sigset_t none;
    CHECK_OK(pipe(ends));
    guest_signal_fd(ends[1]);
    guest_handle(SIGUSR1, note, 0);
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    CHECK_EQ(ppoll(&p, 1, NULL, &set), 1);
    CHECK_EQ(got, 0);
}

TEST_CASE(ppoll_raw_call_updates_the_timeout)
{
    struct timespec t = {5, 0};
    int ends[2];
    CHECK_OK(pipe(ends));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(30);
        guest_signal_fd(ends[1]);
        _exit(0);
    }
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    CHECK_EQ(syscall(SYS_ppoll, &p, 1, &t, NULL, 8), 1);
    CHECK(t.tv_sec < 5);
    CHECK_CHILD_OK(pid);
    t = (struct timespec){0, 1000000000};
    CHECK_ERRNO(syscall(SYS_ppoll, &p, 1, &t, NULL, 8), EINVAL);
    sigset_t set;
    sigemptyset(&set);
    CHECK_ERRNO(syscall(SYS_ppoll, &p, 1, NULL, &set, 4), EINVAL);
}
