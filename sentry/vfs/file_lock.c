/*
 * file_lock.c: POSIX, OFD and flock locks of an inode, under one mutex per inode (RANK_OBJECT). The
 * table of waiters for deadlock detection has its own mutex, taken inside. Linux: fs/locks.c.
 */
#include "sentry/vfs/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "platform/base/text.h"
#include "sentry/core/wait_queue.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"

#define DEADLOCK_DEPTH 10 /* Linux: MAX_DEADLK_ITERATIONS */

TAILQ_HEAD(lock_list, file_lock);

struct file_locks {
    struct mutex lock;        /* RANK_OBJECT */
    struct lock_list records; /* POSIX and OFD, by owner then start; under lock */
    struct lock_list flocks;  /* under lock */
    struct wait_queue queue;
};

static struct mutex waiters_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_OBJECT};
static TAILQ_HEAD(, file_lock_wait) waiters = TAILQ_HEAD_INITIALIZER(waiters);

static struct file_locks *get_locks(struct inode *inode)
{
    struct file_locks *locks = atomic_load(&inode->locks);
    if (locks) {
        return locks;
    }
    struct file_locks *fresh = calloc(1, sizeof(*fresh));
    if (!fresh) {
        return NULL;
    }
    mutex_init(&fresh->lock, RANK_OBJECT);
    TAILQ_INIT(&fresh->records);
    TAILQ_INIT(&fresh->flocks);
    wait_queue_init(&fresh->queue);
    if (atomic_compare_exchange_strong(&inode->locks, &locks, fresh)) {
        return fresh;
    }
    wait_queue_fini(&fresh->queue);
    mutex_fini(&fresh->lock);
    free(fresh);
    return locks;
}

static void clear_list(struct lock_list *list)
{
    struct file_lock *lock;
    while ((lock = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, lock, link);
        free(lock);
    }
}

void file_locks_free(struct inode *inode)
{
    struct file_locks *locks = atomic_exchange(&inode->locks, NULL);
    if (locks) {
        clear_list(&locks->records);
        clear_list(&locks->flocks);
        wait_queue_fini(&locks->queue);
        mutex_fini(&locks->lock);
        free(locks);
    }
}

void file_lock_wait_init(struct file_lock_wait *wait)
{
    *wait = (struct file_lock_wait){.queued = false};
}

void file_lock_wait_end(struct file_lock_wait *wait)
{
    if (wait->queued) {
        mutex_lock_nested(&waiters_lock);
        TAILQ_REMOVE(&waiters, wait, link);
        mutex_unlock(&waiters_lock);
        wait->queued = false;
    }
}

static const void *waits_for_locked(const void *owner) REQUIRES(waiters_lock)
{
    struct file_lock_wait *wait;
    TAILQ_FOREACH (wait, &waiters, link) {
        if (wait->owner == owner) {
            return wait->blocked_on;
        }
    }
    return NULL;
}

/* Locks of owner went: who waited for them asks again, and until then waits for nobody. */
static void forget_waits_for(const struct file_locks *locks, const void *owner)
{
    struct file_lock_wait *wait;
    mutex_lock_nested(&waiters_lock);
    TAILQ_FOREACH (wait, &waiters, link) {
        if (wait->locks == locks && wait->blocked_on == owner) {
            wait->blocked_on = NULL;
        }
    }
    mutex_unlock(&waiters_lock);
}

/* owner is about to wait for blocker: registers it, or finds the circle. */
static int wait_begin(struct file_lock_wait *wait, const struct file_locks *locks,
                      const void *owner, const void *blocker)
{
    const void *next = blocker;
    int error = 0;
    mutex_lock_nested(&waiters_lock);
    for (int depth = 0; next && depth < DEADLOCK_DEPTH; depth++) {
        next = waits_for_locked(next);
        if (next == owner) {
            error = -EDEADLK;
            break;
        }
    }
    if (error == 0) {
        wait->owner = owner;
        wait->blocked_on = blocker;
        wait->locks = locks;
        if (!wait->queued) {
            TAILQ_INSERT_TAIL(&waiters, wait, link);
            wait->queued = true;
        }
    }
    mutex_unlock(&waiters_lock);
    return error;
}

static bool overlaps(const struct file_lock *a, const struct file_lock *b)
{
    return a->start <= b->end && b->start <= a->end;
}

static struct file_lock *find_conflict_locked(struct file_locks *locks,
                                              const struct file_lock *request)
{
    struct lock_list *list = request->kind == FILE_LOCK_FLOCK ? &locks->flocks : &locks->records;
    struct file_lock *lock;
    TAILQ_FOREACH (lock, list, link) {
        if (lock->owner != request->owner && overlaps(lock, request) &&
            (lock->type == F_WRLCK || request->type == F_WRLCK)) {
            return lock;
        }
    }
    return NULL;
}

