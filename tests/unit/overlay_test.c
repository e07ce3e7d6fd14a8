/*
 * overlay_test.c: the overlay with a tmpfs below: what changes stay above, what stays visible, and
 * what the list of changes and the export say.
 */
#include "tests/unit/vfs_harness.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sentry/fs/overlay/overlay.h"

static struct super *merged;

static void make_tree(void)
{
    make_dir("/lower/dir");
    make_dir("/lower/dir/sub");
    make_dir("/lower/empty");
    write_file("/lower/file", "lower");
    write_file("/lower/dir/a", "A");
    write_file("/lower/dir/b", "B");
    write_file("/lower/dir/sub/deep", "deep");
    assert_int_equal(vfs_symlink("dir/a", NULL, "/lower/link"), 0);
    assert_int_equal(link_path("/lower/file", "/lower/hard"), 0);
}

static int setup(void **state)
{
    (void)state;
    make_root();
    struct super *lower = make_tmpfs();
    super_ref(lower);
    mount_at(lower, "/lower");
    make_tree();
    assert_int_equal(overlay_new(lower, make_tmpfs(), NULL, &merged), 0);
    mount_at(merged, "/m");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unmount("/m");
    unmount("/lower");
    dentry_shrink(NULL);
    return 0;
}

static int add_change(const struct overlay_change *change, void *context)
{
    struct text *text = context;
    text_printf(text, "%c%s ", change->kind, change->path);
    return 0;
}

static void expect_changes(const char *expected)
{
    auto_text struct text text = TEXT_INIT;
    assert_int_equal(overlay_for_each_change(merged, add_change, &text), 0);
    assert_string_equal(text_string(&text), expected);
}

static void test_read_through(void **state)
{
    (void)state;
    expect_list("/m", "dir empty file hard link ");
    expect_list("/m/dir", "a b sub ");
    expect_file("/m/dir/sub/deep", "deep");
    expect_file("/m/link", "A");
    expect_changes("");
    assert_int_equal(must_stat("/m/file").nlink, 2);
}

static void test_copy_on_write(void **state)
{
    (void)state;
    struct inode_attr before = must_stat("/m/dir/a");
    struct file *reader = must_open("/m/dir/a", O_RDONLY, 0);
    append_file("/m/dir/a", "pple");
    expect_file("/m/dir/a", "Apple");
    expect_file("/lower/dir/a", "A");
    expect_data(reader, "Apple");
    file_unref(reader);
    struct inode_attr after = must_stat("/m/dir/a");
    assert_true(before.ino == after.ino && before.dev == after.dev);
    assert_int_equal(after.size, 5);
    expect_changes("Mdir/a ");
}

static void test_open_is_no_change(void **state)
{
    (void)state;
    struct file *file = must_open("/m/dir/a", O_RDWR, 0);
    expect_data(file, "A");
    expect_changes("");
    file_unref(file);
}

static void test_truncate_and_chmod(void **state)
{
    (void)state;
    file_unref(must_open("/m/dir/a", O_WRONLY | O_TRUNC, 0));
    expect_file("/m/dir/a", "");
    expect_file("/lower/dir/a", "A");
    assert_int_equal(change_mode("/m/dir/b", 0600), 0);
    assert_int_equal(must_stat("/m/dir/b").mode & 07777, 0600);
    assert_int_equal(must_stat("/lower/dir/b").mode & 07777, 0644);
    expect_file("/m/dir/b", "B");
    struct inode_attr size = {.size = 3};
    assert_int_equal(set_attr("/m/dir/sub/deep", &size, INODE_SET_SIZE), 0);
    expect_file("/m/dir/sub/deep", "dee");
    expect_changes("Mdir/a Mdir/b Mdir/sub/deep ");
}

static void test_whiteout(void **state)
{
    (void)state;
    struct file *open_file = must_open("/m/dir/a", O_RDONLY, 0);
    assert_int_equal(vfs_unlink(NULL, "/m/dir/a", false), 0);
    expect_missing("/m/dir/a");
    expect_list("/m/dir", "b sub ");
    expect_data(open_file, "A");
    struct inode_attr attr;
    assert_int_equal(inode_getattr(open_file->inode, &attr), 0);
    assert_int_equal(attr.nlink, 0);
    file_unref(open_file);
    expect_changes("Ddir/a ");
    write_file("/m/dir/a", "new");
    expect_file("/m/dir/a", "new");
    expect_changes("Mdir/a ");
    assert_int_equal(vfs_unlink(NULL, "/m/dir/a", false), 0);
    write_file("/m/dir/tmp", "x");
    assert_int_equal(vfs_unlink(NULL, "/m/dir/tmp", false), 0);
    expect_changes("Ddir/a ");
    expect_list("/lower/dir", "a b sub ");
}

