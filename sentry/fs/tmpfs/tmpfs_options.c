/*
 * tmpfs_options.c: tmpfs as mount(2) makes it: the options of tmpfs(5). Linux: mm/shmem.c
 * (shmem_parse_one, shmem_reconfigure), fs/ramfs/inode.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/fs/tmpfs/tmpfs_inode.h"
#include "sentry/kernel/kernel.h"

#define RAMFS_MAGIC_NUMBER 0x858458f6
#define OPTIONS_MAX        4096

struct parsed {
    struct tmpfs_options options;
    bool size_given, inodes_given;
};

/* A number with k, m, g, t or p (Linux: memparse); *rest is what follows. */
static bool parse_size(const char *text, uint64_t *ret, const char **ret_rest)
{
    static const char units[] = "kmgtp";
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (end == text || errno != 0 || text[0] == '-') {
        return false;
    }
    const char *unit = *end != '\0' ? strchr(units, *end | 0x20) : NULL;
    if (unit) {
        unsigned shift = 10 * (unsigned)(unit - units + 1);
        if (value > UINT64_MAX >> shift) {
            return false;
        }
        value <<= shift;
        end++;
    }
    *ret = value;
    *ret_rest = end;
    return true;
}

static bool parse_id(const char *text, int base, uint64_t most, uint32_t *ret)
{
    char *end;
    unsigned long long value = strtoull(text, &end, base);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > most) {
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

static bool parse_value(const char *key, const char *value, struct parsed *parsed)
{
    struct tmpfs_options *options = &parsed->options;
    uint64_t number = 0, total, available;
    const char *rest = "";
    if (strcmp(key, "size") == 0 && parse_size(value, &number, &rest)) {
        kernel_memory(&total, &available);
        if (*rest == '%') {
            number = total / 100 * min_of(number, (uint64_t)1000000);
            rest++;
        }
        options->max_bytes = number;
        parsed->size_given = true;
        return *rest == '\0' && number <= INT64_MAX;
    }
    if (strcmp(key, "nr_blocks") == 0 && parse_size(value, &number, &rest)) {
        options->max_bytes = number * TMPFS_PAGE;
        parsed->size_given = true;
        return *rest == '\0' && number <= INT64_MAX / TMPFS_PAGE;
    }
    if (strcmp(key, "nr_inodes") == 0 && parse_size(value, &number, &rest)) {
        options->max_inodes = number;
        parsed->inodes_given = true;
        return *rest == '\0';
    }
    if (strcmp(key, "mode") == 0) {
        bool good = parse_id(value, 8, UINT32_MAX, &options->mode);
        options->mode = (options->mode & 07777) | TMPFS_MODE_GIVEN;
        return good;
    }
    if (strcmp(key, "uid") == 0) {
        return parse_id(value, 10, UINT32_MAX - 1, &options->uid);
    }
    if (strcmp(key, "gid") == 0) {
        return parse_id(value, 10, UINT32_MAX - 1, &options->gid);
    }
    /* As a kernel without huge pages in tmpfs. */
    return strcmp(key, "huge") == 0 && strcmp(value, "never") == 0;
}

static bool parse_flag(const char *key)
{
    return strcmp(key, "inode32") == 0 || strcmp(key, "inode64") == 0 || strcmp(key, "noswap") == 0;
}

static int parse(const char *text, struct parsed *parsed)
{
    char copy[OPTIONS_MAX];
    char *state = NULL;
    size_t length = strlen(text);
    if (length >= sizeof(copy)) {
        return -EINVAL;
    }
    memcpy(copy, text, length + 1);
    for (char *word = strtok_r(copy, ",", &state); word; word = strtok_r(NULL, ",", &state)) {
        char *value = strchr(word, '=');
        if (value) {
            *value++ = '\0';
        }
        if (value ? !parse_value(word, value, parsed) : !parse_flag(word)) {
            return -EINVAL;
        }
    }
    return 0;
}

int tmpfs_mount(const char *options, struct super **ret_super)
{
    struct parsed parsed = {.options = {.uid = current.cred->fsuid, .gid = current.cred->fsgid}};
    int error = parse(options, &parsed);
    if (error != 0) {
        return error;
    }
    uint64_t total, available;
    kernel_memory(&total, &available);
    if (!parsed.size_given) {
        parsed.options.max_bytes = total / 2; /* Linux: shmem_default_max_blocks */
    }
    if (!parsed.inodes_given) {
        parsed.options.max_inodes = total / 2 / TMPFS_PAGE;
    }
    return tmpfs_new(&parsed.options, ret_super);
}

int tmpfs_check_option(const char *option)
{
    struct parsed parsed = {.options = {0}};
    return strchr(option, ',') ? -EINVAL : parse(option, &parsed);
}

int ramfs_mount(const char *text, struct super **ret_super)
{
    struct parsed parsed = {.options = {.type = "ramfs", .mode = 0755}};
    int error = parse(text, &parsed);
    /* Linux: ramfs knows a mode, and ignores what else it is given. */
    struct tmpfs_options options = {.type = "ramfs",
                                    .mode = error == 0 ? parsed.options.mode : 0755};
    error = tmpfs_new(&options, ret_super);
    if (error == 0) {
        (*ret_super)->magic = RAMFS_MAGIC_NUMBER;
    }
    return error;
}

int tmpfs_reconfigure(struct super *super, const char *options)
{
    struct tmpfs_super *ts = tmpfs_super(super);
    struct parsed parsed = {.options = {0}};
    int error = parse(options, &parsed);
    if (error != 0) {
        return error;
    }
    uint64_t pages = (parsed.options.max_bytes + TMPFS_PAGE - 1) / TMPFS_PAGE;
    bool unlimited = parsed.size_given && ts->max_pages == 0 && pages != 0;
    bool small = parsed.size_given && pages != 0 && pages < atomic_load(&ts->pages);
    bool few = parsed.inodes_given && parsed.options.max_inodes != 0 &&
               parsed.options.max_inodes < atomic_load(&ts->inodes);
    if (unlimited || small || few) {
        return -EINVAL;
    }
    if (parsed.size_given) {
        ts->max_pages = pages;
    }
    if (parsed.inodes_given) {
        ts->max_inodes = parsed.options.max_inodes;
    }
    return 0;
}
