/* host_calls.h: `stockade doctor --host-calls`. */
#pragma once

#include <stdbool.h>

#include "platform/base/compiler.h"

/* Prints, for each kind of process and thread, which calls of the host it can make once it is
 * confined. False when a filter cannot be built, after an error message. */
bool host_calls_print(bool as_json) must_check;
