/*
 * ptrace_poke.c: writes that ignore page protection, as a debugger's do.
 *
 * The service thread is idle while its lock is held, so the caller may trace it for a moment:
 * PTRACE_POKEDATA writes through read-only private mappings (breaking copy-on-write), needs no
 * knowledge of the protection, and opens nothing under /proc.
 */
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "platform/host/process.h"
#include "platform/ptrace/ptrace_internal.h"

#define WORD sizeof(long)

static int begin_poke(struct stub *stub)
{
    if (ptrace(PTRACE_SEIZE, stub->pid, NULL, NULL) != 0) {
        return errno == ESRCH ? PLATFORM_DEAD : -errno;
    }
    int status;
    if (ptrace(PTRACE_INTERRUPT, stub->pid, NULL, NULL) != 0 || host_wait(stub->pid, &status) < 0 ||
        !WIFSTOPPED(status)) {
        stub_kill(stub);
        return PLATFORM_DEAD;
    }
    return 0;
}

static int poke_word(pid_t pid, guest_addr addr, const unsigned char *bytes, size_t offset,
                     size_t count)
{
    long word = 0;
    if (count != WORD) {
        errno = 0;
        word = ptrace(PTRACE_PEEKDATA, pid, (void *)(uintptr_t)addr, NULL);
        if (errno != 0) {
            return errno == ESRCH ? PLATFORM_DEAD : -EFAULT;
        }
    }
    memcpy((unsigned char *)&word + offset, bytes, count);
    if (ptrace(PTRACE_POKEDATA, pid, (void *)(uintptr_t)addr, (void *)word) != 0) {
        return errno == ESRCH ? PLATFORM_DEAD : -EFAULT;
    }
    return 0;
}

ssize_t ptrace_copy_out_force(struct address_space *space, guest_addr addr, const void *buffer,
                              size_t length)
{
    struct stub *stub = space->stub;
    if (length == 0) {
        return 0;
    }
    size_t wanted = stub_clip_copy(addr, length);
    if (wanted == 0) {
        return -EFAULT;
    }
    mutex_lock(&stub->service);
    int rc = stub_is_dead(stub) ? PLATFORM_DEAD : begin_poke(stub);
    if (rc != 0) {
        mutex_unlock(&stub->service);
        return rc;
    }
    size_t done = 0;
    while (rc == 0 && done < wanted) {
        size_t offset = (addr + done) % WORD;
        size_t count = min_of(WORD - offset, wanted - done);
        rc = poke_word(stub->pid, addr + done - offset, (const unsigned char *)buffer + done,
                       offset, count);
        if (rc == 0) {
            done += count;
        }
    }
    if (rc != PLATFORM_DEAD && ptrace(PTRACE_DETACH, stub->pid, NULL, NULL) != 0) {
        rc = PLATFORM_DEAD;
    }
    mutex_unlock(&stub->service);
    return rc == PLATFORM_DEAD || done == 0 ? rc : (ssize_t)done;
}
