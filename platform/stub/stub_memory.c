/*
 * stub_memory.c: memory operations of an address space, carried out by its service thread, and
 * copies, made by the caller itself.
 */
#include "platform/stub/stub.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "platform/host/memory.h"
#include "platform/stub/stub_filter.h"

#define ERRNO_MAX 4095

static bool range_is_guest(guest_addr addr, uint64_t length)
{
    return addr % STUB_PAGE == 0 && addr >= PLATFORM_GUEST_MIN && addr <= PLATFORM_GUEST_MAX &&
           length != 0 && length <= PLATFORM_GUEST_MAX - addr;
}

/* A result must be the expected value or an error number; the guest can forge it, for itself. */
static int check_result(struct stub *stub, int64_t result, uint64_t expected)
{
    if ((uint64_t)result == expected) {
        return 0;
    }
    if (result < 0 && result >= -ERRNO_MAX) {
        /* ESRCH is not among the errors of these calls and has a meaning of its own here. */
        return result == -ESRCH ? -EINVAL : (int)result;
    }
    stub_kill(stub);
    return PLATFORM_DEAD;
}

static int call_one(struct stub *stub, const struct stub_op *op, uint64_t expected)
{
    int64_t result;
    mutex_lock(&stub->service);
    int rc = stub_call_locked(stub, op, 1, NULL, 0, &result);
    mutex_unlock(&stub->service);
    return rc != 0 ? rc : check_result(stub, result, expected);
}

int stub_map(struct stub *stub, guest_addr addr, uint64_t length, int prot, int flags, int fd,
             uint64_t offset)
{
    const int known = MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (!range_is_guest(addr, length) || (flags & ~known) != 0 ||
        (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)) != 0) {
        return -EINVAL;
    }
    struct stub_op map = {
        .number = SYS_mmap,
        .args = {addr, length, (uint64_t)prot, (uint64_t)(flags | MAP_FIXED), (uint64_t)-1, 0},
    };
    if ((flags & MAP_ANONYMOUS) != 0) {
        return call_one(stub, &map, addr);
    }
    map.args[4] = STUB_FD_FIRST;
    map.args[5] = offset;
    int64_t results[3];
    mutex_lock(&stub->service);
    const struct stub_op ops[] = {
        stub_op_receive(stub, 1), map, {.number = SYS_close, .args = {STUB_FD_FIRST}}};
    int rc = stub_call_locked(stub, ops, array_size(ops), &fd, 1, results);
    mutex_unlock(&stub->service);
    return rc != 0 ? rc : check_result(stub, results[1], addr);
}

int stub_unmap(struct stub *stub, guest_addr addr, uint64_t length)
{
    if (!range_is_guest(addr, length)) {
        return -EINVAL;
    }
    struct stub_op op = {.number = SYS_munmap, .args = {addr, length}};
    return call_one(stub, &op, 0);
}

int stub_protect(struct stub *stub, guest_addr addr, uint64_t length, int prot)
{
    if (!range_is_guest(addr, length) || (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)) != 0) {
        return -EINVAL;
    }
    struct stub_op op = {.number = SYS_mprotect, .args = {addr, length, (uint64_t)prot}};
    return call_one(stub, &op, 0);
}

int stub_remap(struct stub *stub, guest_addr old_addr, uint64_t old_length, guest_addr new_addr,
               uint64_t new_length, int flags)
{
    /* old_length 0 duplicates a shared mapping (Linux: mremap_to, vma_to_resize). */
    if (!range_is_guest(new_addr, new_length) ||
        !range_is_guest(old_addr, old_length != 0 ? old_length : STUB_PAGE) ||
        (flags & ~MREMAP_DONTUNMAP) != 0) {
        return -EINVAL;
    }
    int host_flags = flags;
    if (new_addr != old_addr || flags != 0) {
        host_flags |= MREMAP_MAYMOVE | MREMAP_FIXED;
    }
    struct stub_op op = {
        .number = SYS_mremap,
        .args = {old_addr, old_length, new_length, (uint64_t)host_flags, new_addr},
    };
    return call_one(stub, &op, new_addr);
}

int stub_advise(struct stub *stub, guest_addr addr, uint64_t length, int advice)
{
    if (!range_is_guest(addr, length) || advice < 0 || advice > 31 ||
        (stub_filter_advice & 1U << advice) == 0) {
        return -EINVAL;
    }
    struct stub_op op = {.number = SYS_madvise, .args = {addr, length, (uint64_t)advice}};
    return call_one(stub, &op, 0);
}

