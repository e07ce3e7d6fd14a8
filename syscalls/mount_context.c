/* mount_context.c: see mount_context.h. Linux: fs/fsopen.c. */
#include "syscalls/mount_context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"

/* Linux: the log of messages, one per read. There are none. */
static ssize_t context_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    (void)file;
    (void)uio;
    (void)offset;
    (void)flags;
    return -ENODATA;
}

static void context_release(struct file *file)
{
    struct mount_context *context = file->private_data;
    super_drop(context->super);
    path_unref(&context->picked);
    mutex_fini(&context->lock);
    free(context);
}

static const struct file_ops context_file_ops = {
    .read = context_read,
    .release = context_release,
    .anon_name = "[fscontext]",
};

int mount_context_new(const struct filesystem_type *type, struct path *picked,
                      struct file **ret_file)
{
    struct mount_context *context = calloc(1, sizeof(*context));
    if (!context) {
        return -ENOMEM;
    }
    context->type = type;
    context->phase = picked ? PHASE_RECONFIGURE : PHASE_PARAMETERS;
    mutex_init(&context->lock, RANK_EXEC);
    int error =
        file_new_anon(&context_file_ops, 0, FILE_READ | FILE_STREAM, O_RDWR, context, ret_file);
    if (error != 0) {
        mutex_fini(&context->lock);
        free(context);
        return error;
    }
    if (picked) {
        context->picked = *picked;
        *picked = (struct path){0};
    }
    return 0;
}

struct mount_context *mount_context_of(struct file *file)
{
    return file->ops == &context_file_ops ? file->private_data : NULL;
}
