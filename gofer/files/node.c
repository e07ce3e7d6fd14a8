/*
 * node.c: the tree of known objects, its descriptors, and the only host lookups by name.
 *
 * Invariants: an attached node is in by_key under (parent->id, name); every node but a root holds
 * its parent (children); a descriptor is in the lru unless pinned or a root's. Cycles cannot arise:
 * nodes_move checks.
 */
#include "gofer/files/node.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NO_SLOT UINT32_MAX

int node_lookup_open(int dir_fd, const char *name, uint64_t flags, uint64_t mode, int *ret_fd)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC | O_NOFOLLOW,
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };
    long fd;
    do {
        fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
    } while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    if (fd < 0) {
        return -errno;
    }
    *ret_fd = (int)fd;
    return 0;
}

int node_lookup_stat(int dir_fd, const char *name, struct statx *ret_stat)
{
    return statx(dir_fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
                 STATX_BASIC_STATS | STATX_BTIME, ret_stat)
               ? -errno
               : 0;
}

int node_fd_stat(int fd, struct statx *ret_stat)
{
    return statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, ret_stat)
               ? -errno
               : 0;
}

static uint64_t stat_dev(const struct statx *stat)
{
    return makedev(stat->stx_dev_major, stat->stx_dev_minor);
}

bool node_is(const struct node *node, const struct statx *stat)
{
    return node->ino == stat->stx_ino && node->dev == stat_dev(stat) &&
           node->type == (stat->stx_mode & S_IFMT);
}

void nodes_init(struct nodes *nodes, uint32_t limit, uint32_t open_limit)
{
    *nodes = (struct nodes){.limit = limit,
                            .open_limit = max_of(open_limit, (uint32_t)NODE_OPEN_MIN),
                            .first_free = NO_SLOT,
                            .age = 1};
    TAILQ_INIT(&nodes->lru);
}

/* ---- ids ---- */

static int slots_grow(struct nodes *nodes)
{
    uint32_t capacity = nodes->slot_capacity ? nodes->slot_capacity * 2 : 64;
    struct node_slot *slots = realloc(nodes->slots, capacity * sizeof(slots[0]));
    if (!slots) {
        return -ENOMEM;
    }
    nodes->slots = slots;
    nodes->slot_capacity = capacity;
    return 0;
}

static int slot_take(struct nodes *nodes, struct node *node)
{
    uint32_t index = nodes->first_free;
    if (index != NO_SLOT) {
        nodes->first_free = nodes->slots[index].next_free;
    } else {
        if (nodes->slot_count == nodes->slot_capacity) {
            int error = slots_grow(nodes);
            if (error) {
                return error;
            }
        }
        index = nodes->slot_count++;
        nodes->slots[index].generation = 1;
    }
    nodes->slots[index].node = node;
    node->id = (uint64_t)nodes->slots[index].generation << 32 | index;
    return 0;
}

static void slot_give(struct nodes *nodes, struct node *node)
{
    uint32_t index = (uint32_t)node->id;
    struct node_slot *slot = &nodes->slots[index];
    slot->node = NULL;
    slot->generation = slot->generation == UINT32_MAX ? 1 : slot->generation + 1;
    slot->next_free = nodes->first_free;
    nodes->first_free = index;
}

struct node *nodes_get(struct nodes *nodes, uint64_t id)
{
    uint32_t index = (uint32_t)id;
    if (index >= nodes->slot_count || nodes->slots[index].generation != id >> 32) {
        return NULL;
    }
    struct node *node = nodes->slots[index].node;
    /* Ancestors that the client has released are ours alone. */
    return node && node->lookups ? node : NULL;
}

/* ---- descriptors ---- */

static void fd_close(struct nodes *nodes, struct node *node)
{
    if (node->fd < 0) {
        return;
    }
    if (node->pinned) {
        nodes->pinned_count--;
    } else {
        TAILQ_REMOVE(&nodes->lru, node, lru);
        nodes->open_count--;
    }
    close(node->fd);
    node->fd = -1;
    node->pinned = false;
}

static void fd_evict(struct nodes *nodes, uint32_t wanted)
{
    struct node *node = TAILQ_LAST(&nodes->lru, node_list);
    while (node && nodes->open_count > wanted) {
        struct node *newer = TAILQ_PREV(node, node_list, lru);
        if (!node->held) {
            fd_close(nodes, node);
        }
        node = newer;
    }
}

void nodes_hold(struct nodes *nodes, struct node *node)
{
    if (!node->held && nodes->held_count < NODE_HELD_MAX) {
        node->held = true;
        nodes->held[nodes->held_count++] = node;
    }
}

void nodes_unhold_all(struct nodes *nodes)
{
    while (nodes->held_count) {
        nodes->held[--nodes->held_count]->held = false;
    }
}

