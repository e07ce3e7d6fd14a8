/* vfs_file_test.c: open flags, reads, writes, limits, tmpfs contents, seals, xattrs, descriptors.
 */
#include "tests/unit/vfs_fixture.h"

#include <linux/falloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "sentry/vfs/special.h"

static void open_flags(void **state)
{
    (void)state;
    struct file *file;
    assert_int_equal(vfs_mkdir(NULL, "/d", 0755), 0);
    assert_int_equal(t_put("/f", "hello"), 0);
    assert_int_equal(vfs_symlink("f", NULL, "/l"), 0);
    assert_int_equal(vfs_symlink("d", NULL, "/dl"), 0);
    assert_int_equal(vfs_symlink("made", NULL, "/dangling"), 0);
    assert_int_equal(t_try_open("/d", O_RDWR, 0), -EISDIR);
    assert_int_equal(t_try_open("/d", O_RDONLY | O_CREAT, 0644), -EISDIR);
    assert_int_equal(t_try_open("/d", O_RDONLY | O_CREAT | O_EXCL, 0644), -EEXIST);
    assert_int_equal(t_try_open("/d/.", O_RDONLY | O_CREAT, 0644), -EISDIR);
    assert_int_equal(t_try_open("/new/", O_RDWR | O_CREAT, 0644), -EISDIR);
    assert_int_equal(t_try_open("/f/", O_RDONLY, 0), -ENOTDIR);
    assert_int_equal(t_try_open("/f", O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);
    assert_int_equal(t_try_open("/f", O_RDONLY | O_DIRECTORY | O_CREAT, 0644), -EINVAL);
    assert_int_equal(t_try_open("/l", O_RDONLY | O_NOFOLLOW, 0), -ELOOP);
    assert_int_equal(t_try_open("/dl", O_RDONLY | O_NOFOLLOW | O_DIRECTORY, 0), -ENOTDIR);
    assert_int_equal(t_try_open("/l", O_PATH | O_NOFOLLOW, 0), 0);
    assert_int_equal(t_try_open("/l", O_RDWR | O_CREAT | O_EXCL, 0644), -EEXIST);
    assert_int_equal(t_try_open("/dangling", O_RDWR | O_CREAT | O_EXCL, 0644), -EEXIST);
    assert_int_equal(t_try_open("/dangling", O_RDWR, 0644), -ENOENT);
    assert_int_equal(t_try_open("/dangling", O_RDWR | O_CREAT, 0644), 0);
    assert_int_equal(t_try_open("/made", O_RDONLY, 0), 0);
    assert_int_equal(t_try_open("/f", O_TMPFILE | O_RDWR, 0644), -ENOTDIR);
    assert_int_equal(t_try_open("/d", O_TMPFILE | O_RDONLY, 0644), -EINVAL);
    assert_int_equal(vfs_mknod(NULL, "/sock", S_IFSOCK | 0644, 0), 0);
    assert_int_equal(vfs_mknod(NULL, "/chr", S_IFCHR | 0644, 0x103), 0);
    assert_int_equal(vfs_mknod(NULL, "/fifo", S_IFIFO | 0644, 0), 0);
    assert_int_equal(t_try_open("/sock", O_RDWR, 0), -ENXIO);
    assert_int_equal(t_try_open("/chr", O_RDWR, 0), -ENXIO);
    assert_int_equal(t_try_open("/sock", O_PATH, 0), 0);
    assert_int_equal(t_open("/f", O_RDONLY, 0, &file), 0);
    char buffer[8];
    assert_int_equal(t_write(file, "x", 1), -EBADF);
    assert_int_equal(t_read(file, buffer, 8), 5);
    assert_int_equal(t_read(file, buffer, 8), 0);
    assert_int_equal(t_pread(file, buffer, 8, UINT64_MAX), -EINVAL);
    file_unref(file);
    assert_int_equal(t_open("/d", O_RDONLY, 0, &file), 0);
    assert_int_equal(t_read(file, buffer, 8), -EISDIR);
    file_unref(file);
    assert_int_equal(t_open("/f", 3, 0, &file), 0);
    assert_int_equal(t_read(file, buffer, 8), -EBADF);
    assert_int_equal(t_write(file, buffer, 8), -EBADF);
    file_unref(file);
}

static void tmpfile_gets_a_name(void **state)
{
    (void)state;
    struct file *file;
    struct inode_attr attr;
    assert_int_equal(t_open("/", O_TMPFILE | O_RDWR, 0600, &file), 0);
    assert_int_equal(t_write(file, "abc", 3), 3);
    assert_int_equal(vfs_link(&file->path, NULL, "/named"), 0);
    assert_int_equal(vfs_unlink(NULL, "/named", false), 0);
    assert_int_equal(vfs_link(&file->path, NULL, "/named"), -ENOENT);
    file_unref(file);
    assert_int_equal(t_open("/", O_TMPFILE | O_EXCL | O_RDWR, 0600, &file), 0);
    assert_int_equal(vfs_link(&file->path, NULL, "/named"), -ENOENT);
    file_unref(file);
    assert_int_equal(t_stat("/named", 0, &attr), -ENOENT);
}

static void executed_files(void **state)
{
    (void)state;
    struct file *program, *file;
    assert_int_equal(t_put("/p", "x"), 0);
    assert_int_equal(vfs_open_exec(NULL, "/p", WALK_FOLLOW, &program), -EACCES);
    struct path path;
    assert_int_equal(path_walk(NULL, "/p", 0, &path), 0);
    assert_int_equal(vfs_chmod(&path, 0755), 0);
    assert_int_equal(vfs_open_exec(NULL, "/", WALK_FOLLOW, &program), -EACCES);
    assert_int_equal(vfs_open_exec(NULL, "/p", WALK_FOLLOW, &program), 0);
    assert_int_equal(t_try_open("/p", O_WRONLY, 0), -ETXTBSY);
    assert_int_equal(t_try_open("/p", O_RDONLY | O_TRUNC, 0), -ETXTBSY);
    assert_int_equal(vfs_truncate(&path, 0), -ETXTBSY);
    file_unref(program);
    assert_int_equal(t_open("/p", O_WRONLY, 0, &file), 0);
    assert_int_equal(vfs_open_exec(NULL, "/p", WALK_FOLLOW, &program), -ETXTBSY);
    file_unref(file);
    path_unref(&path);
}

static int last_signal;

static void take_signal(int signo)
{
    last_signal = signo;
}

static void write_rules(void **state)
{
    (void)state;
    struct file *file, *append;
    struct inode_attr attr;
    char buffer[64] = {0};
    assert_int_equal(t_open("/f", O_CREAT | O_RDWR, 0644, &file), 0);
    assert_int_equal(t_open("/f", O_WRONLY | O_APPEND, 0, &append), 0);
    assert_int_equal(t_write(file, "12345", 5), 5);
    assert_int_equal(t_write(append, "678", 3), 3);
    assert_int_equal(t_pwrite(append, "9", 1, 0), 1);
    assert_int_equal(t_pread(file, buffer, 64, 0), 9);
    assert_string_equal(buffer, "123456789");
    assert_int_equal(file_seek(file, 0, SEEK_CUR), 5);
    assert_int_equal(file_seek(file, -10, SEEK_CUR), -EINVAL);
    assert_int_equal(file_seek(file, INT64_MAX, SEEK_CUR), -EOVERFLOW);
    assert_int_equal(file_seek(file, 0, 9), -EINVAL);
    struct path path;
    assert_int_equal(path_walk(NULL, "/f", 0, &path), 0);
    assert_int_equal(vfs_chmod(&path, 06777), 0);
    struct cred *user = cred_new(1000, 1000);
    current.cred = user;
    assert_int_equal(t_write(append, "0", 1), 1);
    current.cred = &cred_boot;
    cred_unref(user);
    assert_int_equal(t_stat("/f", 0, &attr), 0);
    assert_int_equal(attr.mode, S_IFREG | 0777);
    current_hooks.send_signal = take_signal;
    current.file_limit = 12;
    assert_int_equal(t_write(append, "abcdef", 6), 2);
    assert_int_equal(last_signal, 0);
    assert_int_equal(t_write(append, "abcdef", 6), -EFBIG);
    assert_int_equal(last_signal, SIGXFSZ);
    last_signal = 0;
    assert_int_equal(file_truncate(file, 100), -EFBIG);
    assert_int_equal(last_signal, SIGXFSZ);
    assert_int_equal(file_allocate(file, 0, 0, 100), -EFBIG);
    current.file_limit = UINT64_MAX;
    assert_int_equal(t_pwrite(file, "x", 1, INT64_MAX), -EFBIG);
    assert_int_equal(file_truncate(file, 0), 0);
    assert_int_equal(file_truncate(append, UINT64_MAX), -EINVAL);
    path_unref(&path);
    file_unref(file);
    file_unref(append);
}

static void contents(void **state)
{
    (void)state;
    struct file *file;
    struct inode_attr attr;
    static char big[300000], back[300000];
    for (size_t i = 0; i < sizeof(big); i++) {
        big[i] = (char)(i * 7 + i / 251);
    }
    assert_int_equal(t_open("/f", O_CREAT | O_RDWR, 0644, &file), 0);
    assert_int_equal(t_pwrite(file, big, 1000, 5000), 1000);
    assert_int_equal(t_pread(file, back, sizeof(back), 0), 6000);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(back[i], 0);
    }
    assert_memory_equal(back + 5000, big, 1000);
    assert_int_equal(file_truncate(file, 5500), 0);
    assert_int_equal(file_truncate(file, 7000), 0);
    assert_int_equal(t_pread(file, back, sizeof(back), 5400), 1600);
    assert_memory_equal(back, big + 400, 100);
    for (int i = 100; i < 1600; i++) {
        assert_int_equal(back[i], 0);
    }
    assert_int_equal(t_pwrite(file, big, sizeof(big), 0), sizeof(big));
    assert_int_equal(t_pread(file, back, sizeof(back), 0), sizeof(back));
    assert_memory_equal(back, big, sizeof(big));
    uint64_t far = 5ULL << 30;
    assert_int_equal(t_pwrite(file, "end", 3, far), 3);
    assert_int_equal(t_stat("/f", 0, &attr), 0);
    assert_int_equal(attr.size, far + 3);
    assert_true(attr.blocks * 512 < 400000);
    int64_t hole = file_seek(file, 0, SEEK_HOLE);
    assert_true(hole >= 300000 && hole < 400000);
    assert_int_equal(file_seek(file, hole, SEEK_DATA), far);
    assert_int_equal(file_seek(file, (int64_t)far + 3, SEEK_DATA), -ENXIO);
    assert_int_equal(file_allocate(file, FALLOC_FL_PUNCH_HOLE, 0, 4096), -EOPNOTSUPP);
    assert_int_equal(file_allocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192),
                     0);
    assert_int_equal(t_pread(file, back, 4096, 8192), 4096);
    assert_int_equal(back[100], 0);
    struct mm_source source;
    assert_int_equal(file_mmap(file, 0, 4096, PROT_READ, MAP_SHARED, &source), 0);
    assert_true(source.fd >= 0);
    file_unref(file);
    assert_int_equal(t_open("/g", O_CREAT | O_RDWR, 0644, &file), 0);
    assert_int_equal(t_write(file, "small", 5), 5);
    assert_int_equal(file_mmap(file, 0, 4096, PROT_READ, MAP_SHARED, &source), 0);
    char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, source.fd, 0);
    assert_true(map != MAP_FAILED);
    assert_memory_equal(map, "small", 6);
    assert_int_equal(t_pwrite(file, "S", 1, 0), 1);
    assert_memory_equal(map, "Small", 6);
    munmap(map, 4096);
    assert_int_equal(file_allocate(file, 0, 0, 10000), 0);
    assert_int_equal(t_stat("/g", 0, &attr), 0);
    assert_int_equal(attr.size, 10000);
    file_unref(file);
}

