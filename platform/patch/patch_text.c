/*
 * patch_text.c: what bytes of a text mean: is this pair a system call, is this an instruction
 * boundary, is this padding that nothing executes? All by local evidence of at most a few hundred
 * bytes (2 KB for long branches), so that any text costs bounded work.
 */
#include <emmintrin.h>
#include <string.h>

#include "platform/patch/patch_internal.h"

enum {
    BOUNDARY_WINDOW = 64, /* decoding starts at each of these bytes before the place in question */
    BOUNDARY_EARLY = 48,  /* those from here on are not asked when the others agree */
    BOUNDARY_VOTES = 12,  /* fewer prove nothing */
    BOUNDARY_NEAR = 24,   /* those nearer cannot be expected to have fallen into step */
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

/* The multi-byte nops of the assemblers, without prefixes, as little-endian numbers. */
#define NOP_8 0x0000000000841f0fULL
#define NOP_7 0x00000000801f0fULL
#define NOP_5 0x0000441f0fULL
#define NOP_4 0x00401f0fULL
#define NOP_3 0x001f0fULL

static uint64_t low_bytes(uint64_t value, int count)
{
    return value & (UINT64_MAX >> (64 - 8 * count));
}

/* The length of the multi-byte nop that value, the next eight bytes, begins with, or 0. */
static unsigned int long_nop(uint64_t value)
{
    if (low_bytes(value, 2) != 0x1f0f) {
        return 0;
    }
    return value == NOP_8                 ? 8
           : low_bytes(value, 7) == NOP_7 ? 7
           : low_bytes(value, 5) == NOP_5 ? 5
           : low_bytes(value, 4) == NOP_4 ? 4
           : low_bytes(value, 3) == NOP_3 ? 3
                                          : 0;
}

/*
 * Decodes from each byte before offset and counts who arrives there and who passes over it. Those
 * who meet no instruction on the way do not count, nor do the zeros within long nops, of which
 * nearly all would go the same wrong way.
 */
static void vote(const struct patch_text *text, size_t offset, int *ret_meets, int *ret_misses)
{
    enum { OUT, MEETS, MISSES };
    uint8_t verdict[BOUNDARY_WINDOW + 1];
    size_t span = offset > BOUNDARY_WINDOW ? BOUNDARY_WINDOW : offset;
    const uint8_t *bytes = text->bytes + offset;
    int counts[3] = {0};

    for (size_t back = 1; back <= span; back++) {
        unsigned int length = patch_length(bytes - back, text->code - (offset - back));
        verdict[back] = length == 0      ? OUT
                        : length > back  ? MISSES
                        : length == back ? MEETS
                                         : verdict[back - length];
        if (back > BOUNDARY_NEAR) {
            counts[verdict[back]]++;
        }
        if (back == BOUNDARY_EARLY && (counts[MEETS] == 0) != (counts[MISSES] == 0) &&
            counts[OUT] < BOUNDARY_VOTES) {
            *ret_meets = counts[MEETS];
            *ret_misses = counts[MISSES];
            return;
        }
    }
    memset(counts, 0, sizeof(counts));
    for (size_t back = span; back > BOUNDARY_NEAR; back--) {
        counts[verdict[back]]++;
        if (bytes[-(ptrdiff_t)back] == 0x0f && bytes[1 - (ptrdiff_t)back] == 0x1f) {
            uint64_t value;
            memcpy(&value, bytes - back, sizeof(value));
            unsigned int length = long_nop(value);
            back -= length > 1 ? length - 1 : 0;
        }
    }
    if (span != 0 && offset < BOUNDARY_WINDOW) { /* the text's start is the only sure one */
        counts[MEETS] = verdict[span] == MEETS;
        counts[MISSES] = verdict[span] == MISSES;
    }
    *ret_meets = counts[MEETS];
    *ret_misses = counts[MISSES];
}

bool patch_text_is_boundary(const struct patch_text *text, size_t offset)
{
    int meets, misses;
    if (offset == 0) {
        return true;
    }
    vote(text, offset, &meets, &misses);
    return meets > 4 * misses && (meets >= BOUNDARY_VOTES || offset < BOUNDARY_WINDOW);
}

/* For dangers: true unless it is well known not to be one. */
static bool may_be_boundary(const struct patch_text *text, size_t offset)
{
    int meets, misses;
    vote(text, offset, &meets, &misses);
    return 4 * meets >= misses || misses < BOUNDARY_VOTES;
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

/* The length of the nop or int3 at offset that assemblers pad with, or 0. */
static unsigned int padding_length(const struct patch_text *text, size_t at, bool *ret_single)
{
    const uint8_t *bytes = text->bytes + at;
    size_t available = text->code - at;
    size_t skip = 0;
    uint64_t value = 0;

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
    if (skip >= available || bytes[skip] != 0x0f) {
        return 0;
    }
    if (available - skip >= sizeof(value)) {
        memcpy(&value, bytes + skip, sizeof(value));
    } else {
        value = UINT64_MAX; /* what is missing is in no nop */
        memcpy(&value, bytes + skip, available - skip);
    }
    unsigned int length = long_nop(value);
    return length != 0 ? (unsigned int)skip + length : 0;
}

/* Does some padding instruction end at end? */
static bool padding_ends(const struct patch_text *text, size_t end)
{
    uint8_t last = text->bytes[end - 1];
    uint64_t value;
    if (last != 0) {
        return last == 0x90 || last == 0xcc;
    }
    memcpy(&value, text->bytes + end - 8, sizeof(value)); /* end is at least 16 */
    return value == NOP_8 || value >> 8 == NOP_7 || value >> 24 == NOP_5 || value >> 32 == NOP_4 ||
           value >> 40 == NOP_3;
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

static bool is_short_branch_into(const struct patch_text *text, size_t at, size_t start, size_t end)
{
    size_t target = at + 2 + (size_t)(int64_t)(int8_t)text->bytes[at + 1];
    return target - start < end - start && is_short_branch(text->bytes[at]) &&
           (at < start || at >= end) && may_be_boundary(text, at);
}

/* Sixteen places at a time: does the displacement, modulo 256, lead into the range? */
static bool short_branch_into(const struct patch_text *text, size_t start, size_t end)
{
    size_t low = start > SHORT_REACH ? start - SHORT_REACH : 0;
    size_t high = text->code - end > SHORT_REACH ? end + SHORT_REACH : text->code;
    size_t at = low;
    const __m128i width = _mm_set1_epi8((char)(end - start - 1));
    const __m128i step = _mm_set1_epi8(16);
    const __m128i jcc = _mm_set1_epi8(0x70), jmp = _mm_set1_epi8((char)0xeb);
    const __m128i loop = _mm_set1_epi8((char)0xe0);
    __m128i bias = _mm_add_epi8(_mm_set_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                _mm_set1_epi8((char)(low + 2 - start)));

    for (; at < high && high - at >= 17; at += 16) {
        const uint8_t *p = text->bytes + at;
        __m128i opcode = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i target =
            _mm_add_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 1)), bias);
        __m128i inside = _mm_cmpeq_epi8(_mm_min_epu8(target, width), target);
        __m128i branch = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(_mm_and_si128(opcode, _mm_set1_epi8((char)0xf0)), jcc),
                         _mm_cmpeq_epi8(_mm_and_si128(opcode, _mm_set1_epi8((char)0xfc)), loop)),
            _mm_cmpeq_epi8(opcode, jmp));
        int mask = _mm_movemask_epi8(_mm_and_si128(inside, branch));
        for (; mask != 0; mask &= mask - 1) {
            if (is_short_branch_into(text, at + (size_t)__builtin_ctz((unsigned int)mask), start,
                                     end)) {
                return true;
            }
        }
        bias = _mm_add_epi8(bias, step);
    }
    for (; at + 1 < high; at++) {
        if (is_short_branch_into(text, at, start, end)) {
            return true;
        }
    }
    return false;
}

