/* confine.h: what the sentry gives up once it has booted. */
#pragma once

#include <stddef.h>

#include "platform/base/compiler.h"

/* No new privileges; a filter that lets the process make only the host calls it needs. */
int sentry_confine(char *text, size_t text_size) must_check;
