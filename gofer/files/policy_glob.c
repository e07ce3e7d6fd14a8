/*
 * policy_glob.c: shell patterns within one path component.
 *
 * Work is bounded by length of glob times length of name: only the last '*' is backtracked to.
 */
#include <string.h>

#include "gofer/files/policy.h"

/* The ']' that closes the bracket expression whose first character is at set; NULL: none. */
static const char *bracket_end(const char *set)
{
    if (*set == '!' || *set == '^') {
        set++;
    }
    if (*set == ']') {
        set++;
    }
    while (*set && *set != ']') {
        if (*set == '\\' && set[1]) {
            set++;
        }
        set++;
    }
    return *set == ']' ? set : NULL;
}

static bool bracket_match(const char *set, const char *end, unsigned char c)
{
    bool negated = *set == '!' || *set == '^';
    bool found = false;
    if (negated) {
        set++;
    }
    while (set < end) {
        if (*set == '\\' && set + 1 < end) {
            set++;
        }
        unsigned char low = (unsigned char)*set++;
        unsigned char high = low;
        if (set + 1 < end && *set == '-') {
            set++;
            if (*set == '\\' && set + 1 < end) {
                set++;
            }
            high = (unsigned char)*set++;
        }
        if (c >= low && c <= high) {
            found = true;
        }
    }
    return found != negated;
}

/* One glob item other than '*' against c. Returns the item's length, 0 for no match. */
static size_t item_match(const char *glob, unsigned char c)
{
    switch (*glob) {
    case '\0':
        return 0;
    case '?':
        return 1;
    case '[': {
        const char *end = bracket_end(glob + 1);
        if (!end) {
            return c == '[';
        }
        return bracket_match(glob + 1, end, c) ? (size_t)(end - glob) + 1 : 0;
    }
    case '\\':
        if (glob[1]) {
            return (unsigned char)glob[1] == c ? 2 : 0;
        }
        return c == '\\';
    default:
        return (unsigned char)*glob == c;
    }
}

bool policy_glob_match(const char *glob, const char *name, size_t length)
{
    const char *star = NULL; /* after the last '*' */
    size_t star_at = 0;      /* where the name goes on when that '*' takes one more byte */
    size_t at = 0;
    while (at < length) {
        if (*glob == '*') {
            star = ++glob;
            star_at = at;
            continue;
        }
        size_t item = item_match(glob, (unsigned char)name[at]);
        if (item) {
            glob += item;
            at++;
        } else if (star) {
            glob = star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (*glob == '*') {
        glob++;
    }
    return *glob == '\0';
}

bool policy_glob_valid(const char *glob)
{
    while (*glob) {
        if (*glob == '\\') {
            if (!glob[1]) {
                return false;
            }
            glob += 2;
        } else if (*glob == '[') {
            const char *end = bracket_end(glob + 1);
            if (!end) {
                return false;
            }
            glob = end + 1;
        } else {
            glob++;
        }
    }
    return true;
}
