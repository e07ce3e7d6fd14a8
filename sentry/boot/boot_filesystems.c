/*
 * boot_filesystems.c: what a guest may mount: file systems that live in the sentry alone. Host
 * files come from the launcher's list only.
 */
#include <errno.h>

#include "sentry/boot/internal.h"
#include "sentry/fs/dev/tty.h"
#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/sys/sys.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/vfs/filesystem.h"
#include "sentry/vfs/inode.h"

static int mount_proc(const char *options, struct super **ret_super)
{
    return options[0] != '\0' ? -EINVAL : proc_new(ret_super);
}

/* Linux: sysfs has no options, and ignores what it is given. */
static int mount_sysfs(const char *options, struct super **ret_super)
{
    (void)options;
    return sys_new(ret_super);
}

/* Linux: all mounts of devtmpfs are the same one. */
static int mount_devtmpfs(const char *options, struct super **ret_super)
{
    (void)options;
    if (boot_devices() == NULL) {
        return -ENODEV;
    }
    *ret_super = super_ref(boot_devices());
    return 0;
}

/* DIFFERS: all instances of devpts show the same terminals, and its options are those of boot. */
static int mount_devpts(const char *options, struct super **ret_super)
{
    (void)options;
    return devpts_new(ret_super);
}

/* One set of queues for all: there is one IPC namespace. */
static int mount_mqueue(const char *options, struct super **ret_super)
{
    (void)options;
    return mqueue_new(ret_super);
}

static int ignore_option(const char *option)
{
    (void)option;
    return 0;
}

static const struct filesystem_type types[] = {
    {.name = "sysfs", .mount = mount_sysfs, .check = ignore_option},
    {.name = "tmpfs",
     .mount = tmpfs_mount,
     .check = tmpfs_check_option,
     .reconfigure = tmpfs_reconfigure},
    {.name = "proc", .mount = mount_proc},
    {.name = "devtmpfs", .mount = mount_devtmpfs, .check = ignore_option},
    {.name = "ramfs", .mount = ramfs_mount, .check = ignore_option},
    {.name = "devpts", .mount = mount_devpts, .check = ignore_option},
    {.name = "mqueue", .mount = mount_mqueue, .check = ignore_option},
};

int boot_filesystems(void)
{
    int result = 0;
    for (size_t i = 0; i < array_size(types) && result == 0; i++) {
        result = filesystem_register(&types[i]);
    }
    return result;
}
