/* pipe_test.c: capacity, atomicity, ends, packets, splice and tee. */
#include "tests/unit/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "sentry/core/current.h"
#include "sentry/fs/anon/pipe.h"

static int last_signal;

static void note_signal(int signo)
{
    last_signal = signo;
}

static void test_bytes(void **state)
{
    (void)state;
    struct file *r, *w;
    char buffer[64];
    assert_int_equal(pipe_new(0, &r, &w), 0);
    assert_int_equal(io_read(r, buffer, 1), -EAGAIN);
    assert_int_equal(file_poll(r), 0);
    assert_int_equal(file_poll(w), EPOLLOUT | EPOLLWRNORM);
    assert_writes(w, "hello ");
    assert_writes(w, "world");
    int count = 0;
    assert_int_equal(io_ioctl(r, FIONREAD, &count), 0);
    assert_int_equal(count, 11);
    assert_reads(r, "hello world");
    assert_writes(w, "x");
    file_unref(w);
    assert_int_equal(file_poll(r), EPOLLIN | EPOLLRDNORM | EPOLLHUP);
    assert_reads(r, "x");
    assert_int_equal(io_read(r, buffer, 1), 0);
    file_unref(r);
}

static void test_capacity(void **state)
{
    (void)state;
    struct file *r, *w;
    char *big = calloc(1, 100000);
    assert_int_equal(pipe_new(0, &r, &w), 0);
    assert_int_equal(pipe_get_size(r), 65536);
    assert_int_equal(io_write(w, big, 100000), 65536);
    assert_int_equal(io_write(w, big, 1), -EAGAIN);
    assert_int_equal(file_poll(w), 0);
    /* Reading less than a page frees no slot; a whole one frees one. */
    assert_int_equal(io_read(r, big, 4095), 4095);
    assert_int_equal(io_write(w, big, 1), -EAGAIN);
    assert_int_equal(io_read(r, big, 1), 1);
    assert_int_equal(io_write(w, big, 4096), 4096);
    assert_int_equal(pipe_set_size(w, 4096), -EBUSY);
    assert_int_equal(pipe_set_size(w, 100000), 131072);
    assert_int_equal(io_write(w, big, 100000), 65536);
    assert_int_equal(io_read(r, big, 100000), 100000);
    assert_int_equal(io_read(r, big, 100000), 131072 - 100000);
    assert_int_equal(io_read(r, big, 100000), -EAGAIN);
    assert_int_equal(pipe_set_size(w, 1), 4096);
    /* One slot: a write that does not fit behind the last bytes waits whole. */
    assert_int_equal(io_write(w, big, 3000), 3000);
    assert_int_equal(io_write(w, big, 2000), -EAGAIN);
    assert_int_equal(io_write(w, big, 1096), 1096);
    file_unref(r);
    assert_int_equal(file_poll(w) & EPOLLERR, EPOLLERR);
    assert_int_equal(io_write(w, big, 1), -EPIPE);
    assert_int_equal(last_signal, SIGPIPE);
    file_unref(w);
    free(big);
}

static void test_packets(void **state)
{
    (void)state;
    struct file *r, *w;
    char buffer[8];
    assert_int_equal(pipe_new(O_DIRECT, &r, &w), 0);
    assert_writes(w, "one");
    assert_writes(w, "second");
    assert_reads(r, "one");
    assert_int_equal(io_read(r, buffer, 3), 3); /* the rest of a packet is lost */
    assert_int_equal(io_read(r, buffer, 3), -EAGAIN);
    file_unref(r);
    file_unref(w);
}

static void test_splice(void **state)
{
    (void)state;
    struct file *ar, *aw, *br, *bw;
    assert_int_equal(pipe_new(0, &ar, &aw), 0);
    assert_int_equal(pipe_new(0, &br, &bw), 0);
    assert_writes(aw, "abcdef");
    assert_int_equal(pipe_tee(ar, bw, 3), 3);
    assert_reads(br, "abc");
    assert_int_equal(pipe_splice_to_pipe(ar, bw, 4), 4);
    assert_reads(br, "abcd");
    assert_reads(ar, "ef");
    assert_int_equal(pipe_tee(ar, bw, 3), -EAGAIN);
    /* A pipe as the "file" of a splice: what could not be written stays. */
    assert_writes(aw, "123456");
    assert_int_equal(pipe_splice_to_file(ar, bw, NULL, 3), 3);
    assert_reads(br, "123");
    assert_int_equal(pipe_splice_from_file(bw, ar, NULL, 10), 3);
    assert_reads(br, "456");
    file_unref(aw);
    assert_int_equal(pipe_splice_to_pipe(ar, bw, 4), 0);
    file_unref(ar);
    file_unref(br);
    file_unref(bw);
}

int main(void)
{
    current_hooks.send_signal = note_signal;
    pipe_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_packets),
        cmocka_unit_test(test_splice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
