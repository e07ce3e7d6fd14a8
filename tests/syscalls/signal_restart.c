/*
 * signal_restart.c: SA_RESTART: which calls are restarted, which are not.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>

static volatile sig_atomic_t ticks;

static void tick(int sig)
{
    (void)sig;
    ticks++;
}

static void start(void)
{
    ticks = 0;
    guest_handle(SIGALRM, tick, SA_RESTART);
    guest_ticker_start(10);
}

/* A child that waits 60 ms and then does something that ends the parent's call. */
static pid_t after_a_while(int fd)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(60);
        if (fd >= 0) {
            guest_signal_fd(fd);
        }
        _exit(0);
    }
    return pid;
}

TEST_CASE(read_of_a_pipe)
{
    int pair[2];
    char byte;
    CHECK_OK(pipe(pair));
    pid_t pid = after_a_while(pair[1]);
    start();
    CHECK_EQ(read(pair[0], &byte, 1), 1);
    guest_ticker_stop();
    CHECK(ticks >= 2);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(write_to_a_full_pipe)
{
    int pair[2];
    static char block[65536];
    CHECK_OK(pipe(pair));
    CHECK_EQ(write(pair[1], block, sizeof(block)), sizeof(block));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(60);
        CHECK_EQ(read(pair[0], block, sizeof(block)), sizeof(block));
        _exit(0);
    }
    start();
    CHECK_EQ(write(pair[1], block, 100), 100);
    guest_ticker_stop();
    CHECK(ticks >= 2);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(waitpid_is_restarted)
{
    pid_t pid = after_a_while(-1);
    start();
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    guest_ticker_stop();
    CHECK(ticks >= 2);
}

TEST_CASE(accept_and_recv_are_restarted)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "s"};
    int listener = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(bind(listener, (struct sockaddr *)&address, sizeof(address)));
    CHECK_OK(listen(listener, 1));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(50);
        int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
        CHECK_OK(connect(fd, (struct sockaddr *)&address, sizeof(address)));
        guest_sleep_ms(50);
        guest_signal_fd(fd);
        _exit(0);
    }
    char byte;
    start();
    int fd = (int)CHECK_OK(accept(listener, NULL, NULL));
    CHECK_EQ(recv(fd, &byte, 1, 0), 1);
    guest_ticker_stop();
    CHECK(ticks >= 3);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(flock_is_restarted)
{
    int ready[2];
    CHECK_OK(pipe(ready));
    guest_write_file("lock", "");
    pid_t pid = guest_fork();
    if (pid == 0) {
        int fd = (int)CHECK_OK(open("lock", O_RDONLY));
        CHECK_OK(flock(fd, LOCK_EX));
        guest_signal_fd(ready[1]);
        guest_sleep_ms(60);
        _exit(0);
    }
    guest_await_fd(ready[0]);
    int fd = (int)CHECK_OK(open("lock", O_RDONLY));
    start();
    CHECK_OK(flock(fd, LOCK_EX));
    guest_ticker_stop();
    CHECK(ticks >= 2);
    CHECK_CHILD_OK(pid);
}

/* Linux: these end with EINTR whatever the flag says. */
TEST_CASE(never_restarted)
{
    int pair[2];
    CHECK_OK(pipe(pair));
    struct pollfd p = {.fd = pair[0], .events = POLLIN};
    start();
    CHECK_ERRNO(poll(&p, 1, 5000), EINTR);
    CHECK_ERRNO(ppoll(&p, 1, NULL, NULL), EINTR);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pair[0], &set);
    CHECK_ERRNO(select(pair[0] + 1, &set, NULL, NULL, NULL), EINTR);
    int epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN};
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event));
    CHECK_ERRNO(epoll_wait(epoll, &event, 1, 5000), EINTR);
    struct timespec t = {5, 0};
    CHECK_ERRNO(nanosleep(&t, NULL), EINTR);
    CHECK_ERRNO(pause(), EINTR);
    guest_ticker_stop();
}

TEST_CASE(receive_timeout_makes_recv_not_restartable)
{
    int pair[2];
    char byte;
    struct timeval timeout = {5, 0};
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
    start();
    CHECK_ERRNO(recv(pair[0], &byte, 1, 0), EINTR);
    guest_ticker_stop();
}

TEST_CASE(stop_and_continue_restart_without_a_handler)
{
    int pair[2];
    int ready[2];
    CHECK_OK(pipe(pair));
    CHECK_OK(pipe(ready));
    pid_t pid = guest_fork();
    if (pid == 0) {
        char byte;
        struct timespec t = {0, 80000000};
        struct pollfd p = {.fd = pair[0], .events = POLLIN};
        guest_signal_fd(ready[1]);
        CHECK_OK(nanosleep(&t, NULL));
        CHECK_EQ(poll(&p, 1, 80), 0);
        guest_signal_fd(ready[1]);
        CHECK_EQ(read(pair[0], &byte, 1), 1);
        _exit(0);
    }
    int status;
    guest_await_fd(ready[0]);
    for (int i = 0; i < 5; i++) {
        guest_sleep_ms(10);
        CHECK_OK(kill(pid, SIGSTOP));
        CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
        CHECK_OK(kill(pid, SIGCONT));
    }
    guest_await_fd(ready[0]);
    guest_sleep_ms(10);
    CHECK_OK(kill(pid, SIGSTOP));
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK_OK(kill(pid, SIGCONT));
    guest_sleep_ms(10);
    guest_signal_fd(pair[1]);
    CHECK_CHILD_OK(pid);
}
