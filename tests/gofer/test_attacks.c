/*
 * test_attacks.c: a host that changes under the walk, a server that dies, and what the confined
 * process can still do.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gofer/files/confine.h"
#include "tests/gofer/gofer_test.h"

static atomic_bool stop;

struct swapper {
    char inside[128], outside_link[128];
    unsigned long swaps;
};

/* Exchanges a directory with a symbolic link to a directory outside, as fast as it can. */
static void *swap(void *argument)
{
    struct swapper *swapper = argument;
    while (!atomic_load(&stop)) {
        if (renameat2(AT_FDCWD, swapper->inside, AT_FDCWD, swapper->outside_link,
                      RENAME_EXCHANGE) == 0) {
            swapper->swaps++;
        }
    }
    return NULL;
}

/* One attempt; true when it read something. What was read must be from inside. */
static bool read_secret(struct gofer_test *test, unsigned round)
{
    struct gofer_object objects[2];
    struct gofer_walk_result result;
    const char *names[] = {"dir", "secret"};
    struct gofer_object dir;
    char text[16] = "";
    int fd = -1;
    uint32_t how;
    if (round & 1) {
        assert_int_equal(
            gofer_walk_many(test->client, test->mount.fid, names, 2, O_RDONLY, objects, &result),
            0);
        fd = result.fd;
        for (size_t i = 0; i < result.count; i++) {
            gofer_release(test->client, objects[i].fid);
        }
    } else if (gofer_walk(test->client, test->mount.fid, "dir", &dir) == 0) {
        if (gofer_walk(test->client, dir.fid, "secret", &objects[0]) == 0) {
            if (gofer_open(test->client, objects[0].fid, O_RDONLY, &fd, &how) != 0) {
                fd = -1;
            }
            gofer_release(test->client, objects[0].fid);
        }
        gofer_release(test->client, dir.fid);
    }
    if (fd < 0) {
        return false;
    }
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "inside");
    close(fd);
    return true;
}

static void test_symlink_race(void **state)
{
    struct gofer_test *test = *state;
    struct swapper swapper = {0};
    char outside[] = "/tmp/gofer-outside-XXXXXX";
    char path[128];
    pthread_t thread;
    assert_non_null(mkdtemp(outside));
    snprintf(path, sizeof(path), "%s/secret", outside);
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    assert_int_equal(write(fd, "outside", 7), 7);
    close(fd);
    gofer_test_mkdir(test, "dir");
    gofer_test_write(test, "dir/secret", "inside");
    assert_int_equal(symlink(outside, gofer_test_path(test, "link")), 0);
    snprintf(swapper.inside, sizeof(swapper.inside), "%s", gofer_test_path(test, "dir"));
    snprintf(swapper.outside_link, sizeof(swapper.outside_link), "%s",
             gofer_test_path(test, "link"));
    gofer_test_start(test);
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&thread, NULL, swap, &swapper), 0);
    unsigned found = 0;
    for (unsigned round = 0; round < 20000; round++) {
        found += read_secret(test, round);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_true(swapper.swaps > 0);
    assert_true(found > 0);
    unlink(path);
    rmdir(outside);
}

/* A file swapped for a FIFO and for a link must neither hang the server nor be opened as something
 * else. */
static void test_file_becomes_fifo(void **state)
{
    struct gofer_test *test = *state;
    int fd;
    uint32_t result;
    gofer_test_write(test, "file", "x");
    gofer_test_start(test);
    uint64_t file = gofer_test_fid(test, "file");
    assert_int_equal(unlink(gofer_test_path(test, "file")), 0);
    assert_int_equal(mkfifo(gofer_test_path(test, "file"), 0666), 0);
    assert_int_equal(gofer_open(test->client, file, O_RDONLY, &fd, &result), -ESTALE);
    assert_int_equal(unlink(gofer_test_path(test, "file")), 0);
    assert_int_equal(symlink("/etc/passwd", gofer_test_path(test, "file")), 0);
    assert_int_equal(gofer_open(test->client, file, O_RDONLY, &fd, &result), -ESTALE);
    struct gofer_attr attr;
    assert_int_equal(gofer_getattr(test->client, file, &attr), -ESTALE);
}

/* The host moves a directory out of the mount and a parent beneath its child: no crash, no cycle.
 */
