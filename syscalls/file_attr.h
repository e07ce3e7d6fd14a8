/* file_attr.h: FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR. */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"

struct file;

/* -ENOTTY: the file has no such attributes. */
long file_attr_ioctl(struct file *file, unsigned command, uint64_t addr) must_check;
