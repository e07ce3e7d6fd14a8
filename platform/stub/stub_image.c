/*
 * stub_image.c: the bytes of the stub's ELF image, built from platform/stub/image.
 */
#include "platform/stub/stub_image.h"

#include "platform/host/memory.h"

__asm__(".section .rodata\n"
        "stub_image_start:\n"
        ".incbin \"" STUB_IMAGE_PATH "\"\n"
        "stub_image_end:\n"
        ".previous\n");

extern const unsigned char stub_image_start[] __attribute__((visibility("hidden")));
extern const unsigned char stub_image_end[] __attribute__((visibility("hidden")));

const unsigned char *stub_image_bytes(size_t *ret_length)
{
    *ret_length = (size_t)(stub_image_end - stub_image_start);
    return stub_image_start;
}

int stub_image_create(void)
{
    return host_memfd_create_image("stockade-stub", stub_image_start,
                                   (size_t)(stub_image_end - stub_image_start));
}
