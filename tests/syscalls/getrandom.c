/*
 * getrandom.c: getrandom.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/random.h>

TEST_CASE(fills_and_differs)
{
    unsigned char a[256];
    unsigned char b[256];
    memset(a, 0, sizeof(a));
    CHECK_EQ(getrandom(a, sizeof(a), 0), 256);
    CHECK_EQ(getrandom(b, sizeof(b), GRND_NONBLOCK), 256);
    CHECK(memcmp(a, b, sizeof(a)) != 0);
    int bits = 0;
    for (int i = 0; i < 256; i++) {
        bits += __builtin_popcount(a[i]);
    }
    CHECK(bits > 800 && bits < 1250);
}

TEST_CASE(sizes)
{
    static char block[100000];
    CHECK_EQ(getrandom(block, sizeof(block), 0), sizeof(block));
    CHECK(block[99990] | block[99991] | block[99992] | block[99993] | block[99994]);
    CHECK_EQ(getrandom(block, 0, 0), 0);
    CHECK_EQ(getrandom(block, 16, GRND_RANDOM), 16);
}

TEST_CASE(errors)
{
    char byte;
    CHECK_ERRNO(syscall(SYS_getrandom, &byte, 1, 0x80), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrandom, &byte, 1, GRND_RANDOM | 4), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrandom, guest_bad(), 16, 0), EFAULT);
}

TEST_CASE(children_get_other_bytes)
{
    int ends[2];
    char mine[16];
    char theirs[16];
    CHECK_OK(pipe(ends));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(getrandom(mine, 16, 0), 16);
        CHECK_EQ(write(ends[1], mine, 16), 16);
        _exit(0);
    }
    CHECK_EQ(getrandom(mine, 16, 0), 16);
    CHECK_EQ(read(ends[0], theirs, 16), 16);
    CHECK(memcmp(mine, theirs, 16) != 0);
    CHECK_CHILD_OK(pid);
}
