/*
 * dentry.c: the name cache: one hash table of (parent, name), one list of unused entries.
 *
 * Everything happens under dentry_lock; inodes are dropped after it is released, because freeing
 * one may call a file system.
 */
#include "sentry/vfs/dentry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "sentry/core/clock.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/inotify_hooks.h"
#include "sentry/vfs/path.h"

#define FIRST_BUCKETS 1024U
#define MAX_BUCKETS   (1U << 20)

struct mutex dentry_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_DENTRY};

/* under dentry_lock */
static struct dentry *first_buckets[FIRST_BUCKETS];
static struct dentry **buckets = first_buckets;
static uint32_t bucket_count = FIRST_BUCKETS;
static uint32_t hashed_count;
static uint64_t total_count;
static uint64_t lru_count;
static struct dentry_list lru_list = TAILQ_HEAD_INITIALIZER(lru_list);

/* Dentries to be freed after the lock is released, linked by hash_next. */
struct garbage {
    struct dentry *first;
};

static uint32_t name_hash(const struct dentry *parent, const char *name, size_t length)
{
    uint64_t h = (uint64_t)(uintptr_t)parent * 0x9e3779b97f4a7c15ULL;
    h ^= (uint64_t)(uintptr_t)&lru_list << 7; /* differs from run to run */
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, name, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdULL;
        h ^= h >> 32;
        name += 8;
        length -= 8;
    }
    uint64_t tail = length;
    for (size_t i = 0; i < length; i++) {
        tail = tail << 8 | (unsigned char)name[i];
    }
    h = (h ^ tail) * 0xff51afd7ed558ccdULL;
    h ^= h >> 29;
    h *= 0xc4ceb9fe1a85ec53ULL;
    return (uint32_t)(h >> 32);
}

static void table_grow_locked(void)
{
    if (hashed_count < bucket_count * 2 || bucket_count >= MAX_BUCKETS) {
        return;
    }
    uint32_t count = bucket_count * 4;
    struct dentry **larger = calloc(count, sizeof(struct dentry *));
    if (!larger) {
        return; /* longer chains only */
    }
    for (uint32_t i = 0; i < bucket_count; i++) {
        struct dentry *d = buckets[i];
        while (d) {
            struct dentry *next = d->hash_next;
            d->hash_next = larger[d->hash & (count - 1)];
            larger[d->hash & (count - 1)] = d;
            d = next;
        }
    }
    if (buckets != first_buckets) {
        free(buckets);
    }
    buckets = larger;
    bucket_count = count;
}

static void hash_insert_locked(struct dentry *d)
{
    table_grow_locked();
    d->hash = name_hash(d->parent, d->name, d->length);
    struct dentry **bucket = &buckets[d->hash & (bucket_count - 1)];
    d->hash_next = *bucket;
    *bucket = d;
    d->hashed = true;
    hashed_count++;
    TAILQ_INSERT_HEAD(&d->parent->children, d, sibling);
}

static void hash_remove_locked(struct dentry *d)
{
    if (!d->hashed) {
        return;
    }
    struct dentry **link = &buckets[d->hash & (bucket_count - 1)];
    while (*link != d) {
        link = &(*link)->hash_next;
    }
    *link = d->hash_next;
    d->hash_next = NULL;
    d->hashed = false;
    hashed_count--;
    TAILQ_REMOVE(&d->parent->children, d, sibling);
}

static void lru_remove_locked(struct dentry *d)
{
    if (d->on_lru) {
        TAILQ_REMOVE(&lru_list, d, lru);
        d->on_lru = false;
        lru_count--;
    }
}

static void put_locked(struct dentry *d, struct garbage *garbage);

/* d has no users: takes it out of the cache. */
static void discard_locked(struct dentry *d, struct garbage *garbage)
{
    lru_remove_locked(d);
    hash_remove_locked(d);
    total_count--;
    d->hash_next = garbage->first;
    garbage->first = d;
}

static void put_locked(struct dentry *d, struct garbage *garbage)
{
    while (d && atomic_fetch_sub_explicit(&d->uses, 1, memory_order_acq_rel) == 1) {
        if (d->hashed) {
            TAILQ_INSERT_TAIL(&lru_list, d, lru);
            d->on_lru = true;
            lru_count++;
            if (lru_count <= DENTRY_CACHE_MAX) {
                return;
            }
            d = TAILQ_FIRST(&lru_list);
        }
        struct dentry *parent = d->parent;
        discard_locked(d, garbage);
        d = parent; /* and its reference */
    }
}

