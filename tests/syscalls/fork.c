/*
 * fork.c: what a child of fork shares with its parent and what it does not.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/time.h>

TEST_CASE(exit_status_reaches_parent)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(42);
    }
    CHECK_CHILD_EXIT(pid, 42);
}

TEST_CASE(memory_is_copied)
{
    volatile int on_stack = 1;
    static volatile int in_data = 2;
    int *on_heap = malloc(sizeof(int));
    *on_heap = 3;
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK(on_stack == 1 && in_data == 2 && *on_heap == 3);
        on_stack = in_data = *on_heap = 9;
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK(on_stack == 1 && in_data == 2 && *on_heap == 3);
    free(on_heap);
}

TEST_CASE(file_offset_is_shared)
{
    guest_write_file("f", "abcdef");
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    pid_t pid = guest_fork();
    if (pid == 0) {
        char two[2];
        CHECK_EQ(read(fd, two, 2), 2);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 2);
}

TEST_CASE(fd_table_is_copied)
{
    int fd = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fd));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_OK(fcntl(fd, F_GETFD));
}

TEST_CASE(pending_signals_and_timers_are_not_inherited)
{
    sigset_t set;
    sigset_t pending;
    struct itimerval timer = {{0, 0}, {100, 0}};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(raise(SIGUSR1));
    CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(sigpending(&pending));
        CHECK_EQ(sigismember(&pending, SIGUSR1), 0);
        CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &set));
        CHECK_EQ(sigismember(&set, SIGUSR1), 1);
        CHECK_OK(getitimer(ITIMER_REAL, &timer));
        CHECK_EQ(timer.it_value.tv_sec, 0);
        CHECK_EQ(timer.it_value.tv_usec, 0);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_OK(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGUSR1), 1);
}

TEST_CASE(child_has_new_pid_and_our_parentage)
{
    pid_t self = getpid();
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK(getpid() != self);
        CHECK_EQ(getppid(), self);
        CHECK_EQ(syscall(SYS_gettid), getpid());
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(grandchildren_and_many_children)
{
    pid_t pids[40];
    for (int i = 0; i < 40; i++) {
        pids[i] = guest_fork();
        if (pids[i] == 0) {
            pid_t inner = guest_fork();
            if (inner == 0) {
                _exit(i);
            }
            CHECK_CHILD_EXIT(inner, i);
            _exit(i);
        }
    }
    for (int i = 39; i >= 0; i--) {
        CHECK_CHILD_EXIT(pids[i], i);
    }
}

static void *fork_in_thread(void *result)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(syscall(SYS_gettid) == getpid() ? 7 : 8);
    }
    *(int *)result = guest_wait(pid);
    return NULL;
}

TEST_CASE(fork_from_a_thread_leaves_one_thread)
{
    pthread_t thread;
    int status = 0;
    CHECK_EQ(pthread_create(&thread, NULL, fork_in_thread, &status), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}
