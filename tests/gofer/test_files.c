/* test_files.c: every request against a real directory, as root and as an ordinary user. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/gofer/gofer_test.h"

static const struct gofer_new_file plain = {.mode = 0644, .uid = GOFER_NO_ID, .gid = GOFER_NO_ID};
static const struct gofer_new_file plain_dir = {
    .mode = 0755, .uid = GOFER_NO_ID, .gid = GOFER_NO_ID};

static void test_walk(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object object;
    gofer_test_mkdir(test, "dir");
    gofer_test_write(test, "dir/file", "hello");
    gofer_test_start(test);
    assert_string_equal(test->mount.guest_path, "/work");
    assert_int_equal(test->mount.mode, GOFER_ACCESS_WRITE);
    assert_int_equal(test->mount.mount_count, 1);
    assert_int_equal(gofer_test_walk(test, "dir/file", &object), 0);
    struct stat stat;
    assert_int_equal(lstat(gofer_test_path(test, "dir/file"), &stat), 0);
    assert_int_equal(object.attr.ino, stat.st_ino);
    assert_int_equal(object.attr.mode, stat.st_mode);
    assert_int_equal(object.attr.size, 5);
    assert_int_equal(object.attr.mtime.seconds, stat.st_mtim.tv_sec);
    assert_int_equal(object.attr.mtime.nanoseconds, stat.st_mtim.tv_nsec);
    assert_int_equal(object.attr.access, GOFER_ACCESS_WRITE);
    struct gofer_object again;
    assert_int_equal(gofer_test_walk(test, "dir/file", &again), 0);
    assert_int_equal(again.fid, object.fid);
    assert_int_equal(gofer_test_walk(test, "dir/none", &again), -ENOENT);
    assert_int_equal(gofer_test_walk(test, "dir/file/x", &again), -ENOTDIR);
    assert_int_equal(gofer_walk(test->client, test->mount.fid, "..", &again), -EINVAL);
    assert_int_equal(gofer_walk(test->client, 12345, "dir", &again), -EBADF);
    gofer_release(test->client, object.fid);
    gofer_release(test->client, object.fid);
    gofer_flush(test->client);
    struct gofer_attr attr;
    assert_int_equal(gofer_getattr(test->client, object.fid, &attr), -EBADF);
}

static void test_walk_many(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object objects[4];
    struct gofer_walk_result result;
    const char *names[] = {"a", "b", "file", "x"};
    gofer_test_mkdir(test, "a");
    gofer_test_mkdir(test, "a/b");
    gofer_test_write(test, "a/b/file", "content");
    assert_int_equal(symlink("b/file", gofer_test_path(test, "a/link")), 0);
    gofer_test_start(test);
    assert_int_equal(
        gofer_walk_many(test->client, test->mount.fid, names, 3, O_RDONLY, objects, &result), 0);
    assert_int_equal(result.count, 3);
    assert_int_equal(result.error, 0);
    assert_int_equal(result.open_result, GOFER_OPEN_FD);
    char text[16] = "";
    assert_int_equal(read(result.fd, text, sizeof(text)), 7);
    assert_string_equal(text, "content");
    close(result.fd);
    assert_int_equal(
        gofer_walk_many(test->client, test->mount.fid, names, 4, GOFER_NO_OPEN, objects, &result),
        0);
    assert_int_equal(result.count, 3);
    assert_int_equal(result.error, -ENOTDIR);
    names[1] = "link";
    assert_int_equal(
        gofer_walk_many(test->client, test->mount.fid, names, 3, GOFER_NO_OPEN, objects, &result),
        0);
    assert_int_equal(result.count, 2);
    assert_int_equal(result.error, 0);
    assert_string_equal(result.target, "b/file");
    names[1] = "none";
    assert_int_equal(
        gofer_walk_many(test->client, test->mount.fid, names, 3, GOFER_NO_OPEN, objects, &result),
        0);
    assert_int_equal(result.count, 1);
    assert_int_equal(result.error, -ENOENT);
}

static void test_symlinks_are_not_followed(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object object;
    int fd;
    uint32_t result;
    char target[GOFER_TARGET_MAX + 1];
    assert_int_equal(symlink("/etc", gofer_test_path(test, "out")), 0);
    assert_int_equal(symlink("/proc/self/exe", gofer_test_path(test, "magic")), 0);
    gofer_test_start(test);
    assert_int_equal(gofer_test_walk(test, "out", &object), 0);
    assert_true(S_ISLNK(object.attr.mode));
    assert_int_equal(gofer_readlink(test->client, object.fid, target, sizeof(target)), 0);
    assert_string_equal(target, "/etc");
    struct gofer_object beneath;
    assert_int_equal(gofer_walk(test->client, object.fid, "passwd", &beneath), -ENOTDIR);
    assert_int_equal(gofer_open(test->client, object.fid, O_RDONLY, &fd, &result), -ELOOP);
    assert_int_equal(
        gofer_open(test->client, gofer_test_fid(test, "magic"), O_RDONLY, &fd, &result), -ELOOP);
}

static void test_open(void **state)
{
    struct gofer_test *test = *state;
    int fd;
    uint32_t result;
    gofer_test_write(test, "file", "old content");
    gofer_test_mkdir(test, "dir");
    assert_int_equal(mkfifo(gofer_test_path(test, "fifo"), 0644), 0);
    gofer_test_start(test);
    uint64_t file = gofer_test_fid(test, "file");
    assert_int_equal(gofer_open(test->client, file, O_RDWR, &fd, &result), 0);
    assert_int_equal(result, GOFER_OPEN_FD);
    assert_int_equal(pwrite(fd, "new", 3, 0), 3);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    assert_int_equal(gofer_open(test->client, file, O_RDONLY, &fd, &result), 0);
    char text[16] = "";
    assert_int_equal(read(fd, text, sizeof(text)), 11);
    assert_string_equal(text, "new content");
    assert_int_equal(write(fd, "x", 1), -1);
    close(fd);
    assert_int_equal(gofer_open(test->client, file, O_WRONLY | O_TRUNC, &fd, &result), 0);
    close(fd);
    struct gofer_attr attr;
    assert_int_equal(gofer_getattr(test->client, file, &attr), 0);
    assert_int_equal(attr.size, 0);
    assert_int_equal(gofer_open(test->client, file, O_RDWR | O_CREAT, &fd, &result), -EINVAL);
    assert_int_equal(gofer_open(test->client, file, O_PATH, &fd, &result), -EINVAL);
    assert_int_equal(gofer_open(test->client, file, O_DIRECTORY, &fd, &result), -EINVAL);
    assert_int_equal(gofer_open(test->client, file, 3, &fd, &result), -EINVAL);
    assert_int_equal(gofer_open(test->client, gofer_test_fid(test, "dir"), 0, &fd, &result),
                     -EISDIR);
    assert_int_equal(gofer_open(test->client, gofer_test_fid(test, "fifo"), 0, &fd, &result),
                     -ENXIO);
}

static void test_create(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object object;
    struct stat stat;
    int fd;
    uint32_t result;
    gofer_test_start(test);
    struct gofer_new_file file = {.mode = 06777, .uid = 0, .gid = 0};
    assert_int_equal(
        gofer_create(test->client, test->mount.fid, "new", O_RDWR, &file, &object, &fd, &result),
        0);
    assert_int_equal(write(fd, "data", 4), 4);
    close(fd);
    assert_int_equal(lstat(gofer_test_path(test, "new"), &stat), 0);
    assert_int_equal(stat.st_mode, S_IFREG | 0777); /* no setuid */
    assert_int_equal(object.attr.ino, stat.st_ino);
    assert_int_equal(
        gofer_create(test->client, test->mount.fid, "new", O_RDWR, &plain, &object, &fd, &result),
        -EEXIST);
    if (geteuid() == 0) {
        file.uid = 1234;
        assert_int_equal(gofer_create(test->client, test->mount.fid, "owned", O_RDWR, &file,
                                      &object, &fd, &result),
                         0);
        close(fd);
        assert_int_equal(object.attr.uid, 1234);
    }
    assert_int_equal(gofer_mkdir(test->client, test->mount.fid, "dir", &plain_dir, &object), 0);
    assert_true(S_ISDIR(object.attr.mode));
    assert_int_equal(gofer_mkdir(test->client, test->mount.fid, "dir", &plain_dir, &object),
                     -EEXIST);
    assert_int_equal(gofer_symlink(test->client, object.fid, "link", "../../x", 0, 0, &object), 0);
    assert_true(S_ISLNK(object.attr.mode));
    struct gofer_new_file node = {.mode = S_IFIFO | 0600, .uid = GOFER_NO_ID, .gid = GOFER_NO_ID};
    assert_int_equal(gofer_mknod(test->client, test->mount.fid, "fifo", &node, &object), 0);
    node.mode = S_IFCHR | 0600;
    assert_int_equal(gofer_mknod(test->client, test->mount.fid, "null", &node, &object), -EPERM);
    node.mode = S_IFSOCK | 0600;
    assert_int_equal(gofer_mknod(test->client, test->mount.fid, "sock", &node, &object), -EPERM);
}

