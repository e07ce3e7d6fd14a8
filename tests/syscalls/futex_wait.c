/*
 * futex_wait.c: futex WAIT and WAKE: values, timeouts, counts, errors.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/futex.h>
#include <sys/mman.h>

static long futex(void *word, int op, unsigned value, const struct timespec *timeout, void *second,
                  unsigned value3)
{
    return syscall(SYS_futex, word, op, value, timeout, second, value3);
}

TEST_CASE(value_differs)
{
    int word = 5;
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 6, NULL, NULL, 0), EAGAIN);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 6, NULL, NULL, 0), EAGAIN);
}

TEST_CASE(relative_timeout)
{
    int word = 5;
    struct timespec t = {0, 60000000};
    long long start = guest_now_ms();
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 5, &t, NULL, 0), ETIMEDOUT);
    long long took = guest_now_ms() - start;
    CHECK(took >= 60);
    CHECK(took < 3000);
    t.tv_nsec = 0;
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 5, &t, NULL, 0), ETIMEDOUT);
}

TEST_CASE(bad_timeouts)
{
    int word = 5;
    struct timespec t = {0, 1000000000};
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 5, &t, NULL, 0), EINVAL);
    t = (struct timespec){-1, 0};
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 5, &t, NULL, 0), EINVAL);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 5, guest_bad(), NULL, 0), EFAULT);
}

TEST_CASE(addresses_and_operations)
{
    int words[2] = {5, 5};
    CHECK_ERRNO(futex((char *)words + 1, FUTEX_WAIT, 5, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(futex((char *)words + 2, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(futex(guest_bad(), FUTEX_WAIT, 5, NULL, NULL, 0), EFAULT);
    CHECK_EQ(futex(words, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
    CHECK_ERRNO(futex(words, 100, 1, NULL, NULL, 0), ENOSYS);
    CHECK_ERRNO(futex(words, FUTEX_FD, 1, NULL, NULL, 0), ENOSYS);
}

static int word;
static int waiting;
static int woken;

static void *wait_once(void *argument)
{
    (void)argument;
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 0) {
        if (futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == 0) {
            __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
            break;
        }
    }
    return NULL;
}

TEST_CASE(wakes_at_most_that_many)
{
    pthread_t threads[5];
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_once, NULL), 0);
    }
    while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < 5) {
        guest_sleep_ms(1);
    }
    long total = 0;
    while (total < 2) {
        long n = CHECK_OK(futex(&word, FUTEX_WAKE_PRIVATE, 2 - (unsigned)total, NULL, NULL, 0));
        CHECK(n <= 2 - total);
        total += n;
        guest_sleep_ms(1);
    }
    guest_sleep_ms(20);
    CHECK_EQ(__atomic_load_n(&woken, __ATOMIC_SEQ_CST), 2);
    while (total < 5) {
        total += CHECK_OK(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
        guest_sleep_ms(1);
    }
    CHECK_EQ(total, 5);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
}

static void *change_and_wake(void *argument)
{
    (void)argument;
    guest_sleep_ms(20);
    __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
    futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return NULL;
}

TEST_CASE(woken_by_another_thread)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, change_and_wake, NULL), 0);
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 0) {
        long result = futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
        CHECK(result == 0 || errno == EAGAIN);
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST_CASE(unreadable_page)
{
    char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    CHECK_ERRNO(futex(page, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERRNO(futex(page, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
}
