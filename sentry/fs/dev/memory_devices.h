/* memory_devices.h: /dev/null, zero, full, random, urandom. Source: null(4), full(4), random(4). */
#pragma once

struct file_ops;

extern const struct file_ops null_file_ops, zero_file_ops, full_file_ops, random_file_ops;
