/*
 * sysv_shm.c: System V shared memory.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/ipc.h>
#include <sys/shm.h>

static int create(size_t size)
{
    int id = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);
    if (id < 0 && (errno == ENOSYS || errno == ENOSPC || errno == EPERM)) {
        SKIP("no System V shared memory here");
    }
    return (int)CHECK_OK(id);
}

TEST_CASE(shared_between_processes)
{
    int id = create(8192);
    char *p = shmat(id, NULL, 0);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    CHECK(p != (void *)-1);
    CHECK_EQ(p[0], 0);
    pid_t pid = guest_fork();
    if (pid == 0) {
        p[5000] = 's';
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(p[5000], 's');
    CHECK_OK(shmdt(p));
    CHECK_ERRNO(shmdt(p), EINVAL);
    CHECK_ERRNO(shmat(id, NULL, 0), EINVAL); /* gone with the last detach */
}

TEST_CASE(stat_and_attach_count)
{
    struct shmid_ds ds;
    int id = create(5000);
    char *p = shmat(id, NULL, 0);
    char *q = shmat(id, NULL, SHM_RDONLY);
    int result = shmctl(id, IPC_STAT, &ds);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    CHECK(p != (void *)-1 && q != (void *)-1 && p != q);
    CHECK_EQ(result, 0);
    CHECK_EQ(ds.shm_segsz, 5000);
    CHECK_EQ(ds.shm_nattch, 2);
    CHECK_EQ(ds.shm_cpid, getpid());
    CHECK_EQ(ds.shm_perm.mode & 0777, 0600);
    p[1] = 'x';
    CHECK_EQ(q[1], 'x');
    pid_t pid = guest_fork();
    if (pid == 0) {
        q[0] = 1;
        _exit(0);
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
}

TEST_CASE(keys)
{
    key_t key = 0x5354 << 16 | (getpid() & 0xffff);
    CHECK_OK(shmctl(create(1), IPC_RMID, NULL));
    int id = (int)CHECK_OK(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600));
    int again = shmget(key, 4096, 0600);
    int error = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600) < 0 ? errno : 0;
    int larger = shmget(key, 100000, 0600) < 0 ? errno : 0;
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    CHECK_EQ(again, id);
    CHECK_EQ(error, EEXIST);
    CHECK_EQ(larger, EINVAL);
    CHECK_ERRNO(shmget(key, 4096, 0600), ENOENT);
    CHECK_ERRNO(shmget(IPC_PRIVATE, 0, IPC_CREAT | 0600), EINVAL);
}
