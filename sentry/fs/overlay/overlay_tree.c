/*
 * overlay_tree.c: the in-memory tree of changes, and the identity of overlay inodes.
 *
 * One overlay inode per lower inode (by_lower), so hard links and open files agree. A whiteout is
 * an entry without a child; it exists only where the lower directory has the name. A moved lower
 * directory keeps its lower pointer: its unchanged children are found through it wherever it
 * stands.
 */
#include "sentry/fs/overlay/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* New objects get numbers above those that host file systems use. */
#define OVERLAY_FIRST_INO (1ULL << 48)

static int entry_compare(const struct overlay_entry *a, const struct overlay_entry *b)
{
    return strcmp(a->name, b->name);
}
RB_GENERATE_INTERNAL(overlay_entries, overlay_entry, node, entry_compare, maybe_unused static)

LIST_HEAD(reap_list, overlay_inode);
/* Inodes whose free waits for one that is in progress on this thread: a chain of directories of any
 * depth is freed without recursion. */
static _Thread_local struct reap_list reap_waiting;
static _Thread_local bool reap_active;

/* References to be dropped after tree_lock was released. */
struct garbage {
    struct inode *refs[8];
    unsigned count;
};

static void garbage_add(struct garbage *garbage, struct overlay_inode *node)
{
    if (node != NULL) {
        garbage->refs[garbage->count++] = &node->inode;
    }
}

static void garbage_free(struct garbage *garbage)
{
    for (unsigned i = 0; i < garbage->count; i++) {
        inode_unref(garbage->refs[i]);
    }
}

static struct overlay_entry *entry_new(const char *name)
{
    size_t length = strlen(name) + 1;
    struct overlay_entry *entry = malloc(sizeof(*entry) + length);
    if (entry != NULL) {
        entry->child = NULL;
        entry->over_lower = false;
        memcpy(entry->name, name, length);
    }
    return entry;
}

static struct overlay_entry *entry_find(struct overlay_inode *dir, const char *name)
{
    struct overlay_entry *entry = RB_ROOT(&dir->entries);
    while (entry != NULL) {
        int order = strcmp(name, entry->name);
        if (order == 0) {
            return entry;
        }
        entry = order < 0 ? RB_LEFT(entry, node) : RB_RIGHT(entry, node);
    }
    return NULL;
}

static struct overlay_inode *inode_alloc(struct overlay_super *super, uint64_t ino, uint32_t mode)
{
    struct overlay_inode *node = calloc(1, sizeof(*node));
    if (node == NULL) {
        return NULL;
    }
    inode_init(&node->inode, &super->super,
               S_ISDIR(mode) ? &overlay_dir_inode_ops : &overlay_inode_ops, ino, mode);
    RB_INIT(&node->entries);
    LIST_INIT(&node->xattrs);
    return node;
}

int overlay_inode_new(struct overlay_super *super, uint32_t mode, uint64_t rdev,
                      struct overlay_inode **ret)
{
    uint64_t ino = OVERLAY_FIRST_INO + super_next_ino(&super->super);
    struct overlay_inode *node = inode_alloc(super, ino, mode);
    if (node == NULL) {
        return -ENOMEM;
    }
    node->inode.rdev = rdev;
    node->xattrs_loaded = true;
    atomic_store(&node->owned, true);
    *ret = node;
    return 0;
}

/* The living inode of lower, with a reference. tree_lock is held. */
static struct overlay_inode *find_by_lower(struct overlay_super *super, struct inode *lower)
{
    struct overlay_inode *node = NULL;
    HASH_FIND_PTR(super->by_lower, &lower, node);
    if (node != NULL && refcount_get_unless_zero(&node->inode.ref)) {
        return node;
    }
    return NULL;
}

static int hash_insert(struct overlay_super *super, struct overlay_inode *node)
{
    struct overlay_inode *dying = NULL;
    HASH_FIND_PTR(super->by_lower, &node->lower, dying);
    if (dying != NULL) {
        HASH_DEL(super->by_lower, dying);
        dying->hashed = false;
    }
    HASH_ADD_PTR(super->by_lower, lower, node);
    if (!hash_was_added(node)) {
        return -ENOMEM;
    }
    node->hashed = true;
    return 0;
}

static void set_place(struct overlay_inode *node, struct overlay_inode *dir, char *name)
{
    inode_ref(&dir->inode);
    node->parent = dir;
    node->name = name;
}

