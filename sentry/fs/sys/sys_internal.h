/*
 * sys_internal.h: rows of /sys. A row names a file (show) or a directory (children, or each for one
 * directory per number).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/base/text.h"

struct sys_entry {
    const char *name;
    /* Appends the contents; number is that of the nearest numbered directory, above it in
     * steps of eight bits those of the outer ones. */
    void (*show)(uint32_t number, struct text *out);
    const struct sys_entry *children; /* ends with a row without name */
    const char *target;               /* a symbolic link */
    bool (*present)(uint32_t number); /* NULL: always */
    uint32_t (*count)(void);          /* NULL: one; else name is a prefix: cpu0, cpu1 … */
};

extern const struct sys_entry sys_root;
extern const struct sys_entry sys_block_rows[]; /* sys_block.c: /sys/block */
