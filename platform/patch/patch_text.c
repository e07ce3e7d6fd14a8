/*
 * patch_text.c: what bytes of a text mean: is this pair a system call, is this an instruction
 * boundary, is this padding that nothing executes? All by local evidence of at most a few hundred
 * bytes (2 KB for long branches), so that any text costs bounded work.
 */
#include <emmintrin.h>
#include <string.h>

#include "platform/patch/patch_internal.h"

enum {
    BOUNDARY_WINDOW = 48, /* decoding starts at each of these bytes before the place in question */
    BOUNDARY_NEAR = 12,   /* those nearer cannot be expected to have fallen into step */
    SHORT_REACH = 129,    /* of a branch with a one-byte displacement */
    LONG_REACH = 2048,    /* how far around padding branches with four-byte ones are looked for */
    TERMINATOR_MAX = 8,   /* longest instruction looked for before padding */
    SYSCALL_NUMBERS = 512,
};

size_t patch_text_next_pair(const struct patch_text *text, size_t from)
{
    const uint8_t *bytes = text->bytes;
    size_t end = text->code;
    size_t at = from;
    const __m128i first = _mm_set1_epi8(0x0f);
    const __m128i second = _mm_set1_epi8(0x05);

    for (; at < end && end - at > 32; at += 32) {
        const uint8_t *p = bytes + at;
        __m128i low = _mm_and_si128(
            _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), first),
            _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 1)), second));
        __m128i high = _mm_and_si128(
            _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 16)), first),
            _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 17)), second));
        unsigned int mask =
            (unsigned int)_mm_movemask_epi8(low) | (unsigned int)_mm_movemask_epi8(high) << 16;
        if (mask != 0) {
            return at + (unsigned int)__builtin_ctz(mask);
        }
    }
    for (; at < end && end - at >= 2; at++) {
        if (bytes[at] == 0x0f && bytes[at + 1] == 0x05) {
            return at;
        }
    }
    return end;
}

bool patch_text_is_boundary(const struct patch_text *text, size_t offset)
{
    enum { OUT, MEETS, MISSES };
    uint8_t verdict[BOUNDARY_WINDOW];
    size_t low = offset > BOUNDARY_WINDOW ? offset - BOUNDARY_WINDOW : 0;
    size_t span = offset - low;
    int meets = 0, misses = 0;

    if (offset == 0) {
        return true;
    }
    for (size_t back = 1; back <= span; back++) {
        size_t at = offset - back;
        unsigned int length = patch_length(text->bytes + at, text->code - at);
        uint8_t found = length == 0      ? OUT
                        : length > back  ? MISSES
                        : length == back ? MEETS
                                         : verdict[back - length - 1];
        verdict[back - 1] = found;
        if (back > BOUNDARY_NEAR || at == 0) {
            meets += found == MEETS;
            misses += found == MISSES;
        }
    }
    if (low == 0 && verdict[span - 1] == MISSES) {
        return false;
    }
    return meets > 8 * misses && (meets >= 12 || low == 0);
}

static bool starts_with(const struct patch_text *text, size_t at, const char *bytes, size_t count)
{
    return at <= text->code && text->code - at >= count &&
           memcmp(text->bytes + at, bytes, count) == 0;
}

/* The comparison of a result with -4095 or -4096. */
static bool is_error_check(const struct patch_text *text, size_t at)
{
    if (!starts_with(text, at, "\x3d", 1) || text->code - at < 5) {
        return false;
    }
    const uint8_t *imm = text->bytes + at + 1;
    return imm[0] <= 1 && imm[1] == 0xf0 && imm[2] == 0xff && imm[3] == 0xff;
}

/* The multi-byte nops of the assemblers, without prefixes. */
static const struct {
    uint8_t length;
    char bytes[9];
} nops[] = {
    {8, "\x0f\x1f\x84\0\0\0\0"}, {7, "\x0f\x1f\x80\0\0\0"}, {5, "\x0f\x1f\x44\0"},
    {4, "\x0f\x1f\x40"},         {3, "\x0f\x1f"},
};