static void insert_record_locked(struct file_locks *locks, struct file_lock *lock)
{
    struct file_lock *other;
    TAILQ_FOREACH (other, &locks->records, link) {
        if (other->owner == lock->owner && other->start > lock->start) {
            TAILQ_INSERT_BEFORE(other, lock, link);
            return;
        }
    }
    TAILQ_INSERT_TAIL(&locks->records, lock, link);
}

/* Do two ranges of one owner and type become one? */
static bool touches(const struct file_lock *a, const struct file_lock *b)
{
    return overlaps(a, b) || (a->end != FILE_LOCK_MAX_END && a->end + 1 == b->start) ||
           (b->end != FILE_LOCK_MAX_END && b->end + 1 == a->start);
}

/*
 * Gives owner exactly request in its range. spare[0] becomes the new lock, spare[1] the second half
 * of a split; what was not used stays there. Returns whether somebody else may go on now.
 */
static bool apply_record_locked(struct file_locks *locks, const struct file_lock *request,
                                struct file_lock *spare[2])
{
    struct file_lock merged = *request;
    struct file_lock *lock, *next;
    bool released = false;
    TAILQ_FOREACH_SAFE (lock, &locks->records, link, next) {
        if (lock->owner != request->owner || lock->kind != request->kind) {
            continue;
        }
        if (lock->type == request->type) {
            if (touches(lock, &merged)) {
                merged.start = min_of(merged.start, lock->start);
                merged.end = max_of(merged.end, lock->end);
                TAILQ_REMOVE(&locks->records, lock, link);
                free(lock);
            }
            continue;
        }
        if (!overlaps(lock, request)) {
            continue;
        }
        released = true;
        if (lock->start < request->start && lock->end > request->end) {
            struct file_lock *tail = spare[1];
            spare[1] = NULL;
            *tail = *lock;
            tail->start = request->end + 1;
            lock->end = request->start - 1;
            TAILQ_INSERT_AFTER(&locks->records, lock, tail, link);
        } else if (lock->start < request->start) {
            lock->end = request->start - 1;
        } else if (lock->end > request->end) {
            lock->start = request->end + 1;
        } else {
            TAILQ_REMOVE(&locks->records, lock, link);
            free(lock);
        }
    }
    if (request->type != F_UNLCK) {
        *spare[0] = merged;
        insert_record_locked(locks, spare[0]);
        spare[0] = NULL;
    }
    return released;
}

/* flock: what the file had goes first, so a change is not atomic (Linux: flock_lock_inode). */
static bool apply_flock_remove_locked(struct file_locks *locks, const struct file_lock *request,
                                      bool *ret_same)
{
    struct file_lock *lock, *next;
    TAILQ_FOREACH_SAFE (lock, &locks->flocks, link, next) {
        if (lock->owner == request->owner) {
            if (lock->type == request->type) {
                *ret_same = true;
                return false;
            }
            TAILQ_REMOVE(&locks->flocks, lock, link);
            free(lock);
            return true;
        }
    }
    return false;
}

static int set_locked(struct file_locks *locks, const struct file_lock *request,
                      struct file_lock_wait *wait, struct file_lock *spare[2], bool *ret_released)
{
    bool flock_kind = request->kind == FILE_LOCK_FLOCK;
    if (flock_kind) {
        bool same = false;
        *ret_released = apply_flock_remove_locked(locks, request, &same);
        if (same) {
            return 0;
        }
    }
    if (request->type != F_UNLCK) {
        struct file_lock *blocker = find_conflict_locked(locks, request);
        if (blocker) {
            int error = 0;
            if (wait && request->kind == FILE_LOCK_POSIX) {
                error = wait_begin(wait, locks, request->owner, blocker->owner);
            }
            return error != 0 ? error : -EAGAIN;
        }
    }
    if (!flock_kind) {
        *ret_released = apply_record_locked(locks, request, spare);
    } else if (request->type != F_UNLCK) {
        *spare[0] = *request;
        TAILQ_INSERT_TAIL(&locks->flocks, spare[0], link);
        spare[0] = NULL;
    }
    return 0;
}

int file_lock_set(struct file *file, const struct file_lock *request, struct file_lock_wait *wait)
{
    if ((file->mode & FILE_PATH) != 0) {
        return -EBADF;
    }
    if (request->kind != FILE_LOCK_FLOCK &&
        ((request->type == F_RDLCK && (file->mode & FILE_READ) == 0) ||
         (request->type == F_WRLCK && (file->mode & FILE_WRITE) == 0))) {
        return -EBADF;
    }
    struct file_locks *locks = get_locks(file->inode);
    struct file_lock *spare[2] = {malloc(sizeof(struct file_lock)),
                                  malloc(sizeof(struct file_lock))};
    bool released = false;
    int error = -ENOMEM;
    if (locks && spare[0] && spare[1]) {
        mutex_lock_nested(&locks->lock);
        if (wait) {
            file_lock_wait_end(wait); /* before the lock can be ours: nobody sees us wait then */
        }
        error = set_locked(locks, request, wait, spare, &released);
        if (released) {
            forget_waits_for(locks, request->owner);
        }
        mutex_unlock(&locks->lock);
    }
    free(spare[0]);
    free(spare[1]);
    if (released) {
        wait_queue_wake(&locks->queue, EPOLLIN | EPOLLOUT);
    }
    return error;
}

