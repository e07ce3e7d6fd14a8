/*
 * unix_abstract.c: abstract names and autobind.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/socket.h>
#include <sys/un.h>

static socklen_t abstract_name(struct sockaddr_un *a, const char *suffix)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    int n = snprintf(a->sun_path + 1, 60, "guest-test-%d-%s", getpid(), suffix);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

TEST_CASE(bind_and_connect)
{
    struct sockaddr_un a;
    struct sockaddr_un name;
    socklen_t size = abstract_name(&a, "x");
    socklen_t length = sizeof(name);
    int server = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(bind(server, (struct sockaddr *)&a, size));
    CHECK_OK(listen(server, 1));
    CHECK_OK(getsockname(server, (struct sockaddr *)&name, &length));
    CHECK_EQ(length, size);
    CHECK(memcmp(&a, &name, size) == 0);
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(connect(fd, (struct sockaddr *)&a, size));
    int other = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERRNO(bind(other, (struct sockaddr *)&a, size), EADDRINUSE);
    /* The length is part of the name. */
    CHECK_OK(bind(other, (struct sockaddr *)&a, size + 1));
    CHECK_OK(close(server));
    int again = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERRNO(connect(again, (struct sockaddr *)&a, size), ECONNREFUSED);
    CHECK_OK(bind(again, (struct sockaddr *)&a, size)); /* free again at once */
}

TEST_CASE(autobind)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct sockaddr_un name;
    socklen_t length = sizeof(name);
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    CHECK_OK(bind(fd, (struct sockaddr *)&a, sizeof(sa_family_t)));
    CHECK_OK(getsockname(fd, (struct sockaddr *)&name, &length));
    CHECK_EQ(length, sizeof(sa_family_t) + 6);
    CHECK_EQ(name.sun_path[0], '\0');
    for (int i = 1; i < 6; i++) {
        CHECK(strchr("0123456789abcdef", name.sun_path[i]) && name.sun_path[i]);
    }
}

TEST_CASE(passcred_autobinds_at_connect)
{
    struct sockaddr_un a;
    struct sockaddr_un name;
    socklen_t size = abstract_name(&a, "y");
    socklen_t length = sizeof(name);
    int server = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(bind(server, (struct sockaddr *)&a, size));
    CHECK_OK(listen(server, 1));
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)));
    CHECK_OK(connect(fd, (struct sockaddr *)&a, size));
    CHECK_OK(getsockname(fd, (struct sockaddr *)&name, &length));
    CHECK_EQ(length, sizeof(sa_family_t) + 6);
}

TEST_CASE(same_name_for_another_type)
{
    struct sockaddr_un a;
    socklen_t size = abstract_name(&a, "z");
    int stream = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    int datagram = (int)CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    CHECK_OK(bind(stream, (struct sockaddr *)&a, size));
    /* Linux: abstract names are hashed per type. */
    int result = bind(datagram, (struct sockaddr *)&a, size);
    CHECK(result == 0 || errno == EADDRINUSE);
}
