/* vfs_lock_test.c: record locks, flock, deadlock detection; notifications. */
#include "tests/unit/vfs_fixture.h"

#include <linux/fs.h>
#include <sys/inotify.h>

#include "sentry/vfs/file_lock.h"
#include "sentry/vfs/inotify_hooks.h"

static int owner_a, owner_b;

static int set(struct file *file, enum file_lock_kind kind, const void *owner, int type,
               int64_t start, int64_t end, struct file_lock_wait *wait)
{
    struct file_lock lock = {
        .kind = kind, .type = type, .start = start, .end = end, .owner = owner, .pid = 7};
    return file_lock_set(file, &lock, wait);
}

static int test_type(struct file *file, const void *owner, int64_t start, int64_t end)
{
    struct file_lock lock = {
        .kind = FILE_LOCK_POSIX, .type = F_WRLCK, .start = start, .end = end, .owner = owner};
    file_lock_test(file, &lock);
    return lock.type;
}

static void record_locks(void **state)
{
    (void)state;
    struct file *file, *reader;
    const enum file_lock_kind posix = FILE_LOCK_POSIX;
    assert_int_equal(t_open("/f", O_CREAT | O_RDWR, 0644, &file), 0);
    assert_int_equal(t_open("/f", O_RDONLY, 0, &reader), 0);
    assert_int_equal(set(reader, posix, &owner_a, F_WRLCK, 0, 9, NULL), -EBADF);
    assert_int_equal(set(file, posix, &owner_a, F_WRLCK, 0, 99, NULL), 0);
    assert_int_equal(set(file, posix, &owner_b, F_RDLCK, 50, 50, NULL), -EAGAIN);
    assert_int_equal(set(file, FILE_LOCK_OFD, reader, F_RDLCK, 50, 50, NULL), -EAGAIN);
    assert_int_equal(set(file, posix, &owner_a, F_UNLCK, 40, 59, NULL), 0);
    assert_int_equal(test_type(file, &owner_b, 40, 59), F_UNLCK);
    assert_int_equal(test_type(file, &owner_b, 39, 59), F_WRLCK);
    assert_int_equal(test_type(file, &owner_b, 40, 60), F_WRLCK);
    assert_int_equal(set(file, posix, &owner_a, F_RDLCK, 0, 99, NULL), 0);
    assert_int_equal(set(file, posix, &owner_b, F_RDLCK, 0, FILE_LOCK_MAX_END, NULL), 0);
    assert_int_equal(set(file, posix, &owner_a, F_WRLCK, 5, 5, NULL), -EAGAIN);
    file_flush(reader, &owner_b);
    assert_int_equal(set(file, posix, &owner_a, F_WRLCK, 5, 5, NULL), 0);
    auto_text struct text text = TEXT_INIT;
    file_locks_show(file, &text);
    assert_non_null(strstr(text_string(&text), "POSIX  ADVISORY  WRITE 7 "));
    file_flush(file, &owner_a);
    assert_int_equal(test_type(file, &owner_b, 0, FILE_LOCK_MAX_END), F_UNLCK);
    int64_t start, end;
    assert_int_equal(file_lock_range(file, SEEK_SET, 10, -5, &start, &end), 0);
    assert_int_equal(start, 5);
    assert_int_equal(end, 9);
    assert_int_equal(file_lock_range(file, SEEK_SET, 10, -11, &start, &end), -EINVAL);
    assert_int_equal(file_lock_range(file, SEEK_SET, INT64_MAX, 2, &start, &end), -EOVERFLOW);
    assert_int_equal(file_lock_range(file, 9, 0, 0, &start, &end), -EINVAL);
    file_unref(reader);
    file_unref(file);
}

