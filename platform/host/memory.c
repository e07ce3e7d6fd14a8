/*
 * memory.c: memfds, futexes and process_vm_readv/writev.
 */
#include "platform/host/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* Linux before 6.3 knows neither MFD_EXEC nor MFD_NOEXEC_SEAL and answers EINVAL. */
static int memfd_create_kind(const char *name, unsigned int kind)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | kind);
    if (fd < 0 && errno == EINVAL) {
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    return fd < 0 ? -errno : fd;
}

int host_memfd_create(const char *name, uint64_t size)
{
    int fd = memfd_create_kind(name, MFD_NOEXEC_SEAL);
    if (fd < 0) {
        return fd;
    }
    if (ftruncate(fd, (off_t)size) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

/* Writes all pieces, however many the host takes at a time. */
static int write_pieces(int fd, struct iovec *pieces, size_t count)
{
    while (count > 0) {
        if (pieces->iov_len == 0) {
            pieces++;
            count--;
            continue;
        }
        ssize_t done = pwritev2(fd, pieces, count < IOV_MAX ? (int)count : IOV_MAX, -1, 0);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return done < 0 ? -errno : -EIO;
        }
        while (done > 0) {
            size_t part = min_of((size_t)done, pieces->iov_len);
            pieces->iov_base = (char *)pieces->iov_base + part;
            pieces->iov_len -= part;
            done -= (ssize_t)part;
            if (pieces->iov_len == 0) {
                pieces++;
                count--;
            }
        }
    }
    return 0;
}

int host_memfd_create_image_pieces(const char *name, struct iovec *pieces, size_t count)
{
    int fd = memfd_create_kind(name, MFD_EXEC);
    if (fd < 0) {
        return fd;
    }
    int error = write_pieces(fd, pieces, count);
    if (!error &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
        error = -errno;
    }
    if (error) {
        close(fd);
        return error;
    }
    return fd;
}

int host_memfd_create_image(const char *name, const void *bytes, size_t length)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    return host_memfd_create_image_pieces(name, &piece, 1);
}

int host_futex_wait(atomic_uint *word, uint32_t expected, uint64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
                               .tv_nsec = (long)(timeout_ns % 1000000000)};
    long rc =
        syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout_ns != 0 ? &timeout : NULL, NULL, 0);
    return rc < 0 ? -errno : 0;
}

int host_futex_wake(atomic_uint *word, int count)
{
    long rc = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
    return rc < 0 ? -errno : (int)rc;
}

ssize_t host_process_read(pid_t pid, uint64_t addr, void *buffer, size_t length)
{
    struct iovec local = {.iov_base = buffer, .iov_len = length};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)addr, .iov_len = length};
    ssize_t count = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    return count < 0 ? -errno : count;
}

ssize_t host_process_write(pid_t pid, uint64_t addr, const void *buffer, size_t length)
{
    struct iovec local = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = length};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)addr, .iov_len = length};
    ssize_t count = process_vm_writev(pid, &local, 1, &remote, 1, 0);
    return count < 0 ? -errno : count;
}
