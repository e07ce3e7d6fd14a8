/*
 * gofer_fs_test.c: the gofer file system against a real gofer process that serves a temporary
 * directory.
 */
#include "tests/unit/vfs_harness.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gofer/client/client.h"
#include "gofer/files/server.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/fs/overlay/overlay.h"

static char host_root[] = "/tmp/gofer_fs_test.XXXXXX";
static int host_fd;
static pid_t gofer_pid;
static struct gofer_client *client;

static void host_write(const char *path, const char *data)
{
    int fd = openat(host_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, strlen(data)), (ssize_t)strlen(data));
    close(fd);
}

static void host_expect(const char *path, const char *data)
{
    char buffer[256];
    int fd = openat(host_fd, path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t count = read(fd, buffer, sizeof(buffer) - 1);
    close(fd);
    assert_true(count >= 0);
    buffer[count] = 0;
    assert_string_equal(buffer, data);
}

static void make_host_tree(void)
{
    char path[64];
    assert_int_equal(mkdirat(host_fd, "ro", 0755), 0);
    assert_int_equal(mkdirat(host_fd, "rw", 0755), 0);
    assert_int_equal(mkdirat(host_fd, "ro/many", 0755), 0);
    assert_int_equal(mkdirat(host_fd, "ro/many/inner", 0755), 0);
    for (int i = 0; i < 50; i++) {
        snprintf(path, sizeof(path), "ro/many/f%02d", i);
        host_write(path, "data");
    }
    host_write("ro/many/inner/leaf", "leaf");
    host_write("ro/plain", "plain");
    assert_int_equal(symlinkat("many/inner", host_fd, "ro/link"), 0);
    assert_int_equal(symlinkat("/etc/passwd", host_fd, "ro/outside"), 0);
    assert_int_equal(linkat(host_fd, "ro/plain", host_fd, "ro/twin", 0), 0);
}

static _Noreturn void run_gofer(int connection)
{
    char ro[128], rw[128];
    snprintf(ro, sizeof(ro), "%s/ro", host_root);
    snprintf(rw, sizeof(rw), "%s/rw", host_root);
    struct gofer_mount_config mounts[] = {
        {.host_path = ro, .guest_path = "/ro", .mode = GOFER_ACCESS_READ, .exclusive = true},
        {.host_path = rw, .guest_path = "/rw", .mode = GOFER_ACCESS_WRITE},
        {.host_path = rw, .guest_path = "/cow", .mode = GOFER_ACCESS_COW},
    };
    struct gofer_config config = {.mounts = mounts,
                                  .mount_count = 3,
                                  .connection_fd = connection,
                                  .audit_fd = -1,
                                  .log = {.fd = 2, .level = LOG_WARNING, .role = "gofer"}};
    _exit(gofer_files_run(&config));
}

static int start(void **state)
{
    (void)state;
    int ends[2];
    assert_non_null(mkdtemp(host_root));
    host_fd = open(host_root, O_RDONLY | O_DIRECTORY);
    assert_true(host_fd >= 0);
    make_host_tree();
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    gofer_pid = fork();
    if (gofer_pid == 0) {
        close(ends[0]);
        run_gofer(ends[1]);
    }
    close(ends[1]);
    assert_int_equal(gofer_client_new(ends[0], &client), 0);
    make_root();
    for (uint32_t i = 0; i < 3; i++) {
        static const char *const places[] = {"/ro", "/rw", "/cow"};
        struct super *super;
        bool read_only;
        struct gofer_fs_options options = {.host_uid = getuid(),
                                           .guest_uid = 1000,
                                           .host_gid = getgid(),
                                           .guest_gid = 1000,
                                           .max_idle_fds = 8};
        assert_int_equal(gofer_fs_new(client, i, &options, &super, &read_only), 0);
        assert_int_equal(read_only, i != 1);
        if (i == 2) {
            assert_int_equal(overlay_new(super, make_tmpfs(), NULL, &super), 0);
        }
        mount_at(super, places[i]);
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    unmount("/ro");
    unmount("/rw");
    unmount("/cow");
    dentry_shrink(NULL);
    gofer_client_free(client);
    int status;
    waitpid(gofer_pid, &status, 0);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", host_root);
    return system(command);
}

static void test_read(void **state)
{
    (void)state;
    expect_file("/ro/plain", "plain");
    expect_file("/ro/link/leaf", "leaf");
    expect_list("/ro", "link many outside plain twin ");
    struct inode_attr attr = must_stat("/ro/plain");
    assert_int_equal(attr.uid, 1000);
    assert_int_equal(attr.size, 5);
    assert_int_equal(attr.nlink, 2);
    assert_true(must_stat("/ro/twin").ino == attr.ino);
    /* A link is resolved inside: there is no /etc here. */
    struct path path;
    assert_int_equal(path_walk(NULL, "/ro/outside", WALK_FOLLOW, &path), -ENOENT);
}

static void test_listing_answers(void **state)
{
    (void)state;
    char path[64];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 50; i++) {
            snprintf(path, sizeof(path), "/ro/many/f%02d", i);
            assert_int_equal(must_stat(path).size, 4);
        }
        for (int i = 0; i < 20; i++) {
            snprintf(path, sizeof(path), "/ro/many/absent%d", i);
            expect_missing(path);
        }
        dentry_shrink(NULL);
    }
    expect_file("/ro/many/inner/leaf", "leaf");
    for (int i = 0; i < 50; i++) { /* more than the bound on idle descriptors */
        snprintf(path, sizeof(path), "/ro/many/f%02d", i);
        expect_file(path, "data");
        expect_file(path, "data");
    }
}

