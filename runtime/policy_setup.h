/* policy_setup.h: the policy of a run, from built-in rules, --policy and --hide. */
#pragma once

#include "gofer/files/policy.h"
#include "platform/base/compiler.h"
#include "runtime/options.h"
#include "runtime/report.h"

/* 0, or negative errno after the error was reported; the caller frees the policy. */
int policy_setup(const struct run_options *options, struct report *report,
                 struct policy **ret_policy) must_check;
