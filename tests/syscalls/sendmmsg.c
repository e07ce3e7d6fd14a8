/*
 * sendmmsg.c: sendmmsg and recvmmsg.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/socket.h>

static int pair[2];
static char texts[8][8];
static struct iovec vectors[8];
static struct mmsghdr messages[8];

static void setup(size_t room)
{
    for (int i = 0; i < 8; i++) {
        snprintf(texts[i], 8, "msg%d", i);
        vectors[i] = (struct iovec){texts[i], room};
        memset(&messages[i], 0, sizeof(messages[i]));
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
}

TEST_CASE(several_at_once)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    setup(4);
    CHECK_EQ(sendmmsg(pair[0], messages, 5, 0), 5);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(messages[i].msg_len, 4);
    }
    setup(8);
    CHECK_EQ(recvmmsg(pair[1], messages, 8, MSG_DONTWAIT, NULL), 5);
    for (int i = 0; i < 5; i++) {
        char want[8];
        snprintf(want, 8, "msg%d", i);
        CHECK_EQ(messages[i].msg_len, 4);
        CHECK(memcmp(texts[i], want, 4) == 0);
    }
    CHECK_ERRNO(recvmmsg(pair[1], messages, 8, MSG_DONTWAIT, NULL), EAGAIN);
}

TEST_CASE(waitforone)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    CHECK_EQ(write(pair[0], "one", 3), 3);
    setup(8);
    CHECK_EQ(recvmmsg(pair[1], messages, 8, MSG_WAITFORONE, NULL), 1);
    CHECK_EQ(messages[0].msg_len, 3);
}

TEST_CASE(count_zero_and_partial_failure)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    setup(4);
    CHECK_EQ(sendmmsg(pair[0], messages, 0, 0), 0);
    vectors[2].iov_base = guest_bad();
    CHECK_EQ(sendmmsg(pair[0], messages, 5, 0), 2);
    CHECK_ERRNO(sendmmsg(pair[0], messages + 2, 1, 0), EFAULT);
    CHECK_ERRNO(sendmmsg(9999, messages, 1, 0), EBADF);
}

TEST_CASE(timeout)
{
    struct timespec t = {0, 1000000000};
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    setup(8);
    CHECK_ERRNO(recvmmsg(pair[1], messages, 1, 0, &t), EINVAL);
    CHECK_EQ(write(pair[0], "one", 3), 3);
    t = (struct timespec){0, 0};
    CHECK_EQ(recvmmsg(pair[1], messages, 8, 0, &t), 1);
}