/* The length of the nop or int3 at offset that assemblers pad with, or 0. */
static unsigned int padding_length(const struct patch_text *text, size_t at, bool *ret_single)
{
    const uint8_t *bytes = text->bytes + at;
    size_t available = text->code - at;
    size_t skip = 0;

    *ret_single = false;
    if (bytes[0] == 0xcc) {
        return 1;
    }
    while (skip < available && skip < 7 && bytes[skip] == 0x66) {
        skip++;
    }
    if (skip < available && bytes[skip] == 0x90) {
        *ret_single = skip == 0;
        return (unsigned int)skip + 1;
    }
    if (skip < available && bytes[skip] == 0x2e) {
        skip++;
    }
    if (available - skip < 3 || bytes[skip] != 0x0f) {
        return 0;
    }
    for (size_t i = 0; i < array_size(nops); i++) {
        if (available - skip >= nops[i].length &&
            memcmp(bytes + skip, nops[i].bytes, nops[i].length) == 0) {
            return (unsigned int)skip + nops[i].length;
        }
    }
    return 0;
}

/* Does some padding instruction end at end? */
static bool padding_ends(const struct patch_text *text, size_t end)
{
    uint8_t last = text->bytes[end - 1];
    if (last != 0) {
        return last == 0x90 || last == 0xcc;
    }
    for (size_t i = 0; i < array_size(nops); i++) {
        if (end >= nops[i].length &&
            memcmp(text->bytes + end - nops[i].length, nops[i].bytes, nops[i].length) == 0) {
            return true;
        }
    }
    return false;
}

/* Is [at, end) whole padding instructions, as an assembler would choose them? */
static bool is_padding(const struct patch_text *text, size_t at, size_t end)
{
    int singles = 0;
    while (at < end) {
        bool single;
        unsigned int length = padding_length(text, at, &single);
        if (length == 0 || length > end - at) {
            return false;
        }
        at += length;
        singles += single;
    }
    return singles <= 1;
}

bool patch_text_has_signature(const struct patch_text *text, size_t offset)
{
    const uint8_t *bytes = text->bytes;
    size_t next = offset + 2;
    bool found = false;

    if (offset >= 5 && bytes[offset - 5] == 0xb8 && bytes[offset - 3] <= 1 &&
        bytes[offset - 2] == 0 && bytes[offset - 1] == 0) {
        found = bytes[offset - 4] != PATCH_SIGRETURN || bytes[offset - 3] != 0;
    } else if (is_error_check(text, next) ||
               (starts_with(text, next, "\x48", 1) && is_error_check(text, next + 1)) ||
               starts_with(text, next, "\x48\x89\xc7\xe8", 4)) {
        found = true;
    } else if (starts_with(text, next, "\xc3", 1)) {
        size_t end = (next + 16) & ~(size_t)15;
        found = end > next + 1 && end <= text->code && is_padding(text, next + 1, end);
    } else if (starts_with(text, next, "\x89\x44\x24", 3)) {
        found = text->code - next >= 5 && bytes[next + 4] == 0xc3;
    }
    if (!found) {
        return false;
    }
    for (int i = 0; i < 4 && next < text->code; i++) {
        struct patch_instruction in;
        unsigned int length = patch_decode(bytes + next, text->code - next, &in);
        if (length == 0) {
            return false;
        }
        if (in.flow == PATCH_FLOW_END) {
            break;
        }
        next += length;
    }
    return patch_text_is_boundary(text, offset);
}

bool patch_text_has_move(const struct patch_text *text, size_t offset, uint32_t *ret_number)
{
    uint32_t number;
    if (offset < 5 || text->bytes[offset - 5] != 0xb8) {
        return false;
    }
    memcpy(&number, text->bytes + offset - 4, 4);
    if (number >= SYSCALL_NUMBERS || !patch_text_is_boundary(text, offset - 5)) {
        return false;
    }
    *ret_number = number;
    return true;
}

/* Does an instruction that never goes on with the next one end at offset? */
static bool flow_ends(const struct patch_text *text, size_t offset)
{
    size_t low = offset > TERMINATOR_MAX ? offset - TERMINATOR_MAX : 0;
    for (size_t at = offset; at-- > low;) {
        struct patch_instruction in;
        if (patch_decode(text->bytes + at, text->code - at, &in) != offset - at ||
            in.flow != PATCH_FLOW_END) {
            continue;
        }
        if (in.relative_size != 0 && (uint64_t)((int64_t)offset + in.relative) >= text->code) {
            continue;
        }
        if (patch_text_is_boundary(text, at)) {
            return true;
        }
    }
    return false;
}

