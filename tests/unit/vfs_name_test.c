/* vfs_name_test.c: walks, names and their errors on tmpfs; expected values are what Linux answers.
 */
#include "tests/unit/vfs_fixture.h"

#include <linux/fs.h>
#include <sys/stat.h>

static void walk_errors(void **state)
{
    (void)state;
    struct inode_attr attr;
    char name[4200];
    assert_int_equal(vfs_mkdir(NULL, "/d", 0755), 0);
    assert_int_equal(t_put("/d/f", "x"), 0);
    assert_int_equal(t_stat("", 0, &attr), -ENOENT);
    assert_int_equal(t_stat("/", 0, &attr), 0);
    assert_int_equal(t_stat("//d///f", 0, &attr), 0);
    assert_int_equal(t_stat("/d/f/", 0, &attr), -ENOTDIR);
    assert_int_equal(t_stat("/d/f/x", 0, &attr), -ENOTDIR);
    assert_int_equal(t_stat("/d/f/..", 0, &attr), -ENOTDIR);
    assert_int_equal(t_stat("/d/none", 0, &attr), -ENOENT);
    assert_int_equal(t_stat("/none/x", 0, &attr), -ENOENT);
    assert_int_equal(t_stat("/d/./../d/../../..", 0, &attr), 0);
    memset(name, 'a', sizeof(name));
    name[0] = '/';
    name[257] = '\0';
    assert_int_equal(t_stat(name, 0, &attr), -ENAMETOOLONG);
    name[256] = '\0';
    assert_int_equal(t_stat(name, 0, &attr), -ENOENT);
    name[256] = 'a';
    name[4199] = '\0';
    assert_int_equal(t_stat(name, 0, &attr), -ENAMETOOLONG);
}

static void links(void **state)
{
    (void)state;
    struct inode_attr attr, other;
    assert_int_equal(vfs_mkdir(NULL, "/d", 0755), 0);
    assert_int_equal(t_put("/d/f", "x"), 0);
    assert_int_equal(vfs_symlink("f", NULL, "/d/l"), 0);
    assert_int_equal(vfs_symlink("/d/", NULL, "/dl"), 0);
    assert_int_equal(vfs_symlink("loop", NULL, "/loop"), 0);
    assert_int_equal(vfs_symlink("nowhere", NULL, "/dangling"), 0);
    assert_int_equal(vfs_symlink("", NULL, "/empty"), -ENOENT);
    assert_int_equal(t_stat("/d/l", 0, &attr), 0);
    assert_true(S_ISLNK(attr.mode));
    assert_int_equal(attr.size, 1);
    assert_int_equal(t_stat("/d/l", WALK_FOLLOW, &attr), 0);
    assert_true(S_ISREG(attr.mode));
    assert_int_equal(t_stat("/dl/f", 0, &other), 0);
    assert_int_equal(attr.ino, other.ino);
    assert_int_equal(t_stat("/dl/", 0, &attr), 0);
    assert_true(S_ISDIR(attr.mode));
    assert_int_equal(t_stat("/d/l/", 0, &attr), -ENOTDIR);
    assert_int_equal(t_stat("/loop", WALK_FOLLOW, &attr), -ELOOP);
    assert_int_equal(t_stat("/loop/x", 0, &attr), -ELOOP);
    assert_int_equal(t_stat("/dangling", WALK_FOLLOW, &attr), -ENOENT);
    char from[32], to[32];
    for (int i = 0; i < 41; i++) {
        snprintf(from, sizeof(from), "/c%d", i);
        snprintf(to, sizeof(to), "c%d", i + 1);
        assert_int_equal(vfs_symlink(to, NULL, from), 0);
    }
    assert_int_equal(t_put("/c41", ""), 0);
    assert_int_equal(t_stat("/c1", WALK_FOLLOW, &attr), 0);
    assert_int_equal(t_stat("/c0", WALK_FOLLOW, &attr), -ELOOP);
}

