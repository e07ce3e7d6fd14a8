/*
 * unix_credentials.c: SO_PEERCRED, SO_PASSCRED and SCM_CREDENTIALS.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/socket.h>
#include <sys/un.h>

static int pair[2];

/* Receives one byte; returns whether credentials came with it. */
static bool receive(struct ucred *ret_credentials)
{
    char control[CMSG_SPACE(sizeof(struct ucred))];
    char byte;
    struct iovec v = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    CHECK_EQ(recvmsg(pair[1], &message, 0), 1);
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (!c) {
        return false;
    }
    CHECK_EQ(c->cmsg_type, SCM_CREDENTIALS);
    CHECK_EQ(c->cmsg_len, CMSG_LEN(sizeof(struct ucred)));
    memcpy(ret_credentials, CMSG_DATA(c), sizeof(*ret_credentials));
    return true;
}

static ssize_t send_credentials(const struct ucred *credentials)
{
    char control[CMSG_SPACE(sizeof(struct ucred))];
    char byte = 'c';
    struct iovec v = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    memset(control, 0, sizeof(control));
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_CREDENTIALS;
    c->cmsg_len = CMSG_LEN(sizeof(struct ucred));
    memcpy(CMSG_DATA(c), credentials, sizeof(*credentials));
    return sendmsg(pair[0], &message, 0);
}

TEST_CASE(peercred)
{
    struct ucred c;
    socklen_t length = sizeof(c);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_OK(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &c, &length));
    CHECK_EQ(c.pid, getpid());
    CHECK_EQ(c.uid, geteuid());
    CHECK_EQ(c.gid, getegid());
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &length));
    CHECK_EQ(c.pid, 0);
    CHECK_EQ(c.uid, (uid_t)-1);
}

TEST_CASE(peercred_of_client_and_listener)
{
    struct ucred c;
    socklen_t length = sizeof(c);
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "s"};
    int server = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(bind(server, (struct sockaddr *)&a, sizeof(a)));
    CHECK_OK(listen(server, 1));
    pid_t parent = getpid();
    pid_t pid = guest_fork();
    if (pid == 0) {
        int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
        CHECK_OK(connect(fd, (struct sockaddr *)&a, sizeof(a)));
        CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &length));
        CHECK_EQ(c.pid, parent); /* who called listen() */
        _exit(0);
    }
    int fd = (int)CHECK_OK(accept(server, NULL, NULL));
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &length));
    CHECK_EQ(c.pid, pid);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(passcred_adds_the_sender)
{
    struct ucred c;
    int on = 1;
    socklen_t length = sizeof(on);
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    CHECK_EQ(write(pair[0], "a", 1), 1);
    CHECK(!receive(&c));
    CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
    on = 0;
    CHECK_OK(getsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, &length));
    CHECK_EQ(on, 1);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(write(pair[0], "b", 1), 1);
        _exit(0);
    }
    CHECK(receive(&c));
    CHECK_EQ(c.pid, pid);
    CHECK_EQ(c.uid, getuid());
    CHECK_EQ(c.gid, getgid());
    CHECK_CHILD_OK(pid);
}

TEST_CASE(explicit_credentials)
{
    struct ucred c = {getpid(), getuid(), getgid()};
    struct ucred got;
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)));
    CHECK_EQ(send_credentials(&c), 1);
    CHECK(receive(&got));
    CHECK(memcmp(&c, &got, sizeof(c)) == 0);
}

TEST_CASE(forged_credentials)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    pid_t pid = guest_fork();
    if (pid == 0) {
        if (guest_can_switch_user()) {
            guest_become_user();
        }
        if (geteuid() != 0) {
            struct ucred c = {getpid(), 0, getgid()};
            CHECK_ERRNO(send_credentials(&c), EPERM);
            c = (struct ucred){getppid(), getuid(), getgid()};
            CHECK_ERRNO(send_credentials(&c), EPERM);
            c = (struct ucred){getpid(), getuid(), 0};
            CHECK_ERRNO(send_credentials(&c), EPERM);
        }
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}
