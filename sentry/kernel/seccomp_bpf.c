/*
 * seccomp_bpf.c: classic BPF programs: checked once, then run for each call. Nothing here trusts a
 * program that was not checked; a checked one only jumps forward and ends with a return. Linux:
 * net/core/filter.c (bpf_check_classic), kernel/seccomp.c (seccomp_check_filter).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/seccomp_internal.h"

#define WORDS BPF_MEMWORDS

static bool code_allowed(uint16_t code)
{
    static const uint16_t allowed[] = {
        BPF_LD | BPF_W | BPF_ABS,
        BPF_LD | BPF_W | BPF_LEN,
        BPF_LDX | BPF_W | BPF_LEN,
        BPF_RET | BPF_K,
        BPF_RET | BPF_A,
        BPF_ALU | BPF_ADD, /* BPF_K is 0, too */
        BPF_ALU | BPF_ADD | BPF_X,
        BPF_ALU | BPF_SUB | BPF_K,
        BPF_ALU | BPF_SUB | BPF_X,
        BPF_ALU | BPF_MUL | BPF_K,
        BPF_ALU | BPF_MUL | BPF_X,
        BPF_ALU | BPF_DIV | BPF_K,
        BPF_ALU | BPF_DIV | BPF_X,
        BPF_ALU | BPF_AND | BPF_K,
        BPF_ALU | BPF_AND | BPF_X,
        BPF_ALU | BPF_OR | BPF_K,
        BPF_ALU | BPF_OR | BPF_X,
        BPF_ALU | BPF_XOR | BPF_K,
        BPF_ALU | BPF_XOR | BPF_X,
        BPF_ALU | BPF_LSH | BPF_K,
        BPF_ALU | BPF_LSH | BPF_X,
        BPF_ALU | BPF_RSH | BPF_K,
        BPF_ALU | BPF_RSH | BPF_X,
        BPF_ALU | BPF_NEG,
        BPF_LD | BPF_IMM,
        BPF_LDX | BPF_IMM,
        BPF_MISC | BPF_TAX,
        BPF_MISC | BPF_TXA,
        BPF_LD | BPF_MEM,
        BPF_LDX | BPF_MEM,
        BPF_ST,
        BPF_STX,
        BPF_JMP | BPF_JA,
        BPF_JMP | BPF_JEQ | BPF_K,
        BPF_JMP | BPF_JEQ | BPF_X,
        BPF_JMP | BPF_JGE | BPF_K,
        BPF_JMP | BPF_JGE | BPF_X,
        BPF_JMP | BPF_JGT | BPF_K,
        BPF_JMP | BPF_JGT | BPF_X,
        BPF_JMP | BPF_JSET | BPF_K,
        BPF_JMP | BPF_JSET | BPF_X,
    };
    for (size_t i = 0; i < array_size(allowed); i++) {
        if (allowed[i] == code) {
            return true;
        }
    }
    return false;
}

static bool uses_memory(uint16_t code)
{
    return code == (BPF_LD | BPF_MEM) || code == (BPF_LDX | BPF_MEM) || code == BPF_ST ||
           code == BPF_STX;
}

static bool instruction_ok(const struct sock_filter *at, unsigned left)
{
    if (!code_allowed(at->code)) {
        return false;
    }
    if (at->code == (BPF_LD | BPF_W | BPF_ABS)) {
        return at->k < sizeof(struct seccomp_data) && at->k % 4 == 0;
    }
    if (at->code == (BPF_ALU | BPF_DIV | BPF_K)) {
        return at->k != 0;
    }
    if (at->code == (BPF_ALU | BPF_LSH | BPF_K) || at->code == (BPF_ALU | BPF_RSH | BPF_K)) {
        return at->k < 32;
    }
    if (uses_memory(at->code)) {
        return at->k < WORDS;
    }
    if (at->code == (BPF_JMP | BPF_JA)) {
        return at->k < left;
    }
    if (BPF_CLASS(at->code) == BPF_JMP) {
        return at->jt < left && at->jf < left;
    }
    return true;
}

