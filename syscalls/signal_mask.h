/* signal_mask.h: the signal mask that ppoll, pselect6 and epoll_pwait install for one call. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct task;

/* addr 0: no mask. EINVAL: size is not 8; EFAULT. */
int temporary_mask_begin(struct task *task, uint64_t addr, uint64_t size) must_check;
/* Puts the old mask back, unless the call was interrupted: then signal_deliver does, once the
 * handler was chosen under the temporary one. Does nothing when no mask was set. */
void temporary_mask_end(struct task *task, bool interrupted);