static void fd_keep(struct nodes *nodes, struct node *node, int fd)
{
    fd_evict(nodes, nodes->open_limit - 1);
    node->fd = fd;
    TAILQ_INSERT_HEAD(&nodes->lru, node, lru);
    nodes->open_count++;
}

static void fd_touch(struct nodes *nodes, struct node *node)
{
    if (!node->pinned && TAILQ_FIRST(&nodes->lru) != node) {
        TAILQ_REMOVE(&nodes->lru, node, lru);
        TAILQ_INSERT_HEAD(&nodes->lru, node, lru);
    }
}

/* Opens node, whose parent is open. */
static int fd_open_beneath(struct nodes *nodes, struct node *node)
{
    int fd;
    int error = node_lookup_open(node->parent->fd, node->key->name, O_PATH, 0, &fd);
    if ((error == -EMFILE || error == -ENFILE) && nodes->open_count > 2) {
        fd_touch(nodes, node->parent);
        fd_evict(nodes, nodes->open_count / 2);
        error = node_lookup_open(node->parent->fd, node->key->name, O_PATH, 0, &fd);
    }
    if (error) {
        /* Linux: a file handle whose object is gone is ESTALE. */
        return error == -ENOENT || error == -ENOTDIR ? -ESTALE : error;
    }
    struct statx stat;
    error = node_fd_stat(fd, &stat);
    if (!error && !node_is(node, &stat)) {
        error = -ESTALE;
    }
    if (error) {
        close(fd);
        return error;
    }
    fd_touch(nodes, node->parent);
    fd_keep(nodes, node, fd);
    return 0;
}

int nodes_chain(struct nodes *nodes, struct node *node, size_t *ret_count)
{
    size_t count = 0;
    for (struct node *n = node; n; n = n->parent) {
        if (count == NODE_DEPTH_MAX) {
            return -ENAMETOOLONG;
        }
        nodes->chain[count++] = n;
    }
    for (size_t i = 0; i < count / 2; i++) {
        struct node *swap = nodes->chain[i];
        nodes->chain[i] = nodes->chain[count - 1 - i];
        nodes->chain[count - 1 - i] = swap;
    }
    *ret_count = count;
    return 0;
}

int nodes_open(struct nodes *nodes, struct node *node, int *ret_fd)
{
    if (node->fd < 0) {
        size_t count;
        int error = nodes_chain(nodes, node, &count);
        if (error) {
            return error;
        }
        size_t first = count;
        while (nodes->chain[first - 1]->fd < 0) {
            first--; /* a root is always open */
            if (!nodes->chain[first]->attached) {
                return -ESTALE;
            }
        }
        for (size_t i = first; i < count; i++) {
            error = fd_open_beneath(nodes, nodes->chain[i]);
            if (error) {
                return error;
            }
        }
    }
    fd_touch(nodes, node);
    *ret_fd = node->fd;
    return 0;
}

int nodes_pin(struct nodes *nodes, struct node *node)
{
    int fd;
    if (node->pinned) {
        return 0;
    }
    int error = nodes_open(nodes, node, &fd);
    if (error) {
        return error;
    }
    if (nodes->pinned_count >= nodes->open_limit) {
        return -ENFILE;
    }
    TAILQ_REMOVE(&nodes->lru, node, lru);
    nodes->open_count--;
    nodes->pinned_count++;
    node->pinned = true;
    return 0;
}

int nodes_stat(struct nodes *nodes, struct node *node, struct statx *ret_stat)
{
    if (node->fd >= 0) {
        return node_fd_stat(node->fd, ret_stat);
    }
    if (!node->attached) {
        return -ESTALE;
    }
    int parent_fd;
    int error = nodes_open(nodes, node->parent, &parent_fd);
    if (error) {
        return error;
    }
    struct statx stat;
    error = node_lookup_stat(parent_fd, node->key->name, &stat);
    if (error) {
        return error == -ENOENT ? -ESTALE : error;
    }
    if (!node_is(node, &stat)) {
        return -ESTALE;
    }
    *ret_stat = stat;
    return 0;
}

/* ---- the tree ---- */

static struct node_key *key_new(struct node *parent, const char *name, size_t length)
{
    struct node_key *key = malloc(sizeof(*key) + length + 1);
    if (key) {
        key->parent = parent->id;
        memcpy(key->name, name, length);
        key->name[length] = '\0';
    }
    return key;
}

static size_t key_size(size_t name_length)
{
    return sizeof(struct node_key) + name_length;
}

