/*
 * inotify.c: inotify: every event, cookies, masks, removal, overflow.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

static char buffer[1 << 16];
static size_t have;
static size_t position;
static int fd;

static void setup(void)
{
    fd = (int)CHECK_OK(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    have = position = 0;
}

static const struct inotify_event *next(void)
{
    if (position >= have) {
        ssize_t n = read(fd, buffer, sizeof(buffer));
        if (n < 0) {
            CHECK_EQ(errno, EAGAIN);
            return NULL;
        }
        have = (size_t)n;
        position = 0;
    }
    const struct inotify_event *e = (void *)(buffer + position);
    position += sizeof(*e) + e->len;
    return e;
}

static void expect(int watch, uint32_t mask, const char *name)
{
    const struct inotify_event *e = next();
    if (!e) {
        FAIL("no event, wanted 0x%x %s", mask, name);
    }
    if (e->wd != watch || e->mask != mask || strcmp(e->len ? e->name : "", name) != 0) {
        FAIL("event %d 0x%x %s, wanted %d 0x%x %s", e->wd, e->mask, e->len ? e->name : "", watch,
             mask, name);
    }
}

static void expect_none(void)
{
    const struct inotify_event *e = next();
    if (e) {
        FAIL("unexpected event 0x%x %s", e->mask, e->len ? e->name : "");
    }
}

TEST_CASE(life_of_a_file)
{
    setup();
    int w = (int)CHECK_OK(inotify_add_watch(fd, ".", IN_ALL_EVENTS));
    int file = (int)CHECK_OK(open("f", O_RDWR | O_CREAT, 0644));
    expect(w, IN_CREATE, "f");
    expect(w, IN_OPEN, "f");
    char byte = 'x';
    CHECK_EQ(write(file, &byte, 1), 1);
    expect(w, IN_MODIFY, "f");
    CHECK_EQ(pread(file, &byte, 1, 0), 1);
    expect(w, IN_ACCESS, "f");
    CHECK_OK(fchmod(file, 0600));
    expect(w, IN_ATTRIB, "f");
    CHECK_OK(ftruncate(file, 0));
    expect(w, IN_MODIFY, "f");
    CHECK_OK(close(file));
    expect(w, IN_CLOSE_WRITE, "f");
    file = (int)CHECK_OK(open("f", O_RDONLY));
    expect(w, IN_OPEN, "f");
    CHECK_OK(close(file));
    expect(w, IN_CLOSE_NOWRITE, "f");
    CHECK_OK(unlink("f"));
    expect(w, IN_DELETE, "f");
    expect_none();
}

TEST_CASE(directories)
{
    setup();
    int w = (int)CHECK_OK(inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE));
    CHECK_OK(mkdir("d", 0755));
    expect(w, IN_CREATE | IN_ISDIR, "d");
    CHECK_OK(symlink("x", "l"));
    expect(w, IN_CREATE, "l");
    CHECK_OK(rmdir("d"));
    expect(w, IN_DELETE | IN_ISDIR, "d");
    expect_none();
}

TEST_CASE(rename_has_a_cookie)
{
    setup();
    CHECK_OK(mkdir("d", 0755));
    guest_write_file("a", "");
    int here = (int)CHECK_OK(inotify_add_watch(fd, ".", IN_MOVE));
    int there = (int)CHECK_OK(inotify_add_watch(fd, "d", IN_MOVE));
    CHECK_OK(rename("a", "d/b"));
    const struct inotify_event *e = next();
    CHECK(e && e->wd == here && e->mask == IN_MOVED_FROM && strcmp(e->name, "a") == 0);
    uint32_t cookie = e->cookie;
    CHECK(cookie != 0);
    e = next();
    CHECK(e && e->wd == there && e->mask == IN_MOVED_TO && strcmp(e->name, "b") == 0);
    CHECK_EQ(e->cookie, cookie);
    CHECK_OK(rename("d/b", "c"));
    e = next();
    CHECK(e && e->cookie != cookie && e->cookie != 0);
}

TEST_CASE(watching_the_object_itself)
{
    setup();
    guest_write_file("f", "");
    int w = (int)CHECK_OK(inotify_add_watch(fd, "f", IN_MOVE_SELF | IN_DELETE_SELF | IN_ATTRIB));
    CHECK_OK(rename("f", "g"));
    expect(w, IN_MOVE_SELF, "");
    CHECK_OK(unlink("g"));
    expect(w, IN_ATTRIB, ""); /* the link count changed */
    expect(w, IN_DELETE_SELF, "");
    expect(w, IN_IGNORED, "");
    expect_none();
}

TEST_CASE(open_file_delays_delete_self)
{
    setup();
    guest_write_file("f", "");
    int file = (int)CHECK_OK(open("f", O_RDONLY));
    int w = (int)CHECK_OK(inotify_add_watch(fd, "f", IN_DELETE_SELF));
    CHECK_OK(unlink("f"));
    expect_none();
    CHECK_OK(close(file));
    expect(w, IN_DELETE_SELF, "");
    expect(w, IN_IGNORED, "");
}

