/*
 * socket_flags.c: MSG_PEEK, TRUNC, DONTWAIT, WAITALL, NOSIGNAL and out of band data.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/socket.h>

static int pair[2];
static char buffer[200];

TEST_CASE(peek_on_a_stream)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_EQ(send(pair[0], "abcdef", 6, 0), 6);
    CHECK_EQ(recv(pair[1], buffer, 3, MSG_PEEK), 3);
    CHECK_EQ(recv(pair[1], buffer, 100, MSG_PEEK), 6);
    CHECK_EQ(recv(pair[1], buffer, 2, 0), 2);
    CHECK_EQ(recv(pair[1], buffer, 100, MSG_PEEK), 4);
    CHECK(memcmp(buffer, "cdef", 4) == 0);
}

TEST_CASE(peek_offset)
{
    int offset = 1;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    if (setsockopt(pair[1], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)) < 0) {
        SKIP("no SO_PEEK_OFF");
    }
    CHECK_EQ(send(pair[0], "abcdef", 6, 0), 6);
    CHECK_EQ(recv(pair[1], buffer, 2, MSG_PEEK), 2);
    CHECK(memcmp(buffer, "bc", 2) == 0);
    CHECK_EQ(recv(pair[1], buffer, 2, MSG_PEEK), 2);
    CHECK(memcmp(buffer, "de", 2) == 0);
}

TEST_CASE(dontwait)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_ERRNO(recv(pair[1], buffer, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(fcntl(pair[1], F_GETFL) & O_NONBLOCK, 0);
    while (send(pair[0], buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {
    }
    CHECK_EQ(errno, EAGAIN);
}

TEST_CASE(waitall)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (int i = 0; i < 10; i++) {
            CHECK_EQ(send(pair[0], "0123456789", 10, 0), 10);
            guest_sleep_ms(2);
        }
        _exit(0);
    }
    CHECK_EQ(recv(pair[1], buffer, 100, MSG_WAITALL), 100);
    CHECK_CHILD_OK(pid);
    CHECK_EQ(send(pair[0], "end", 3, 0), 3);
    CHECK_OK(close(pair[0]));
    CHECK_EQ(recv(pair[1], buffer, 100, MSG_WAITALL), 3);
}

TEST_CASE(nosignal)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_OK(close(pair[1]));
    CHECK_ERRNO(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    pid_t pid = guest_fork();
    if (pid == 0) {
        send(pair[0], "x", 1, 0);
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGPIPE);
}

TEST_CASE(receive_timeout)
{
    struct timeval t = {0, 50000};
    struct timeval got = {9, 9};
    socklen_t length = sizeof(got);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
    CHECK_OK(getsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &got, &length));
    CHECK_EQ(got.tv_sec, 0);
    CHECK(got.tv_usec >= 50000 && got.tv_usec <= 60000);
    long long start = guest_now_ms();
    CHECK_ERRNO(recv(pair[1], buffer, 1, 0), EAGAIN);
    CHECK(guest_now_ms() - start >= 49);
    t.tv_usec = 1000000;
    CHECK_ERRNO(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)), EDOM);
}

TEST_CASE(send_timeout)
{
    struct timeval t = {0, 50000};
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)));
    while (send(pair[0], buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {
    }
    long long start = guest_now_ms();
    CHECK_ERRNO(send(pair[0], buffer, sizeof(buffer), 0), EAGAIN);
    CHECK(guest_now_ms() - start >= 49);
}

TEST_CASE(scatter_and_gather)
{
    char one[3];
    char two[10];
    struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cdef", 4}};
    struct iovec in[2] = {{one, 3}, {two, 10}};
    struct msghdr message = {.msg_iov = out, .msg_iovlen = 3};
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    CHECK_EQ(sendmsg(pair[0], &message, 0), 6);
    message = (struct msghdr){.msg_iov = in, .msg_iovlen = 2};
    CHECK_EQ(recvmsg(pair[1], &message, 0), 6);
    CHECK(memcmp(one, "abc", 3) == 0 && memcmp(two, "def", 3) == 0);
    CHECK_EQ(message.msg_flags, 0);
    message.msg_iovlen = 2000;
    CHECK_ERRNO(recvmsg(pair[1], &message, 0), EMSGSIZE);
}
