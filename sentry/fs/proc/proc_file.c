/*
 * proc_file.c: open text files. The contents are made when reading starts at 0 and kept until it
 * starts there again, so that a reader sees one consistent text (Linux: seq_file).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/proc/internal.h"
#include "sentry/mm/uio.h"

#define WRITE_MAX 4095

struct proc_text {
    struct mutex lock; /* RANK_OBJECT */
    char *data;        /* under lock; owned */
    size_t length;
    atomic_bool valid; /* read without the lock */
};

static int make_text(struct proc_node *node, struct proc_text *state)
{
    auto_text struct text out = TEXT_INIT;
    int result = node->entry->show(node, &out);
    if (result == 0 && out.failed) {
        result = -ENOMEM;
    }
    if (result < 0) {
        return result;
    }
    size_t length = out.length;
    char *data = length > 0 ? text_steal(&out) : NULL;
    mutex_lock(&state->lock);
    char *old = state->data;
    state->data = data;
    state->length = length;
    state->valid = true;
    mutex_unlock(&state->lock);
    free(old);
    return 0;
}

static ssize_t proc_text_read(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    struct proc_node *node = proc_node_of(file->inode);
    struct proc_text *state = file->private_data;
    (void)flags;
    if (node->entry->show == NULL) {
        return -EINVAL;
    }
    if ((offset == 0 || !state->valid) && (node->entry->flags & PROC_AT_OPEN) == 0) {
        int result = make_text(node, state);
        if (result < 0) {
            return result;
        }
    }
    ssize_t count = 0;
    mutex_lock(&state->lock);
    if (offset < state->length) {
        count = uio_put(uio, state->data + offset, min_of(state->length - offset, uio->left));
    }
    mutex_unlock(&state->lock);
    return count;
}

static ssize_t proc_text_write(struct file *file, struct uio *uio, uint64_t offset, int flags)
{
    struct proc_node *node = proc_node_of(file->inode);
    char data[WRITE_MAX + 1];
    (void)offset;
    (void)flags;
    if (node->entry->write == NULL) {
        return -EIO;
    }
    if (uio->left > WRITE_MAX) {
        return -EINVAL;
    }
    ssize_t count = uio_get(uio, data, uio->left);
    if (count < 0) {
        return count;
    }
    data[count] = 0;
    int result = node->entry->write(node, data, (size_t)count);
    return result < 0 ? result : count;
}

static void proc_text_release(struct file *file)
{
    struct proc_text *state = file->private_data;
    if (state != NULL) {
        mutex_fini(&state->lock);
        free(state->data);
        free(state);
    }
}

const struct file_ops proc_text_ops = {
    .read = proc_text_read,
    .write = proc_text_write,
    .release = proc_text_release,
};

int proc_text_open(struct file *file)
{
    struct proc_node *node = proc_node_of(file->inode);
    struct proc_text *state = calloc(1, sizeof(*state));
    if (state == NULL) {
        return -ENOMEM;
    }
    mutex_init(&state->lock, RANK_OBJECT);
    int result = (node->entry->flags & PROC_AT_OPEN) != 0 ? make_text(node, state) : 0;
    if (result < 0) {
        mutex_fini(&state->lock);
        free(state);
        return result;
    }
    file->private_data = state;
    file->ops = &proc_text_ops;
    return 0;
}
