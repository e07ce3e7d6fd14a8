/*
 * socket_options.c: getsockopt and setsockopt at SOL_SOCKET; socket() itself.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/net.h>
#include <sys/socket.h>
#include <sys/un.h>

static int get(int fd, int option)
{
    int value = -1;
    socklen_t length = sizeof(value);
    CHECK_OK(getsockopt(fd, SOL_SOCKET, option, &value, &length));
    CHECK_EQ(length, 4);
    return value;
}

TEST_CASE(identity)
{
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    CHECK_EQ(get(fd, SO_TYPE), SOCK_SEQPACKET);
    CHECK_EQ(get(fd, SO_DOMAIN), AF_UNIX);
    CHECK_EQ(get(fd, SO_PROTOCOL), 0);
    CHECK_EQ(get(fd, SO_ERROR), 0);
    CHECK_EQ(get(fd, SO_ACCEPTCONN), 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "s"};
    CHECK_OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
    CHECK_OK(listen(fd, 1));
    CHECK_EQ(get(fd, SO_ACCEPTCONN), 1);
}

TEST_CASE(buffers)
{
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK(get(fd, SO_SNDBUF) >= 4096);
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){20000}, sizeof(int)));
    CHECK_EQ(get(fd, SO_SNDBUF), 40000); /* Linux doubles it */
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int)));
    CHECK(get(fd, SO_SNDBUF) >= 2048);
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){30000}, sizeof(int)));
    CHECK_EQ(get(fd, SO_RCVBUF), 60000);
}

TEST_CASE(flags_are_kept)
{
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    const int options[] = {SO_KEEPALIVE, SO_REUSEADDR, SO_BROADCAST};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(get(fd, options[i]), 0);
        CHECK_OK(setsockopt(fd, SOL_SOCKET, options[i], &(int){5}, sizeof(int)));
        CHECK_EQ(get(fd, options[i]), 1);
    }
    struct linger l = {1, 7};
    socklen_t length = sizeof(l);
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
    memset(&l, 0, sizeof(l));
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &length));
    CHECK(l.l_onoff == 1 && l.l_linger == 7);
}

TEST_CASE(errors)
{
    int value = 1;
    socklen_t length = 4;
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, 9999, &value, 4), ENOPROTOOPT);
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, 9999, &value, &length), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, 1), EINVAL);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, guest_bad(), 4), EFAULT);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_TYPE, &value, 4), ENOPROTOOPT);
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, SO_TYPE, guest_bad(), &length), EFAULT);
    length = (socklen_t)-1;
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length), EINVAL);
    length = 1;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length));
    CHECK_EQ(length, 1);
    int null = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    length = 4;
    CHECK_ERRNO(getsockopt(null, SOL_SOCKET, SO_TYPE, &value, &length), ENOTSOCK);
}

TEST_CASE(creation)
{
    CHECK_ERRNO(socket(AF_UNIX, 77, 0), EINVAL);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM | 0x100, 0), EINVAL);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 5), EPROTONOSUPPORT);
    CHECK_ERRNO(socket(250, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, AF_UNIX));
    CHECK_OK(close(fd));
    fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
}

TEST_CASE(not_seekable_not_mappable)
{
    int pair[2];
    struct stat st;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_ERRNO(lseek(pair[0], 0, SEEK_SET), ESPIPE);
    CHECK_ERRNO(ftruncate(pair[0], 0), EINVAL);
    CHECK_ERRNO(fsync(pair[0]), EINVAL);
    CHECK_OK(fstat(pair[0], &st));
    CHECK(S_ISSOCK(st.st_mode));
    CHECK_EQ(st.st_mode & 0777, 0777);
}
