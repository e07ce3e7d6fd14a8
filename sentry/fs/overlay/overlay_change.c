/*
 * overlay_change.c: what differs from the lower file system.
 *
 * The tree of entries holds every difference. Below a directory that is new at its place (made or
 * moved there) all names are additions. The walk keeps its own stack: guests make trees of any
 * depth.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/overlay/walk.h"

#define WALK_PATH_MAX 4096

struct step {
    char *name;                  /* owned */
    struct overlay_inode *child; /* reference; NULL: whiteout */
    bool over_lower;
};

struct frame {
    struct frame *up;
    struct overlay_inode *dir; /* reference */
    size_t path_length;        /* of the directory itself */
    bool added, visited;
    struct step *steps;
    uint32_t count, next;
};

struct walk {
    struct overlay_visitor *visitor;
    struct frame *top;
    char path[WALK_PATH_MAX];
};

static void step_fini(struct step *step)
{
    free(step->name);
    if (step->child != NULL) {
        inode_unref(&step->child->inode);
    }
}

static void frame_free(struct frame *frame)
{
    for (uint32_t i = frame->next; i < frame->count; i++) {
        step_fini(&frame->steps[i]);
    }
    free(frame->steps);
    inode_unref(&frame->dir->inode);
    free(frame);
}

static int frame_add(struct frame *frame, uint32_t *capacity, const char *name,
                     struct overlay_inode *child, bool over_lower)
{
    if (frame->count == *capacity) {
        uint32_t grown = *capacity * 2 + 16;
        struct step *steps = realloc(frame->steps, grown * sizeof(*steps));
        if (steps == NULL) {
            return -ENOMEM;
        }
        frame->steps = steps;
        *capacity = grown;
    }
    struct step step = {strdup(name), child, over_lower};
    if (step.name == NULL) {
        return -ENOMEM;
    }
    if (child != NULL) {
        inode_ref(&child->inode);
    }
    frame->steps[frame->count++] = step;
    return 0;
}

static int collect_entries(struct frame *frame)
{
    struct overlay_super *super = overlay_super_of(frame->dir);
    uint32_t capacity = 0;
    int result = 0;
    mutex_lock(&super->tree_lock);
    for (struct overlay_entry *entry = overlay_entry_first(frame->dir);
         entry != NULL && result == 0; entry = overlay_entry_next(entry)) {
        result = frame_add(frame, &capacity, entry->name, entry->child, entry->over_lower);
    }
    mutex_unlock(&super->tree_lock);
    return result;
}

static int collect_all(struct frame *frame)
{
    struct inode *dir = &frame->dir->inode;
    struct overlay_listing listing;
    uint32_t capacity = 0;
    mutex_lock(&dir->lock);
    int result = overlay_list(frame->dir, &listing);
    for (uint32_t i = 0; result == 0 && i < listing.count; i++) {
        struct overlay_name name;
        struct inode *child;
        overlay_listing_get(&listing, i, &name);
        result = inode_lookup(dir, name.name, &child);
        if (result == 0) {
            result = frame_add(frame, &capacity, name.name, overlay_of(child), false);
            inode_unref(child);
        } else if (result == -ENOENT) {
            result = 0;
        }
    }
    mutex_unlock(&dir->lock);
    if (result == 0 || capacity > 0) {
        overlay_listing_fini(&listing);
    }
    return result;
}

static int compare_steps(const void *a, const void *b)
{
    return strcmp(((const struct step *)a)->name, ((const struct step *)b)->name);
}

static int frame_push(struct walk *walk, struct overlay_inode *dir, bool added, bool visited)
{
    struct frame *frame = calloc(1, sizeof(*frame));
    if (frame == NULL) {
        return -ENOMEM;
    }
    inode_ref(&dir->inode);
    frame->dir = dir;
    frame->added = added;
    frame->visited = visited;
    frame->path_length = strlen(walk->path);
    int result = added ? collect_all(frame) : collect_entries(frame);
    if (result < 0) {
        frame_free(frame);
        return result;
    }
    if (frame->count > 1) {
        qsort(frame->steps, frame->count, sizeof(*frame->steps), compare_steps);
    }
    frame->up = walk->top;
    walk->top = frame;
    return 0;
}

