/*
 * epoll_nested.c: epoll in epoll, duplicated descriptors, and what closing removes.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/epoll.h>

static struct epoll_event events[16];

static int new_epoll(void)
{
    return (int)CHECK_OK(epoll_create1(0));
}

static void add(int epoll, int fd, uint32_t mask, uint32_t data)
{
    struct epoll_event e = {.events = mask, .data.u32 = data};
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e));
}

TEST_CASE(inner_readiness_shows_outside)
{
    int ends[2];
    char byte;
    int outer = new_epoll();
    int inner = new_epoll();
    CHECK_OK(pipe(ends));
    add(inner, ends[0], EPOLLIN, 1);
    add(outer, inner, EPOLLIN, 2);
    CHECK_EQ(epoll_wait(outer, events, 16, 0), 0);
    guest_signal_fd(ends[1]);
    CHECK_EQ(epoll_wait(outer, events, 16, 0), 1);
    CHECK_EQ(events[0].data.u32, 2);
    struct pollfd p = {.fd = inner, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    CHECK_EQ(epoll_wait(outer, events, 16, 0), 0);
    CHECK_EQ(poll(&p, 1, 0), 0);
}

TEST_CASE(blocked_on_the_outer)
{
    int ends[2];
    int outer = new_epoll();
    int inner = new_epoll();
    CHECK_OK(pipe(ends));
    add(inner, ends[0], EPOLLIN, 1);
    add(outer, inner, EPOLLIN, 2);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(30);
        guest_signal_fd(ends[1]);
        _exit(0);
    }
    CHECK_EQ(epoll_wait(outer, events, 16, 5000), 1);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(loops_are_refused)
{
    int a = new_epoll();
    int b = new_epoll();
    struct epoll_event e = {.events = EPOLLIN};
    add(a, b, EPOLLIN, 0);
    CHECK_ERRNO(epoll_ctl(b, EPOLL_CTL_ADD, a, &e), ELOOP);
    /* Linux: at most five levels. */
    int chain[8];
    int depth = 1;
    chain[0] = new_epoll();
    for (; depth < 8; depth++) {
        chain[depth] = new_epoll();
        if (epoll_ctl(chain[depth], EPOLL_CTL_ADD, chain[depth - 1], &e) < 0) {
            CHECK(errno == ELOOP || errno == EINVAL);
            break;
        }
    }
    CHECK(depth >= 4 && depth < 8);
}

TEST_CASE(close_removes)
{
    int ends[2];
    int epoll = new_epoll();
    CHECK_OK(pipe(ends));
    add(epoll, ends[0], EPOLLIN, 1);
    guest_signal_fd(ends[1]);
    CHECK_OK(close(ends[0]));
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
}

TEST_CASE(duplicate_keeps_the_registration)
{
    int ends[2];
    int epoll = new_epoll();
    CHECK_OK(pipe(ends));
    add(epoll, ends[0], EPOLLIN, 1);
    int copy = (int)CHECK_OK(dup(ends[0]));
    guest_signal_fd(ends[1]);
    CHECK_OK(close(ends[0]));
    /* The registration belongs to the open file, which is still there. */
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
    CHECK_EQ(events[0].data.u32, 1);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL), EBADF);
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_DEL, copy, NULL), ENOENT);
    CHECK_OK(close(copy));
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
}

TEST_CASE(same_file_under_two_numbers)
{
    int ends[2];
    int epoll = new_epoll();
    CHECK_OK(pipe(ends));
    int copy = (int)CHECK_OK(dup(ends[0]));
    add(epoll, ends[0], EPOLLIN, 1);
    add(epoll, copy, EPOLLIN, 2);
    guest_signal_fd(ends[1]);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 2);
}

TEST_CASE(reused_number_is_another_file)
{
    int first[2];
    int second[2];
    int epoll = new_epoll();
    CHECK_OK(pipe(first));
    CHECK_OK(pipe(second));
    add(epoll, first[0], EPOLLIN, 1);
    int keep = (int)CHECK_OK(dup(first[0]));
    CHECK_OK(dup2(second[0], first[0]));
    add(epoll, first[0], EPOLLIN, 2); /* the same number, but no EEXIST */
    guest_signal_fd(first[1]);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
    CHECK_EQ(events[0].data.u32, 1);
    CHECK_OK(close(keep));
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
}

TEST_CASE(shared_across_fork)
{
    int ends[2];
    int epoll = new_epoll();
    CHECK_OK(pipe(ends));
    pid_t pid = guest_fork();
    if (pid == 0) {
        add(epoll, ends[0], EPOLLIN, 5);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    guest_signal_fd(ends[1]);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
    CHECK_EQ(events[0].data.u32, 5);
}
