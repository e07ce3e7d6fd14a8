/*
 * policy_locate.c: where in a JSON text a key or element stands, for error messages.
 *
 * The JSON library gives no positions once a text has parsed. This scan is only run on text that it
 * accepted, but stays inside the buffer for any bytes.
 */
#include <string.h>

#include "gofer/files/policy.h"

struct scan {
    const char *at, *end;
};

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && strchr(" \t\r\n", *scan->at) && *scan->at) {
        scan->at++;
    }
}

static bool skip_char(struct scan *scan, char c)
{
    skip_space(scan);
    if (scan->at < scan->end && *scan->at == c) {
        scan->at++;
        return true;
    }
    return false;
}

static bool skip_string(struct scan *scan)
{
    if (!skip_char(scan, '"')) {
        return false;
    }
    while (scan->at < scan->end && *scan->at != '"') {
        scan->at += *scan->at == '\\' && scan->end - scan->at > 1 ? 2 : 1;
    }
    if (scan->at >= scan->end) {
        return false;
    }
    scan->at++;
    return true;
}

/* Any value; brackets are counted, strings stepped over. */
static bool skip_value(struct scan *scan)
{
    unsigned depth = 0;
    do {
        skip_space(scan);
        if (scan->at >= scan->end) {
            return false;
        }
        char c = *scan->at;
        if (c == '"') {
            if (!skip_string(scan)) {
                return false;
            }
        } else if (c == '{' || c == '[') {
            depth++;
            scan->at++;
        } else if (c == '}' || c == ']') {
            if (depth == 0) {
                return false;
            }
            depth--;
            scan->at++;
        } else if (c == ',' || c == ':') {
            scan->at++;
        } else {
            while (scan->at < scan->end && !strchr(",:]}[{\" \t\r\n", *scan->at)) {
                scan->at++;
            }
            if (scan->at < scan->end && *scan->at == '\0') {
                return false;
            }
        }
    } while (depth > 0);
    return true;
}

/* Moves to the value of key; ret_key is where the key stands. Escaped keys are not found. */
static bool enter_key(struct scan *scan, const char *key, const char **ret_key)
{
    size_t length = strlen(key);
    if (!skip_char(scan, '{')) {
        return false;
    }
    for (;;) {
        skip_space(scan);
        const char *start = scan->at;
        if (!skip_string(scan)) {
            return false;
        }
        bool found =
            (size_t)(scan->at - start) == length + 2 && memcmp(start + 1, key, length) == 0;
        if (!skip_char(scan, ':')) {
            return false;
        }
        if (found) {
            skip_space(scan);
            *ret_key = start;
            return true;
        }
        if (!skip_value(scan) || !skip_char(scan, ',')) {
            return false;
        }
    }
}

static bool enter_index(struct scan *scan, size_t index)
{
    if (!skip_char(scan, '[')) {
        return false;
    }
    for (size_t i = 0; i < index; i++) {
        if (!skip_value(scan) || !skip_char(scan, ',')) {
            return false;
        }
    }
    skip_space(scan);
    return scan->at < scan->end;
}

bool policy_locate(const char *text, size_t length, const struct policy_locator *locator,
                   unsigned *ret_line, unsigned *ret_column)
{
    struct scan scan = {text, text + length};
    skip_space(&scan);
    const char *found = scan.at;
    for (unsigned i = 0; i < locator->depth; i++) {
        if (locator->keys[i]) {
            if (!enter_key(&scan, locator->keys[i], &found)) {
                return false;
            }
        } else {
            if (!enter_index(&scan, locator->indexes[i])) {
                return false;
            }
            found = scan.at;
        }
    }
    unsigned line = 1;
    unsigned column = 1;
    for (const char *p = text; p < found; p++) {
        if (*p == '\n') {
            line++;
            column = 1;
        } else {
            column++;
        }
    }
    *ret_line = line;
    *ret_column = column;
    return true;
}
