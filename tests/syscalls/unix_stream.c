/*
 * unix_stream.c: AF_UNIX stream sockets: bind, listen, connect, accept.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un a;
    memset(&a, 0, sizeof(a));
    a.sun_family = AF_UNIX;
    strcpy(a.sun_path, path);
    return a;
}

static int listener(const char *path, int backlog)
{
    struct sockaddr_un a = address(path);
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
    CHECK_OK(listen(fd, backlog));
    return fd;
}

static int client(const char *path)
{
    struct sockaddr_un a = address(path);
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(connect(fd, (struct sockaddr *)&a, sizeof(a)));
    return fd;
}

TEST_CASE(connect_accept_and_talk)
{
    char buffer[16];
    int server = listener("s", 5);
    int one = client("s");
    CHECK_EQ(write(one, "early", 5), 5);
    int peer = (int)CHECK_OK(accept(server, NULL, NULL));
    CHECK_EQ(read(peer, buffer, sizeof(buffer)), 5);
    CHECK_EQ(write(peer, "reply", 5), 5);
    CHECK_EQ(read(one, buffer, sizeof(buffer)), 5);
    CHECK_OK(close(peer));
    CHECK_EQ(read(one, buffer, sizeof(buffer)), 0);
}

TEST_CASE(names)
{
    struct sockaddr_un name;
    socklen_t length = sizeof(name);
    struct stat st;
    int server = listener("s", 5);
    CHECK_OK(stat("s", &st));
    CHECK(S_ISSOCK(st.st_mode));
    CHECK_EQ(st.st_mode & 0777, 0755);
    CHECK_OK(getsockname(server, (struct sockaddr *)&name, &length));
    CHECK(strcmp(name.sun_path, "s") == 0);
    int one = client("s");
    length = sizeof(name);
    memset(&name, 0xee, sizeof(name));
    int peer = (int)CHECK_OK(accept(server, (struct sockaddr *)&name, &length));
    CHECK_EQ(length, 2);
    CHECK_EQ(name.sun_family, AF_UNIX);
    length = sizeof(name);
    CHECK_OK(getpeername(one, (struct sockaddr *)&name, &length));
    CHECK(strcmp(name.sun_path, "s") == 0);
    length = sizeof(name);
    CHECK_OK(getsockname(peer, (struct sockaddr *)&name, &length));
    CHECK(strcmp(name.sun_path, "s") == 0);
    length = 3;
    CHECK_OK(getpeername(one, (struct sockaddr *)&name, &length));
    CHECK(length > 3); /* the full length, although only 3 bytes were stored */
}

TEST_CASE(bind_errors)
{
    struct sockaddr_un a = address("s");
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
    a = address("other");
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EINVAL); /* has a name already */
    a = address("s");
    fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EADDRINUSE);
    a = address("missing/s");
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), ENOENT);
    guest_write_file("file", "");
    a = address("file/s");
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), ENOTDIR);
    a = address("file");
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EADDRINUSE);
    a.sun_family = AF_INET;
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)), EINVAL);
    CHECK_ERRNO(bind(fd, (struct sockaddr *)&a, 200), EINVAL);
    CHECK_ERRNO(bind(9999, (struct sockaddr *)&a, sizeof(a)), EBADF);
    int null = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_ERRNO(bind(null, (struct sockaddr *)&a, sizeof(a)), ENOTSOCK);
}

TEST_CASE(connect_errors)
{
    struct sockaddr_un a = address("missing");
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&a, sizeof(a)), ENOENT);
    guest_write_file("file", "");
    a = address("file");
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&a, sizeof(a)), ECONNREFUSED);
    int bound = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    a = address("s");
    CHECK_OK(bind(bound, (struct sockaddr *)&a, sizeof(a)));
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&a, sizeof(a)), ECONNREFUSED); /* not listening */
    CHECK_OK(close(bound));
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&a, sizeof(a)), ECONNREFUSED);
    listener("t", 1);
    a = address("t");
    int datagram = (int)CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    CHECK_ERRNO(connect(datagram, (struct sockaddr *)&a, sizeof(a)), EPROTOTYPE);
    CHECK_OK(connect(fd, (struct sockaddr *)&a, sizeof(a)));
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&a, sizeof(a)), EISCONN);
}

