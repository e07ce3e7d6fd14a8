/* elf_image.c: reading and checking ELF headers. All numbers are hostile. */
#include "sentry/loader/elf_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"

int elf_read_exact(struct file *file, void *buffer, size_t length, uint64_t offset)
{
    struct uio uio;
    uio_init_kernel(&uio, buffer, length);
    while (uio.left > 0) {
        uint64_t pos = offset + (length - uio.left);
        ssize_t got = file_read(file, &uio, &pos, 0);
        if (got < 0) {
            return (int)got;
        }
        if (got == 0) {
            return -ENOEXEC;
        }
    }
    return 0;
}

static int check_header(const Elf64_Ehdr *header)
{
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_machine != EM_X86_64 ||
        (header->e_type != ET_EXEC && header->e_type != ET_DYN)) {
        return -ENOEXEC;
    }
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0) {
        return -ENOEXEC;
    }
    if (header->e_phnum > ELF_SEGMENTS_MAX) {
        return -ENOEXEC;
    }
    return 0;
}

static int check_load_segment(struct elf_image *image, const Elf64_Phdr *segment, uint64_t *last)
{
    uint64_t end;
    uint64_t file_end;
    if (segment->p_filesz > segment->p_memsz || segment->p_memsz > PLATFORM_GUEST_MAX ||
        __builtin_add_overflow(segment->p_vaddr, segment->p_memsz, &end) ||
        __builtin_add_overflow(segment->p_offset, segment->p_filesz, &file_end) ||
        end > PLATFORM_GUEST_MAX || file_end > INT64_MAX) {
        return -ENOEXEC;
    }
    if (segment->p_memsz == 0) {
        return 0;
    }
    if ((segment->p_vaddr - segment->p_offset) % PAGE_SIZE != 0) {
        return -ENOEXEC;
    }
    if (segment->p_vaddr < *last) {
        return -ENOEXEC; /* segments must ascend and not overlap */
    }
    *last = end;
    image->low = min_of(image->low, segment->p_vaddr & PAGE_MASK);
    image->high = max_of(image->high, page_round_up(end));
    return 0;
}

int elf_image_check(struct elf_image *image)
{
    uint64_t last = 0;
    bool has_stack = false;
    image->low = UINT64_MAX;
    image->high = 0;
    image->position_independent = image->header.e_type == ET_DYN;
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const Elf64_Phdr *segment = &image->segments[i];
        if (segment->p_type == PT_LOAD) {
            int result = check_load_segment(image, segment, &last);
            if (result != 0) {
                return result;
            }
        } else if (segment->p_type == PT_GNU_STACK) {
            has_stack = true;
            image->executable_stack = segment->p_flags & PF_X;
        }
    }
    if (image->high == 0) {
        return -ENOEXEC;
    }
    if (!has_stack) {
        image->executable_stack = false; /* Linux x86-64: no header means a plain stack */
    }
    if (!image->position_independent && image->low < PLATFORM_GUEST_MIN) {
        return -ENOEXEC;
    }
    return 0;
}

static int read_interpreter(struct file *file, struct elf_image *image)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const Elf64_Phdr *segment = &image->segments[i];
        if (segment->p_type != PT_INTERP) {
            continue;
        }
        if (segment->p_filesz < 2 || segment->p_filesz > sizeof(image->interpreter)) {
            return -ENOEXEC;
        }
        int result = elf_read_exact(file, image->interpreter, segment->p_filesz, segment->p_offset);
        if (result != 0) {
            return result;
        }
        if (image->interpreter[segment->p_filesz - 1] != '\0') {
            return -ENOEXEC;
        }
        return 0;
    }
    return 0;
}

int elf_image_read(struct file *file, const void *head, size_t head_length,
                   struct elf_image **ret_image)
{
    if (head_length < sizeof(Elf64_Ehdr)) {
        return -ENOEXEC;
    }
    auto_free struct elf_image *image = calloc(1, sizeof(*image));
    if (!image) {
        return -ENOMEM;
    }
    memcpy(&image->header, head, sizeof(image->header));
    int result = check_header(&image->header);
    if (result != 0) {
        return result;
    }
    image->segment_count = image->header.e_phnum;
    if (image->header.e_phoff > INT64_MAX / 2) {
        return -ENOEXEC;
    }
    result = elf_read_exact(file, image->segments, image->segment_count * sizeof(Elf64_Phdr),
                            image->header.e_phoff);
    if (result == 0) {
        result = elf_image_check(image);
    }
    if (result == 0) {
        result = read_interpreter(file, image);
    }
    if (result != 0) {
        return result;
    }
    *ret_image = image;
    image = NULL;
    return 0;
}