static void drop_inode(struct inode *inode)
{
    if (inode && inode_load(inode->nlink) == 0 &&
        (inode_load(inode->flags) & INODE_LINKABLE) == 0) {
        vfs_notify_inode(inode, IN_DELETE_SELF, 0, NULL);
    }
    inode_unref(inode);
}

static void garbage_collect(struct garbage *garbage)
{
    while (garbage->first) {
        struct dentry *d = garbage->first;
        garbage->first = d->hash_next;
        drop_inode(atomic_load(&d->inode));
        if (d->name != d->inline_name) {
            free(d->name);
        }
        free(d);
    }
}

struct dentry *dentry_ref(struct dentry *dentry)
{
    if (atomic_fetch_add_explicit(&dentry->uses, 1, memory_order_relaxed) <= 0) {
        __builtin_trap();
    }
    return dentry;
}

/* Also from 0 to 1. */
static struct dentry *ref_locked(struct dentry *d)
{
    lru_remove_locked(d);
    atomic_fetch_add_explicit(&d->uses, 1, memory_order_relaxed);
    return d;
}

void dentry_ref_locked(struct dentry *dentry)
{
    ref_locked(dentry);
}

struct dentry *dentry_unref(struct dentry *dentry)
{
    if (!dentry) {
        return NULL;
    }
    int uses = atomic_load_explicit(&dentry->uses, memory_order_relaxed);
    while (uses > 1) {
        if (atomic_compare_exchange_weak_explicit(&dentry->uses, &uses, uses - 1,
                                                  memory_order_release, memory_order_relaxed)) {
            return NULL;
        }
    }
    struct garbage garbage = {NULL};
    mutex_lock(&dentry_lock);
    put_locked(dentry, &garbage);
    mutex_unlock(&dentry_lock);
    garbage_collect(&garbage);
    return NULL;
}

static struct dentry *dentry_alloc(const char *name, size_t length, struct inode *inode)
{
    struct dentry *d = calloc(1, sizeof(*d));
    if (!d) {
        return NULL;
    }
    d->name = d->inline_name;
    if (length >= DENTRY_INLINE_NAME) {
        d->name = malloc(length + 1);
        if (!d->name) {
            free(d);
            return NULL;
        }
    }
    memcpy(d->name, name, length);
    d->name[length] = '\0';
    d->length = (uint32_t)length;
    atomic_init(&d->uses, 1);
    atomic_init(&d->inode, inode ? inode_ref(inode) : NULL);
    TAILQ_INIT(&d->children);
    return d;
}

struct dentry *dentry_new(struct dentry *parent, const char *name, size_t length,
                          struct inode *inode)
{
    struct dentry *d = dentry_alloc(name, length, inode);
    if (!d) {
        return NULL;
    }
    d->super = parent ? parent->super : inode->super;
    d->parent = parent ? dentry_ref(parent) : NULL;
    mutex_lock(&dentry_lock);
    total_count++;
    mutex_unlock(&dentry_lock);
    return d;
}

struct dentry *dentry_new_disconnected(const char *text, struct inode *inode)
{
    struct dentry *d = dentry_new(NULL, text, strlen(text), inode);
    if (d) {
        d->disconnected = true;
    }
    return d;
}

struct dentry *dentry_find_locked(struct dentry *parent, const char *name, size_t length)
{
    uint32_t hash = name_hash(parent, name, length);
    struct dentry *d = buckets[hash & (bucket_count - 1)];
    while (d && (d->hash != hash || d->parent != parent || d->length != length ||
                 memcmp(d->name, name, length) != 0)) {
        d = d->hash_next;
    }
    return d;
}

struct dentry *dentry_find_inode(struct super *super, uint64_t ino)
{
    struct dentry *found = NULL;
    mutex_lock(&dentry_lock);
    if (super->root_dentry && super->root && super->root->ino == ino) {
        found = super->root_dentry;
    }
    for (uint32_t i = 0; i < bucket_count && !found; i++) {
        struct dentry *d = buckets[i];
        for (; d && !found; d = d->hash_next) {
            struct inode *inode = atomic_load(&d->inode);
            found = d->super == super && inode && inode->ino == ino ? d : NULL;
        }
    }
    if (found) {
        dentry_ref_locked(found);
    }
    mutex_unlock(&dentry_lock);
    return found;
}

struct dentry *dentry_find(struct dentry *parent, const char *name, size_t length)
{
    mutex_lock(&dentry_lock);
    struct dentry *d = dentry_find_locked(parent, name, length);
    if (d) {
        ref_locked(d);
    }
    mutex_unlock(&dentry_lock);
    return d;
}