int stub_mincore(struct stub *stub, guest_addr addr, uint64_t length, unsigned char *ret_vec)
{
    if (!range_is_guest(addr, length)) {
        return -EINVAL;
    }
    uint64_t pages = (length + STUB_PAGE - 1) / STUB_PAGE;
    for (uint64_t done = 0; done < pages;) {
        uint64_t count = min_of(pages - done, (uint64_t)sizeof stub->reply->data);
        struct stub_op op = {
            .number = SYS_mincore,
            .args = {addr + done * STUB_PAGE, count * STUB_PAGE, STUB_REPLY + STUB_REPLY_DATA},
        };
        int64_t result;
        mutex_lock(&stub->service);
        int rc = stub_call_locked(stub, &op, 1, NULL, 0, &result);
        if (rc == 0) {
            memcpy(ret_vec + done, stub->reply->data, count);
        }
        mutex_unlock(&stub->service);
        if (rc == 0) {
            rc = check_result(stub, result, 0);
        }
        if (rc != 0) {
            return rc;
        }
        done += count;
    }
    return 0;
}

size_t stub_clip_copy(guest_addr addr, size_t length)
{
    if (addr < PLATFORM_GUEST_MIN || addr >= PLATFORM_GUEST_MAX) {
        return 0;
    }
    return min_of(length, (size_t)(PLATFORM_GUEST_MAX - addr));
}

/* Linux never copies more than this in one call: MAX_RW_COUNT. */
#define COPY_MAX ((size_t)0x7ffff000)

/*
 * Where process_vm_readv(2) is denied (Yama's scope 2 and 3, a container's filter), the service
 * thread copies: it reads and writes the shared pages' file from and to guest memory.
 */
static ssize_t copy_by_service(struct stub *stub, guest_addr addr, void *in, const void *out,
                               size_t length)
{
    size_t done = 0;
    while (done < length) {
        const size_t count = min_of(length - done, sizeof stub->reply->data);
        const struct stub_op op = {
            .number = in != NULL ? SYS_pwrite64 : SYS_pread64,
            .args = {STUB_FD_PAGES, addr + done, count, STUB_PAGE + STUB_REPLY_DATA}};
        int64_t result;
        mutex_lock(&stub->service);
        if (out != NULL) {
            memcpy(stub->reply->data, (const char *)out + done, count);
        }
        int rc = stub_call_locked(stub, &op, 1, NULL, 0, &result);
        if (rc == 0 && in != NULL && result > 0) {
            memcpy((char *)in + done, stub->reply->data, min_of((size_t)result, count));
        }
        mutex_unlock(&stub->service);
        if (rc != 0) {
            return rc;
        }
        if (result <= 0 || (uint64_t)result > count) {
            break;
        }
        done += (size_t)result;
    }
    return done != 0 ? (ssize_t)done : -EFAULT;
}

static ssize_t copy_between(struct stub *stub, guest_addr addr, void *in, const void *out,
                            size_t length)
{
    if (length == 0) {
        return 0;
    }
    const size_t wanted = stub_clip_copy(addr, min_of(length, COPY_MAX));
    if (wanted == 0) {
        return -EFAULT;
    }
    if (atomic_load_explicit(&stub->dead, memory_order_relaxed)) {
        return PLATFORM_DEAD;
    }
    ssize_t count = in != NULL ? host_process_read(stub->pid, addr, in, wanted)
                               : host_process_write(stub->pid, addr, out, wanted);
    return count == -EPERM || count == -ENOSYS ? copy_by_service(stub, addr, in, out, wanted)
                                               : count;
}

ssize_t stub_copy_in(struct stub *stub, guest_addr addr, void *buffer, size_t length)
{
    return copy_between(stub, addr, buffer, NULL, length);
}

ssize_t stub_copy_out(struct stub *stub, guest_addr addr, const void *buffer, size_t length)
{
    return copy_between(stub, addr, NULL, buffer, length);
}

/* Makes the pages writable for a moment. Writing to a private page breaks copy-on-write, as it
 * should; a shared page of a read-only file refuses. */
ssize_t stub_copy_out_force(struct stub *stub, guest_addr addr, const void *buffer, size_t length,
                            int prot)
{
    if (length == 0) {
        return 0;
    }
    size_t wanted = stub_clip_copy(addr, min_of(length, COPY_MAX));
    if (wanted == 0) {
        return -EFAULT;
    }
    guest_addr start = addr & ~(guest_addr)(STUB_PAGE - 1);
    uint64_t span = ((addr + wanted + STUB_PAGE - 1) & ~(guest_addr)(STUB_PAGE - 1)) - start;
    if ((prot & (PROT_READ | PROT_WRITE)) == (PROT_READ | PROT_WRITE)) {
        return stub_copy_out(stub, addr, buffer, wanted);
    }
    int rc = stub_protect(stub, start, span, prot | PROT_READ | PROT_WRITE);
    /* Linux: mprotect() changes what it can before it meets a hole. */
    ssize_t count = rc == 0 || rc == -ENOMEM ? stub_copy_out(stub, addr, buffer, wanted) : -EFAULT;
    int back = stub_protect(stub, start, span, prot);
    return rc == PLATFORM_DEAD || back == PLATFORM_DEAD ? PLATFORM_DEAD : count;
}
