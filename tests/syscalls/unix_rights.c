/*
 * unix_rights.c: descriptors in SCM_RIGHTS messages.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/resource.h>
#include <sys/socket.h>

static int pair[2];

static void send_fds(int socket, const int *fds, int count)
{
    char control[CMSG_SPACE(sizeof(int) * 300)];
    char byte = 'f';
    struct iovec v = {&byte, 1};
    struct msghdr message = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control};
    memset(control, 0, sizeof(control));
    message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)count);
    CHECK_EQ(sendmsg(socket, &message, 0), 1);
}

/* Returns the number of descriptors; room limits how many fit. */
static int receive_fds(int socket, int *fds, int room, int flags, int *ret_message_flags)
{
    char control[CMSG_SPACE(sizeof(int) * 300)];
    char byte;
    struct iovec v = {&byte, 1};
    struct msghdr message = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control};
    message.msg_controllen = room ? CMSG_LEN(sizeof(int) * (size_t)room) : 0;
    CHECK_EQ(recvmsg(socket, &message, flags), 1);
    if (ret_message_flags) {
        *ret_message_flags = message.msg_flags;
    }
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (!c) {
        return 0;
    }
    CHECK_EQ(c->cmsg_level, SOL_SOCKET);
    CHECK_EQ(c->cmsg_type, SCM_RIGHTS);
    int count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(c), sizeof(int) * (size_t)count);
    return count;
}

TEST_CASE(the_same_open_file)
{
    int got = -1;
    guest_write_file("f", "abcdef");
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    send_fds(pair[0], &fd, 1);
    CHECK_EQ(lseek(fd, 2, SEEK_SET), 2);
    CHECK_EQ(receive_fds(pair[1], &got, 1, 0, NULL), 1);
    CHECK(got != fd);
    CHECK_EQ(fcntl(got, F_GETFD), 0);
    CHECK_EQ(lseek(got, 0, SEEK_CUR), 2);
    char two[2];
    CHECK_EQ(read(got, two, 2), 2);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
}

TEST_CASE(cloexec_and_many)
{
    int fds[253];
    int got[253];
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    for (int i = 0; i < 253; i++) {
        fds[i] = pair[0];
    }
    send_fds(pair[0], fds, 253);
    CHECK_EQ(receive_fds(pair[1], got, 253, MSG_CMSG_CLOEXEC, NULL), 253);
    CHECK_EQ(fcntl(got[252], F_GETFD), FD_CLOEXEC);
}

