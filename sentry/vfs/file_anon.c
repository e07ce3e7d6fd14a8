/*
 * file_anon.c: files without a place in any file system (pipes, sockets, eventfds …) and how files
 * are called in /proc. Linux: fs/anon_inodes.c, simple_dname.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

#include "platform/base/text.h"
#include "sentry/core/current.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"

#define ANON_MAGIC 0x09041934 /* ANON_INODE_FS_MAGIC */

static int anon_statfs(struct super *super, struct statfs *ret)
{
    (void)super;
    ret->f_bsize = 4096;
    return 0;
}

static void anon_super_free(struct super *super)
{
    (void)super; /* lives for ever */
}

static const struct super_ops anon_super_ops = {.statfs = anon_statfs, .free = anon_super_free};

static void anon_inode_free(struct inode *inode)
{
    inode_fini(inode);
    free(inode);
}

static int anon_setattr(struct inode *inode, const struct inode_attr *attr, unsigned set)
{
    if ((set & INODE_SET_SIZE) != 0) {
        return -EINVAL;
    }
    inode_apply_locked(inode, attr, set);
    return 0;
}

static const struct inode_ops anon_inode_ops = {.setattr = anon_setattr, .free = anon_inode_free};

static struct super anon_super;
static pthread_once_t anon_once = PTHREAD_ONCE_INIT;

static void anon_super_start(void)
{
    super_init(&anon_super, &anon_super_ops, "anon_inodefs", ANON_MAGIC);
}

int file_new_anon(const struct file_ops *ops, uint32_t inode_mode, unsigned mode, unsigned flags,
                  void *private_data, struct file **ret_file)
{
    pthread_once(&anon_once, anon_super_start);
    struct inode *inode = calloc(1, sizeof(*inode));
    if (!inode) {
        return -ENOMEM;
    }
    inode_init(inode, &anon_super, &anon_inode_ops, super_next_ino(&anon_super), inode_mode);
    int error = file_new(inode, NULL, ops, mode, flags, private_data, ret_file);
    inode_unref(inode);
    return error;
}

int file_describe(struct file *file, struct text *text)
{
    if (file->path.dentry) {
        struct path root = {NULL, NULL};
        if (current.fs) {
            fs_context_get_root(current.fs, &root);
        }
        int error = path_text(&file->path, current.fs ? &root : NULL, true, text);
        path_unref(&root);
        return error;
    }
    const char *name = file->ops && file->ops->anon_name ? file->ops->anon_name : "[anon]";
    if (name[0] == '[') {
        text_printf(text, "anon_inode:%s", name);
    } else {
        text_printf(text, "%s:[%llu]", name, (unsigned long long)file->inode->ino);
    }
    return text->failed ? -ENOMEM : 0;
}

int64_t file_seek_nothing(struct file *file, int64_t offset, int whence)
{
    (void)offset;
    (void)whence;
    return (int64_t)file->position;
}
