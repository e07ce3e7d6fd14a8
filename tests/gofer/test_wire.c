/*
 * test_wire.c: the decoder against wrong messages, and a live server against a hostile client.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gofer/wire.h"
#include "tests/gofer/gofer_test.h"

static _Alignas(8) uint8_t message[GOFER_MESSAGE_MAX];

/* A header and zeros for the body. */
static size_t make(const struct wire_row *row, size_t tail)
{
    struct gofer_request_header header = {.id = row->id, .tag = 7};
    size_t length = sizeof(header) + row->request_size + tail;
    header.length = (uint32_t)length;
    memset(message, 0, sizeof(message));
    memcpy(message, &header, sizeof(header));
    return length;
}

static void set_length(size_t length)
{
    uint32_t value = (uint32_t)length;
    memcpy(message, &value, sizeof(value));
}

static void test_truncated_and_oversized(void **state)
{
    struct wire_request request;
    (void)state;
    for (size_t i = 0; wire_row_at(i); i++) {
        const struct wire_row *row = wire_row_at(i);
        size_t length = make(row, 0);
        for (size_t cut = 0; cut < length; cut++) {
            set_length(length);
            assert_int_equal(wire_request_decode(message, cut, &request), -EBADMSG);
            set_length(cut);
            assert_int_equal(wire_request_decode(message, cut, &request), -EBADMSG);
            assert_int_equal(request.header != NULL, cut >= sizeof(struct gofer_request_header));
        }
        size_t big = length + row->tail_max + 1;
        if (big <= GOFER_MESSAGE_MAX) {
            make(row, row->tail_max + 1);
            assert_int_equal(wire_request_decode(message, big, &request), -EBADMSG);
        }
        /* A tail that was not announced. */
        if (row->tail_max >= 3) {
            length = make(row, 3);
            assert_int_equal(wire_request_decode(message, length, &request), -EBADMSG);
        }
    }
}

static void test_names(void **state)
{
    static const char *const bad[] = {"", ".", "..", "a/b", "/", "../x"};
    struct wire_request request;
    (void)state;
    for (size_t i = 0; i < array_size(bad); i++) {
        size_t length = make(wire_row(GOFER_OP_walk), strlen(bad[i]));
        struct gofer_walk_request body = {.fid = 1, .name_length = (uint32_t)strlen(bad[i])};
        memcpy(message + sizeof(struct gofer_request_header), &body, sizeof(body));
        memcpy(message + length - strlen(bad[i]), bad[i], strlen(bad[i]));
        assert_int_equal(wire_request_decode(message, length, &request), -EBADMSG);
    }
    assert_false(wire_name_valid("a\0b", 3));
    assert_true(wire_name_valid("...", 3));
    assert_true(wire_name_valid("..a", 3));
    char longest[GOFER_NAME_MAX + 1];
    memset(longest, 'x', sizeof(longest));
    assert_true(wire_name_valid(longest, GOFER_NAME_MAX));
    assert_false(wire_name_valid(longest, GOFER_NAME_MAX + 1));
}

static void test_lengths_that_wrap(void **state)
{
    struct wire_request request;
    (void)state;
    size_t length = make(wire_row(GOFER_OP_rename), 2);
    struct gofer_rename_request body = {.name_length = UINT32_MAX, .new_name_length = 3};
    memcpy(message + sizeof(struct gofer_request_header), &body, sizeof(body));
    memcpy(message + length - 2, "ab", 2);
    assert_int_equal(wire_request_decode(message, length, &request), -EBADMSG);
    body = (struct gofer_rename_request){.name_length = 1, .new_name_length = 1};
    memcpy(message + sizeof(struct gofer_request_header), &body, sizeof(body));
    assert_int_equal(wire_request_decode(message, length, &request), 0);

    length = make(wire_row(GOFER_OP_release), 8);
    struct gofer_release_request release = {.count = 0x20000001};
    memcpy(message + sizeof(struct gofer_request_header), &release, sizeof(release));
    assert_int_equal(wire_request_decode(message, length, &request), -EBADMSG);
}

static void test_replies(void **state)
{
    struct wire_reply reply;
    (void)state;
    const struct wire_row *row = wire_row(GOFER_OP_readlink);
    struct gofer_reply_header header = {.id = row->id, .tag = 5, .length = sizeof(header)};
    memcpy(message, &header, sizeof(header));
    assert_int_equal(wire_reply_decode(message, sizeof(header), row, 5, &reply), -EBADMSG);
    header.error = -ENOENT;
    memcpy(message, &header, sizeof(header));
    assert_int_equal(wire_reply_decode(message, sizeof(header), row, 5, &reply), 0);
    assert_int_equal(wire_reply_decode(message, sizeof(header), row, 6, &reply), -EBADMSG);
    header.error = 5;
    memcpy(message, &header, sizeof(header));
    assert_int_equal(wire_reply_decode(message, sizeof(header), row, 5, &reply), -EBADMSG);
    struct gofer_readlink_reply body = {.length = 10};
    header.error = 0;
    header.length = sizeof(header) + sizeof(body) + 4;
    memcpy(message, &header, sizeof(header));
    memcpy(message + sizeof(header), &body, sizeof(body));
    assert_int_equal(wire_reply_decode(message, header.length, row, 5, &reply), -EBADMSG);
}

