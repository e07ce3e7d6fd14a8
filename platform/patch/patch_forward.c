/*
 * patch_forward.c: moving the instructions behind a system call elsewhere, to make room for a near
 * jump. Only such are moved as do the same at another place: memory operands relative to the
 * instruction and branches are corrected, calls (which would push another address) are not moved.
 */
#include <string.h>

#include "platform/patch/patch_plan.h"

enum { NEAR_CONDITIONAL = 6, FORWARD_MAX = 4 };

/* The size that the instruction has at another place. 0: it cannot be moved. */
static size_t moved_size(const uint8_t *bytes, const struct patch_instruction *in)
{
    if (in->is_call || in->is_system) {
        return 0;
    }
    if (in->relative_size == 0) {
        return in->length;
    }
    if (in->relative_size == 4) {
        return in->length;
    }
    if (in->length != 2) {
        return 0; /* prefixed */
    }
    if (bytes[0] == 0xeb) {
        return PATCH_JUMP_NEAR;
    }
    return (bytes[0] & 0xf0) == 0x70 ? NEAR_CONDITIONAL : 0;
}

size_t patch_forward_measure(const struct patch_text *text, size_t offset, size_t *ret_end)
{
    size_t first = offset + 2;
    size_t at = first, size = 0;
    bool ended = false;

    for (int i = 0; i < FORWARD_MAX && at - offset < PATCH_JUMP_NEAR && !ended; i++) {
        struct patch_instruction in;
        if (at >= text->code || patch_decode(text->bytes + at, text->code - at, &in) == 0) {
            return 0;
        }
        size_t moved = moved_size(text->bytes + at, &in);
        if (moved == 0) {
            return 0;
        }
        at += in.length;
        size += moved;
        ended = in.flow == PATCH_FLOW_END;
    }
    if (at - offset < PATCH_JUMP_NEAR) {
        return 0;
    }
    for (size_t own = first; own < at;) {
        struct patch_instruction in;
        own += patch_decode(text->bytes + own, text->code - own, &in);
        size_t target = own + (size_t)(int64_t)in.relative;
        if (in.relative_size != 0 && target > offset && target < at) {
            return 0;
        }
    }
    if (patch_text_branch_into(text, offset + 1, at)) {
        return 0;
    }
    *ret_end = at;
    return size + (ended ? 0 : PATCH_JUMP_NEAR);
}

static void put_relative(uint8_t *out, size_t target, size_t after)
{
    int32_t relative = (int32_t)((int64_t)target - (int64_t)after);
    memcpy(out, &relative, 4);
}

void patch_forward_copy(const uint8_t *bytes, size_t from, size_t end, size_t to, uint8_t *out)
{
    struct patch_instruction in = {0};
    while (from < end) {
        unsigned int length = patch_decode(bytes, end - from, &in);
        size_t moved = moved_size(bytes, &in);
        size_t target = from + length + (size_t)(int64_t)in.relative;
        memcpy(out, bytes, length);
        if (in.relative_size == 1) {
            out[0] = bytes[0] == 0xeb ? 0xe9 : 0x0f;
            out[1] = (uint8_t)(bytes[0] + 0x10);
        }
        if (in.relative_size != 0) {
            put_relative(out + moved - 4, target, to + moved);
        } else if (in.rip_relative != 0) {
            int32_t displacement;
            memcpy(&displacement, bytes + in.rip_relative, 4);
            put_relative(out + in.rip_relative, from + length + (size_t)(int64_t)displacement,
                         to + moved);
        }
        bytes += length;
        from += length;
        out += moved;
        to += moved;
    }
    if (in.flow != PATCH_FLOW_END) {
        out[0] = 0xe9;
        put_relative(out + 1, end, to + PATCH_JUMP_NEAR);
    }
}

bool patch_forward_step(const uint8_t *bytes, size_t count, size_t *original, size_t *copy)
{
    struct patch_instruction in;
    if (*original >= count || patch_decode(bytes + *original, count - *original, &in) == 0) {
        return false;
    }
    *copy += moved_size(bytes + *original, &in);
    *original += in.length;
    return true;
}
