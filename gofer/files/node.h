/*
 * node.h: the host objects that the client knows, as a tree of names beneath the mount roots.
 *
 * A node is found by its id (the fid) or by (parent, name). It lives while the client holds
 * references (lookups) or children stand beneath it. A node is an identity (device, inode, type)
 * and a way to reach it: an O_PATH descriptor when one is open, else the descriptor of the parent
 * and the name. Descriptors are closed least-recently-used first when there are too many, and
 * whoever reopens one checks that the identity is still the same: a name that now leads elsewhere
 * is -ESTALE, never another object.
 *
 * Lookups never leave a root: one component at a time, openat2 beneath the parent's descriptor, no
 * symbolic and no magic links. Single-threaded.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "gofer/protocol.h"
#include "platform/base/compiler.h"
#include "platform/base/hash.h"
#include "platform/base/queue.h"

#define NODE_DEPTH_MAX 2048
#define NODE_HELD_MAX  4
#define NODE_OPEN_MIN  16

struct node_key {
    uint64_t parent; /* id */
    char name[];     /* NUL-terminated for our own use; the NUL is not part of the key */
};

/* What the policy and the mount allow for a path; cached until a directory moves. */
struct node_verdict {
    enum gofer_access access;
    bool passage;   /* a directory that may only be walked and listed */
    bool kernel_fs; /* on a file system of the host kernel, not of files */
    int rule;
    uint32_t quotas;
};

struct node {
    UT_hash_handle hh;    /* by key; only while attached */
    struct node_key *key; /* NULL: a root */
    struct node *parent;
    uint64_t id;
    uint64_t lookups;
    uint32_t children;
    uint32_t mount;
    bool attached; /* its name leads to it, as far as we know */
    bool held;     /* in nodes.held */
    bool pinned;   /* its descriptor is the only way to it */
    bool credit;   /* its last name was removed: give its size back to the quotas when it goes */
    int fd;        /* O_PATH; -1: not open */
    TAILQ_ENTRY(node) lru; /* while fd >= 0 and not pinned */

    uint64_t ino;
    uint64_t dev;  /* host's */
    uint32_t type; /* S_IFMT bits */

    uint64_t verdict_age; /* nodes.age when the verdict was made; 0: none */
    struct node_verdict verdict;
};

struct node_slot {
    struct node *node;
    uint32_t generation;
    uint32_t next_free;
};

TAILQ_HEAD(node_list, node);

struct nodes {
    struct node_slot *slots;
    uint32_t slot_count, slot_capacity, first_free;
    uint32_t limit; /* of nodes */
    uint32_t count;
    struct node *by_key;
    struct node_list lru; /* most recent first */
    uint32_t open_count, pinned_count, open_limit;
    struct node *held[NODE_HELD_MAX]; /* for this request */
    uint32_t held_count;
    uint64_t age;                       /* grows when paths change: from 1 */
    struct node *chain[NODE_DEPTH_MAX]; /* scratch of nodes_chain */
    /* A node is about to be freed. */
    void (*on_free)(void *context, struct node *node);
    void *context;
};

void nodes_init(struct nodes *nodes, uint32_t limit, uint32_t open_limit);
void nodes_fini(struct nodes *nodes);

/* NULL: no such fid. */
struct node *nodes_get(struct nodes *nodes, uint64_t id);
/* A root that lives until nodes_fini; takes fd. */
int nodes_add_root(struct nodes *nodes, uint32_t mount, int fd, const struct statx *stat,
                   struct node **ret_node) must_check;
/*
 * The node of a name that was just found to be stat; adds a lookup. A known node of another
 * identity loses the name. -ENFILE: too many nodes.
 */
int nodes_child(struct nodes *nodes, struct node *parent, const char *name, size_t length,
                const struct statx *stat, struct node **ret_node) must_check;
/* A known node of that name, or NULL. No reference. */
struct node *nodes_find(struct nodes *nodes, struct node *parent, const char *name, size_t length);
/* Drops lookups; never more than there are. */
void nodes_release(struct nodes *nodes, struct node *node, uint64_t count);

/* The O_PATH descriptor, borrowed until the next call that opens one. */
int nodes_open(struct nodes *nodes, struct node *node, int *ret_fd) must_check;
/* Keeps an open descriptor from being closed until nodes_unhold_all; at most NODE_HELD_MAX nodes.
 */
void nodes_hold(struct nodes *nodes, struct node *node);
void nodes_unhold_all(struct nodes *nodes);
/* Keeps the descriptor open for good: the name is about to go. */
int nodes_pin(struct nodes *nodes, struct node *node) must_check;
/* The name is gone. */
void nodes_detach(struct nodes *nodes, struct node *node);
/* The node's name changed; what stood there before must be detached. -ENOMEM: the node was detached
 * instead. */
int nodes_move(struct nodes *nodes, struct node *node, struct node *parent, const char *name,
               size_t length) must_check;
/* Fresh attributes; -ESTALE when the name leads to another object. */
int nodes_stat(struct nodes *nodes, struct node *node, struct statx *ret_stat) must_check;

/* nodes->chain: the node's ancestors from the root down to itself. -ENAMETOOLONG: too deep. */
int nodes_chain(struct nodes *nodes, struct node *node, size_t *ret_count) must_check;

/* Host lookups, one component beneath dir_fd. */
int node_lookup_stat(int dir_fd, const char *name, struct statx *ret_stat) must_check;
int node_lookup_open(int dir_fd, const char *name, uint64_t flags, uint64_t mode,
                     int *ret_fd) must_check;
int node_fd_stat(int fd, struct statx *ret_stat) must_check;
bool node_is(const struct node *node, const struct statx *stat);