static int new_from_lower(struct overlay_super *super, struct overlay_inode *dir, const char *name,
                          struct inode *lower, struct overlay_inode **ret)
{
    struct inode_attr attr;
    int result = inode_getattr(lower, &attr);
    if (result < 0) {
        return result;
    }
    struct overlay_inode *node = inode_alloc(super, attr.ino, attr.mode);
    char *copy = name != NULL ? strdup(name) : NULL;
    if (node == NULL || (name != NULL && copy == NULL)) {
        free(copy);
        if (node != NULL) {
            inode_unref(&node->inode);
        }
        return -ENOMEM;
    }
    node->inode.uid = attr.uid;
    node->inode.gid = attr.gid;
    node->inode.nlink = attr.nlink;
    node->inode.size = attr.size;
    node->inode.blocks = attr.blocks;
    node->inode.rdev = attr.rdev;
    node->inode.atime = attr.atime;
    node->inode.mtime = attr.mtime;
    node->inode.ctime = attr.ctime;
    node->inode.btime = attr.btime;

    mutex_lock(&super->tree_lock);
    struct overlay_inode *other = find_by_lower(super, lower);
    if (other == NULL) {
        node->lower = lower;
        result = hash_insert(super, node);
        if (result == 0) {
            inode_ref(lower);
            if (dir != NULL) {
                set_place(node, dir, copy);
                copy = NULL;
            } else {
                node->pinned = true;
            }
        } else {
            node->lower = NULL;
        }
    }
    mutex_unlock(&super->tree_lock);
    free(copy);
    if (other != NULL || result < 0) {
        inode_unref(&node->inode);
        node = other;
    }
    if (result == 0) {
        *ret = node;
    }
    return result;
}

int overlay_from_lower(struct overlay_super *super, struct overlay_inode *dir, const char *name,
                       struct inode *lower, struct overlay_inode **ret)
{
    struct overlay_inode *node = NULL;
    bool elsewhere = false;
    mutex_lock(&super->tree_lock);
    node = find_by_lower(super, lower);
    if (node != NULL) {
        elsewhere = node->parent != dir || (name != NULL && strcmp(node->name, name) != 0);
    }
    mutex_unlock(&super->tree_lock);
    int result = 0;
    if (node == NULL) {
        result = new_from_lower(super, dir, name, lower, &node);
    } else if (elsewhere && dir != NULL && atomic_load(&node->owned) && !overlay_is_dir(node)) {
        /* A further name of a changed file: an entry keeps them together. */
        result = overlay_pin(dir);
        if (result == 0) {
            result = overlay_tree_set(dir, name, node, true);
        }
        if (result < 0) {
            inode_unref(&node->inode);
        }
    }
    inode_unref(lower);
    if (result == 0) {
        *ret = node;
    }
    return result;
}

static void free_entries(struct overlay_super *super, struct overlay_inode *node)
{
    for (;;) {
        mutex_lock(&super->tree_lock);
        struct overlay_entry *entry = RB_MIN(overlay_entries, &node->entries);
        struct overlay_inode *child = NULL;
        if (entry != NULL) {
            RB_REMOVE(overlay_entries, &node->entries, entry);
            super->entry_count--;
            child = entry->child;
            if (child != NULL && child->parent == node) {
                child->parent = NULL;
                child->pinned = false;
            }
        }
        mutex_unlock(&super->tree_lock);
        if (entry == NULL) {
            return;
        }
        free(entry);
        if (child != NULL) {
            inode_unref(&child->inode);
        }
    }
}

static void free_orphans(struct overlay_super *super)
{
    for (;;) {
        mutex_lock(&super->tree_lock);
        struct overlay_inode *node = TAILQ_FIRST(&super->orphans);
        if (node != NULL) {
            TAILQ_REMOVE(&super->orphans, node, orphan_link);
            node->orphan = false;
        }
        mutex_unlock(&super->tree_lock);
        if (node == NULL) {
            return;
        }
        inode_unref(&node->inode);
    }
}

static void inode_destroy(struct overlay_inode *node)
{
    struct overlay_super *super = overlay_super_of(node);
    mutex_lock(&super->tree_lock);
    if (node->hashed) {
        HASH_DEL(super->by_lower, node);
        node->hashed = false;
    }
    struct overlay_inode *parent = node->pinned ? NULL : node->parent;
    node->parent = NULL;
    mutex_unlock(&super->tree_lock);
    free_entries(super, node);
    if (super->super.root == &node->inode || super->super.root == NULL) {
        free_orphans(super);
    }
    inode_unref(node->lower);
    inode_unref(atomic_load(&node->data));
    if (parent != NULL) {
        inode_unref(&parent->inode);
    }
    overlay_xattrs_free(node);
    free(node->name);
    free(node->target);
    inode_fini(&node->inode);
    free(node);
}

void overlay_inode_free(struct inode *inode)
{
    LIST_INSERT_HEAD(&reap_waiting, overlay_of(inode), reap_link);
    super_ref(inode->super);
    if (reap_active) {
        return;
    }
    reap_active = true;
    struct overlay_inode *node;
    while ((node = LIST_FIRST(&reap_waiting)) != NULL) {
        struct super *super = node->inode.super;
        LIST_REMOVE(node, reap_link);
        inode_destroy(node);
        super_unref(super);
    }
    reap_active = false;
}

