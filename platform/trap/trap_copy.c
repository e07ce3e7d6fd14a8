/*
 * trap_copy.c: copies that travel with the turn instead of costing a host call each.
 *
 * The stub copies likely arguments into the window before it posts a call; copy_in looks there
 * first. Results of calls that only the caller can see are put into the window and copied by the
 * stub before it resumes the guest: then the guest has them when its call returns, and nobody can
 * tell when before that they arrived. Whatever could (another thread's start, a fork, a changed
 * mapping, a read of the same memory) writes them out first.
 *
 * The window is hostile memory: a guest that changes it changes only what it says itself.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "platform/trap/trap_internal.h"

/* The thread that the calling sentry thread answers a call for. */
static _Thread_local struct platform_thread *current_thread;

/* Calls whose results lie in memory for their caller alone. Not among them: those that start tasks,
 * wait on guest memory, or act on another process's memory. */
static bool call_is_private(uint64_t number)
{
    switch (number) {
    case SYS_read:
    case SYS_pread64:
    case SYS_readv:
    case SYS_preadv:
    case SYS_preadv2:
    case SYS_stat:
    case SYS_fstat:
    case SYS_lstat:
    case SYS_newfstatat:
    case SYS_statx:
    case SYS_statfs:
    case SYS_fstatfs:
    case SYS_getdents64:
    case SYS_readlink:
    case SYS_readlinkat:
    case SYS_getcwd:
    case SYS_getxattr:
    case SYS_lgetxattr:
    case SYS_fgetxattr:
    case SYS_uname:
    case SYS_sysinfo:
    case SYS_times:
    case SYS_getrusage:
    case SYS_getrlimit:
    case SYS_prlimit64:
    case SYS_clock_gettime:
    case SYS_clock_getres:
    case SYS_gettimeofday:
    case SYS_time:
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
    case SYS_getitimer:
    case SYS_setitimer:
    case SYS_timer_gettime:
    case SYS_timer_settime:
    case SYS_timerfd_gettime:
    case SYS_timerfd_settime:
    case SYS_getrandom:
    case SYS_getresuid:
    case SYS_getresgid:
    case SYS_getgroups:
    case SYS_sched_getaffinity:
    case SYS_rt_sigaction:
    case SYS_rt_sigprocmask:
    case SYS_rt_sigpending:
    case SYS_sigaltstack:
    case SYS_pipe:
    case SYS_pipe2:
    case SYS_socketpair:
    case SYS_accept:
    case SYS_accept4:
    case SYS_getsockname:
    case SYS_getpeername:
    case SYS_getsockopt:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_wait4:
    case SYS_waitid:
    case SYS_ioctl:
    case SYS_capget:
        return true;
    default:
        return false;
    }
}

void trap_copy_begin(struct platform_thread *thread, uint64_t number)
{
    volatile struct stub_mailbox *mailbox = thread->mailbox;
    struct trap_copies *copies = &thread->copies;
    copies->in_count = 0;
    for (size_t i = 0; i < STUB_COPIES_IN; i++) {
        struct stub_copy copy = {.addr = mailbox->in[i].addr,
                                 .length = mailbox->in[i].length,
                                 .offset = mailbox->in[i].offset};
        if (copy.length != 0 && copy.offset <= STUB_WINDOW_IN &&
            copy.length <= STUB_WINDOW_IN - copy.offset) {
            copies->in[copies->in_count++] = copy;
        }
    }
    copies->out_count = 0;
    copies->out_used = 0;
    copies->out_allowed = call_is_private(number);
    current_thread = thread;
}

uint32_t trap_copy_end(struct platform_thread *thread)
{
    struct trap_copies *copies = &thread->copies;
    struct stub_mailbox *mailbox = thread->mailbox;
    uint32_t count = copies->out_count;
    for (uint32_t i = 0; i < count; i++) {
        mailbox->out[i] = copies->out[i];
    }
    copies->out_count = 0;
    copies->out_used = 0;
    copies->out_allowed = false;
    copies->in_count = 0;
    if (current_thread == thread) {
        current_thread = NULL;
    }
    return count;
}

static struct platform_thread *current_of(struct address_space *space)
{
    return current_thread != NULL && current_thread->space == space ? current_thread : NULL;
}

static char *window_of(struct platform_thread *thread)
{
    return (char *)thread->mailbox + STUB_AREA_WINDOW;
}

