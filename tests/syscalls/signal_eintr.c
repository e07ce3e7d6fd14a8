/*
 * signal_eintr.c: without SA_RESTART: EINTR, and short counts when something was done.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/futex.h>
#include <semaphore.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

static volatile sig_atomic_t ticks;

static void tick(int sig)
{
    (void)sig;
    ticks++;
}

static void start(void)
{
    guest_handle(SIGALRM, tick, 0);
    guest_ticker_start(15);
}

TEST_CASE(read_and_open_of_fifo)
{
    int pair[2];
    char byte;
    CHECK_OK(pipe(pair));
    CHECK_OK(mkfifo("fifo", 0644));
    start();
    CHECK_ERRNO(read(pair[0], &byte, 1), EINTR);
    CHECK_ERRNO(open("fifo", O_RDONLY), EINTR);
    CHECK_ERRNO(open("fifo", O_WRONLY), EINTR);
    guest_ticker_stop();
}

TEST_CASE(partial_write)
{
    int pair[2];
    static char block[200000];
    CHECK_OK(pipe(pair));
    start();
    ssize_t n = write(pair[1], block, sizeof(block));
    guest_ticker_stop();
    CHECK(n >= 4096 && n < (ssize_t)sizeof(block));
}

TEST_CASE(partial_read_of_a_stream_socket_with_waitall)
{
    int pair[2];
    char buffer[100];
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_EQ(write(pair[1], "abc", 3), 3);
    start();
    CHECK_EQ(recv(pair[0], buffer, sizeof(buffer), MSG_WAITALL), 3);
    CHECK_ERRNO(recv(pair[0], buffer, sizeof(buffer), MSG_WAITALL), EINTR);
    guest_ticker_stop();
}

TEST_CASE(wait_and_accept)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "s"};
    int listener = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(bind(listener, (struct sockaddr *)&address, sizeof(address)));
    CHECK_OK(listen(listener, 1));
    start();
    CHECK_ERRNO(waitpid(pid, NULL, 0), EINTR);
    CHECK_ERRNO(waitid(P_ALL, 0, NULL, WEXITED), EINTR);
    CHECK_ERRNO(accept(listener, NULL, NULL), EINTR);
    guest_ticker_stop();
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

TEST_CASE(nanosleep_remainder)
{
    struct timespec t = {1, 0};
    struct timespec left = {9, 9};
    guest_handle(SIGALRM, tick, 0);
    guest_ticker_start(100);
    long long start = guest_now_ns();
    CHECK_ERRNO(nanosleep(&t, &left), EINTR);
    long long slept = guest_now_ns() - start;
    guest_ticker_stop();
    CHECK_EQ(left.tv_sec, 0);
    CHECK(left.tv_nsec > 0);
    CHECK(left.tv_nsec + slept >= 1000000000); /* what is left and what passed make the whole */
}

TEST_CASE(futex_wait)
{
    int word = 5;
    struct timespec t = {5, 0};
    start();
    CHECK_ERRNO(syscall(SYS_futex, &word, FUTEX_WAIT, 5, &t, NULL, 0), EINTR);
    CHECK_ERRNO(syscall(SYS_futex, &word, FUTEX_WAIT, 5, NULL, NULL, 0), EINTR);
    guest_ticker_stop();
}

TEST_CASE(locks)
{
    int ready[2];
    CHECK_OK(pipe(ready));
    guest_write_file("lock", "x");
    pid_t pid = guest_fork();
    if (pid == 0) {
        int fd = (int)CHECK_OK(open("lock", O_RDWR));
        struct flock whole = {.l_type = F_WRLCK};
        CHECK_OK(flock(fd, LOCK_EX));
        CHECK_OK(fcntl(fd, F_SETLK, &whole));
        guest_signal_fd(ready[1]);
        for (;;) {
            pause();
        }
    }
    guest_await_fd(ready[0]);
    int fd = (int)CHECK_OK(open("lock", O_RDWR));
    struct flock whole = {.l_type = F_WRLCK};
    start();
    CHECK_ERRNO(flock(fd, LOCK_EX), EINTR);
    CHECK_ERRNO(fcntl(fd, F_SETLKW, &whole), EINTR);
    guest_ticker_stop();
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
}

TEST_CASE(semaphore)
{
    sem_t semaphore;
    CHECK_OK(sem_init(&semaphore, 0, 0));
    start();
    CHECK_ERRNO(sem_wait(&semaphore), EINTR);
    guest_ticker_stop();
}

TEST_CASE(blocked_and_ignored_signals_interrupt_nothing)
{
    sigset_t set;
    struct timespec t = {0, 60000000};
    guest_handle(SIGALRM, tick, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    guest_ticker_start(10);
    CHECK_OK(nanosleep(&t, NULL));
    signal(SIGALRM, SIG_IGN);
    CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
    CHECK_OK(nanosleep(&t, NULL));
    guest_ticker_stop();
    CHECK_EQ(ticks, 0);
}
