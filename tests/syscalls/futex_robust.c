/*
 * futex_robust.c: robust lists: locks of a dead thread are marked and a waiter is woken.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/futex.h>
#include <sys/mman.h>

struct lock {
    struct robust_list list;
    int futex;
};

TEST_CASE(get_returns_what_was_set)
{
    struct robust_list_head head = {{&head.list}, 0, NULL};
    struct robust_list_head *got = NULL;
    size_t size = 0;
    CHECK_OK(syscall(SYS_set_robust_list, &head, sizeof(head)));
    CHECK_OK(syscall(SYS_get_robust_list, 0, &got, &size));
    CHECK(got == &head);
    CHECK_EQ(size, sizeof(head));
    CHECK_ERRNO(syscall(SYS_set_robust_list, &head, 3), EINVAL);
    CHECK_ERRNO(syscall(SYS_get_robust_list, 1 << 21, &got, &size), ESRCH);
}

TEST_CASE(owner_died)
{
    struct lock *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    pid_t pid = guest_fork();
    if (pid == 0) {
        static struct robust_list_head head;
        head.list.next = &shared->list;
        head.futex_offset = offsetof(struct lock, futex);
        shared->list.next = &head.list;
        shared->futex = (int)syscall(SYS_gettid);
        syscall(SYS_set_robust_list, &head, sizeof(head));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ((unsigned)shared->futex, FUTEX_OWNER_DIED);
}

TEST_CASE(pending_operation_and_waiters)
{
    struct lock *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    int ready[2];
    CHECK_OK(pipe(ready));
    pid_t pid = guest_fork();
    if (pid == 0) {
        static struct robust_list_head head;
        head.list.next = &head.list;
        head.futex_offset = offsetof(struct lock, futex);
        head.list_op_pending = &shared->list;
        shared->futex = (int)((unsigned)syscall(SYS_gettid) | FUTEX_WAITERS);
        syscall(SYS_set_robust_list, &head, sizeof(head));
        guest_signal_fd(ready[1]);
        guest_sleep_ms(40);
        _exit(0);
    }
    guest_await_fd(ready[0]);
    int value = shared->futex;
    if (value == (int)((unsigned)pid | FUTEX_WAITERS)) {
        struct timespec t = {5, 0};
        long result = syscall(SYS_futex, &shared->futex, FUTEX_WAIT, value, &t, NULL, 0);
        CHECK(result == 0 || errno == EAGAIN);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ((unsigned)shared->futex, FUTEX_OWNER_DIED | FUTEX_WAITERS);
}

static void *die_holding(void *mutex)
{
    pthread_mutex_lock(mutex);
    return NULL;
}

TEST_CASE(robust_mutex_of_a_dead_thread)
{
    pthread_mutex_t mutex;
    pthread_mutexattr_t attributes;
    pthread_t thread;
    CHECK_EQ(pthread_mutexattr_init(&attributes), 0);
    CHECK_EQ(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
    CHECK_EQ(pthread_mutex_init(&mutex, &attributes), 0);
    CHECK_EQ(pthread_create(&thread, NULL, die_holding, &mutex), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
    CHECK_EQ(pthread_mutex_consistent(&mutex), 0);
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
}

TEST_CASE(broken_lists_do_no_harm)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        static struct robust_list_head head;
        head.list.next = guest_bad();
        syscall(SYS_set_robust_list, &head, sizeof(head));
        _exit(5);
    }
    CHECK_CHILD_EXIT(pid, 5);
    pid = guest_fork();
    if (pid == 0) {
        static struct robust_list_head head;
        static struct robust_list self;
        self.next = &self; /* endless */
        head.list.next = &self;
        syscall(SYS_set_robust_list, &head, sizeof(head));
        _exit(6);
    }
    CHECK_CHILD_EXIT(pid, 6);
    pid = guest_fork();
    if (pid == 0) {
        syscall(SYS_set_robust_list, guest_bad(), sizeof(struct robust_list_head));
        _exit(7);
    }
    CHECK_CHILD_EXIT(pid, 7);
}
