/*
 * vfs_oracle_test.c: Linux is the oracle. Random name operations run on the host's tmpfs (/dev/shm)
 * and on ours; every result and, at the end, the trees must be the same. Skipped where /dev/shm is
 * no tmpfs. VFS_ORACLE_SEED and VFS_ORACLE_STEPS choose another run.
 */
#include "tests/unit/vfs_fixture.h"

#include <dirent.h>
#include <ftw.h>
#include <grp.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "sentry/vfs/special.h"

#define DEPTH_PREFIX "x/y/z/r"

static unsigned random_state;

static unsigned pick(unsigned n)
{
    random_state = random_state * 1103515245U + 12345U;
    return (random_state >> 9) % n;
}

/* Relative names that stay inside the prefix: at most three ".." above the root of the test. */
static void make_name(char *name)
{
    static const char *const parts[] = {"a", "b", "c", "d", "l", "m", "a", "b", "..", "."};
    int count = 1 + (int)pick(3);
    name[0] = '\0';
    for (int i = 0; i < count; i++) {
        const char *part = parts[pick(array_size(parts))];
        if (i == 0 && strcmp(part, "..") == 0) {
            part = "c";
        }
        strcat(name, part);
        strcat(name, i + 1 < count ? (pick(8) == 0 ? "//" : "/") : pick(6) == 0 ? "/" : "");
    }
    if (pick(60) == 0) {
        memset(name, 'n', 300);
        name[300] = '\0';
    } else if (pick(60) == 0) {
        name[0] = '\0';
    }
}

static int native(long result)
{
    return result < 0 ? -errno : 0;
}

struct outcome {
    int native, ours;
    char what[1400];
};

static void step_open(struct outcome *o, const char *a)
{
    static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, 3};
    static const int extra[] = {O_CREAT, O_EXCL,   O_TRUNC,   O_DIRECTORY, O_NOFOLLOW,
                                O_PATH,  O_APPEND, O_TMPFILE, O_NOATIME};
    int f = flags[pick(4)] | O_NONBLOCK;
    for (size_t i = 0; i < array_size(extra); i++) {
        f |= pick(i == 0 ? 2 : 6) == 0 ? extra[i] : 0;
    }
    mode_t mode = (mode_t)pick(010000);
    struct file *file = NULL;
    char data[64] = {0};
    size_t length = pick(64);
    snprintf(o->what, sizeof(o->what), "open(%s, %o, %o) write %zu", a, (unsigned)f, mode, length);
    int fd = open(a, f, mode);
    o->native = fd < 0 ? -errno : 0;
    o->ours = t_open(a, (uint64_t)f, mode, &file);
    if (fd >= 0 && o->ours == 0) {
        o->native = native(write(fd, data, length));
        ssize_t count = t_write(file, data, length);
        o->ours = count < 0 ? (int)count : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    file_unref(file);
}

/* Enough of a FIFO to compare opens: nobody else ever has one open. */
static ssize_t fifo_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)file;
    (void)offset;
    (void)flags;
    return (ssize_t)uio->left;
}

static int open_fifo(struct inode *inode, struct file *file)
{
    static const struct file_ops ops = {.write = fifo_write};
    (void)inode;
    if ((file->mode & FILE_READ) == 0) {
        return (file->mode & FILE_WRITE) != 0 ? -ENXIO : -EINVAL;
    }
    file->ops = &ops;
    file->mode |= FILE_STREAM;
    return 0;
}

static void step_stat(struct outcome *o, const char *a)
{
    struct stat st;
    struct inode_attr attr;
    bool follow = pick(2) == 0;
    snprintf(o->what, sizeof(o->what), "stat(%s, follow %d)", a, follow);
    o->native = native(follow ? stat(a, &st) : lstat(a, &st));
    o->ours = t_stat(a, follow ? WALK_FOLLOW : 0, &attr);
    if (o->native == 0 && o->ours == 0) {
        bool same = st.st_mode == attr.mode && st.st_nlink == attr.nlink &&
                    (S_ISDIR(st.st_mode) || (uint64_t)st.st_size == attr.size);
        if (!same) {
            print_error("%s: mode %o/%o nlink %u/%u size %llu/%llu\n", o->what, st.st_mode,
                        attr.mode, (unsigned)st.st_nlink, attr.nlink,
                        (unsigned long long)st.st_size, (unsigned long long)attr.size);
            o->ours = 1;
        }
    }
}

/* chmod and truncate through a resolved path. */
static void step_change(struct outcome *o, const char *a, bool change_mode)
{
    struct path path;
    unsigned value = pick(010000);
    snprintf(o->what, sizeof(o->what), "%s(%s, %o)", change_mode ? "chmod" : "truncate", a, value);
    o->native = native(change_mode ? chmod(a, value) : truncate(a, value));
    o->ours = path_walk(NULL, a, WALK_FOLLOW, &path);
    if (o->ours == 0) {
        o->ours = change_mode ? vfs_chmod(&path, value) : vfs_truncate(&path, value);
        path_unref(&path);
    }
}

/* As who the next step runs, on both sides; the host side by effective ids. */
static struct cred *users[3]; /* root, 1000, 1001; NULL when the host user is not root */

static void become(unsigned user)
{
    static const unsigned ids[] = {0, 1000, 1001};
    if (users[0]) {
        ignore_result(seteuid(0));
        ignore_result(setegid(ids[user]));
        ignore_result(seteuid(ids[user]));
        current.cred = users[user];
    }
}

