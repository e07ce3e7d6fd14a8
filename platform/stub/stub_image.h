/*
 * stub_image.h: the stub's program image.
 */
#pragma once

#include <stddef.h>

#include "platform/base/compiler.h"

/* The ELF image as built in; for good. */
const unsigned char *stub_image_bytes(size_t *ret_length);
/* A sealed memfd with the image, close-on-exec; the caller owns it. Negative errno on failure. */
int stub_image_create(void) must_check;
