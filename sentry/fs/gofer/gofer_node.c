/*
 * gofer_node.c: host objects as inodes: identity, fids, attributes.
 *
 * A node known from a directory listing has no fid; it is walked to, from the nearest ancestor that
 * has one, when a message needs it. Places (parent, name) of such nodes cannot change behind our
 * back: they exist on exclusive mounts only, and our own renames fetch the fid first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/clock.h"
#include "sentry/core/current.h"
#include "sentry/fs/gofer/internal.h"

LIST_HEAD(reap_list, gofer_node);
/* As in the overlay: chains of directories are freed without recursion. */
static _Thread_local struct reap_list reap_waiting;
static _Thread_local bool reap_active;

static struct gofer_key key_of(const struct gofer_attr *attr)
{
    struct gofer_key key;
    memset(&key, 0, sizeof(key));
    key.ino = attr->ino;
    key.dev_id = attr->dev_id;
    key.access = attr->access;
    return key;
}

bool gofer_key_equal(const struct gofer_node *node, const struct gofer_attr *attr)
{
    return node->key.ino == attr->ino && node->key.dev_id == attr->dev_id &&
           node->key.access == attr->access &&
           ((inode_load(node->inode.mode) ^ attr->mode) & S_IFMT) == 0;
}

uint64_t gofer_ino(const struct gofer_super *super, const struct gofer_attr *attr)
{
    /* Several host devices below one mount: one st_dev inside, so numbers are told apart by high
     * bits. */
    uint64_t device = attr->dev_id - super->root_dev_id;
    return device == 0 ? attr->ino : attr->ino ^ (device << 52);
}

static uint32_t map_id(uint32_t id, uint32_t from, uint32_t to)
{
    return id == from ? to : id;
}

uint32_t gofer_host_uid(const struct gofer_super *super, uint32_t uid)
{
    return map_id(uid, super->options.guest_uid, super->options.host_uid);
}

uint32_t gofer_host_gid(const struct gofer_super *super, uint32_t gid)
{
    return map_id(gid, super->options.guest_gid, super->options.host_gid);
}

static struct timespec time_of(const struct gofer_time *time)
{
    return (struct timespec){.tv_sec = time->seconds, .tv_nsec = (long)time->nanoseconds};
}

void gofer_node_update_locked(struct gofer_node *node, const struct gofer_attr *attr)
{
    struct gofer_super *super = gofer_super_of(node);
    struct inode *inode = &node->inode;
    struct timespec ctime = time_of(&attr->ctime);
    if (node->target != NULL &&
        (ctime.tv_sec != inode->ctime.tv_sec || ctime.tv_nsec != inode->ctime.tv_nsec)) {
        free(node->target);
        node->target = NULL;
    }
    inode_store(inode->mode, (inode->mode & S_IFMT) | (attr->mode & 07777));
    inode_store(inode->uid, map_id(attr->uid, super->options.host_uid, super->options.guest_uid));
    inode_store(inode->gid, map_id(attr->gid, super->options.host_gid, super->options.guest_gid));
    inode_store(inode->nlink, attr->nlink);
    inode_store(inode->size, attr->size);
    inode->blocks = attr->blocks;
    inode->atime = time_of(&attr->atime);
    inode->mtime = time_of(&attr->mtime);
    inode->ctime = ctime;
    inode->btime = time_of(&attr->btime);
    node->blksize = attr->blksize;
    atomic_store(&node->valid_until, super->exclusive
                                         ? UINT64_MAX
                                         : clock_monotonic_ns() + GOFER_FS_VALID_MS * 1000000ULL);
}

void gofer_node_update(struct gofer_node *node, const struct gofer_attr *attr)
{
    mutex_lock_nested(&node->inode.lock);
    gofer_node_update_locked(node, attr);
    mutex_unlock(&node->inode.lock);
}

void gofer_node_expire(struct gofer_node *node)
{
    atomic_store(&node->valid_until, 0);
}

int gofer_node_refresh(struct gofer_node *node)
{
    uint64_t until = atomic_load(&node->valid_until);
    uint64_t fid;
    struct gofer_attr attr;
    if (until == UINT64_MAX || (until != 0 && clock_monotonic_ns() < until)) {
        return 0;
    }
    int result = gofer_node_fid(node, &fid);
    if (result == 0) {
        result = gofer_getattr(gofer_super_of(node)->client, fid, &attr);
    }
    if (result == 0) {
        gofer_node_update(node, &attr);
    }
    return result;
}

/* The living node of a key, with a reference. table_lock is held. */
static struct gofer_node *find_node(struct gofer_super *super, const struct gofer_key *key)
{
    struct gofer_node *node = NULL;
    HASH_FIND(hh, super->nodes, key, sizeof(*key), node);
    if (node != NULL && refcount_get_unless_zero(&node->inode.ref)) {
        return node;
    }
    return NULL;
}

