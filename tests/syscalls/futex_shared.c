/*
 * futex_shared.c: futexes in memory shared between processes.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/futex.h>
#include <semaphore.h>
#include <sys/mman.h>

static long futex(void *word, int op, unsigned value, const struct timespec *timeout)
{
    return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

static void ping_pong(int *words_here, int *words_there)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (int i = 0; i < 50; i++) {
            while (__atomic_load_n(&words_there[0], __ATOMIC_SEQ_CST) != 2 * i + 1) {
                futex(&words_there[0], FUTEX_WAIT, (unsigned)(2 * i), NULL);
            }
            __atomic_store_n(&words_there[0], 2 * i + 2, __ATOMIC_SEQ_CST);
            futex(&words_there[0], FUTEX_WAKE, 1, NULL);
        }
        _exit(0);
    }
    for (int i = 0; i < 50; i++) {
        __atomic_store_n(&words_here[0], 2 * i + 1, __ATOMIC_SEQ_CST);
        futex(&words_here[0], FUTEX_WAKE, 1, NULL);
        while (__atomic_load_n(&words_here[0], __ATOMIC_SEQ_CST) != 2 * i + 2) {
            futex(&words_here[0], FUTEX_WAIT, (unsigned)(2 * i + 1), NULL);
        }
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(anonymous_shared_memory)
{
    int *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(map != MAP_FAILED);
    ping_pong(map, map);
}

TEST_CASE(file_at_different_addresses)
{
    int fd = (int)CHECK_OK(open("f", O_RDWR | O_CREAT, 0644));
    CHECK_OK(ftruncate(fd, 8192));
    int *one = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int *two = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
    CHECK(one != MAP_FAILED && two != MAP_FAILED);
    ping_pong(one + 1024, two);
}

TEST_CASE(private_memory_is_not_shared_after_fork)
{
    static int word;
    struct timespec t = {0, 100000000};
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (int i = 0; i < 5; i++) {
            CHECK_EQ(futex(&word, FUTEX_WAKE, 1, NULL), 0);
            guest_sleep_ms(5);
        }
        _exit(0);
    }
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, &t), ETIMEDOUT);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(process_shared_semaphore_and_mutex)
{
    struct {
        sem_t semaphore;
        pthread_mutex_t mutex;
        int counter;
    } *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    pthread_mutexattr_t attributes;
    CHECK_OK(sem_init(&shared->semaphore, 1, 0));
    CHECK_EQ(pthread_mutexattr_init(&attributes), 0);
    CHECK_EQ(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), 0);
    CHECK_EQ(pthread_mutex_init(&shared->mutex, &attributes), 0);
    pid_t pids[3];
    for (int i = 0; i < 3; i++) {
        pids[i] = guest_fork();
        if (pids[i] == 0) {
            CHECK_OK(sem_wait(&shared->semaphore));
            for (int n = 0; n < 1000; n++) {
                pthread_mutex_lock(&shared->mutex);
                shared->counter++;
                pthread_mutex_unlock(&shared->mutex);
            }
            _exit(0);
        }
    }
    for (int i = 0; i < 3; i++) {
        CHECK_OK(sem_post(&shared->semaphore));
    }
    for (int i = 0; i < 3; i++) {
        CHECK_CHILD_OK(pids[i]);
    }
    CHECK_EQ(shared->counter, 3000);
}