static void create_errors(void **state)
{
    (void)state;
    assert_int_equal(vfs_mkdir(NULL, "/d/", 0755), 0);
    assert_int_equal(vfs_mkdir(NULL, "/d", 0755), -EEXIST);
    assert_int_equal(vfs_mkdir(NULL, "/", 0755), -EEXIST);
    assert_int_equal(vfs_mkdir(NULL, "/d/..", 0755), -EEXIST);
    assert_int_equal(vfs_mkdir(NULL, "/x/y", 0755), -ENOENT);
    assert_int_equal(vfs_mknod(NULL, "/n/", S_IFREG | 0644, 0), -ENOENT);
    assert_int_equal(vfs_mknod(NULL, "/n", S_IFDIR | 0644, 0), -EPERM);
    assert_int_equal(vfs_mknod(NULL, "/n", S_IFLNK | 0644, 0), -EINVAL);
    assert_int_equal(vfs_mknod(NULL, "/n", S_IFCHR | 0644, 0x103), 0);
    assert_int_equal(vfs_mknod(NULL, "/n/x", S_IFREG | 0644, 0), -ENOTDIR);
    assert_int_equal(vfs_symlink("t", NULL, "/s/"), -ENOENT);
    assert_int_equal(vfs_unlink(NULL, "/d", false), -EISDIR);
    assert_int_equal(vfs_unlink(NULL, "/d/", false), -EISDIR);
    assert_int_equal(vfs_unlink(NULL, "/n/", false), -ENOTDIR);
    assert_int_equal(vfs_unlink(NULL, "/none/", false), -ENOENT);
    assert_int_equal(vfs_unlink(NULL, "/d/.", false), -EISDIR);
    assert_int_equal(vfs_unlink(NULL, "/n", true), -ENOTDIR);
    assert_int_equal(vfs_unlink(NULL, "/d/.", true), -EINVAL);
    assert_int_equal(vfs_unlink(NULL, "/d/..", true), -ENOTEMPTY);
    assert_int_equal(vfs_unlink(NULL, "/", true), -EBUSY);
    assert_int_equal(vfs_mkdir(NULL, "/d/e", 0755), 0);
    assert_int_equal(vfs_unlink(NULL, "/d", true), -ENOTEMPTY);
    struct inode_attr attr;
    assert_int_equal(t_stat("/d", 0, &attr), 0);
    assert_int_equal(attr.nlink, 3);
    assert_int_equal(t_chdir("/d/e"), 0);
    assert_int_equal(vfs_unlink(NULL, "/d/e/", true), 0);
    assert_int_equal(vfs_mkdir(NULL, "x", 0755), -ENOENT);
    assert_int_equal(t_stat(".", 0, &attr), 0);
    assert_int_equal(attr.nlink, 0);
    assert_int_equal(t_stat("x", 0, &attr), -ENOENT);
    assert_int_equal(t_stat("../../n", 0, &attr), 0);
}

