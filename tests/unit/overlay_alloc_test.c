/*
 * overlay_alloc_test.c: the Nth allocation of each change fails, for every N: the change answers
 * ENOMEM, the tree shows what it showed before, and nothing leaks.
 */
#include "tests/unit/failing_alloc.h"
#include "tests/unit/vfs_harness.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "sentry/fs/overlay/overlay.h"

static struct super *merged;

static int do_append(void)
{
    struct file *file;
    int error = try_open("/m/dir/sub/deep", O_WRONLY | O_APPEND, 0, &file);
    if (error == 0) {
        struct uio uio;
        char data[] = "more";
        uio_init_kernel(&uio, data, 4);
        ssize_t count = file_write(file, &uio, NULL, 0);
        error = count < 0 ? (int)count : 0;
        file_unref(file);
    }
    return error;
}

static int do_create(void)
{
    return vfs_mknod(NULL, "/m/dir/new", S_IFREG | 0644, 0);
}

static int do_mkdir(void)
{
    return vfs_mkdir(NULL, "/m/dir/sub/made", 0755);
}

static int do_symlink(void)
{
    return vfs_symlink("target", NULL, "/m/dir/link");
}

static int do_unlink(void)
{
    return vfs_unlink(NULL, "/m/dir/a", false);
}

static int do_rename(void)
{
    return move("/m/dir", "/m/empty");
}

static int do_replace(void)
{
    return move("/m/dir/a", "/m/dir/b");
}

static int do_exchange(void)
{
    return vfs_rename(NULL, "/m/dir", NULL, "/m/file", RENAME_EXCHANGE);
}

static int do_link(void)
{
    return link_path("/m/dir/a", "/m/empty/linked");
}

static int do_chmod(void)
{
    return change_mode("/m/dir/sub/deep", 0600);
}

static int do_truncate(void)
{
    struct inode_attr attr = {.size = 2};
    return set_attr("/m/dir/a", &attr, INODE_SET_SIZE);
}

static int do_list(void)
{
    struct file *file;
    struct list_sink list = {.sink.emit = list_emit};
    int error = try_open("/m/dir", O_RDONLY | O_DIRECTORY, 0, &file);
    if (error == 0) {
        error = file_readdir(file, &list.sink);
        file_unref(file);
    }
    if (error == 0 && list.text.failed) {
        error = -ENOMEM;
    }
    text_fini(&list.text);
    return error;
}

static int ignore_change(const struct overlay_change *change, void *context)
{
    (void)change;
    (void)context;
    return 0;
}

static int do_changes(void)
{
    return overlay_for_each_change(merged, ignore_change, NULL);
}

static int do_xattr(void)
{
    struct path path;
    int error = path_walk(NULL, "/m/dir/a", 0, &path);
    if (error == 0) {
        struct inode *inode = path_inode(&path);
        mutex_lock(&inode->lock);
        error = inode_setxattr(inode, "user.name", "value", 5, 0);
        mutex_unlock(&inode->lock);
        path_unref(&path);
    }
    return error;
}

static void make_overlay(void)
{
    struct super *lower = make_tmpfs();
    super_ref(lower);
    mount_at(lower, "/lower");
    make_dir("/lower/dir");
    make_dir("/lower/dir/sub");
    make_dir("/lower/empty");
    write_file("/lower/file", "lower");
    write_file("/lower/dir/a", "AAAA");
    write_file("/lower/dir/b", "B");
    write_file("/lower/dir/sub/deep", "deep");
    assert_int_equal(overlay_new(lower, make_tmpfs(), NULL, &merged), 0);
    mount_at(merged, "/m");
}

static void expect_untouched(void)
{
    expect_list("/m", "dir empty file ");
    expect_list("/m/dir", "a b sub ");
    expect_list("/m/dir/sub", "deep ");
    expect_file("/m/dir/a", "AAAA");
    expect_file("/m/dir/b", "B");
    expect_file("/m/dir/sub/deep", "deep");
    expect_file("/m/file", "lower");
}

static void fail_each_allocation(int (*change)(void))
{
    long n = 0;
    do {
        make_overlay();
        alloc_failed = false;
        alloc_countdown = n++;
        int result = change();
        alloc_countdown = -1;
        if (alloc_failed) {
            /* Some allocations may be done without (caches): then the change succeeded. */
            assert_true(result == 0 || result == -ENOMEM || result == -ENFILE);
        } else {
            assert_int_equal(result, 0);
        }
        if (result != 0) {
            expect_untouched();
        }
        unmount("/m");
        unmount("/lower");
        dentry_shrink(NULL);
    } while (alloc_failed);
    assert_true(n > 1);
}

static void test_changes(void **state)
{
    static int (*const changes[])(void) = {
        do_append, do_create,   do_mkdir, do_symlink, do_unlink,   do_rename, do_replace,
        do_link,   do_exchange, do_chmod, do_xattr,   do_truncate, do_list,   do_changes,
    };
    (void)state;
    make_root();
    for (size_t i = 0; i < array_size(changes); i++) {
        fail_each_allocation(changes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_changes)};
    return cmocka_run_group_tests_name("overlay_alloc", tests, NULL, NULL);
}
