/*
 * tcp_stream.c: 64 KiB through a TCP connection over the loopback to another process that reads
 * them.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/micro/micro.h"

struct ends {
    int read;
    int write;
};

/* A connection over the loopback. */
static void make_ends(struct ends *ret_near, struct ends *ret_far)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(name);
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || client < 0 || bind(listener, (void *)&name, sizeof(name)) != 0 ||
        listen(listener, 1) != 0 || getsockname(listener, (void *)&name, &length) != 0 ||
        connect(client, (void *)&name, sizeof(name)) != 0) {
        micro_fail("connect");
    }
    int server = accept(listener, NULL, NULL);
    if (server < 0) {
        micro_fail("accept");
    }
    close(listener);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *ret_near = (struct ends){client, client};
    *ret_far = (struct ends){server, server};
}

static struct ends near;
static char block[65536];

static uint64_t stream(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        for (size_t done = 0; done < sizeof(block);) {
            ssize_t count = write(near.write, block + done, sizeof(block) - done);
            if (count <= 0) {
                micro_fail("write");
            }
            done += (size_t)count;
        }
    }
    return micro_now() - start;
}

int main(void)
{
    struct ends far;
    make_ends(&near, &far);
    pid_t child = fork();
    if (child < 0) {
        micro_fail("fork");
    }
    if (child == 0) {
        close(near.read);
        close(near.write);
        while (read(far.read, block, sizeof(block)) > 0) {
        }
        _exit(0);
    }
    int status = micro_report("tcp_stream", stream, 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return status;
}