/*
 * Looks at every place that could have the opcode of a call or branch with a four-byte displacement
 * of less than 64 KB, sixteen at a time.
 */
static bool long_branch_into(const struct patch_text *text, size_t start, size_t end)
{
    const __m128i call_or_jump = _mm_set1_epi8((char)0xe8), conditional = _mm_set1_epi8((char)0x80);
    const __m128i low_bit = _mm_set1_epi8((char)0xfe), high_half = _mm_set1_epi8((char)0xf0);
    const __m128i zero = _mm_setzero_si128(), ones = _mm_set1_epi8((char)0xff);
    size_t low = start > LONG_REACH ? start - LONG_REACH : 0;
    size_t high = text->code - end > LONG_REACH ? end + LONG_REACH : text->code;

    for (size_t at = low; at < high && high - at >= 20; at += 16) {
        const uint8_t *p = text->bytes + at;
        __m128i opcode = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i third = _mm_loadu_si128((const __m128i *)(const void *)(p + 3));
        __m128i sign = _mm_loadu_si128((const __m128i *)(const void *)(p + 4));
        __m128i branch =
            _mm_or_si128(_mm_cmpeq_epi8(_mm_and_si128(opcode, low_bit), call_or_jump),
                         _mm_cmpeq_epi8(_mm_and_si128(opcode, high_half), conditional));
        __m128i near = _mm_or_si128(_mm_cmpeq_epi8(_mm_or_si128(third, sign), zero),
                                    _mm_cmpeq_epi8(_mm_and_si128(third, sign), ones));
        int mask = _mm_movemask_epi8(_mm_and_si128(branch, near));
        for (; mask != 0; mask &= mask - 1) {
            size_t place = at + (size_t)__builtin_ctz((unsigned int)mask);
            int32_t relative;
            memcpy(&relative, text->bytes + place + 1, 4);
            size_t target = place + 5 + (size_t)(int64_t)relative;
            bool conditional_one = (text->bytes[place] & 0xf0) == 0x80;
            if (target - start < end - start && (place < start || place >= end) &&
                (!conditional_one || (place > 0 && text->bytes[place - 1] == 0x0f))) {
                return true;
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

    if (end < 16 || end > text->code || !padding_ends(text, end)) {
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