struct pin_step {
    struct pin_step *next;
    struct overlay_inode *node;
    struct overlay_entry *entry;
};

/* The list of ancestors to be pinned, the highest first. tree_lock is held. */
static int pin_collect(struct overlay_inode *node, struct pin_step **ret_steps)
{
    struct overlay_super *super = overlay_super_of(node);
    uint64_t count = 0;
    for (; !node->pinned && node->parent != NULL; node = node->parent) {
        struct pin_step *step = malloc(sizeof(*step));
        if (step == NULL) {
            return -ENOMEM;
        }
        step->node = node;
        step->entry = entry_new(node->name);
        step->next = *ret_steps;
        *ret_steps = step;
        if (step->entry == NULL) {
            return -ENOMEM;
        }
        count++;
    }
    if (super->max_entries != 0 && super->entry_count + count > super->max_entries) {
        return -ENOSPC;
    }
    return 0;
}

int overlay_pin(struct overlay_inode *node)
{
    struct overlay_super *super = overlay_super_of(node);
    struct pin_step *steps = NULL;
    mutex_lock(&super->tree_lock);
    int result = pin_collect(node, &steps);
    for (struct pin_step *step = steps; step != NULL && result == 0; step = step->next) {
        struct overlay_inode *child = step->node;
        if (entry_find(child->parent, child->name) != NULL) {
            break; /* the lower file system changed: the name stands for something newer */
        }
        step->entry->child = child;
        step->entry->over_lower = true;
        RB_INSERT(overlay_entries, &child->parent->entries, step->entry);
        super->entry_count++;
        step->entry = NULL;
        inode_ref(&child->inode);
        child->pinned = true;
        inode_unref(&child->parent->inode); /* not the last: the parent is pinned now */
    }
    mutex_unlock(&super->tree_lock);
    while (steps != NULL) {
        struct pin_step *next = steps->next;
        free(steps->entry);
        free(steps);
        steps = next;
    }
    return result;
}

void overlay_keep_orphan(struct overlay_inode *node)
{
    struct overlay_super *super = overlay_super_of(node);
    mutex_lock(&super->tree_lock);
    if (!node->orphan) {
        node->orphan = true;
        inode_ref(&node->inode);
        TAILQ_INSERT_TAIL(&super->orphans, node, orphan_link);
    }
    mutex_unlock(&super->tree_lock);
}

enum overlay_found overlay_tree_find(struct overlay_inode *dir, const char *name,
                                     struct overlay_inode **ret)
{
    struct overlay_super *super = overlay_super_of(dir);
    enum overlay_found found = OVERLAY_NO_ENTRY;
    mutex_lock(&super->tree_lock);
    struct overlay_entry *entry = entry_find(dir, name);
    if (entry != NULL) {
        found = OVERLAY_WHITEOUT;
        if (entry->child != NULL) {
            found = OVERLAY_CHILD;
            inode_ref(&entry->child->inode);
            *ret = entry->child;
        }
    }
    mutex_unlock(&super->tree_lock);
    return found;
}

bool overlay_tree_has(struct overlay_inode *dir, const char *name)
{
    struct overlay_super *super = overlay_super_of(dir);
    mutex_lock(&super->tree_lock);
    bool has = entry_find(dir, name) != NULL;
    mutex_unlock(&super->tree_lock);
    return has;
}

struct overlay_entry *overlay_entry_first(struct overlay_inode *dir)
{
    return RB_MIN(overlay_entries, &dir->entries);
}

struct overlay_entry *overlay_entry_next(struct overlay_entry *entry)
{
    return RB_NEXT(overlay_entries, NULL, entry);
}

uint64_t overlay_parent_ino(struct overlay_inode *dir)
{
    struct overlay_super *super = overlay_super_of(dir);
    mutex_lock(&super->tree_lock);
    uint64_t ino = dir->parent != NULL ? dir->parent->inode.ino : dir->inode.ino;
    mutex_unlock(&super->tree_lock);
    return ino;
}

/* What a change of one name needs, allocated before the lock. */
struct slot {
    struct overlay_entry *entry; /* for the case that the name has none */
    char *name;                  /* the child's own copy */
};

static int slot_init(struct slot *slot, const char *name)
{
    slot->entry = entry_new(name);
    slot->name = strdup(name);
    return slot->entry != NULL && slot->name != NULL ? 0 : -ENOMEM;
}

static void slot_fini(struct slot *slot)
{
    free(slot->entry);
    free(slot->name);
}

