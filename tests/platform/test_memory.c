/*
 * test_memory.c: mappings, copies, and isolation between address spaces.
 */
#include "tests/platform/harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

GUEST(guest_nothing, "1: syscall\n jmp 1b\n");

static struct address_space *plain_space(void)
{
    return guest_space(GUEST_ARGS(guest_nothing));
}

#define AT 0x10000000ULL

static void test_partial_copies(void **state)
{
    (void)state;
    struct address_space *space = plain_space();
    static unsigned char buffer[8 * 4096];
    static unsigned char back[8 * 4096];

    for (size_t i = 0; i < sizeof buffer; i++) {
        buffer[i] = (unsigned char)(i * 7 + i / 256);
    }
    guest_map(space, AT, 3 * PAGE, PROT_READ | PROT_WRITE);
    assert_int_equal(engine->copy_out(space, AT, buffer, 3 * PAGE), 3 * PAGE);
    assert_int_equal(engine->copy_out(space, AT + 100, buffer, 4 * PAGE), 3 * PAGE - 100);
    assert_int_equal(engine->copy_in(space, AT + 100, back, 4 * PAGE), 3 * PAGE - 100);
    assert_memory_equal(back, buffer, 3 * PAGE - 100);
    assert_int_equal(engine->copy_in(space, AT + 3 * PAGE, back, 1), -EFAULT);
    assert_int_equal(engine->copy_out(space, AT + 3 * PAGE, back, 1), -EFAULT);
    assert_int_equal(engine->copy_in(space, AT - 1, back, 10), -EFAULT);

    /* A hole in the middle, and pages without the permission. */
    assert_int_equal(engine->space_unmap(space, AT + PAGE, PAGE), 0);
    assert_int_equal(engine->copy_in(space, AT + 8, back, 3 * PAGE), PAGE - 8);
    assert_int_equal(engine->copy_in(space, AT + 2 * PAGE, back, PAGE), PAGE);
    guest_map(space, AT + PAGE, PAGE, PROT_READ);
    assert_int_equal(engine->copy_out(space, AT + 16, buffer, 2 * PAGE), PAGE - 16);
    assert_int_equal(engine->copy_out(space, AT + PAGE, buffer, 8), -EFAULT);
    assert_int_equal(engine->copy_in(space, AT + PAGE, back, 8), 8);
    assert_int_equal(engine->space_protect(space, AT + PAGE, PAGE, PROT_NONE), 0);
    assert_int_equal(engine->copy_in(space, AT + PAGE, back, 8), -EFAULT);

    /* A large copy over many pages, short at the end. */
    guest_map(space, AT + 0x100000, 5 * PAGE, PROT_READ | PROT_WRITE);
    assert_int_equal(engine->copy_out(space, AT + 0x100000 + 1, buffer, 8 * PAGE), 5 * PAGE - 1);

    /* Nothing that is not guest memory can be named. */
    static const guest_addr bad[] = {0,
                                     8,
                                     0x10000,
                                     0x20000,
                                     0x21000,
                                     PLATFORM_GUEST_MIN - 1,
                                     PLATFORM_GUEST_MAX,
                                     0xffffffffff600000,
                                     UINT64_MAX - 3};
    for (size_t i = 0; i < array_size(bad); i++) {
        assert_int_equal(engine->copy_in(space, bad[i], back, 16), -EFAULT);
        assert_int_equal(engine->copy_out(space, bad[i], back, 16), -EFAULT);
        assert_int_equal(engine->copy_out_force(space, bad[i], back, 16, PROT_READ | PROT_EXEC),
                         -EFAULT);
    }
    assert_int_equal(engine->copy_in(space, 0, back, 0), 0);
    engine->space_free(space);
}

