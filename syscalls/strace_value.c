/*
 * strace_value.c: decoding of arguments by their type in table.def. Every read of guest memory is
 * bounded: 32 bytes of a buffer, a path of 4096 bytes, 16 elements of an array.
 */
#include "syscalls/strace_value.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "platform/base/text.h"
#include "sentry/mm/mm.h"
#include "syscalls/strace_names.h"
#include "syscalls/syscall.h"
#include "syscalls/syscall_table.h"

#include "syscalls/arguments.h"

#define BUFFER_SHOWN 32
#define ARRAY_SHOWN  16
#define STRING_SHOWN 256

static const struct strace_flags *const flags_by_type[ARG_TYPE_COUNT] = {
    [ARG_OPEN_FLAGS] = &strace_open_flags,
    [ARG_AT_FLAGS] = &strace_at_flags,
    [ARG_MSG_FLAGS] = &strace_msg_flags,
    [ARG_ACCESS_MODE] = &strace_access_modes,
    [ARG_CLOCK] = &strace_clocks,
    [ARG_RESOURCE] = &strace_resources,
    [ARG_WAIT_OPTIONS] = &strace_wait_options,
    [ARG_SOCKET_FAMILY] = &strace_socket_families,
    [ARG_SOCKET_TYPE] = &strace_socket_types,
    [ARG_PROT] = &strace_prot,
    [ARG_MAP_FLAGS] = &strace_map_flags,
    [ARG_MREMAP_FLAGS] = &strace_mremap_flags,
    [ARG_MSYNC_FLAGS] = &strace_msync_flags,
    [ARG_MADVICE] = &strace_madvice,
    [ARG_WHENCE] = &strace_whence,
    [ARG_SIGPROC_HOW] = &strace_sigproc_how,
    [ARG_PRCTL] = &strace_prctl,
    [ARG_IOCTL] = &strace_ioctls,
    [ARG_FUTEX_OP] = &strace_futex_ops,
    [ARG_FCNTL] = &strace_fcntl,
};

bool strace_is_output(const struct syscall_row *row, unsigned index)
{
    return row->arguments[index].type == ARG_OUT_BUF;
}

static void put_pointer(struct text *text, uint64_t addr)
{
    if (addr == 0) {
        text_puts(text, "NULL");
    } else {
        text_printf(text, "%#llx", (unsigned long long)addr);
    }
}

static void put_bytes(struct text *text, struct mm *mm, uint64_t addr, uint64_t length)
{
    unsigned char bytes[BUFFER_SHOWN];
    size_t shown = length < sizeof(bytes) ? (size_t)length : sizeof(bytes);
    if (addr == 0 || (shown > 0 && mm_copy_in(mm, addr, bytes, shown) < 0)) {
        put_pointer(text, addr);
        return;
    }
    text_putc(text, '"');
    text_append_escaped(text, bytes, shown);
    text_puts(text, shown < length ? "\"..." : "\"");
}

/* A NUL-terminated string of the guest; at most `limit` bytes (up to 4096) are shown. */
static void put_string(struct text *text, struct mm *mm, uint64_t addr, size_t limit)
{
    char buffer[4096];
    if (addr == 0) {
        text_puts(text, "NULL");
        return;
    }
    ssize_t length = mm_copy_in_string(mm, addr, buffer, limit);
    if (length == -ENAMETOOLONG && mm_copy_in(mm, addr, buffer, limit) == 0) {
        text_putc(text, '"');
        text_append_escaped(text, buffer, limit);
        text_puts(text, "\"...");
        return;
    }
    if (length < 0) {
        put_pointer(text, addr);
        return;
    }
    text_putc(text, '"');
    text_append_escaped(text, buffer, (size_t)length);
    text_putc(text, '"');
}

static void put_string_array(struct text *text, struct mm *mm, uint64_t addr)
{
    uint64_t pointer;
    if (addr == 0 || mm_copy_in(mm, addr, &pointer, sizeof(pointer)) < 0) {
        put_pointer(text, addr);
        return;
    }
    text_putc(text, '[');
    for (unsigned i = 0; pointer != 0; i++) {
        text_puts(text, i > 0 ? ", " : "");
        if (i == ARRAY_SHOWN) {
            text_puts(text, "...");
            break;
        }
        put_string(text, mm, pointer, STRING_SHOWN);
        addr += sizeof(pointer);
        if (mm_copy_in(mm, addr, &pointer, sizeof(pointer)) < 0) {
            text_puts(text, ", ?");
            break;
        }
    }
    text_putc(text, ']');
}

static void put_iovec(struct text *text, struct mm *mm, uint64_t addr, uint64_t count)
{
    text_putc(text, '[');
    for (uint64_t i = 0; i < count; i++) {
        uint64_t segment[2];
        text_puts(text, i > 0 ? ", " : "");
        if (i == ARRAY_SHOWN ||
            mm_copy_in(mm, addr + i * sizeof(segment), segment, sizeof(segment)) < 0) {
            text_puts(text, "...");
            break;
        }
        text_printf(text, "{iov_base=%#llx, iov_len=%llu}", (unsigned long long)segment[0],
                    (unsigned long long)segment[1]);
    }
    text_putc(text, ']');
}

static void put_sigset(struct text *text, struct mm *mm, uint64_t addr)
{
    uint64_t set;
    if (addr == 0 || mm_copy_in(mm, addr, &set, sizeof(set)) < 0) {
        put_pointer(text, addr);
        return;
    }
    /* as strace: a nearly full set is shown by what it lacks */
    bool inverted = __builtin_popcountll(set) > 32;
    text_puts(text, inverted ? "~[" : "[");
    set = inverted ? ~set : set;
    const char *separator = "";
    for (int signo = 1; signo <= 64; signo++) {
        if ((set & (1ULL << (signo - 1))) != 0) {
            text_puts(text, separator);
            strace_put_signal(text, signo);
            separator = " ";
        }
    }
    text_putc(text, ']');
}

