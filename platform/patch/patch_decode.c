/*
 * patch_decode.c: instruction lengths from tables of the opcode maps (the vendors' manuals, volumes
 * 2 and 3). A few instructions are taken as invalid although some processor has them: what cannot
 * be decoded is never touched, so that only costs a patch. Unit tests compare the lengths with
 * those of another disassembler over whole libraries.
 *
 * Decoding reads up to BUFFER bytes without asking; what is shorter is copied first.
 */
#include "platform/patch/patch_decode.h"

#include <string.h>

#include "platform/base/compiler.h"

enum { PREFIXES_MAX = 14, BUFFER = 40 };

/* What an opcode is and what follows it. */
enum {
    M = 0x01,   /* ModRM */
    I8 = 0x02,  /* one byte */
    I16 = 0x04, /* two bytes */
    IZ = 0x08,  /* four bytes, two with an operand-size prefix */
    REL = 0x10, /* the immediate is a branch displacement */
    BAD = 0x20,
    SPECIAL = 0x40, /* decided in code */
    PREFIX = 0x80,
};

/* The letters of the tables below. */
static const uint8_t kinds[128] = {
    ['-'] = 0,   ['m'] = M,       ['c'] = M | I8,   ['C'] = M | IZ,   ['b'] = I8,
    ['z'] = IZ,  ['w'] = I16,     ['e'] = I16 | I8, ['s'] = I8 | REL, ['l'] = IZ | REL,
    ['x'] = BAD, ['*'] = SPECIAL, ['p'] = PREFIX,
};

static const char one_byte[257] = /* 16 opcodes a line */
    "mmmmbzxxmmmmbzx*"
    "mmmmbzxxmmmmbzxx"
    "mmmmbzpxmmmmbzpx"
    "mmmmbzpxmmmmbzpx"
    "xxxxxxxxxxxxxxxx"
    "----------------"
    "xx*mppppzCbc----"
    "ssssssssssssssss"
    "cCxcmmmmmmmmm*m*"
    "----------x-----"
    "****----bz------"
    "bbbbbbbb********"
    "ccw-****e-w--bx-"
    "mmmmxxx-mmmmmmmm"
    "ssssbbbbllxs----"
    "p-pp--**------**";

static const char two_byte[257] = /* 16 opcodes a line */
    "mmmmx-----x-xm-c"
    "mmmmmmmmmmmmmmmm"
    "mmmmxxxxmmmmmmmm"
    "------x-*x*xxxxx"
    "mmmmmmmmmmmmmmmm"
    "mmmmmmmmmmmmmmmm"
    "mmmmmmmmmmmmmmmm"
    "ccccmmm-mmxxmmmm"
    "llllllllllllllll"
    "mmmmmmmmmmmmmmmm"
    "---mcmxx---mcmmm"
    "mmmmmmmmmmcmmmmm"
    "mmcmcccm--------"
    "mmmmmmmmmmmmmmmm"
    "mmmmmmmmmmmmmmmm"
    "mmmmmmmmmmmmmmmm";

/* ModRM, SIB and displacement together, by ModRM.mod and ModRM.rm. */
static const uint8_t modrm_sizes[32] = {
    1, 1, 1, 1, 2, 5, 1, 1, 2, 2, 2, 2, 3, 2, 2, 2, 5, 5, 5, 5, 6, 5, 5, 5, 1, 1, 1, 1, 1, 1, 1, 1,
};

struct parts {
    bool narrow; /* an operand-size prefix that counts */
    bool wide, short_address, prefixed;
    bool second_map, vector;
    uint8_t opcode;
    uint8_t kind;
    uint8_t modrm; /* place of ModRM, or 0 */
};

static inline unsigned int modrm_size(const uint8_t *bytes)
{
    unsigned int modrm = bytes[0];
    unsigned int size = modrm_sizes[(modrm >> 3 & 0x18) | (modrm & 7)];
    if ((modrm & 0xc7) == 4 && (bytes[1] & 7) == 5) {
        size += 4;
    }
    return size;
}