static void test_unlink_keeps_object(void **state)
{
    struct gofer_test *test = *state;
    int fd;
    uint32_t result;
    struct gofer_attr attr;
    gofer_test_write(test, "file", "still here");
    gofer_test_mkdir(test, "dir");
    gofer_test_start(test);
    uint64_t file = gofer_test_fid(test, "file");
    assert_int_equal(gofer_unlink(test->client, test->mount.fid, "file", AT_REMOVEDIR), -ENOTDIR);
    assert_int_equal(gofer_unlink(test->client, test->mount.fid, "dir", 0), -EISDIR);
    assert_int_equal(gofer_unlink(test->client, test->mount.fid, "file", 0), 0);
    assert_int_equal(gofer_unlink(test->client, test->mount.fid, "file", 0), -ENOENT);
    assert_int_equal(gofer_unlink(test->client, test->mount.fid, "dir", AT_REMOVEDIR), 0);
    gofer_test_write(test, "file", "another");
    assert_int_equal(gofer_getattr(test->client, file, &attr), 0);
    assert_int_equal(attr.size, 10);
    assert_int_equal(attr.nlink, 0);
    assert_int_equal(gofer_open(test->client, file, O_RDONLY, &fd, &result), 0);
    char text[16] = "";
    assert_int_equal(read(fd, text, sizeof(text)), 10);
    close(fd);
    assert_int_not_equal(gofer_test_fid(test, "file"), file);
}

