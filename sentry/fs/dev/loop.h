/*
 * loop.h: block devices over files: /dev/loop0 to /dev/loop7 and /dev/loop-control. Source:
 * loop(4), Linux drivers/block/loop.c.
 */
#pragma once

#include "platform/base/compiler.h"

struct file;

#define LOOP_MAJOR_NUMBER  7
#define LOOP_CONTROL_MINOR 237 /* of the misc devices, major 10 */
#define LOOP_COUNT         8

/* At boot. */
void loop_init(void);
/* Opens device minor; ENXIO. */
int loop_open(struct file *file, unsigned minor) must_check;
/* Opens /dev/loop-control. */
int loop_open_control(struct file *file) must_check;