static int hash_insert(struct gofer_super *super, struct gofer_node *node)
{
    struct gofer_node *dying = NULL;
    HASH_FIND(hh, super->nodes, &node->key, sizeof(node->key), dying);
    if (dying != NULL) {
        HASH_DEL(super->nodes, dying);
        dying->hashed = false;
    }
    HASH_ADD(hh, super->nodes, key, sizeof(node->key), node);
    if (!hash_was_added(node)) {
        return -ENOMEM;
    }
    node->hashed = true;
    return 0;
}

static int node_new(struct gofer_super *super, struct gofer_node *parent, const char *name,
                    const struct gofer_attr *attr, struct gofer_node **ret)
{
    struct gofer_node *node = calloc(1, sizeof(*node));
    char *copy = name != NULL ? strdup(name) : NULL;
    if (node == NULL || (name != NULL && copy == NULL)) {
        free(node);
        free(copy);
        return -ENOMEM;
    }
    bool directory = S_ISDIR(attr->mode);
    inode_init(&node->inode, &super->super, directory ? &gofer_fs_dir_ops : &gofer_fs_inode_ops,
               gofer_ino(super, attr), attr->mode & (S_IFMT | 07777));
    node->inode.rdev = attr->rdev;
    node->key = key_of(attr);
    node->name = copy;
    if (parent != NULL) {
        inode_ref(&parent->inode);
        node->parent = parent;
    }
    gofer_node_update(node, attr);
    *ret = node;
    return 0;
}

/* Another look at a node that exists: newer attributes, and the fid if it had none. */
static void node_found(struct gofer_super *super, struct gofer_node *node,
                       const struct gofer_attr *attr, uint64_t fid)
{
    uint64_t none = 0;
    if (fid != 0 && !atomic_compare_exchange_strong(&node->fid, &none, fid)) {
        gofer_release(super->client, fid);
    }
    if (!super->exclusive) {
        gofer_node_update(node, attr);
    }
}

int gofer_node_get(struct gofer_super *super, struct gofer_node *parent, const char *name,
                   const struct gofer_attr *attr, uint64_t fid, struct gofer_node **ret)
{
    struct gofer_key key = key_of(attr);
    mutex_lock(&super->table_lock);
    struct gofer_node *node = find_node(super, &key);
    mutex_unlock(&super->table_lock);
    if (node != NULL && ((inode_load(node->inode.mode) ^ attr->mode) & S_IFMT) != 0) {
        inode_unref(&node->inode); /* the host used the number again, for another type */
        node = NULL;
    }
    if (node != NULL) {
        node_found(super, node, attr, fid);
        *ret = node;
        return 0;
    }
    int result = node_new(super, parent, name, attr, &node);
    if (result < 0) {
        gofer_release(super->client, fid);
        return result;
    }
    atomic_store(&node->fid, fid);
    mutex_lock(&super->table_lock);
    struct gofer_node *other = find_node(super, &key);
    if (other == NULL || ((inode_load(other->inode.mode) ^ attr->mode) & S_IFMT) != 0) {
        result = hash_insert(super, node);
    }
    mutex_unlock(&super->table_lock);
    if (other != NULL && !node->hashed) {
        /* Another thread was faster. The fid stays with our copy, which gives it back. */
        inode_unref(&node->inode);
        node = other;
        other = NULL;
    }
    if (other != NULL) {
        inode_unref(&other->inode);
    }
    if (result < 0) {
        inode_unref(&node->inode);
        return result;
    }
    *ret = node;
    return 0;
}

static void node_destroy(struct gofer_node *node)
{
    struct gofer_super *super = gofer_super_of(node);
    gofer_names_forget(node);
    mutex_lock(&super->table_lock);
    if (node->hashed) {
        HASH_DEL(super->nodes, node);
        node->hashed = false;
    }
    mutex_unlock(&super->table_lock);
    gofer_fd_close_all(node);
    gofer_release(super->client, atomic_load(&node->fid));
    if (inode_load(node->inode.nlink) == 0 && S_ISREG(inode_load(node->inode.mode))) {
        gofer_flush(super->client); /* the disk space is wanted back now */
    }
    if (node->parent != NULL) {
        inode_unref(&node->parent->inode);
    }
    free(node->name);
    free(node->target);
    inode_fini(&node->inode);
    free(node);
}

void gofer_node_free(struct inode *inode)
{
    LIST_INSERT_HEAD(&reap_waiting, gofer_node_of(inode), reap_link);
    super_ref(inode->super);
    if (reap_active) {
        return;
    }
    reap_active = true;
    struct gofer_node *node;
    while ((node = LIST_FIRST(&reap_waiting)) != NULL) {
        struct super *super = node->inode.super;
        LIST_REMOVE(node, reap_link);
        node_destroy(node);
        super_unref(super);
    }
    reap_active = false;
}