static void test_rmdir_opaque(void **state)
{
    (void)state;
    assert_int_equal(vfs_unlink(NULL, "/m/dir", true), -ENOTEMPTY);
    assert_int_equal(vfs_unlink(NULL, "/m/dir/sub/deep", false), 0);
    assert_int_equal(vfs_unlink(NULL, "/m/dir/sub", true), 0);
    assert_int_equal(must_stat("/m/dir").nlink, 2);
    make_dir("/m/dir/sub");
    assert_int_equal(must_stat("/m/dir").nlink, 3);
    expect_list("/m/dir/sub", "");
    write_file("/m/dir/sub/other", "o");
    expect_changes("Ddir/sub Adir/sub Adir/sub/other ");
    assert_int_equal(vfs_unlink(NULL, "/m/empty", true), 0);
    expect_missing("/m/empty");
}

static void test_rename_file(void **state)
{
    (void)state;
    assert_int_equal(move("/m/dir/a", "/m/moved"), 0);
    expect_file("/m/moved", "A");
    expect_missing("/m/dir/a");
    assert_int_equal(move("/m/dir/b", "/m/file"), 0);
    expect_file("/m/file", "B");
    expect_file("/m/hard", "lower");
    assert_int_equal(must_stat("/m/hard").nlink, 1);
    expect_changes("Ddir/a Ddir/b Mfile Amoved ");
    assert_int_equal(move("/m/moved", "/m/dir/a"), 0);
    expect_changes("Ddir/b Mfile ");
}

static void test_rename_lower_directory(void **state)
{
    (void)state;
    append_file("/m/dir/a", "!");
    assert_int_equal(move("/m/dir", "/m/other"), 0);
    expect_list("/m/other", "a b sub ");
    expect_file("/m/other/a", "A!");
    expect_file("/m/other/sub/deep", "deep");
    expect_missing("/m/dir");
    append_file("/m/other/sub/deep", "er");
    expect_file("/m/other/sub/deep", "deeper");
    expect_changes("Ddir Aother Aother/a Aother/b Aother/sub Aother/sub/deep ");
    assert_int_equal(move("/m/other/sub", "/m/dir"), 0);
    expect_list("/m/dir", "deep ");
    expect_list("/m/other", "a b ");
    expect_changes("Ddir Adir Adir/deep Aother Aother/a Aother/b ");
    assert_int_equal(move("/m/other", "/m/empty"), 0);
    expect_list("/m/empty", "a b ");
    assert_int_equal(move("/m/empty", "/m/dir"), -ENOTEMPTY);
    assert_int_equal(move("/m/dir", "/m/dir/deeper"), -EINVAL);
}

static void test_exchange(void **state)
{
    (void)state;
    assert_int_equal(vfs_rename(NULL, "/m/dir", NULL, "/m/file", RENAME_EXCHANGE), 0);
    expect_file("/m/dir", "lower");
    expect_list("/m/file", "a b sub ");
    assert_int_equal(vfs_rename(NULL, "/m/dir", NULL, "/m/file", RENAME_EXCHANGE), 0);
    expect_list("/m/dir", "a b sub ");
    expect_changes("");
    assert_int_equal(vfs_rename(NULL, "/m/link", NULL, "/m/file", RENAME_NOREPLACE), -EEXIST);
}

static void test_hard_links(void **state)
{
    (void)state;
    append_file("/m/file", "+");
    dentry_shrink(NULL);
    expect_file("/m/hard", "lower+");
    assert_int_equal(must_stat("/m/hard").ino, must_stat("/m/file").ino);
    assert_int_equal(link_path("/m/hard", "/m/third"), 0);
    assert_int_equal(must_stat("/m/file").nlink, 3);
    assert_int_equal(vfs_unlink(NULL, "/m/file", false), 0);
    assert_int_equal(vfs_unlink(NULL, "/m/hard", false), 0);
    dentry_shrink(NULL);
    expect_file("/m/third", "lower+");
    assert_int_equal(must_stat("/m/third").nlink, 1);
    expect_changes("Dfile Dhard Athird ");
}

