/*
 * process_vm.c: process_vm_readv and process_vm_writev on a child.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>
#include <sys/uio.h>

static char target[100] = "original";

static pid_t child_waits(int *ret_fd)
{
    int ends[2];
    CHECK_OK(pipe(ends));
    pid_t pid = guest_fork();
    if (pid == 0) {
        strcpy(target, "in the child");
        guest_signal_fd(ends[1]);
        for (;;) {
            guest_sleep_ms(1);
            if (target[0] == 'W') {
                _exit(strcmp(target, "Written") == 0 ? 0 : 1);
            }
        }
    }
    guest_await_fd(ends[0]);
    *ret_fd = ends[0];
    return pid;
}

TEST_CASE(read_and_write)
{
    int fd;
    char buffer[100];
    pid_t pid = child_waits(&fd);
    struct iovec local = {buffer, sizeof(buffer)};
    struct iovec remote = {target, sizeof(target)};
    ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
        SKIP("process_vm_readv is not allowed here");
    }
    CHECK_EQ(n, 100);
    CHECK(strcmp(buffer, "in the child") == 0);
    CHECK(strcmp(target, "original") == 0);
    strcpy(buffer, "ritten");
    local.iov_len = remote.iov_len = 7;
    remote.iov_base = target + 1;
    CHECK_EQ(process_vm_writev(pid, &local, 1, &remote, 1, 0), 7);
    buffer[0] = 'W';
    local.iov_len = remote.iov_len = 1;
    remote.iov_base = target;
    CHECK_EQ(process_vm_writev(pid, &local, 1, &remote, 1, 0), 1);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(partial_and_errors)
{
    char buffer[100];
    char *end = guest_page_end();
    struct iovec local = {buffer, 100};
    struct iovec remote[2] = {{target, 50}, {end, 50}};
    ssize_t n = process_vm_readv(getpid(), &local, 1, remote, 2, 0);
    if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
        SKIP("process_vm_readv is not allowed here");
    }
    CHECK_EQ(n, 50);
    CHECK_ERRNO(process_vm_readv(getpid(), &local, 1, remote + 1, 1, 0), EFAULT);
    CHECK_ERRNO(process_vm_readv(getpid(), &local, 1, remote, 1, 1), EINVAL);
    CHECK_ERRNO(process_vm_readv(1 << 21, &local, 1, remote, 1, 0), ESRCH);
    CHECK_EQ(process_vm_readv(getpid(), &local, 0, remote, 1, 0), 0);
}
