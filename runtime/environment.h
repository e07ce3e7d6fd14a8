/*
 * environment.h: the environment of the guest's first program.
 *
 * The host's environment often holds secrets, so only a few harmless variables are passed.
 */
#pragma once

#include "platform/base/compiler.h"
#include "runtime/options.h"

/* A NULL-terminated array; NULL when there is no memory. Lives as long as the process. */
char **environment_build(const struct run_options *options) must_check;
