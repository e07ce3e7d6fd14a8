/*
 * parse.c: numbers, sizes, durations and paths from the command line.
 */
#include "runtime/parse.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A decimal fraction without sign, exponent, hex or "inf": what people write before a unit. */
static int parse_decimal(const char *text, double *ret_value, const char **ret_rest)
{
    const char *p = text;
    double value = 0;
    double scale = 1;
    bool digits = false;
    for (; isdigit((unsigned char)*p); p++) {
        value = value * 10 + (*p - '0');
        digits = true;
    }
    if (*p == '.') {
        for (p++; isdigit((unsigned char)*p); p++) {
            scale /= 10;
            value += (*p - '0') * scale;
            digits = true;
        }
    }
    if (!digits) {
        return -EINVAL;
    }
    *ret_value = value;
    *ret_rest = p;
    return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes)
{
    double value;
    const char *rest;
    if (strcmp(text, "none") == 0) {
        *ret_bytes = UINT64_MAX;
        return 0;
    }
    if (parse_decimal(text, &value, &rest) != 0) {
        return -EINVAL;
    }
    static const char units[] = "KMGT";
    const char *unit = *rest != 0 ? strchr(units, toupper((unsigned char)*rest)) : NULL;
    if (unit != NULL) {
        for (const char *u = units; u <= unit; u++) {
            value *= 1024;
        }
        rest++;
        if (strcmp(rest, "iB") == 0) {
            rest += 2;
        }
    }
    if (*rest == 'B') {
        rest++;
    }
    if (*rest != 0 || !(value < 9e18) || (value > 0 && value < 1)) {
        return -EINVAL;
    }
    *ret_bytes = (uint64_t)value;
    return 0;
}

int parse_duration(const char *text, uint64_t *ret_ms)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"", 1e3}, {"s", 1e3}, {"ms", 1}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
    double value;
    const char *rest;
    if (parse_decimal(text, &value, &rest) != 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < array_size(units); i++) {
        if (strcmp(rest, units[i].name) == 0) {
            value *= units[i].ms;
            if (!(value >= 1) || value > 1e15) {
                return -EINVAL;
            }
            *ret_ms = (uint64_t)value;
            return 0;
        }
    }
    return -EINVAL;
}

int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
    if (!isdigit((unsigned char)text[0])) {
        return -EINVAL;
    }
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != 0 || value < min || value > max) {
        return -EINVAL;
    }
    *ret_value = value;
    return 0;
}

int parse_user(const char *text, uid_t *ret_uid, gid_t *ret_gid)
{
    auto_free char *copy = strdup(text);
    uint64_t uid;
    uint64_t gid;
    if (copy == NULL) {
        return -EINVAL;
    }
    char *colon = strchr(copy, ':');
    if (colon != NULL) {
        *colon = 0;
    }
    if (parse_number(copy, 0, UINT32_MAX - 1, &uid) != 0 ||
        parse_number(colon != NULL ? colon + 1 : copy, 0, UINT32_MAX - 1, &gid) != 0) {
        return -EINVAL;
    }
    *ret_uid = (uid_t)uid;
    *ret_gid = (gid_t)gid;
    return 0;
}

char *parse_guest_path(const char *text)
{
    if (text[0] != '/') {
        return NULL;
    }
    size_t length = strlen(text);
    char *out = malloc(length + 2);
    if (out == NULL) {
        return NULL;
    }
    size_t used = 0;
    const char *p = text;
    while (*p != 0) {
        while (*p == '/') {
            p++;
        }
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (used > 0 && out[--used] != '/') {
            }
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            out[used++] = '/';
            memcpy(out + used, p, n);
            used += n;
        }
        p += n;
    }
    if (used == 0) {
        out[used++] = '/';
    }
    out[used] = 0;
    return out;
}

bool path_is_within(const char *path, const char *ancestor)
{
    size_t n = strlen(ancestor);
    if (n == 1 && ancestor[0] == '/') {
        return true;
    }
    return strncmp(path, ancestor, n) == 0 && (path[n] == 0 || path[n] == '/');
}
