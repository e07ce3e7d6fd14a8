/* unix_socket_test.c: streams, datagrams, names, descriptor passing and its collection. */
#include "tests/unit/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/un.h>

#include "sentry/core/current.h"
#include "sentry/fs/anon/eventfd.h"
#include "sentry/fs/anon/pipe.h"
#include "sentry/net/socket.h"
#include "sentry/net/unix.h"

static int last_signal;

static void note_signal(int signo)
{
    last_signal = signo;
}

static struct socket_address abstract(const char *name)
{
    struct socket_address address = {.length = (uint32_t)(sizeof(sa_family_t) + 1 + strlen(name))};
    address.any.sa_family = AF_UNIX;
    memcpy(address.bytes + sizeof(sa_family_t) + 1, name, strlen(name));
    return address;
}

static ssize_t send_files(struct file *socket, const char *text, struct file **files,
                          uint32_t count)
{
    struct uio uio;
    uio_init_kernel(&uio, (void *)(uintptr_t)text, strlen(text));
    struct socket_message message = {.uio = &uio, .files = files, .file_count = count};
    ssize_t result = socket_send(socket, &message);
    if (result > 0) {
        assert_int_equal(message.file_count, 0);
    }
    return result;
}

static ssize_t receive(struct file *socket, char *buffer, size_t size, unsigned flags,
                       struct socket_message *ret)
{
    struct uio uio;
    uio_init_kernel(&uio, buffer, size);
    *ret = (struct socket_message){.uio = &uio, .flags = flags};
    return socket_receive(socket, ret);
}

static void drop(struct socket_message *message)
{
    for (uint32_t i = 0; i < message->file_count; i++) {
        file_unref(message->files[i]);
    }
    free(message->files);
}

static struct file *make(int type)
{
    struct file *file;
    assert_int_equal(socket_new(AF_UNIX, type, 0, 0, &file), 0);
    return file;
}