static void rename_errors(void **state)
{
    (void)state;
    struct inode_attr attr, other;
    assert_int_equal(vfs_mkdir(NULL, "/a", 0755), 0);
    assert_int_equal(vfs_mkdir(NULL, "/a/b", 0755), 0);
    assert_int_equal(vfs_mkdir(NULL, "/c", 0755), 0);
    assert_int_equal(t_put("/f", "f"), 0);
    assert_int_equal(t_put("/g", "g"), 0);
    assert_int_equal(t_rename("/a", "/a/b/c", 0), -EINVAL);
    assert_int_equal(t_rename("/a/b", "/a", 0), -ENOTEMPTY);
    assert_int_equal(t_rename("/none", "/x", 0), -ENOENT);
    assert_int_equal(t_rename("/f", "/x/", 0), -ENOTDIR);
    assert_int_equal(t_rename("/f/", "/x", 0), -ENOTDIR);
    assert_int_equal(t_rename("/f", "/c", 0), -EISDIR);
    assert_int_equal(t_rename("/c", "/f", 0), -ENOTDIR);
    assert_int_equal(t_rename("/c", "/a", 0), -ENOTEMPTY);
    assert_int_equal(t_rename("/a/.", "/x", 0), -EBUSY);
    assert_int_equal(t_rename("/a", "/", 0), -EBUSY);
    assert_int_equal(t_rename("/f", "/g", RENAME_NOREPLACE), -EEXIST);
    assert_int_equal(t_rename("/f", "/g", RENAME_NOREPLACE | RENAME_EXCHANGE), -EINVAL);
    assert_int_equal(t_rename("/f", "/none", RENAME_EXCHANGE), -ENOENT);
    assert_int_equal(t_stat("/f", 0, &attr), 0);
    assert_int_equal(t_rename("/f", "/c", RENAME_EXCHANGE), 0);
    assert_int_equal(t_stat("/c", 0, &other), 0);
    assert_int_equal(attr.ino, other.ino);
    assert_int_equal(t_rename("/f", "/a/b/moved/", 0), 0);
    assert_int_equal(t_stat("/a/b/moved", 0, &other), 0);
    assert_true(S_ISDIR(other.mode));
    assert_int_equal(t_stat("/a/b", 0, &other), 0);
    assert_int_equal(other.nlink, 3);
    assert_int_equal(t_link("/g", "/h"), 0);
    assert_int_equal(t_rename("/g", "/h", 0), 0);
    assert_int_equal(t_stat("/g", 0, &other), 0);
    assert_int_equal(other.nlink, 2);
    assert_int_equal(t_rename("/g", "/w", RENAME_WHITEOUT), 0);
    assert_int_equal(t_stat("/g", 0, &other), 0);
    assert_true(S_ISCHR(other.mode));
    assert_int_equal(t_rename("/c", "/w", 0), 0);
    assert_int_equal(t_stat("/h", 0, &other), 0);
    assert_int_equal(other.nlink, 1);
}

static void long_names_move(void **state)
{
    (void)state;
    char from[201], to[211];
    struct inode_attr attr;
    memset(from, 'f', 200);
    memset(to, 't', 210);
    from[0] = to[0] = '/';
    from[200] = to[210] = '\0';
    assert_int_equal(t_put(from, "x"), 0);
    assert_int_equal(t_put("/s", "x"), 0);
    assert_int_equal(t_rename(from, to, 0), 0);
    assert_int_equal(t_stat(from, 0, &attr), -ENOENT);
    assert_int_equal(t_rename(to, "/s", RENAME_EXCHANGE), 0);
    assert_int_equal(t_stat(to, 0, &attr), 0);
    assert_int_equal(t_rename("/s", from, 0), 0);
    assert_int_equal(t_stat(from, 0, &attr), 0);
    assert_int_equal(t_stat("/s", 0, &attr), -ENOENT);
}