static bool is_short_branch(uint8_t byte)
{
    return (byte & 0xf0) == 0x70 || byte == 0xeb || (byte & 0xfc) == 0xe0;
}

static bool short_branch_into(const struct patch_text *text, size_t start, size_t end)
{
    size_t low = start > SHORT_REACH ? start - SHORT_REACH : 0;
    size_t high = text->code - end > SHORT_REACH ? end + SHORT_REACH : text->code;
    for (size_t at = low; at + 1 < high; at++) {
        if (at == start) {
            at = end;
            if (at + 1 >= high) {
                break;
            }
        }
        size_t target = at + 2 + (size_t)(int64_t)(int8_t)text->bytes[at + 1];
        if (target - start < end - start && is_short_branch(text->bytes[at]) &&
            patch_text_is_boundary(text, at)) {
            return true;
        }
    }
    return false;
}

static bool is_long_branch(const struct patch_text *text, size_t displacement)
{
    uint8_t last = text->bytes[displacement - 1];
    return (last & 0xfe) == 0xe8 ||
           ((last & 0xf0) == 0x80 && displacement >= 2 && text->bytes[displacement - 2] == 0x0f);
}

/* Looks at every displacement that could be one, four places at a time. */
static bool long_branch_into(const struct patch_text *text, size_t start, size_t end)
{
    size_t low = start > LONG_REACH ? start - LONG_REACH : 1;
    size_t high = text->code - end > LONG_REACH ? end + LONG_REACH : text->code;
    if (high < 20 || low + 20 > high) {
        return false;
    }
    /* signed: displacement + place + 4 - start in [0, end - start) */
    const __m128i width = _mm_set1_epi32((int)(end - start));
    const __m128i minus_one = _mm_set1_epi32(-1);
    __m128i bias =
        _mm_add_epi32(_mm_set1_epi32((int)(low + 4) - (int)start), _mm_set_epi32(12, 8, 4, 0));
    const __m128i one = _mm_set1_epi32(1);
    const __m128i rest = _mm_set1_epi32(13);
    for (size_t at = low; at + 20 <= high; at += 16) {
        for (size_t lane = 0; lane < 4; lane++) {
            __m128i value = _mm_add_epi32(
                _mm_loadu_si128((const __m128i *)(const void *)(text->bytes + at + lane)), bias);
            __m128i inside =
                _mm_and_si128(_mm_cmpgt_epi32(value, minus_one), _mm_cmpgt_epi32(width, value));
            bias = _mm_add_epi32(bias, lane < 3 ? one : rest);
            int mask = _mm_movemask_ps(_mm_castsi128_ps(inside));
            for (; mask != 0; mask &= mask - 1) {
                size_t place = at + lane + 4 * (size_t)__builtin_ctz((unsigned int)mask);
                if ((place < start || place >= end) && is_long_branch(text, place)) {
                    return true;
                }
            }
        }
    }
    return false;
}

bool patch_text_branch_into(const struct patch_text *text, size_t start, size_t end)
{
    return short_branch_into(text, start, end) || long_branch_into(text, start, end);
}

size_t patch_text_padding(const struct patch_text *text, size_t end)
{
    bool good[PATCH_HOLE_MAX + 1] = {true};
    size_t limit = end < PATCH_HOLE_MAX ? end : PATCH_HOLE_MAX;
    size_t farthest = 0;
    bool single;

    if (end == 0 || end > text->code || !padding_ends(text, end)) {
        return end;
    }
    if (end < text->code && padding_length(text, end, &single) != 0) {
        return end; /* the run goes on: it counts where it ends, or not at all */
    }
    for (size_t back = 1; back <= limit && back - farthest <= PATCH_INSTRUCTION_MAX; back++) {
        unsigned int length = padding_length(text, end - back, &single);
        good[back] = length != 0 && length <= back && good[back - length];
        farthest = good[back] ? back : farthest;
    }
    return end - farthest;
}

size_t patch_text_unused(const struct patch_text *text, size_t start, size_t end)
{
    for (; end - start >= PATCH_JUMP_NEAR; start++) {
        if (is_padding(text, start, end) && flow_ends(text, start)) {
            return patch_text_branch_into(text, start, end) ? end : start;
        }
    }
    return end;
}