/* The kind of an opcode of the first map that depends on ModRM or prefixes, but for vectors. */
static unsigned int special_kind(const struct parts *in, const uint8_t *bytes)
{
    unsigned int reg = bytes[1] >> 3 & 7;
    switch (bytes[0]) {
    case 0x8d: /* lea takes no register */
        return bytes[1] < 0xc0 ? M : BAD;
    case 0x8f:
        return reg == 0 ? M : BAD;
    case 0xc6: /* c6 f8: xabort */
        return reg == 0 || bytes[1] == 0xf8 ? M | I8 : BAD;
    case 0xc7: /* c7 f8: xbegin */
        return reg == 0 || bytes[1] == 0xf8 ? M | IZ : BAD;
    case 0xf6:
        return reg < 2 ? M | I8 : M;
    case 0xf7:
        return reg < 2 ? M | IZ : M;
    case 0xfe:
        return reg < 2 ? M : BAD;
    case 0xff:
        return reg == 7 || ((reg == 3 || reg == 5) && bytes[1] >= 0xc0) ? BAD : M;
    default:
        break;
    }
    if ((bytes[0] & 0xf8) == 0xb8) { /* mov imm */
        return in->wide ? IZ | I16 | SPECIAL : IZ;
    }
    if ((bytes[0] & 0xfc) == 0xa0) { /* mov moffs: the size is that of an address */
        return SPECIAL;
    }
    return BAD;
}

/* VEX (c4, c5) and EVEX (62): at is behind that byte. Returns where the instruction ends, or 0. */
static unsigned int end_of_vector(const uint8_t *bytes, unsigned int at, struct parts *in)
{
    uint8_t lead = bytes[at - 1];
    unsigned int map = lead == 0xc5 ? 1 : lead == 0xc4 ? bytes[at] & 0x1fu : bytes[at] & 7u;
    bool wrong = lead == 0x62 ? map == 0 || map == 4 || map == 7 || (bytes[at] & 8) != 0 ||
                                    (bytes[at + 1] & 4) == 0
                              : map == 0 || map > 3;
    if (wrong || in->prefixed) {
        return 0;
    }
    at += lead == 0xc5 ? 1 : lead == 0xc4 ? 2 : 3;
    uint8_t opcode = bytes[at++];
    unsigned int kind = map == 1 ? kinds[(uint8_t)two_byte[opcode]] : map == 3 ? M | I8 : M;
    in->vector = true;
    if (map == 1 && opcode == 0x77 && lead != 0x62) {
        return at;
    }
    if ((kind & M) == 0) {
        return 0;
    }
    in->modrm = (uint8_t)at;
    return at + modrm_size(bytes + at) + (kind & I8 ? 1 : 0);
}

/* Where the instruction at bytes ends, 0 when it is invalid; BUFFER bytes can be read. */
static inline unsigned int end_of(const uint8_t *bytes, struct parts *in)
{
    unsigned int at = 0;
    unsigned int kind = kinds[(uint8_t)one_byte[bytes[0]]];
    bool narrow = false;

    *in = (struct parts){0};
    while ((kind & PREFIX) != 0) {
        uint8_t prefix = bytes[at];
        narrow |= prefix == 0x66;
        in->short_address |= prefix == 0x67;
        in->prefixed |= prefix == 0x66 || prefix >= 0xf0;
        if (++at > PREFIXES_MAX) {
            return 0;
        }
        kind = kinds[(uint8_t)one_byte[bytes[at]]];
    }
    if ((bytes[at] & 0xf0) == 0x40) {
        in->wide = (bytes[at] & 8) != 0;
        in->prefixed = true;
        at++;
        kind = kinds[(uint8_t)one_byte[bytes[at]]];
        if ((kind & PREFIX) != 0) {
            return 0;
        }
    }
    in->narrow = narrow && !in->wide;
    uint8_t opcode = bytes[at++];
    if ((kind & SPECIAL) != 0) {
        if (opcode == 0x0f) {
            opcode = bytes[at++];
            kind = kinds[(uint8_t)two_byte[opcode]];
            in->second_map = true;
            if ((kind & SPECIAL) != 0) {
                kind = opcode == 0x3a ? M | I8 : M;
                at++;
            }
        } else if (opcode == 0x62 || (opcode & 0xfe) == 0xc4) {
            return end_of_vector(bytes, at, in);
        } else {
            kind = special_kind(in, bytes + at - 1);
            if (kind == SPECIAL) {
                at += in->short_address ? 4 : 8;
            } else if ((kind & SPECIAL) != 0) {
                at += 2;
            }
        }
    }
    if ((kind & BAD) != 0 || ((kind & REL) != 0 && in->narrow)) {
        return 0; /* the vendors disagree on the size of a prefixed displacement */
    }
    in->opcode = opcode;
    in->kind = (uint8_t)kind;
    if ((kind & M) != 0) {
        in->modrm = (uint8_t)at;
        at += modrm_size(bytes + at);
    }
    return at + (kind >> 1 & 3) + (kind & IZ ? (in->narrow ? 2u : 4u) : 0);
}