void trap_copy_flush(struct address_space *space)
{
    struct platform_thread *thread = current_of(space);
    if (thread == NULL) {
        return;
    }
    struct trap_copies *copies = &thread->copies;
    for (uint32_t i = 0; i < copies->out_count; i++) {
        const struct stub_copy *copy = &copies->out[i];
        ignore_result(
            stub_copy_out(space->stub, copy->addr, window_of(thread) + copy->offset, copy->length));
    }
    copies->out_count = 0;
    copies->out_used = 0;
    /* What the stub copied may have changed as well. */
    copies->in_count = 0;
}

static bool overlaps_pending(const struct trap_copies *copies, guest_addr addr, size_t length)
{
    for (uint32_t i = 0; i < copies->out_count; i++) {
        const struct stub_copy *copy = &copies->out[i];
        if (addr < copy->addr + copy->length && copy->addr < addr + length) {
            return true;
        }
    }
    return false;
}

/* What the stub copied of [addr, addr + length), from addr on; NULL when it did not copy addr. */
static const char *find_copied(struct platform_thread *thread, guest_addr addr, size_t *ret_length)
{
    const struct trap_copies *copies = &thread->copies;
    for (uint32_t i = 0; i < copies->in_count; i++) {
        const struct stub_copy *copy = &copies->in[i];
        if (addr >= copy->addr && addr - copy->addr < copy->length) {
            *ret_length = copy->length - (addr - copy->addr);
            return window_of(thread) + copy->offset + (addr - copy->addr);
        }
    }
    return NULL;
}

ssize_t trap_copy_in(struct address_space *space, guest_addr addr, void *buffer, size_t length)
{
    struct platform_thread *thread = current_of(space);
    if (thread != NULL && length != 0) {
        size_t copied;
        const char *from = find_copied(thread, addr, &copied);
        if (from != NULL && copied >= length) {
            memcpy(buffer, from, length);
            trap_text_show(space, addr, buffer, length);
            return (ssize_t)length;
        }
        if (overlaps_pending(&thread->copies, addr, length)) {
            trap_copy_flush(space);
        }
    }
    ssize_t count = stub_copy_in(space->stub, addr, buffer, length);
    if (count > 0) {
        trap_text_show(space, addr, buffer, (size_t)count);
    }
    return count;
}

ssize_t trap_copy_in_string(struct address_space *space, guest_addr addr, char *buffer, size_t size)
{
    struct platform_thread *thread = current_of(space);
    size_t copied;
    const char *from = thread != NULL ? find_copied(thread, addr, &copied) : NULL;
    if (from == NULL) {
        return -EAGAIN;
    }
    /* Read once: the guest may change it meanwhile. */
    size_t length = min_of(copied, size);
    memcpy(buffer, from, length);
    const char *end = memchr(buffer, '\0', length);
    return end != NULL ? end - buffer : -EAGAIN;
}

ssize_t trap_copy_out(struct address_space *space, guest_addr addr, const void *buffer,
                      size_t length)
{
    struct platform_thread *thread = current_of(space);
    if (thread != NULL) {
        struct trap_copies *copies = &thread->copies;
        if (overlaps_pending(copies, addr, length)) {
            trap_copy_flush(space);
        }
        copies->in_count = 0;
    }
    return stub_copy_out(space->stub, addr, buffer, length);
}

bool trap_copy_out_later(struct address_space *space, guest_addr addr, const void *buffer,
                         size_t length)
{
    struct platform_thread *thread = current_of(space);
    if (thread == NULL || length == 0 || stub_clip_copy(addr, length) != length) {
        return false;
    }
    struct trap_copies *copies = &thread->copies;
    if (!copies->out_allowed || copies->out_count == STUB_COPIES_OUT ||
        length > STUB_WINDOW_OUT - copies->out_used) {
        return false;
    }
    uint32_t offset = STUB_WINDOW_IN + copies->out_used;
    memcpy(window_of(thread) + offset, buffer, length);
    copies->out[copies->out_count++] =
        (struct stub_copy){.addr = addr, .length = (uint32_t)length, .offset = offset};
    copies->out_used += (uint32_t)((length + 63) & ~(size_t)63);
    copies->out_used = min_of(copies->out_used, (uint32_t)STUB_WINDOW_OUT);
    copies->in_count = 0;
    return true;
}
