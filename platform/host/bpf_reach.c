/*
 * bpf_reach.c: runs a filter with a call number that is known and arguments that are not: a test of
 * something unknown goes both ways. Jumps only lead forward, so every walk ends; places that were
 * reached with an unknown accumulator before are not walked again.
 */
#include "platform/host/bpf_reach.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>

struct walk {
    const struct sock_fprog *filter;
    uint32_t number;
    uint64_t address; /* 0: unknown */
    bool seen[BPF_MAXINSNS];
    bool allows, refuses, failed;
};

struct value {
    bool known;
    uint32_t bits;
};

static struct value load(const struct walk *walk, uint32_t offset)
{
    const uint32_t ip = offsetof(struct seccomp_data, instruction_pointer);
    if (offset == offsetof(struct seccomp_data, nr)) {
        return (struct value){true, walk->number};
    }
    if (offset == offsetof(struct seccomp_data, arch)) {
        return (struct value){true, AUDIT_ARCH_X86_64};
    }
    if (walk->address != 0 && (offset == ip || offset == ip + 4)) {
        return (struct value){true, (uint32_t)(walk->address >> (offset == ip ? 0 : 32))};
    }
    return (struct value){false, 0};
}

static bool test(uint16_t code, uint32_t a, uint32_t k)
{
    switch (BPF_OP(code)) {
    case BPF_JEQ:
        return a == k;
    case BPF_JGT:
        return a > k;
    case BPF_JGE:
        return a >= k;
    default:
        return (a & k) != 0;
    }
}

static void run(struct walk *walk, size_t at, struct value a)
{
    for (;;) {
        if (at >= walk->filter->len) {
            walk->failed = true;
            return;
        }
        if (!a.known) {
            if (walk->seen[at]) {
                return;
            }
            walk->seen[at] = true;
        }
        const struct sock_filter *op = &walk->filter->filter[at++];
        switch (op->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            a = load(walk, op->k);
            break;
        case BPF_LD | BPF_IMM:
            a = (struct value){true, op->k};
            break;
        case BPF_MISC | BPF_TAX:
            break;
        case BPF_ALU | BPF_LSH | BPF_X: /* the index register always counts as unknown */
            a.known = false;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a.bits &= op->k;
            break;
        case BPF_ALU | BPF_RSH | BPF_K:
            a.bits = op->k < 32 ? a.bits >> op->k : 0;
            break;
        case BPF_JMP | BPF_JA:
            at += op->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
        case BPF_JMP | BPF_JGT | BPF_K:
        case BPF_JMP | BPF_JGE | BPF_K:
        case BPF_JMP | BPF_JSET | BPF_K:
            if (a.known) {
                at += test(op->code, a.bits, op->k) ? op->jt : op->jf;
            } else {
                run(walk, at + op->jt, a);
                at += op->jf;
            }
            break;
        case BPF_RET | BPF_K:
            if ((op->k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ALLOW) {
                walk->allows = true;
            } else {
                walk->refuses = true;
            }
            return;
        default:
            walk->failed = true;
            return;
        }
    }
}

int bpf_reach_add(const struct sock_fprog *filters, size_t count, uint64_t address,
                  struct host_call_set *set)
{
    for (uint32_t number = 0; number < HOST_CALLS_MAX; number++) {
        bool allowed = true;
        bool refused = false;
        for (size_t i = 0; i < count; i++) {
            struct walk walk = {.filter = &filters[i], .number = number, .address = address};
            run(&walk, 0, (struct value){true, 0});
            if (walk.failed) {
                return -EINVAL;
            }
            allowed = allowed && walk.allows;
            refused = refused || walk.refuses;
        }
        set->calls[number].allowed = set->calls[number].allowed || allowed;
        set->calls[number].refused = set->calls[number].refused || refused;
    }
    return 0;
}