unsigned int patch_length(const uint8_t *bytes, size_t available)
{
    struct parts in;
    uint8_t copy[BUFFER];
    if (available < BUFFER) {
        memset(copy, 0, sizeof(copy));
        memcpy(copy, bytes, available);
        bytes = copy;
    }
    /* Most instructions: at most a REX prefix, and an opcode of the first map. */
    unsigned int at = (bytes[0] & 0xf0) == 0x40;
    unsigned int kind = kinds[(uint8_t)one_byte[bytes[at]]];
    unsigned int length;
    if ((kind & (BAD | SPECIAL | PREFIX)) == 0) {
        length = at + 1 + (kind >> 1 & 3) + (kind & IZ ? 4 : 0) +
                 (kind & M ? modrm_size(bytes + at + 1) : 0);
    } else {
        length = end_of(bytes, &in);
    }
    return length <= available && length <= PATCH_INSTRUCTION_MAX ? length : 0;
}

static void note_first_map(const struct parts *in, const uint8_t *bytes,
                           struct patch_instruction *out)
{
    unsigned int reg = bytes[in->modrm] >> 3 & 7;
    switch (in->opcode) {
    case 0xc2:
    case 0xc3:
    case 0xca:
    case 0xcb:
    case 0xe9:
    case 0xeb:
        out->flow = PATCH_FLOW_END;
        break;
    case 0xf4:
    case 0xcf:
        out->flow = PATCH_FLOW_END;
        out->is_system = true;
        break;
    case 0xcc:
    case 0xcd:
    case 0xf1:
        out->is_system = true;
        break;
    case 0xe8:
        out->is_call = true;
        break;
    case 0xff:
        out->is_call = reg == 2 || reg == 3;
        if (reg == 4 || reg == 5) {
            out->flow = PATCH_FLOW_END;
        }
        break;
    case 0xc7: /* xbegin branches by an immediate */
        out->is_system = bytes[in->modrm] == 0xf8;
        break;
    default:
        break;
    }
}

static void note_second_map(const struct parts *in, struct patch_instruction *out)
{
    switch (in->opcode) {
    case 0x05:
    case 0x07:
    case 0x34:
    case 0x35:
        out->is_system = true;
        break;
    case 0x0b:
        out->flow = PATCH_FLOW_END;
        break;
    default:
        break;
    }
}

unsigned int patch_decode(const uint8_t *bytes, size_t available, struct patch_instruction *ret_in)
{
    struct parts in;
    uint8_t copy[BUFFER] = {0};
    memcpy(copy, bytes, min_of(available, sizeof(copy)));
    unsigned int length = end_of(copy, &in);
    if (length == 0 || length > available || length > PATCH_INSTRUCTION_MAX) {
        return 0;
    }
    struct patch_instruction out = {.length = (uint8_t)length, .flow = PATCH_FLOW_NEXT};
    if (in.modrm != 0 && (copy[in.modrm] & 0xc7) == 5) {
        out.rip_relative = (uint8_t)(in.modrm + 1);
    }
    if ((in.kind & REL) != 0) {
        out.flow = PATCH_FLOW_BRANCH;
        out.relative_size = in.kind & I8 ? 1 : 4;
        if (out.relative_size == 1) {
            out.relative = copy[length - 1] < 0x80 ? copy[length - 1] : copy[length - 1] - 0x100;
        } else {
            memcpy(&out.relative, copy + length - 4, 4);
        }
    }
    if (in.second_map) {
        note_second_map(&in, &out);
    } else if (!in.vector) {
        note_first_map(&in, copy, &out);
    }
    *ret_in = out;
    return length;
}
