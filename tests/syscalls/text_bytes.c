/*
 * text_bytes.c: whoever reads a program's text sees the bytes of its file, however often its system
 * calls have run: /proc/PID/mem, process_vm_readv, ptrace, write(2) from it, and the file itself.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

__asm__(".pushsection .text\n"
        ".globl bytes_parent, bytes_numbered\n"
        ".balign 16\n"
        "bytes_parent:\n mov $110, %eax\n syscall\n ret\n"
        ".balign 16\n"
        "bytes_numbered:\n mov %edi, %eax\n syscall\n mov %eax, 8(%rsp)\n ret\n"
        ".skip 16, 0xcc\n .balign 16, 0xcc\n"
        ".popsection\n");
long bytes_parent(void);
extern const char bytes_numbered[];

/* The program's executable mapping and the same bytes of its file. */
static char *text;
static size_t length;
static unsigned char *original;
static off_t offset;
static int exe;

static void find_text(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    CHECK(maps != NULL);
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long start, end, at;
        if (sscanf(line, "%lx-%lx r-xp %lx", &start, &end, &at) == 3 &&
            start <= (uintptr_t)bytes_numbered && (uintptr_t)bytes_numbered < end) {
            text = (char *)start;
            length = end - start;
            offset = (off_t)at;
        }
    }
    fclose(maps);
    CHECK(text != NULL);
    exe = (int)CHECK_OK(open("/proc/self/exe", O_RDONLY));
    original = calloc(1, length);
    CHECK(original != NULL);
    CHECK(pread(exe, original, length, offset) > 0);
}

static void call_often(void)
{
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(bytes_parent(), getppid());
        long result;
        __asm__ volatile("sub $256, %%rsp\n call bytes_numbered\n add $256, %%rsp"
                         : "=a"(result)
                         : "D"(SYS_gettid)
                         : "rcx", "rdx", "r11", "memory", "cc");
        CHECK_EQ(result, gettid());
    }
}

static void check_same(const void *got, size_t from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (((const unsigned char *)got)[i] != original[from + i]) {
            guest_fail(__FILE__, __LINE__, "byte %zx of the text differs", from + i);
        }
    }
}

TEST_CASE(own_memory)
{
    find_text();
    unsigned char *got = malloc(length);
    call_often();
    int mem = (int)CHECK_OK(open("/proc/self/mem", O_RDWR));
    CHECK_EQ(pread(mem, got, length, (off_t)(uintptr_t)text), length);
    check_same(got, 0, length);
    /* Piece by piece: sites are cut by the ends of reads. */
    for (size_t at = 0; at + 7 < length && at < 40000; at += 7) {
        CHECK_EQ(pread(mem, got, 7, (off_t)(uintptr_t)(text + at)), 7);
        check_same(got, at, 7);
    }
    call_often();
}

TEST_CASE(by_writing_it)
{
    find_text();
    char name[] = "copy";
    unsigned char *got = malloc(length);
    call_often();
    int copy = (int)CHECK_OK(open(name, O_RDWR | O_CREAT, 0600));
    CHECK_EQ(write(copy, text, length), length);
    CHECK_EQ(pread(copy, got, length, 0), length);
    check_same(got, 0, length);
    int ends[2];
    CHECK_OK(pipe(ends));
    for (size_t at = 0; at + 512 < length && at < 100000; at += 512) {
        CHECK_EQ(write(ends[1], text + at, 512), 512);
        CHECK_EQ(read(ends[0], got, 512), 512);
        check_same(got, at, 512);
    }
    CHECK(pread(exe, got, length, offset) > 0);
    check_same(got, 0, length);
}

static pid_t start_caller(void)
{
    int ends[2];
    CHECK_OK(pipe(ends));
    pid_t pid = guest_fork();
    if (pid == 0) {
        call_often();
        guest_signal_fd(ends[1]);
        for (;;) {
            call_often();
        }
    }
    guest_await_fd(ends[0]);
    return pid;
}

TEST_CASE(another_process)
{
    find_text();
    unsigned char *got = malloc(length);
    pid_t pid = start_caller();
    struct iovec local = {got, length};
    struct iovec remote = {text, length};
    ssize_t count = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    if (count < 0 && (errno == EPERM || errno == ENOSYS)) {
        kill(pid, SIGKILL);
        SKIP("process_vm_readv is not allowed here");
    }
    CHECK_EQ(count, length);
    check_same(got, 0, length);
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    int mem = (int)CHECK_OK(open(path, O_RDONLY));
    memset(got, 0, length);
    CHECK_EQ(pread(mem, got, length, (off_t)(uintptr_t)text), length);
    check_same(got, 0, length);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

TEST_CASE(traced_process)
{
    find_text();
    pid_t pid = start_caller();
    if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) != 0) {
        kill(pid, SIGKILL);
        SKIP("ptrace is not allowed here");
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    for (size_t at = (size_t)((char *)bytes_parent - text);
         at < (size_t)(bytes_numbered - text) + 32; at += 8) {
        errno = 0;
        long word = ptrace(PTRACE_PEEKTEXT, pid, text + at, NULL);
        CHECK_EQ(errno, 0);
        check_same(&word, at, sizeof(word));
    }
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

/* A page that becomes writable has its own bytes, and keeps what is written to it. */
TEST_CASE(made_writable)
{
    find_text();
    call_often();
    char *page = (char *)((uintptr_t)bytes_parent & ~4095UL);
    CHECK_OK(mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC));
    check_same(page, (size_t)(page - text), 4096);
    call_often();
    /* mov $110, %eax becomes mov $39, %eax: getpid. */
    unsigned char *number = (unsigned char *)(uintptr_t)bytes_parent + 1;
    CHECK_EQ(*number, 110);
    *number = 39;
    CHECK_EQ(bytes_parent(), getpid());
    CHECK_OK(mprotect(page, 8192, PROT_READ | PROT_EXEC));
    for (int i = 0; i < 300; i++) {
        CHECK_EQ(bytes_parent(), getpid());
    }
    /* What was written is dropped: the file's bytes are back. */
    CHECK_OK(madvise(page, 8192, MADV_DONTNEED));
    check_same(page, (size_t)(page - text), 4096);
    call_often();
}
