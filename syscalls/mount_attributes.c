/* mount_attributes.c: see mount_attributes.h. Linux: fs/namespace.c (attr_flags_to_mnt_flags). */
#include "syscalls/mount_attributes.h"

#include <errno.h>
#include <linux/mount.h>

#include "sentry/vfs/mount.h"

static const struct {
    uint64_t attribute;
    unsigned flag;
} names[] = {
    {MOUNT_ATTR_RDONLY, MOUNT_READ_ONLY},       {MOUNT_ATTR_NOSUID, MOUNT_NO_SUID},
    {MOUNT_ATTR_NODEV, MOUNT_NO_DEV},           {MOUNT_ATTR_NOEXEC, MOUNT_NO_EXEC},
    {MOUNT_ATTR_NODIRATIME, MOUNT_NO_DIRATIME}, {MOUNT_ATTR_NOSYMFOLLOW, MOUNT_NO_SYMFOLLOW},
};

int mount_attributes_to_flags(uint64_t attributes, unsigned *ret_flags)
{
    unsigned flags = 0;
    uint64_t known = MOUNT_ATTR__ATIME;
    for (size_t i = 0; i < array_size(names); i++) {
        known |= names[i].attribute;
        flags |= (attributes & names[i].attribute) != 0 ? names[i].flag : 0;
    }
    if ((attributes & ~known) != 0) {
        return -EINVAL;
    }
    switch (attributes & MOUNT_ATTR__ATIME) {
    case MOUNT_ATTR_RELATIME:
        flags |= MOUNT_RELATIME;
        break;
    case MOUNT_ATTR_NOATIME:
        flags |= MOUNT_NO_ATIME;
        break;
    case MOUNT_ATTR_STRICTATIME:
        flags |= MOUNT_STRICT_ATIME;
        break;
    default:
        return -EINVAL;
    }
    *ret_flags = flags;
    return 0;
}

uint64_t mount_attributes_of(unsigned flags)
{
    uint64_t result = (flags & MOUNT_NO_ATIME) != 0       ? MOUNT_ATTR_NOATIME
                      : (flags & MOUNT_STRICT_ATIME) != 0 ? MOUNT_ATTR_STRICTATIME
                                                          : MOUNT_ATTR_RELATIME;
    for (size_t i = 0; i < array_size(names); i++) {
        result |= (flags & names[i].flag) != 0 ? names[i].attribute : 0;
    }
    return result;
}