static void test_rename(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object object;
    struct gofer_attr attr;
    gofer_test_mkdir(test, "a");
    gofer_test_mkdir(test, "b");
    gofer_test_mkdir(test, "a/deep");
    gofer_test_write(test, "a/deep/file", "1");
    gofer_test_write(test, "b/other", "22");
    gofer_test_start(test);
    uint64_t a = gofer_test_fid(test, "a");
    uint64_t b = gofer_test_fid(test, "b");
    uint64_t file = gofer_test_fid(test, "a/deep/file");
    assert_int_equal(gofer_rename(test->client, a, "deep", b, "moved", 0), 0);
    assert_int_equal(gofer_getattr(test->client, file, &attr), 0);
    assert_int_equal(gofer_test_fid(test, "b/moved/file"), file);
    assert_int_equal(gofer_test_walk(test, "a/deep", &object), -ENOENT);
    /* Over another file, whose object lives on. */
    uint64_t moved = gofer_test_fid(test, "b/moved");
    uint64_t other = gofer_test_fid(test, "b/other");
    assert_int_equal(gofer_rename(test->client, moved, "file", b, "other", RENAME_NOREPLACE),
                     -EEXIST);
    assert_int_equal(gofer_rename(test->client, moved, "file", b, "other", 0), 0);
    assert_int_equal(gofer_getattr(test->client, other, &attr), 0);
    assert_int_equal(attr.nlink, 0);
    assert_int_equal(attr.size, 2);
    assert_int_equal(gofer_test_fid(test, "b/other"), file);
    /* Exchange. */
    assert_int_equal(gofer_rename(test->client, b, "moved", test->mount.fid, "a", RENAME_EXCHANGE),
                     0);
    assert_int_equal(gofer_test_fid(test, "a"), moved);
    assert_int_equal(gofer_test_fid(test, "b/moved"), a);
    assert_int_equal(gofer_rename(test->client, b, "moved", b, "w", RENAME_WHITEOUT), -EINVAL);
    assert_int_equal(gofer_rename(test->client, test->mount.fid, "b", a, "b", 0), -EINVAL);
    /* Two links of one file: nothing happens. */
    assert_int_equal(gofer_link(test->client, b, "second", file, &attr), 0);
    assert_int_equal(attr.nlink, 2);
    assert_int_equal(gofer_rename(test->client, b, "second", b, "other", 0), 0);
    assert_int_equal(gofer_test_walk(test, "b/second", &object), 0);
    assert_int_equal(gofer_unlink(test->client, b, "second", 0), 0);
    assert_int_equal(gofer_unlink(test->client, b, "other", 0), 0);
}

