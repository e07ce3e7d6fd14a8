/* eventfd.h: event counters. Source: eventfd(2), Linux fs/eventfd.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct file;

/* flags: O_NONBLOCK. */
int eventfd_new(uint64_t initial, bool semaphore, unsigned flags,
                struct file **ret_file) must_check;
/* Adds one for the kernel itself, up to UINT64_MAX. file must be an eventfd. */
void eventfd_signal(struct file *file);
bool file_is_eventfd(const struct file *file);
