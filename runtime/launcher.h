/*
 * launcher.h: one sandbox from start to end, seen from outside: its processes, limits and messages.
 */
#pragma once

#include "platform/base/compiler.h"
#include "runtime/options.h"
#include "runtime/report.h"
#include "runtime/view.h"

/*
 * Runs the sandbox and returns when every process of it is gone. The outcome, also a failure of
 * stockade itself, stands in the report; error lines have been printed.
 */
void launcher_run(const struct run_options *options, struct view *view, struct report *report);