void file_lock_test(struct file *file, struct file_lock *lock)
{
    struct file_locks *locks = atomic_load(&file->inode->locks);
    if (!locks) {
        lock->type = F_UNLCK;
        return;
    }
    mutex_lock_nested(&locks->lock);
    struct file_lock *blocker = find_conflict_locked(locks, lock);
    if (blocker) {
        *lock = *blocker;
    } else {
        lock->type = F_UNLCK;
    }
    mutex_unlock(&locks->lock);
}

int file_lock_range(struct file *file, int whence, int64_t start, int64_t length,
                    int64_t *ret_start, int64_t *ret_end)
{
    int64_t base = 0;
    if (whence == SEEK_CUR) {
        mutex_lock(&file->lock);
        base = (int64_t)file->position;
        mutex_unlock(&file->lock);
    } else if (whence == SEEK_END) {
        base = (int64_t)inode_load(file->inode->size);
    } else if (whence != SEEK_SET) {
        return -EINVAL;
    }
    int64_t first, end = FILE_LOCK_MAX_END;
    if (__builtin_add_overflow(base, start, &first)) {
        return -EOVERFLOW;
    }
    if (first < 0) {
        return -EINVAL;
    }
    if (length > 0 && __builtin_add_overflow(first, length - 1, &end)) {
        return -EOVERFLOW;
    }
    if (length < 0) {
        end = first - 1;
        if (__builtin_add_overflow(first, length, &first) || first < 0) {
            return -EINVAL;
        }
    }
    *ret_start = first;
    *ret_end = end;
    return 0;
}

struct wait_queue *file_lock_queue(struct file *file)
{
    struct file_locks *locks = atomic_load(&file->inode->locks);
    return locks ? &locks->queue : NULL;
}

static bool remove_owned(struct lock_list *list, const void *owner)
{
    struct file_lock *lock, *next;
    bool any = false;
    TAILQ_FOREACH_SAFE (lock, list, link, next) {
        if (lock->owner == owner) {
            TAILQ_REMOVE(list, lock, link);
            free(lock);
            any = true;
        }
    }
    return any;
}

static void release(struct inode *inode, const void *owner)
{
    struct file_locks *locks = atomic_load(&inode->locks);
    if (!locks) {
        return;
    }
    mutex_lock_nested(&locks->lock);
    bool records = remove_owned(&locks->records, owner);
    bool flocks = remove_owned(&locks->flocks, owner);
    if (records) {
        forget_waits_for(locks, owner);
    }
    mutex_unlock(&locks->lock);
    if (records || flocks) {
        wait_queue_wake(&locks->queue, EPOLLIN | EPOLLOUT);
    }
}

void file_locks_release_posix(struct file *file, const void *owner)
{
    release(file->inode, owner);
}

void file_locks_release_file(struct file *file)
{
    release(file->inode, file);
}

static void show_list(struct lock_list *list, struct inode *inode, const void *file, int *number,
                      struct text *text)
{
    static const char *const kinds[] = {"POSIX ", "OFDLCK", "FLOCK "};
    struct file_lock *lock;
    TAILQ_FOREACH (lock, list, link) {
        if (lock->kind != FILE_LOCK_POSIX && lock->owner != file) {
            continue;
        }
        uint64_t dev = inode->super->dev;
        text_printf(text, "lock:\t%d: %s ADVISORY  %s %d %02x:%02x:%llu %lld ", (*number)++,
                    kinds[lock->kind], lock->type == F_WRLCK ? "WRITE" : "READ ", (int)lock->pid,
                    major(dev), minor(dev), (unsigned long long)inode->ino, (long long)lock->start);
        if (lock->end == FILE_LOCK_MAX_END) {
            text_puts(text, "EOF\n");
        } else {
            text_printf(text, "%lld\n", (long long)lock->end);
        }
    }
}

void file_locks_show(struct file *file, struct text *text)
{
    struct file_locks *locks = atomic_load(&file->inode->locks);
    int number = 1;
    if (locks) {
        mutex_lock_nested(&locks->lock);
        show_list(&locks->records, file->inode, file, &number, text);
        show_list(&locks->flocks, file->inode, file, &number, text);
        mutex_unlock(&locks->lock);
    }
}
