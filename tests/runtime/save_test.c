/*
 * save_test.c: --save-changes against hostile messages: nothing is written outside the directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/save.h"

static char top[] = "/tmp/stockade-test-save-XXXXXX";

static int content(const char *bytes)
{
    int fd = memfd_create("content", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static int save_file(int dir, const char *path, const char *bytes)
{
    struct control_change object = {.mode = S_IFREG | 04755, .mtime_sec = 1000};
    int fd = content(bytes);
    int error = save_change(dir, "added", path, "", &object, fd);
    close(fd);
    return error;
}

static int set_up(void **state maybe_unused)
{
    return mkdtemp(top) != NULL && chdir(top) == 0 ? 0 : -1;
}

static int tear_down(void **state maybe_unused)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", top);
    return chdir("/") == 0 ? system(command) : -1;
}

static void files_directories_links(void **state maybe_unused)
{
    int dir;
    struct stat st;
    char target[64] = "";
    struct control_change directory = {.mode = S_IFDIR | 0500};
    struct control_change link = {.mode = S_IFLNK | 0777};
    assert_int_equal(save_open("saved", &dir), 0);
    assert_int_equal(save_file(dir, "/a/b/c", "text"), 0);
    assert_int_equal(stat("saved/a/b/c", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755); /* no setuid */
    assert_int_equal(st.st_mtime, 1000);
    assert_int_equal(save_change(dir, "added", "/a/d", "", &directory, -1), 0);
    assert_int_equal(save_file(dir, "/a/d/inside", "x"), 0);
    assert_int_equal(save_change(dir, "added", "/a/l", "/etc/passwd", &link, -1), 0);
    assert_true(readlink("saved/a/l", target, sizeof(target) - 1) > 0);
    assert_string_equal(target, "/etc/passwd");
    assert_int_equal(save_change(dir, "deleted", "/a/gone", "", &link, -1), 0);
    assert_int_equal(access("saved/.stockade-deleted", F_OK), 0);
    close(dir);
}

static void links_are_not_followed(void **state maybe_unused)
{
    int dir;
    struct stat st;
    struct control_change link = {.mode = S_IFLNK | 0777};
    assert_int_equal(mkdir("victim", 0755), 0);
    assert_int_equal(save_open("saved2", &dir), 0);
    assert_int_equal(save_change(dir, "added", "/up", "../victim", &link, -1), 0);
    /* The link is replaced by a directory; the victim stays empty. */
    assert_int_equal(save_file(dir, "/up/file", "x"), 0);
    assert_int_equal(stat("victim/file", &st), -1);
    assert_int_equal(save_change(dir, "added", "/f", "../victim/f", &link, -1), 0);
    assert_int_equal(save_file(dir, "/f", "x"), 0);
    assert_int_equal(stat("victim/f", &st), -1);
    assert_int_equal(lstat("saved2/f", &st), 0);
    assert_true(S_ISREG(st.st_mode));
    close(dir);
}

static void bad_messages(void **state maybe_unused)
{
    int dir;
    int pipes[2];
    static const char *const paths[] = {"",       "relative", "/../x", "/a/../x", "/a//b",
                                        "/a/./b", "/a/",      "..",    "/.."};
    struct control_change object = {.mode = S_IFREG | 0644};
    assert_int_equal(save_open("saved3", &dir), 0);
    for (size_t i = 0; i < array_size(paths); i++) {
        assert_int_equal(save_file(dir, paths[i], "x"), -EPROTO);
    }
    assert_int_equal(save_change(dir, "added", "/x", "", &object, -1), -EPROTO);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(save_change(dir, "added", "/x", "", &object, pipes[0]), -EPROTO);
    assert_int_equal(access("saved3/x", F_OK), -1);
    close(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(files_directories_links),
                                       cmocka_unit_test(links_are_not_followed),
                                       cmocka_unit_test(bad_messages)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