static void permissions(void **state)
{
    (void)state;
    struct cred *user = cred_new(1000, 1000);
    struct cred *user2 = cred_new(1001, 1001);
    struct inode_attr attr;
    assert_int_equal(vfs_mkdir(NULL, "/tmp", 01777), 0);
    struct path tmp;
    assert_int_equal(path_walk(NULL, "/tmp", 0, &tmp), 0);
    assert_int_equal(vfs_chmod(&tmp, 01777), 0);
    path_unref(&tmp);
    assert_int_equal(vfs_mkdir(NULL, "/secret", 0700), 0);
    assert_int_equal(t_put("/secret/f", "x"), 0);
    assert_int_equal(t_put("/rootfile", "x"), 0);
    current.cred = user;
    assert_int_equal(t_stat("/secret/f", 0, &attr), -EACCES);
    assert_int_equal(t_stat("/secret/none", 0, &attr), -EACCES);
    assert_int_equal(t_stat("/secret/..", 0, &attr), -EACCES);
    assert_int_equal(vfs_mkdir(NULL, "/x", 0755), -EACCES);
    assert_int_equal(vfs_mkdir(NULL, "/tmp", 0755), -EEXIST);
    assert_int_equal(t_try_open("/rootfile", O_RDWR, 0), -EACCES);
    assert_int_equal(t_try_open("/rootfile", O_RDONLY | O_TRUNC, 0), -EACCES);
    assert_int_equal(t_try_open("/rootfile", O_RDONLY | O_NOATIME, 0), -EPERM);
    assert_int_equal(vfs_unlink(NULL, "/rootfile", false), -EACCES);
    assert_int_equal(t_put("/tmp/mine", "x"), 0);
    assert_int_equal(t_try_open("/tmp/ro", O_CREAT | O_RDWR, 0), 0);
    assert_int_equal(t_try_open("/tmp/ro", O_RDONLY, 0), -EACCES);
    assert_int_equal(vfs_mknod(NULL, "/tmp/dev", S_IFCHR | 0666, 0x103), -EPERM);
    current.cred = user2;
    assert_int_equal(vfs_unlink(NULL, "/tmp/mine", false), -EPERM);
    assert_int_equal(t_rename("/tmp/mine", "/tmp/other", 0), -EPERM);
    assert_int_equal(t_put("/tmp/theirs", "x"), 0);
    assert_int_equal(t_rename("/tmp/theirs", "/tmp/mine", 0), -EPERM);
    current.cred = &cred_boot;
    cred_unref(user);
    cred_unref(user2);
}

static void setgid_and_chown(void **state)
{
    (void)state;
    struct inode_attr attr;
    struct path path;
    assert_int_equal(vfs_mkdir(NULL, "/d", 0755), 0);
    assert_int_equal(path_walk(NULL, "/d", 0, &path), 0);
    assert_int_equal(vfs_chown(&path, 0, 50), 0);
    assert_int_equal(vfs_chmod(&path, 02775), 0);
    path_unref(&path);
    assert_int_equal(t_put("/d/f", "x"), 0);
    assert_int_equal(vfs_mkdir(NULL, "/d/e", 0777), 0);
    assert_int_equal(t_stat("/d/f", 0, &attr), 0);
    assert_int_equal(attr.gid, 50);
    assert_int_equal(attr.mode, S_IFREG | 0644);
    assert_int_equal(t_stat("/d/e", 0, &attr), 0);
    assert_int_equal(attr.gid, 50);
    assert_int_equal(attr.mode, S_IFDIR | 02755);
    assert_int_equal(path_walk(NULL, "/d/f", 0, &path), 0);
    assert_int_equal(vfs_chmod(&path, 06755), 0);
    assert_int_equal(vfs_chown(&path, UINT32_MAX, UINT32_MAX), 0);
    assert_int_equal(t_stat("/d/f", 0, &attr), 0);
    assert_int_equal(attr.mode, S_IFREG | 0755);
    path_unref(&path);
}

