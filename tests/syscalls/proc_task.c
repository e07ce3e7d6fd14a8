/*
 * proc_task.c: /proc/self/task and threads in /proc.
 */
#include "tests/syscalls/guest_test.h"

#include <dirent.h>
#include <sys/prctl.h>

static int hold[2];
static volatile pid_t tids[3];

static void *wait_in_thread(void *argument)
{
    long index = (long)argument;
    char name[16];
    char byte;
    snprintf(name, sizeof(name), "thread-%ld", index);
    prctl(PR_SET_NAME, name);
    __atomic_store_n(&tids[index], (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    (void)!read(hold[0], &byte, 1);
    return NULL;
}

TEST_CASE(one_directory_per_thread)
{
    pthread_t threads[3];
    char path[64];
    char text[64];
    int count = 0;
    CHECK_OK(pipe(hold));
    for (long i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_in_thread, (void *)i), 0);
    }
    for (int i = 0; i < 3; i++) {
        while (__atomic_load_n(&tids[i], __ATOMIC_SEQ_CST) == 0) {
            guest_sleep_ms(1);
        }
    }
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir);
    struct dirent *d;
    while ((d = readdir(dir)) != NULL) {
        count += d->d_name[0] != '.';
    }
    closedir(dir);
    CHECK_EQ(count, 4);
    for (int i = 0; i < 3; i++) {
        char want[32];
        snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tids[i]);
        snprintf(want, sizeof(want), "thread-%d\n", i);
        guest_read_file(path, text, sizeof(text));
        CHECK(strcmp(text, want) == 0);
        snprintf(path, sizeof(path), "/proc/%d/comm", tids[i]);
        CHECK_OK(access(path, F_OK)); /* Linux: reachable but not listed */
    }
    CHECK_OK(close(hold[1]));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
}

TEST_CASE(foreign_thread_is_not_there)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d", getppid());
    CHECK_ERRNO(access(path, F_OK), ENOENT);
    CHECK_OK(access("/proc/self/task", X_OK));
}

TEST_CASE(processes_are_listed)
{
    bool self = false;
    DIR *dir = opendir("/proc");
    CHECK(dir);
    struct dirent *d;
    while ((d = readdir(dir)) != NULL) {
        self |= atoi(d->d_name) == getpid();
    }
    closedir(dir);
    CHECK(self);
    CHECK_ERRNO(access("/proc/2097153", F_OK), ENOENT);
}
