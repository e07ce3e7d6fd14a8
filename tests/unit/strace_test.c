/* strace_test.c: how the trace shows arguments: strings, buffers, flags, sets, times, addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <time.h>

#include "platform/base/text.h"
#include "sentry/mm/mm.h"
#include "syscalls/strace_names.h"
#include "syscalls/strace_value.h"
#include "syscalls/syscall.h"
#include "syscalls/syscall_table.h"

#include "syscalls/arguments.h"

/* Guest memory: 8 KiB at GUEST_BASE; the rest faults. */
#define GUEST_BASE 0x400000ULL
static unsigned char guest[8192];

static ssize_t fake_copy_in(struct address_space *space, guest_addr addr, void *buffer,
                            size_t length)
{
    (void)space;
    if (addr < GUEST_BASE || addr >= GUEST_BASE + sizeof(guest)) {
        return -EFAULT;
    }
    size_t room = sizeof(guest) - (size_t)(addr - GUEST_BASE);
    size_t part = length < room ? length : room;
    memcpy(buffer, guest + (addr - GUEST_BASE), part);
    return (ssize_t)part;
}

static const struct platform_ops fake_platform = {.copy_in = fake_copy_in};
static struct mm fake_mm = {.platform = &fake_platform};

static uint64_t put_guest(size_t offset, const void *data, size_t length)
{
    memcpy(guest + offset, data, length);
    return GUEST_BASE + offset;
}

static void expect(struct syscall_argument argument, uint64_t value, uint64_t next, long result,
                   const char *expected)
{
    struct syscall_argument arguments[SYSCALL_MAX_ARGUMENTS] = {argument};
    struct syscall_row row = {.name = "call", .arguments = arguments};
    struct syscall_args args = {{value, next}};
    struct text text = TEXT_INIT;
    strace_put_argument(&text, &fake_mm, &row, &args, 0, result);
    assert_string_equal(text_string(&text), expected);
    text_fini(&text);
}

#define ARGUMENT(x) ((struct syscall_argument)x)

static void strings(void **state)
{
    (void)state;
    char longer[300];
    memset(longer, 'x', sizeof(longer));
    uint64_t name = put_guest(0, "/tmp/a \"b\"\n", 12);
    expect(ARGUMENT(PATH(p)), name, 0, -1, "\"/tmp/a \\\"b\\\"\\n\"");
    expect(ARGUMENT(PATH(p)), 0, 0, -1, "NULL");
    expect(ARGUMENT(PATH(p)), 0x10, 0, -1, "0x10");
    uint64_t bytes = put_guest(64, "0123456789012345678901234567890123456789", 40);
    expect(ARGUMENT(IN_BUF(b)), bytes, 5, -1, "\"01234\"");
    expect(ARGUMENT(IN_BUF(b)), bytes, 40, -1, "\"01234567890123456789012345678901\"...");
    expect(ARGUMENT(IN_BUF(b)), bytes, 0, -1, "\"\"");
    expect(ARGUMENT(IN_BUF(b)), 0x10, 7, -1, "0x10");
    expect(ARGUMENT(OUT_BUF(b)), bytes, 40, 3, "\"012\"");
    expect(ARGUMENT(OUT_BUF(b)), bytes, 40, -EAGAIN, "0x400040");
    put_guest(sizeof(guest) - 3, "abc", 3); /* no NUL before the end of memory */
    expect(ARGUMENT(PATH(p)), GUEST_BASE + sizeof(guest) - 3, 0, -1, "0x401ffd");
}

static void arrays(void **state)
{
    (void)state;
    uint64_t a = put_guest(0, "ls", 3);
    uint64_t b = put_guest(8, "-l", 3);
    uint64_t pointers[3] = {a, b, 0};
    uint64_t array = put_guest(64, pointers, sizeof(pointers));
    expect(ARGUMENT(STRING_ARRAY(v)), array, 0, -1, "[\"ls\", \"-l\"]");
    uint64_t iov[4] = {0x1000, 3, 0x2000, 4};
    uint64_t vector = put_guest(128, iov, sizeof(iov));
    expect(ARGUMENT(IOVEC(v)), vector, 2, -1,
           "[{iov_base=0x1000, iov_len=3}, {iov_base=0x2000, iov_len=4}]");
    expect(ARGUMENT(IOVEC(v)), 0x10, UINT64_MAX, -1, "[...]");
}