TEST_CASE(sender_may_close_and_exit)
{
    int got = -1;
    char buffer[16];
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t pid = guest_fork();
    if (pid == 0) {
        int ends[2];
        CHECK_OK(pipe(ends));
        CHECK_EQ(write(ends[1], "inside", 6), 6);
        send_fds(pair[0], &ends[0], 1);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(receive_fds(pair[1], &got, 1, 0, NULL), 1);
    CHECK_EQ(read(got, buffer, sizeof(buffer)), 6);
    CHECK_EQ(read(got, buffer, sizeof(buffer)), 0);
}

TEST_CASE(too_little_room_closes_the_rest)
{
    int ends[2];
    int got[2] = {-1, -1};
    int flags = 0;
    char byte;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_OK(pipe2(ends, O_NONBLOCK));
    send_fds(pair[0], (int[]){ends[0], ends[1]}, 2);
    CHECK_EQ(receive_fds(pair[1], got, 1, 0, &flags), 1);
    CHECK_EQ(flags & MSG_CTRUNC, MSG_CTRUNC);
    CHECK_OK(close(ends[1]));
    CHECK_EQ(read(got[0], &byte, 1), 0); /* the writing end that did not fit is closed */
    CHECK_OK(pipe2(ends, O_NONBLOCK));
    send_fds(pair[0], &ends[1], 1);
    CHECK_EQ(receive_fds(pair[1], got, 0, 0, &flags), 0);
    CHECK_EQ(flags & MSG_CTRUNC, MSG_CTRUNC);
    CHECK_OK(close(ends[1]));
    CHECK_EQ(read(ends[0], &byte, 1), 0);
}

TEST_CASE(plain_read_drops_them)
{
    int ends[2];
    char byte;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_OK(pipe2(ends, O_NONBLOCK));
    send_fds(pair[0], &ends[1], 1);
    CHECK_OK(close(ends[1]));
    CHECK_ERRNO(read(ends[0], &byte, 1), EAGAIN); /* alive in flight */
    CHECK_EQ(read(pair[1], &byte, 1), 1);
    CHECK_EQ(read(ends[0], &byte, 1), 0);
}

TEST_CASE(closing_the_socket_drops_them)
{
    int ends[2];
    char byte;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_OK(pipe2(ends, O_NONBLOCK));
    send_fds(pair[0], &ends[1], 1);
    CHECK_OK(close(ends[1]));
    CHECK_OK(close(pair[1]));
    CHECK_OK(close(pair[0]));
    for (int i = 0; i < 1000 && read(ends[0], &byte, 1) != 0; i++) {
        guest_sleep_ms(1);
    }
    CHECK_EQ(read(ends[0], &byte, 1), 0);
}

TEST_CASE(stream_reads_do_not_cross_descriptors)
{
    char buffer[16];
    int got = -1;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_EQ(write(pair[0], "ab", 2), 2);
    send_fds(pair[0], &pair[0], 1);
    CHECK_EQ(write(pair[0], "cd", 2), 2);
    CHECK_EQ(recv(pair[1], buffer, 2, 0), 2);
    CHECK_EQ(receive_fds(pair[1], &got, 1, 0, NULL), 1);
    CHECK_EQ(recv(pair[1], buffer, sizeof(buffer), 0), 2);
}

TEST_CASE_SLOW(cycles_are_collected)
{
    /* A socket sent over itself and closed can never be received: it must not pile up. */
    for (int i = 0; i < 300; i++) {
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        send_fds(pair[0], &pair[1], 1);
        send_fds(pair[1], &pair[0], 1);
        CHECK_OK(close(pair[0]));
        CHECK_OK(close(pair[1]));
    }
    int ends[2];
    char byte;
    CHECK_OK(pipe2(ends, O_NONBLOCK));
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    send_fds(pair[0], (int[]){pair[1], ends[1]}, 2);
    CHECK_OK(close(ends[1]));
    CHECK_OK(close(pair[0]));
    CHECK_OK(close(pair[1]));
    /* Linux: collected at the latest when more is sent or closed. */
    for (int i = 0; i < 3000 && read(ends[0], &byte, 1) != 0; i++) {
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        send_fds(pair[0], &pair[0], 1);
        CHECK_OK(close(pair[0]));
        CHECK_OK(close(pair[1]));
        guest_sleep_ms(1);
    }
    CHECK_EQ(read(ends[0], &byte, 1), 0);
}

TEST_CASE(errors)
{
    char control[CMSG_SPACE(sizeof(int) * 300)];
    char byte = 0;
    struct iovec v = {&byte, 1};
    struct msghdr message = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control};
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    memset(control, 0, sizeof(control));
    message.msg_controllen = CMSG_SPACE(sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    *(int *)(void *)CMSG_DATA(c) = 9999;
    CHECK_ERRNO(sendmsg(pair[0], &message, 0), EBADF);
    c->cmsg_len = 3;
    CHECK_ERRNO(sendmsg(pair[0], &message, 0), EINVAL);
    c->cmsg_len = CMSG_LEN(1000);
    CHECK_ERRNO(sendmsg(pair[0], &message, 0), EINVAL);
    c->cmsg_len = CMSG_LEN(sizeof(int));
    c->cmsg_type = 77;
    CHECK_ERRNO(sendmsg(pair[0], &message, 0), EINVAL);
    message.msg_controllen = sizeof(control);
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * 254);
    memset(CMSG_DATA(c), 0, sizeof(int) * 254);
    CHECK_ERRNO(sendmsg(pair[0], &message, 0), EINVAL);
    message.msg_control = guest_bad();
    CHECK_ERRNO(sendmsg(pair[0], &message, 0), EFAULT);
}

TEST_CASE(path_descriptors_can_be_sent)
{
    int got = -1;
    char byte;
    guest_write_file("f", "x");
    int fd = (int)CHECK_OK(open("f", O_PATH));
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    send_fds(pair[0], &fd, 1);
    CHECK_EQ(receive_fds(pair[1], &got, 1, 0, NULL), 1);
    CHECK_EQ(fcntl(got, F_GETFL) & O_PATH, O_PATH);
    CHECK_ERRNO(read(got, &byte, 1), EBADF);
}