static int limited_setup(void **state)
{
    (void)state;
    const struct tmpfs_options options = {.mode = 0755, .max_bytes = 100 * 4096, .max_inodes = 5};
    return vfs_setup_with(&options);
}

static void limits(void **state)
{
    (void)state;
    struct file *file;
    static char data[600000];
    struct path root;
    struct statfs st;
    assert_int_equal(t_open("/a", O_CREAT | O_RDWR, 0644, &file), 0);
    assert_int_equal(t_write(file, data, 4096), 4096);
    assert_int_equal(t_pwrite(file, data, sizeof(data), 4096), 99 * 4096);
    assert_int_equal(t_pwrite(file, data, sizeof(data), 100 * 4096), -ENOSPC);
    assert_int_equal(t_pwrite(file, data, 4096, 0), 4096);
    assert_int_equal(t_pwrite(file, data, 4096, 1 << 30), -ENOSPC);
    fs_context_get_root(current.fs, &root);
    assert_int_equal(super_statfs(root.mount->super, &st), 0);
    assert_int_equal(st.f_type, 0x01021994);
    assert_int_equal(st.f_blocks, 100);
    assert_int_equal(st.f_bfree, 0);
    assert_int_equal(file_truncate(file, 4096 * 10), 0);
    assert_int_equal(super_statfs(root.mount->super, &st), 0);
    assert_int_equal(st.f_bfree, 90);
    assert_int_equal(file_allocate(file, 0, 0, 101 * 4096), -ENOSPC);
    assert_int_equal(file_allocate(file, 0, 0, 50 * 4096), 0);
    assert_int_equal(super_statfs(root.mount->super, &st), 0);
    assert_int_equal(st.f_bfree, 50);
    assert_int_equal(t_put("/b", "x"), 0);
    assert_int_equal(t_put("/c", "x"), 0);
    assert_int_equal(t_put("/d", "x"), 0);
    assert_int_equal(t_put("/e", "x"), -ENOSPC);
    assert_int_equal(vfs_unlink(NULL, "/b", false), 0);
    assert_int_equal(vfs_unlink(NULL, "/a", false), 0);
    assert_int_equal(t_put("/e", "x"), 0);
    file_unref(file);
    assert_int_equal(super_statfs(root.mount->super, &st), 0);
    assert_int_equal(st.f_bfree, 97);
    assert_int_equal(st.f_ffree, 1);
    path_unref(&root);
}

