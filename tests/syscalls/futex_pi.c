/*
 * futex_pi.c: locks with priority inheritance: FUTEX_LOCK_PI and its relatives.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/futex.h>
#include <sys/mman.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static uint32_t *words; /* shared memory: a lock, a condition, free use */

static void prepare(void)
{
    words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(words != MAP_FAILED);
}

static long futex(uint32_t *word, int op, uint32_t value, const void *timeout, uint32_t *word2,
                  uint32_t value3)
{
    return syscall(SYS_futex, word, op, value, timeout, word2, value3);
}

static long lock(uint32_t *word)
{
    return futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
}

static long unlock(uint32_t *word)
{
    return futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
}

static uint32_t tid(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

static uint32_t value_of(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void await_waiters(uint32_t *word)
{
    while (!(value_of(word) & FUTEX_WAITERS)) {
        guest_sleep_ms(1);
    }
}

static struct timespec from_now(clockid_t clock, long ms)
{
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

TEST_CASE(free_lock)
{
    prepare();
    CHECK_OK(lock(words));
    CHECK_EQ(value_of(words), tid());
    CHECK_ERRNO(lock(words), EDEADLK);
    CHECK_ERRNO(futex(words, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EDEADLK);
    CHECK_OK(unlock(words));
    CHECK_EQ(value_of(words), 0);
    CHECK_ERRNO(unlock(words), EPERM);
    CHECK_OK(futex(words, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
    CHECK_OK(unlock(words));
    CHECK_ERRNO(lock((uint32_t *)((char *)words + 1)), EINVAL);
    CHECK_ERRNO(lock(guest_bad()), EFAULT);
}

TEST_CASE(no_owner)
{
    prepare();
    words[0] = 0x3ffffff0; /* no such task */
    CHECK_ERRNO(lock(words), ESRCH);
    words[0] = FUTEX_OWNER_DIED;
    CHECK_OK(lock(words));
    CHECK_EQ(value_of(words), tid() | FUTEX_OWNER_DIED);
    words[0] = FUTEX_WAITERS;
    CHECK_OK(lock(words));
    CHECK_EQ(value_of(words) & FUTEX_TID_MASK, tid());
}

TEST_CASE(hand_over)
{
    prepare();
    CHECK_OK(lock(words));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_ERRNO(futex(words, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EAGAIN);
        CHECK_ERRNO(unlock(words), EPERM);
        CHECK_OK(lock(words));
        CHECK_EQ(value_of(words) & FUTEX_TID_MASK, tid());
        words[2] = 1;
        CHECK_OK(unlock(words));
        _exit(0);
    }
    await_waiters(words);
    guest_sleep_ms(20);
    CHECK_EQ(words[2], 0);
    CHECK_ERRNO(futex(words, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
    CHECK_OK(unlock(words));
    CHECK_CHILD_OK(pid);
    CHECK_EQ(words[2], 1);
    CHECK_EQ(value_of(words), 0);
}

TEST_CASE(timeouts)
{
    prepare();
    CHECK_OK(lock(words));
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct timespec t = from_now(CLOCK_REALTIME, 40);
        long long begin = guest_now_ms();
        CHECK_ERRNO(futex(words, FUTEX_LOCK_PI, 0, &t, NULL, 0), ETIMEDOUT);
        CHECK(guest_now_ms() - begin >= 30);
        t = from_now(CLOCK_MONOTONIC, 40);
        if (futex(words, FUTEX_LOCK_PI2, 0, &t, NULL, 0) < 0 && errno == ENOSYS) {
            _exit(0);
        }
        CHECK_EQ(errno, ETIMEDOUT);
        t.tv_nsec = -1;
        CHECK_ERRNO(futex(words, FUTEX_LOCK_PI, 0, &t, NULL, 0), EINVAL);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_OK(unlock(words));
}

static void nothing(int sig)
{
    (void)sig;
}

TEST_CASE(signals_do_not_end_it)
{
    prepare();
    CHECK_OK(lock(words));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_handle(SIGALRM, nothing, 0);
        guest_ticker_start(10);
        CHECK_OK(lock(words)); /* restarted whatever the handler's flags say */
        guest_ticker_stop();
        CHECK_OK(unlock(words));
        _exit(0);
    }
    guest_sleep_ms(80);
    CHECK_OK(unlock(words));
    CHECK_CHILD_OK(pid);
}

static void *lock_both(void *unused)
{
    (void)unused;
    CHECK_OK(lock(words + 1));
    words[2] = 1;
    CHECK_OK(lock(words)); /* the other waits for us: it gets EDEADLK */
    CHECK_OK(unlock(words));
    CHECK_OK(unlock(words + 1));
    return NULL;
}

TEST_CASE(deadlock_of_two)
{
    prepare();
    pthread_t thread;
    CHECK_OK(lock(words));
    CHECK_EQ(pthread_create(&thread, NULL, lock_both, NULL), 0);
    while (__atomic_load_n(&words[2], __ATOMIC_SEQ_CST) == 0) {
        guest_sleep_ms(1);
    }
    await_waiters(words);
    guest_sleep_ms(20);
    CHECK_ERRNO(lock(words + 1), EDEADLK);
    CHECK_OK(unlock(words));
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST_CASE(owner_dies)
{
    prepare();
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(lock(words));
        words[2] = 1;
        await_waiters(words);
        guest_sleep_ms(20);
        _exit(0);
    }
    while (__atomic_load_n(&words[2], __ATOMIC_SEQ_CST) == 0) {
        guest_sleep_ms(1);
    }
    CHECK_OK(lock(words));
    CHECK_EQ(value_of(words), tid() | FUTEX_WAITERS | FUTEX_OWNER_DIED);
    CHECK_CHILD_OK(pid);
    CHECK_OK(unlock(words));
    CHECK_EQ(value_of(words), 0);
}

static pthread_mutex_t *shared_mutex(int robust)
{
    pthread_mutexattr_t attr;
    pthread_mutex_t *mutex =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(mutex != MAP_FAILED);
    CHECK_EQ(pthread_mutexattr_init(&attr), 0);
    CHECK_EQ(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED), 0);
    CHECK_EQ(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT), 0);
    CHECK_EQ(pthread_mutexattr_setrobust(&attr, robust), 0);
    CHECK_EQ(pthread_mutex_init(mutex, &attr), 0);
    return mutex;
}

TEST_CASE(robust_owner_dies)
{
    pthread_mutex_t *mutex = shared_mutex(PTHREAD_MUTEX_ROBUST);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(pthread_mutex_lock(mutex), 0);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(pthread_mutex_lock(mutex), EOWNERDEAD);
    CHECK_EQ(pthread_mutex_consistent(mutex), 0);
    CHECK_EQ(pthread_mutex_unlock(mutex), 0);
    int ready[2];
    CHECK_OK(pipe(ready));
    pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(pthread_mutex_lock(mutex), 0);
        guest_signal_fd(ready[1]);
        guest_sleep_ms(40);
        _exit(0); /* while the parent waits */
    }
    guest_await_fd(ready[0]);
    CHECK_EQ(pthread_mutex_lock(mutex), EOWNERDEAD);
    CHECK_CHILD_OK(pid);
    CHECK_EQ(pthread_mutex_consistent(mutex), 0);
    CHECK_EQ(pthread_mutex_unlock(mutex), 0);
}

static pthread_mutex_t *contended;
static long counter;

static void *count_up(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2000; i++) {
        CHECK_EQ(pthread_mutex_lock(contended), 0);
        counter++;
        CHECK_EQ(pthread_mutex_unlock(contended), 0);
    }
    return NULL;
}

TEST_CASE_SLOW(contention)
{
    pthread_t threads[4];
    contended = shared_mutex(PTHREAD_MUTEX_STALLED);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK_EQ(counter, 8000);
}

/* A task that waits at words[1] and wants the lock words[0]. */
static pid_t requeue_waiter(void)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        __atomic_fetch_add(&words[3], 1, __ATOMIC_SEQ_CST);
        CHECK_OK(futex(words + 1, FUTEX_WAIT_REQUEUE_PI, 0, NULL, words, 0));
        CHECK_EQ(value_of(words) & FUTEX_TID_MASK, tid());
        __atomic_fetch_add(&words[2], 1, __ATOMIC_SEQ_CST);
        CHECK_OK(unlock(words));
        _exit(0);
    }
    return pid;
}

TEST_CASE(requeue)
{
    prepare();
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = requeue_waiter();
    }
    while (__atomic_load_n(&words[3], __ATOMIC_SEQ_CST) != 3) {
        guest_sleep_ms(1);
    }
    guest_sleep_ms(50);
    CHECK_ERRNO(futex(words + 1, FUTEX_CMP_REQUEUE_PI, 1, (void *)100, words, 1), EAGAIN);
    CHECK_ERRNO(futex(words + 1, FUTEX_CMP_REQUEUE_PI, 2, (void *)100, words, 0), EINVAL);
    CHECK_ERRNO(futex(words + 1, FUTEX_CMP_REQUEUE_PI, 1, (void *)100, words + 1, 0), EINVAL);
    CHECK_ERRNO(futex(words + 1, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
    CHECK_OK(lock(words));
    CHECK_EQ(futex(words + 1, FUTEX_CMP_REQUEUE_PI, 1, (void *)100, words, 0), 3);
    guest_sleep_ms(20);
    CHECK_EQ(words[2], 0);
    CHECK_OK(unlock(words));
    for (int i = 0; i < 3; i++) {
        CHECK_CHILD_OK(children[i]);
    }
    CHECK_EQ(words[2], 3);
    pid_t pid = requeue_waiter();
    guest_sleep_ms(50);
    CHECK_EQ(futex(words + 1, FUTEX_CMP_REQUEUE_PI, 1, NULL, words, 0), 1); /* the lock is free */
    CHECK_CHILD_OK(pid);
}

TEST_CASE(requeue_errors)
{
    prepare();
    struct timespec t = from_now(CLOCK_MONOTONIC, 30);
    CHECK_ERRNO(futex(words + 1, FUTEX_WAIT_REQUEUE_PI, 1, NULL, words, 0), EAGAIN);
    CHECK_ERRNO(futex(words + 1, FUTEX_WAIT_REQUEUE_PI, 0, NULL, words + 1, 0), EINVAL);
    CHECK_ERRNO(futex(words + 1, FUTEX_WAIT_REQUEUE_PI, 0, &t, words, 0), ETIMEDOUT);
    CHECK_EQ(futex(words + 1, FUTEX_CMP_REQUEUE_PI, 1, NULL, words, 0), 0);
}
