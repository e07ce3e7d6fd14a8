/*
 * overlay_race_test.c: several guests change one overlay at once. Nothing is checked but that the
 * tree stays whole; the sanitizers and the lock ranks do the rest.
 */
#include "tests/unit/vfs_harness.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>

#include "sentry/fs/overlay/overlay.h"

#define THREADS 4
#define ROUNDS  1500
#define NAMES   6

static struct super *merged;
static struct fs_context *shared_fs;

static void random_path(unsigned *seed, char *path, size_t size)
{
    unsigned a = (unsigned)rand_r(seed) % NAMES;
    unsigned b = (unsigned)rand_r(seed) % NAMES;
    if (rand_r(seed) % 2 == 0) {
        snprintf(path, size, "/m/n%u", a);
    } else {
        snprintf(path, size, "/m/n%u/n%u", a, b);
    }
}

static void read_some(const char *path)
{
    struct file *file;
    struct list_sink list = {.sink.emit = list_emit};
    char buffer[64];
    if (try_open(path, O_RDONLY, 0, &file) != 0) {
        return;
    }
    if (S_ISDIR(file->inode->mode)) {
        ignore_result(file_readdir(file, &list.sink));
        text_fini(&list.text);
    } else {
        struct uio uio;
        uint64_t pos = 0;
        uio_init_kernel(&uio, buffer, sizeof(buffer));
        ignore_result(file_read(file, &uio, &pos, 0));
    }
    file_unref(file);
}

static void write_some(const char *path)
{
    struct file *file;
    if (try_open(path, O_RDWR | O_CREAT, 0644, &file) == 0) {
        char data[] = "some more data";
        struct uio uio;
        uio_init_kernel(&uio, data, sizeof(data));
        ignore_result(file_write(file, &uio, NULL, 0));
        file_unref(file);
    }
}

static int count_change(const struct overlay_change *change, void *context)
{
    (void)change;
    (*(int *)context)++;
    return 0;
}

static void one_step(unsigned *seed)
{
    char a[64], b[64];
    struct inode_attr attr;
    int count = 0;
    random_path(seed, a, sizeof(a));
    random_path(seed, b, sizeof(b));
    switch (rand_r(seed) % 11) {
    case 0:
        ignore_result(vfs_mkdir(NULL, a, 0755));
        break;
    case 1:
        ignore_result(vfs_unlink(NULL, a, true));
        break;
    case 2:
        ignore_result(vfs_unlink(NULL, a, false));
        break;
    case 3:
        ignore_result(move(a, b));
        break;
    case 4:
        ignore_result(vfs_rename(NULL, a, NULL, b, RENAME_EXCHANGE));
        break;
    case 5:
        ignore_result(link_path(a, b));
        break;
    case 6:
        ignore_result(change_mode(a, 0755));
        break;
    case 7:
        write_some(a);
        break;
    case 8:
        ignore_result(stat_at(a, &attr));
        break;
    case 9:
        dentry_shrink(NULL);
        ignore_result(overlay_for_each_change(merged, count_change, &count));
        break;
    default:
        read_some(a);
        break;
    }
}

static void *run(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;
    current.fs = shared_fs;
    for (int i = 0; i < ROUNDS; i++) {
        one_step(&seed);
    }
    return NULL;
}

static void test_race(void **state)
{
    pthread_t threads[THREADS];
    char path[64];
    (void)state;
    make_root();
    shared_fs = current.fs;
    struct super *lower = make_tmpfs();
    super_ref(lower);
    mount_at(lower, "/lower");
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(path, sizeof(path), "/lower/n%u", i);
        make_dir(path);
        for (unsigned j = 0; j < NAMES; j++) {
            snprintf(path, sizeof(path), "/lower/n%u/n%u", i, j);
            write_file(path, "lower data");
        }
    }
    assert_int_equal(overlay_new(lower, make_tmpfs(), NULL, &merged), 0);
    mount_at(merged, "/m");
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run, (void *)(i + 1)), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    expect_file("/lower/n0/n0", "lower data");
    unmount("/m");
    unmount("/lower");
    dentry_shrink(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_race)};
    return cmocka_run_group_tests_name("overlay_race", tests, NULL, NULL);
}
