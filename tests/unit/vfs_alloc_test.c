/*
 * vfs_alloc_test.c: the Nth allocation of each operation fails, for every N: the operation answers
 * ENOMEM (or ENFILE), leaks nothing and leaves the tree usable.
 */
#include "tests/unit/failing_alloc.h"
#include "tests/unit/vfs_fixture.h"

#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "sentry/vfs/file_lock.h"

static int big_write(void)
{
    static char data[100000];
    struct file *file;
    int error = t_open("/d/big", O_CREAT | O_RDWR, 0644, &file);
    if (error == 0) {
        ssize_t count = t_write(file, data, 100);
        if (count >= 0) {
            count = t_write(file, data, sizeof(data));
        }
        struct mm_source source;
        error = count < 0 ? (int)count : file_mmap(file, 0, 4096, 1, MAP_SHARED, &source);
        file_unref(file);
    }
    return error;
}

static int lock_range(void)
{
    struct file *file;
    int error = t_open("/d/f", O_RDWR, 0, &file);
    if (error == 0) {
        struct file_lock lock = {
            .kind = FILE_LOCK_POSIX, .type = F_WRLCK, .end = 100, .owner = &lock};
        error = file_lock_set(file, &lock, NULL);
        lock.type = F_UNLCK;
        lock.start = lock.end = 50;
        if (error == 0) {
            error = file_lock_set(file, &lock, NULL);
        }
        file_flush(file, &lock);
        file_unref(file);
    }
    return error;
}

static int one_operation(int number)
{
    char long_name[120];
    struct path path;
    struct inode_attr attr;
    struct file *file;
    struct fd_table *table, *copy;
    int error;
    memset(long_name, 'n', sizeof(long_name));
    long_name[0] = '/';
    long_name[119] = '\0';
    switch (number) {
    case 0:
        return vfs_mkdir(NULL, "/d/sub", 0755);
    case 1:
        return t_put("/d/new", "text");
    case 2:
        return vfs_symlink("target", NULL, "/d/link");
    case 3:
        return t_link("/d/f", "/d/hard");
    case 4:
        return t_rename("/d/f", long_name, 0);
    case 5:
        return t_rename("/d/f", "/d/w", RENAME_WHITEOUT);
    case 6:
        return vfs_unlink(NULL, "/d/f", false);
    case 7:
        return t_stat("/l/f", WALK_FOLLOW, &attr);
    case 8:
        return big_write();
    case 9:
        return lock_range();
    case 10:
        error = path_walk(NULL, "/d/f", 0, &path);
        if (error == 0) {
            error = vfs_setxattr(&path, "user.x", "value", 5, 0);
            path_unref(&path);
        }
        return error;
    case 11:
        error = t_open("/d", O_TMPFILE | O_RDWR, 0600, &file);
        if (error == 0) {
            file_unref(file);
        }
        return error;
    case 12:
        error = tmpfs_new_memfd("m", 0, &file);
        if (error == 0) {
            file_unref(file);
        }
        return error;
    case 13:
        table = fd_table_new();
        if (!table) {
            return -ENOMEM;
        }
        error = fd_table_copy(table, UINT32_MAX, &copy);
        if (error == 0) {
            fd_table_unref(copy);
        }
        fd_table_unref(table);
        return error;
    case 14:
        error = path_walk(NULL, "/d/sub0", 0, &path);
        if (error == 0) {
            const struct tmpfs_options options = {.mode = 0755};
            struct super *super;
            error = tmpfs_new(&options, &super);
            if (error == 0) {
                error = mount_add(super, "x", 0, &path);
                if (error != 0) {
                    super_drop(super);
                }
            }
            path_unref(&path);
        }
        return error;
    default:
        return 1;
    }
}

static void every_allocation(void **state)
{
    for (int number = 0;; number++) {
        int runs = 0;
        do {
            assert_int_equal(vfs_setup(state), 0);
            assert_int_equal(vfs_mkdir(NULL, "/d", 0755), 0);
            assert_int_equal(vfs_mkdir(NULL, "/d/sub0", 0755), 0);
            assert_int_equal(t_put("/d/f", "x"), 0);
            assert_int_equal(vfs_symlink("/d", NULL, "/l"), 0);
            dentry_shrink(NULL);
            alloc_failed = false;
            alloc_countdown = runs++;
            int error = one_operation(number);
            alloc_countdown = -1;
            if (error == 1) {
                assert_int_equal(vfs_teardown(state), 0);
                return;
            }
            if (error != 0 && !(alloc_failed && error == -ENOMEM)) {
                print_error("operation %d, allocation %d: %d\n", number, runs - 1, error);
            }
            /* A table that could not grow is no failure. */
            assert_true(error == 0 || (alloc_failed && error == -ENOMEM));
            struct inode_attr attr;
            assert_int_equal(t_stat("/d/sub0", 0, &attr), 0);
            assert_int_equal(vfs_mkdir(NULL, "/d/after", 0755), 0);
            if (vfs_teardown(state) != 0) {
                fail_msg("operation %d, allocation %d: something is still in memory", number,
                         runs - 1);
            }
        } while (alloc_failed);
        assert_true(runs > 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