static void put_timespec(struct text *text, struct mm *mm, uint64_t addr)
{
    struct timespec value;
    if (addr == 0 || mm_copy_in(mm, addr, &value, sizeof(value)) < 0) {
        put_pointer(text, addr);
        return;
    }
    text_printf(text, "{tv_sec=%lld, tv_nsec=%ld}", (long long)value.tv_sec, value.tv_nsec);
}

static void put_inet(struct text *text, const struct sockaddr_storage *address)
{
    char name[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in *in = (const void *)address;
    const struct sockaddr_in6 *in6 = (const void *)address;
    bool v4 = address->ss_family == AF_INET;
    const void *bytes = v4 ? (const void *)&in->sin_addr : (const void *)&in6->sin6_addr;
    if (!inet_ntop(address->ss_family, bytes, name, sizeof(name))) {
        name[0] = '\0';
    }
    text_printf(text, "{sa_family=%s, port=%u, addr=\"%s\"}", v4 ? "AF_INET" : "AF_INET6",
                ntohs(v4 ? in->sin_port : in6->sin6_port), name);
}

static void put_sockaddr(struct text *text, struct mm *mm, uint64_t addr, uint64_t length)
{
    struct sockaddr_storage address;
    memset(&address, 0, sizeof(address));
    if (addr == 0 || length < sizeof(sa_family_t) || length > sizeof(address) ||
        mm_copy_in(mm, addr, &address, (size_t)length) < 0) {
        put_pointer(text, addr);
        return;
    }
    if ((address.ss_family == AF_INET && length >= sizeof(struct sockaddr_in)) ||
        (address.ss_family == AF_INET6 && length >= sizeof(struct sockaddr_in6))) {
        put_inet(text, &address);
        return;
    }
    if (address.ss_family == AF_UNIX) {
        const struct sockaddr_un *un = (const void *)&address;
        size_t size = (size_t)length - sizeof(sa_family_t);
        bool abstract = size > 0 && un->sun_path[0] == '\0';
        size_t shown = abstract ? size - 1 : strnlen(un->sun_path, size);
        text_puts(text, abstract ? "{sa_family=AF_UNIX, sun_path=@\""
                                 : "{sa_family=AF_UNIX, sun_path=\"");
        text_append_escaped(text, un->sun_path + (abstract ? 1 : 0), shown);
        text_puts(text, "\"}");
        return;
    }
    text_puts(text, "{sa_family=");
    strace_put_flags(text, &strace_socket_families, address.ss_family);
    text_puts(text, ", ...}");
}

static void put_clone_flags(struct text *text, uint64_t value)
{
    strace_put_flags(text, &strace_clone_flags, value & ~0xffULL);
    if ((value & 0xff) != 0) {
        text_putc(text, '|');
        strace_put_signal(text, (int)(value & 0xff));
    }
}

static void put_number(struct text *text, enum argument_type type, uint64_t value)
{
    switch (type) {
    case ARG_SIZE:
        text_printf(text, "%llu", (unsigned long long)value);
        break;
    case ARG_OFFSET:
        text_printf(text, "%lld", (long long)value);
        break;
    case ARG_UINT:
        text_printf(text, "%u", (unsigned)value);
        break;
    case ARG_MODE:
        text_printf(text, "%#03o", (unsigned)value);
        break;
    case ARG_HEX:
        text_printf(text, value == 0 ? "%llu" : "%#llx", (unsigned long long)value);
        break;
    case ARG_DIRFD:
        if ((int)value == AT_FDCWD) {
            text_puts(text, "AT_FDCWD");
            break;
        }
        text_printf(text, "%d", (int)value);
        break;
    default: /* descriptors, ids, plain ints */
        text_printf(text, "%d", (int)value);
        break;
    }
}

void strace_put_argument(struct text *text, struct mm *mm, const struct syscall_row *row,
                         const struct syscall_args *args, unsigned index, long result)
{
    enum argument_type type = row->arguments[index].type;
    uint64_t value = args->arg[index];
    uint64_t next = index + 1 < SYSCALL_MAX_ARGUMENTS ? args->arg[index + 1] : 0;
    switch (type) {
    case ARG_PATH:
        put_string(text, mm, value, 4096);
        break;
    case ARG_STRING:
        put_string(text, mm, value, STRING_SHOWN);
        break;
    case ARG_STRING_ARRAY:
        put_string_array(text, mm, value);
        break;
    case ARG_IN_BUF:
        put_bytes(text, mm, value, next);
        break;
    case ARG_OUT_BUF:
        if (result >= 0) {
            put_bytes(text, mm, value, (uint64_t)result);
        } else {
            put_pointer(text, value);
        }
        break;
    case ARG_IOVEC:
        put_iovec(text, mm, value, next);
        break;
    case ARG_PTR:
        put_pointer(text, value);
        break;
    case ARG_SIGNAL:
        strace_put_signal(text, (int)value);
        break;
    case ARG_SIGSET:
        put_sigset(text, mm, value);
        break;
    case ARG_TIMESPEC:
        put_timespec(text, mm, value);
        break;
    case ARG_SOCKADDR:
        put_sockaddr(text, mm, value, (uint32_t)next);
        break;
    case ARG_CLONE_FLAGS:
        put_clone_flags(text, value);
        break;
    default:
        if (flags_by_type[type]) {
            strace_put_flags(text, flags_by_type[type], (uint32_t)value);
        } else {
            put_number(text, type, value);
        }
        break;
    }
}
