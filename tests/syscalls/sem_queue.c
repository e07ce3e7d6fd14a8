/*
 * sem_queue.c: System V semaphores in detail: several operations at once, waiting, undoing.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/ipc.h>
#include <sys/sem.h>

union arg {
    int value;
    struct semid_ds *ds;
    unsigned short *array;
    struct seminfo *info;
};

static int create(int count)
{
    return (int)CHECK_OK(semget(IPC_PRIVATE, count, IPC_CREAT | 0600));
}

static void set(int id, int number, int value)
{
    CHECK_OK(semctl(id, number, SETVAL, (union arg){.value = value}));
}

static int get(int id, int number)
{
    return (int)CHECK_OK(semctl(id, number, GETVAL));
}

static int operate(int id, int number, int by, int flags)
{
    struct sembuf op = {(unsigned short)number, (short)by, (short)flags};
    return semop(id, &op, 1);
}

/* Waits until so many tasks wait for more (GETNCNT) or for zero (GETZCNT). */
static void await(int id, int number, int cmd, int count)
{
    while (semctl(id, number, cmd) != count) {
        guest_sleep_ms(2);
    }
}

static void destroy(int id)
{
    CHECK_OK(semctl(id, 0, IPC_RMID));
}

TEST_CASE(bad_arguments)
{
    struct sembuf ops[501];
    memset(ops, 0, sizeof(ops));
    CHECK_ERRNO(semget(IPC_PRIVATE, 0, IPC_CREAT | 0600), EINVAL);
    CHECK_ERRNO(semget(IPC_PRIVATE, -1, IPC_CREAT | 0600), EINVAL);
    CHECK_ERRNO(semget(IPC_PRIVATE, 32001, IPC_CREAT | 0600), EINVAL);
    CHECK_ERRNO(semget(0x70707072, 1, 0), ENOENT);
    int id = create(2);
    CHECK_ERRNO(semop(id, ops, 0), EINVAL);
    CHECK_ERRNO(semop(-1, ops, 1), EINVAL);
    CHECK_ERRNO(semop(id + 1, ops, 1), EINVAL);
    CHECK_ERRNO(semop(id, ops, 501), E2BIG);
    CHECK_ERRNO(semop(id, guest_bad(), 1), EFAULT);
    ops[0].sem_num = 2;
    ops[0].sem_op = 1;
    CHECK_ERRNO(semop(id, ops, 1), EFBIG);
    CHECK_ERRNO(semctl(id, 2, GETVAL), EINVAL);
    CHECK_ERRNO(semctl(id, -1, GETVAL), EINVAL);
    CHECK_ERRNO(semctl(id, 0, SETVAL, (union arg){.value = 32768}), ERANGE);
    CHECK_ERRNO(semctl(id, 0, SETVAL, (union arg){.value = -1}), ERANGE);
    CHECK_ERRNO(semctl(id, 0, 4711), EINVAL);
    CHECK_ERRNO(semctl(id, 0, IPC_STAT, (union arg){.ds = guest_bad()}), EFAULT);
    CHECK_ERRNO(semctl(id, 0, GETALL, (union arg){.array = guest_bad()}), EFAULT);
    CHECK_ERRNO(semctl(id, 0, SETALL, (union arg){.array = guest_bad()}), EFAULT);
    unsigned short large[2] = {1, 40000};
    CHECK_ERRNO(semctl(id, 0, SETALL, (union arg){.array = large}), ERANGE);
    CHECK_EQ(get(id, 0), 0);
    set(id, 0, 32767);
    CHECK_ERRNO(operate(id, 0, 1, 0), ERANGE);
    destroy(id);
    CHECK_ERRNO(semctl(id, 0, GETVAL), EINVAL);
}

TEST_CASE(all_or_nothing)
{
    int id = create(3);
    set(id, 0, 2);
    struct sembuf ops[] = {{0, -1, 0}, {1, 5, 0}, {2, -1, IPC_NOWAIT}};
    CHECK_ERRNO(semop(id, ops, 3), EAGAIN);
    CHECK_EQ(get(id, 0), 2);
    CHECK_EQ(get(id, 1), 0);
    set(id, 2, 1);
    CHECK_OK(semop(id, ops, 3));
    unsigned short all[3];
    CHECK_OK(semctl(id, 0, GETALL, (union arg){.array = all}));
    CHECK(all[0] == 1 && all[1] == 5 && all[2] == 0);
    CHECK_EQ(semctl(id, 1, GETPID), getpid());
    struct sembuf up_down[] = {{0, 3, 0}, {0, -4, 0}, {0, 0, 0}};
    CHECK_OK(semop(id, up_down, 3));
    CHECK_EQ(get(id, 0), 0);
    destroy(id);
}