static void one_step(struct outcome *o)
{
    static const unsigned rename_flags[] = {
        0, 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT, 64, 3};
    static const mode_t types[] = {S_IFREG, S_IFIFO, S_IFSOCK, S_IFDIR, 0, S_IFLNK};
    char a[600], b[600];
    make_name(a);
    make_name(b);
    unsigned flags = rename_flags[pick(array_size(rename_flags))];
    mode_t mode = (mode_t)pick(010000);
    switch (pick(12)) {
    case 0:
    case 1:
        snprintf(o->what, sizeof(o->what), "mkdir(%s, %o)", a, mode);
        o->native = native(mkdir(a, mode));
        o->ours = vfs_mkdir(NULL, a, mode);
        break;
    case 2:
        snprintf(o->what, sizeof(o->what), "unlink(%s)", a);
        o->native = native(unlink(a));
        o->ours = vfs_unlink(NULL, a, false);
        break;
    case 3:
        snprintf(o->what, sizeof(o->what), "rmdir(%s)", a);
        o->native = native(rmdir(a));
        o->ours = vfs_unlink(NULL, a, true);
        break;
    case 4:
    case 5:
        snprintf(o->what, sizeof(o->what), "rename(%s, %s, %u)", a, b, flags);
        o->native = native(syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags));
        o->ours = t_rename(a, b, flags);
        break;
    case 6:
        snprintf(o->what, sizeof(o->what), "link(%s, %s)", a, b);
        become(0); /* fs.protected_hardlinks is a rule of the host only */
        o->native = native(link(a, b));
        o->ours = t_link(a, b);
        break;
    case 7:
        snprintf(o->what, sizeof(o->what), "symlink(%s, %s)", a, b);
        o->native = native(symlink(a, b));
        o->ours = vfs_symlink(a, NULL, b);
        break;
    case 8:
        mode |= types[pick(array_size(types))];
        snprintf(o->what, sizeof(o->what), "mknod(%s, %o)", a, mode);
        o->native = native(mknod(a, mode, 0));
        o->ours = vfs_mknod(NULL, a, mode, 0);
        break;
    case 9:
        step_stat(o, a);
        break;
    case 10:
        step_change(o, a, pick(2) == 0);
        break;
    default:
        step_open(o, a);
        break;
    }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void run_seed(unsigned seed, unsigned long steps)
{
    char base[] = "/dev/shm/vfs-oracle-XXXXXX";
    assert_non_null(mkdtemp(base));
    assert_int_equal(chmod(base, 0777), 0);
    assert_int_equal(chdir(base), 0);
    random_state = seed * 2654435761U + 1;
    static const char *const prefixes[] = {"x", "x/y", "x/y/z", DEPTH_PREFIX};
    for (size_t i = 0; i < array_size(prefixes); i++) {
        assert_int_equal(mkdir(prefixes[i], 0755), 0);
        assert_int_equal(vfs_mkdir(NULL, prefixes[i], 0755), 0);
        struct path made;
        assert_int_equal(path_walk(NULL, prefixes[i], 0, &made), 0);
        assert_int_equal(vfs_chmod(&made, 0777), 0);
        path_unref(&made);
        assert_int_equal(chmod(prefixes[i], 0777), 0);
    }
    assert_int_equal(chdir(DEPTH_PREFIX), 0);
    assert_int_equal(t_chdir(DEPTH_PREFIX), 0);
    static struct outcome o;
    int differences = 0;
    for (unsigned long i = 0; i < steps && differences < 10; i++) {
        unsigned user = seed % 2 == 0 ? pick(3) : 0;
        become(user);
        one_step(&o);
        become(0);
        if (o.native != o.ours) {
            print_error("seed %u step %lu: %s: Linux %d, ours %d\n", seed, i, o.what, o.native,
                        o.ours);
            differences++;
        }
    }
    assert_int_equal(chdir("/"), 0);
    nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(differences, 0);
}

static unsigned long from_environment(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 0) : otherwise;
}

/* Is a fs.protected_* rule on, which the guest does not have? */
static bool protects_links(void)
{
    static const char *const names[] = {"symlinks", "regular", "fifos"};
    for (size_t i = 0; i < array_size(names); i++) {
        char path[64], value = '1';
        snprintf(path, sizeof(path), "/proc/sys/fs/protected_%s", names[i]);
        int fd = open(path, O_RDONLY);
        if (fd < 0 || read(fd, &value, 1) != 1) {
            value = '1';
        }
        if (fd >= 0) {
            close(fd);
        }
        if (value != '0') {
            return true;
        }
    }
    return false;
}

static void same_as_linux(void **state)
{
    struct statfs st;
    if (statfs("/dev/shm", &st) != 0 || st.f_type != 0x01021994) {
        skip();
    }
    umask(022);
    vfs_special.open_fifo = open_fifo;
    struct cred *cred = cred_new(geteuid(), getegid());
    assert_non_null(cred);
    if (geteuid() == 0 && !protects_links()) {
        ignore_result(setgroups(0, NULL));
        for (unsigned i = 0; i < 3; i++) {
            users[i] = cred_new(i == 0 ? 0 : 999 + i, i == 0 ? 0 : 999 + i);
            assert_non_null(users[i]);
        }
    }
    unsigned long steps = from_environment("VFS_ORACLE_STEPS", 3000);
    unsigned long first = from_environment("VFS_ORACLE_SEED", 1);
    for (unsigned long seed = first; seed < first + 10; seed++) {
        assert_int_equal(vfs_setup(state), 0);
        struct path root;
        fs_context_get_root(current.fs, &root);
        assert_int_equal(vfs_chown(&root, geteuid(), getegid()), 0);
        path_unref(&root);
        current.cred = cred;
        run_seed((unsigned)seed, steps);
        assert_int_equal(vfs_teardown(state), 0);
    }
    cred_unref(cred);
    for (int i = 0; i < 3; i++) {
        users[i] = (struct cred *)(uintptr_t)cred_unref(users[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_linux),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
