/*
 * gofer_fd.c: donated descriptors. A node keeps one for reading and one for reading and writing;
 * those nobody uses stay open, up to a bound, because most files are opened again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "sentry/fs/gofer/internal.h"

static void host_fd_free(struct gofer_host_fd *host_fd)
{
    if (host_fd != NULL) {
        if (host_fd->fd >= 0) {
            close(host_fd->fd);
        }
        free(host_fd);
    }
}

/* One more user, if there is a descriptor that serves. table_lock is held. */
static struct gofer_host_fd *use_locked(struct gofer_super *super, struct gofer_node *node,
                                        bool write)
{
    struct gofer_host_fd *host_fd = node->write_fd;
    if (!write && (host_fd == NULL || host_fd->by_message)) {
        host_fd = node->read_fd;
    }
    if (host_fd != NULL && host_fd->users++ == 0) {
        TAILQ_REMOVE(&super->idle, host_fd, idle_link);
        super->idle_count--;
    }
    return host_fd;
}

static struct gofer_host_fd *host_fd_new(struct gofer_node *node, int fd, bool write,
                                         uint32_t open_result)
{
    struct gofer_host_fd *host_fd = calloc(1, sizeof(*host_fd));
    if (host_fd == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    host_fd->node = node;
    host_fd->fd = fd;
    host_fd->by_message = open_result == GOFER_OPEN_WRITE_MESSAGE;
    host_fd->writable = write && !host_fd->by_message;
    return host_fd;
}

/* Files that may be written but not read (mode 0200) open for writing alone. */
static int open_host(struct gofer_node *node, bool write, int *ret_fd, uint32_t *ret_result)
{
    struct gofer_client *client = gofer_super_of(node)->client;
    uint64_t fid;
    int result = gofer_node_fid(node, &fid);
    if (result == 0) {
        result = gofer_open(client, fid, write ? O_RDWR : O_RDONLY, ret_fd, ret_result);
    }
    if (result == -EACCES && write) {
        result = gofer_open(client, fid, O_WRONLY, ret_fd, ret_result);
    }
    return result;
}

int gofer_fd_get(struct gofer_node *node, bool write, struct gofer_host_fd **ret)
{
    struct gofer_super *super = gofer_super_of(node);
    mutex_lock(&super->table_lock);
    struct gofer_host_fd *host_fd = use_locked(super, node, write);
    mutex_unlock(&super->table_lock);
    if (host_fd != NULL) {
        *ret = host_fd;
        return 0;
    }
    int fd = -1;
    uint32_t open_result = 0;
    int result = open_host(node, write, &fd, &open_result);
    if (result < 0) {
        return result;
    }
    struct gofer_host_fd *fresh = host_fd_new(node, fd, write, open_result);
    if (fresh == NULL) {
        return -ENOMEM;
    }
    mutex_lock(&super->table_lock);
    host_fd = use_locked(super, node, write);
    if (host_fd == NULL) {
        host_fd = fresh;
        host_fd->users = 1;
        *(write ? &node->write_fd : &node->read_fd) = host_fd;
        fresh = NULL;
    }
    mutex_unlock(&super->table_lock);
    host_fd_free(fresh);
    *ret = host_fd;
    return 0;
}

/* Takes an idle descriptor from its node. table_lock is held. */
static void detach_locked(struct gofer_super *super, struct gofer_host_fd *host_fd)
{
    struct gofer_node *node = host_fd->node;
    if (node->read_fd == host_fd) {
        node->read_fd = NULL;
    } else {
        node->write_fd = NULL;
    }
    TAILQ_REMOVE(&super->idle, host_fd, idle_link);
    super->idle_count--;
}

static void make_idle_locked(struct gofer_super *super, struct gofer_host_fd *host_fd,
                             struct gofer_host_fd **ret_victim)
{
    TAILQ_INSERT_TAIL(&super->idle, host_fd, idle_link);
    super->idle_count++;
    if (super->idle_count > super->options.max_idle_fds) {
        *ret_victim = TAILQ_FIRST(&super->idle);
        detach_locked(super, *ret_victim);
    }
}

void gofer_fd_put(struct gofer_host_fd *host_fd)
{
    struct gofer_super *super = gofer_super_of(host_fd->node);
    struct gofer_host_fd *victim = NULL;
    mutex_lock(&super->table_lock);
    if (--host_fd->users == 0) {
        make_idle_locked(super, host_fd, &victim);
    }
    mutex_unlock(&super->table_lock);
    host_fd_free(victim);
}

void gofer_fd_keep(struct gofer_node *node, int fd, uint32_t open_result)
{
    struct gofer_super *super = gofer_super_of(node);
    struct gofer_host_fd *victim = NULL;
    struct gofer_host_fd *host_fd = host_fd_new(node, fd, true, open_result);
    if (host_fd == NULL) {
        return; /* the open that follows asks again */
    }
    mutex_lock(&super->table_lock);
    if (node->write_fd == NULL) {
        node->write_fd = host_fd;
        make_idle_locked(super, host_fd, &victim);
        host_fd = NULL;
    }
    mutex_unlock(&super->table_lock);
    host_fd_free(victim);
    host_fd_free(host_fd);
}

void gofer_fd_close_all(struct gofer_node *node)
{
    struct gofer_super *super = gofer_super_of(node);
    struct gofer_host_fd *closed[2];
    mutex_lock(&super->table_lock);
    closed[0] = node->read_fd;
    closed[1] = node->write_fd;
    for (int i = 0; i < 2; i++) {
        if (closed[i] != NULL) { /* open files hold the node: nobody uses them */
            detach_locked(super, closed[i]);
        }
    }
    mutex_unlock(&super->table_lock);
    host_fd_free(closed[0]);
    host_fd_free(closed[1]);
}
