/*
 * exit.c: exit status bits, exit of single threads, and what exit releases.
 */
#include "tests/syscalls/guest_test.h"

TEST_CASE(only_eight_bits)
{
    const int codes[] = {0, 1, 127, 128, 255, 256, 257, -1};
    const int seen[] = {0, 1, 127, 128, 255, 0, 1, 255};
    for (int i = 0; i < 8; i++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            syscall(SYS_exit_group, codes[i]);
        }
        int status = guest_wait(pid);
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), seen[i]);
        CHECK_EQ(status, seen[i] << 8);
    }
}

TEST_CASE(plain_exit_of_a_single_thread)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        syscall(SYS_exit, 77 - 60);
    }
    CHECK_CHILD_EXIT(pid, 17);
}

TEST_CASE(descriptors_close)
{
    int pair[2];
    char byte;
    CHECK_OK(pipe(pair));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(20);
        _exit(0);
    }
    CHECK_OK(close(pair[1]));
    CHECK_EQ(read(pair[0], &byte, 1), 0);
    CHECK_CHILD_OK(pid);
}

static void *exit_thread(void *argument)
{
    (void)argument;
    syscall(SYS_exit, 0);
    return NULL;
}

TEST_CASE(thread_exit_wakes_a_joiner)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, exit_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void second(void)
{
    CHECK_EQ(write(1, "", 0), 0);
    _exit(56);
}

TEST_CASE(atexit_handlers_of_exit)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        atexit(second);
        exit(1);
    }
    CHECK_CHILD_EXIT(pid, 56);
}
