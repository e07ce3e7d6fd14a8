/*
 * sysv_sem.c: System V semaphores.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/ipc.h>
#include <sys/sem.h>

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
};

static int id;

static void create(int count)
{
    id = semget(IPC_PRIVATE, count, IPC_CREAT | 0600);
    if (id < 0 && (errno == ENOSYS || errno == ENOSPC || errno == EPERM)) {
        SKIP("no System V semaphores here");
    }
    CHECK_OK(id);
}

static void destroy(void)
{
    CHECK_OK(semctl(id, 0, IPC_RMID));
}

static int operate(unsigned short n, short op, short flags)
{
    struct sembuf b = {n, op, flags};
    return semop(id, &b, 1);
}

/* Each body runs in a child so that the set is removed whatever happens there. */
static void with_set(int count, void (*body)(void))
{
    create(count);
    pid_t pid = guest_fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    int status = guest_wait(pid);
    destroy();
    CHECK_EQ(status, 0);
}

static void values(void)
{
    unsigned short all[3] = {1, 2, 3};
    CHECK_OK(semctl(id, 0, SETALL, (union semun){.array = all}));
    CHECK_EQ(semctl(id, 1, GETVAL), 2);
    CHECK_OK(semctl(id, 1, SETVAL, (union semun){.val = 9}));
    CHECK_OK(semctl(id, 0, GETALL, (union semun){.array = all}));
    CHECK(all[0] == 1 && all[1] == 9 && all[2] == 3);
    CHECK_ERRNO(semctl(id, 3, GETVAL), EINVAL);
    CHECK_ERRNO(semctl(id, 0, SETVAL, (union semun){.val = -1}), ERANGE);
}

TEST_CASE(set_and_get)
{
    with_set(3, values);
}

static void operations(void)
{
    CHECK_OK(operate(0, 3, 0));
    CHECK_OK(operate(0, -2, 0));
    CHECK_EQ(semctl(id, 0, GETVAL), 1);
    CHECK_EQ(semctl(id, 0, GETPID), getpid());
    CHECK_ERRNO(operate(0, -2, IPC_NOWAIT), EAGAIN);
    CHECK_ERRNO(operate(0, 0, IPC_NOWAIT), EAGAIN);
    CHECK_OK(operate(0, -1, 0));
    CHECK_OK(operate(0, 0, 0));
    CHECK_ERRNO(operate(9, 1, 0), EFBIG);
    struct sembuf both[2] = {{0, 1, 0}, {1, -1, IPC_NOWAIT}};
    CHECK_ERRNO(semop(id, both, 2), EAGAIN);
    CHECK_EQ(semctl(id, 0, GETVAL), 0); /* all or nothing */
    struct timespec t = {0, 30000000};
    struct sembuf wait = {0, -1, 0};
    CHECK_ERRNO(semtimedop(id, &wait, 1, &t), EAGAIN);
}

TEST_CASE(semop_rules)
{
    with_set(2, operations);
}

static void blocking(void)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(operate(0, -1, 0));
        _exit(0);
    }
    guest_sleep_ms(20);
    CHECK_OK(operate(0, 1, 0));
    CHECK_CHILD_OK(pid);
}

TEST_CASE(wakes_a_waiter)
{
    with_set(1, blocking);
}

static void undo(void)
{
    CHECK_OK(operate(0, 5, 0));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(operate(0, -3, SEM_UNDO));
        CHECK_EQ(semctl(id, 0, GETVAL), 2);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(semctl(id, 0, GETVAL), 5);
}

TEST_CASE(undone_at_exit)
{
    with_set(1, undo);
}

TEST_CASE(removal_wakes_with_eidrm)
{
    create(1);
    pid_t pid = guest_fork();
    if (pid == 0) {
        int result = operate(0, -1, 0);
        _exit(result < 0 && (errno == EIDRM || errno == EINVAL) ? 0 : 1);
    }
    guest_sleep_ms(30);
    destroy();
    CHECK_CHILD_OK(pid);
    CHECK_ERRNO(operate(0, 1, 0), EINVAL);
}
