/*
 * mq_notify.c: being told of a message that comes to an empty queue.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/netlink.h>
#include <mqueue.h>
#include <poll.h>
#include <sys/socket.h>

static char name[64];
static char text[8192];

static mqd_t create(void)
{
    snprintf(name, sizeof(name), "/guest-%d", getpid());
    mqd_t q = (mqd_t)CHECK_OK(mq_open(name, O_CREAT | O_RDWR, 0600, NULL));
    CHECK_OK(mq_unlink(name));
    return q;
}

static void block(int sig)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
}

/* Waits up to ms for the signal; 0 when it does not come. */
static int await(int sig, siginfo_t *info, long ms)
{
    sigset_t set;
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    sigemptyset(&set);
    sigaddset(&set, sig);
    int got = sigtimedwait(&set, info, &t);
    return got == sig ? got : 0;
}

TEST_CASE(signal_once)
{
    siginfo_t info;
    mqd_t q = create();
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    event.sigev_value.sival_int = 4711;
    block(SIGUSR1);
    CHECK_OK(mq_notify(q, &event));
    CHECK_ERRNO(mq_notify(q, &event), EBUSY);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_ERRNO(mq_notify(q, &event), EBUSY);
        CHECK_OK(mq_notify(q, NULL)); /* not ours: nothing happens */
        CHECK_OK(mq_send(q, "x", 1, 0));
        CHECK_OK(mq_send(q, "x", 1, 0));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(await(SIGUSR1, &info, 2000), SIGUSR1);
    CHECK_EQ(info.si_code, SI_MESGQ);
    CHECK_EQ(info.si_value.sival_int, 4711);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_uid, getuid());
    CHECK_OK(mq_notify(q, &event));  /* it was used up */
    CHECK_OK(mq_send(q, "x", 1, 0)); /* not empty: not told */
    CHECK_EQ(await(SIGUSR1, &info, 30), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(mq_receive(q, text, sizeof(text), NULL), 1);
    }
    CHECK_OK(mq_send(q, "x", 1, 0));
    CHECK_EQ(await(SIGUSR1, &info, 2000), SIGUSR1);
}

TEST_CASE(removed)
{
    siginfo_t info;
    mqd_t q = create();
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    block(SIGUSR1);
    CHECK_OK(mq_notify(q, &event));
    CHECK_OK(mq_notify(q, NULL));
    CHECK_OK(mq_send(q, "x", 1, 0));
    CHECK_EQ(await(SIGUSR1, &info, 30), 0);
    CHECK_EQ(mq_receive(q, text, sizeof(text), NULL), 1);
    CHECK_OK(mq_notify(q, &event));
    CHECK_OK(close(dup(q))); /* closing any descriptor of it ends the registration */
    CHECK_OK(mq_send(q, "x", 1, 0));
    CHECK_EQ(await(SIGUSR1, &info, 30), 0);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(mq_notify(q, &event));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_OK(mq_notify(q, &event)); /* the child's went with it */
}

TEST_CASE(a_receiver_comes_first)
{
    siginfo_t info;
    mqd_t q = create();
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    block(SIGUSR1);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(mq_receive(q, text, sizeof(text), NULL), 1);
        _exit(0);
    }
    guest_sleep_ms(30);
    CHECK_OK(mq_notify(q, &event));
    CHECK_OK(mq_send(q, "x", 1, 0));
    CHECK_CHILD_OK(pid);
    CHECK_EQ(await(SIGUSR1, &info, 30), 0);
    CHECK_OK(mq_send(q, "x", 1, 0));
    CHECK_EQ(await(SIGUSR1, &info, 2000), SIGUSR1);
}

TEST_CASE(silent)
{
    mqd_t q = create();
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    CHECK_OK(mq_notify(q, &event));
    CHECK_ERRNO(mq_notify(q, &event), EBUSY);
    CHECK_OK(mq_send(q, "x", 1, 0));
    CHECK_OK(mq_notify(q, &event));
}

TEST_CASE(errors)
{
    mqd_t q = create();
    struct sigevent event = {.sigev_notify = 77};
    CHECK_ERRNO(syscall(SYS_mq_notify, q, &event), EINVAL);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = 65;
    CHECK_ERRNO(syscall(SYS_mq_notify, q, &event), EINVAL);
    event.sigev_signo = SIGUSR1;
    CHECK_ERRNO(syscall(SYS_mq_notify, -1, &event), EBADF);
    CHECK_ERRNO(syscall(SYS_mq_notify, 0, &event), EBADF);
    CHECK_ERRNO(syscall(SYS_mq_notify, q, guest_bad()), EFAULT);
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_value.sival_ptr = guest_bad();
    CHECK_ERRNO(syscall(SYS_mq_notify, q, &event), EFAULT);
    event.sigev_value.sival_ptr = text;
    event.sigev_signo = -1;
    CHECK_ERRNO(syscall(SYS_mq_notify, q, &event), EBADF);
    event.sigev_signo = q;
    CHECK_ERRNO(syscall(SYS_mq_notify, q, &event), ENOTSOCK);
    event.sigev_signo = (int)CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    CHECK_ERRNO(syscall(SYS_mq_notify, q, &event), EINVAL);
}

TEST_CASE(cookies)
{
    char cookie[32];
    mqd_t q = create();
    int fd = (int)CHECK_OK(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
    memset(cookie, 'c', sizeof(cookie));
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_signo = fd};
    event.sigev_value.sival_ptr = cookie;
    CHECK_OK(syscall(SYS_mq_notify, q, &event));
    memset(cookie, 0, sizeof(cookie));
    CHECK_OK(mq_send(q, "x", 1, 0));
    guest_await_readable(fd);
    CHECK_EQ(recv(fd, text, sizeof(text), 0), 32);
    CHECK(text[0] == 'c' && text[30] == 'c' && text[31] == 1);
    CHECK_OK(syscall(SYS_mq_notify, q, &event));
    CHECK_OK(syscall(SYS_mq_notify, q, NULL));
    CHECK_EQ(recv(fd, text, sizeof(text), 0), 32);
    CHECK(text[0] == 0 && text[31] == 2);
}

static int told[2];

static void in_thread(union sigval value)
{
    char byte = (char)value.sival_int;
    CHECK_EQ(write(told[1], &byte, 1), 1);
}

TEST_CASE(thread)
{
    char byte = 0;
    mqd_t q = create();
    CHECK_OK(pipe(told));
    struct sigevent event = {.sigev_notify = SIGEV_THREAD};
    event.sigev_notify_function = in_thread;
    event.sigev_value.sival_int = 42;
    CHECK_OK(mq_notify(q, &event));
    CHECK_OK(mq_send(q, "x", 1, 0));
    guest_await_readable(told[0]);
    CHECK_EQ(read(told[0], &byte, 1), 1);
    CHECK_EQ(byte, 42);
}