static void test_survives_eviction(void **state)
{
    (void)state;
    append_file("/m/dir/sub/deep", "!");
    assert_int_equal(change_mode("/m/dir/a", 0400), 0);
    uint64_t ino = must_stat("/m/dir/sub").ino;
    dentry_shrink(NULL);
    expect_file("/m/dir/sub/deep", "deep!");
    assert_int_equal(must_stat("/m/dir/a").mode & 0777, 0400);
    assert_true(must_stat("/m/dir/sub").ino == ino);
}

static void test_specials_and_tmpfile(void **state)
{
    (void)state;
    assert_int_equal(vfs_mknod(NULL, "/m/fifo", S_IFIFO | 0600, 0), 0);
    assert_int_equal(vfs_symlink("dir", NULL, "/m/dirlink"), 0);
    expect_list("/m/dirlink", "a b sub ");
    assert_true(S_ISFIFO(must_stat("/m/fifo").mode));
    assert_int_equal(must_stat("/m/dirlink").size, 3);
    struct file *file = must_open("/m/dir", O_TMPFILE | O_RDWR, 0600);
    write_fd(file, "unnamed");
    assert_int_equal(vfs_link(&file->path, NULL, "/m/named"), 0);
    file_unref(file);
    expect_file("/m/named", "unnamed");
    expect_changes("Adirlink Afifo Anamed ");
}

static void test_listing_during_removal(void **state)
{
    (void)state;
    char path[64];
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof(path), "/m/dir/f%02d", i);
        write_file(path, "x");
    }
    struct file *dir = must_open("/m/dir", O_RDONLY | O_DIRECTORY, 0);
    unsigned removed = 0;
    for (;;) {
        struct list_sink list = {.sink.emit = list_emit, .limit = 5};
        assert_int_equal(file_readdir(dir, &list.sink), 0);
        if (list.count == 0) {
            text_fini(&list.text);
            break;
        }
        char *copy = strdup(text_string(&list.text));
        for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
            if (word[0] == 'f') {
                snprintf(path, sizeof(path), "/m/dir/%s", word);
                assert_int_equal(vfs_unlink(NULL, path, false), 0);
                removed++;
            }
        }
        free(copy);
        text_fini(&list.text);
    }
    file_unref(dir);
    assert_int_equal(removed, 40);
    expect_list("/m/dir", "a b sub ");
}

static void test_xattr(void **state)
{
    (void)state;
    struct path path;
    char value[16];
    assert_int_equal(path_walk(NULL, "/m/dir/a", 0, &path), 0);
    struct inode *inode = path_inode(&path);
    mutex_lock(&inode->lock);
    assert_int_equal(inode_setxattr(inode, "user.one", "1", 1, 0), 0);
    assert_int_equal(inode_setxattr(inode, "user.one", "11", 2, XATTR_CREATE), -EEXIST);
    assert_int_equal(inode_setxattr(inode, "user.two", "2", 1, XATTR_REPLACE), -ENODATA);
    assert_int_equal(inode_getxattr(inode, "user.one", value, sizeof(value)), 1);
    assert_int_equal(inode_listxattr(inode, NULL, 0), 9);
    assert_int_equal(inode_removexattr(inode, "user.one"), 0);
    assert_int_equal(inode_getxattr(inode, "user.one", value, 0), -ENODATA);
    mutex_unlock(&inode->lock);
    path_unref(&path);
}

static void test_deep_tree(void **state)
{
    (void)state;
    /* Far deeper than any recursion would stand; the walk and the end must not use the stack. */
    struct path at, next;
    assert_int_equal(path_walk(NULL, "/m/dir", 0, &at), 0);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(vfs_mkdir(&at, "d", 0755), 0);
        assert_int_equal(path_walk(&at, "d", 0, &next), 0);
        path_unref(&at);
        at = next;
    }
    path_unref(&at);
    auto_text struct text text = TEXT_INIT;
    assert_int_equal(overlay_for_each_change(merged, add_change, &text), -ENAMETOOLONG);
}

