/* elf_map.c: mapping the segments of a checked image. */
#include "sentry/loader/elf_map.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "sentry/mm/mm.h"
#include "sentry/vfs/file.h"

static int segment_prot(const Elf64_Phdr *segment)
{
    return (segment->p_flags & PF_R ? PROT_READ : 0) | (segment->p_flags & PF_W ? PROT_WRITE : 0) |
           (segment->p_flags & PF_X ? PROT_EXEC : 0);
}

static int map_file_part(struct mm *mm, struct file *file, const Elf64_Phdr *segment,
                         uint64_t start, int prot)
{
    uint64_t skew = segment->p_vaddr % PAGE_SIZE;
    struct mm_map_request request = {
        .addr = start,
        .length = segment->p_filesz + skew,
        .prot = prot,
        .flags = MAP_PRIVATE | MAP_FIXED,
        .backing = &file->backing,
        .offset = segment->p_offset - skew,
        .max_prot = PROT_READ | PROT_WRITE | PROT_EXEC,
    };
    int result =
        file_mmap(file, request.offset, request.length, prot, request.flags, &request.source);
    uint64_t addr;
    return result != 0 ? result : mm_map(mm, &request, &addr);
}

static int map_anonymous(struct mm *mm, uint64_t start, uint64_t end, int prot, unsigned flags)
{
    struct mm_map_request request = {.addr = start,
                                     .length = end - start,
                                     .prot = prot,
                                     .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                                     .area_flags = flags};
    uint64_t addr;
    return start >= end ? 0 : mm_map(mm, &request, &addr);
}

/* Zeroes from the end of the file part to the end of its page (Linux: padzero). */
static int clear_page_tail(struct mm *mm, uint64_t addr, int prot)
{
    static const char zeroes[PAGE_SIZE];
    uint64_t length = (PAGE_SIZE - addr % PAGE_SIZE) % PAGE_SIZE;
    if (length == 0) {
        return 0;
    }
    int result = mm_copy_out(mm, addr, zeroes, length);
    /* Linux: a failure matters only where the segment is writable. */
    return prot & PROT_WRITE ? result : 0;
}

static int map_segment(struct mm *mm, struct file *file, const Elf64_Phdr *segment, uint64_t bias)
{
    int prot = segment_prot(segment);
    uint64_t addr = segment->p_vaddr + bias;
    uint64_t start = addr & PAGE_MASK;
    uint64_t file_end = addr + segment->p_filesz;
    uint64_t memory_end = addr + segment->p_memsz;
    uint64_t mapped_end = start;
    if (segment->p_filesz > 0) {
        int result = map_file_part(mm, file, segment, start, prot);
        if (result != 0) {
            return result;
        }
        mapped_end = page_round_up(file_end);
    }
    if (memory_end > file_end) {
        int result = map_anonymous(mm, mapped_end, page_round_up(memory_end), prot, 0);
        if (result == 0 && segment->p_filesz > 0) {
            result = clear_page_tail(mm, file_end, prot);
        }
        return result;
    }
    return 0;
}

int elf_map(struct mm *mm, struct file *file, const struct elf_image *image, uint64_t bias,
            struct elf_placement *ret_placement)
{
    struct elf_placement placement = {.bias = bias};
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const Elf64_Phdr *segment = &image->segments[i];
        if (segment->p_type != PT_LOAD || segment->p_memsz == 0) {
            continue;
        }
        int result = map_segment(mm, file, segment, bias);
        if (result != 0) {
            return result;
        }
        uint64_t start = segment->p_vaddr + bias;
        uint64_t file_end = start + segment->p_filesz;
        if (image->header.e_phoff >= segment->p_offset &&
            image->header.e_phoff < segment->p_offset + segment->p_filesz) {
            placement.headers = image->header.e_phoff - segment->p_offset + start;
        }
        if (segment->p_flags & PF_X) {
            placement.start_code = placement.start_code ? placement.start_code : start;
            placement.end_code = max_of(placement.end_code, file_end);
        }
        if (segment->p_flags & PF_W) {
            placement.start_data = max_of(placement.start_data, start);
            placement.end_data = max_of(placement.end_data, file_end);
        }
        placement.end = max_of(placement.end, start + segment->p_memsz);
    }
    placement.entry = image->header.e_entry + bias;
    *ret_placement = placement;
    return 0;
}
