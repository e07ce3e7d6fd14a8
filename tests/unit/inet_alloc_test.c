/*
 * inet_alloc_test.c: the Nth allocation of connections, streams and datagrams fails, for every N:
 * the call answers ENOMEM (ENFILE, or drops a datagram), leaks nothing, and the next one works.
 */
#include "tests/unit/failing_alloc.h"
#include "tests/unit/io.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "platform/base/text.h"
#include "sentry/core/timer.h"
#include "sentry/net/inet.h"
#include "sentry/net/net_report.h"
#include "sentry/net/socket.h"

static struct socket_address loopback(uint16_t port)
{
    struct socket_address name = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (void *)&name.storage;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return name;
}

static int own_name(struct file *file, struct socket_address *ret_name)
{
    return socket_get_name(file, false, ret_name);
}

static ssize_t send_bytes(struct file *file, const void *data, size_t length, unsigned flags,
                          const struct socket_address *to)
{
    struct uio uio;
    uio_init_kernel(&uio, (void *)(uintptr_t)data, length);
    struct socket_message message = {.uio = &uio, .flags = flags};
    if (to) {
        message.name = *to;
    }
    return socket_send(file, &message);
}

static ssize_t receive_bytes(struct file *file, void *data, size_t length)
{
    struct uio uio;
    uio_init_kernel(&uio, data, length);
    struct socket_message message = {.uio = &uio, .flags = MSG_DONTWAIT};
    ssize_t count = socket_receive(file, &message);
    free(message.ancillary);
    return count;
}

static int make(int type, struct file **ret_file, struct socket_address *ret_name)
{
    struct file *file;
    struct socket_address name = loopback(0);
    int result = socket_new(AF_INET, type, 0, O_NONBLOCK, &file);
    if (result != 0) {
        return result;
    }
    result = socket_bind(file, &name);
    if (result == 0) {
        result = own_name(file, ret_name);
    }
    if (result != 0) {
        file_unref(file);
        return result;
    }
    *ret_file = file;
    return 0;
}

static int exchange(struct file *client, struct file *server)
{
    static char big[70000], back[70000];
    ssize_t count = send_bytes(client, "small", 5, MSG_NOSIGNAL, NULL);
    if (count == 5) {
        count = send_bytes(client, big, sizeof(big), MSG_NOSIGNAL, NULL);
    }
    if (count < 0) {
        return (int)count;
    }
    count = receive_bytes(server, back, sizeof(back));
    return count < 0 ? (int)count : 0;
}

static int stream(void)
{
    struct file *listener, *client, *server;
    struct socket_address name;
    int result = make(SOCK_STREAM, &listener, &name);
    if (result != 0) {
        return result;
    }
    result = socket_listen(listener, 2);
    if (result == 0) {
        result = socket_new(AF_INET, SOCK_STREAM, 0, 0, &client);
    }
    if (result != 0) {
        file_unref(listener);
        return result;
    }
    result = socket_connect(client, &name);
    if (result == 0) {
        result = socket_accept(listener, 0, &server, &name);
        if (result == 0) {
            result = exchange(client, server);
            file_unref(server);
        }
    }
    file_unref(client);
    file_unref(listener);
    return result;
}

static int datagram(void)
{
    static char data[1000];
    struct file *one;
    struct socket_address name;
    int on = 1;
    int result = make(SOCK_DGRAM, &one, &name);
    if (result != 0) {
        return result;
    }
    assert_int_equal(socket_set_option(one, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)), 0);
    ssize_t count = send_bytes(one, data, 100, MSG_MORE, &name);
    if (count >= 0) {
        count = send_bytes(one, data, 200, 0, &name);
    }
    if (count >= 0) {
        count = receive_bytes(one, data, sizeof(data));
    }
    file_unref(one);
    return count < 0 ? (int)count : 0;
}

static int report(void)
{
    auto_text struct text text = TEXT_INIT;
    struct file *one;
    struct socket_address name;
    int result = make(SOCK_STREAM, &one, &name);
    if (result != 0) {
        return result;
    }
    result = net_report_inet(&text, AF_INET, IPPROTO_TCP);
    if (result == 0) {
        result = net_report_unix(&text);
    }
    file_unref(one);
    return result;
}

static void every_allocation(int (*operation)(void))
{
    for (int runs = 0;; runs++) {
        alloc_failed = false;
        alloc_countdown = runs;
        int result = operation();
        alloc_countdown = -1;
        assert_true(result == 0 || (alloc_failed && (result == -ENOMEM || result == -EAGAIN)));
        assert_int_equal(atomic_load(&inet_memory), 0);
        assert_int_equal(socket_total(), 0);
        assert_int_equal(operation(), 0);
        if (!alloc_failed) {
            return;
        }
    }
}

static void test_stream(void **state)
{
    (void)state;
    every_allocation(stream);
}

static void test_datagram(void **state)
{
    (void)state;
    every_allocation(datagram);
}

static void test_report(void **state)
{
    (void)state;
    every_allocation(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_datagram),
        cmocka_unit_test(test_report),
    };
    net_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
