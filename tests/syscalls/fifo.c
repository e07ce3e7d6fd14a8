/*
 * fifo.c: named pipes: blocking opens, O_NONBLOCK, reopening.
 */
#include "tests/syscalls/guest_test.h"

static char byte;

TEST_CASE(open_waits_for_the_other_side)
{
    CHECK_OK(mkfifo("f", 0644));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(30);
        int out = (int)CHECK_OK(open("f", O_WRONLY));
        guest_signal_fd(out);
        _exit(0);
    }
    long long start = guest_now_ms();
    int in = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK(guest_now_ms() - start >= 20);
    CHECK_EQ(read(in, &byte, 1), 1);
    CHECK_EQ(read(in, &byte, 1), 0);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(nonblocking)
{
    CHECK_OK(mkfifo("f", 0644));
    CHECK_ERRNO(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
    int in = (int)CHECK_OK(open("f", O_RDONLY | O_NONBLOCK));
    CHECK_EQ(read(in, &byte, 1), 0); /* no writer: end of file */
    int out = (int)CHECK_OK(open("f", O_WRONLY | O_NONBLOCK));
    CHECK_ERRNO(read(in, &byte, 1), EAGAIN);
    CHECK_EQ(write(out, "x", 1), 1);
    CHECK_EQ(read(in, &byte, 1), 1);
    CHECK_OK(close(out));
    CHECK_EQ(read(in, &byte, 1), 0);
}

TEST_CASE(read_write_open_never_waits)
{
    CHECK_OK(mkfifo("f", 0644));
    int fd = (int)CHECK_OK(open("f", O_RDWR));
    CHECK_EQ(write(fd, "y", 1), 1);
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'y');
}

TEST_CASE(names_and_types)
{
    struct stat st;
    CHECK_OK(mkfifo("f", 0604));
    CHECK_OK(stat("f", &st));
    CHECK(S_ISFIFO(st.st_mode));
    CHECK_EQ(st.st_mode & 0777, 0604);
    CHECK_ERRNO(mkfifo("f", 0644), EEXIST);
    CHECK_OK(mknod("g", S_IFIFO | 0600, 0));
    int fd = (int)CHECK_OK(open("g", O_RDWR));
    CHECK_OK(unlink("g"));
    CHECK_EQ(write(fd, "z", 1), 1);
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_ERRNO(lseek(fd, 0, SEEK_SET), ESPIPE);
}

TEST_CASE(one_fifo_for_all_openers)
{
    CHECK_OK(mkfifo("f", 0644));
    CHECK_OK(link("f", "g"));
    int one = (int)CHECK_OK(open("f", O_RDWR));
    int two = (int)CHECK_OK(open("g", O_RDWR | O_NONBLOCK));
    CHECK_EQ(write(one, "q", 1), 1);
    CHECK_EQ(read(two, &byte, 1), 1);
    CHECK_EQ(byte, 'q');
    CHECK_OK(close(one));
    CHECK_OK(close(two));
    two = (int)CHECK_OK(open("g", O_RDONLY | O_NONBLOCK));
    CHECK_EQ(read(two, &byte, 1), 0); /* contents vanish with the last descriptor */
}
