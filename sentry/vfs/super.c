/* super.c: file system instances: device numbers, lifetime, statfs. */
#include <errno.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "sentry/vfs/dentry.h"
#include "sentry/vfs/inode.h"

static atomic_uint next_device = 20;

void super_init(struct super *super, const struct super_ops *ops, const char *type, uint64_t magic)
{
    refcount_init(&super->ref);
    super->ops = ops;
    super->type = type;
    super->dev = makedev(0, atomic_fetch_add(&next_device, 1));
    super->magic = magic;
    super->root = NULL;
    mutex_init(&super->rename_lock, RANK_RENAME);
    atomic_init(&super->next_ino, 2);
    super->cache_forever = false;
    super->has_flags = false;
    super->root_dentry = NULL;
    atomic_init(&super->mounts, 0);
    super->max_links = 0;
    super->max_size = INT64_MAX;
}

struct super *super_ref(struct super *super)
{
    refcount_get(&super->ref);
    return super;
}

struct super *super_unref(struct super *super)
{
    if (super && refcount_put(&super->ref)) {
        mutex_fini(&super->rename_lock);
        super->ops->free(super);
    }
    return NULL;
}

void super_drop(struct super *super)
{
    if (super) {
        struct inode *root = super->root;
        struct dentry *root_dentry = super->root_dentry;
        super->root = NULL;
        super->root_dentry = NULL;
        dentry_unref(root_dentry);
        inode_unref(root);
        super_unref(super);
    }
}

int super_statfs(struct super *super, struct statfs *ret)
{
    struct statfs result;
    memset(&result, 0, sizeof(result));
    int error = super->ops->statfs ? super->ops->statfs(super, &result) : -ENOSYS;
    if (error != 0) {
        return error;
    }
    result.f_type = (__typeof__(result.f_type))super->magic;
    result.f_fsid.__val[0] = (int)(super->dev & 0xffffffff);
    result.f_fsid.__val[1] = (int)(super->dev >> 32);
    if (result.f_namelen == 0) {
        result.f_namelen = 255;
    }
    if (result.f_frsize == 0) {
        result.f_frsize = result.f_bsize;
    }
    *ret = result;
    return 0;
}

int super_sync(struct super *super)
{
    return super->ops->sync ? super->ops->sync(super) : 0;
}

int super_refuse_write(struct inode *inode)
{
    if (inode && inode->super->ops->write_refused) {
        inode->super->ops->write_refused(inode);
    }
    return -EROFS;
}

void super_show_options(struct super *super, struct text *text)
{
    if (super->ops->show_options) {
        super->ops->show_options(super, text);
    }
}

uint64_t super_next_ino(struct super *super)
{
    return atomic_fetch_add_explicit(&super->next_ino, 1, memory_order_relaxed);
}
