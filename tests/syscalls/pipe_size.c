/*
 * pipe_size.c: F_SETPIPE_SZ and F_GETPIPE_SZ.
 */
#include "tests/syscalls/guest_test.h"

static int ends[2];
static char block[131072];

TEST_CASE(rounds_up_to_a_power_of_two_pages)
{
    CHECK_OK(pipe(ends));
    CHECK_EQ(fcntl(ends[0], F_SETPIPE_SZ, 1), 4096);
    CHECK_EQ(fcntl(ends[1], F_GETPIPE_SZ), 4096);
    CHECK_EQ(fcntl(ends[0], F_SETPIPE_SZ, 4097), 8192);
    CHECK_EQ(fcntl(ends[0], F_SETPIPE_SZ, 100000), 131072);
}

TEST_CASE(capacity_follows)
{
    CHECK_OK(pipe2(ends, O_NONBLOCK));
    CHECK_EQ(fcntl(ends[0], F_SETPIPE_SZ, 131072), 131072);
    CHECK_EQ(write(ends[1], block, sizeof(block)), sizeof(block));
    CHECK_ERRNO(write(ends[1], block, 1), EAGAIN);
}

TEST_CASE(not_below_what_is_in_it)
{
    CHECK_OK(pipe(ends));
    CHECK_EQ(write(ends[1], block, 40000), 40000);
    CHECK_ERRNO(fcntl(ends[0], F_SETPIPE_SZ, 4096), EBUSY);
    CHECK_EQ(read(ends[0], block, 40000), 40000);
    CHECK_EQ(fcntl(ends[0], F_SETPIPE_SZ, 4096), 4096);
}

TEST_CASE(growing_wakes_a_writer)
{
    CHECK_OK(pipe(ends));
    CHECK_EQ(write(ends[1], block, 65536), 65536);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(write(ends[1], block, 1), 1);
        _exit(0);
    }
    guest_sleep_ms(20);
    CHECK_EQ(fcntl(ends[1], F_SETPIPE_SZ, 131072), 131072);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(limits_and_errors)
{
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(fcntl(ends[0], F_SETPIPE_SZ, 0x80000001U), EINVAL);
    if (geteuid() != 0) {
        CHECK_ERRNO(fcntl(ends[0], F_SETPIPE_SZ, 1 << 30), EPERM);
    }
    int null = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_ERRNO(fcntl(null, F_GETPIPE_SZ), EBADF);
    CHECK_ERRNO(fcntl(null, F_SETPIPE_SZ, 4096), EBADF);
}

TEST_CASE(size_of_nothing)
{
    int pipes[2];
    CHECK_OK(pipe(pipes));
    CHECK_EQ(fcntl(pipes[0], F_SETPIPE_SZ, 0), 4096);
    CHECK_EQ(fcntl(pipes[1], F_GETPIPE_SZ), 4096);
}
