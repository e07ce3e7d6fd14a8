/* elf_map.h: where an ELF image ended up in memory. */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"
#include "sentry/loader/elf_image.h"

struct mm;
struct file;

struct elf_placement {
    uint64_t bias;    /* added to every p_vaddr */
    uint64_t headers; /* address of the program headers, 0 when no segment holds them */
    uint64_t entry;
    uint64_t start_code, end_code, start_data, end_data;
    uint64_t end; /* end of the highest segment: the break starts behind it */
};

int elf_map(struct mm *mm, struct file *file, const struct elf_image *image, uint64_t bias,
            struct elf_placement *ret_placement) must_check;
