/* support.h: the list of system calls with their support level, from table.def. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "platform/base/compiler.h"

/* Writes the list as a table or as JSON. 0, -ENOMEM, or -EIO when the stream failed. */
int syscalls_print_support(FILE *stream, bool json) must_check;
