/*
 * parse.h: values of command-line options.
 *
 * Every function returns 0, or -EINVAL and leaves the result untouched; the caller words the error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

/* "512", "64K", "1.5G" (powers of 1024; K, M, G, T, optionally followed by B or iB), or "none",
 * which gives UINT64_MAX. In bytes. */
int parse_size(const char *text, uint64_t *ret_bytes) must_check;
/* "5", "5s", "250ms", "1.5m", "2h"; above 0. In milliseconds. */
int parse_duration(const char *text, uint64_t *ret_ms) must_check;
/* A decimal number within [min, max]. */
int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value) must_check;
/* "UID" or "UID:GID"; without GID the group gets the number of the user. */
int parse_user(const char *text, uid_t *ret_uid, gid_t *ret_gid) must_check;
/* A copy of an absolute path without ".", empty and ".." components and without a final slash; NULL
 * when the path is not absolute, or there is no memory. The caller frees it. */
char *parse_guest_path(const char *text) must_check;
/* True when path equals ancestor or lies below it. Both normalised. */
bool path_is_within(const char *path, const char *ancestor);
