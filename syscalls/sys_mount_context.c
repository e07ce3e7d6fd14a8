/*
 * sys_mount_context.c: fsopen, fsconfig, fsmount, fspick. Source: Linux fs/fsopen.c,
 * fs/namespace.c (fsmount), fs/fs_context.c.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/filesystem.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount.h"
#include "syscalls/lookup.h"
#include "syscalls/mount_attributes.h"
#include "syscalls/mount_context.h"
#include "syscalls/syscall.h"

#define NAME_MAX_TEXT   256
#define CMD_CREATE_EXCL 8

long sys_fsopen(struct task *task, const struct syscall_args *args)
{
    char name[PATH_MAX_LENGTH];
    unsigned flags = arg_uint(args, 1);
    struct file *file;
    if (!capable(CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    if ((flags & ~(unsigned)FSOPEN_CLOEXEC) != 0) {
        return -EINVAL;
    }
    int error = copy_in_path(arg_u64(args, 0), name);
    if (error < 0) {
        return error == -ENAMETOOLONG ? -EINVAL : error;
    }
    const struct filesystem_type *type = filesystem_find(name);
    if (!type) {
        return -ENODEV;
    }
    error = mount_context_new(type, NULL, &file);
    return error < 0 ? error : install_file(task, file, (flags & FSOPEN_CLOEXEC) != 0);
}

long sys_fspick(struct task *task, const struct syscall_args *args)
{
    unsigned flags = arg_uint(args, 2);
    auto_path struct path path = {0};
    auto_file struct file *anonymous = NULL;
    struct file *file;
    if (!capable(CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    if ((flags & ~(unsigned)(FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT |
                             FSPICK_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    unsigned at = (flags & FSPICK_SYMLINK_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0;
    at |= (flags & FSPICK_EMPTY_PATH) != 0 ? AT_EMPTY_PATH : 0;
    int error = lookup_object(task, arg_int(args, 0), arg_u64(args, 1), at, &path, &anonymous);
    if (error < 0) {
        return error;
    }
    if (!path.mount || path.dentry != path.mount->root) {
        return -EINVAL;
    }
    const struct filesystem_type *type = filesystem_find(path.mount->super->type);
    if (!type || path.mount->flags_locked) {
        return -EOPNOTSUPP; /* what the sandbox mounted has nothing to change */
    }
    error = mount_context_new(type, &path, &file);
    return error < 0 ? error : install_file(task, file, (flags & FSPICK_CLOEXEC) != 0);
}

/* --- fsconfig --- */

struct config_request {
    unsigned command;
    uint64_t key, value;
    int aux;
};

/* Which arguments a command takes. */
static int check_request(const struct config_request *request)
{
    bool key = request->key != 0, value = request->value != 0;
    int aux = request->aux;
    switch (request->command) {
    case FSCONFIG_SET_FLAG:
        return key && !value && aux == 0 ? 0 : -EINVAL;
    case FSCONFIG_SET_STRING:
        return key && value && aux == 0 ? 0 : -EINVAL;
    case FSCONFIG_SET_BINARY:
        return key && value && aux > 0 && aux <= 1024 * 1024 ? 0 : -EINVAL;
    case FSCONFIG_SET_PATH:
    case FSCONFIG_SET_PATH_EMPTY:
        return key && value && (aux == AT_FDCWD || aux >= 0) ? 0 : -EINVAL;
    case FSCONFIG_SET_FD:
        return key && !value && aux >= 0 ? 0 : -EINVAL;
    case FSCONFIG_CMD_CREATE:
    case FSCONFIG_CMD_RECONFIGURE:
    case CMD_CREATE_EXCL:
        return !key && !value && aux == 0 ? 0 : -EINVAL;
    default:
        return -EOPNOTSUPP;
    }
}

/* A string of up to 255 bytes (Linux: strndup_user). */
static int copy_in_text(uint64_t addr, char text[PATH_MAX_LENGTH])
{
    int error = copy_in_path(addr, text);
    return error == -ENAMETOOLONG || (error == 0 && strlen(text) >= NAME_MAX_TEXT) ? -EINVAL
                                                                                   : error;
}

static int set_source(struct mount_context *context, const char *value)
{
    if (context->source[0] != '\0') {
        return -EINVAL;
    }
    snprintf(context->source, sizeof(context->source), "%s", value);
    return 0;
}

/* One parameter; value NULL: a flag, or of a kind that only the general flags take. */
static int set_parameter(struct mount_context *context, const char *key, const char *value,
                         bool general_only)
{
    char option[2 * NAME_MAX_TEXT];
    if (context->phase != PHASE_PARAMETERS && context->phase != PHASE_RECONFIGURE) {
        return -EBUSY;
    }
    if (mount_options_take_flag(&context->options, key)) {
        return 0;
    }
    if (general_only) {
        return -EINVAL;
    }
    if (value && strcmp(key, "source") == 0) {
        return set_source(context, value);
    }
    snprintf(option, sizeof(option), "%s%s%s", key, value ? "=" : "", value ? value : "");
    int error = context->type->check ? context->type->check(option) : -EINVAL;
    return error < 0 ? error : mount_options_add(&context->options, key, value);
}

