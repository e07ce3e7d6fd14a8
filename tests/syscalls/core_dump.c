/* core_dump.c: the file that a fatal signal leaves, and the bit that tells of it. */
#include <elf.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "guest_test.h"

static void begin(rlim_t limit)
{
    char pattern[256];
    const struct rlimit value = {limit, limit};
    guest_read_file("/proc/sys/kernel/core_pattern", pattern, sizeof(pattern));
    if (strcmp(pattern, "core\n") != 0) {
        SKIP("core files go elsewhere");
    }
    if (setrlimit(RLIMIT_CORE, &value) != 0) {
        SKIP("RLIMIT_CORE is lower");
    }
}

TEST_CASE(file_and_bit)
{
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    char text[8] = "";
    begin(RLIM_INFINITY);
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    memcpy(page, "canary!", 8);
    pid_t child = guest_fork();
    if (child == 0) {
        raise(SIGQUIT);
        _exit(1);
    }
    int status = guest_wait(child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
    if (!WCOREDUMP(status) && access("core", F_OK) != 0) {
        SKIP("core files go elsewhere (kernel.core_uses_pid?)");
    }
    CHECK(WCOREDUMP(status));
    int fd = (int)CHECK_OK(open("core", O_RDONLY));
    CHECK_EQ(read(fd, &header, sizeof(header)), (ssize_t)sizeof(header));
    CHECK(memcmp(header.e_ident, ELFMAG, SELFMAG) == 0);
    CHECK_EQ(header.e_type, ET_CORE);
    bool found = false;
    for (int i = 0; i < header.e_phnum; i++) {
        off_t at = (off_t)(header.e_phoff + (size_t)i * sizeof(segment));
        CHECK_EQ(pread(fd, &segment, sizeof(segment), at), (ssize_t)sizeof(segment));
        if (segment.p_type == PT_LOAD && segment.p_vaddr <= (uintptr_t)page &&
            (uintptr_t)page < segment.p_vaddr + segment.p_filesz) {
            at = (off_t)(segment.p_offset + ((uintptr_t)page - segment.p_vaddr));
            CHECK_EQ(pread(fd, text, 8, at), 8);
            found = strcmp(text, "canary!") == 0;
        }
    }
    CHECK(found);
}

TEST_CASE(waitid_tells)
{
    siginfo_t info;
    begin(RLIM_INFINITY);
    pid_t child = guest_fork();
    if (child == 0) {
        abort();
    }
    CHECK_OK(waitid(P_PID, (id_t)child, &info, WEXITED));
    if (access("core", F_OK) != 0) {
        SKIP("core files go elsewhere");
    }
    CHECK_EQ(info.si_code, CLD_DUMPED);
    CHECK_EQ(info.si_status, SIGABRT);
}

TEST_CASE(not_asked_for)
{
    begin(0);
    pid_t child = guest_fork();
    if (child == 0) {
        raise(SIGSEGV);
    }
    int status = guest_wait(child);
    CHECK(WIFSIGNALED(status) && !WCOREDUMP(status));
    CHECK_ERRNO(access("core", F_OK), ENOENT);
}

TEST_CASE(not_dumpable)
{
    begin(RLIM_INFINITY);
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_OK(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
        raise(SIGABRT);
    }
    int status = guest_wait(child);
    CHECK(WIFSIGNALED(status) && !WCOREDUMP(status));
}