TEST_CASE(waiting_and_counts)
{
    int id = create(2);
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct sembuf ops[] = {{0, -2, 0}, {1, 1, 0}};
        CHECK_OK(semop(id, ops, 2));
        _exit(0);
    }
    await(id, 0, GETNCNT, 1);
    CHECK_EQ(semctl(id, 1, GETNCNT), 0);
    CHECK_EQ(semctl(id, 0, GETZCNT), 0);
    CHECK_OK(operate(id, 0, 1, 0));
    CHECK_EQ(semctl(id, 0, GETNCNT), 1);
    CHECK_OK(operate(id, 0, 1, 0));
    CHECK_CHILD_OK(pid);
    CHECK_EQ(get(id, 0), 0);
    CHECK_EQ(get(id, 1), 1);
    CHECK_EQ(semctl(id, 0, GETPID), pid);
    pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(operate(id, 1, 0, 0));
        _exit(0);
    }
    await(id, 1, GETZCNT, 1);
    CHECK_OK(operate(id, 1, -1, 0));
    CHECK_CHILD_OK(pid);
    struct semid_ds ds;
    CHECK_OK(semctl(id, 0, IPC_STAT, (union arg){.ds = &ds}));
    CHECK(ds.sem_otime != 0 && ds.sem_nsems == 2);
    destroy(id);
}

TEST_CASE(removal_ends_waits)
{
    int id = create(1);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_ERRNO(operate(id, 0, -1, 0), EIDRM);
        _exit(0);
    }
    await(id, 0, GETNCNT, 1);
    destroy(id);
    CHECK_CHILD_OK(pid);
}

static void nothing(int sig)
{
    (void)sig;
}

TEST_CASE(signals_end_waits)
{
    int id = create(1);
    guest_handle(SIGALRM, nothing, SA_RESTART);
    guest_ticker_start(20);
    CHECK_ERRNO(operate(id, 0, -1, 0), EINTR); /* never restarted */
    guest_ticker_stop();
    CHECK_EQ(semctl(id, 0, GETNCNT), 0);
    destroy(id);
}

TEST_CASE(timeouts)
{
    int id = create(1);
    struct sembuf op = {0, -1, 0};
    struct timespec t = {0, 30000000};
    long long begin = guest_now_ms();
    CHECK_ERRNO(semtimedop(id, &op, 1, &t), EAGAIN);
    CHECK(guest_now_ms() - begin >= 30);
    t.tv_nsec = 1000000000;
    CHECK_ERRNO(semtimedop(id, &op, 1, &t), EINVAL);
    t = (struct timespec){-1, 0};
    CHECK_ERRNO(semtimedop(id, &op, 1, &t), EINVAL);
    CHECK_ERRNO(semtimedop(id, &op, 1, guest_bad()), EFAULT);
    t = (struct timespec){5, 0};
    set(id, 0, 1);
    CHECK_OK(semtimedop(id, &op, 1, &t));
    destroy(id);
}

TEST_CASE(undo_at_exit)
{
    int id = create(2);
    set(id, 0, 5);
    pid_t waiter = guest_fork();
    if (waiter == 0) {
        CHECK_OK(operate(id, 1, -2, 0));
        _exit(0);
    }
    await(id, 1, GETNCNT, 1);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(operate(id, 0, -3, SEM_UNDO));
        CHECK_OK(operate(id, 0, 1, SEM_UNDO));
        CHECK_OK(operate(id, 0, 1, 0));
        set(id, 1, 1);
        CHECK_OK(operate(id, 1, -1, SEM_UNDO));
        CHECK_OK(operate(id, 1, 1, 0));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_CHILD_OK(waiter); /* the undoing made it 2 */
    CHECK_EQ(get(id, 0), 6);
    CHECK_EQ(get(id, 1), 0);
    CHECK_EQ(semctl(id, 0, GETPID), pid);
    destroy(id);
}