TEST_CASE(listen_and_accept_errors)
{
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERRNO(listen(fd, 1), EINVAL); /* not bound */
    CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
    int datagram = (int)CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    CHECK_ERRNO(listen(datagram, 1), EOPNOTSUPP);
    CHECK_ERRNO(accept(datagram, NULL, NULL), EOPNOTSUPP);
    int server = listener("s", 1);
    CHECK_ERRNO(accept4(server, NULL, NULL, 1), EINVAL);
    CHECK_ERRNO(accept(9999, NULL, NULL), EBADF);
    CHECK_OK(fcntl(server, F_SETFL, O_NONBLOCK));
    CHECK_ERRNO(accept(server, NULL, NULL), EAGAIN);
    char byte;
    CHECK_ERRNO(read(server, &byte, 1), EINVAL);
    CHECK_ERRNO(recv(fd, &byte, 1, 0), EINVAL);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(send(fd, &byte, 1, 0), ENOTCONN);
}

TEST_CASE(accept4_flags_are_not_inherited)
{
    int server = listener("s", 5);
    CHECK_OK(fcntl(server, F_SETFL, O_NONBLOCK));
    client("s");
    client("s");
    int plain = (int)CHECK_OK(accept(server, NULL, NULL));
    CHECK_EQ(fcntl(plain, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(fcntl(plain, F_GETFD), 0);
    int flagged = (int)CHECK_OK(accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
    CHECK_EQ(fcntl(flagged, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_EQ(fcntl(flagged, F_GETFD), FD_CLOEXEC);
}

TEST_CASE(backlog)
{
    struct sockaddr_un a = address("s");
    int server = listener("s", 1);
    int count = 0;
    for (; count < 10; count++) {
        int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
        if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
            CHECK_EQ(errno, EAGAIN);
            break;
        }
    }
    CHECK_EQ(count, 2); /* Linux: the backlog plus one */
    CHECK_OK(accept(server, NULL, NULL));
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    CHECK_OK(connect(fd, (struct sockaddr *)&a, sizeof(a)));
}

TEST_CASE(blocking_connect_waits_for_room)
{
    int server = listener("s", 0);
    client("s");
    pid_t pid = guest_fork();
    if (pid == 0) {
        client("s");
        _exit(0);
    }
    guest_sleep_ms(20);
    int status;
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    CHECK_OK(accept(server, NULL, NULL));
    CHECK_CHILD_OK(pid);
}

TEST_CASE(poll_on_a_listener)
{
    int server = listener("s", 5);
    struct pollfd p = {.fd = server, .events = POLLIN | POLLOUT};
    CHECK_EQ(poll(&p, 1, 0), 0);
    client("s");
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN);
}

TEST_CASE(closed_listener_resets_waiting_clients)
{
    char byte;
    int server = listener("s", 5);
    int one = client("s");
    CHECK_OK(close(server));
    CHECK_ERRNO(read(one, &byte, 1), ECONNRESET);
}

TEST_CASE(unread_data_at_close_resets)
{
    char byte;
    int server = listener("s", 5);
    int one = client("s");
    int peer = (int)CHECK_OK(accept(server, NULL, NULL));
    CHECK_EQ(write(one, "unread", 6), 6);
    CHECK_OK(close(peer));
    CHECK_ERRNO(read(one, &byte, 1), ECONNRESET);
    CHECK_EQ(read(one, &byte, 1), 0);
}

TEST_CASE(unlinked_socket_still_works_for_those_connected)
{
    char byte;
    struct sockaddr_un a = address("s");
    int server = listener("s", 5);
    int one = client("s");
    CHECK_OK(unlink("s"));
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&a, sizeof(a)), ENOENT);
    int peer = (int)CHECK_OK(accept(server, NULL, NULL));
    CHECK_EQ(write(peer, "x", 1), 1);
    CHECK_EQ(read(one, &byte, 1), 1);
    CHECK_ERRNO(open("s", O_RDONLY), ENOENT);
}

TEST_CASE(socket_file_cannot_be_opened)
{
    listener("s", 1);
    CHECK_ERRNO(open("s", O_RDWR), ENXIO);
    CHECK_OK(open("s", O_PATH));
}