static void deadlocks(void **state)
{
    (void)state;
    struct file *file;
    struct file_lock_wait wait_a, wait_b;
    const enum file_lock_kind posix = FILE_LOCK_POSIX;
    assert_int_equal(t_open("/f", O_CREAT | O_RDWR, 0644, &file), 0);
    file_lock_wait_init(&wait_a);
    file_lock_wait_init(&wait_b);
    assert_int_equal(set(file, posix, &owner_a, F_WRLCK, 0, 0, NULL), 0);
    assert_int_equal(set(file, posix, &owner_b, F_WRLCK, 1, 1, NULL), 0);
    assert_int_equal(set(file, posix, &owner_a, F_WRLCK, 1, 1, &wait_a), -EAGAIN);
    assert_int_equal(set(file, posix, &owner_b, F_WRLCK, 0, 0, &wait_b), -EDEADLK);
    /* Once b gave way, a waits for nobody although it has not asked again yet. */
    assert_int_equal(set(file, posix, &owner_b, F_UNLCK, 1, 1, NULL), 0);
    assert_int_equal(set(file, posix, &owner_b, F_WRLCK, 0, 0, &wait_b), -EAGAIN);
    file_lock_wait_end(&wait_a);
    file_lock_wait_end(&wait_b);
    file_unref(file);
}

static void whole_file_locks(void **state)
{
    (void)state;
    struct file *a, *b;
    const enum file_lock_kind kind = FILE_LOCK_FLOCK;
    assert_int_equal(t_open("/f", O_CREAT | O_RDONLY, 0644, &a), 0);
    assert_int_equal(t_open("/f", O_RDONLY, 0, &b), 0);
    assert_int_equal(set(a, kind, a, F_WRLCK, 0, FILE_LOCK_MAX_END, NULL), 0);
    assert_int_equal(set(b, kind, b, F_RDLCK, 0, FILE_LOCK_MAX_END, NULL), -EAGAIN);
    assert_int_equal(set(a, kind, a, F_RDLCK, 0, FILE_LOCK_MAX_END, NULL), 0);
    assert_int_equal(set(b, kind, b, F_RDLCK, 0, FILE_LOCK_MAX_END, NULL), 0);
    assert_int_equal(set(a, kind, a, F_WRLCK, 0, FILE_LOCK_MAX_END, NULL), -EAGAIN);
    file_unref(a);
    assert_int_equal(set(b, kind, b, F_WRLCK, 0, FILE_LOCK_MAX_END, NULL), 0);
    file_unref(b);
}

static struct text seen;

static void record_event(struct inotify_watch *watch, uint32_t mask, uint32_t cookie,
                         const char *name)
{
    (void)watch;
    text_printf(&seen, "%x:%s%s ", mask, name ? name : "-", cookie ? "+" : "");
}

static void expect(const char *events)
{
    assert_string_equal(text_string(&seen), events);
    text_clear(&seen);
}

static void notifications(void **state)
{
    (void)state;
    struct inotify_watch in_dir = {.mask = IN_ALL_EVENTS, .notify = record_event};
    struct inotify_watch on_file = {.mask = IN_ATTRIB, .notify = record_event};
    struct path dir, file_path;
    struct file *file;
    char c;
    assert_int_equal(vfs_mkdir(NULL, "/d", 0755), 0);
    assert_int_equal(path_walk(NULL, "/d", 0, &dir), 0);
    assert_int_equal(inode_watch_add(path_inode(&dir), &in_dir), 0);
    assert_int_equal(t_open("/d/f", O_CREAT | O_RDWR, 0644, &file), 0);
    expect("100:f 20:f ");
    assert_int_equal(t_write(file, "x", 1), 1);
    assert_int_equal(t_pread(file, &c, 1, 0), 1);
    expect("2:f 1:f ");
    file_unref(file);
    expect("8:f ");
    assert_int_equal(vfs_mkdir(NULL, "/d/e", 0755), 0);
    expect("40000100:e ");
    assert_int_equal(t_rename("/d/f", "/d/g", 0), 0);
    expect("40:f+ 80:g+ ");
    assert_int_equal(path_walk(NULL, "/d/g", 0, &file_path), 0);
    struct inode *inode = inode_ref(path_inode(&file_path));
    assert_int_equal(inode_watch_add(inode, &on_file), 0);
    assert_int_equal(vfs_chmod(&file_path, 0600), 0);
    expect("4:g 4:- ");
    assert_int_equal(vfs_unlink(NULL, "/d/g", false), 0);
    expect("4:- 200:g ");
    path_unref(&file_path);
    expect("400:- ");
    inode_watch_remove(&on_file);
    inode_unref(inode);
    inode_watch_remove(&in_dir);
    inode_watch_remove(&in_dir);
    path_unref(&dir);
    text_fini(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(record_locks, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(deadlocks, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(whole_file_locks, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(notifications, vfs_setup, vfs_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
