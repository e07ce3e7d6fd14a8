/*
 * vfs_race_test.c: threads that create, rename, remove, look up and read the same few names at
 * once. Run under TSan and with lock ranks checked; afterwards the tree must be consistent.
 */
#include "tests/unit/vfs_fixture.h"

#include <linux/fs.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "sentry/vfs/file_lock.h"
#include "sentry/vfs/inotify_hooks.h"

#define THREADS 4
#define ROUNDS  6000

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245U + 12345U;
    return *seed >> 8;
}

static void make_name(char *name, unsigned *seed)
{
    static const char *const directories[] = {"/", "/a/", "/b/", "/a/c/", "/b/d/"};
    unsigned r = next_random(seed);
    sprintf(name, "%s%c%s", directories[r % 5], "abcdxyz"[r / 5 % 7], r / 35 % 4 == 0 ? "/q" : "");
}

static void one_step(unsigned *seed)
{
    char from[64], to[64];
    struct inode_attr attr;
    struct file *file;
    static const uint64_t open_flags[] = {O_RDWR | O_CREAT,          O_RDONLY,
                                          O_RDWR | O_CREAT | O_EXCL, O_RDWR | O_TRUNC,
                                          O_RDONLY | O_DIRECTORY,    O_PATH};
    make_name(from, seed);
    make_name(to, seed);
    unsigned r = next_random(seed);
    switch (r % 9) {
    case 0:
        ignore_result(vfs_mkdir(NULL, from, 0755));
        break;
    case 1:
        ignore_result(vfs_unlink(NULL, from, false));
        break;
    case 2:
        ignore_result(vfs_unlink(NULL, from, true));
        break;
    case 3:
        ignore_result(t_rename(from, to, r / 9 % 3 == 0 ? RENAME_EXCHANGE : 0));
        break;
    case 4:
        ignore_result(t_link(from, to));
        break;
    case 5:
        ignore_result(vfs_symlink(to, NULL, from));
        break;
    case 6:
        ignore_result(t_stat(from, WALK_FOLLOW, &attr));
        break;
    default:
        if (t_open(from, open_flags[r / 9 % 6], 0644, &file) == 0) {
            char data[100] = {0};
            struct t_names *names = malloc(sizeof(*names));
            auto_text struct text text = TEXT_INIT;
            ignore_result(t_write(file, data, sizeof(data)));
            ignore_result(t_pread(file, data, sizeof(data), 0));
            ignore_result(file_describe(file, &text));
            if (names) {
                t_names_init(names, 100);
                ignore_result(file_readdir(file, &names->sink));
            }
            free(names);
            file_unref(file);
        }
        break;
    }
}

static struct fs_context *shared_fs;

static void *run_steps(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument * 7919;
    current.fs = fs_context_ref(shared_fs);
    for (int i = 0; i < ROUNDS; i++) {
        one_step(&seed);
        if (i % 1000 == 0) {
            dentry_shrink(NULL);
        }
    }
    current.fs = fs_context_unref(current.fs);
    return NULL;
}

/* Every directory's link count is 2 and its subdirectories, and every name can be reached. */
static void check_tree(const char *path, int depth)
{
    struct file *file;
    struct inode_attr attr;
    struct t_names *names = malloc(sizeof(*names));
    assert_non_null(names);
    assert_int_equal(t_open(path, O_RDONLY | O_DIRECTORY, 0, &file), 0);
    t_names_init(names, 1 << 20);
    assert_int_equal(file_readdir(file, &names->sink), 0);
    file_unref(file);
    uint32_t directories = 2;
    char *save = NULL;
    for (char *name = strtok_r(names->text, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
        char child[4096];
        if (name[0] == '.') {
            continue;
        }
        snprintf(child, sizeof(child), "%s/%s", path, name);
        assert_int_equal(t_stat(child, 0, &attr), 0);
        assert_true(attr.nlink > 0);
        if (S_ISDIR(attr.mode)) {
            directories++;
            check_tree(child, depth + 1);
        }
    }
    assert_int_equal(t_stat(path, 0, &attr), 0);
    assert_int_equal(attr.nlink, directories);
    free(names);
}

static void ignore_event(struct inotify_watch *watch, uint32_t mask, uint32_t cookie,
                         const char *name)
{
    (void)watch;
    (void)mask;
    (void)cookie;
    (void)name;
}

static void names_race(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct path root;
    struct inotify_watch watch = {.mask = IN_ALL_EVENTS, .notify = ignore_event};
    shared_fs = current.fs;
    fs_context_get_root(current.fs, &root);
    assert_int_equal(inode_watch_add(path_inode(&root), &watch), 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_steps, (void *)(i + 1)), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    check_tree("/", 0);
    inode_watch_remove(&watch);
    path_unref(&root);
}

static void *append_lines(void *argument)
{
    struct file *file = argument;
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(t_write(file, "0123456789abcde\n", 16), 16);
    }
    return NULL;
}

static void appends_are_atomic(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct file *files[THREADS];
    struct inode_attr attr;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(t_open("/log", O_CREAT | O_WRONLY | O_APPEND, 0644, &files[i]), 0);
        assert_int_equal(pthread_create(&threads[i], NULL, append_lines, files[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        file_unref(files[i]);
    }
    assert_int_equal(t_stat("/log", 0, &attr), 0);
    assert_int_equal(attr.size, THREADS * 2000 * 16);
}

static void *lock_and_count(void *argument)
{
    static int owners[THREADS];
    static int counter;
    uintptr_t number = (uintptr_t)argument;
    struct file *file;
    current.fs = fs_context_ref(shared_fs);
    assert_int_equal(t_open("/lock", O_CREAT | O_RDWR, 0644, &file), 0);
    struct file_lock lock = {.kind = FILE_LOCK_POSIX, .start = 0, .end = 9};
    lock.owner = &owners[number];
    for (int i = 0; i < 500; i++) {
        struct file_lock_wait wait;
        struct sleeper sleeper;
        struct wait_entry entry = {.events = EPOLLIN, .wake = wait_wake_sleeper, .owner = &sleeper};
        file_lock_wait_init(&wait);
        sleeper_init(&sleeper);
        lock.type = F_WRLCK;
        int error;
        while ((error = file_lock_set(file, &lock, &wait)) == -EAGAIN) {
            wait_queue_add(file_lock_queue(file), &entry);
            sleeper_prepare(&sleeper);
            error = file_lock_set(file, &lock, &wait);
            if (error == -EAGAIN) {
                sleeper_wait(&sleeper, SLEEP_FOREVER);
            }
            wait_queue_remove(&entry);
            if (error == 0) {
                break;
            }
        }
        assert_int_equal(error, 0);
        file_lock_wait_end(&wait);
        int seen = __atomic_load_n(&counter, __ATOMIC_RELAXED);
        __atomic_store_n(&counter, seen + 1, __ATOMIC_RELAXED);
        lock.type = F_UNLCK;
        assert_int_equal(file_lock_set(file, &lock, NULL), 0);
    }
    file_unref(file);
    current.fs = fs_context_unref(current.fs);
    return &counter;
}

static void locks_exclude(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    void *counter = NULL;
    shared_fs = current.fs;
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, lock_and_count, (void *)i), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &counter);
    }
    assert_int_equal(*(int *)counter, THREADS * 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_race, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(appends_are_atomic, vfs_setup, vfs_teardown),
        cmocka_unit_test_setup_teardown(locks_exclude, vfs_setup, vfs_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
