/*
 * control_test.c: the messages between launcher and sentry, also malformed ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "sentry/boot/control.h"

static char text[CONTROL_TEXT_MAX + 1];

static void open_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static void messages_arrive_whole(void **state maybe_unused)
{
    int pair[2];
    int fd;
    struct control_message message;
    open_pair(pair);
    assert_int_equal(control_send_simple(pair[0], CONTROL_LIMIT, 1, "pids", "too many"), 0);
    assert_int_equal(control_receive(pair[1], 0, &message, text, &fd), 1);
    assert_int_equal(message.type, CONTROL_LIMIT);
    assert_int_equal(message.value, 1);
    assert_string_equal(message.name, "pids");
    assert_string_equal(text, "too many");
    assert_int_equal(fd, -1);

    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct control_message change = {.type = CONTROL_CHANGE, .name = "added"};
    assert_int_equal(control_send(pair[0], &change, "/a\0b", 4, null), 0);
    assert_int_equal(control_receive(pair[1], 0, &message, text, &fd), 1);
    assert_int_equal(message.text_length, 4);
    assert_true(fd >= 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    close(fd);
    close(null);
    assert_int_equal(control_receive(pair[1], MSG_DONTWAIT, &message, text, &fd), -EAGAIN);
    close(pair[0]);
    assert_int_equal(control_receive(pair[1], 0, &message, text, &fd), 0);
    assert_int_equal(control_send_simple(pair[1], CONTROL_DONE, 0, NULL, NULL), -EPIPE);
    close(pair[1]);
}

static void limits_of_text(void **state maybe_unused)
{
    int pair[2];
    int fd;
    struct control_message message = {.type = CONTROL_FAILED};
    static char big[CONTROL_TEXT_MAX + 1];
    memset(big, 'x', sizeof(big));
    open_pair(pair);
    assert_int_equal(control_send(pair[0], &message, big, sizeof(big), -1), -EMSGSIZE);
    assert_int_equal(control_send(pair[0], &message, big, CONTROL_TEXT_MAX, -1), 0);
    assert_int_equal(control_receive(pair[1], 0, &message, text, &fd), 1);
    assert_int_equal(strlen(text), CONTROL_TEXT_MAX);
    close(pair[0]);
    close(pair[1]);
}

static void expect_refused(const void *bytes, size_t length)
{
    int pair[2];
    int fd;
    struct control_message message;
    open_pair(pair);
    assert_int_equal(send(pair[0], bytes, length, 0), (ssize_t)length);
    assert_int_equal(control_receive(pair[1], 0, &message, text, &fd), -EPROTO);
    close(pair[0]);
    close(pair[1]);
}

static void malformed_messages(void **state maybe_unused)
{
    static struct {
        struct control_message message;
        char tail[CONTROL_TEXT_MAX + 64];
    } packet;
    struct control_message *m = &packet.message;
    expect_refused("x", 1);
    expect_refused(m, sizeof(*m) - 1);
    *m = (struct control_message){.type = CONTROL_FAILED, .text_length = 5};
    expect_refused(&packet, sizeof(*m) + 4);
    expect_refused(&packet, sizeof(*m) + 6);
    m->text_length = UINT32_MAX;
    expect_refused(&packet, sizeof(*m));
    m->text_length = CONTROL_TEXT_MAX + 1;
    expect_refused(&packet, sizeof(*m) + CONTROL_TEXT_MAX + 1);
    m->text_length = 0;
    memset(m->name, 'n', sizeof(m->name));
    expect_refused(&packet, sizeof(*m));
}

static void surplus_descriptors_are_closed(void **state maybe_unused)
{
    int pair[2];
    int fd = -1;
    struct control_message message = {.type = CONTROL_CHANGE};
    open_pair(pair);
    int next = dup(0);
    close(next);
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } space;
    memset(&space, 0, sizeof(space));
    struct iovec part = {.iov_base = &message, .iov_len = sizeof(message)};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = space.bytes,
                            .msg_controllen = sizeof(space.bytes)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(4 * sizeof(int));
    memcpy(CMSG_DATA(c), (int[]){0, 1, 2, 0}, 4 * sizeof(int));
    assert_true(sendmsg(pair[0], &header, 0) > 0);
    int result = control_receive(pair[1], 0, &message, text, &fd);
    assert_true(result == 1 || result == -EPROTO);
    if (result == 1) {
        close(fd);
    }
    /* Nothing is left open: the same number is free again. */
    int now = dup(0);
    assert_int_equal(now, next);
    close(now);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_arrive_whole), cmocka_unit_test(limits_of_text),
        cmocka_unit_test(malformed_messages), cmocka_unit_test(surplus_descriptors_are_closed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