static int create(struct mount_context *context)
{
    if (context->phase != PHASE_PARAMETERS) {
        return -EBUSY;
    }
    if (!capable(CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    int error = context->type->mount(context->options.text, &context->super);
    context->phase = error == 0 ? PHASE_MOUNT : PHASE_DONE;
    return error;
}

/* The flags of a super are those of the mount that was picked. */
static int reconfigure(struct mount_context *context)
{
    struct mount *mount = context->picked.mount;
    if (context->phase != PHASE_RECONFIGURE) {
        return -EBUSY;
    }
    if (!capable(CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    if (context->options.text[0] != '\0') {
        int error = context->type->reconfigure
                        ? context->type->reconfigure(mount->super, context->options.text)
                        : -EINVAL;
        if (error < 0) {
            return error;
        }
    }
    unsigned flags = atomic_load(&mount->flags);
    flags = (flags | context->options.set_flags) & ~context->options.clear_flags;
    int error = mount_remount(&context->picked, flags);
    memset(&context->options, 0, sizeof(context->options));
    return error;
}

static int run_request(struct task *task, struct mount_context *context,
                       const struct config_request *request, const char *key, const char *value)
{
    bool close_on_exec;
    switch (request->command) {
    case FSCONFIG_SET_FLAG:
        return set_parameter(context, key, NULL, false);
    case FSCONFIG_SET_STRING:
        return set_parameter(context, key, value, false);
    case FSCONFIG_SET_FD: {
        auto_file struct file *file = fd_get(task->fds, request->aux, &close_on_exec);
        return file ? set_parameter(context, key, NULL, true) : -EBADF;
    }
    case FSCONFIG_CMD_CREATE:
    case CMD_CREATE_EXCL:
        return create(context);
    case FSCONFIG_CMD_RECONFIGURE:
        return reconfigure(context);
    default:
        return set_parameter(context, key, NULL, true);
    }
}

long sys_fsconfig(struct task *task, const struct syscall_args *args)
{
    char key[PATH_MAX_LENGTH] = "", value[PATH_MAX_LENGTH] = "";
    const struct config_request request = {.command = arg_uint(args, 1),
                                           .key = arg_u64(args, 2),
                                           .value = arg_u64(args, 3),
                                           .aux = arg_int(args, 4)};
    if (arg_int(args, 0) < 0) {
        return -EINVAL;
    }
    int error = check_request(&request);
    if (error < 0) {
        return error;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    struct mount_context *context = mount_context_of(file);
    if (!context) {
        return -EINVAL;
    }
    if (request.key != 0) {
        error = copy_in_text(request.key, key);
    }
    if (error == 0 && request.command == FSCONFIG_SET_STRING) {
        error = copy_in_text(request.value, value);
    }
    if (error < 0) {
        return error;
    }
    mutex_lock(&context->lock);
    error = run_request(task, context, &request, key, value);
    mutex_unlock(&context->lock);
    return error;
}

/* Makes the mount of a created context. */
static int make_mount(struct mount_context *context, unsigned flags, struct path *ret)
{
    if (context->phase == PHASE_PARAMETERS) {
        return -EINVAL;
    }
    if (context->phase != PHASE_MOUNT) {
        return -EBUSY;
    }
    flags = (flags | context->options.set_flags) & ~context->options.clear_flags;
    const char *source = context->source[0] != '\0' ? context->source : "none";
    int error = mount_new_detached(context->super, source, flags, ret);
    if (error == 0) {
        context->super = NULL;
        context->phase = PHASE_DONE;
    }
    return error;
}

long sys_fsmount(struct task *task, const struct syscall_args *args)
{
    unsigned flags = arg_uint(args, 1), mount_flags = 0;
    auto_path struct path path = {0};
    struct file *result;
    if (!capable(CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    if ((flags & ~(unsigned)FSMOUNT_CLOEXEC) != 0 ||
        mount_attributes_to_flags(arg_uint(args, 2), &mount_flags) < 0) {
        return -EINVAL;
    }
    auto_file struct file *file = arg_file(task, args, 0);
    if (!file) {
        return -EBADF;
    }
    struct mount_context *context = mount_context_of(file);
    if (!context) {
        return -EINVAL;
    }
    mutex_lock(&context->lock);
    int error = make_mount(context, mount_flags, &path);
    mutex_unlock(&context->lock);
    if (error == 0) {
        error = vfs_open_path(&path, O_PATH, &result);
    }
    return error < 0 ? error : install_file(task, result, (flags & FSMOUNT_CLOEXEC) != 0);
}
