/*
 * terminal.h: the host terminal in raw mode while a sandbox uses it.
 *
 * One per process. terminal_restore is safe in a signal handler and may be called at any time; it
 * is also run at exit and when the process dies of a fatal signal.
 */
#pragma once

#include <stdbool.h>
#include <sys/ioctl.h>

#include "platform/base/compiler.h"

/* True when standard input and output are a terminal of which we are the foreground job. */
bool terminal_usable(void);
/* Switches standard input to raw mode and remembers how it was. */
int terminal_enter_raw(void) must_check;
void terminal_restore(void);
/* The terminal's present size; 24x80 when unknown. */
void terminal_size(struct winsize *ret_window);