TEST_CASE(oneshot_and_removal)
{
    setup();
    guest_write_file("f", "");
    int w = (int)CHECK_OK(inotify_add_watch(fd, "f", IN_ATTRIB | IN_ONESHOT));
    CHECK_OK(chmod("f", 0600));
    CHECK_OK(chmod("f", 0644));
    expect(w, IN_ATTRIB, "");
    expect(w, IN_IGNORED, "");
    expect_none();
    int again = (int)CHECK_OK(inotify_add_watch(fd, "f", IN_ATTRIB));
    CHECK(again != w);
    CHECK_OK(inotify_rm_watch(fd, again));
    expect(again, IN_IGNORED, "");
    CHECK_OK(chmod("f", 0600));
    expect_none();
    CHECK_ERRNO(inotify_rm_watch(fd, again), EINVAL);
}

TEST_CASE(same_inode_same_watch)
{
    setup();
    guest_write_file("f", "");
    CHECK_OK(link("f", "g"));
    int w = (int)CHECK_OK(inotify_add_watch(fd, "f", IN_ATTRIB));
    CHECK_EQ(inotify_add_watch(fd, "g", IN_MODIFY), w); /* replaces the mask */
    CHECK_OK(chmod("f", 0600));
    expect_none();
    CHECK_EQ(inotify_add_watch(fd, "f", IN_ATTRIB | IN_MASK_ADD), w);
    CHECK_OK(chmod("f", 0644));
    expect(w, IN_ATTRIB, "");
    CHECK_ERRNO(inotify_add_watch(fd, "f", IN_ATTRIB | IN_MASK_CREATE), EEXIST);
}

TEST_CASE(equal_events_merge)
{
    setup();
    guest_write_file("f", "");
    int w = (int)CHECK_OK(inotify_add_watch(fd, "f", IN_ATTRIB));
    for (int i = 0; i < 5; i++) {
        CHECK_OK(chmod("f", 0600));
    }
    expect(w, IN_ATTRIB, "");
    expect_none();
}

TEST_CASE(readiness_and_sizes)
{
    int count = -1;
    char small[8];
    setup();
    CHECK_OK(inotify_add_watch(fd, ".", IN_CREATE));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 0), 0);
    guest_write_file("abc", "");
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_OK(ioctl(fd, FIONREAD, &count));
    CHECK_EQ(count, sizeof(struct inotify_event) + 16);
    CHECK_ERRNO(read(fd, small, sizeof(small)), EINVAL);
    const struct inotify_event *e = next();
    CHECK(e && e->len == 16); /* the name is padded with NUL bytes */
}

TEST_CASE(flags_of_add_watch)
{
    setup();
    guest_write_file("f", "");
    CHECK_OK(symlink("f", "l"));
    CHECK_ERRNO(inotify_add_watch(fd, "f", IN_ATTRIB | IN_ONLYDIR), ENOTDIR);
    CHECK_ERRNO(inotify_add_watch(fd, "missing", IN_ATTRIB), ENOENT);
    CHECK_ERRNO(inotify_add_watch(fd, "f", 0), EINVAL);
    CHECK_ERRNO(inotify_add_watch(9999, "f", IN_ATTRIB), EBADF);
    int null = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_ERRNO(inotify_add_watch(null, "f", IN_ATTRIB), EINVAL);
    CHECK_ERRNO(inotify_init1(1), EINVAL);
    int w = (int)CHECK_OK(inotify_add_watch(fd, "l", IN_DELETE_SELF | IN_DONT_FOLLOW));
    CHECK_OK(unlink("l"));
    expect(w, IN_DELETE_SELF, "");
    expect(w, IN_IGNORED, "");
}

TEST_CASE_SLOW(overflow)
{
    char text[32];
    long limit = 16384;
    if (access("/proc/sys/fs/inotify/max_queued_events", R_OK) == 0) {
        guest_read_file("/proc/sys/fs/inotify/max_queued_events", text, sizeof(text));
        limit = atol(text);
    }
    if (limit > 40000) {
        SKIP("the queue is too long to fill");
    }
    setup();
    guest_write_file("f", "");
    guest_write_file("g", "");
    CHECK_OK(inotify_add_watch(fd, "f", IN_ATTRIB));
    CHECK_OK(inotify_add_watch(fd, "g", IN_ATTRIB));
    for (long i = 0; i < limit / 2 + 10; i++) {
        CHECK_OK(chmod("f", 0600));
        CHECK_OK(chmod("g", 0600));
    }
    long count = 0;
    bool overflow = false;
    const struct inotify_event *e;
    while ((e = next()) != NULL) {
        count++;
        if (e->mask == IN_Q_OVERFLOW) {
            CHECK_EQ(e->wd, -1);
            overflow = true;
        }
    }
    CHECK(overflow);
    CHECK_EQ(count, limit + 1);
}

TEST_CASE(moved_directory_itself)
{
    char text[512];
    CHECK_OK(mkdir("d", 0700));
    int own = (int)CHECK_OK(inotify_init1(IN_NONBLOCK));
    CHECK_OK(inotify_add_watch(own, "d", IN_MOVE_SELF));
    CHECK_OK(rename("d", "e"));
    CHECK(read(own, text, sizeof(text)) > 0);
    CHECK_EQ(((struct inotify_event *)text)->mask, IN_MOVE_SELF);
}
