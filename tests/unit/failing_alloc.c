/*
 * failing_alloc.c: see failing_alloc.h.
 */
#include "tests/unit/failing_alloc.h"

#include <stddef.h>

long alloc_countdown = -1;
bool alloc_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
char *__wrap_strdup(const char *text);

static bool must_fail(void)
{
    if (alloc_countdown < 0) {
        return false;
    }
    if (alloc_countdown-- == 0) {
        alloc_failed = true;
        return true;
    }
    return false;
}

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
    return must_fail() ? NULL : __real_realloc(pointer, size);
}

char *__wrap_strdup(const char *text)
{
    return must_fail() ? NULL : __real_strdup(text);
}