/* ---- a live server ---- */

struct raw {
    int socket;
    pid_t server;
};

static void raw_start(struct gofer_test *test, struct raw *raw)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    test->config.connection_fd = pair[1];
    fflush(NULL);
    raw->server = fork();
    if (raw->server == 0) {
        close(pair[0]);
        _exit(gofer_files_run(&test->config));
    }
    close(pair[1]);
    raw->socket = pair[0];
}

static int raw_stop(struct raw *raw)
{
    int status;
    close(raw->socket);
    assert_int_equal(waitpid(raw->server, &status, 0), raw->server);
    return status;
}

/* Random bodies and tails for every row: an answer each time, and the server lives. */
static void test_garbage(void **state)
{
    struct gofer_test *test = *state;
    struct raw raw;
    static uint8_t reply[GOFER_MESSAGE_MAX];
    unsigned seed = 1;
    test->config.log.fd = -1;
    raw_start(test, &raw);
    for (int round = 0; round < 300; round++) {
        for (size_t i = 0; wire_row_at(i); i++) {
            const struct wire_row *row = wire_row_at(i);
            size_t tail = round % 3 ? (size_t)rand_r(&seed) % 64 : 0;
            size_t length = make(row, tail);
            for (size_t at = 16; at < length; at++) {
                int random = rand_r(&seed);
                message[at] = random & 0x700 ? 0 : (uint8_t)random;
            }
            /* Sometimes the root's fid. */
            if (random() & 1) {
                uint64_t fid = UINT64_C(1) << 32;
                memcpy(message + sizeof(struct gofer_request_header), &fid, sizeof(fid));
            }
            struct wire_request request;
            int decoded = wire_request_decode(message, length, &request);
            assert_int_equal(send(raw.socket, message, length, MSG_NOSIGNAL), length);
            if (row->id == GOFER_OP_release && !decoded) {
                continue;
            }
            int fd = -1;
            ssize_t got = wire_receive(raw.socket, reply, sizeof(reply), &fd);
            assert_true(got >= (ssize_t)sizeof(struct gofer_reply_header));
            struct gofer_reply_header header;
            memcpy(&header, reply, sizeof(header));
            assert_int_equal(header.tag, 7);
            assert_true(!decoded || header.error == -EBADMSG);
            if (fd >= 0) {
                close(fd);
            }
        }
    }
    assert_int_equal(raw_stop(&raw), 0);
}

static void test_oversized_message_and_no_header(void **state)
{
    struct gofer_test *test = *state;
    struct raw raw;
    struct gofer_reply_header header;
    test->config.log.fd = -1;
    raw_start(test, &raw);
    static uint8_t huge[GOFER_MESSAGE_MAX + 4096];
    memcpy(huge, message, make(wire_row(GOFER_OP_walk), 0));
    if (send(raw.socket, huge, sizeof(huge), MSG_NOSIGNAL) == (ssize_t)sizeof(huge)) {
        assert_int_equal(recv(raw.socket, &header, sizeof(header), 0), sizeof(header));
        assert_int_equal(header.error, -EBADMSG);
    }
    assert_int_equal(send(raw.socket, "x", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(recv(raw.socket, &header, sizeof(header), 0), 0);
    int status = raw_stop(&raw);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

/* Descriptors sent to the server are not received. */
static void test_descriptors_are_refused(void **state)
{
    struct gofer_test *test = *state;
    struct raw raw;
    int pair[2];
    char byte;
    raw_start(test, &raw);
    assert_int_equal(pipe(pair), 0);
    size_t length = make(wire_row(GOFER_OP_attach), 0);
    struct iovec part = {message, length};
    assert_int_equal(wire_send(raw.socket, &part, 1, pair[1]), 0);
    close(pair[1]);
    static uint8_t reply[GOFER_MESSAGE_MAX];
    assert_true(recv(raw.socket, reply, sizeof(reply), 0) > 0);
    assert_int_equal(read(pair[0], &byte, 1), 0); /* no writer is left */
    close(pair[0]);
    assert_int_equal(raw_stop(&raw), 0);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated_and_oversized),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_lengths_that_wrap),
        cmocka_unit_test(test_replies),
#define TEST(name) cmocka_unit_test_setup_teardown(name, gofer_test_setup, gofer_test_teardown)
        TEST(test_garbage),
        TEST(test_oversized_message_and_no_header),
        TEST(test_descriptors_are_refused),
    };
    return cmocka_run_group_tests_name("gofer wire", tests, NULL, NULL);
}

int main(void)
{
    return gofer_test_run(run_group);
}
