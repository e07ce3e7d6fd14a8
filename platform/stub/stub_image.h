/*
 * stub_image.h: the stub's program image.
 */
#pragma once

#include "platform/base/compiler.h"

/* A sealed memfd with the image, close-on-exec; the caller owns it. Negative errno on failure. */
int stub_image_create(void) must_check;