static void flags(void **state)
{
    (void)state;
    expect(ARGUMENT(OPEN_FLAGS(f)), O_RDONLY | O_CLOEXEC, 0, -1, "O_RDONLY|O_CLOEXEC");
    expect(ARGUMENT(OPEN_FLAGS(f)), O_RDWR | O_CREAT | O_EXCL, 0, -1, "O_RDWR|O_CREAT|O_EXCL");
    expect(ARGUMENT(OPEN_FLAGS(f)), 0, 0, -1, "O_RDONLY");
    expect(ARGUMENT(OPEN_FLAGS(f)), O_WRONLY | 0x80000000U, 0, -1, "O_WRONLY|0x80000000");
    expect(ARGUMENT(PROT(p)), PROT_NONE, 0, -1, "PROT_NONE");
    expect(ARGUMENT(PROT(p)), PROT_READ | PROT_WRITE, 0, -1, "PROT_READ|PROT_WRITE");
    expect(ARGUMENT(MAP_FLAGS(p)), MAP_PRIVATE | MAP_ANONYMOUS, 0, -1, "MAP_PRIVATE|MAP_ANONYMOUS");
    expect(ARGUMENT(AT_FLAGS(f)), 0, 0, -1, "0");
    expect(ARGUMENT(AT_FLAGS(f)), AT_SYMLINK_NOFOLLOW, 0, -1, "AT_SYMLINK_NOFOLLOW");
    expect(ARGUMENT(ACCESS_MODE(m)), 0, 0, -1, "F_OK");
    expect(ARGUMENT(FUTEX_OP(o)), 128, 0, -1, "FUTEX_WAIT|FUTEX_PRIVATE_FLAG");
    expect(ARGUMENT(FCNTL(o)), F_GETFL, 0, -1, "F_GETFL");
    expect(ARGUMENT(FCNTL(o)), 999, 0, -1, "0x3e7");
    expect(ARGUMENT(SOCKET_TYPE(t)), SOCK_STREAM | SOCK_CLOEXEC, 0, -1, "SOCK_STREAM|SOCK_CLOEXEC");
    expect(ARGUMENT(DIRFD(d)), (uint32_t)AT_FDCWD, 0, -1, "AT_FDCWD");
    expect(ARGUMENT(MODE(m)), 0644, 0, -1, "0644");
    expect(ARGUMENT(FD(f)), UINT32_MAX, 0, -1, "-1");
    expect(ARGUMENT(SIGNAL(s)), SIGCHLD, 0, -1, "SIGCHLD");
    expect(ARGUMENT(SIGNAL(s)), 35, 0, -1, "SIGRT_3");
    expect(ARGUMENT(SIGNAL(s)), 0, 0, -1, "0");
}

static void structures(void **state)
{
    (void)state;
    uint64_t set = 1ULL << (SIGINT - 1) | 1ULL << (SIGTERM - 1);
    uint64_t sets = put_guest(0, &set, sizeof(set));
    expect(ARGUMENT(SIGSET(s)), sets, 0, -1, "[SIGINT SIGTERM]");
    set = ~(1ULL << (SIGINT - 1));
    put_guest(0, &set, sizeof(set));
    expect(ARGUMENT(SIGSET(s)), sets, 0, -1, "~[SIGINT]");
    struct timespec time = {1, 5};
    expect(ARGUMENT(TIMESPEC(t)), put_guest(16, &time, sizeof(time)), 0, -1,
           "{tv_sec=1, tv_nsec=5}");
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(0x7f000001)};
    expect(ARGUMENT(SOCKADDR(a)), put_guest(64, &in, sizeof(in)), sizeof(in), -1,
           "{sa_family=AF_INET, port=80, addr=\"127.0.0.1\"}");
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/s"};
    uint64_t unix_addr = put_guest(128, &un, sizeof(un));
    expect(ARGUMENT(SOCKADDR(a)), unix_addr, sizeof(un), -1,
           "{sa_family=AF_UNIX, sun_path=\"/run/s\"}");
    memcpy(un.sun_path, "\0ab", 3);
    put_guest(128, &un, sizeof(un));
    expect(ARGUMENT(SOCKADDR(a)), unix_addr, 5, -1, "{sa_family=AF_UNIX, sun_path=@\"ab\"}");
    expect(ARGUMENT(SOCKADDR(a)), unix_addr, 4096, -1, "0x400080");
}

static void errors(void **state)
{
    (void)state;
    assert_string_equal(strace_error_name(ENOENT), "ENOENT");
    assert_string_equal(strace_error_text(ENOENT), "No such file or directory");
    assert_string_equal(strace_error_name(ERESTARTSYS), "ERESTARTSYS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings),    cmocka_unit_test(arrays), cmocka_unit_test(flags),
        cmocka_unit_test(structures), cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