static void test_setattr(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_attr attr;
    gofer_test_write(test, "file", "0123456789");
    gofer_test_mkdir(test, "dir");
    gofer_test_start(test);
    uint64_t file = gofer_test_fid(test, "file");
    struct gofer_change change = {
        .set = GOFER_SET_SIZE | GOFER_SET_MODE | GOFER_SET_ATIME | GOFER_SET_MTIME,
        .size = 4,
        .mode = 04711,
        .atime = {.seconds = 1000, .nanoseconds = 5},
        .mtime = {.seconds = 2000, .nanoseconds = 6},
    };
    assert_int_equal(gofer_setattr(test->client, file, &change, &attr), 0);
    assert_int_equal(attr.size, 4);
    assert_int_equal(attr.mode, S_IFREG | 0711);
    assert_int_equal(attr.atime.seconds, 1000);
    assert_int_equal(attr.mtime.nanoseconds, 6);
    change = (struct gofer_change){.set = GOFER_SET_MTIME | GOFER_SET_MTIME_NOW};
    assert_int_equal(gofer_setattr(test->client, file, &change, &attr), 0);
    assert_int_equal(attr.atime.seconds, 1000);
    assert_true(attr.mtime.seconds > 1000000);
    /* A mode that forbids everything can be taken back. */
    uint64_t dir = gofer_test_fid(test, "dir");
    change = (struct gofer_change){.set = GOFER_SET_MODE, .mode = 0};
    assert_int_equal(gofer_setattr(test->client, dir, &change, &attr), 0);
    change.mode = 02755;
    assert_int_equal(gofer_setattr(test->client, dir, &change, &attr), 0);
    assert_int_equal(attr.mode & 0777, 0755);
    change = (struct gofer_change){.set = GOFER_SET_UID, .uid = 1};
    int error = gofer_setattr(test->client, file, &change, &attr);
    assert_int_equal(error, geteuid() == 0 ? 0 : -EPERM);
    change = (struct gofer_change){.set = GOFER_SET_SIZE, .size = UINT64_MAX};
    assert_int_equal(gofer_setattr(test->client, file, &change, &attr), -EINVAL);
    assert_int_equal(gofer_setattr(test->client, dir, &change, &attr), -EISDIR);
    change = (struct gofer_change){.set = 0x1000};
    assert_int_equal(gofer_setattr(test->client, file, &change, &attr), -EINVAL);
}