/* The ancestors without fid, the highest first, up to GOFER_WALK_MAX; all with references. Returns
 * the number; *ret_base has a fid. walk_lock is held. */
static size_t missing_fids(struct gofer_node *node, struct gofer_node **ret_missing,
                           struct gofer_node **ret_base)
{
    struct gofer_super *super = gofer_super_of(node);
    size_t count = 0;
    mutex_lock(&super->table_lock);
    struct gofer_node *at = node;
    while (at->parent != NULL && atomic_load(&at->fid) == 0) {
        if (count == GOFER_WALK_MAX) {
            memmove(ret_missing, ret_missing + 1, (count - 1) * sizeof(*ret_missing));
            count--;
        }
        ret_missing[count++] = at;
        at = at->parent;
    }
    /* Kept in this order from node upwards: the highest are last. */
    for (size_t i = 0; i < count / 2; i++) {
        struct gofer_node *swap = ret_missing[i];
        ret_missing[i] = ret_missing[count - 1 - i];
        ret_missing[count - 1 - i] = swap;
    }
    for (size_t i = 0; i < count; i++) {
        inode_ref(&ret_missing[i]->inode);
    }
    mutex_unlock(&super->table_lock);
    *ret_base = at;
    return count;
}

static int walk_missing(struct gofer_super *super, struct gofer_node *base,
                        struct gofer_node **missing, size_t count)
{
    const char *names[GOFER_WALK_MAX];
    auto_free struct gofer_object *objects = calloc(count, sizeof(*objects));
    auto_free struct gofer_walk_result *walked = calloc(1, sizeof(*walked));
    uint64_t base_fid = atomic_load(&base->fid);
    if (objects == NULL || walked == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = missing[i]->name; /* fixed while there is no fid */
    }
    int result =
        gofer_walk_many(super->client, base_fid, names, count, GOFER_NO_OPEN, objects, walked);
    if (result < 0) {
        return result;
    }
    /* Keeps what was found, as long as it is what the listing said. */
    bool match = true;
    for (size_t i = 0; i < walked->count && i < count; i++) {
        uint64_t none = 0;
        match = match && gofer_key_equal(missing[i], &objects[i].attr);
        if (!match || !atomic_compare_exchange_strong(&missing[i]->fid, &none, objects[i].fid)) {
            gofer_release(super->client, objects[i].fid);
        }
    }
    if (!match) {
        return -ESTALE; /* an exclusive mount was changed after all */
    }
    if (walked->count < count) {
        return walked->error < 0 ? walked->error : -ESTALE;
    }
    return 0;
}

/* Every message about a node starts here: who asks, for the audit. */
static void identify(void)
{
    gofer_process.pid = current.tgid;
    memcpy(gofer_process.comm, current.comm, sizeof(gofer_process.comm) - 1);
}

int gofer_node_fid(struct gofer_node *node, uint64_t *ret_fid)
{
    identify();
    struct gofer_super *super = gofer_super_of(node);
    struct gofer_node *missing[GOFER_WALK_MAX];
    int result = 0;
    uint64_t fid = atomic_load(&node->fid);
    if (fid == 0) {
        mutex_lock(&super->walk_lock);
        while (result == 0 && atomic_load(&node->fid) == 0) {
            struct gofer_node *base;
            size_t count = missing_fids(node, missing, &base);
            if (count == 0) {
                result = -EIO;
                break;
            }
            result = walk_missing(super, base, missing, count);
            for (size_t i = 0; i < count; i++) {
                inode_unref(&missing[i]->inode);
            }
        }
        fid = atomic_load(&node->fid);
        mutex_unlock(&super->walk_lock);
    }
    if (result == 0) {
        *ret_fid = fid;
    }
    return result;
}

void gofer_node_move(struct gofer_node *node, struct gofer_node *parent, const char *name)
{
    struct gofer_super *super = gofer_super_of(node);
    char *copy = strdup(name);
    if (copy == NULL) {
        return; /* only ".." of a listing is less right */
    }
    inode_ref(&parent->inode);
    mutex_lock(&super->table_lock);
    struct gofer_node *old = node->parent;
    char *old_name = node->name;
    node->parent = parent;
    node->name = copy;
    mutex_unlock(&super->table_lock);
    free(old_name);
    if (old != NULL) {
        inode_unref(&old->inode);
    }
}

uint64_t gofer_node_parent_ino(struct gofer_node *node)
{
    struct gofer_super *super = gofer_super_of(node);
    mutex_lock(&super->table_lock);
    uint64_t ino = node->parent != NULL ? node->parent->inode.ino : node->inode.ino;
    mutex_unlock(&super->table_lock);
    return ino;
}
