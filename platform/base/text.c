/* text.c: growable text buffer. */
#include "platform/base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_fini(struct text *text)
{
    free(text->data);
    *text = TEXT_INIT;
}

void text_clear(struct text *text)
{
    text->length = 0;
    if (text->data) {
        text->data[0] = '\0';
    }
}

static bool text_reserve(struct text *text, size_t extra)
{
    if (text->failed || extra > SIZE_MAX / 2 - text->length) {
        text->failed = true;
        return false;
    }
    size_t need = text->length + extra + 1;
    if (need <= text->capacity) {
        return true;
    }
    size_t capacity = max_of(text->capacity * 2, max_of(need, (size_t)64));
    char *data = realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void text_append(struct text *text, const void *bytes, size_t length)
{
    if (!text_reserve(text, length)) {
        return;
    }
    if (length > 0) {
        memcpy(text->data + text->length, bytes, length);
    }
    text->length += length;
    text->data[text->length] = '\0';
}

void text_puts(struct text *text, const char *string)
{
    text_append(text, string, strlen(string));
}

void text_putc(struct text *text, char c)
{
    text_append(text, &c, 1);
}

void text_vprintf(struct text *text, const char *format, va_list args)
{
    va_list copy;
    va_copy(copy, args);
    int length = vsnprintf(NULL, 0, format, copy);
    va_end(copy);
    if (length < 0 || !text_reserve(text, (size_t)length)) {
        text->failed = true;
        return;
    }
    vsnprintf(text->data + text->length, (size_t)length + 1, format, args);
    text->length += (size_t)length;
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vprintf(text, format, args);
    va_end(args);
}

void text_append_escaped(struct text *text, const void *bytes, size_t length)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < length; i++) {
        switch (p[i]) {
        case '\n':
            text_puts(text, "\\n");
            break;
        case '\t':
            text_puts(text, "\\t");
            break;
        case '\r':
            text_puts(text, "\\r");
            break;
        case '"':
            text_puts(text, "\\\"");
            break;
        case '\\':
            text_puts(text, "\\\\");
            break;
        default:
            if (p[i] >= 0x20 && p[i] < 0x7f) {
                text_putc(text, (char)p[i]);
            } else {
                text_printf(text, "\\%03o", p[i]);
            }
        }
    }
}

/* Length of the valid UTF-8 sequence at p (RFC 3629), or 0. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80) {
        return 1;
    }
    size_t need;
    uint32_t code;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        need = 2;
        code = p[0] & 0x1fU;
    } else if ((p[0] & 0xf0) == 0xe0) {
        need = 3;
        code = p[0] & 0x0fU;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        need = 4;
        code = p[0] & 0x07U;
    } else {
        return 0;
    }
    if (left < need) {
        return 0;
    }
    for (size_t i = 1; i < need; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3fU);
    }
    if ((need == 3 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff))) ||
        (need == 4 && (code < 0x10000 || code > 0x10ffff))) {
        return 0;
    }
    return need;
}

void text_append_json(struct text *text, const char *bytes, size_t length)
{
    const unsigned char *p = (const unsigned char *)bytes;
    for (size_t i = 0; i < length;) {
        if (p[i] == '"' || p[i] == '\\') {
            text_putc(text, '\\');
            text_putc(text, (char)p[i++]);
        } else if (p[i] < 0x20 || p[i] == 0x7f) {
            text_printf(text, "\\u%04x", p[i++]);
        } else {
            size_t n = utf8_length(p + i, length - i);
            if (n == 0) {
                text_puts(text, "\\ufffd");
                i++;
            } else {
                text_append(text, p + i, n);
                i += n;
            }
        }
    }
}

const char *text_string(const struct text *text)
{
    return text->data && text->length > 0 ? text->data : "";
}

char *text_steal(struct text *text)
{
    if (text->failed || !text_reserve(text, 0)) {
        text_fini(text);
        return NULL;
    }
    text->data[text->length] = '\0';
    char *data = text->data;
    *text = TEXT_INIT;
    return data;
}