static void mounts(void **state)
{
    (void)state;
    const struct tmpfs_options options = {.mode = 0755};
    struct super *super;
    struct path point, root, bound;
    struct inode_attr attr, other;
    assert_int_equal(vfs_mkdir(NULL, "/m", 0755), 0);
    assert_int_equal(vfs_mkdir(NULL, "/b", 0755), 0);
    assert_int_equal(tmpfs_new(&options, &super), 0);
    assert_int_equal(path_walk(NULL, "/m", 0, &point), 0);
    assert_int_equal(mount_add(super, "t", 0, &point), 0);
    path_unref(&point);
    assert_int_equal(vfs_mkdir(NULL, "/m/sub", 0755), 0);
    assert_int_equal(t_put("/m/sub/f", "x"), 0);
    assert_int_equal(t_stat("/m/sub/../..", 0, &attr), 0);
    assert_int_equal(t_stat("/", 0, &other), 0);
    assert_int_equal(attr.ino, other.ino);
    assert_int_equal(attr.dev, other.dev);
    assert_int_equal(vfs_unlink(NULL, "/m", true), -EBUSY);
    assert_int_equal(t_rename("/m", "/n", 0), -EBUSY);
    assert_int_equal(t_put("/x", "x"), 0);
    assert_int_equal(t_rename("/x", "/m/x", 0), -EXDEV);
    assert_int_equal(t_link("/x", "/m/x"), -EXDEV);
    assert_int_equal(path_walk(NULL, "/m/sub", 0, &bound), 0);
    assert_int_equal(path_walk(NULL, "/b", 0, &point), 0);
    assert_int_equal(mount_bind(&bound, MOUNT_READ_ONLY | MOUNT_NO_DEV, false, &point), 0);
    path_unref(&point);
    path_unref(&bound);
    assert_int_equal(t_stat("/b/f", 0, &attr), 0);
    assert_int_equal(t_try_open("/b/f", O_WRONLY, 0), -EROFS);
    assert_int_equal(t_try_open("/b/new", O_WRONLY | O_CREAT, 0644), -EROFS);
    assert_int_equal(t_try_open("/b/new", O_RDONLY, 0), -ENOENT);
    assert_int_equal(t_try_open("/b/f", O_RDONLY | O_CREAT, 0), 0);
    assert_int_equal(vfs_mkdir(NULL, "/b/f", 0755), -EEXIST);
    assert_int_equal(vfs_mkdir(NULL, "/b/d", 0755), -EROFS);
    assert_int_equal(vfs_unlink(NULL, "/b/none", false), -EROFS);
    assert_int_equal(path_walk(NULL, "/b/f", 0, &bound), 0);
    auto_text struct text text = TEXT_INIT;
    fs_context_get_root(current.fs, &root);
    assert_int_equal(path_text(&bound, &root, true, &text), 0);
    assert_string_equal(text_string(&text), "/b/f");
    path_unref(&root);
    assert_int_equal(vfs_access(&bound, 2), -EROFS);
    path_unref(&bound);
    assert_int_equal(path_walk(NULL, "/b", 0, &bound), 0);
    struct path inside;
    assert_int_equal(path_walk(NULL, "/b/f", 0, &inside), 0);
    assert_int_equal(mount_remove(&bound, MOUNT_REMOVE_IDLE), -EBUSY);
    assert_int_equal(mount_remove(&bound, MOUNT_REMOVE_DETACH), 0);
    path_unref(&inside);
    path_unref(&bound);
    assert_int_equal(t_stat("/b/f", 0, &attr), -ENOENT);
    assert_int_equal(path_walk(NULL, "/m", 0, &bound), 0);
    assert_int_equal(mount_remove(&bound, MOUNT_REMOVE_IDLE), 0);
    path_unref(&bound);
    assert_int_equal(t_stat("/m/sub", 0, &attr), -ENOENT);
    assert_int_equal(mount_make_point("/p/q/r", true), 0);
    assert_int_equal(mount_make_point("/p/q/file", false), 0);
    assert_int_equal(t_stat("/p/q/file", 0, &attr), 0);
    assert_true(S_ISREG(attr.mode));
}

static void resolve_flags(void **state)
{
    (void)state;
    struct path base, found;
    struct inode_attr attr;
    assert_int_equal(vfs_mkdir(NULL, "/base", 0755), 0);
    assert_int_equal(vfs_mkdir(NULL, "/base/d", 0755), 0);
    assert_int_equal(t_put("/base/f", "x"), 0);
    assert_int_equal(t_put("/f", "outside"), 0);
    assert_int_equal(vfs_symlink("/f", NULL, "/base/abs"), 0);
    assert_int_equal(vfs_symlink("../f", NULL, "/base/up"), 0);
    assert_int_equal(path_walk(NULL, "/base", 0, &base), 0);
    assert_int_equal(path_walk(&base, "../f", WALK_BENEATH, &found), -EXDEV);
    assert_int_equal(path_walk(&base, "/f", WALK_BENEATH, &found), -EXDEV);
    assert_int_equal(path_walk(&base, "abs", WALK_BENEATH | WALK_FOLLOW, &found), -EXDEV);
    assert_int_equal(path_walk(&base, "up", WALK_BENEATH | WALK_FOLLOW, &found), -EXDEV);
    assert_int_equal(path_walk(&base, "up", WALK_NO_SYMLINKS | WALK_FOLLOW, &found), -ELOOP);
    assert_int_equal(path_walk(&base, "d/../f", WALK_BENEATH, &found), 0);
    path_unref(&found);
    assert_int_equal(t_stat("/base/f", 0, &attr), 0);
    static const char *const inside[] = {"/f", "abs", "up", "../../f", "d/../../f"};
    for (size_t i = 0; i < array_size(inside); i++) {
        assert_int_equal(path_walk(&base, inside[i], WALK_IN_ROOT | WALK_FOLLOW, &found), 0);
        assert_int_equal(path_inode(&found)->ino, attr.ino);
        path_unref(&found);
    }
    path_unref(&base);
}

