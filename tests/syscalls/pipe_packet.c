/*
 * pipe_packet.c: O_DIRECT pipes keep the borders of writes.
 */
#include "tests/syscalls/guest_test.h"

static int ends[2];
static char block[20000];

TEST_CASE(one_read_one_packet)
{
    if (pipe2(ends, O_DIRECT | O_NONBLOCK) < 0) {
        SKIP("no packet pipes");
    }
    CHECK_EQ(write(ends[1], "abc", 3), 3);
    CHECK_EQ(write(ends[1], "de", 2), 2);
    CHECK_EQ(read(ends[0], block, 100), 3);
    CHECK_EQ(read(ends[0], block, 100), 2);
    CHECK_ERRNO(read(ends[0], block, 100), EAGAIN);
}

TEST_CASE(rest_of_a_packet_is_lost)
{
    if (pipe2(ends, O_DIRECT | O_NONBLOCK) < 0) {
        SKIP("no packet pipes");
    }
    CHECK_EQ(write(ends[1], "abcdef", 6), 6);
    CHECK_EQ(write(ends[1], "next", 4), 4);
    CHECK_EQ(read(ends[0], block, 2), 2);
    CHECK_EQ(read(ends[0], block, 100), 4);
    CHECK(memcmp(block, "next", 4) == 0);
}

TEST_CASE(long_writes_are_split)
{
    if (pipe2(ends, O_DIRECT | O_NONBLOCK) < 0) {
        SKIP("no packet pipes");
    }
    CHECK_EQ(write(ends[1], block, 10000), 10000);
    CHECK_EQ(read(ends[0], block, sizeof(block)), 4096);
    CHECK_EQ(read(ends[0], block, sizeof(block)), 4096);
    CHECK_EQ(read(ends[0], block, sizeof(block)), 10000 - 8192);
}