static void test_copy_force(void **state)
{
    (void)state;
    struct address_space *space = plain_space();
    char back[32];
    guest_map(space, AT, 2 * PAGE, PROT_READ | PROT_EXEC);
    assert_int_equal(engine->copy_out(space, AT, "no", 2), -EFAULT);
    assert_int_equal(
        engine->copy_out_force(space, AT + 5, "hello, text", 11, PROT_READ | PROT_EXEC), 11);
    assert_int_equal(engine->copy_in(space, AT + 4, back, 13), 13);
    assert_memory_equal(back, "\0hello, text\0", 13);
    assert_int_equal(
        engine->copy_out_force(space, AT + PAGE - 3, "abcdefgh", 8, PROT_READ | PROT_EXEC), 8);
    assert_int_equal(
        engine->copy_out_force(space, AT + 2 * PAGE - 3, "abcdefgh", 8, PROT_READ | PROT_EXEC), 3);
    assert_int_equal(engine->copy_out_force(space, AT + 2 * PAGE, "a", 1, PROT_READ | PROT_EXEC),
                     -EFAULT);
    assert_int_equal(engine->copy_out(space, AT, "no", 2), -EFAULT);
    /* The service thread goes on as before. */
    assert_int_equal(engine->space_protect(space, AT, PAGE, PROT_READ | PROT_WRITE), 0);
    assert_int_equal(engine->copy_out(space, AT, "yes", 3), 3);

    /* A read-only mapping of a file is copied, not changed. */
    int file = memfd_create("force", MFD_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(write(file, "original", 8), 8);
    assert_int_equal(engine->space_map(space, AT, PAGE, PROT_READ, MAP_PRIVATE, file, 0), 0);
    assert_int_equal(engine->copy_out_force(space, AT, "changed!", 8, PROT_READ), 8);
    assert_int_equal(engine->copy_in(space, AT, back, 8), 8);
    assert_memory_equal(back, "changed!", 8);
    assert_int_equal(pread(file, back, 8, 0), 8);
    assert_memory_equal(back, "original", 8);
    close(file);
    engine->space_free(space);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    struct address_space *space = plain_space();
    const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    static const struct {
        guest_addr addr;
        uint64_t length;
    } bad[] = {{0, PAGE},
               {0x10000, PAGE},
               {0x20000, PAGE},
               {0x21000, PAGE},
               {PLATFORM_GUEST_MIN - PAGE, 2 * PAGE},
               {AT + 1, PAGE},
               {AT, 0},
               {AT, UINT64_MAX - AT + 1},
               {PLATFORM_GUEST_MAX, PAGE},
               {PLATFORM_GUEST_MAX - PAGE, 2 * PAGE},
               {0xffffffffff600000, PAGE}};
    for (size_t i = 0; i < array_size(bad); i++) {
        guest_addr addr = bad[i].addr;
        uint64_t length = bad[i].length;
        assert_int_equal(engine->space_map(space, addr, length, PROT_READ, anonymous, -1, 0),
                         -EINVAL);
        assert_int_equal(engine->space_unmap(space, addr, length), -EINVAL);
        assert_int_equal(engine->space_protect(space, addr, length, PROT_READ), -EINVAL);
        assert_int_equal(engine->space_advise(space, addr, length, MADV_DONTNEED), -EINVAL);
        assert_int_equal(engine->space_remap(space, AT, PAGE, addr, length, 0), -EINVAL);
        if (length != 0) {
            assert_int_equal(engine->space_remap(space, addr, length, AT, PAGE, 0), -EINVAL);
        }
    }
    assert_int_equal(
        engine->space_map(space, AT, PAGE, PROT_READ | PROT_GROWSDOWN, anonymous, -1, 0), -EINVAL);
    assert_int_equal(
        engine->space_map(space, AT, PAGE, PROT_READ, anonymous | MAP_GROWSDOWN, -1, 0), -EINVAL);
    assert_int_equal(engine->space_map(space, AT, PAGE, PROT_READ, anonymous | MAP_HUGETLB, -1, 0),
                     -EINVAL);
    assert_int_equal(engine->space_advise(space, AT, PAGE, MADV_HWPOISON), -EINVAL);
    assert_int_equal(engine->space_advise(space, AT, PAGE, -1), -EINVAL);
    assert_int_equal(engine->space_map(space, AT, PAGE, PROT_READ, MAP_PRIVATE, -1, 0), -EBADF);
    /* Errors of the host come back as they are. */
    assert_int_equal(engine->space_protect(space, AT, PAGE, PROT_READ), -ENOMEM);
    int file = memfd_create("read-only", MFD_CLOEXEC);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int read_only = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(read_only >= 0);
    assert_int_equal(
        engine->space_map(space, AT, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, read_only, 0),
        -EACCES);
    /* … and no descriptor stays behind: the same works again. */
    for (int i = 0; i < 100; i++) {
        assert_int_equal(engine->space_map(space, AT, PAGE, PROT_READ, MAP_SHARED, read_only, 0),
                         0);
    }
    close(read_only);
    close(file);
    engine->space_free(space);
}

GUEST(guest_poke, "1: mov %rsi, (%rdi)\n mov $500, %eax\n syscall\n jmp 1b\n");

static void test_shared_file(void **state)
{
    (void)state;
    struct address_space *a = guest_space(GUEST_ARGS(guest_poke));
    struct address_space *b = guest_space(GUEST_ARGS(guest_poke));
    int file = memfd_create("shared", MFD_CLOEXEC);
    assert_int_equal(ftruncate(file, 3 * PAGE), 0);
    assert_int_equal(engine->space_map(a, AT, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, PAGE),
                     0);
    assert_int_equal(
        engine->space_map(b, AT + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, PAGE), 0);
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(a, &regs);
    regs.rdi = AT + 64;
    regs.rsi = 0xfeedfacecafe;
    guest_run_to_call(thread, &regs, 500);
    assert_int_equal(guest_read64(b, AT + PAGE + 64), 0xfeedfacecafe);
    uint64_t value;
    assert_int_equal(pread(file, &value, 8, PAGE + 64), 8);
    assert_int_equal(value, 0xfeedfacecafe);
    /* Shared anonymous memory survives fork as shared. */
    assert_int_equal(engine->space_map(a, AT + 8 * PAGE, PAGE, PROT_READ | PROT_WRITE,
                                       MAP_SHARED | MAP_ANONYMOUS, -1, 0),
                     0);
    struct address_space *child;
    assert_int_equal(engine->space_fork(a, &child), 0);
    guest_write64(child, AT + 8 * PAGE, 31337);
    assert_int_equal(guest_read64(a, AT + 8 * PAGE), 31337);
    engine->thread_free(thread);
    engine->space_free(child);
    engine->space_free(a);
    engine->space_free(b);
    close(file);
}

static void test_remap_advise(void **state)
{
    (void)state;
    struct address_space *space = plain_space();
    guest_map(space, AT, 4 * PAGE, PROT_READ | PROT_WRITE);
    for (uint64_t i = 0; i < 4; i++) {
        guest_write64(space, AT + i * PAGE, 100 + i);
    }
    assert_int_equal(engine->space_remap(space, AT, 4 * PAGE, AT + 0x100000, 6 * PAGE, 0), 0);
    uint64_t value;
    assert_int_equal(engine->copy_in(space, AT, &value, 8), -EFAULT);
    assert_int_equal(guest_read64(space, AT + 0x100000 + 3 * PAGE), 103);
    assert_int_equal(guest_read64(space, AT + 0x100000 + 5 * PAGE), 0);
    assert_int_equal(
        engine->space_remap(space, AT + 0x100000, 6 * PAGE, AT + 0x100000, 2 * PAGE, 0), 0);
    assert_int_equal(engine->copy_in(space, AT + 0x100000 + 2 * PAGE, &value, 8), -EFAULT);
    assert_int_equal(
        engine->space_remap(space, AT + 0x100000, 2 * PAGE, AT, 2 * PAGE, MREMAP_DONTUNMAP), 0);
    assert_int_equal(guest_read64(space, AT + PAGE), 101);
    assert_int_equal(guest_read64(space, AT + 0x100000 + PAGE), 0);

    unsigned char vec[2];
    assert_int_equal(engine->space_advise(space, AT, PAGE, MADV_DONTNEED), 0);
    assert_int_equal(guest_read64(space, AT), 0);
    assert_int_equal(engine->space_mincore(space, AT, 2 * PAGE, vec), 0);
    assert_int_equal(vec[1] & 1, 1);
    assert_int_equal(engine->space_mincore(space, AT + 0x800000, PAGE, vec), -ENOMEM);
    /* More pages than one request can answer. */
    enum { MANY = 10000 };
    static unsigned char many[MANY];
    guest_map(space, 0x20000000, MANY * PAGE, PROT_READ | PROT_WRITE);
    guest_write64(space, 0x20000000 + (MANY - 1) * PAGE, 1);
    assert_int_equal(engine->space_mincore(space, 0x20000000, MANY * PAGE, many), 0);
    assert_int_equal(many[0] & 1, 0);
    assert_int_equal(many[MANY - 1] & 1, 1);
    engine->space_free(space);
}

static void test_huge_reservation(void **state)
{
    (void)state;
    struct address_space *space = plain_space();
    assert_int_equal(engine->space_map(space, 0x100000000000, 1ULL << 40, PROT_NONE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
                     0);
    assert_int_equal(
        engine->space_protect(space, 0x100000000000 + (1ULL << 39), PAGE, PROT_READ | PROT_WRITE),
        0);
    guest_write64(space, 0x100000000000 + (1ULL << 39), 5);
    assert_int_equal(engine->space_map(space, PLATFORM_GUEST_MAX - PAGE, PAGE, PROT_READ,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                     0);
    assert_int_equal(engine->space_map(space, PLATFORM_GUEST_MIN, PAGE, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                     0);
    guest_write64(space, PLATFORM_GUEST_MIN, 5);
    engine->space_free(space);
}

/* Parent and child see the same bytes at the fork, and none of each other's later ones. */
static void test_fork_isolation(void **state)
{
    (void)state;
    struct address_space *parent = guest_space(GUEST_ARGS(guest_poke));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(parent, &regs);
    guest_write64(parent, DATA_ADDR, 1);
    guest_write64(parent, DATA_ADDR + PAGE, 2);
    struct address_space *child;
    assert_int_equal(engine->space_fork(parent, &child), 0);
    assert_int_equal(guest_read64(child, DATA_ADDR), 1);
    assert_int_equal(guest_read64(child, DATA_ADDR + PAGE), 2);

    struct arch_regs child_regs;
    struct platform_thread *child_thread = guest_thread(child, &child_regs);
    child_regs.rdi = DATA_ADDR;
    child_regs.rsi = 11;
    guest_run_to_call(child_thread, &child_regs, 500);
    regs.rdi = DATA_ADDR + PAGE;
    regs.rsi = 22;
    guest_run_to_call(thread, &regs, 500);
    assert_int_equal(guest_read64(parent, DATA_ADDR), 1);
    assert_int_equal(guest_read64(parent, DATA_ADDR + PAGE), 22);
    assert_int_equal(guest_read64(child, DATA_ADDR), 11);
    assert_int_equal(guest_read64(child, DATA_ADDR + PAGE), 2);

    /* Mappings are separate too, and a grandchild works when its parents are gone. */
    assert_int_equal(engine->space_unmap(child, CODE_ADDR + PAGE, PAGE), 0);
    assert_int_equal(guest_read64(parent, CODE_ADDR + PAGE), 0);
    struct address_space *grandchild;
    assert_int_equal(engine->space_fork(child, &grandchild), 0);
    engine->thread_free(thread);
    engine->thread_free(child_thread);
    engine->space_free(parent);
    engine->space_free(child);
    assert_int_equal(guest_read64(grandchild, DATA_ADDR), 11);
    thread = guest_thread(grandchild, &regs);
    regs.rdi = DATA_ADDR;
    regs.rsi = 33;
    guest_run_to_call(thread, &regs, 500);
    assert_int_equal(guest_read64(grandchild, DATA_ADDR), 33);
    engine->thread_free(thread);
    engine->space_free(grandchild);
}

/* A clean space holds the vDSO and nothing else. */
static void test_clean_space(void **state)
{
    (void)state;
    struct address_space *space;
    assert_int_equal(engine->space_new(platform, &space), 0);
    struct vdso_info info;
    engine->space_vdso(space, &info);
    if (info.vdso != 0) {
        unsigned char magic[4];
        assert_int_equal(engine->copy_in(space, info.vdso, magic, 4), 4);
        assert_memory_equal(magic, "\177ELF", 4);
        assert_int_equal(info.vvar + info.vvar_size, info.vdso);
        assert_true(info.vvar_size >= PAGE && info.vdso_size >= PAGE);
    }
    /* Nothing else: each probe of the whole range is refused by the host as unmapped. */
    unsigned char byte;
    assert_int_equal(engine->copy_in(space, 0x400000, &byte, 1), -EFAULT);
    assert_int_equal(engine->copy_in(space, PLATFORM_GUEST_MAX - PAGE, &byte, 1), -EFAULT);
    engine->space_free(space);
}

/* Guest code can call the vDSO where the engine says it is. */
GUEST(guest_use_vdso, "sub $8, %rsp\n call *%rax\n mov %rax, %rdi\n mov $60, %eax\n syscall\n");

static void test_many_spaces(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    struct address_space *spaces[COUNT];
    for (uint64_t i = 0; i < COUNT; i++) {
        spaces[i] = guest_space(GUEST_ARGS(guest_use_vdso));
        guest_write64(spaces[i], DATA_ADDR, i);
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(guest_read64(spaces[i], DATA_ADDR), i);
        engine->space_free(spaces[i]);
    }
}

const struct CMUnitTest memory_tests[] = {
    cmocka_unit_test(test_partial_copies), cmocka_unit_test(test_copy_force),
    cmocka_unit_test(test_bad_arguments),  cmocka_unit_test(test_shared_file),
    cmocka_unit_test(test_remap_advise),   cmocka_unit_test(test_huge_reservation),
    cmocka_unit_test(test_fork_isolation), cmocka_unit_test(test_clean_space),
    cmocka_unit_test(test_many_spaces),
};
const size_t memory_test_count = array_size(memory_tests);