/* Forgets the place of node when it is this one. */
static void leave_place(struct overlay_inode *node, struct overlay_inode *dir, const char *name,
                        struct garbage *garbage)
{
    if (node->parent != dir || strcmp(node->name, name) != 0) {
        return;
    }
    if (!node->pinned) {
        garbage_add(garbage, dir);
    }
    node->parent = NULL;
    node->pinned = false;
}

static void put_locked(struct overlay_super *super, struct overlay_inode *dir, struct slot *slot,
                       struct overlay_inode *child, bool hides_lower, struct garbage *garbage)
{
    struct overlay_entry *entry = entry_find(dir, slot->entry->name);
    if (entry == NULL) {
        entry = slot->entry;
        slot->entry = NULL;
        entry->over_lower = hides_lower;
        RB_INSERT(overlay_entries, &dir->entries, entry);
        super->entry_count++;
    } else if (entry->child != NULL) {
        leave_place(entry->child, dir, entry->name, garbage);
        garbage_add(garbage, entry->child);
    }
    entry->child = child;
    inode_ref(&child->inode);
    if (child->parent == NULL || !child->pinned) {
        if (child->parent != NULL) {
            garbage_add(garbage, child->parent);
        }
        free(child->name);
        child->name = slot->name;
        slot->name = NULL;
        child->parent = dir;
        child->pinned = true;
    }
}

static void drop_locked(struct overlay_super *super, struct overlay_inode *dir, struct slot *slot,
                        const char *name, struct overlay_inode *child, struct garbage *garbage)
{
    struct overlay_entry *entry = entry_find(dir, name);
    leave_place(child, dir, name, garbage);
    if (entry == NULL) { /* an unchanged lower name */
        entry = slot->entry;
        slot->entry = NULL;
        entry->over_lower = true;
        RB_INSERT(overlay_entries, &dir->entries, entry);
        super->entry_count++;
        return;
    }
    garbage_add(garbage, entry->child);
    entry->child = NULL;
    if (!entry->over_lower) {
        RB_REMOVE(overlay_entries, &dir->entries, entry);
        super->entry_count--;
        free(entry);
    }
}

static bool is_full(struct overlay_super *super)
{
    return super->max_entries != 0 && super->entry_count >= super->max_entries;
}

int overlay_tree_set(struct overlay_inode *dir, const char *name, struct overlay_inode *child,
                     bool hides_lower)
{
    struct overlay_super *super = overlay_super_of(dir);
    struct garbage garbage = {0};
    struct slot slot;
    int result = slot_init(&slot, name);
    if (result == 0) {
        mutex_lock(&super->tree_lock);
        if (is_full(super)) {
            result = -ENOSPC;
        } else {
            put_locked(super, dir, &slot, child, hides_lower, &garbage);
        }
        mutex_unlock(&super->tree_lock);
    }
    slot_fini(&slot);
    garbage_free(&garbage);
    return result;
}

int overlay_tree_remove(struct overlay_inode *dir, const char *name, struct overlay_inode *child)
{
    struct overlay_super *super = overlay_super_of(dir);
    struct garbage garbage = {0};
    struct slot slot;
    int result = slot_init(&slot, name);
    if (result == 0) {
        mutex_lock(&super->tree_lock);
        drop_locked(super, dir, &slot, name, child, &garbage);
        mutex_unlock(&super->tree_lock);
    }
    slot_fini(&slot);
    garbage_free(&garbage);
    return result;
}

int overlay_tree_rename(struct overlay_inode *old_dir, const char *old_name,
                        struct overlay_inode *child, struct overlay_inode *new_dir,
                        const char *new_name, struct overlay_inode *target, bool exchange)
{
    struct overlay_super *super = overlay_super_of(old_dir);
    struct garbage garbage = {0};
    struct slot drop, put, back = {0};
    int result = slot_init(&drop, old_name);
    int put_result = slot_init(&put, new_name);
    int back_result = exchange ? slot_init(&back, old_name) : 0;
    if (result < 0 || put_result < 0 || back_result < 0) {
        result = -ENOMEM;
    } else {
        mutex_lock(&super->tree_lock);
        struct overlay_entry *entry = entry_find(new_dir, new_name);
        /* An unchanged lower target has no entry yet; the new one hides it. */
        bool hides_lower = target != NULL && entry == NULL;
        inode_ref(&child->inode);
        garbage_add(&garbage, child);
        if (target != NULL) {
            leave_place(target, new_dir, new_name, &garbage);
        }
        drop_locked(super, old_dir, &drop, old_name, child, &garbage);
        put_locked(super, new_dir, &put, child, hides_lower, &garbage);
        if (exchange) {
            put_locked(super, old_dir, &back, target, false, &garbage);
        }
        mutex_unlock(&super->tree_lock);
    }
    slot_fini(&drop);
    slot_fini(&put);
    slot_fini(&back);
    garbage_free(&garbage);
    return result;
}