static void seals(void **state)
{
    (void)state;
    struct file *file;
    struct mm_source source;
    assert_int_equal(tmpfs_new_memfd("a", 0, &file), 0);
    assert_int_equal(file_get_seals(file), 1);
    assert_int_equal(file_add_seals(file, 2), -EPERM);
    file_unref(file);
    assert_int_equal(tmpfs_new_memfd("a", TMPFS_MEMFD_ALLOW_SEALING, &file), 0);
    assert_int_equal(t_write(file, "1234", 4), 4);
    file->backing.ops->shared_write(&file->backing, 1);
    assert_int_equal(file_add_seals(file, 8), -EBUSY);
    file->backing.ops->shared_write(&file->backing, -1);
    assert_int_equal(file_add_seals(file, 64), -EINVAL);
    assert_int_equal(file_add_seals(file, 2), 0);
    assert_int_equal(file_truncate(file, 2), -EPERM);
    assert_int_equal(file_truncate(file, 8), 0);
    assert_int_equal(file_add_seals(file, 4), 0);
    assert_int_equal(file_truncate(file, 9), -EPERM);
    assert_int_equal(t_pwrite(file, "xx", 2, 7), -EPERM);
    assert_int_equal(t_pwrite(file, "x", 1, 7), 1);
    assert_int_equal(file_add_seals(file, 8 | 1), 0);
    assert_int_equal(t_pwrite(file, "x", 1, 0), -EPERM);
    assert_int_equal(file_mmap(file, 0, 4096, 3, MAP_SHARED, &source), -EPERM);
    assert_int_equal(file_mmap(file, 0, 4096, 3, MAP_PRIVATE, &source), 0);
    assert_int_equal(file_add_seals(file, 16), -EPERM);
    assert_int_equal(file_get_seals(file), 15);
    file_unref(file);
}

