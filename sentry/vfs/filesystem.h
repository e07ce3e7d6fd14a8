/*
 * filesystem.h: the kinds of file systems that mount(2) and fsopen(2) know by name. Boot registers
 * them; the table is fixed afterwards, so reading it takes no lock.
 */
#pragma once

#include <stddef.h>

#include "platform/base/compiler.h"

struct super;
struct text;

#define FILESYSTEMS_MAX 16

struct filesystem_type {
    const char *name; /* static */
    /* A new file system for the comma-separated options ("" for none): a reference. -EINVAL: an
     * option is not known or its value is wrong. */
    int (*mount)(const char *options, struct super **ret_super) must_check;
    /* Is one option ("key" or "key=value") good? NULL: none is. */
    int (*check)(const char *option) must_check;
    /* Changes the options of one that is mounted. NULL: it has none. */
    int (*reconfigure)(struct super *super, const char *options) must_check;
};

/* At boot; type is static. -ENOSPC: the table is full. */
int filesystem_register(const struct filesystem_type *type) must_check;
/* NULL: not known (ENODEV). */
const struct filesystem_type *filesystem_find(const char *name);
/* By number, from 0; NULL: no such one. */
const struct filesystem_type *filesystem_at(size_t index);
/* The lines of /proc/filesystems. */
void filesystem_show(struct text *text);
