/*
 * bpf.h: a small assembler for seccomp filters: one rule per system call, each check failing into
 * the rule's own verdict. Used where the instruction address or full 64-bit arguments are checked,
 * which libseccomp cannot express.
 *
 * Jumps are forward only and at most 255 instructions; a program that does not fit sets .failed.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/base/compiler.h"

#define BPF_PROGRAM_MAX 640

struct bpf_program {
    struct sock_filter code[BPF_PROGRAM_MAX];
    size_t length;
    /* The open rule: where its jumps to the next rule and to its refusal stand. */
    size_t skips[1], fails[48];
    size_t skip_count, fail_count;
    bool failed;
};

void bpf_statement(struct bpf_program *program, uint16_t code, uint32_t value);
void bpf_return(struct bpf_program *program, uint32_t action);
/* Refuses other architectures and x32 numbers with action. */
void bpf_check_abi(struct bpf_program *program, uint32_t action);

/* A block for the calls made at instruction addresses first <= ip (after the instruction) <= last.
 * Outside of it the program goes on behind bpf_end_block. Blocks hold rules and do not nest. */
struct bpf_block {
    size_t jump;
};
void bpf_begin_block(struct bpf_program *program, struct bpf_block *block, uint64_t first,
                     uint64_t last);
/* What no rule of the block accepted gets action. */
void bpf_end_block(struct bpf_program *program, struct bpf_block *block, uint32_t action);

/* A rule: begin, any number of argument checks, end. */
void bpf_begin_rule(struct bpf_program *program, uint32_t number);
void bpf_check_equal(struct bpf_program *program, int argument, uint64_t value);
/* The low 32 bits, for int arguments. */
void bpf_check_equal32(struct bpf_program *program, int argument, uint32_t value);
void bpf_check_either32(struct bpf_program *program, int argument, uint32_t a, uint32_t b);
void bpf_check_at_least(struct bpf_program *program, int argument, uint32_t value);
void bpf_check_at_most(struct bpf_program *program, int argument, uint32_t value);
void bpf_check_mask(struct bpf_program *program, int argument, uint32_t allowed);
/* The low 32 bits are the index of a bit in allowed (values 0 to 31). */
void bpf_check_one_of_bits(struct bpf_program *program, int argument, uint32_t allowed);
void bpf_end_rule(struct bpf_program *program, uint32_t accept, uint32_t refuse);
/* The same, but a call that fails a check goes on to the next rule. */
void bpf_end_rule_or_next(struct bpf_program *program, uint32_t accept);