static void xattrs(void **state)
{
    (void)state;
    struct path f, l;
    char buffer[64];
    assert_int_equal(t_put("/f", "x"), 0);
    assert_int_equal(vfs_symlink("f", NULL, "/l"), 0);
    assert_int_equal(path_walk(NULL, "/f", 0, &f), 0);
    assert_int_equal(path_walk(NULL, "/l", 0, &l), 0);
    assert_int_equal(vfs_setxattr(&f, "user.a", "value", 5, 2), -ENODATA);
    assert_int_equal(vfs_setxattr(&f, "user.a", "value", 5, 0), 0);
    assert_int_equal(vfs_setxattr(&f, "user.a", "v", 1, 1), -EEXIST);
    assert_int_equal(vfs_getxattr(&f, "user.a", NULL, 0), 5);
    assert_int_equal(vfs_getxattr(&f, "user.a", buffer, 3), -ERANGE);
    assert_int_equal(vfs_getxattr(&f, "user.a", buffer, 64), 5);
    assert_memory_equal(buffer, "value", 5);
    assert_int_equal(vfs_getxattr(&f, "user.b", buffer, 64), -ENODATA);
    assert_int_equal(vfs_getxattr(&f, "system.b", buffer, 64), -EOPNOTSUPP);
    assert_int_equal(vfs_setxattr(&l, "user.a", "value", 5, 0), -EPERM);
    assert_int_equal(vfs_setxattr(&l, "trusted.a", "value", 5, 0), 0);
    assert_int_equal(vfs_listxattr(&f, buffer, 64), 7);
    assert_string_equal(buffer, "user.a");
    assert_int_equal(vfs_listxattr(&f, buffer, 3), -ERANGE);
    assert_int_equal(vfs_removexattr(&f, "user.a"), 0);
    assert_int_equal(vfs_removexattr(&f, "user.a"), -ENODATA);
    path_unref(&f);
    path_unref(&l);
}

