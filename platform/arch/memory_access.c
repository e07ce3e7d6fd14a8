/*
 * memory_access.c: a partial decoder: prefixes, opcode map, opcode and ModRM.reg are enough to know
 * whether the memory operand is a destination. Instruction lengths are never needed.
 */
#include "platform/arch/memory_access.h"

struct instruction {
    const uint8_t *bytes;
    size_t length, at;
    int map; /* 1: one-byte opcodes, 2: 0F, 3: 0F38, 4: 0F3A */
    bool operand_size, repeat_f3, repeat_f2;
    bool vector_prefix; /* VEX or EVEX: no one-byte opcodes, no stack operands */
    uint8_t opcode;
    uint8_t reg; /* ModRM.reg */
};

static uint8_t next_byte(struct instruction *in)
{
    return in->at < in->length ? in->bytes[in->at++] : 0x90;
}

static void set_vector_map(struct instruction *in, unsigned int map, unsigned int prefix)
{
    in->vector_prefix = true;
    in->map = map >= 1 && map <= 3 ? (int)map + 1 : 2;
    in->operand_size = prefix == 1;
    in->repeat_f3 = prefix == 2;
    in->repeat_f2 = prefix == 3;
    in->opcode = next_byte(in);
}

static void decode_opcode(struct instruction *in)
{
    uint8_t byte = next_byte(in);
    while (byte == 0x66 || byte == 0x67 || byte == 0xf0 || byte == 0xf2 || byte == 0xf3 ||
           byte == 0x2e || byte == 0x36 || byte == 0x3e || byte == 0x26 || byte == 0x64 ||
           byte == 0x65) {
        in->operand_size |= byte == 0x66;
        in->repeat_f2 |= byte == 0xf2;
        in->repeat_f3 |= byte == 0xf3;
        if (in->at >= in->length) {
            break;
        }
        byte = next_byte(in);
    }
    if ((byte & 0xf0) == 0x40) {
        byte = next_byte(in);
    }
    if (byte == 0xc5) {
        uint8_t p = next_byte(in);
        set_vector_map(in, 1, p & 3);
    } else if (byte == 0xc4) {
        uint8_t map = next_byte(in) & 0x1f;
        set_vector_map(in, map, next_byte(in) & 3);
    } else if (byte == 0x62) {
        uint8_t map = next_byte(in) & 7;
        uint8_t prefix = next_byte(in) & 3;
        next_byte(in);
        set_vector_map(in, map, prefix);
    } else if (byte != 0x0f) {
        in->map = 1;
        in->opcode = byte;
    } else {
        in->map = 2;
        in->opcode = next_byte(in);
        if (in->opcode == 0x38 || in->opcode == 0x3a) {
            in->map = in->opcode == 0x38 ? 3 : 4;
            in->opcode = next_byte(in);
        }
    }
    in->reg = (next_byte(in) >> 3) & 7;
}

/* One bit per value of ModRM.reg. */
static bool reg_in(const struct instruction *in, unsigned int set)
{
    return (set >> in->reg & 1) != 0;
}

static bool is_stack_write(const struct arch_regs *regs, uint64_t addr)
{
    return regs->rsp - addr - 1 < 64;
}

static bool one_byte_writes(const struct instruction *in, const struct arch_regs *regs,
                            uint64_t addr)
{
    static const uint8_t x87_stores[8] = {0x00, 0xcc, 0x00, 0x8e, 0x00, 0xce, 0x00, 0xce};
    uint8_t op = in->opcode;

    if (op < 0x40) {
        return (op & 7) < 2 && op < 0x38;
    }
    if (op >= 0xd8 && op <= 0xdf) {
        return reg_in(in, x87_stores[op - 0xd8]);
    }
    switch (op) {
    case 0x80:
    case 0x81:
    case 0x83:
        return in->reg != 7;
    case 0x86:
    case 0x87:
    case 0x88:
    case 0x89:
    case 0x8c:
    case 0x8f:
    case 0xa2:
    case 0xa3:
    case 0xaa:
    case 0xab:
    case 0xc0:
    case 0xc1:
    case 0xc6:
    case 0xc7:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return true;
    case 0xa4:
    case 0xa5:
        /* A string move reads at rsi and writes at rdi, up to 8 bytes each. */
        return addr - regs->rdi < 8 && !(addr - regs->rsi < 8 && addr - regs->rdi != 0);
    case 0xf6:
    case 0xf7:
        return reg_in(in, 0x0c);
    case 0xfe:
        return reg_in(in, 0x03);
    case 0xff:
        return reg_in(in, 0x03) || (reg_in(in, 0x4c) && is_stack_write(regs, addr));
    case 0x68:
    case 0x6a:
    case 0x9c:
    case 0xc8:
    case 0xe8:
        return is_stack_write(regs, addr);
    default:
        return op >= 0x50 && op <= 0x57 && is_stack_write(regs, addr);
    }
}

static bool two_byte_writes(const struct instruction *in)
{
    uint8_t op = in->opcode;
    if (op >= 0x90 && op <= 0x9f) {
        return !in->vector_prefix;
    }
    switch (op) {
    case 0x11:
    case 0x13:
    case 0x17:
    case 0x29:
    case 0x2b:
    case 0x7f:
    case 0xc3:
    case 0xd6:
    case 0xe7:
    case 0xf7:
        return true;
    case 0x7e:
        return !in->repeat_f3;
    case 0xa4:
    case 0xa5:
    case 0xab:
    case 0xac:
    case 0xad:
    case 0xb0:
    case 0xb1:
    case 0xb3:
    case 0xbb:
    case 0xc0:
    case 0xc1:
        return !in->vector_prefix;
    case 0xba:
        return reg_in(in, 0xe0);
    case 0xae: /* fxsave, stmxcsr, xsave, xsaveopt */
        return reg_in(in, 0x59);
    case 0xc7: /* cmpxchg8b/16b, xsavec, xsaves */
        return reg_in(in, 0x32);
    default:
        return false;
    }
}

static bool three_byte_writes(const struct instruction *in)
{
    uint8_t op = in->opcode;
    if (in->map == 4) {
        return (op >= 0x14 && op <= 0x17) ||
               (in->vector_prefix &&
                (op == 0x19 || op == 0x1b || op == 0x1d || op == 0x39 || op == 0x3b));
    }
    if (!in->vector_prefix) {
        return (op == 0xf1 && !in->repeat_f2) || op == 0xf9;
    }
    /* Masked and compressed stores, scatters, and the narrowing moves of AVX-512. */
    return op == 0x2e || op == 0x2f || op == 0x8e || op == 0x8a || op == 0x8b || op == 0x63 ||
           (op >= 0xa0 && op <= 0xa3) ||
           (in->repeat_f3 && op >= 0x10 && op <= 0x35 && (op & 0xf) <= 5);
}

bool arch_access_is_write(const uint8_t *bytes, size_t length, const struct arch_regs *regs,
                          uint64_t addr)
{
    struct instruction in = {.bytes = bytes, .length = length};
    decode_opcode(&in);
    switch (in.map) {
    case 1:
        return one_byte_writes(&in, regs, addr);
    case 2:
        return two_byte_writes(&in);
    default:
        return three_byte_writes(&in);
    }
}