static bool needs_revalidation(const struct dentry *parent, const struct inode *dir)
{
    return dir->ops->revalidate && !parent->super->cache_forever;
}

/* Asks the file system for a name that is not cached, or whose entry old is doubtful. */
static int lookup_uncached(struct dentry *parent, struct inode *dir, const char *name,
                           size_t length, struct dentry *old, struct dentry **ret)
{
    if ((inode_load(dir->flags) & INODE_DEAD) != 0) {
        return -ENOENT;
    }
    struct inode *inode = NULL;
    int error = inode_lookup(dir, name, &inode);
    if (error != 0 && error != -ENOENT) {
        return error;
    }
    if (old && atomic_load(&old->inode) == inode) {
        inode_unref(inode);
        *ret = dentry_ref(old);
        return 0;
    }
    struct dentry *d = dentry_new(parent, name, length, inode);
    inode_unref(inode);
    if (!d) {
        return -ENOMEM;
    }
    mutex_lock(&dentry_lock);
    if (old) {
        hash_remove_locked(old);
    }
    hash_insert_locked(d);
    mutex_unlock(&dentry_lock);
    *ret = d;
    return 0;
}

int dentry_lookup(struct dentry *parent, const char *name, size_t length, bool dir_locked,
                  struct dentry **ret)
{
    struct inode *dir = atomic_load(&parent->inode);
    struct dentry *d = dentry_find(parent, name, length);
    if (d && !needs_revalidation(parent, dir)) {
        *ret = d;
        return 0;
    }
    if (length > NAME_MAX_LENGTH) {
        dentry_unref(d);
        return -ENAMETOOLONG;
    }
    char copy[NAME_MAX_LENGTH + 1];
    memcpy(copy, name, length);
    copy[length] = '\0';
    if (d && (d->mounted > 0 || inode_revalidate(dir, copy, atomic_load(&d->inode)))) {
        *ret = d;
        return 0;
    }
    if (!dir_locked) {
        mutex_lock(&dir->lock);
        struct dentry *again = dentry_find(parent, name, length);
        if (again && (again != d || !d)) { /* somebody else just asked */
            mutex_unlock(&dir->lock);
            dentry_unref(d);
            *ret = again;
            return 0;
        }
        if (!again && d) {
            d = dentry_unref(d);
        }
        dentry_unref(again);
    }
    int error = lookup_uncached(parent, dir, copy, length, d, ret);
    if (!dir_locked) {
        mutex_unlock(&dir->lock);
    }
    dentry_unref(d);
    return error;
}

void dentry_instantiate(struct dentry *dentry, struct inode *inode)
{
    mutex_lock(&dentry_lock);
    struct inode *old = atomic_load(&dentry->inode);
    atomic_store(&dentry->inode, inode_ref(inode));
    mutex_unlock(&dentry_lock);
    inode_unref(old);
}

/* Drops what hangs below d without users; d itself is referenced. */
static void prune_children_locked(struct dentry *d, struct garbage *garbage)
{
    struct dentry *child, *next;
    TAILQ_FOREACH_SAFE (child, &d->children, sibling, next) {
        if (atomic_load(&child->uses) == 0) {
            discard_locked(child, garbage);
            atomic_fetch_sub(&d->uses, 1); /* never the last: the caller has one */
        }
    }
}

void dentry_removed(struct dentry *dentry)
{
    struct inode *inode = NULL;
    struct garbage garbage = {NULL};
    mutex_lock(&dentry_lock);
    prune_children_locked(dentry, &garbage);
    if (atomic_load(&dentry->uses) == 1 && dentry->hashed) {
        inode = atomic_exchange(&dentry->inode, NULL);
    } else {
        hash_remove_locked(dentry);
    }
    mutex_unlock(&dentry_lock);
    garbage_collect(&garbage);
    drop_inode(inode);
}

void dentry_drop(struct dentry *dentry)
{
    mutex_lock(&dentry_lock);
    hash_remove_locked(dentry);
    mutex_unlock(&dentry_lock);
}

void dentry_invalidate(struct dentry *parent, const char *name)
{
    struct dentry *d = dentry_find(parent, name, strlen(name));
    if (d) {
        dentry_drop(d);
        dentry_unref(d);
    }
}

int dentry_move_prepare(struct dentry_move *move, const struct dentry *from,
                        const struct dentry *to)
{
    /* Names do not change here: both directories are locked. */
    *move = (struct dentry_move){NULL, NULL};
    if (from->length >= DENTRY_INLINE_NAME) {
        move->old_name = strdup(from->name);
        if (!move->old_name) {
            return -ENOMEM;
        }
    }
    if (to->length >= DENTRY_INLINE_NAME) {
        move->new_name = strdup(to->name);
        if (!move->new_name) {
            free(move->old_name);
            move->old_name = NULL;
            return -ENOMEM;
        }
    }
    return 0;
}

