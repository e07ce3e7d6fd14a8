/* numa.c: memory policies; node 0 is always there. */
#include <linux/mempolicy.h>
#include <sys/mman.h>

#include "guest_test.h"

#define NODES 1024

static void begin(void)
{
    int mode;
    if (syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) != 0) {
        CHECK(errno == ENOSYS || errno == EPERM);
        SKIP("no memory policies");
    }
}

TEST_CASE(task_policy)
{
    unsigned long nodes[NODES / 64] = {1}, none[NODES / 64] = {0};
    unsigned long got[NODES / 64];
    int mode = -1;
    begin();
    CHECK_OK(syscall(SYS_set_mempolicy, MPOL_BIND, nodes, NODES + 1));
    CHECK_OK(syscall(SYS_get_mempolicy, &mode, got, NODES + 1, NULL, 0));
    CHECK_EQ(mode, MPOL_BIND);
    CHECK_EQ(got[0], 1);
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_OK(syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0));
        CHECK_EQ(mode, MPOL_BIND);
        _exit(0);
    }
    CHECK_CHILD_OK(child);
    CHECK_ERRNO(syscall(SYS_set_mempolicy, MPOL_BIND, none, NODES + 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_set_mempolicy, MPOL_DEFAULT, nodes, NODES + 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_set_mempolicy, 99, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_set_mempolicy, MPOL_BIND, guest_bad(), NODES + 1), EFAULT);
    CHECK_OK(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
    CHECK_OK(syscall(SYS_get_mempolicy, &mode, got, NODES + 1, NULL, 0));
    CHECK_EQ(mode, MPOL_DEFAULT);
    CHECK_EQ(got[0], 0);
    CHECK_OK(syscall(SYS_get_mempolicy, &mode, got, NODES + 1, NULL, MPOL_F_MEMS_ALLOWED));
    CHECK_EQ(got[0] & 1, 1);
    CHECK_ERRNO(syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 64), EINVAL);
    CHECK_ERRNO(syscall(SYS_get_mempolicy, &mode, NULL, 0, &mode, 0), EINVAL);
}

TEST_CASE(range_policy)
{
    unsigned long nodes[NODES / 64] = {1}, got[NODES / 64];
    int mode = -1;
    begin();
    char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_OK(syscall(SYS_mbind, p + 4096, 4096, MPOL_INTERLEAVE, nodes, NODES + 1, 0));
    CHECK_OK(syscall(SYS_get_mempolicy, &mode, got, NODES + 1, p + 4096, MPOL_F_ADDR));
    CHECK_EQ(mode, MPOL_INTERLEAVE);
    CHECK_EQ(got[0], 1);
    CHECK_OK(syscall(SYS_get_mempolicy, &mode, got, NODES + 1, p, MPOL_F_ADDR));
    CHECK_EQ(mode, MPOL_DEFAULT);
    p[4096] = 1;
    CHECK_OK(syscall(SYS_get_mempolicy, &mode, NULL, 0, p + 4096, MPOL_F_ADDR | MPOL_F_NODE));
    CHECK_OK(munmap(p + 8192, 4096));
    CHECK_ERRNO(syscall(SYS_mbind, p, 3 * 4096, MPOL_BIND, nodes, NODES + 1, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_mbind, p + 1, 4096, MPOL_BIND, nodes, NODES + 1, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_mbind, p, 4096, MPOL_BIND, nodes, NODES + 1, 64), EINVAL);
    CHECK_ERRNO(syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, MPOL_F_ADDR), EFAULT);
}

TEST_CASE(pages)
{
    int status[3] = {9, 9, 9};
    begin();
    char *p = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    p[0] = 1;
    CHECK_OK(munmap(p + 4096, 4096));
    void *addresses[2] = {p, p + 4096};
    CHECK_OK(syscall(SYS_move_pages, 0, 2, addresses, NULL, status, 0));
    CHECK(status[0] >= 0);
    CHECK(status[1] == -EFAULT || status[1] == -ENOENT);
    CHECK_ERRNO(syscall(SYS_move_pages, 0, 1, addresses, NULL, status, 64), EINVAL);
}
