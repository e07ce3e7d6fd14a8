/* host_stream_test.c: guest files on host pipes and files. */
#include "tests/unit/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "sentry/core/clock.h"
#include "sentry/fs/dev/host_stream.h"
#include "sentry/vfs/inode.h"

static void test_pipe(void **state)
{
    (void)state;
    int in[2], out[2];
    struct file *reader, *writer;
    char buffer[16];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    assert_int_equal(host_stream_new(in[0], &reader), 0);
    assert_int_equal(host_stream_new(out[1], &writer), 0);
    assert_int_equal(io_read(reader, buffer, 16), -EAGAIN);
    assert_int_equal(io_write(reader, "x", 1), -EBADF);
    /* A waiter is woken by the host. */
    struct sleeper sleeper;
    struct wait_entry entry = {.events = EPOLLIN, .wake = wait_wake_sleeper, .owner = &sleeper};
    sleeper_init(&sleeper);
    wait_queue_add(file_wait_queue(reader), &entry);
    sleeper_prepare(&sleeper);
    assert_int_equal(io_read(reader, buffer, 16), -EAGAIN);
    assert_int_equal(write(in[1], "hello", 5), 5);
    assert_true(sleeper_wait(&sleeper, clock_monotonic_ns() + 5 * NSEC_PER_SEC));
    wait_queue_remove(&entry);
    assert_int_equal(file_poll(reader) & EPOLLIN, EPOLLIN);
    assert_reads(reader, "hello");
    close(in[1]);
    assert_int_equal(io_read(reader, buffer, 16), 0);
    /* A full host pipe never blocks. */
    char *big = calloc(1, 1 << 20);
    assert_int_equal(io_write(writer, big, 1 << 20), 65536);
    assert_int_equal(io_write(writer, big, 1), -EAGAIN);
    assert_int_equal(file_poll(writer) & EPOLLOUT, 0);
    assert_int_equal(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(read(out[0], big, 65536), 65536);
    assert_writes(writer, "more");
    free(big);
    close(out[0]);
    assert_int_equal(io_write(writer, "x", 1), -EPIPE);
    file_unref(reader);
    file_unref(writer);
}

static unsigned limit_calls;

static void limit_reached(void)
{
    limit_calls++;
}

static void test_file(void **state)
{
    (void)state;
    char name[] = "/tmp/host_stream_XXXXXX";
    int fd = mkstemp(name);
    struct file *a, *b;
    struct inode_attr attr_a, attr_b;
    char buffer[16];
    unlink(name);
    assert_int_equal(write(fd, "start ", 6), 6);
    assert_int_equal(host_stream_new(dup(fd), &a), 0);
    assert_int_equal(host_stream_new(dup(fd), &b), 0);
    /* One position for all that share the host's open file. */
    assert_writes(a, "one ");
    assert_writes(b, "two ");
    assert_int_equal(write(fd, "host", 4), 4);
    assert_int_equal(file_seek(a, 0, SEEK_CUR), 18);
    assert_int_equal(file_seek(a, 6, SEEK_SET), 6);
    assert_reads(b, "one two host");
    uint64_t pos = 10;
    struct uio uio;
    uio_init_kernel(&uio, buffer, 3);
    assert_int_equal(file_read(a, &uio, &pos, 0), 3);
    assert_memory_equal(buffer, "two", 3);
    assert_int_equal(inode_getattr(a->inode, &attr_a), 0);
    assert_int_equal(inode_getattr(b->inode, &attr_b), 0);
    assert_int_equal(attr_a.ino, attr_b.ino);
    assert_int_equal(attr_a.size, 18);
    assert_null(file_wait_queue(a));
    /* The output limit: one call, then errors. */
    host_stream_set_limit(host_stream_written() + 4, limit_reached);
    assert_writes(a, "four");
    assert_int_equal(limit_calls, 0);
    assert_writes(a, "more");
    assert_int_equal(limit_calls, 1);
    assert_int_equal(io_write(a, "x", 1), -EIO);
    assert_int_equal(limit_calls, 1);
    host_stream_set_limit(0, NULL);
    file_unref(a);
    file_unref(b);
    close(fd);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