static void test_xattr(void **state)
{
    struct gofer_test *test = *state;
    char value[64];
    gofer_test_write(test, "file", "");
    int host = setxattr(gofer_test_path(test, "file"), "user.probe", "1", 1, 0);
    gofer_test_start(test);
    uint64_t file = gofer_test_fid(test, "file");
    assert_int_equal(gofer_getxattr(test->client, file, "security.x", value, 10), -EOPNOTSUPP);
    assert_int_equal(gofer_setxattr(test->client, file, "trusted.x", "v", 1, 0), -EOPNOTSUPP);
    if (host) {
        return; /* the temporary directory has no user attributes */
    }
    assert_int_equal(gofer_removexattr(test->client, file, "user.probe"), 0);
    assert_int_equal(gofer_setxattr(test->client, file, "user.a", "value", 5, 0), 0);
    assert_int_equal(gofer_setxattr(test->client, file, "user.a", "v", 1, XATTR_CREATE), -EEXIST);
    assert_int_equal(gofer_getxattr(test->client, file, "user.a", NULL, 0), 5);
    assert_int_equal(gofer_getxattr(test->client, file, "user.a", value, 2), -ERANGE);
    assert_int_equal(gofer_getxattr(test->client, file, "user.a", value, sizeof(value)), 5);
    assert_memory_equal(value, "value", 5);
    assert_int_equal(gofer_listxattr(test->client, file, value, sizeof(value)), 7);
    assert_memory_equal(value, "user.a", 7);
    assert_int_equal(gofer_listxattr(test->client, file, NULL, 0), 7);
    assert_int_equal(gofer_getxattr(test->client, file, "user.b", value, 10), -ENODATA);
}

static void test_read_write_messages(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_attr attr;
    struct gofer_statfs_reply statfs;
    uint64_t size;
    char text[32] = "";
    gofer_test_write(test, "file", "abc");
    gofer_test_start(test);
    uint64_t file = gofer_test_fid(test, "file");
    assert_int_equal(gofer_write(test->client, file, "XYZ", 3, 2, 0, &size), 3);
    assert_int_equal(size, 5);
    assert_int_equal(gofer_write(test->client, file, "!", 1, 0, GOFER_WRITE_APPEND, &size), 1);
    assert_int_equal(size, 6);
    assert_int_equal(gofer_read(test->client, file, text, sizeof(text), 1), 5);
    assert_string_equal(text, "bXYZ!");
    assert_int_equal(gofer_read(test->client, file, text, sizeof(text), 100), 0);
    assert_int_equal(gofer_read(test->client, file, text, sizeof(text), UINT64_MAX), -EINVAL);
    assert_int_equal(gofer_write(test->client, file, "x", 1, INT64_MAX, 0, &size), -EFBIG);
    assert_int_equal(gofer_fsync(test->client, file, false), 0);
    assert_int_equal(gofer_fsync(test->client, test->mount.fid, true), 0);
    assert_int_equal(gofer_allocate(test->client, file, 0, 0, 100, &attr), 0);
    assert_int_equal(attr.size, 100);
    assert_int_equal(gofer_statfs(test->client, file, &statfs), 0);
    assert_true(statfs.bsize > 0 && statfs.namelen >= 255);
}

static size_t count_entries(struct gofer_test *test, uint64_t dir, const char *wanted,
                            bool *ret_found)
{
    size_t count = 0;
    uint64_t cookie = 0;
    *ret_found = false;
    for (;;) {
        struct gofer_listing listing;
        struct gofer_dirent entry;
        assert_int_equal(gofer_list(test->client, dir, cookie, &listing), 0);
        while (gofer_listing_next(&listing, &entry)) {
            count++;
            assert_int_equal(entry.name_length, strlen(entry.name));
            assert_true(entry.attr.nlink > 0);
            if (strcmp(entry.name, wanted) == 0) {
                *ret_found = true;
                assert_true(S_ISREG(entry.attr.mode));
            }
        }
        assert_int_equal(listing.left, 0);
        bool end = listing.end;
        cookie = listing.cookie;
        gofer_listing_fini(&listing);
        if (end) {
            return count;
        }
    }
}

