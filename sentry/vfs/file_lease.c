/*
 * file_lease.c: see file_lease.h. Leases are few: one list under one lock. A lease holds neither
 * its file nor its inode: the file's end takes it out.
 */
#include "sentry/vfs/file_lease.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "platform/base/queue.h"
#include "sentry/core/clock.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/core/wait_queue.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"

struct lease {
    TAILQ_ENTRY(lease) link;
    struct file *file;
    int fd, type;
    bool unlock_pending, downgrade_pending; /* it is being broken */
    uint64_t deadline_ns;                   /* of the breaking; CLOCK_MONOTONIC */
};

_Atomic uint64_t lease_break_time = 45;
void (*lease_signal)(struct file *file, int fd, int code, uint32_t band);

static struct mutex lease_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_OBJECT};
static TAILQ_HEAD(, lease) leases = TAILQ_HEAD_INITIALIZER(leases); /* under lease_lock */
static atomic_uint lease_count;                                     /* written under lease_lock */
static struct wait_queue queue = {
    .lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_WAIT_QUEUE},
    .entries = TAILQ_HEAD_INITIALIZER(queue.entries)};

struct wait_queue *lease_wait_queue(void)
{
    return &queue;
}

static void remove_locked(struct lease *lease)
{
    TAILQ_REMOVE(&leases, lease, link);
    atomic_fetch_sub(&lease_count, 1);
    free(lease);
    wait_queue_wake(&queue, EPOLLIN);
}

/* Linux: lease_modify. */
static void change_locked(struct lease *lease, int type)
{
    lease->type = type;
    lease->downgrade_pending = false;
    lease->unlock_pending = lease->unlock_pending && type != F_UNLCK;
    if (type == F_UNLCK) {
        remove_locked(lease);
    } else {
        wait_queue_wake(&queue, EPOLLIN);
    }
}

/* Who did not give way in time loses the lease. */
static void expire_locked(void)
{
    uint64_t now = clock_monotonic_ns();
    struct lease *lease;
    struct lease *next;
    TAILQ_FOREACH_SAFE (lease, &leases, link, next) {
        bool pending = lease->unlock_pending || lease->downgrade_pending;
        if (pending && now >= lease->deadline_ns) {
            change_locked(lease, lease->unlock_pending ? F_UNLCK : F_RDLCK);
        }
    }
}

static struct lease *find_locked(const struct file *file)
{
    struct lease *lease;
    TAILQ_FOREACH (lease, &leases, link) {
        if (lease->file == file) {
            return lease;
        }
    }
    return NULL;
}

/* Linux: check_conflicting_open, generic_add_lease. */
static int check_locked(const struct file *file, int type)
{
    struct inode *inode = file->inode;
    int writers = max_of(atomic_load(&inode->write_openers), 0);
    int readers = atomic_load(&inode->read_openers);
    bool writes = (file->mode & FILE_WRITE) != 0;
    bool reads = !writes && (file->mode & FILE_READ) != 0;
    if (type == F_RDLCK && writers > 0) {
        return -EAGAIN;
    }
    if (type == F_WRLCK && (writers != (writes ? 1 : 0) || readers != (reads ? 1 : 0))) {
        return -EAGAIN;
    }
    const struct lease *lease;
    TAILQ_FOREACH (lease, &leases, link) {
        /* Linux: a writer that waits counts as having the file open; nobody may share it then. */
        if (lease->file->inode == inode &&
            (lease->unlock_pending || (lease->file != file && type == F_WRLCK))) {
            return -EAGAIN;
        }
    }
    return 0;
}

static int add_locked(struct file *file, int fd, int type)
{
    int result = check_locked(file, type);
    if (result != 0) {
        return result;
    }
    struct lease *lease = find_locked(file);
    if (lease) {
        change_locked(lease, type);
        return 0;
    }
    lease = calloc(1, sizeof(*lease));
    if (!lease) {
        return -ENOMEM;
    }
    lease->file = file;
    lease->fd = fd;
    lease->type = type;
    TAILQ_INSERT_TAIL(&leases, lease, link);
    atomic_fetch_add(&lease_count, 1);
    return 0;
}

int lease_set(struct file *file, int fd, int type)
{
    int result = -EINVAL;
    if (type != F_RDLCK && type != F_WRLCK && type != F_UNLCK) {
        return -EINVAL;
    }
    if (inode_load(file->inode->uid) != current.cred->fsuid && !capable(CAP_LEASE)) {
        return -EACCES;
    }
    if (!S_ISREG(inode_load(file->inode->mode))) {
        return -EINVAL;
    }
    mutex_lock(&lease_lock);
    expire_locked();
    if (type == F_UNLCK) {
        struct lease *lease = find_locked(file);
        result = lease ? 0 : -EAGAIN;
        if (lease) {
            remove_locked(lease);
        }
    } else {
        result = add_locked(file, fd, type);
    }
    mutex_unlock(&lease_lock);
    return result;
}

int lease_get(struct file *file)
{
    int type = F_UNLCK;
    if (atomic_load(&lease_count) == 0) {
        return type;
    }
    mutex_lock(&lease_lock);
    expire_locked();
    const struct lease *lease = find_locked(file);
    if (lease) {
        type = lease->unlock_pending ? F_UNLCK : lease->downgrade_pending ? F_RDLCK : lease->type;
    }
    mutex_unlock(&lease_lock);
    return type;
}

/* Marks the lease as to be broken; its holder hears of it once for each way. */
static void begin_break_locked(struct lease *lease, bool writes)
{
    uint64_t seconds = atomic_load(&lease_break_time);
    if (writes ? lease->unlock_pending : lease->unlock_pending || lease->downgrade_pending) {
        return;
    }
    lease->unlock_pending = writes;
    lease->downgrade_pending = !writes;
    lease->deadline_ns =
        seconds == 0 ? SLEEP_FOREVER : ns_add(clock_monotonic_ns(), seconds * NSEC_PER_SEC);
    if (lease_signal) {
        lease_signal(lease->file, lease->fd, POLL_MSG, EPOLLIN | EPOLLRDNORM);
    }
}

int lease_break(struct inode *inode, bool writes, bool nonblock)
{
    bool conflict = false;
    if (atomic_load(&lease_count) == 0) {
        return 0;
    }
    mutex_lock(&lease_lock);
    expire_locked();
    struct lease *lease;
    TAILQ_FOREACH (lease, &leases, link) {
        if (lease->file->inode == inode && (writes || lease->type == F_WRLCK)) {
            begin_break_locked(lease, writes);
            conflict = true;
        }
    }
    mutex_unlock(&lease_lock);
    return !conflict ? 0 : nonblock ? -EWOULDBLOCK : LEASE_WAIT;
}

uint64_t lease_deadline(void)
{
    uint64_t earliest = SLEEP_FOREVER;
    mutex_lock(&lease_lock);
    const struct lease *lease;
    TAILQ_FOREACH (lease, &leases, link) {
        if (lease->unlock_pending || lease->downgrade_pending) {
            earliest = min_of(earliest, lease->deadline_ns);
        }
    }
    mutex_unlock(&lease_lock);
    return earliest;
}

void lease_release_file(struct file *file)
{
    if (atomic_load(&lease_count) == 0) {
        return;
    }
    mutex_lock(&lease_lock);
    struct lease *lease = find_locked(file);
    if (lease) {
        remove_locked(lease);
    }
    mutex_unlock(&lease_lock);
}
