/* mount_attributes.h: MOUNT_ATTR_* of fsmount(2) and mount_setattr(2) as the flags of a mount. */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"

/* -EINVAL: unknown bits, or no such kind of atime. */
int mount_attributes_to_flags(uint64_t attributes, unsigned *ret_flags) must_check;
uint64_t mount_attributes_of(unsigned flags);