struct node *nodes_find(struct nodes *nodes, struct node *parent, const char *name, size_t length)
{
    char buffer[sizeof(struct node_key) + GOFER_NAME_MAX + 1];
    struct node *found = NULL;
    if (length > GOFER_NAME_MAX) {
        return NULL;
    }
    memcpy(buffer, &parent->id, sizeof(parent->id));
    memcpy(buffer + sizeof(struct node_key), name, length);
    HASH_FIND(hh, nodes->by_key, buffer, key_size(length), found);
    return found;
}

static int attach(struct nodes *nodes, struct node *node)
{
    size_t size = key_size(strlen(node->key->name));
    HASH_ADD_KEYPTR(hh, nodes->by_key, node->key, size, node);
    if (!hash_was_added(node)) {
        return -ENOMEM;
    }
    node->attached = true;
    return 0;
}

void nodes_detach(struct nodes *nodes, struct node *node)
{
    if (node->attached && node->key) {
        HASH_DELETE(hh, nodes->by_key, node);
        node->attached = false;
    }
}

/* Frees the node, and then ancestors that nobody holds any more. */
static void collect(struct nodes *nodes, struct node *node)
{
    while (node && node->key && node->lookups == 0 && node->children == 0) {
        struct node *parent = node->parent;
        if (nodes->on_free) {
            nodes->on_free(nodes->context, node);
        }
        nodes_detach(nodes, node);
        fd_close(nodes, node);
        slot_give(nodes, node);
        free(node->key);
        free(node);
        nodes->count--;
        parent->children--;
        node = parent;
    }
}

static int node_new(struct nodes *nodes, const struct statx *stat, struct node **ret_node)
{
    if (nodes->count >= nodes->limit) {
        return -ENFILE;
    }
    struct node *node = calloc(1, sizeof(*node));
    if (!node) {
        return -ENOMEM;
    }
    int error = slot_take(nodes, node);
    if (error) {
        free(node);
        return error;
    }
    node->fd = -1;
    node->ino = stat->stx_ino;
    node->dev = stat_dev(stat);
    node->type = stat->stx_mode & S_IFMT;
    nodes->count++;
    *ret_node = node;
    return 0;
}

int nodes_add_root(struct nodes *nodes, uint32_t mount, int fd, const struct statx *stat,
                   struct node **ret_node)
{
    struct node *node;
    int error = node_new(nodes, stat, &node);
    if (error) {
        return error;
    }
    node->mount = mount;
    node->fd = fd;
    node->pinned = true;
    node->attached = true;
    nodes->pinned_count++;
    *ret_node = node;
    return 0;
}

int nodes_child(struct nodes *nodes, struct node *parent, const char *name, size_t length,
                const struct statx *stat, struct node **ret_node)
{
    struct node *node = nodes_find(nodes, parent, name, length);
    if (node && node_is(node, stat)) {
        node->lookups++;
        *ret_node = node;
        return 0;
    }
    struct node *fresh;
    int error = node_new(nodes, stat, &fresh);
    if (error) {
        return error;
    }
    fresh->key = key_new(parent, name, length);
    if (node) {
        nodes_detach(nodes, node);
    }
    fresh->mount = parent->mount;
    if (!fresh->key || attach(nodes, fresh)) {
        slot_give(nodes, fresh);
        free(fresh->key);
        free(fresh);
        nodes->count--;
        return -ENOMEM;
    }
    fresh->parent = parent;
    parent->children++;
    fresh->lookups = 1;
    *ret_node = fresh;
    return 0;
}

void nodes_release(struct nodes *nodes, struct node *node, uint64_t count)
{
    node->lookups -= min_of(node->lookups, count);
    collect(nodes, node);
}

static bool is_beneath(const struct node *node, const struct node *ancestor)
{
    for (; node; node = node->parent) {
        if (node == ancestor) {
            return true;
        }
    }
    return false;
}

int nodes_move(struct nodes *nodes, struct node *node, struct node *parent, const char *name,
               size_t length)
{
    nodes_detach(nodes, node);
    nodes->age++;
    struct node_key *key = key_new(parent, name, length);
    /* The host moved things behind our back: the tree cannot follow. */
    if (!key || is_beneath(parent, node)) {
        free(key);
        return -ENOMEM;
    }
    free(node->key);
    node->key = key;
    struct node *old_parent = node->parent;
    node->parent = parent;
    parent->children++;
    old_parent->children--;
    int error = attach(nodes, node);
    if (old_parent != parent) {
        collect(nodes, old_parent);
    }
    return error;
}

void nodes_fini(struct nodes *nodes)
{
    for (uint32_t i = 0; i < nodes->slot_count; i++) {
        struct node *node = nodes->slots[i].node;
        if (!node) {
            continue;
        }
        nodes_detach(nodes, node);
        if (node->fd >= 0) {
            close(node->fd);
        }
        free(node->key);
        free(node);
    }
    free(nodes->slots);
    *nodes = (struct nodes){0};
}
