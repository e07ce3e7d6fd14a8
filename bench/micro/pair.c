/*
 * pair.c: see pair.h.
 */
#include "bench/micro/pair.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/micro/micro.h"

void pair_loopback(struct pair_end *ret_near, struct pair_end *ret_far)
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
    *ret_near = (struct pair_end){client, client};
    *ret_far = (struct pair_end){server, server};
}

pid_t pair_fork(const struct pair_end *near, const struct pair_end *far,
                void (*serve)(const struct pair_end *far))
{
    pid_t child = fork();
    if (child < 0) {
        micro_fail("fork");
    }
    if (child == 0) {
        close(near->read);
        close(near->write);
        serve(far);
        _exit(0);
    }
    return child;
}

void pair_end_child(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static struct pair_end near_end;

static uint64_t pingpong(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        char byte = 1;
        if (write(near_end.write, &byte, 1) != 1 || read(near_end.read, &byte, 1) != 1) {
            micro_fail("ping");
        }
    }
    return micro_now() - start;
}

static void send_back(const struct pair_end *far)
{
    char byte;
    while (read(far->read, &byte, 1) == 1 && write(far->write, &byte, 1) == 1) {
    }
}

int pair_pingpong(const char *name, const struct pair_end *near, const struct pair_end *far)
{
    near_end = *near;
    pid_t child = pair_fork(near, far, send_back);
    int status = micro_report(name, pingpong, 1);
    pair_end_child(child);
    return status;
}