/* Is every scratch word stored to before it is loaded, on every way? */
static int check_memory(const struct sock_filter *code, unsigned count)
{
    auto_free uint16_t *masks = malloc(count * sizeof(*masks));
    uint16_t valid = 0;
    if (!masks) {
        return -ENOMEM;
    }
    memset(masks, 0xff, count * sizeof(*masks));
    for (unsigned pc = 0; pc < count; pc++) {
        const struct sock_filter *at = &code[pc];
        valid &= masks[pc];
        if (at->code == BPF_ST || at->code == BPF_STX) {
            valid |= (uint16_t)(1U << at->k);
        } else if (uses_memory(at->code)) {
            if (!(valid & 1U << at->k)) {
                return -EINVAL;
            }
        } else if (at->code == (BPF_JMP | BPF_JA)) {
            masks[pc + 1 + at->k] &= valid;
            valid = UINT16_MAX;
        } else if (BPF_CLASS(at->code) == BPF_JMP) {
            masks[pc + 1 + at->jt] &= valid;
            masks[pc + 1 + at->jf] &= valid;
            valid = UINT16_MAX;
        }
    }
    return 0;
}

int seccomp_bpf_check(const struct sock_filter *code, unsigned count)
{
    if (count == 0 || count > BPF_MAXINSNS) {
        return -EINVAL;
    }
    for (unsigned pc = 0; pc < count; pc++) {
        if (!instruction_ok(&code[pc], count - pc - 1)) {
            return -EINVAL;
        }
    }
    return BPF_CLASS(code[count - 1].code) == BPF_RET ? check_memory(code, count) : -EINVAL;
}

static uint32_t compute(uint16_t code, uint32_t a, uint32_t operand)
{
    switch (BPF_OP(code)) {
    case BPF_ADD:
        return a + operand;
    case BPF_SUB:
        return a - operand;
    case BPF_MUL:
        return a * operand;
    case BPF_AND:
        return a & operand;
    case BPF_OR:
        return a | operand;
    case BPF_XOR:
        return a ^ operand;
    case BPF_LSH:
        return a << (operand & 31);
    case BPF_RSH:
        return a >> (operand & 31);
    default:
        return 0U - a; /* BPF_NEG */
    }
}

static bool compare(uint16_t code, uint32_t a, uint32_t operand)
{
    switch (BPF_OP(code)) {
    case BPF_JEQ:
        return a == operand;
    case BPF_JGT:
        return a > operand;
    case BPF_JGE:
        return a >= operand;
    default:
        return (a & operand) != 0; /* BPF_JSET */
    }
}

/* LD and LDX: the value loaded. */
static uint32_t loaded(const struct sock_filter *at, const struct seccomp_data *data,
                       const uint32_t memory[WORDS])
{
    uint32_t value = at->k;
    switch (BPF_MODE(at->code)) {
    case BPF_ABS:
        memcpy(&value, (const char *)data + at->k, sizeof(value));
        return value;
    case BPF_LEN:
        return sizeof(*data);
    case BPF_MEM:
        return memory[at->k];
    default:
        return value; /* BPF_IMM */
    }
}

uint32_t seccomp_bpf_run(const struct sock_filter *code, unsigned count,
                         const struct seccomp_data *data)
{
    uint32_t memory[WORDS] = {0};
    uint32_t a = 0;
    uint32_t x = 0;
    for (unsigned pc = 0; pc < count; pc++) {
        const struct sock_filter *at = &code[pc];
        uint32_t operand = BPF_SRC(at->code) == BPF_X ? x : at->k;
        switch (BPF_CLASS(at->code)) {
        case BPF_LD:
            a = loaded(at, data, memory);
            break;
        case BPF_LDX:
            x = loaded(at, data, memory);
            break;
        case BPF_ST:
            memory[at->k] = a;
            break;
        case BPF_STX:
            memory[at->k] = x;
            break;
        case BPF_ALU:
            if (BPF_OP(at->code) == BPF_DIV) {
                if (operand == 0) {
                    return 0;
                }
                a /= operand;
            } else {
                a = compute(at->code, a, operand);
            }
            break;
        case BPF_JMP:
            if (BPF_OP(at->code) == BPF_JA) {
                pc += at->k;
            } else {
                pc += compare(at->code, a, operand) ? at->jt : at->jf;
            }
            break;
        case BPF_RET:
            return BPF_RVAL(at->code) == BPF_A ? a : at->k;
        default:
            if (BPF_MISCOP(at->code) == BPF_TAX) {
                x = a;
            } else {
                a = x;
            }
            break;
        }
    }
    return SECCOMP_RET_KILL_PROCESS; /* not reached: the last instruction is a return */
}
