/* io.h: reading and writing guest files from unit tests through sentry memory. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"

static inline ssize_t io_read(struct file *file, void *data, size_t length)
{
    struct uio uio;
    uio_init_kernel(&uio, data, length);
    return file_read(file, &uio, NULL, 0);
}

static inline ssize_t io_write(struct file *file, const void *data, size_t length)
{
    struct uio uio;
    uio_init_kernel(&uio, (void *)(uintptr_t)data, length);
    return file_write(file, &uio, NULL, 0);
}

static inline long io_ioctl(struct file *file, unsigned command, void *argument)
{
    return file_ioctl(file, command, (uint64_t)(uintptr_t)argument);
}

/* Reads at most 255 bytes and compares them with text. */
#define assert_reads(file, text)                                                                   \
    do {                                                                                           \
        char io_buffer_[256] = {0};                                                                \
        ssize_t io_count_ = io_read(file, io_buffer_, sizeof(io_buffer_) - 1);                     \
        assert_int_equal(io_count_, (ssize_t)strlen(text));                                        \
        assert_string_equal(io_buffer_, text);                                                     \
    } while (0)

#define assert_writes(file, text)                                                                  \
    assert_int_equal(io_write(file, text, strlen(text)), (ssize_t)strlen(text))