static void path_texts(void **state)
{
    (void)state;
    struct file *file;
    assert_int_equal(vfs_mkdir(NULL, "/d", 0755), 0);
    assert_int_equal(t_open("/d/f", O_CREAT | O_RDWR, 0644, &file), 0);
    auto_text struct text text = TEXT_INIT;
    assert_int_equal(t_rename("/d", "/e", 0), 0);
    assert_int_equal(file_describe(file, &text), 0);
    assert_string_equal(text_string(&text), "/e/f");
    text_clear(&text);
    assert_int_equal(vfs_unlink(NULL, "/e/f", false), 0);
    assert_int_equal(file_describe(file, &text), 0);
    assert_string_equal(text_string(&text), "/e/f (deleted)");
    file_unref(file);
    text_clear(&text);
    assert_int_equal(tmpfs_new_memfd("name", 0, &file), 0);
    assert_int_equal(file_describe(file, &text), 0);
    assert_string_equal(text_string(&text), "/memfd:name (deleted)");
    file_unref(file);
    text_clear(&text);
    struct path root = {NULL, NULL};
    fs_context_get_root(current.fs, &root);
    assert_int_equal(path_text(&root, &root, true, &text), 0);
    assert_string_equal(text_string(&text), "/");
    path_unref(&root);
}

static void readdir_while_changing(void **state)
{
    (void)state;
    struct file *file;
    char name[32];
    static struct t_names names;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "/f%d", i);
        assert_int_equal(vfs_mknod(NULL, name, S_IFREG | 0644, 0), 0);
    }
    assert_int_equal(t_open("/", O_RDONLY | O_DIRECTORY, 0, &file), 0);
    int seen = 0;
    for (;;) {
        t_names_init(&names, 7);
        assert_int_equal(file_readdir(file, &names.sink), 0);
        if (names.count == 0) {
            break;
        }
        seen += names.count;
        char *save = NULL;
        for (char *word = strtok_r(names.text, " ", &save); word;
             word = strtok_r(NULL, " ", &save)) {
            if (word[0] == 'f') {
                snprintf(name, sizeof(name), "/%s", word);
                assert_int_equal(vfs_unlink(NULL, name, false), 0);
                name[1] = 'n';
                assert_int_equal(vfs_mknod(NULL, name, S_IFREG | 0644, 0), 0);
            }
        }
    }
    assert_int_equal(seen, 1002);
    assert_int_equal(file_seek(file, 0, SEEK_SET), 0);
    t_names_init(&names, 1 << 20);
    assert_int_equal(file_readdir(file, &names.sink), 0);
    assert_int_equal(names.count, 1002);
    assert_null(strstr(names.text, " f"));
    file_unref(file);
}

static void deep_tree_is_freed(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(vfs_mkdir(NULL, "d", 0755), 0);
        assert_int_equal(t_chdir("d"), 0);
    }
    assert_int_equal(t_chdir("/"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(walk_errors, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(links, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(create_errors, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(rename_errors, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(long_names_move, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(permissions, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(setgid_and_chown, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(mounts, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(resolve_flags, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(path_texts, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(readdir_while_changing, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(deep_tree_is_freed, vfs_setup, vfs_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
