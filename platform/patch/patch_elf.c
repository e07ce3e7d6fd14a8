/*
 * patch_elf.c: reads ELF program headers, trusting none of them.
 */
#include "platform/patch/patch_elf.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>

enum { SEGMENTS_MAX = 256 };

#define PAGE     4096ULL
#define SANE_MAX (1ULL << 48) /* no sum of two such numbers overflows */

static uint64_t page_down(uint64_t value)
{
    return value & ~(PAGE - 1);
}

static uint64_t page_up(uint64_t value)
{
    return page_down(value + PAGE - 1);
}

/* The number of readable program headers, 0 for anything that is not a 64-bit x86 ELF file. */
static int segment_count(const uint8_t *header, size_t header_length, uint64_t *ret_offset)
{
    Elf64_Ehdr elf;
    if (header_length < sizeof(elf)) {
        return 0;
    }
    memcpy(&elf, header, sizeof(elf));
    if (memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_ident[EI_CLASS] != ELFCLASS64 ||
        elf.e_ident[EI_DATA] != ELFDATA2LSB || elf.e_machine != EM_X86_64 ||
        elf.e_phentsize != sizeof(Elf64_Phdr) || elf.e_phnum > SEGMENTS_MAX ||
        elf.e_phoff > header_length ||
        header_length - elf.e_phoff < elf.e_phnum * sizeof(Elf64_Phdr)) {
        return 0;
    }
    *ret_offset = elf.e_phoff;
    return elf.e_phnum;
}

static bool is_text_of(const Elf64_Phdr *segment, uint64_t offset, uint64_t length)
{
    return segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0 &&
           (segment->p_flags & PF_W) == 0 && segment->p_filesz == segment->p_memsz &&
           segment->p_offset < SANE_MAX && segment->p_filesz < SANE_MAX &&
           segment->p_vaddr < SANE_MAX && (segment->p_vaddr - segment->p_offset) % PAGE == 0 &&
           page_down(segment->p_offset) == offset &&
           page_up(segment->p_offset + segment->p_filesz) == offset + length;
}

size_t patch_elf_tail(const uint8_t *header, size_t header_length, uint64_t offset, uint64_t length)
{
    Elf64_Phdr text = {0}, segment;
    uint64_t table = 0;
    int found = -1;
    int count = segment_count(header, header_length, &table);

    if (offset >= SANE_MAX || length >= SANE_MAX) {
        return 0;
    }
    for (int i = 0; i < count; i++) {
        memcpy(&segment, header + table + (size_t)i * sizeof(segment), sizeof(segment));
        if (is_text_of(&segment, offset, length)) {
            if (found >= 0) {
                return 0;
            }
            found = i;
            text = segment;
        }
    }
    if (found < 0) {
        return 0;
    }
    uint64_t start = text.p_vaddr + text.p_filesz;
    uint64_t end = page_up(start);
    for (int i = 0; i < count; i++) {
        memcpy(&segment, header + table + (size_t)i * sizeof(segment), sizeof(segment));
        if (i == found || segment.p_memsz == 0) {
            continue;
        }
        bool mapped = segment.p_type == PT_LOAD;
        if (segment.p_vaddr >= SANE_MAX || segment.p_memsz >= SANE_MAX) {
            if (mapped) {
                return 0;
            }
            continue;
        }
        uint64_t low = mapped ? page_down(segment.p_vaddr) : segment.p_vaddr;
        if (low < end && segment.p_vaddr + segment.p_memsz > start) {
            return 0;
        }
    }
    return (size_t)(end - start);
}
