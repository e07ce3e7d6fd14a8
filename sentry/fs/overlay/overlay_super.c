/*
 * overlay_super.c: an overlay instance.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

#include "platform/base/text.h"
#include "sentry/fs/overlay/internal.h"

static struct overlay_super *super_of(struct super *super)
{
    return container_of(super, struct overlay_super, super);
}

static int overlay_statfs(struct super *super, struct statfs *ret)
{
    return super_statfs(super_of(super)->upper, ret);
}

static void overlay_super_free(struct super *super)
{
    struct overlay_super *overlay = super_of(super);
    super_drop(overlay->lower);
    super_drop(overlay->upper);
    mutex_fini(&overlay->tree_lock);
    free(overlay);
}

static void overlay_show_options(struct super *super, struct text *text)
{
    (void)super;
    text_puts(text, ",lowerdir=/,upperdir=/upper,workdir=/work");
}

static const struct super_ops overlay_super_ops = {
    .statfs = overlay_statfs,
    .free = overlay_super_free,
    .show_options = overlay_show_options,
};

int overlay_new(struct super *lower, struct super *upper, const struct overlay_options *options,
                struct super **ret_super)
{
    struct overlay_super *overlay = calloc(1, sizeof(*overlay));
    if (overlay == NULL) {
        return -ENOMEM;
    }
    super_init(&overlay->super, &overlay_super_ops, "overlay", OVERLAYFS_SUPER_MAGIC);
    mutex_init(&overlay->tree_lock, RANK_ACCOUNT);
    TAILQ_INIT(&overlay->orphans);
    overlay->max_entries = options != NULL ? options->max_entries : 0;
    overlay->super.cache_forever = lower->cache_forever;
    overlay->super.max_links = upper->max_links;
    overlay->super.max_size = upper->max_size;
    overlay->lower = super_ref(lower);
    overlay->upper = super_ref(upper);

    struct overlay_inode *root;
    int result = overlay_from_lower(overlay, NULL, NULL, inode_ref(lower->root), &root);
    if (result < 0) {
        /* The caller keeps its references: only ours go. */
        overlay->lower = overlay->upper = NULL;
        super_unref(lower);
        super_unref(upper);
        super_unref(&overlay->super);
        return result;
    }
    overlay->super.root = &root->inode;
    super_unref(lower); /* the caller's, now ours */
    super_unref(upper);
    *ret_super = &overlay->super;
    return 0;
}
