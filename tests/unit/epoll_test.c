/* epoll_test.c: level, edge, one-shot, nesting, and files that go. */
#include "tests/unit/io.h"

#include <errno.h>

#include "sentry/fs/anon/epoll.h"
#include "sentry/fs/anon/eventfd.h"
#include "sentry/fs/anon/pipe.h"

static struct epoll_event want(uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events};
    event.data.u64 = data;
    return event;
}

static int add(struct file *ep, int fd, struct file *target, uint32_t events)
{
    struct epoll_event event = want(events, (uint64_t)fd);
    return epoll_control(ep, EPOLL_CTL_ADD, fd, target, &event);
}

static void test_level_and_edge(void **state)
{
    (void)state;
    struct file *ep, *r, *w;
    struct epoll_event events[4];
    char buffer[8];
    assert_int_equal(epoll_new(&ep), 0);
    assert_int_equal(pipe_new(0, &r, &w), 0);
    assert_int_equal(add(ep, 3, r, EPOLLIN), 0);
    assert_int_equal(add(ep, 3, r, EPOLLIN), -EEXIST);
    assert_int_equal(epoll_collect(ep, events, 4), -EAGAIN);
    assert_writes(w, "ab");
    assert_int_equal(file_poll(ep), EPOLLIN | EPOLLRDNORM);
    assert_int_equal(epoll_collect(ep, events, 4), 1);
    assert_int_equal(events[0].events, EPOLLIN);
    assert_int_equal(events[0].data.u64, 3);
    assert_int_equal(epoll_collect(ep, events, 4), 1); /* level */
    assert_int_equal(io_read(r, buffer, 8), 2);
    assert_int_equal(epoll_collect(ep, events, 4), -EAGAIN);

    struct epoll_event edge = want(EPOLLIN | EPOLLET, 9);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_MOD, 3, r, &edge), 0);
    assert_writes(w, "a");
    assert_int_equal(epoll_collect(ep, events, 4), 1);
    assert_int_equal(events[0].data.u64, 9);
    assert_int_equal(epoll_collect(ep, events, 4), -EAGAIN);
    assert_writes(w, "b"); /* every write is an edge, though bytes were there */
    assert_int_equal(epoll_collect(ep, events, 4), 1);

    struct epoll_event once = want(EPOLLIN | EPOLLONESHOT, 1);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_MOD, 3, r, &once), 0);
    assert_int_equal(epoll_collect(ep, events, 4), 1);
    assert_int_equal(epoll_collect(ep, events, 4), -EAGAIN);
    assert_writes(w, "c");
    assert_int_equal(epoll_collect(ep, events, 4), -EAGAIN);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_MOD, 3, r, &once), 0);
    assert_int_equal(epoll_collect(ep, events, 4), 1);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_DEL, 4, r, NULL), -ENOENT);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_DEL, 3, r, NULL), 0);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_MOD, 3, r, &once), -ENOENT);

    struct epoll_event alone = want(EPOLLIN | EPOLLEXCLUSIVE, 1);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_ADD, 3, r, &alone), 0);
    assert_int_equal(epoll_control(ep, EPOLL_CTL_MOD, 3, r, &once), -EINVAL);
    file_unref(r);
    file_unref(w);
    assert_int_equal(epoll_collect(ep, events, 4), -EAGAIN);
    file_unref(ep);
}

static void test_many(void **state)
{
    (void)state;
    struct file *ep, *files[10];
    struct epoll_event events[4];
    unsigned seen = 0;
    assert_int_equal(epoll_new(&ep), 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(eventfd_new(1, false, 0, &files[i]), 0);
        assert_int_equal(add(ep, i, files[i], EPOLLIN), 0);
    }
    /* Fair: three calls of four see them all. */
    for (int round = 0; round < 3; round++) {
        int count = epoll_collect(ep, events, 4);
        assert_int_equal(count, 4);
        for (int i = 0; i < count; i++) {
            seen |= 1U << events[i].data.u64;
        }
    }
    assert_int_equal(seen, 0x3ff);
    for (int i = 0; i < 9; i++) {
        file_unref(files[i]);
    }
    assert_int_equal(epoll_collect(ep, events, 4), 1);
    file_unref(ep);
    file_unref(files[9]);
}

static void test_nesting(void **state)
{
    (void)state;
    struct file *ep[7], *event;
    struct epoll_event events[2];
    for (int i = 0; i < 7; i++) {
        assert_int_equal(epoll_new(&ep[i]), 0);
    }
    assert_int_equal(eventfd_new(0, false, 0, &event), 0);
    assert_int_equal(add(ep[0], 1, ep[0], EPOLLIN), -EINVAL);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(add(ep[i], 1, ep[i + 1], EPOLLIN), 0);
    }
    assert_int_equal(add(ep[4], 1, ep[0], EPOLLIN), -ELOOP);
    assert_int_equal(add(ep[4], 1, ep[5], EPOLLIN), -ELOOP); /* a sixth level */
    assert_int_equal(add(ep[4], 2, event, EPOLLIN), 0);
    assert_int_equal(epoll_collect(ep[0], events, 2), -EAGAIN);
    uint64_t one = 1;
    assert_int_equal(io_write(event, &one, 8), 8);
    assert_int_equal(epoll_collect(ep[0], events, 2), 1);
    assert_int_equal(io_read(event, &one, 8), 8);
    assert_int_equal(epoll_collect(ep[0], events, 2), -EAGAIN);
    file_unref(event);
    for (int i = 0; i < 7; i++) {
        file_unref(ep[i]);
    }
}

int main(void)
{
    epoll_init();
    pipe_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_level_and_edge),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_nesting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