static void descriptors(void **state)
{
    (void)state;
    struct fd_table *table = fd_table_new();
    struct fd_table *copy;
    struct file *file;
    bool cloexec;
    assert_int_equal(t_open("/f", O_CREAT | O_RDWR, 0644, &file), 0);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(fd_install(table, file_ref(file), i % 2 == 1, 0, 256), i);
    }
    assert_int_equal(fd_close(table, 7), 0);
    assert_int_equal(fd_close(table, 3), 0);
    assert_int_equal(fd_close(table, 3), -EBADF);
    assert_int_equal(fd_close(table, -1), -EBADF);
    assert_int_equal(fd_install(table, file_ref(file), false, 4, 256), 7);
    assert_int_equal(fd_install(table, file_ref(file), false, 0, 256), 3);
    assert_int_equal(fd_install(table, file, false, 0, 200), -EMFILE);
    assert_int_equal(fd_install_at(table, 250, file_ref(file), true, 256), 250);
    assert_int_equal(fd_install_at(table, 256, file, true, 256), -EBADF);
    struct file *both[2] = {file, file};
    int fds[2];
    assert_int_equal(fd_install_two(table, both, false, 201, fds), -EMFILE);
    assert_int_equal(fd_table_copy(table, UINT32_MAX, &copy), 0);
    fd_close_on_exec(copy);
    assert_int_equal(fd_next(copy, 195), 196);
    assert_null(fd_get(copy, 250, &cloexec));
    struct file *got = fd_get(table, 250, &cloexec);
    assert_ptr_equal(got, file);
    assert_true(cloexec);
    file_unref(got);
    fd_close_range(table, 10, UINT32_MAX, false);
    assert_int_equal(fd_next(table, 10), -1);
    assert_int_equal(table->count, 10);
    fd_table_unref(table);
    fd_table_unref(copy);
    assert_int_equal(atomic_load(&file->ref.count), 1);
    file_unref(file);
}

static int open_pipe(struct inode *inode, struct file *file)
{
    static struct file_ops ops;
    (void)inode;
    file->ops = &ops;
    file->mode |= FILE_STREAM;
    return 0;
}

static void fifo_hook(void **state)
{
    (void)state;
    struct file *file;
    vfs_special.open_fifo = open_pipe;
    assert_int_equal(vfs_mknod(NULL, "/p", S_IFIFO | 0644, 0), 0);
    assert_int_equal(t_open("/p", O_RDWR, 0, &file), 0);
    assert_int_equal(file_open_wait(file), 0);
    assert_int_equal(file_seek(file, 0, SEEK_SET), -ESPIPE);
    assert_int_equal(t_pwrite(file, "x", 1, 0), -EINVAL);
    file_unref(file);
    vfs_special.open_fifo = NULL;
}

static void times(void **state)
{
    (void)state;
    struct path f;
    struct inode_attr before, after;
    assert_int_equal(t_put("/f", "x"), 0);
    assert_int_equal(path_walk(NULL, "/f", 0, &f), 0);
    struct inode_attr set = {.atime = {.tv_sec = 100}, .mtime = {.tv_sec = 200}};
    assert_int_equal(vfs_setattr(&f, &set, INODE_SET_ATIME | INODE_SET_MTIME), 0);
    assert_int_equal(t_stat("/f", 0, &before), 0);
    assert_int_equal(before.atime.tv_sec, 100);
    assert_int_equal(before.mtime.tv_sec, 200);
    struct file *file;
    char c;
    assert_int_equal(t_open("/f", O_RDONLY, 0, &file), 0);
    assert_int_equal(t_read(file, &c, 1), 1);
    assert_int_equal(t_stat("/f", 0, &after), 0);
    assert_true(after.atime.tv_sec > 1000);
    assert_int_equal(after.mtime.tv_sec, 200);
    struct cred *user = cred_new(1000, 1000);
    current.cred = user;
    assert_int_equal(vfs_setattr(&f, &set, INODE_SET_ATIME | INODE_SET_MTIME), -EPERM);
    assert_int_equal(vfs_setattr(&f, &set, INODE_SET_ATIME | INODE_SET_MTIME | INODE_SET_TOUCH),
                     -EACCES);
    assert_int_equal(vfs_chmod(&f, 0777), -EPERM);
    assert_int_equal(vfs_chown(&f, 1000, UINT32_MAX), -EPERM);
    current.cred = &cred_boot;
    cred_unref(user);
    file_unref(file);
    path_unref(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(open_flags, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(tmpfile_gets_a_name, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(executed_files, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(write_rules, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(contents, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(limits, limited_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(seals, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(xattrs, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(descriptors, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(fifo_hook, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(times, vfs_setup, vfs_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
