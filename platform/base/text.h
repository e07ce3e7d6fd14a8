/*
 * text.h: a growable text buffer, and the escaping of untrusted bytes.
 *
 * A failed allocation is remembered (text.failed) and further appends do nothing, so a writer
 * checks once at the end.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "platform/base/compiler.h"

struct text {
    char *data; /* NUL-terminated when length > 0; owned */
    size_t length;
    size_t capacity;
    bool failed;
};

#define TEXT_INIT ((struct text){0})

void text_fini(struct text *text);
void text_clear(struct text *text);
void text_append(struct text *text, const void *bytes, size_t length);
void text_puts(struct text *text, const char *string);
void text_putc(struct text *text, char c);
void text_printf(struct text *text, const char *format, ...) printf_like(2, 3);
void text_vprintf(struct text *text, const char *format, va_list args);
/* Appends bytes as the inside of a C string literal: \n \t \\ \" and \ooo for the rest. */
void text_append_escaped(struct text *text, const void *bytes, size_t length);
/* Appends bytes as the inside of a JSON string; bytes that are not UTF-8 become U+FFFD. */
void text_append_json(struct text *text, const char *bytes, size_t length);
/* "" when nothing was appended; never NULL. */
const char *text_string(const struct text *text);
/* The buffer, which the caller then frees; NULL when an allocation failed. */
char *text_steal(struct text *text);

#define auto_text __attribute__((cleanup(text_fini)))