static void test_read_only(void **state)
{
    (void)state;
    struct file *file;
    assert_int_equal(try_open("/ro/plain", O_RDWR, 0, &file), -EROFS);
    assert_int_equal(try_open("/ro/new", O_WRONLY | O_CREAT, 0644, &file), -EROFS);
    assert_int_equal(vfs_unlink(NULL, "/ro/plain", false), -EROFS);
    assert_int_equal(vfs_mkdir(NULL, "/ro/dir", 0755), -EROFS);
    assert_int_equal(change_mode("/ro/plain", 0600), -EROFS);
}

static void test_write(void **state)
{
    (void)state;
    write_file("/rw/new", "hello");
    host_expect("rw/new", "hello");
    append_file("/rw/new", " world");
    host_expect("rw/new", "hello world");
    assert_int_equal(must_stat("/rw/new").size, 11);
    assert_int_equal(change_mode("/rw/new", 0600), 0);
    struct stat status;
    assert_int_equal(fstatat(host_fd, "rw/new", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    make_dir("/rw/dir");
    assert_int_equal(move("/rw/new", "/rw/dir/moved"), 0);
    host_expect("rw/dir/moved", "hello world");
    assert_int_equal(link_path("/rw/dir/moved", "/rw/again"), 0);
    assert_int_equal(must_stat("/rw/again").nlink, 2);
    assert_int_equal(vfs_symlink("again", NULL, "/rw/sym"), 0);
    expect_file("/rw/sym", "hello world");
    assert_int_equal(vfs_unlink(NULL, "/rw/dir", true), -ENOTEMPTY);
    struct file *open_file = must_open("/rw/dir/moved", O_RDWR, 0);
    assert_int_equal(vfs_unlink(NULL, "/rw/dir/moved", false), 0);
    assert_int_equal(vfs_unlink(NULL, "/rw/again", false), 0);
    expect_data(open_file, "hello world");
    file_unref(open_file);
    assert_int_equal(vfs_unlink(NULL, "/rw/dir", true), 0);
    assert_int_equal(vfs_unlink(NULL, "/rw/sym", false), 0);
    expect_list("/rw", "");
}

static void test_host_changes_show(void **state)
{
    (void)state;
    expect_missing("/rw/late");
    host_write("rw/late", "one");
    expect_file("/rw/late", "one");
    struct file *file = must_open("/rw/late", O_WRONLY | O_APPEND, 0);
    host_write("rw/late", "host wrote");
    write_fd(file, "+guest");
    file_unref(file);
    host_expect("rw/late", "host wrote+guest");
    usleep(GOFER_FS_VALID_MS * 1000 + 10000);
    assert_int_equal(unlinkat(host_fd, "rw/late", 0), 0);
    expect_missing("/rw/late");
}

static void test_mapping(void **state)
{
    (void)state;
    host_write("rw/map", "mapped text");
    struct file *file = must_open("/rw/map", O_RDWR, 0);
    struct mm_source source;
    assert_int_equal(file_mmap(file, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, &source), 0);
    char *bytes =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, source.fd, (off_t)source.offset);
    assert_true(bytes != MAP_FAILED);
    memcpy(bytes, "MAPPED", 6);
    munmap(bytes, 4096);
    file_unref(file);
    host_expect("rw/map", "MAPPED text");
    assert_int_equal(vfs_unlink(NULL, "/rw/map", false), 0);
}

static void test_overlay(void **state)
{
    (void)state;
    host_write("rw/base", "host");
    expect_file("/cow/base", "host");
    append_file("/cow/base", " and guest");
    expect_file("/cow/base", "host and guest");
    host_expect("rw/base", "host");
    assert_int_equal(vfs_unlink(NULL, "/cow/base", false), 0);
    expect_missing("/cow/base");
    host_expect("rw/base", "host");
    write_file("/cow/more", "m");
    expect_list("/cow", "more ");
    expect_list("/rw", "base ");
    assert_int_equal(vfs_unlink(NULL, "/rw/base", false), 0);
}

static void test_gofer_dies(void **state)
{
    (void)state;
    struct file *file = must_open("/ro/plain", O_RDONLY, 0);
    kill(gofer_pid, SIGKILL);
    expect_data(file, "plain");
    file_unref(file);
    struct inode_attr attr;
    assert_int_equal(stat_at("/rw/anything", &attr), -EIO);
    assert_true(gofer_client_broken(client));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_listing_answers),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_host_changes_show),
        cmocka_unit_test(test_mapping),
        cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_gofer_dies),
    };
    return cmocka_run_group_tests_name("gofer_fs", tests, start, stop);
}
