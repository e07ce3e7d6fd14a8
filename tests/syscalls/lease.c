/*
 * lease.c: leases on files: who gets one, who is told, who waits.
 */
#include "tests/syscalls/guest_test.h"

static int open_file(int flags)
{
    return (int)CHECK_OK(open("file", flags));
}

static void make(void)
{
    guest_write_file("file", "contents");
}

static volatile int told;
static volatile int told_fd;
static volatile int told_code;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)context;
    told_fd = sig == SIGIO ? -1 : info->si_fd;
    told_code = info->si_code;
    told++;
}

static void await_told(int times)
{
    while (told < times) {
        guest_sleep_ms(1);
    }
}

TEST_CASE(who_gets_one)
{
    make();
    int reader = open_file(O_RDONLY);
    CHECK_EQ(fcntl(reader, F_GETLEASE), F_UNLCK);
    CHECK_ERRNO(fcntl(reader, F_SETLEASE, F_UNLCK), EAGAIN);
    CHECK_ERRNO(fcntl(reader, F_SETLEASE, 77), EINVAL);
    CHECK_OK(fcntl(reader, F_SETLEASE, F_RDLCK));
    CHECK_EQ(fcntl(reader, F_GETLEASE), F_RDLCK);
    CHECK_OK(fcntl(reader, F_SETLEASE, F_WRLCK)); /* the only one that has it open */
    CHECK_EQ(fcntl(reader, F_GETLEASE), F_WRLCK);
    CHECK_OK(fcntl(reader, F_SETLEASE, F_UNLCK));
    int other = open_file(O_RDONLY);
    CHECK_ERRNO(fcntl(reader, F_SETLEASE, F_WRLCK), EAGAIN);
    CHECK_OK(fcntl(reader, F_SETLEASE, F_RDLCK));
    CHECK_OK(fcntl(other, F_SETLEASE, F_RDLCK));
    CHECK_OK(fcntl(reader, F_SETLEASE, F_UNLCK));
    close(reader);
    close(other); /* its lease goes with it */
    int writer = open_file(O_RDWR);
    CHECK_ERRNO(fcntl(writer, F_SETLEASE, F_RDLCK), EAGAIN);
    CHECK_OK(fcntl(writer, F_SETLEASE, F_WRLCK));
    int twin = (int)CHECK_OK(dup(writer));
    CHECK_EQ(fcntl(twin, F_GETLEASE), F_WRLCK);
    int ends[2];
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(fcntl(ends[0], F_SETLEASE, F_RDLCK), EINVAL);
    CHECK_ERRNO(fcntl((int)CHECK_OK(open(".", O_RDONLY)), F_SETLEASE, F_RDLCK), EINVAL);
}

TEST_CASE(not_the_owner)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot become another user");
    }
    make();
    int reader = open_file(O_RDONLY);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_become_user();
        CHECK_ERRNO(fcntl(reader, F_SETLEASE, F_RDLCK), EACCES);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(broken_by_a_writer)
{
    make();
    guest_handle_info(SIGIO, on_signal, 0);
    int reader = open_file(O_RDONLY);
    CHECK_OK(fcntl(reader, F_SETLEASE, F_RDLCK));
    pid_t pid = guest_fork();
    if (pid == 0) {
        close(reader);
        CHECK_OK(open("file", O_RDONLY)); /* readers do not disturb */
        CHECK_ERRNO(open("file", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
        long long begin = guest_now_ms();
        CHECK_OK(open("file", O_WRONLY));
        CHECK(guest_now_ms() - begin >= 30);
        _exit(0);
    }
    await_told(1);
    CHECK_EQ(fcntl(reader, F_GETLEASE), F_UNLCK); /* what it has to become */
    guest_sleep_ms(60);
    CHECK_EQ(told, 1);
    CHECK_ERRNO(fcntl(reader, F_SETLEASE, F_RDLCK), EAGAIN); /* the writer waits */
    CHECK_OK(fcntl(reader, F_SETLEASE, F_UNLCK));
    CHECK_CHILD_OK(pid);
}

TEST_CASE(broken_by_a_reader)
{
    make();
    guest_handle_info(SIGRTMIN + 2, on_signal, SA_SIGINFO);
    int writer = open_file(O_RDWR);
    CHECK_OK(fcntl(writer, F_SETSIG, SIGRTMIN + 2));
    CHECK_OK(fcntl(writer, F_SETLEASE, F_WRLCK));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(open("file", O_RDONLY));
        _exit(0);
    }
    await_told(1);
    CHECK_EQ(told_fd, writer);
    CHECK_EQ(told_code, 3 /* POLL_MSG */);
    CHECK_EQ(fcntl(writer, F_GETLEASE), F_RDLCK);
    CHECK_OK(fcntl(writer, F_SETLEASE, F_UNLCK));
    CHECK_CHILD_OK(pid);
}

TEST_CASE(broken_by_truncation)
{
    make();
    guest_handle_info(SIGIO, on_signal, 0);
    int reader = open_file(O_RDONLY);
    CHECK_OK(fcntl(reader, F_SETLEASE, F_RDLCK));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(truncate("file", 3));
        _exit(0);
    }
    await_told(1);
    char text[32];
    CHECK_EQ(read(reader, text, sizeof(text)), 8); /* it waits */
    CHECK_OK(close(reader));
    close(reader);
    CHECK_OK(fcntl(open_file(O_RDONLY), F_GETLEASE));
    kill(pid, SIGKILL); /* it holds the same open file: nobody gives way */
    CHECK_EQ(WTERMSIG(guest_wait(pid)), SIGKILL);
}

static void nothing(int sig)
{
    (void)sig;
}

TEST_CASE(interrupted)
{
    make();
    guest_handle(SIGIO, nothing, 0);
    int reader = open_file(O_RDONLY);
    CHECK_OK(fcntl(reader, F_SETLEASE, F_RDLCK));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_handle(SIGALRM, nothing, 0);
        guest_ticker_start(20);
        CHECK_ERRNO(open("file", O_WRONLY), EINTR);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(time_runs_out)
{
    char old[32];
    make();
    guest_read_file("/proc/sys/fs/lease-break-time", old, sizeof(old));
    int fd = open("/proc/sys/fs/lease-break-time", O_WRONLY);
    if (fd < 0 || write(fd, "1\n", 2) != 2) {
        SKIP("cannot set the time");
    }
    guest_handle(SIGIO, nothing, 0);
    int reader = open_file(O_RDONLY);
    CHECK_OK(fcntl(reader, F_SETLEASE, F_RDLCK));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(open("file", O_WRONLY));
        _exit(0);
    }
    int status = guest_wait(pid);
    CHECK_EQ(pwrite(fd, old, strlen(old), 0), (ssize_t)strlen(old));
    CHECK_EQ(status, 0);
    CHECK_EQ(fcntl(reader, F_GETLEASE), F_UNLCK);
}
