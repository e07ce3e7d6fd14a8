/*
 * unix_seqpacket.c: AF_UNIX sequenced packets.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/socket.h>
#include <sys/un.h>

TEST_CASE(connect_and_packets)
{
    char buffer[100];
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "s"};
    int server = (int)CHECK_OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    CHECK_OK(bind(server, (struct sockaddr *)&a, sizeof(a)));
    CHECK_OK(listen(server, 2));
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    CHECK_OK(connect(fd, (struct sockaddr *)&a, sizeof(a)));
    int peer = (int)CHECK_OK(accept(server, NULL, NULL));
    CHECK_EQ(write(fd, "first", 5), 5);
    CHECK_EQ(write(fd, "second!", 7), 7);
    CHECK_EQ(read(peer, buffer, 100), 5);
    CHECK_EQ(read(peer, buffer, 3), 3); /* the rest of the packet is gone */
    CHECK_ERRNO(recv(peer, buffer, 100, MSG_DONTWAIT), EAGAIN);
    CHECK_OK(close(fd));
    CHECK_EQ(read(peer, buffer, 100), 0);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(write(peer, "x", 1), EPIPE);
}

TEST_CASE(wrong_type_of_peer)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "s"};
    int server = (int)CHECK_OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    CHECK_OK(bind(server, (struct sockaddr *)&a, sizeof(a)));
    CHECK_OK(listen(server, 2));
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&a, sizeof(a)), EPROTOTYPE);
}

TEST_CASE(sendto_an_address_is_refused)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "s"};
    int fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    CHECK_ERRNO(sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)), ENOTCONN);
}
