/*
 * syscall.c: the helpers of syscall.h: copying arguments of common types between the caller's
 * memory and kernel objects. Each guest byte is read once.
 */
#include "syscalls/syscall.h"

#include <limits.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "sentry/core/clock.h"

int copy_in_path(uint64_t addr, char buffer[4096])
{
    ssize_t length = mm_copy_in_string(current.mm, addr, buffer, 4096);
    return length < 0 ? (int)length : 0;
}

/* Linux: KTIME_SEC_MAX: longer times are "for ever". */
static uint64_t to_ns(int64_t seconds, int64_t nanoseconds)
{
    if ((uint64_t)seconds >= INT64_MAX / NSEC_PER_SEC) {
        return INT64_MAX;
    }
    return (uint64_t)seconds * NSEC_PER_SEC + (uint64_t)nanoseconds;
}

int copy_in_timespec_ns(uint64_t addr, uint64_t *ret_ns)
{
    struct timespec value;
    if (copy_in(addr, &value) < 0) {
        return -EFAULT;
    }
    if (value.tv_sec < 0 || value.tv_nsec < 0 || (uint64_t)value.tv_nsec >= NSEC_PER_SEC) {
        return -EINVAL;
    }
    *ret_ns = to_ns(value.tv_sec, value.tv_nsec);
    return 0;
}

int copy_in_timeval_ns(uint64_t addr, uint64_t *ret_ns)
{
    struct timeval value;
    if (copy_in(addr, &value) < 0) {
        return -EFAULT;
    }
    if (value.tv_sec < 0 || value.tv_usec < 0 || value.tv_usec >= 1000000) {
        return -EINVAL;
    }
    *ret_ns = to_ns(value.tv_sec, value.tv_usec * 1000);
    return 0;
}

int copy_out_timespec_ns(uint64_t addr, uint64_t ns)
{
    struct timespec value = {(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)};
    return copy_out(addr, &value);
}

int copy_out_timeval_ns(uint64_t addr, uint64_t ns)
{
    struct timeval value = {(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC / 1000)};
    return copy_out(addr, &value);
}

int copy_in_sigset(uint64_t addr, uint64_t size, uint64_t *ret_set)
{
    if (size != sizeof(*ret_set)) {
        return -EINVAL;
    }
    uint64_t set;
    if (copy_in(addr, &set) < 0) {
        return -EFAULT;
    }
    *ret_set = set;
    return 0;
}

/* -E2BIG unless all of the guest bytes are zero. */
static int check_zeroed(uint64_t addr, uint64_t length)
{
    unsigned char chunk[256];
    while (length > 0) {
        size_t part = length < sizeof(chunk) ? (size_t)length : sizeof(chunk);
        int error = mm_copy_in(current.mm, addr, chunk, part);
        if (error < 0) {
            return error;
        }
        for (size_t i = 0; i < part; i++) {
            if (chunk[i] != 0) {
                return -E2BIG;
            }
        }
        addr += part;
        length -= part;
    }
    return 0;
}

int copy_in_struct(uint64_t addr, uint64_t user_size, void *object, size_t size)
{
    if (user_size > PAGE_SIZE) {
        return -E2BIG;
    }
    size_t part = user_size < size ? (size_t)user_size : size;
    memset(object, 0, size);
    if (user_size > size) {
        int error = check_zeroed(addr + size, user_size - size);
        if (error < 0) {
            return error;
        }
    }
    return mm_copy_in(current.mm, addr, object, part);
}
