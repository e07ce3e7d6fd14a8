/*
 * bpf.c: the filter assembler.
 */
#include "platform/host/bpf.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>

#define LOAD_LOW(offset)  (uint32_t)(offset)
#define LOAD_HIGH(offset) (uint32_t)((offset) + 4)
#define ARGUMENT(i)       (offsetof(struct seccomp_data, args) + 8 * (size_t)(i))

static size_t emit(struct bpf_program *program, uint16_t code, uint8_t jt, uint8_t jf,
                   uint32_t value)
{
    if (program->length >= BPF_PROGRAM_MAX) {
        program->failed = true;
        return 0;
    }
    program->code[program->length] =
        (struct sock_filter){.code = code, .jt = jt, .jf = jf, .k = value};
    return program->length++;
}

void bpf_statement(struct bpf_program *program, uint16_t code, uint32_t value)
{
    emit(program, code, 0, 0, value);
}

static void load(struct bpf_program *program, uint32_t offset)
{
    emit(program, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
}

void bpf_return(struct bpf_program *program, uint32_t action)
{
    emit(program, BPF_RET | BPF_K, 0, 0, action);
}

void bpf_check_abi(struct bpf_program *program, uint32_t action)
{
    load(program, offsetof(struct seccomp_data, arch));
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64);
    bpf_return(program, action);
    load(program, offsetof(struct seccomp_data, nr));
    emit(program, BPF_JMP | BPF_JGE | BPF_K, 0, 1, 0x40000000);
    bpf_return(program, action);
}

void bpf_begin_block(struct bpf_program *program, struct bpf_block *block, uint64_t first,
                     uint64_t last)
{
    uint32_t ip = offsetof(struct seccomp_data, instruction_pointer);
    if (first >> 32 != last >> 32) {
        program->failed = true;
        return;
    }
    load(program, LOAD_HIGH(ip));
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 3, (uint32_t)(first >> 32));
    load(program, LOAD_LOW(ip));
    emit(program, BPF_JMP | BPF_JGE | BPF_K, 0, 1, (uint32_t)first);
    emit(program, BPF_JMP | BPF_JGT | BPF_K, 0, 1, (uint32_t)last);
    block->jump = emit(program, BPF_JMP | BPF_JA, 0, 0, 0);
}

void bpf_end_block(struct bpf_program *program, struct bpf_block *block, uint32_t action)
{
    bpf_return(program, action);
    if (!program->failed) {
        program->code[block->jump].k = (uint32_t)(program->length - block->jump - 1);
    }
}

static void fail_unless(struct bpf_program *program, uint16_t jump, uint32_t value, bool on_true)
{
    size_t at = emit(program, (uint16_t)(BPF_JMP | BPF_K | jump), 0, 0, value);
    if (program->fail_count == array_size(program->fails)) {
        program->failed = true;
        return;
    }
    /* Bit 31 marks a jump taken when the test is false. */
    program->fails[program->fail_count++] = at | (on_true ? 0 : (size_t)1 << 31);
}

void bpf_begin_rule(struct bpf_program *program, uint32_t number)
{
    program->skip_count = 0;
    program->fail_count = 0;
    load(program, offsetof(struct seccomp_data, nr));
    program->skips[program->skip_count++] = emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, number);
}

void bpf_check_equal32(struct bpf_program *program, int argument, uint32_t value)
{
    load(program, LOAD_LOW(ARGUMENT(argument)));
    fail_unless(program, BPF_JEQ, value, false);
}

static void check_high_zero(struct bpf_program *program, int argument)
{
    load(program, LOAD_HIGH(ARGUMENT(argument)));
    fail_unless(program, BPF_JEQ, 0, false);
}

void bpf_check_equal(struct bpf_program *program, int argument, uint64_t value)
{
    bpf_check_equal32(program, argument, (uint32_t)value);
    load(program, LOAD_HIGH(ARGUMENT(argument)));
    fail_unless(program, BPF_JEQ, (uint32_t)(value >> 32), false);
}

void bpf_check_either32(struct bpf_program *program, int argument, uint32_t a, uint32_t b)
{
    load(program, LOAD_LOW(ARGUMENT(argument)));
    emit(program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, a);
    fail_unless(program, BPF_JEQ, b, false);
}

void bpf_check_at_least(struct bpf_program *program, int argument, uint32_t value)
{
    load(program, LOAD_HIGH(ARGUMENT(argument)));
    emit(program, BPF_JMP | BPF_JGT | BPF_K, 2, 0, 0);
    load(program, LOAD_LOW(ARGUMENT(argument)));
    fail_unless(program, BPF_JGE, value, false);
}

void bpf_check_at_most(struct bpf_program *program, int argument, uint32_t value)
{
    check_high_zero(program, argument);
    load(program, LOAD_LOW(ARGUMENT(argument)));
    fail_unless(program, BPF_JGT, value, true);
}

void bpf_check_mask(struct bpf_program *program, int argument, uint32_t allowed)
{
    check_high_zero(program, argument);
    load(program, LOAD_LOW(ARGUMENT(argument)));
    fail_unless(program, BPF_JSET, ~allowed, true);
}

void bpf_check_one_of_bits(struct bpf_program *program, int argument, uint32_t allowed)
{
    load(program, LOAD_LOW(ARGUMENT(argument)));
    fail_unless(program, BPF_JGT, 31, true);
    emit(program, BPF_MISC | BPF_TAX, 0, 0, 0);
    emit(program, BPF_LD | BPF_IMM, 0, 0, 1);
    emit(program, BPF_ALU | BPF_LSH | BPF_X, 0, 0, 0);
    fail_unless(program, BPF_JSET, allowed, false);
}

static void patch(struct bpf_program *program, size_t at, size_t target, bool on_true)
{
    size_t distance = target - at - 1;
    if (distance > 255) {
        program->failed = true;
        return;
    }
    if (on_true) {
        program->code[at].jt = (uint8_t)distance;
    } else {
        program->code[at].jf = (uint8_t)distance;
    }
}

static void patch_rule(struct bpf_program *program, size_t refusal)
{
    for (size_t i = 0; i < program->fail_count && !program->failed; i++) {
        size_t at = program->fails[i] & 0x7fffffff;
        patch(program, at, refusal, (program->fails[i] >> 31) == 0);
    }
    for (size_t i = 0; i < program->skip_count && !program->failed; i++) {
        patch(program, program->skips[i], program->length, false);
    }
}

void bpf_end_rule(struct bpf_program *program, uint32_t accept, uint32_t refuse)
{
    bpf_return(program, accept);
    size_t refusal = program->length;
    if (program->fail_count != 0) {
        bpf_return(program, refuse);
    }
    patch_rule(program, refusal);
}

void bpf_end_rule_or_next(struct bpf_program *program, uint32_t accept)
{
    bpf_return(program, accept);
    patch_rule(program, program->length);
}