/* Gives d the name; long is a heap copy of it or NULL when it fits inline. Returns what to free. */
static char *set_name_locked(struct dentry *d, const char *name, uint32_t length, char *heap)
{
    char *old = d->name != d->inline_name ? d->name : NULL;
    if (heap) {
        d->name = heap;
    } else {
        memcpy(d->inline_name, name, length + 1);
        d->name = d->inline_name;
    }
    d->length = length;
    return old;
}

void dentry_move(struct dentry_move *move, struct dentry *from, struct dentry *to, bool exchange)
{
    struct garbage garbage = {NULL};
    char from_name[NAME_MAX_LENGTH + 1], to_name[NAME_MAX_LENGTH + 1];
    mutex_lock(&dentry_lock);
    uint32_t from_length = from->length, to_length = to->length;
    memcpy(from_name, from->name, from_length + 1);
    memcpy(to_name, to->name, to_length + 1);
    hash_remove_locked(from);
    hash_remove_locked(to);
    struct dentry *from_parent = from->parent;
    char *old_from = set_name_locked(from, to_name, to_length, move->new_name);
    char *old_to = NULL;
    move->new_name = NULL;
    from->parent = to->parent;
    to->parent = from_parent; /* each keeps the reference the other had */
    if (exchange) {
        old_to = set_name_locked(to, from_name, from_length, move->old_name);
        move->old_name = NULL;
        hash_insert_locked(to);
    } else {
        /* What was displaced stays shown below its own directory. */
        prune_children_locked(to, &garbage);
        to->parent = ref_locked(from->parent);
        put_locked(from_parent, &garbage);
    }
    hash_insert_locked(from);
    mutex_unlock(&dentry_lock);
    garbage_collect(&garbage);
    free(old_from);
    free(old_to);
}

void dentry_move_fini(struct dentry_move *move)
{
    free(move->old_name);
    free(move->new_name);
    *move = (struct dentry_move){NULL, NULL};
}

bool dentry_is_below(struct dentry *dentry, struct dentry *ancestor)
{
    mutex_lock(&dentry_lock);
    while (dentry && dentry != ancestor) {
        dentry = dentry->parent;
    }
    mutex_unlock(&dentry_lock);
    return dentry != NULL;
}

struct dentry *dentry_get_parent(struct dentry *dentry)
{
    mutex_lock(&dentry_lock);
    struct dentry *parent = ref_locked(dentry->parent ? dentry->parent : dentry);
    mutex_unlock(&dentry_lock);
    return parent;
}

void dentry_copy_name(struct dentry *dentry, char *buffer)
{
    mutex_lock(&dentry_lock);
    uint32_t length = min_of(dentry->length, (uint32_t)NAME_MAX_LENGTH);
    memcpy(buffer, dentry->name, length);
    buffer[length] = '\0';
    mutex_unlock(&dentry_lock);
}

bool dentry_is_deleted(struct dentry *dentry)
{
    mutex_lock(&dentry_lock);
    bool deleted = dentry->disconnected || (dentry->parent && !dentry->hashed);
    mutex_unlock(&dentry_lock);
    return deleted;
}

void dentry_shrink(struct super *super)
{
    struct garbage garbage = {NULL};
    bool again = true;
    mutex_lock(&dentry_lock);
    while (again) {
        struct dentry *d, *next;
        again = false;
        TAILQ_FOREACH_SAFE (d, &lru_list, lru, next) {
            if (!super || d->super == super) {
                struct dentry *parent = d->parent;
                discard_locked(d, &garbage);
                if (atomic_fetch_sub(&parent->uses, 1) == 1) {
                    if (parent->hashed) {
                        TAILQ_INSERT_TAIL(&lru_list, parent, lru);
                        parent->on_lru = true;
                        lru_count++;
                        again = true;
                    } else {
                        atomic_fetch_add(&parent->uses, 1);
                        put_locked(parent, &garbage);
                        again = true;
                        break;
                    }
                }
            }
        }
    }
    mutex_unlock(&dentry_lock);
    garbage_collect(&garbage);
}

void dentry_count(uint64_t *ret_total, uint64_t *ret_unused)
{
    mutex_lock(&dentry_lock);
    *ret_total = total_count;
    *ret_unused = lru_count;
    mutex_unlock(&dentry_lock);
}
