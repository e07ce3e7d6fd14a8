/*
 * epoll_edge.c: epoll with EPOLLET, EPOLLEXCLUSIVE and several waiters.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static int epoll;
static struct epoll_event events[16];

static void add(int fd, uint32_t mask)
{
    struct epoll_event e = {.events = mask, .data.fd = fd};
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e));
}

TEST_CASE(one_event_per_arrival)
{
    int ends[2];
    char buffer[8];
    epoll = (int)CHECK_OK(epoll_create1(0));
    CHECK_OK(pipe(ends));
    add(ends[0], EPOLLIN | EPOLLET);
    guest_signal_fd(ends[1]);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
    guest_signal_fd(ends[1]);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1); /* new data although the old was not read */
    CHECK_EQ(read(ends[0], buffer, 1), 1);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
}

TEST_CASE(already_ready_at_add_and_modify)
{
    int ends[2];
    epoll = (int)CHECK_OK(epoll_create1(0));
    CHECK_OK(pipe(ends));
    guest_signal_fd(ends[1]);
    add(ends[0], EPOLLIN | EPOLLET);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
    struct epoll_event e = {.events = EPOLLIN | EPOLLET};
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &e));
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
}

TEST_CASE(writability_returns_after_draining)
{
    int pair[2];
    static char block[65536];
    epoll = (int)CHECK_OK(epoll_create1(0));
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    add(pair[0], EPOLLOUT | EPOLLET);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
    while (write(pair[0], block, sizeof(block)) > 0) {
    }
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
    while (read(pair[1], block, sizeof(block)) > 0) {
    }
    CHECK_EQ(epoll_wait(epoll, events, 16, 1000), 1);
    CHECK_EQ(events[0].events, EPOLLOUT);
}

TEST_CASE(eventfd_writes)
{
    uint64_t one = 1;
    epoll = (int)CHECK_OK(epoll_create1(0));
    int fd = (int)CHECK_OK(eventfd(0, 0));
    add(fd, EPOLLIN | EPOLLET);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(write(fd, &one, 8), 8);
        CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
        CHECK_EQ(epoll_wait(epoll, events, 16, 0), 0);
    }
}

static int waiter_epoll;
static int wakeups;

static void *wait_once(void *argument)
{
    struct epoll_event e;
    (void)argument;
    if (epoll_wait(waiter_epoll, &e, 1, 3000) == 1) {
        __atomic_add_fetch(&wakeups, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

TEST_CASE(edge_wakes_one_waiter)
{
    pthread_t threads[3];
    uint64_t one = 1;
    waiter_epoll = epoll = (int)CHECK_OK(epoll_create1(0));
    int fd = (int)CHECK_OK(eventfd(0, 0));
    add(fd, EPOLLIN | EPOLLET);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_once, NULL), 0);
    }
    guest_sleep_ms(50);
    CHECK_EQ(write(fd, &one, 8), 8);
    guest_sleep_ms(50);
    CHECK_EQ(__atomic_load_n(&wakeups, __ATOMIC_SEQ_CST), 1);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(write(fd, &one, 8), 8);
        for (int n = 0; n < 1000 && __atomic_load_n(&wakeups, __ATOMIC_SEQ_CST) < i + 2; n++) {
            guest_sleep_ms(1);
        }
    }
    CHECK_EQ(wakeups, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
}

TEST_CASE(exclusive)
{
    uint64_t one = 1;
    int fd = (int)CHECK_OK(eventfd(0, 0));
    struct epoll_event e = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    epoll = (int)CHECK_OK(epoll_create1(0));
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e));
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &e), EINVAL);
    int other = (int)CHECK_OK(eventfd(0, 0));
    e.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
    CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, other, &e), EINVAL);
    CHECK_EQ(write(fd, &one, 8), 8);
    CHECK_EQ(epoll_wait(epoll, events, 16, 0), 1);
    CHECK_EQ(events[0].events, EPOLLIN);
}