static void test_list_large(void **state)
{
    struct gofer_test *test = *state;
    bool found;
    gofer_test_mkdir(test, "big");
    int dir = open(gofer_test_path(test, "big"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum { ENTRIES = 100000 };
    for (int i = 0; i < ENTRIES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "entry-%d", i);
        assert_int_equal(mknodat(dir, name, S_IFREG | 0644, 0), 0);
    }
    gofer_test_start(test);
    assert_int_equal(count_entries(test, gofer_test_fid(test, "big"), "entry-77777", &found),
                     ENTRIES);
    assert_true(found);
    gofer_test_stop(test);
    for (int i = 0; i < ENTRIES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "entry-%d", i);
        unlinkat(dir, name, 0);
    }
    close(dir);
}

/* A cookie from the middle of a part, and one that is used again later, lead to the same entries.
 */
static void test_list_cookies(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_listing listing;
    struct gofer_dirent entry;
    char names[50][32];
    uint64_t cookies[50];
    int count = 0;
    for (int i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof(name), "f%d", i);
        gofer_test_write(test, name, "");
    }
    gofer_test_start(test);
    assert_int_equal(gofer_list(test->client, test->mount.fid, 0, &listing), 0);
    while (gofer_listing_next(&listing, &entry)) {
        strcpy(names[count], entry.name);
        cookies[count++] = entry.cookie;
    }
    gofer_listing_fini(&listing);
    assert_int_equal(count, 50);
    for (int i = 0; i < 49; i += 7) {
        assert_int_equal(gofer_list(test->client, test->mount.fid, cookies[i], &listing), 0);
        assert_true(gofer_listing_next(&listing, &entry));
        assert_string_equal(entry.name, names[i + 1]);
        gofer_listing_fini(&listing);
    }
}

static void test_few_descriptors(void **state)
{
    struct gofer_test *test = *state;
    enum { DIRS = 200 };
    uint64_t fids[DIRS];
    uint64_t files[DIRS];
    struct gofer_attr attr;
    for (int i = 0; i < DIRS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "d%d", i);
        gofer_test_mkdir(test, name);
        snprintf(name, sizeof(name), "d%d/f", i);
        gofer_test_write(test, name, "x");
    }
    test->config.max_open = 16;
    gofer_test_start(test);
    for (int i = 0; i < DIRS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "d%d", i);
        fids[i] = gofer_test_fid(test, name);
        snprintf(name, sizeof(name), "d%d/f", i);
        files[i] = gofer_test_fid(test, name);
    }
    for (int i = 0; i < DIRS; i++) {
        int fd;
        uint32_t result;
        assert_int_equal(gofer_getattr(test->client, files[i], &attr), 0);
        assert_int_equal(gofer_open(test->client, files[i], O_RDWR, &fd, &result), 0);
        close(fd);
        assert_int_equal(gofer_rename(test->client, fids[i], "f", fids[(i + 100) % DIRS], "g", 0),
                         0);
    }
    /* A name that leads elsewhere is stale, never another object. */
    assert_int_equal(rename(gofer_test_path(test, "d0"), gofer_test_path(test, "old")), 0);
    assert_int_equal(symlink("d1", gofer_test_path(test, "d0")), 0);
    assert_int_equal(gofer_getattr(test->client, fids[0], &attr), -ESTALE);
}