static bool times_equal(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int is_changed(struct overlay_inode *node, bool *ret)
{
    *ret = true;
    if (!atomic_load(&node->owned)) {
        *ret = false;
        return 0;
    }
    mutex_lock(&node->inode.lock);
    bool own_xattrs = node->xattrs_loaded;
    mutex_unlock(&node->inode.lock);
    if (atomic_load(&node->data) != NULL || own_xattrs) {
        return 0;
    }
    struct inode_attr lower, own;
    int result = inode_getattr(node->lower, &lower);
    if (result == 0) {
        result = inode_getattr(&node->inode, &own);
    }
    if (result == 0) {
        *ret = lower.mode != own.mode || lower.uid != own.uid || lower.gid != own.gid ||
               (!overlay_is_dir(node) && !times_equal(&lower.mtime, &own.mtime));
    }
    return result;
}

static int visit(struct walk *walk, char kind, unsigned char type, struct overlay_inode *node)
{
    return walk->visitor->visit(walk->visitor, kind, type, walk->path, node);
}

/* The lower type of a name (DT_UNKNOWN: none), and whether child is the lower object itself. */
static int look_below(struct overlay_inode *dir, const struct step *step, unsigned char *ret_type,
                      bool *ret_same)
{
    struct inode *lower;
    *ret_type = DT_UNKNOWN;
    *ret_same = false;
    if (dir->lower == NULL || !step->over_lower) {
        return 0;
    }
    int result = layer_lookup(dir->lower, step->name, &lower);
    if (result < 0) {
        return result == -ENOENT ? 0 : result;
    }
    *ret_type = (unsigned char)IFTODT(inode_load(lower->mode));
    *ret_same = step->child != NULL && step->child->lower == lower;
    inode_unref(lower);
    return 0;
}

static int do_step(struct walk *walk, struct frame *frame, struct step *step)
{
    struct overlay_inode *child = step->child;
    unsigned char below = DT_UNKNOWN;
    bool same = false;
    int result = frame->added ? 0 : look_below(frame->dir, step, &below, &same);
    if (result < 0) {
        return result;
    }
    if (child == NULL) {
        return visit(walk, 'D', below, NULL);
    }
    unsigned char type = (unsigned char)IFTODT(inode_load(child->inode.mode));
    if (same) {
        bool changed;
        result = is_changed(child, &changed);
        if (result == 0 && changed) {
            result = visit(walk, 'M', type, child);
        }
        if (result == 0 && type == DT_DIR) {
            result = frame_push(walk, child, false, changed);
        }
        return result;
    }
    bool replaced = below != DT_UNKNOWN;
    bool directories = below == DT_DIR || type == DT_DIR;
    if (replaced && directories) {
        result = visit(walk, 'D', below, NULL);
    }
    if (result == 0) {
        result = visit(walk, replaced && !directories ? 'M' : 'A', type, child);
    }
    if (result == 0 && type == DT_DIR) {
        result = frame_push(walk, child, true, true);
    }
    return result;
}

static int frame_pop(struct walk *walk)
{
    struct frame *frame = walk->top;
    int result = 0;
    walk->path[frame->path_length] = 0;
    if (frame->visited && walk->visitor->leave != NULL) {
        result = walk->visitor->leave(walk->visitor, walk->path, frame->dir);
    }
    walk->top = frame->up;
    frame_free(frame);
    return result;
}

static int walk_next(struct walk *walk)
{
    struct frame *frame = walk->top;
    if (frame->next == frame->count) {
        return frame_pop(walk);
    }
    struct step *step = &frame->steps[frame->next++];
    size_t at = frame->path_length;
    size_t length = strlen(step->name);
    int result = 0;
    if (at + 1 + length >= WALK_PATH_MAX) {
        walk->visitor->too_long++;
    } else {
        if (at > 0) {
            walk->path[at++] = '/';
        }
        memcpy(walk->path + at, step->name, length + 1);
        result = do_step(walk, frame, step);
    }
    step_fini(step);
    return result;
}

int overlay_walk(struct super *super, struct overlay_visitor *visitor)
{
    struct walk walk = {.visitor = visitor};
    int result = frame_push(&walk, overlay_of(super->root), false, false);
    while (result == 0 && walk.top != NULL) {
        result = walk_next(&walk);
    }
    while (walk.top != NULL) {
        struct frame *frame = walk.top;
        walk.top = frame->up;
        frame_free(frame);
    }
    return result;
}

struct lister {
    struct overlay_visitor visitor;
    overlay_change_fn fn;
    void *context;
};

static int list_visit(struct overlay_visitor *visitor, char kind, unsigned char type,
                      const char *path, struct overlay_inode *node)
{
    struct lister *lister = container_of(visitor, struct lister, visitor);
    struct overlay_change change = {.path = path, .kind = kind, .type = type};
    if (node != NULL) {
        struct inode_attr attr;
        int result = inode_getattr(&node->inode, &attr);
        if (result < 0) {
            return result;
        }
        change.mode = attr.mode & 07777;
        change.size = attr.size;
    }
    return lister->fn(&change, lister->context);
}

int overlay_for_each_change(struct super *super, overlay_change_fn fn, void *context)
{
    struct lister lister = {.visitor.visit = list_visit, .fn = fn, .context = context};
    int result = overlay_walk(super, &lister.visitor);
    return result == 0 && lister.visitor.too_long > 0 ? -ENAMETOOLONG : result;
}
