/* confine.h: what the sentry gives up once it has booted. */
#pragma once

#include <stddef.h>

#include "platform/base/compiler.h"

struct platform_ops;

/* No new privileges; a filter that lets the process make only the host calls that it and its engine
 * need. */
int sentry_confine(const struct platform_ops *engine, char *text, size_t text_size) must_check;
/* Writes that filter to fd as struct sock_filter, for `stockade doctor`. */
int sentry_confine_export(const struct platform_ops *engine, int fd) must_check;
