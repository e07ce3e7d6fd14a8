/*
 * patch_elf.h: which rest of a page an ELF file leaves unused behind its code.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * A mapping shows the pages [offset, offset + length) of a file whose first header_length bytes are
 * header (hostile; all program headers must be in it to be seen). Returns how many bytes at the
 * mapping's end nothing in the file's ELF headers gives a meaning to: less than a page; 0 unless
 * the mapping is exactly one executable segment.
 */
size_t patch_elf_tail(const uint8_t *header, size_t header_length, uint64_t offset,
                      uint64_t length);
