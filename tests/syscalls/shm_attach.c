/*
 * shm_attach.c: System V shared memory in detail: addresses, counts, removal, permissions, limits.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>

#define PAGE 4096UL
#define NONE ((void *)-1)

static int create(size_t size, int flags)
{
    return (int)CHECK_OK(shmget(IPC_PRIVATE, size, IPC_CREAT | flags));
}

static struct shmid_ds stat_of(int id)
{
    struct shmid_ds ds;
    CHECK_OK(shmctl(id, IPC_STAT, &ds));
    return ds;
}

/* An unused range of so many pages. */
static char *free_range(size_t pages)
{
    char *p = mmap(NULL, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_OK(munmap(p, pages * PAGE));
    return p;
}

TEST_CASE(bad_arguments)
{
    CHECK_ERRNO(shmget(IPC_PRIVATE, 0, IPC_CREAT | 0600), EINVAL);
    CHECK_ERRNO(shmget(0x70707071, 4096, 0600), ENOENT);
    CHECK_ERRNO(shmctl(0x7ffffff, IPC_STAT, guest_bad()), EINVAL);
    CHECK_ERRNO(shmctl(-1, IPC_RMID, NULL), EINVAL);
    int id = create(PAGE, 0600);
    CHECK_ERRNO(shmctl(id, 4711, NULL), EINVAL);
    CHECK_ERRNO(shmctl(id, IPC_STAT, guest_bad()), EFAULT);
    CHECK_ERRNO(shmctl(id, IPC_SET, guest_bad()), EFAULT);
    CHECK(shmat(-1, NULL, 0) == NONE && errno == EINVAL);
    CHECK(shmat(id + 1, NULL, 0) == NONE && errno == EINVAL);
    CHECK(shmat(id, NULL, SHM_REMAP) == NONE && errno == EINVAL);
    CHECK_ERRNO(shmdt((char *)8), EINVAL);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    CHECK_ERRNO(shmctl(id, IPC_STAT, guest_bad()), EINVAL);
}

TEST_CASE(keys)
{
    key_t key = (key_t)(0x51000000 + getpid());
    int id = (int)CHECK_OK(shmget(key, 3000, IPC_CREAT | IPC_EXCL | 0600));
    CHECK_ERRNO(shmget(key, 3000, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    CHECK_EQ(shmget(key, 0, 0), id);
    CHECK_EQ(shmget(key, 3000, IPC_CREAT | 0600), id);
    CHECK_ERRNO(shmget(key, 3001, 0), EINVAL);
    CHECK_EQ(stat_of(id).shm_perm.__key, key);
    char *p = shmat(id, NULL, 0);
    CHECK(p != NONE);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    struct shmid_ds ds = stat_of(id); /* attached: still there, without its key */
    CHECK_EQ(ds.shm_perm.__key, IPC_PRIVATE);
    CHECK(ds.shm_perm.mode & SHM_DEST);
    CHECK_ERRNO(shmget(key, 0, 0), ENOENT);
    char *q = shmat(id, NULL, 0); /* and can still be attached */
    CHECK(q != NONE);
    p[1] = 7;
    CHECK_EQ(q[1], 7);
    CHECK_OK(shmdt(p));
    CHECK_OK(shmdt(q));
    CHECK_ERRNO(shmctl(id, IPC_STAT, &ds), EINVAL);
}

TEST_CASE(addresses)
{
    int id = create(2 * PAGE, 0600);
    char *at = free_range(16);
    CHECK(shmat(id, at + 100, 0) == NONE && errno == EINVAL);
    CHECK(shmat(id, at + 100, SHM_RND) == at);
    CHECK(shmat(id, at, 0) == NONE && errno == EINVAL); /* something is there */
    CHECK(shmat(id, at + PAGE, 0) == NONE && errno == EINVAL);
    at[0] = 'a';
    CHECK(shmat(id, at + 2 * PAGE, 0) == at + 2 * PAGE);
    CHECK_EQ(at[2 * PAGE], 'a');
    int other = create(PAGE, 0600);
    CHECK(shmat(other, at, SHM_REMAP) == at);
    CHECK_EQ(at[0], 0);
    CHECK_EQ(at[PAGE], 0);
    CHECK_EQ(stat_of(id).shm_nattch, 2); /* the second page, and the second attach */
    CHECK_OK(shmdt(at + 2 * PAGE));
    CHECK_OK(shmdt(at));
    CHECK_EQ(stat_of(other).shm_nattch, 0);
    CHECK_EQ(stat_of(id).shm_nattch, 1);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    CHECK_OK(shmctl(other, IPC_RMID, NULL));
}

TEST_CASE(pieces)
{
    int id = create(4 * PAGE, 0600);
    char *p = shmat(id, NULL, 0);
    CHECK(p != NONE);
    CHECK_OK(munmap(p + PAGE, PAGE));
    CHECK_EQ(stat_of(id).shm_nattch, 2);
    CHECK_OK(mprotect(p + 3 * PAGE, PAGE, PROT_READ));
    CHECK_EQ(stat_of(id).shm_nattch, 3);
    CHECK_OK(shmdt(p));
    CHECK_EQ(stat_of(id).shm_nattch, 0);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
}

TEST_CASE(count_follows_processes)
{
    int id = create(PAGE, 0600);
    char *p = shmat(id, NULL, 0);
    CHECK(p != NONE);
    int gate[2];
    CHECK_OK(pipe(gate));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_await_fd(gate[0]);
        _exit(0);
    }
    CHECK_EQ(stat_of(id).shm_nattch, 2);
    guest_signal_fd(gate[1]);
    CHECK_CHILD_OK(pid);
    struct shmid_ds ds = stat_of(id);
    CHECK_EQ(ds.shm_nattch, 1);
    CHECK_EQ(ds.shm_lpid, pid);
    CHECK_EQ(ds.shm_cpid, getpid());
    pid = guest_fork();
    if (pid == 0) { /* exec detaches */
        execl("/bin/true", "true", (char *)NULL);
        execl("/usr/bin/true", "true", (char *)NULL);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(stat_of(id).shm_nattch, 1);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    p[0] = 1; /* still there */
    CHECK_OK(shmdt(p));
    CHECK_ERRNO(shmctl(id, IPC_STAT, &ds), EINVAL);
}

TEST_CASE(protection)
{
    int id = create(PAGE, 0600);
    char *p = shmat(id, NULL, SHM_RDONLY);
    CHECK(p != NONE);
    CHECK_ERRNO(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES);
    char *code = shmat(id, NULL, SHM_EXEC);
    if (code == NONE) { /* the mode has no x bit for us: root may all the same */
        CHECK_EQ(errno, EACCES);
        CHECK(getuid() != 0);
    } else {
        code[0] = (char)0xc3; /* ret */
        ((void (*)(void))(uintptr_t)code)();
    }
    int readable = create(PAGE, 0400);
    if (geteuid() != 0) {
        CHECK(shmat(readable, NULL, 0) == NONE && errno == EACCES);
    }
    CHECK(shmat(readable, NULL, SHM_RDONLY) != NONE);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    CHECK_OK(shmctl(readable, IPC_RMID, NULL));
}

TEST_CASE(permissions_of_others)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot become another user");
    }
    int id = create(PAGE, 0604);
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct shmid_ds ds;
        guest_become_user();
        CHECK(shmat(id, NULL, 0) == NONE && errno == EACCES);
        CHECK(shmat(id, NULL, SHM_RDONLY) != NONE);
        CHECK_OK(shmctl(id, IPC_STAT, &ds));
        CHECK_ERRNO(shmctl(id, IPC_SET, &ds), EPERM);
        CHECK_ERRNO(shmctl(id, IPC_RMID, NULL), EPERM);
        CHECK_ERRNO(shmctl(id, SHM_LOCK, NULL), EPERM);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    struct shmid_ds ds = stat_of(id);
    ds.shm_perm.uid = 12345;
    ds.shm_perm.mode = 0600;
    CHECK_OK(shmctl(id, IPC_SET, &ds));
    ds = stat_of(id);
    CHECK_EQ(ds.shm_perm.uid, 12345);
    CHECK_EQ(ds.shm_perm.cuid, 0);
    CHECK_EQ(ds.shm_perm.mode, 0600);
    pid = guest_fork();
    if (pid == 0) {
        guest_become_user();
        CHECK(shmat(id, NULL, 0) != NONE);
        CHECK_OK(shmctl(id, IPC_RMID, NULL));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_ERRNO(shmctl(id, IPC_STAT, &ds), EINVAL);
}

TEST_CASE(lock_bit)
{
    int id = create(PAGE, 0600);
    CHECK_OK(shmctl(id, SHM_LOCK, NULL));
    CHECK(stat_of(id).shm_perm.mode & SHM_LOCKED);
    CHECK_OK(shmctl(id, SHM_UNLOCK, NULL));
    CHECK(!(stat_of(id).shm_perm.mode & SHM_LOCKED));
    if (geteuid() != 0) {
        struct rlimit none = {0, 0};
        CHECK_OK(setrlimit(RLIMIT_MEMLOCK, &none));
        CHECK_ERRNO(shmctl(id, SHM_LOCK, NULL), EPERM);
    }
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
}

TEST_CASE(info)
{
    struct shminfo limits;
    struct shm_info usage;
    struct shmid_ds ds;
    int id = create(3 * PAGE, 0600);
    char *p = shmat(id, NULL, 0);
    CHECK(p != NONE);
    memset(p, 1, 2 * PAGE);
    int highest = (int)CHECK_OK(shmctl(0, IPC_INFO, (struct shmid_ds *)&limits));
    CHECK(highest >= (id & 32767));
    CHECK_EQ(limits.shmmin, 1);
    CHECK(limits.shmmni > 0 && limits.shmseg == limits.shmmni);
    CHECK_OK(shmctl(0, SHM_INFO, (struct shmid_ds *)&usage));
    CHECK(usage.used_ids >= 1);
    CHECK(usage.shm_tot >= 3);
    CHECK(usage.shm_rss >= 2);
    CHECK_EQ(shmctl(id & 32767, SHM_STAT, &ds), id);
    CHECK_EQ(ds.shm_segsz, 3 * PAGE);
    CHECK_EQ(shmctl(id & 32767, SHM_STAT_ANY, &ds), id);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
}

TEST_CASE(proc_files)
{
    char text[65536];
    char line[64];
    int id = create(5000, 0600);
    char *p = shmat(id, NULL, 0);
    CHECK(p != NONE);
    guest_read_file("/proc/sysvipc/shm", text, sizeof(text));
    snprintf(line, sizeof(line), "%10d %10d  %4o %21lu %5d %5d  %5lu", 0, id, 0600, 5000UL,
             getpid(), getpid(), 1UL);
    CHECK(strncmp(text, "       key      shmid perms ", 28) == 0);
    CHECK(strstr(text, line) != NULL);
    guest_read_file("/proc/self/maps", text, sizeof(text));
    CHECK(strstr(text, "/SYSV00000000 (deleted)\n") != NULL);
    snprintf(line, sizeof(line), "%lx-%lx rw-s 00000000 00:01 %d ", (unsigned long)p,
             (unsigned long)p + 2 * PAGE, id);
    CHECK(strstr(text, line) != NULL);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
}

TEST_CASE(contents_stay)
{
    int id = create(PAGE, 0600);
    pid_t pid = guest_fork();
    if (pid == 0) {
        char *q = shmat(id, NULL, 0);
        CHECK(q != NONE);
        strcpy(q, "left by a child");
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(stat_of(id).shm_nattch, 0);
    char *p = shmat(id, NULL, 0);
    CHECK(p != NONE);
    CHECK(strcmp(p, "left by a child") == 0);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
}

TEST_CASE(identifiers_are_not_reused_at_once)
{
    int id = create(PAGE, 0600);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    int next = create(PAGE, 0600);
    CHECK(next != id);
    CHECK_OK(shmctl(next, IPC_RMID, NULL));
}
