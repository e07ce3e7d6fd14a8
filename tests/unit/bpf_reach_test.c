/*
 * bpf_reach_test.c: what the reader of filters says of small filters whose answers are plain.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "platform/host/bpf.h"
#include "platform/host/bpf_reach.h"

#define KILL  SECCOMP_RET_KILL_PROCESS
#define ALLOW SECCOMP_RET_ALLOW

static struct bpf_program program;
static struct host_call_set set;

static void begin(void)
{
    memset(&program, 0, sizeof program);
    memset(&set, 0, sizeof set);
    bpf_check_abi(&program, KILL);
}

static void end(uint64_t address)
{
    bpf_return(&program, KILL);
    assert_false(program.failed);
    const struct sock_fprog filter = {(unsigned short)program.length, program.code};
    assert_int_equal(bpf_reach_add(&filter, 1, address, &set), 0);
}

static size_t count_allowed(void)
{
    size_t count = 0;
    for (size_t i = 0; i < HOST_CALLS_MAX; i++) {
        count += set.calls[i].allowed;
    }
    return count;
}

static void test_numbers_and_arguments(void **state)
{
    (void)state;
    begin();
    bpf_begin_rule(&program, SYS_getpid);
    bpf_end_rule(&program, ALLOW, KILL);
    bpf_begin_rule(&program, SYS_mmap);
    bpf_check_at_least(&program, 0, 0x1000);
    bpf_check_mask(&program, 2, 3);
    bpf_end_rule(&program, ALLOW, KILL);
    bpf_begin_rule(&program, SYS_madvise);
    bpf_check_one_of_bits(&program, 2, 0x10);
    bpf_end_rule(&program, ALLOW, KILL);
    end(0);
    assert_int_equal(count_allowed(), 3);
    assert_true(set.calls[SYS_getpid].allowed && !set.calls[SYS_getpid].refused);
    assert_true(set.calls[SYS_mmap].allowed && set.calls[SYS_mmap].refused);
    assert_true(set.calls[SYS_madvise].allowed && set.calls[SYS_madvise].refused);
    assert_true(!set.calls[SYS_execve].allowed && set.calls[SYS_execve].refused);
}

static void make_placed(void)
{
    struct bpf_block block;
    begin();
    bpf_begin_block(&program, &block, 0x5002, 0x5002);
    bpf_begin_rule(&program, SYS_exit);
    bpf_end_rule(&program, ALLOW, KILL);
    bpf_end_block(&program, &block, KILL);
}

static void test_places(void **state)
{
    (void)state;
    make_placed();
    end(0x5002);
    assert_int_equal(count_allowed(), 1);
    make_placed();
    end(0x5004);
    assert_int_equal(count_allowed(), 0);
    make_placed();
    end(0x100005002);
    assert_int_equal(count_allowed(), 0);
    make_placed();
    end(0);
    assert_true(set.calls[SYS_exit].allowed && set.calls[SYS_exit].refused);
}

static void test_strictest_of_two(void **state)
{
    (void)state;
    begin();
    bpf_begin_rule(&program, SYS_getpid);
    bpf_end_rule(&program, ALLOW, KILL);
    bpf_return(&program, KILL);
    struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, ALLOW);
    struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    const struct sock_fprog both[] = {{(unsigned short)program.length, program.code}, {1, &all}};
    const struct sock_fprog refused[] = {both[0], {1, &none}};
    assert_int_equal(bpf_reach_add(both, 2, 0, &set), 0);
    assert_int_equal(count_allowed(), 1);
    memset(&set, 0, sizeof set);
    assert_int_equal(bpf_reach_add(refused, 2, 0, &set), 0);
    assert_int_equal(count_allowed(), 0);
}

static void test_programs_that_are_none(void **state)
{
    (void)state;
    struct sock_filter code[] = {BPF_JUMP(BPF_JMP | BPF_JA, 5, 0, 0),
                                 BPF_STMT(BPF_ALU | BPF_MUL, 3)};
    const struct sock_fprog beyond = {1, code};
    const struct sock_fprog unknown = {1, code + 1};
    const struct sock_fprog empty = {0, code};
    memset(&set, 0, sizeof set);
    assert_int_equal(bpf_reach_add(&beyond, 1, 0, &set), -EINVAL);
    assert_int_equal(bpf_reach_add(&unknown, 1, 0, &set), -EINVAL);
    assert_int_equal(bpf_reach_add(&empty, 1, 0, &set), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_and_arguments),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_strictest_of_two),
        cmocka_unit_test(test_programs_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