static void test_host_reshapes_tree(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_attr attr;
    gofer_test_mkdir(test, "a");
    gofer_test_mkdir(test, "a/b");
    gofer_test_start(test);
    uint64_t a = gofer_test_fid(test, "a");
    uint64_t b = gofer_test_fid(test, "a/b");
    struct gofer_listing listing;
    assert_int_equal(gofer_list(test->client, b, 0, &listing), 0); /* b is open now */
    gofer_listing_fini(&listing);
    assert_int_equal(rename(gofer_test_path(test, "a/b"), gofer_test_path(test, "b")), 0);
    assert_int_equal(gofer_rename(test->client, test->mount.fid, "a", b, "a", 0), 0);
    ignore_result(gofer_getattr(test->client, a, &attr));
    ignore_result(gofer_getattr(test->client, b, &attr));
    gofer_test_fid(test, "b/a");
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void *kill_soon(void *argument)
{
    usleep(100 * 1000);
    kill(*(pid_t *)argument, SIGKILL);
    return NULL;
}

static void test_server_dies(void **state)
{
    struct gofer_test *test = *state;
    pthread_t thread;
    struct gofer_attr attr;
    struct log_config quiet = {.fd = -1};
    gofer_test_start(test);
    log_configure(&quiet);
    assert_int_equal(pthread_create(&thread, NULL, kill_soon, &test->server), 0);
    double start = now();
    int error;
    do {
        error = gofer_getattr(test->client, test->mount.fid, &attr);
    } while (error == 0 && now() - start < 10);
    assert_int_equal(error, -EIO);
    assert_true(now() - start < 5);
    assert_true(gofer_client_broken(test->client));
    assert_int_equal(gofer_getattr(test->client, test->mount.fid, &attr), -EIO);
    gofer_release(test->client, test->mount.fid);
    gofer_flush(test->client);
    pthread_join(thread, NULL);
    int status = gofer_test_stop(test);
    assert_true(WIFSIGNALED(status));
}

static void *ask_much(void *argument)
{
    struct gofer_test *test = argument;
    for (int i = 0; i < 2000; i++) {
        struct gofer_object object;
        if (gofer_walk(test->client, test->mount.fid, "file", &object) || object.attr.size != 4) {
            return "wrong";
        }
        gofer_release(test->client, object.fid);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    struct gofer_test *test = *state;
    pthread_t threads[8];
    gofer_test_write(test, "file", "four");
    gofer_test_start(test);
    for (size_t i = 0; i < array_size(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_much, test), 0);
    }
    for (size_t i = 0; i < array_size(threads); i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
}

/* A client whose descriptor table is full loses the descriptor, not the connection. */
static void test_client_without_descriptors(void **state)
{
    struct gofer_test *test = *state;
    int fds[4096];
    size_t count = 0;
    int fd;
    uint32_t result;
    struct rlimit {
        unsigned long cur, max;
    } old, small;
    gofer_test_write(test, "file", "x");
    gofer_test_start(test);
    uint64_t file = gofer_test_fid(test, "file");
    assert_int_equal(syscall(SYS_prlimit64, 0, 7, NULL, &old), 0);
    small = old;
    small.cur = 64;
    assert_int_equal(syscall(SYS_prlimit64, 0, 7, &small, NULL), 0);
    while (count < array_size(fds) && (fd = dup(0)) >= 0) {
        fds[count++] = fd;
    }
    int error = gofer_open(test->client, file, O_RDONLY, &fd, &result);
    while (count) {
        close(fds[--count]);
    }
    assert_int_equal(syscall(SYS_prlimit64, 0, 7, &old, NULL), 0);
    assert_int_equal(error, -EMFILE);
    assert_int_equal(gofer_open(test->client, file, O_RDONLY, &fd, &result), 0);
    close(fd);
}

/* ---- confinement ---- */

/* Runs attempt in a process confined to root (written or not); the wait status. */
static int in_confinement(struct gofer_test *test, bool writable, int (*attempt)(int root))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int root = open(test->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int keep[] = {root, STDERR_FILENO};
        bool may_chown;
        struct confine_root roots[] = {
            {.fd = root, .directory = true, .writable = writable, .deletable = writable}};
        struct confine_config config = {.keep = keep,
                                        .keep_count = 2,
                                        .roots = roots,
                                        .root_count = 1,
                                        .writable = writable,
                                        .connection = -1,
                                        .audit = -1,
                                        .log = STDERR_FILENO,
                                        .proc_fd = -1};
        if (confine_descriptors(&config) || confine_capabilities(&config, &may_chown) ||
            confine_landlock(&config) || confine_syscalls(&config)) {
            _exit(100);
        }
        _exit(attempt(root));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int open_how(int dir, const char *path, uint64_t flags)
{
    struct {
        uint64_t flags, mode, resolve;
    } how = {flags, flags & O_CREAT ? 0600 : 0, 0};
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
    return fd >= 0 ? 0 : errno;
}

static int open_outside(int root)
{
    (void)root;
    return open_how(AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static int open_upwards(int root)
{
    return open_how(root, "../../etc/passwd", O_RDONLY);
}

static int open_inside(int root)
{
    return open_how(root, "file", O_RDONLY);
}

static int write_inside(int root)
{
    return open_how(root, "file", O_RDWR);
}

static int create_inside(int root)
{
    return open_how(root, "made", O_CREAT | O_RDWR);
}

static int make_socket(int root)
{
    (void)root;
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : errno;
}

static int run_program(int root)
{
    char *argv[] = {"true", NULL};
    (void)root;
    execv("/bin/true", argv);
    return errno;
}

static int make_directory(int root)
{
    return mkdirat(root, "made-dir", 0700) ? errno : 0;
}

static int trace_parent(int root)
{
    (void)root;
    return syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0) >= 0 ? 0 : errno;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static bool killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static void test_filter(void **state)
{
    struct gofer_test *test = *state;
    assert_true(killed(in_confinement(test, true, make_socket)));
    assert_true(killed(in_confinement(test, true, run_program)));
    assert_true(killed(in_confinement(test, true, trace_parent)));
    assert_true(killed(in_confinement(test, false, make_directory)));
    assert_int_equal(in_confinement(test, true, make_directory), 0);
}
#else
static void test_filter(void **state)
{
    (void)state;
    (void)make_socket;
    (void)run_program;
    (void)trace_parent;
    (void)make_directory;
}
#endif

static void test_landlock(void **state)
{
    struct gofer_test *test = *state;
    gofer_test_write(test, "file", "x");
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1) {
        skip();
    }
    assert_int_equal(WEXITSTATUS(in_confinement(test, true, open_inside)), 0);
    assert_int_equal(WEXITSTATUS(in_confinement(test, true, write_inside)), 0);
    assert_int_equal(WEXITSTATUS(in_confinement(test, true, open_outside)), EACCES);
    assert_int_equal(WEXITSTATUS(in_confinement(test, true, open_upwards)), EACCES);
    assert_int_equal(WEXITSTATUS(in_confinement(test, false, open_inside)), 0);
    assert_int_equal(WEXITSTATUS(in_confinement(test, false, write_inside)), EACCES);
    assert_int_equal(WEXITSTATUS(in_confinement(test, false, create_inside)), EACCES);
}

/* Started with descriptors and capabilities to lose. */
static void test_process_state(void **state)
{
    struct gofer_test *test = *state;
    char path[64];
    char text[4096] = "";
    int leaked = open("/etc/passwd", O_RDONLY); /* on purpose without O_CLOEXEC */
    gofer_test_start(test);
    snprintf(path, sizeof(path), "/proc/%d/status", test->server);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    assert_non_null(strstr(text, "NoNewPrivs:\t1"));
    unsigned long long effective = strtoull(strstr(text, "CapEff:") + 7, NULL, 16);
    assert_int_equal(effective & ~UINT64_C(0x1f), 0); /* at most chown, dac, fowner, fsetid */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_non_null(strstr(text, "Seccomp:\t2"));
#endif
    if (geteuid() == 0) {
        char link[256];
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", test->server, leaked);
        ssize_t length = readlink(path, link, sizeof(link) - 1);
        link[length > 0 ? length : 0] = '\0';
        assert_null(strstr(link, "passwd"));
    }
    close(leaked);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, gofer_test_setup, gofer_test_teardown)
        TEST(test_symlink_race),
        TEST(test_file_becomes_fifo),
        TEST(test_host_reshapes_tree),
        TEST(test_server_dies),
        TEST(test_many_threads),
        TEST(test_client_without_descriptors),
        TEST(test_filter),
        TEST(test_landlock),
        TEST(test_process_state),
    };
    return cmocka_run_group_tests_name("gofer attacks", tests, NULL, NULL);
}

int main(void)
{
    return gofer_test_run(run_group);
}