static void test_deep(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object at = {.fid = test->mount.fid};
    test->config.max_open = 16;
    gofer_test_start(test);
    at.fid = test->mount.fid;
    int depth = 0;
    int error;
    uint64_t hundredth = 0;
    for (;;) {
        struct gofer_object next;
        error = gofer_mkdir(test->client, at.fid, "d", &plain_dir, &next);
        if (error) {
            break;
        }
        at = next;
        if (++depth == 100) {
            hundredth = at.fid;
        }
    }
    assert_int_equal(error, -ENAMETOOLONG);
    assert_true(depth > 2000);
    struct gofer_attr attr;
    assert_int_equal(gofer_getattr(test->client, hundredth, &attr), 0);
    assert_int_equal(gofer_getattr(test->client, at.fid, &attr), 0);
    /* Both directories of a rename are deep and share little of what is open. */
    assert_int_equal(
        gofer_mkdir(test->client, hundredth, "x", &plain_dir, &(struct gofer_object){0}), 0);
}

static void test_many_fids(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object object;
    char name[32];
    test->config.max_fids = 100;
    for (int i = 0; i < 120; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        gofer_test_write(test, name, "");
    }
    gofer_test_start(test);
    int refused = 0;
    for (int i = 0; i < 120; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        int error = gofer_walk(test->client, test->mount.fid, name, &object);
        refused += error == -ENFILE;
        assert_true(error == 0 || error == -ENFILE);
    }
    assert_int_equal(refused, 21);
    int fd;
    uint32_t result;
    assert_int_equal(
        gofer_create(test->client, test->mount.fid, "n", O_RDWR, &plain, &object, &fd, &result),
        -ENFILE);
    assert_int_equal(access(gofer_test_path(test, "n"), F_OK), -1);
}

static void test_file_root(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_mount mount;
    struct gofer_object object;
    int fd;
    uint32_t result;
    gofer_test_write(test, "single", "root");
    char path[128];
    snprintf(path, sizeof(path), "%s", gofer_test_path(test, "single"));
    test->mounts[1] = (struct gofer_mount_config){
        .host_path = path, .guest_path = "/etc/single", .mode = GOFER_ACCESS_WRITE};
    test->mounts[2] = (struct gofer_mount_config){
        .host_path = test->root, .guest_path = "/cow", .mode = GOFER_ACCESS_COW, .exclusive = true};
    test->config.mount_count = 3;
    gofer_test_start(test);
    assert_int_equal(gofer_attach(test->client, 1, &mount), 0);
    assert_true(S_ISREG(mount.attr.mode));
    assert_int_equal(gofer_open(test->client, mount.fid, O_RDWR, &fd, &result), 0);
    assert_int_equal(write(fd, "R", 1), 1);
    close(fd);
    assert_int_equal(gofer_walk(test->client, mount.fid, "x", &object), -ENOTDIR);
    assert_int_equal(gofer_attach(test->client, 2, &mount), 0);
    assert_int_equal(mount.flags, GOFER_MOUNT_EXCLUSIVE);
    assert_int_equal(mount.attr.access, GOFER_ACCESS_COW);
    assert_int_equal(gofer_mkdir(test->client, mount.fid, "x", &plain_dir, &object), -EROFS);
    assert_int_equal(gofer_rename(test->client, test->mount.fid, "single", mount.fid, "y", 0),
                     -EROFS);
    assert_int_equal(gofer_attach(test->client, 3, &mount), -EINVAL);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, gofer_test_setup, gofer_test_teardown)
        TEST(test_walk),
        TEST(test_walk_many),
        TEST(test_symlinks_are_not_followed),
        TEST(test_open),
        TEST(test_create),
        TEST(test_unlink_keeps_object),
        TEST(test_rename),
        TEST(test_setattr),
        TEST(test_xattr),
        TEST(test_read_write_messages),
        TEST(test_list_large),
        TEST(test_list_cookies),
        TEST(test_few_descriptors),
        TEST(test_deep),
        TEST(test_many_fids),
        TEST(test_file_root),
    };
    return cmocka_run_group_tests_name("gofer files", tests, NULL, NULL);
}

int main(void)
{
    return gofer_test_run(run_group);
}