static void test_stream_pair(void **state)
{
    (void)state;
    struct file *s[2];
    char buffer[64];
    assert_int_equal(socket_pair(AF_UNIX, SOCK_STREAM, 0, 0, s), 0);
    assert_int_equal(file_poll(s[0]), EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
    assert_int_equal(io_read(s[0], buffer, 4), -EAGAIN);
    assert_writes(s[0], "one");
    assert_writes(s[0], "two");
    struct socket_message message;
    assert_int_equal(receive(s[1], buffer, 64, MSG_PEEK, &message), 6);
    assert_int_equal(io_read(s[1], buffer, 2), 2);
    assert_reads(s[1], "etwo");
    /* The buffer fills and drains. */
    char *big = calloc(1, 1 << 20);
    ssize_t sent = io_write(s[0], big, 1 << 20);
    assert_in_range(sent, 100000, 400000);
    assert_int_equal(io_write(s[0], big, 1), -EAGAIN);
    assert_int_equal(file_poll(s[0]) & EPOLLOUT, 0);
    assert_int_equal(io_read(s[1], big, 1 << 20), sent);
    assert_int_equal(file_poll(s[0]) & EPOLLOUT, EPOLLOUT);
    free(big);
    int small = 0;
    while (io_write(s[0], "x", 1) == 1) {
        small++;
    }
    assert_int_equal(small, 278); /* as on Linux */
    assert_int_equal(io_read(s[1], buffer, 64), 64);
    while (io_read(s[1], buffer, 64) > 0) {
    }
    /* Half close. */
    assert_int_equal(socket_shutdown(s[0], SHUT_WR), 0);
    assert_int_equal(io_read(s[1], buffer, 4), 0);
    assert_int_equal(file_poll(s[1]) & (EPOLLRDHUP | EPOLLHUP), EPOLLRDHUP);
    last_signal = 0;
    assert_int_equal(io_write(s[0], "x", 1), -EPIPE);
    assert_int_equal(last_signal, SIGPIPE);
    assert_writes(s[1], "back");
    /* Closed with data unread: the peer hears of a reset once. */
    file_unref(s[0]);
    assert_int_equal(io_read(s[1], buffer, 4), -ECONNRESET);
    assert_int_equal(io_read(s[1], buffer, 4), 0);
    assert_int_equal(io_write(s[1], "x", 1), -EPIPE);
    assert_int_equal(file_poll(s[1]) & EPOLLHUP, EPOLLHUP);
    file_unref(s[1]);
}

static void test_connect(void **state)
{
    (void)state;
    struct socket_address name = abstract("unit-listener");
    struct socket_address got;
    struct file *listener = make(SOCK_STREAM), *client = make(SOCK_STREAM), *server;
    struct file *second = make(SOCK_STREAM), *third = make(SOCK_STREAM), *other;
    char buffer[16];
    assert_int_equal(socket_listen(listener, 0), -EINVAL);
    assert_int_equal(socket_connect(client, &name), -ECONNREFUSED);
    assert_int_equal(io_write(client, "x", 1), -ENOTCONN);
    assert_int_equal(io_read(client, buffer, 1), -EINVAL);
    assert_int_equal(file_poll(client), EPOLLHUP | EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
    assert_int_equal(socket_bind(listener, &name), 0);
    assert_int_equal(socket_bind(listener, &name), -EINVAL);
    assert_int_equal(socket_bind(second, &name), -EADDRINUSE);
    assert_int_equal(socket_connect(client, &name), -ECONNREFUSED);
    assert_int_equal(socket_listen(listener, 0), 0);
    assert_int_equal(socket_accept(listener, 0, &server, NULL), -EAGAIN);
    assert_int_equal(socket_connect(client, &name), 0);
    assert_int_equal(socket_connect(client, &name), -EAGAIN); /* Linux: before EISCONN */
    assert_int_equal(socket_connect(second, &name), -EAGAIN);
    assert_int_equal(file_poll(listener), EPOLLIN | EPOLLRDNORM);
    assert_writes(client, "early");
    assert_int_equal(socket_accept(listener, 0, &server, &got), 0);
    assert_int_equal(got.length, 2);
    assert_int_equal(socket_connect(client, &name), -EISCONN);
    assert_reads(server, "early");
    assert_int_equal(socket_get_name(client, true, &got), 0);
    assert_int_equal(got.length, name.length);
    assert_memory_equal(got.bytes, name.bytes, name.length);
    struct socket_cred cred;
    uint32_t length = sizeof(cred);
    assert_int_equal(socket_get_option(client, SOL_SOCKET, SO_PEERCRED, &cred, &length), 0);
    assert_int_equal(cred.pid, 77);
    /* A listener that goes resets who was not accepted. */
    assert_int_equal(socket_connect(third, &name), 0);
    file_unref(listener);
    assert_int_equal(io_read(third, buffer, 1), -ECONNRESET);
    assert_int_equal(socket_connect(second, &name), -ECONNREFUSED);
    assert_writes(server, "still");
    assert_reads(client, "still");
    file_unref(client);
    assert_int_equal(io_read(server, buffer, 1), 0);
    other = make(SOCK_DGRAM);
    assert_int_equal(socket_listen(other, 1), -EOPNOTSUPP);
    file_unref(other);
    file_unref(server);
    file_unref(second);
    file_unref(third);
}

static void test_datagrams(void **state)
{
    (void)state;
    struct socket_address name = abstract("unit-dgram"), got;
    struct file *receiver = make(SOCK_DGRAM), *sender = make(SOCK_DGRAM), *pair[2];
    struct socket_message message;
    char buffer[8];
    assert_int_equal(io_write(sender, "x", 1), -ENOTCONN);
    assert_int_equal(socket_bind(receiver, &name), 0);
    struct socket_address nothing = {.length = 2};
    nothing.any.sa_family = AF_UNIX;
    assert_int_equal(socket_bind(sender, &nothing), 0);
    assert_int_equal(socket_get_name(sender, false, &got), 0);
    assert_int_equal(got.length, 8); /* autobind: NUL and five digits */
    assert_int_equal(socket_connect(sender, &name), 0);
    assert_writes(sender, "0123456789");
    assert_int_equal(receive(receiver, buffer, 4, MSG_TRUNC, &message), 10);
    assert_int_equal(message.ret_flags, MSG_TRUNC);
    assert_int_equal(message.name.length, 8);
    assert_int_equal(io_write(sender, "", 0), 0); /* an empty datagram is one */
    assert_int_equal(io_read(receiver, buffer, 8), 0);
    for (int i = 0; i <= UNIX_MAX_DGRAM_QUEUE; i++) {
        assert_int_equal(io_write(sender, "x", 1), 1);
    }
    assert_int_equal(io_write(sender, "x", 1), -EAGAIN);
    assert_int_equal(file_poll(sender) & EPOLLOUT, 0);
    /* The sender is woken when the receiver has room. */
    struct sleeper sleeper;
    struct wait_entry entry = {.events = EPOLLOUT, .wake = wait_wake_sleeper, .owner = &sleeper};
    sleeper_init(&sleeper);
    sleeper_prepare(&sleeper);
    wait_queue_add(file_wait_queue(sender), &entry);
    assert_int_equal(io_read(receiver, buffer, 8), 1);
    assert_true(sleeper_wait(&sleeper, 1));
    wait_queue_remove(&entry);
    assert_int_equal(file_poll(sender) & EPOLLOUT, EPOLLOUT);
    file_unref(receiver);
    assert_int_equal(io_write(sender, "x", 1), -ECONNREFUSED);
    assert_int_equal(io_write(sender, "x", 1), -ENOTCONN);
    file_unref(sender);

    assert_int_equal(socket_pair(AF_UNIX, SOCK_SEQPACKET, 0, 0, pair), 0);
    assert_writes(pair[0], "ab");
    assert_writes(pair[0], "cd");
    assert_reads(pair[1], "ab");
    assert_int_equal(io_read(pair[1], buffer, 1), 1);
    assert_int_equal(io_read(pair[1], buffer, 1), -EAGAIN);
    file_unref(pair[0]);
    assert_int_equal(io_read(pair[1], buffer, 1), 0);
    last_signal = 0;
    assert_int_equal(io_write(pair[1], "x", 1), -EPIPE);
    assert_int_equal(last_signal, 0);
    file_unref(pair[1]);
    /* A reset comes before queued packets. */
    assert_int_equal(socket_pair(AF_UNIX, SOCK_SEQPACKET, 0, 0, pair), 0);
    assert_writes(pair[0], "unread");
    assert_writes(pair[1], "queued");
    file_unref(pair[1]);
    assert_int_equal(io_read(pair[0], buffer, 8), -ECONNRESET);
    assert_reads(pair[0], "queued");
    assert_int_equal(io_read(pair[0], buffer, 8), 0);
    file_unref(pair[0]);
}

static void test_passing(void **state)
{
    (void)state;
    struct file *s[2], *event;
    struct socket_message message;
    char buffer[16];
    int on = 1;
    assert_int_equal(socket_pair(AF_UNIX, SOCK_STREAM, 0, 0, s), 0);
    assert_int_equal(eventfd_new(5, false, 0, &event), 0);
    struct file *sent[1] = {file_ref(event)};
    assert_writes(s[0], "before");
    assert_int_equal(send_files(s[0], "with", sent, 1), 4);
    assert_writes(s[0], "after");
    assert_int_equal(unix_inflight_total(), 1);
    assert_int_equal(receive(s[1], buffer, 16, MSG_PEEK, &message), 10);
    assert_int_equal(message.file_count, 1);
    drop(&message);
    /* Bytes before are joined; the message with files ends the receive. */
    assert_int_equal(receive(s[1], buffer, 16, 0, &message), 10);
    assert_int_equal(message.file_count, 1);
    assert_ptr_equal(message.files[0], event);
    drop(&message);
    assert_int_equal(unix_inflight_total(), 0);
    assert_reads(s[1], "after");
    /* Credentials on request; a forged pid needs a capability. */
    assert_int_equal(socket_set_option(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
    assert_writes(s[0], "c");
    assert_int_equal(receive(s[1], buffer, 16, 0, &message), 1);
    assert_true(message.has_cred);
    assert_int_equal(message.cred.pid, 77);
    /* Dropped by read(2). */
    sent[0] = file_ref(event);
    assert_int_equal(send_files(s[0], "x", sent, 1), 1);
    assert_int_equal(io_read(s[1], buffer, 16), 1);
    assert_int_equal(atomic_load(&event->ref.count), 1);
    /* Lost with the queue. */
    sent[0] = file_ref(event);
    assert_int_equal(send_files(s[0], "x", sent, 1), 1);
    file_unref(s[1]);
    assert_int_equal(atomic_load(&event->ref.count), 1);
    /* Not sent: still the caller's. */
    sent[0] = event;
    assert_int_equal(send_files(s[0], "x", sent, 1), -EPIPE);
    assert_int_equal(atomic_load(&event->ref.count), 1);
    file_unref(event);
    file_unref(s[0]);
}

static void test_collection(void **state)
{
    (void)state;
    struct file *s[2], *keep[2], *event, *sent[2];
    struct socket_message message;
    char buffer[4];
    /* Each end in the other's queue, with a file that shows whether they went. */
    assert_int_equal(eventfd_new(0, false, 0, &event), 0);
    assert_int_equal(socket_pair(AF_UNIX, SOCK_STREAM, 0, 0, s), 0);
    sent[0] = file_ref(s[0]);
    sent[1] = file_ref(event);
    assert_int_equal(send_files(s[0], "x", sent, 2), 1);
    sent[0] = file_ref(s[1]);
    assert_int_equal(send_files(s[1], "x", sent, 1), 1);
    unix_gc();
    assert_int_equal(unix_inflight_total(), 3); /* still reachable */
    file_unref(s[0]);
    unix_gc();
    assert_int_equal(unix_inflight_total(), 3);
    file_unref(s[1]);
    assert_int_equal(atomic_load(&event->ref.count), 2);
    unix_gc();
    assert_int_equal(unix_inflight_total(), 0);
    assert_int_equal(atomic_load(&event->ref.count), 1);

    /* A cycle that a reachable queue leads to is kept. */
    assert_int_equal(socket_pair(AF_UNIX, SOCK_STREAM, 0, 0, s), 0);
    assert_int_equal(socket_pair(AF_UNIX, SOCK_DGRAM, 0, 0, keep), 0);
    sent[0] = s[0];
    assert_int_equal(send_files(keep[0], "k", sent, 1), 1); /* s[0] in keep[1]'s queue */
    sent[0] = s[1];
    assert_int_equal(send_files(s[1], "x", sent, 1), 1); /* s[1] in s[0]'s queue */
    unix_gc();
    assert_int_equal(unix_inflight_total(), 2);
    assert_int_equal(receive(keep[1], buffer, 4, 0, &message), 1);
    assert_int_equal(message.file_count, 1);
    file_unref(keep[0]);
    file_unref(keep[1]);
    struct file *s0 = message.files[0];
    free(message.files);
    assert_int_equal(receive(s0, buffer, 4, 0, &message), 1);
    assert_int_equal(message.file_count, 1);
    drop(&message);
    file_unref(s0);
    assert_int_equal(unix_inflight_total(), 0);

    /* In the queue of a connection that was never accepted. */
    struct socket_address name = abstract("unit-gc");
    struct file *listener = make(SOCK_STREAM), *client = make(SOCK_STREAM);
    assert_int_equal(socket_bind(listener, &name), 0);
    assert_int_equal(socket_listen(listener, 4), 0);
    assert_int_equal(socket_connect(client, &name), 0);
    sent[0] = listener;
    sent[1] = file_ref(event);
    assert_int_equal(send_files(client, "x", sent, 2), 1);
    file_unref(client);
    unix_gc();
    assert_int_equal(unix_inflight_total(), 0);
    assert_int_equal(atomic_load(&event->ref.count), 1);
    file_unref(event);
}

/* A chain of sockets, each the only holder of the next, is dropped without deep recursion. */
static void test_long_chain(void **state)
{
    (void)state;
    struct file *outer[2], *inner[2], *sent[1];
    assert_int_equal(socket_pair(AF_UNIX, SOCK_DGRAM, 0, 0, outer), 0);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(socket_pair(AF_UNIX, SOCK_DGRAM, 0, 0, inner), 0);
        sent[0] = outer[1];
        assert_int_equal(send_files(inner[0], "x", sent, 1), 1);
        file_unref(outer[0]);
        outer[0] = inner[0];
        outer[1] = inner[1];
    }
    file_unref(outer[0]);
    file_unref(outer[1]);
    assert_int_equal(unix_inflight_total(), 0);
}

static void test_inet(void **state)
{
    (void)state;
    struct file *tcp, *udp;
    struct socket_address name = {.length = sizeof(struct sockaddr_in)};
    name.any.sa_family = AF_INET;
    assert_int_equal(socket_new(AF_INET, SOCK_STREAM, 0, 0, &tcp), 0);
    assert_int_equal(socket_new(AF_INET, SOCK_DGRAM, 0, 0, &udp), 0);
    assert_int_equal(file_poll(tcp), EPOLLOUT | EPOLLHUP | EPOLLWRNORM);
    name.bytes[3] = 80;
    name.bytes[4] = 192; /* 192.0.2.1 */
    name.bytes[6] = 2;
    name.bytes[7] = 1;
    assert_int_equal(socket_connect(tcp, &name), -ENETUNREACH);
    assert_int_equal(socket_connect(udp, &name), -ENETUNREACH);
    assert_int_equal(socket_listen(tcp, 4), 0);
    assert_int_equal(file_poll(tcp), 0);
    struct file *none;
    assert_int_equal(socket_accept(tcp, 0, &none, NULL), -EAGAIN);
    assert_int_equal(socket_new(AF_INET, SOCK_RAW, IPPROTO_RAW, 0, &none), -EPERM);
    assert_int_equal(socket_new(AF_INET, SOCK_SEQPACKET, 0, 0, &none), -ESOCKTNOSUPPORT);
    assert_int_equal(socket_new(AF_VSOCK, SOCK_STREAM, 0, 0, &none), -EAFNOSUPPORT);
    file_unref(tcp);
    file_unref(udp);
}

int main(void)
{
    current.tgid = 77;
    current_hooks.send_signal = note_signal;
    net_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_pair), cmocka_unit_test(test_connect),
        cmocka_unit_test(test_datagrams),   cmocka_unit_test(test_passing),
        cmocka_unit_test(test_collection),  cmocka_unit_test(test_long_chain),
        cmocka_unit_test(test_inet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