TEST_CASE(undo_is_not_inherited_and_survives_exec)
{
    int id = create(1);
    set(id, 0, 3);
    CHECK_OK(operate(id, 0, -1, SEM_UNDO));
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(get(id, 0), 2);
    pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(operate(id, 0, -1, SEM_UNDO));
        char text[16];
        snprintf(text, sizeof(text), "%d", id);
        execl(guest_self(), guest_self(), "--helper", "look", text, (char *)NULL);
        _exit(1);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(get(id, 0), 2);
    destroy(id);
}

TEST_HELPER(look)
{
    return semctl(atoi(argv[1]), 0, GETVAL) == 1 ? 0 : 1;
}

TEST_CASE(set_clears_undo)
{
    int id = create(2);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(operate(id, 0, 3, SEM_UNDO));
        CHECK_OK(operate(id, 1, 3, SEM_UNDO));
        set(id, 0, 9);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(get(id, 0), 9);
    CHECK_EQ(get(id, 1), 0);
    destroy(id);
}

static int thread_id;

static void *undoing_thread(void *unused)
{
    (void)unused;
    CHECK_OK(operate(thread_id, 0, 4, SEM_UNDO));
    return NULL;
}

TEST_CASE(threads_share_undo)
{
    thread_id = create(1);
    pid_t pid = guest_fork();
    if (pid == 0) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, undoing_thread, NULL), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        guest_sleep_ms(20);
        CHECK_EQ(get(thread_id, 0), 4); /* CLONE_SYSVSEM: the end of a thread undoes nothing */
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(get(thread_id, 0), 0);
    destroy(thread_id);
}

TEST_CASE(unshare_undoes)
{
    int id = create(1);
    CHECK_OK(operate(id, 0, 4, SEM_UNDO));
    CHECK_OK(unshare(CLONE_SYSVSEM));
    CHECK_EQ(get(id, 0), 0);
    destroy(id);
}

TEST_CASE(undo_range)
{
    int id = create(1);
    set(id, 0, 32767);
    CHECK_OK(operate(id, 0, -32767, SEM_UNDO));
    set(id, 0, 32767); /* nothing is to be undone any more */
    CHECK_OK(operate(id, 0, -32767, SEM_UNDO));
    CHECK_OK(operate(id, 0, 100, 0));
    CHECK_ERRNO(operate(id, 0, -1, SEM_UNDO), ERANGE);
    CHECK_EQ(get(id, 0), 100);
    destroy(id);
}

TEST_CASE(info_and_proc)
{
    static char text[1 << 20]; /* the host may have many sets */
    char line[64];
    struct seminfo info;
    struct semid_ds ds;
    int id = create(7);
    CHECK(CHECK_OK(semctl(0, 0, IPC_INFO, (union arg){.info = &info})) >= (id & 32767));
    CHECK(info.semmsl >= 7 && info.semvmx == 32767 && info.semusz == 20 && info.semaem == 32767);
    CHECK_OK(semctl(0, 0, SEM_INFO, (union arg){.info = &info}));
    CHECK(info.semusz >= 1 && info.semaem >= 7);
    CHECK_EQ(semctl(id & 32767, 0, SEM_STAT, (union arg){.ds = &ds}), id);
    CHECK_EQ(ds.sem_nsems, 7);
    CHECK_EQ(ds.sem_otime, 0);
    CHECK_EQ(semctl(id & 32767, 0, SEM_STAT_ANY, (union arg){.ds = &ds}), id);
    guest_read_file("/proc/sysvipc/sem", text, sizeof(text));
    snprintf(line, sizeof(line), "%10d %10d  %4o %10u %5u %5u", 0, id, 0600, 7U, geteuid(),
             getegid());
    CHECK(strstr(text, line) != NULL);
    destroy(id);
}

TEST_CASE(permissions_of_others)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot become another user");
    }
    int id = (int)CHECK_OK(semget(IPC_PRIVATE, 1, IPC_CREAT | 0604));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_become_user();
        CHECK_EQ(semctl(id, 0, GETVAL), 0);
        CHECK_OK(operate(id, 0, 0, 0)); /* reading is enough to wait for zero */
        CHECK_ERRNO(operate(id, 0, 1, 0), EACCES);
        CHECK_ERRNO(semctl(id, 0, SETVAL, (union arg){.value = 1}), EACCES);
        CHECK_ERRNO(semctl(id, 0, IPC_RMID), EPERM);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    destroy(id);
}
