/*
 * stub_reach.h: which host calls the threads of a stub can make, read from the filters themselves.
 */
#pragma once

#include "platform/host/bpf_reach.h"

/* What the service thread can call, at the stub's own instructions or anywhere else. -ENOMEM, or
 * -EINVAL when a filter cannot be read. */
int stub_reach_service(uint32_t foreign_action, struct host_call_set *ret_set) must_check;
/* What a guest thread with a filter of its own can. */
int stub_reach_guest(uint32_t foreign_action, struct host_call_set *ret_set) must_check;
