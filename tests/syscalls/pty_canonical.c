/*
 * pty_canonical.c: line discipline, canonical mode: lines, editing, end of file, echo.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/ioctl.h>
#include <termios.h>

static int master;
static int slave;
static char buffer[8192];

static void setup(tcflag_t clear_lflag)
{
    struct termios t;
    guest_pty(&master, &slave);
    CHECK_OK(tcgetattr(slave, &t));
    t.c_lflag &= ~clear_lflag;
    CHECK_OK(tcsetattr(slave, TCSANOW, &t));
}

static void type(const char *text)
{
    CHECK_EQ(write(master, text, strlen(text)), strlen(text));
}

static void expect(int fd, const char *text)
{
    size_t used = 0;
    while (used < strlen(text)) {
        used += (size_t)CHECK_OK(read(fd, buffer + used, sizeof(buffer) - 1 - used));
    }
    buffer[used] = '\0';
    if (strcmp(buffer, text) != 0) {
        FAIL("got \"%s\", wanted \"%s\"", buffer, text);
    }
}

TEST_CASE(lines)
{
    setup(ECHO);
    type("one\ntwo\n");
    CHECK_EQ(read(slave, buffer, sizeof(buffer)), 4);
    CHECK(memcmp(buffer, "one\n", 4) == 0);
    CHECK_EQ(read(slave, buffer, 2), 2);
    CHECK_EQ(read(slave, buffer, sizeof(buffer)), 2);
    CHECK(memcmp(buffer, "o\n", 2) == 0);
}

TEST_CASE(incomplete_line_is_not_readable)
{
    int count = -1;
    setup(ECHO);
    CHECK_OK(fcntl(slave, F_SETFL, O_NONBLOCK));
    type("part");
    CHECK_ERRNO(read(slave, buffer, sizeof(buffer)), EAGAIN);
    CHECK_OK(ioctl(slave, FIONREAD, &count));
    CHECK_EQ(count, 0);
    type("ial\n");
    guest_await_readable(slave);
    CHECK_OK(ioctl(slave, FIONREAD, &count));
    CHECK_EQ(count, 8);
    expect(slave, "partial\n");
}

TEST_CASE(carriage_return_becomes_newline)
{
    setup(ECHO);
    type("x\r");
    expect(slave, "x\n");
}

TEST_CASE(output_newline_gets_carriage_return)
{
    struct termios t;
    setup(0);
    CHECK_EQ(write(slave, "a\nb", 3), 3);
    expect(master, "a\r\nb");
    CHECK_OK(tcgetattr(slave, &t));
    t.c_oflag &= ~(tcflag_t)OPOST;
    CHECK_OK(tcsetattr(slave, TCSANOW, &t));
    CHECK_EQ(write(slave, "c\nd", 3), 3);
    expect(master, "c\nd");
}

TEST_CASE(echo)
{
    setup(0);
    type("hi\n");
    expect(master, "hi\r\n");
    expect(slave, "hi\n");
    type("\001");
    expect(master, "^A");
}

TEST_CASE(no_echo)
{
    setup(ECHO);
    type("secret\n");
    expect(slave, "secret\n");
    CHECK_OK(fcntl(master, F_SETFL, O_NONBLOCK));
    CHECK_ERRNO(read(master, buffer, sizeof(buffer)), EAGAIN);
}

TEST_CASE(erase_and_kill)
{
    setup(ECHO);
    type("abx\177c\n");
    expect(slave, "abc\n");
    type("wrong\025right\n");
    expect(slave, "right\n");
    type("\177\177ok\n");
    expect(slave, "ok\n");
    type("one two\027six\n");
    expect(slave, "one six\n");
}

TEST_CASE(erase_is_echoed_as_blank)
{
    setup(0);
    type("ab\177");
    expect(master, "ab\b \b");
}

TEST_CASE(end_of_file)
{
    setup(ECHO);
    type("\004");
    CHECK_EQ(read(slave, buffer, sizeof(buffer)), 0);
    type("abc\004");
    CHECK_EQ(read(slave, buffer, sizeof(buffer)), 3);
    type("next\n");
    expect(slave, "next\n");
}

TEST_CASE(literal_next)
{
    setup(ECHO);
    type("a\026\004b\n");
    expect(slave, "a\004b\n");
}

TEST_CASE(extra_end_of_line_character)
{
    struct termios t;
    setup(ECHO);
    CHECK_OK(tcgetattr(slave, &t));
    t.c_cc[VEOL] = ';';
    CHECK_OK(tcsetattr(slave, TCSANOW, &t));
    type("ab;cd\n");
    CHECK_EQ(read(slave, buffer, sizeof(buffer)), 3);
    CHECK(memcmp(buffer, "ab;", 3) == 0);
    expect(slave, "cd\n");
}

TEST_CASE(flush_discards)
{
    setup(ECHO);
    CHECK_OK(fcntl(slave, F_SETFL, O_NONBLOCK));
    type("gone\n");
    guest_await_readable(slave);
    CHECK_OK(tcflush(slave, TCIFLUSH));
    CHECK_ERRNO(read(slave, buffer, sizeof(buffer)), EAGAIN);
    CHECK_ERRNO(ioctl(slave, TCFLSH, 77), EINVAL);
}
