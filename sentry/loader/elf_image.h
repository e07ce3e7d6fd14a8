/* elf_image.h: the checked headers of an ELF file. */
#pragma once

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct file;

#define ELF_SEGMENTS_MAX 128

struct elf_image {
    Elf64_Ehdr header;
    Elf64_Phdr segments[ELF_SEGMENTS_MAX];
    uint32_t segment_count;
    char interpreter[4096]; /* "" when static */
    bool position_independent;
    bool executable_stack;
    uint64_t low, high; /* page-aligned extent of the PT_LOAD segments */
};

/* Parses the first bytes (head) and reads program headers and PT_INTERP from file. -ENOEXEC for
 * what is not an x86-64 executable; every range is checked for overflow. */
int elf_image_read(struct file *file, const void *head, size_t head_length,
                   struct elf_image **ret_image) must_check;
/* The checks alone, on headers already in memory; for elf_image_read and the fuzz target. */
int elf_image_check(struct elf_image *image) must_check;
/* Reads exactly length bytes of a file at offset; -EIO or -ENOEXEC when it is shorter. */
int elf_read_exact(struct file *file, void *buffer, size_t length, uint64_t offset) must_check;
