/*
 * dev.c: the devices every program expects.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

static char buffer[100];

TEST_CASE(null)
{
    int fd = (int)CHECK_OK(open("/dev/null", O_RDWR));
    CHECK_EQ(read(fd, buffer, 100), 0);
    CHECK_EQ(write(fd, buffer, 100), 100);
    CHECK_EQ(lseek(fd, 50, SEEK_SET), 0);
    CHECK_OK(close((int)CHECK_OK(open("/dev/null", O_WRONLY | O_TRUNC | O_CREAT, 0644))));
    CHECK_ERRNO(ftruncate(fd, 5), EINVAL);
}

TEST_CASE(zero)
{
    int fd = (int)CHECK_OK(open("/dev/zero", O_RDWR));
    memset(buffer, 'x', sizeof(buffer));
    CHECK_EQ(read(fd, buffer, 100), 100);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(buffer[i], 0);
    }
    CHECK_EQ(write(fd, buffer, 100), 100);
}

TEST_CASE(full)
{
    int fd = (int)CHECK_OK(open("/dev/full", O_RDWR));
    CHECK_ERRNO(write(fd, buffer, 1), ENOSPC);
    memset(buffer, 'x', sizeof(buffer));
    CHECK_EQ(read(fd, buffer, 100), 100);
    CHECK_EQ(buffer[99], 0);
}

TEST_CASE(random)
{
    char other[100];
    const char *names[] = {"/dev/urandom", "/dev/random"};
    for (int i = 0; i < 2; i++) {
        int fd = (int)CHECK_OK(open(names[i], O_RDONLY));
        CHECK_EQ(read(fd, buffer, 100), 100);
        CHECK_EQ(read(fd, other, 100), 100);
        CHECK(memcmp(buffer, other, 100) != 0);
    }
}

TEST_CASE(numbers)
{
    const struct {
        const char *name;
        unsigned major;
        unsigned minor;
    } devices[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
                   {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
    for (int i = 0; i < 6; i++) {
        struct stat st;
        CHECK_OK(stat(devices[i].name, &st));
        CHECK(S_ISCHR(st.st_mode));
        CHECK_EQ(major(st.st_rdev), devices[i].major);
        CHECK_EQ(minor(st.st_rdev), devices[i].minor);
        CHECK_EQ(st.st_mode & 0666, 0666);
    }
}

TEST_CASE(standard_links)
{
    struct stat a;
    struct stat b;
    if (access("/dev/fd", F_OK) < 0) {
        SKIP("no /dev/fd here");
    }
    CHECK_OK(fstat(1, &a));
    CHECK_OK(stat("/dev/fd/1", &b));
    CHECK_EQ(a.st_ino, b.st_ino);
}

TEST_CASE(poll_states)
{
    int fd = (int)CHECK_OK(open("/dev/zero", O_RDWR));
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN | POLLOUT);
    CHECK_ERRNO(ioctl(fd, TCGETS, buffer), ENOTTY);
}
