/*
 * patch_decode.h: how long a 64-bit instruction is and where it may lead. Nothing about what it
 * computes. Works on any bytes; never reads beyond those that it is given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATCH_INSTRUCTION_MAX 15

enum patch_flow {
    PATCH_FLOW_NEXT,   /* goes on with the next instruction, also after a call */
    PATCH_FLOW_BRANCH, /* may go on elsewhere, to `relative` if that is not 0 bytes long */
    PATCH_FLOW_END,    /* never goes on: ret, jmp, ud2, hlt, iret */
};

struct patch_instruction {
    uint8_t length;
    uint8_t flow;            /* enum patch_flow */
    uint8_t relative_size;   /* bytes of a branch displacement at the instruction's end: 0, 1, 4 */
    uint8_t rip_relative;    /* offset of a disp32 that counts from the next instruction, or 0 */
    int32_t relative;        /* the branch displacement, from the next instruction */
    bool is_call, is_system; /* a call; syscall, sysenter, int, iret, hlt and their like */
};

/*
 * Decodes the instruction at bytes, of which available may be read. Returns its length, 0 when
 * it is not valid in 64-bit mode or not whole.
 */
unsigned int patch_decode(const uint8_t *bytes, size_t available, struct patch_instruction *ret_in);

/* Its length alone, for those who decode a great deal. */
unsigned int patch_length(const uint8_t *bytes, size_t available);
