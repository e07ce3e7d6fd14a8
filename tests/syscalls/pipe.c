/*
 * pipe.c: pipes: order, end of file, EPIPE, flags, wrong direction.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>

static int ends[2];
static char block[70000];

TEST_CASE(bytes_in_order_then_end_of_file)
{
    CHECK_OK(pipe(ends));
    CHECK_EQ(write(ends[1], "abc", 3), 3);
    CHECK_EQ(write(ends[1], "def", 3), 3);
    CHECK_EQ(read(ends[0], block, 100), 6);
    CHECK(memcmp(block, "abcdef", 6) == 0);
    CHECK_OK(close(ends[1]));
    CHECK_EQ(read(ends[0], block, 100), 0);
}

TEST_CASE(broken_pipe)
{
    CHECK_OK(pipe(ends));
    CHECK_OK(close(ends[0]));
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(write(ends[1], "x", 1), EPIPE);
    pid_t pid = guest_fork();
    if (pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        (void)!write(ends[1], "x", 1);
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGPIPE);
}

TEST_CASE(wrong_direction)
{
    CHECK_OK(pipe(ends));
    CHECK_ERRNO(read(ends[1], block, 1), EBADF);
    CHECK_ERRNO(write(ends[0], block, 1), EBADF);
    CHECK_ERRNO(lseek(ends[0], 0, SEEK_CUR), ESPIPE);
    CHECK_ERRNO(pread(ends[0], block, 1, 0), ESPIPE);
    CHECK_ERRNO(pwrite(ends[1], block, 1, 0), ESPIPE);
    CHECK_ERRNO(ftruncate(ends[1], 0), EINVAL);
    CHECK_ERRNO(fsync(ends[1]), EINVAL);
}

TEST_CASE(flags_of_pipe2)
{
    CHECK_OK(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(fcntl(ends[i], F_GETFD), FD_CLOEXEC);
        CHECK_EQ(fcntl(ends[i], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    }
    CHECK_EQ(fcntl(ends[0], F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK_EQ(fcntl(ends[1], F_GETFL) & O_ACCMODE, O_WRONLY);
    CHECK_ERRNO(read(ends[0], block, 1), EAGAIN);
    CHECK_ERRNO(pipe2(ends, O_APPEND), EINVAL);
    CHECK_ERRNO(syscall(SYS_pipe2, guest_bad(), 0), EFAULT);
}

TEST_CASE(default_capacity)
{
    long total = 0;
    CHECK_OK(pipe2(ends, O_NONBLOCK));
    CHECK_EQ(fcntl(ends[1], F_GETPIPE_SZ), 65536);
    for (;;) {
        ssize_t n = write(ends[1], block, 4096);
        if (n < 0) {
            CHECK_EQ(errno, EAGAIN);
            break;
        }
        total += n;
    }
    CHECK_EQ(total, 65536);
    CHECK_EQ(read(ends[0], block, sizeof(block)), 65536);
    CHECK_EQ(write(ends[1], block, sizeof(block)), 65536);
}

TEST_CASE(small_writes_are_atomic)
{
    long fill = 65536 - 1000;
    CHECK_OK(pipe2(ends, O_NONBLOCK));
    CHECK_EQ(write(ends[1], block, 61440), 61440);
    CHECK_EQ(write(ends[1], block, (size_t)(fill - 61440)), fill - 61440);
    /* 1000 bytes are left in the last page; PIPE_BUF bytes must go whole or not at all. */
    CHECK_ERRNO(write(ends[1], block, PIPE_BUF), EAGAIN);
    CHECK_EQ(read(ends[0], block, 4096), 4096);
    CHECK_EQ(write(ends[1], block, PIPE_BUF), PIPE_BUF);
}

TEST_CASE(writers_do_not_mix)
{
    pid_t pids[4];
    int counts[4] = {0, 0, 0, 0};
    CHECK_OK(pipe(ends));
    for (int i = 0; i < 4; i++) {
        pids[i] = guest_fork();
        if (pids[i] == 0) {
            memset(block, 'a' + i, 1000);
            for (int n = 0; n < 50; n++) {
                CHECK_EQ(write(ends[1], block, 1000), 1000);
            }
            _exit(0);
        }
    }
    CHECK_OK(close(ends[1]));
    size_t used = 0;
    for (;;) {
        ssize_t n = CHECK_OK(read(ends[0], block + used, 1000 - used));
        if (n == 0) {
            break;
        }
        used += (size_t)n;
        if (used == 1000) {
            for (int i = 1; i < 1000; i++) {
                CHECK_EQ(block[i], block[0]);
            }
            counts[block[0] - 'a']++;
            used = 0;
        }
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(counts[i], 50);
        CHECK_CHILD_OK(pids[i]);
    }
}

TEST_CASE(large_blocking_write)
{
    static char big[1 << 20];
    CHECK_OK(pipe(ends));
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (size_t i = 0; i < sizeof(big); i++) {
            big[i] = (char)(i % 253);
        }
        CHECK_EQ(write(ends[1], big, sizeof(big)), sizeof(big));
        _exit(0);
    }
    for (size_t got = 0; got < sizeof(big);) {
        got += (size_t)CHECK_OK(read(ends[0], big + got, sizeof(big) - got));
    }
    for (size_t i = 0; i < sizeof(big); i++) {
        CHECK_EQ(big[i], (char)(i % 253));
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(poll_states)
{
    CHECK_OK(pipe(ends));
    struct pollfd p[2] = {{.fd = ends[0], .events = POLLIN}, {.fd = ends[1], .events = POLLOUT}};
    CHECK_EQ(poll(p, 2, 0), 1);
    CHECK_EQ(p[1].revents, POLLOUT);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(poll(p, 2, 0), 2);
    CHECK_EQ(p[0].revents, POLLIN);
    CHECK_OK(close(ends[1]));
    CHECK_EQ(poll(p, 1, 0), 1);
    CHECK_EQ(p[0].revents, POLLIN | POLLHUP);
    CHECK_EQ(read(ends[0], block, 1), 1);
    CHECK_EQ(poll(p, 1, 0), 1);
    CHECK_EQ(p[0].revents, POLLHUP);
    CHECK_OK(pipe(ends));
    CHECK_OK(close(ends[0]));
    p[0] = (struct pollfd){.fd = ends[1], .events = POLLOUT};
    CHECK_EQ(poll(p, 1, 0), 1);
    CHECK_EQ(p[0].revents, POLLOUT | POLLERR);
}

TEST_CASE(zero_bytes)
{
    CHECK_OK(pipe2(ends, O_NONBLOCK));
    CHECK_EQ(write(ends[1], block, 0), 0);
    CHECK_EQ(read(ends[0], block, 0), 0);
    CHECK_ERRNO(read(ends[0], block, 1), EAGAIN);
}

TEST_CASE(stat_of_a_pipe)
{
    struct stat st;
    CHECK_OK(pipe(ends));
    CHECK_OK(fstat(ends[0], &st));
    CHECK(S_ISFIFO(st.st_mode));
    CHECK_EQ(st.st_mode & 07777, 0600);
    CHECK_EQ(st.st_uid, geteuid());
    char path[64];
    char target[64] = "";
    snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
    CHECK_OK(readlink(path, target, sizeof(target) - 1));
    char want[64];
    snprintf(want, sizeof(want), "pipe:[%lu]", (unsigned long)st.st_ino);
    CHECK(strcmp(target, want) == 0);
}
