/* signalfd.h: signals of the reading task as a file. Source: signalfd(2), Linux fs/signalfd.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct file;

/* mask: signals taken by reads (bit signo-1); SIGKILL and SIGSTOP are left out. flags: O_NONBLOCK.
 */
int signalfd_new(uint64_t mask, unsigned flags, struct file **ret_file) must_check;
bool file_is_signalfd(const struct file *file);
/* signalfd(2) on an existing descriptor: another mask. */
void signalfd_set_mask(struct file *file, uint64_t mask);
