/*
 * inet_race_test.c: threads that connect, accept, send, shut down and close the same sockets at the
 * same time. What it proves is that nothing is used after it was freed, no lock is taken in the
 * wrong order and nothing is left behind (under the sanitizers and with lock ranks).
 */
#include "tests/unit/io.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>

#include "platform/base/text.h"
#include "sentry/core/timer.h"
#include "sentry/net/inet.h"
#include "sentry/net/net_report.h"
#include "sentry/net/socket.h"

#define ROUNDS  400
#define THREADS 4

static struct socket_address loopback(uint16_t port)
{
    struct socket_address name = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (void *)&name.storage;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return name;
}

static struct file *make(int type, struct socket_address *ret_name)
{
    struct file *file;
    struct socket_address name = loopback(0);
    assert_int_equal(socket_new(AF_INET, type, 0, O_NONBLOCK, &file), 0);
    if (ret_name) {
        assert_int_equal(socket_bind(file, &name), 0);
        assert_int_equal(socket_get_name(file, false, ret_name), 0);
    }
    return file;
}

static void send_some(struct file *file, size_t length, const struct socket_address *to)
{
    char data[4000] = {0};
    struct uio uio;
    uio_init_kernel(&uio, data, min_of(length, sizeof(data)));
    struct socket_message message = {.uio = &uio, .flags = MSG_DONTWAIT | MSG_NOSIGNAL};
    if (to) {
        message.name = *to;
    }
    ignore_result(socket_send(file, &message));
}

static void receive_some(struct file *file, unsigned flags)
{
    char data[3000];
    struct uio uio;
    uio_init_kernel(&uio, data, sizeof(data));
    struct socket_message message = {.uio = &uio, .flags = MSG_DONTWAIT | flags};
    ignore_result(socket_receive(file, &message));
    free(message.ancillary);
}

/* What the threads share: a listener with a short queue, a pair of ends, a datagram socket. */
struct shared {
    struct file *listener, *client, *server, *datagram;
    struct socket_address name, datagram_name;
};

static void *meddle(void *argument)
{
    struct shared *shared = argument;
    for (int i = 0; i < 50; i++) {
        struct file *file = i & 1 ? shared->client : shared->server;
        struct file *accepted;
        send_some(file, (size_t)(i * 79), NULL);
        receive_some(file, i % 7 == 0 ? MSG_PEEK : 0);
        ignore_result(file_poll(file));
        send_some(shared->datagram, 50, &shared->datagram_name);
        receive_some(shared->datagram, 0);
        if (i % 5 == 0) { /* more than the queue takes: some wait in it */
            struct file *other = make(SOCK_STREAM, NULL);
            ignore_result(socket_connect(other, &shared->name));
            ignore_result(file_poll(other));
            if (i % 10 == 0 && socket_accept(shared->listener, 0, &accepted, NULL) == 0) {
                send_some(accepted, 10, NULL);
                file_unref(accepted);
            }
            file_unref(other);
        }
        if (i == 40) {
            ignore_result(socket_shutdown(file, SHUT_WR));
        } else if (i == 45) {
            struct socket_address none = {.length = sizeof(struct sockaddr)};
            ignore_result(socket_connect(file, &none));
        } else if (i == 48) {
            ignore_result(socket_shutdown(shared->listener, SHUT_RD));
        }
    }
    return NULL;
}

static void test_meddling(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS / 10; round++) {
        struct shared shared;
        pthread_t threads[THREADS];
        shared.listener = make(SOCK_STREAM, &shared.name);
        shared.datagram = make(SOCK_DGRAM, &shared.datagram_name);
        assert_int_equal(socket_listen(shared.listener, 2), 0);
        shared.client = make(SOCK_STREAM, NULL);
        assert_int_equal(socket_connect(shared.client, &shared.name), -EINPROGRESS);
        assert_int_equal(socket_accept(shared.listener, O_NONBLOCK, &shared.server, NULL), 0);
        for (int i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, meddle, &shared), 0);
        }
        auto_text struct text text = TEXT_INIT;
        assert_int_equal(net_report_inet(&text, AF_INET, IPPROTO_TCP), 0);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        file_unref(shared.listener);
        file_unref(shared.client);
        file_unref(shared.server);
        file_unref(shared.datagram);
        assert_int_equal(socket_total(), 0);
        assert_int_equal(atomic_load(&inet_memory), 0);
    }
}

static void *close_one(void *argument)
{
    struct file *file = argument;
    send_some(file, 100, NULL);
    file_unref(file);
    return NULL;
}

/* Both ends and the listener close at the same time. */
static void test_closing(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct socket_address name;
        pthread_t threads[4];
        struct file *files[4];
        files[0] = make(SOCK_STREAM, &name);
        assert_int_equal(socket_listen(files[0], 0), 0);
        for (int i = 1; i < 3; i++) {
            files[i] = make(SOCK_STREAM, NULL);
            assert_int_equal(socket_connect(files[i], &name), -EINPROGRESS);
        }
        assert_int_equal(socket_accept(files[0], O_NONBLOCK, &files[3], NULL), 0);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, close_one, files[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
        }
        assert_int_equal(socket_total(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meddling),
        cmocka_unit_test(test_closing),
    };
    net_init();
    if (timer_start() != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