static void host_expect(int dirfd, const char *path, const char *data)
{
    char buffer[256];
    int fd = openat(dirfd, path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t count = read(fd, buffer, sizeof(buffer) - 1);
    close(fd);
    assert_true(count >= 0);
    buffer[count] = 0;
    assert_string_equal(buffer, data);
}

static void test_export(void **state)
{
    (void)state;
    char template[] = "/tmp/overlay_test.XXXXXX";
    assert_non_null(mkdtemp(template));
    int dirfd = open(template, O_RDONLY | O_DIRECTORY);
    assert_true(dirfd >= 0);
    append_file("/m/dir/sub/deep", " water");
    assert_int_equal(vfs_unlink(NULL, "/m/dir/a", false), 0);
    make_dir("/m/new");
    write_file("/m/new/x", "X");
    assert_int_equal(change_mode("/m/new/x", 04755), 0);
    assert_int_equal(change_mode("/m/new", 0500), 0);
    assert_int_equal(vfs_symlink("../../etc/passwd", NULL, "/m/evil"), 0);
    assert_int_equal(vfs_mknod(NULL, "/m/fifo", S_IFIFO | 0600, 0), 0);
    struct overlay_export_result result;
    assert_int_equal(overlay_export(merged, dirfd, &result), 0);
    assert_int_equal(result.written, 4);
    assert_int_equal(result.deleted, 1);
    assert_int_equal(result.skipped, 1);
    host_expect(dirfd, "dir/sub/deep", "deep water");
    host_expect(dirfd, "new/x", "X");
    struct stat status;
    assert_int_equal(fstatat(dirfd, "new/x", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0755);
    assert_int_equal(fstatat(dirfd, "new", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0500);
    char target[64] = {0};
    assert_true(readlinkat(dirfd, "evil", target, sizeof(target) - 1) > 0);
    assert_string_equal(target, "../../etc/passwd");
    char manifest[16] = {0};
    int fd = openat(dirfd, OVERLAY_EXPORT_MANIFEST, O_RDONLY);
    assert_int_equal(read(fd, manifest, sizeof(manifest)), 6);
    assert_memory_equal(manifest, "dir/a", 6);
    close(fd);
    assert_int_equal(overlay_export(merged, dirfd, &result), -EEXIST);
    close(dirfd);
    char command[128];
    snprintf(command, sizeof(command), "chmod -R u+w %s; rm -r %s", template, template);
    assert_int_equal(system(command), 0);
}

static void test_entry_limit(void **state)
{
    (void)state;
    struct super *limited;
    struct overlay_options options = {.max_entries = 3};
    assert_int_equal(overlay_new(make_tmpfs(), make_tmpfs(), &options, &limited), 0);
    mount_at(limited, "/limited");
    make_dir("/limited/1");
    make_dir("/limited/2");
    make_dir("/limited/3");
    assert_int_equal(vfs_mkdir(NULL, "/limited/4", 0755), -ENOSPC);
    assert_int_equal(vfs_unlink(NULL, "/limited/3", true), 0);
    make_dir("/limited/4");
    unmount("/limited");
}

static void test_stacked(void **state)
{
    (void)state;
    struct super *top;
    append_file("/m/dir/a", "1");
    assert_int_equal(vfs_unlink(NULL, "/m/dir/b", false), 0);
    super_ref(merged);
    assert_int_equal(overlay_new(merged, make_tmpfs(), NULL, &top), 0);
    mount_at(top, "/top");
    expect_list("/top/dir", "a sub ");
    append_file("/top/dir/a", "2");
    expect_file("/top/dir/a", "A12");
    expect_file("/m/dir/a", "A1");
    assert_int_equal(move("/top/dir", "/top/gone"), 0);
    expect_list("/m", "dir empty file hard link ");
    expect_list("/top/gone", "a sub ");
    unmount("/top");
}

int main(void)
{
#define overlay_case(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        overlay_case(test_read_through),
        overlay_case(test_copy_on_write),
        overlay_case(test_open_is_no_change),
        overlay_case(test_truncate_and_chmod),
        overlay_case(test_whiteout),
        overlay_case(test_rmdir_opaque),
        overlay_case(test_rename_file),
        overlay_case(test_rename_lower_directory),
        overlay_case(test_exchange),
        overlay_case(test_hard_links),
        overlay_case(test_survives_eviction),
        overlay_case(test_specials_and_tmpfile),
        overlay_case(test_listing_during_removal),
        overlay_case(test_xattr),
        overlay_case(test_deep_tree),
        overlay_case(test_export),
        overlay_case(test_entry_limit),
        overlay_case(test_stacked),
    };
    return cmocka_run_group_tests_name("overlay", tests, NULL, NULL);
}
