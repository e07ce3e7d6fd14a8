/*
 * mapped.c: the files that were mapped: their pages come into being without a call, so the host is
 * asked now and then. list_lock is inside an inode's lock; a descriptor in the list is open.
 */
#include <sys/stat.h>

#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/fs/tmpfs/tmpfs_inode.h"

static struct mutex list_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_OBJECT};
static TAILQ_HEAD(, tmpfs_content) list = TAILQ_HEAD_INITIALIZER(list); /* under list_lock */

void tmpfs_mapped_add(struct tmpfs_inode *ti)
{
    struct tmpfs_content *c = &ti->content;
    mutex_lock_nested(&list_lock);
    if (!c->mapped) {
        c->mapped = true;
        TAILQ_INSERT_TAIL(&list, c, mapped_link);
    }
    mutex_unlock(&list_lock);
}

void tmpfs_mapped_remove(struct tmpfs_inode *ti)
{
    struct tmpfs_content *c = &ti->content;
    mutex_lock_nested(&list_lock);
    if (c->mapped) {
        c->mapped = false;
        TAILQ_REMOVE(&list, c, mapped_link);
    }
    mutex_unlock(&list_lock);
}

/* Pages of the file beyond the charged ones. */
static uint64_t extra_pages(const struct tmpfs_content *c)
{
    struct stat st;
    int fd = atomic_load(&c->fd);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return 0;
    }
    uint64_t pages = (uint64_t)st.st_blocks * 512 / TMPFS_PAGE;
    uint64_t charged = atomic_load(&c->pages);
    return pages > charged ? pages - charged : 0;
}

uint64_t tmpfs_uncharged(bool *ret_over)
{
    struct tmpfs_content *c;
    uint64_t total = 0;
    bool over = false;
    mutex_lock(&list_lock);
    TAILQ_FOREACH (c, &list, mapped_link) {
        uint64_t extra = extra_pages(c);
        if (extra == 0) {
            continue;
        }
        struct tmpfs_inode *ti = container_of(c, struct tmpfs_inode, content);
        const struct tmpfs_super *ts = tmpfs_super(ti->inode.super);
        over = over || (ts->max_pages != 0 && atomic_load(&ts->pages) + extra > ts->max_pages);
        total += extra;
    }
    mutex_unlock(&list_lock);
    *ret_over = over;
    return total * TMPFS_PAGE;
}
