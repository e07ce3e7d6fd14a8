/*
 * loop.h: block devices over files: /dev/loop0 to /dev/loop7 and /dev/loop-control. Source:
 * loop(4), Linux drivers/block/loop.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct file;
struct text;

#define LOOP_MAJOR_NUMBER  7
#define LOOP_CONTROL_MINOR 237 /* of the misc devices, major 10 */
#define LOOP_COUNT         8

/* What /sys/block tells of a device. */
struct loop_status {
    uint64_t capacity, offset, size_limit;
    unsigned block_size;
    bool bound, read_only, auto_clear, scans, direct;
};
struct loop_status loop_get_status(unsigned minor);
/* The path of the file below, as the caller sees it; nothing when there is none. */
void loop_show_file(unsigned minor, struct text *text);

/* At boot. */
void loop_init(void);
/* Opens device minor; ENXIO. */
int loop_open(struct file *file, unsigned minor) must_check;
/* Opens /dev/loop-control. */
int loop_open_control(struct file *file) must_check;
