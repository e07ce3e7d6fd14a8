/*
 * mqueue_super.c: the file system of queues: one directory, which mq_open and mq_unlink use without
 * a mount. Its inode's lock guards the list of queues. Linux: ipc/mqueue.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statfs.h>

#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/fs/mqueue/mqueue_inode.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inotify_hooks.h"

#define MQUEUE_MAGIC_NUMBER 0x19800202
#define HARD_MESSAGES       65536
#define HARD_SIZE           (16 * 1024 * 1024)
#define NODE_BYTES          48 /* Linux: sizeof(struct msg_msg), and of a tree node */
#define FILE_SIZE           80
#define MAY_WRITE_SEARCH    3

struct mqueue_limits mqueue_limits = {.queues_max = 256,
                                      .msg_max = 10,
                                      .msgsize_max = 8192,
                                      .msg_default = 10,
                                      .msgsize_default = 8192};

static struct super mqueue_super;
static struct inode *root;                                                 /* fixed once made */
static TAILQ_HEAD(, mqueue_inode) queues = TAILQ_HEAD_INITIALIZER(queues); /* under root->lock */
static uint64_t queue_count, next_cookie = 16;                             /* under root->lock */
static pthread_once_t started = PTHREAD_ONCE_INIT;

/* Bytes charged to each user: RLIMIT_MSGQUEUE. */
struct user_bytes {
    TAILQ_ENTRY(user_bytes) link;
    uint32_t uid;
    uint64_t bytes;
};
static struct mutex users_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_ACCOUNT};
static TAILQ_HEAD(, user_bytes) users = TAILQ_HEAD_INITIALIZER(users); /* under users_lock */

static struct user_bytes *find_user(uint32_t uid)
{
    struct user_bytes *user;
    TAILQ_FOREACH (user, &users, link) {
        if (user->uid == uid) {
            return user;
        }
    }
    return NULL;
}

static int charge_user(uint32_t uid, uint64_t bytes, uint64_t limit)
{
    int result = 0;
    mutex_lock(&users_lock);
    struct user_bytes *user = find_user(uid);
    if (!user && (user = calloc(1, sizeof(*user)))) {
        user->uid = uid;
        TAILQ_INSERT_TAIL(&users, user, link);
    }
    if (!user) {
        result = -ENOMEM;
    } else if (bytes > limit || user->bytes > limit - bytes) {
        result = -EMFILE;
    } else {
        user->bytes += bytes;
    }
    if (user && user->bytes == 0) {
        TAILQ_REMOVE(&users, user, link);
        free(user);
    }
    mutex_unlock(&users_lock);
    return result;
}

static void uncharge_user(uint32_t uid, uint64_t bytes)
{
    mutex_lock(&users_lock);
    struct user_bytes *user = find_user(uid);
    if (user) {
        user->bytes -= bytes;
        if (user->bytes == 0) {
            TAILQ_REMOVE(&users, user, link);
            free(user);
        }
    }
    mutex_unlock(&users_lock);
}

static void queue_free(struct inode *inode)
{
    struct mqueue_inode *queue = mqueue_of(inode);
    mqueue_queue_fini(queue);
    uncharge_user(queue->owner, queue->charged);
    inode_fini(inode);
    free(queue);
}

static int queue_setattr(struct inode *inode, const struct inode_attr *attr, unsigned set)
{
    if ((set & INODE_SET_SIZE) != 0) {
        return -EINVAL;
    }
    inode_apply_locked(inode, attr, set);
    return 0;
}

static const struct inode_ops queue_inode_ops = {.setattr = queue_setattr, .free = queue_free};

/* Linux: mqueue_get_inode, mq_attr_ok. */
static int check_attr(const struct mq_attr *attr)
{
    bool powerful = capable(CAP_SYS_RESOURCE);
    uint64_t most = powerful ? HARD_MESSAGES : atomic_load(&mqueue_limits.msg_max);
    uint64_t size = powerful ? HARD_SIZE : atomic_load(&mqueue_limits.msgsize_max);
    if (attr->mq_maxmsg <= 0 || attr->mq_msgsize <= 0 || (uint64_t)attr->mq_maxmsg > most ||
        (uint64_t)attr->mq_msgsize > size) {
        return -EINVAL;
    }
    return 0;
}

static int queue_new(const char *name, uint32_t mode, const struct mq_attr *attr,
                     struct mqueue_inode **ret_queue)
{
    struct mq_attr own = {.mq_maxmsg = (long)min_of(atomic_load(&mqueue_limits.msg_max),
                                                    atomic_load(&mqueue_limits.msg_default)),
                          .mq_msgsize = (long)min_of(atomic_load(&mqueue_limits.msgsize_max),
                                                     atomic_load(&mqueue_limits.msgsize_default))};
    if (attr) {
        int result = check_attr(attr);
        if (result != 0) {
            return result;
        }
        own = *attr;
    }
    struct mqueue_inode *queue = calloc(1, sizeof(*queue));
    if (!queue) {
        return -ENOMEM;
    }
    queue->most = (uint64_t)own.mq_maxmsg;
    queue->size = (uint64_t)own.mq_msgsize;
    queue->owner = current.cred->uid;
    queue->charged = queue->most * NODE_BYTES +
                     min_of(queue->most, (uint64_t)MQUEUE_PRIORITY_MAX) * NODE_BYTES +
                     queue->most * queue->size;
    int result = charge_user(queue->owner, queue->charged, task_limit(RLIMIT_MSGQUEUE));
    if (result != 0) {
        free(queue);
        return result;
    }
    snprintf(queue->name, sizeof(queue->name), "%.255s", name);
    inode_init(&queue->inode, &mqueue_super, &queue_inode_ops, super_next_ino(&mqueue_super),
               S_IFREG | (mode & 07777));
    queue->inode.file_ops = &mqueue_file_ops;
    queue->inode.size = FILE_SIZE;
    mqueue_queue_init(queue);
    *ret_queue = queue;
    return 0;
}

static struct mqueue_inode *find_locked(const char *name)
{
    struct mqueue_inode *queue;
    TAILQ_FOREACH (queue, &queues, link) {
        if (strcmp(queue->name, name) == 0) {
            return queue;
        }
    }
    return NULL;
}

/* A new queue in the directory; a reference for the caller besides the directory's. */
static int make_locked(const char *name, uint32_t mode, const struct mq_attr *attr,
                       struct inode **ret_inode)
{
    struct mqueue_inode *queue;
    if (queue_count >= atomic_load(&mqueue_limits.queues_max) && !capable(CAP_SYS_RESOURCE)) {
        return -ENOSPC;
    }
    int result = queue_new(name, mode, attr, &queue);
    if (result != 0) {
        return result;
    }
    queue->linked = true;
    queue->cookie = next_cookie++;
    TAILQ_INSERT_TAIL(&queues, queue, link);
    queue_count++;
    inode_touch_locked(root, INODE_SET_MTIME | INODE_SET_CTIME);
    *ret_inode = inode_ref(&queue->inode);
    return 0;
}

static void remove_locked(struct mqueue_inode *queue)
{
    TAILQ_REMOVE(&queues, queue, link);
    queue->linked = false;
    queue_count--;
    inode_touch_locked(root, INODE_SET_MTIME | INODE_SET_CTIME);
    inode_store(queue->inode.nlink, 0U);
    inode_unref(&queue->inode); /* the directory's */
}

/* --- as a file system --- */

static int root_lookup(struct inode *dir, const char *name, struct inode **ret_child)
{
    (void)dir;
    struct mqueue_inode *queue = find_locked(name);
    if (!queue) {
        return -ENOENT;
    }
    *ret_child = inode_ref(&queue->inode);
    return 0;
}

static int root_create(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev,
                       struct inode **ret_child)
{
    (void)dir;
    (void)rdev;
    return S_ISREG(mode) ? make_locked(name, mode, NULL, ret_child) : -EPERM;
}

static int root_unlink(struct inode *dir, const char *name, struct inode *child)
{
    (void)dir;
    (void)name;
    if (mqueue_of(child)->linked) {
        remove_locked(mqueue_of(child));
    }
    return 0;
}

/* Queues come and go without the name cache: nothing in it is trusted. */
static bool root_revalidate(struct inode *dir, const char *name, struct inode *child)
{
    (void)dir;
    (void)name;
    return child != NULL && inode_load(child->nlink) > 0;
}

static int root_setattr(struct inode *inode, const struct inode_attr *attr, unsigned set)
{
    inode_apply_locked(inode, attr, set);
    return 0;
}

static int root_readdir(struct file *file, struct dir_sink *sink, uint64_t *pos)
{
    static const char *const dots[] = {".", ".."};
    struct mqueue_inode *queue;
    while (*pos < 2) {
        if (!sink->emit(sink, dots[*pos], *pos + 1, file->inode->ino, DT_DIR, *pos + 1)) {
            return 0;
        }
        ++*pos;
    }
    TAILQ_FOREACH (queue, &queues, link) {
        if (queue->cookie < *pos) {
            continue;
        }
        if (!sink->emit(sink, queue->name, strlen(queue->name), queue->inode.ino, DT_REG,
                        queue->cookie + 1)) {
            return 0;
        }
        *pos = queue->cookie + 1;
    }
    return 0;
}

static void root_free(struct inode *inode)
{
    (void)inode; /* lives for ever */
}

static const struct inode_ops root_ops = {
    .lookup = root_lookup,
    .create = root_create,
    .unlink = root_unlink,
    .revalidate = root_revalidate,
    .setattr = root_setattr,
    .free = root_free,
};
static const struct file_ops root_file_ops = {.readdir = root_readdir};

static int mqueue_statfs(struct super *super, struct statfs *ret)
{
    (void)super;
    ret->f_bsize = 4096;
    ret->f_namelen = 255;
    return 0;
}

static void mqueue_super_free(struct super *super)
{
    (void)super; /* lives for ever */
}

static const struct super_ops mqueue_super_ops = {.statfs = mqueue_statfs,
                                                  .free = mqueue_super_free};

static void mqueue_start(void)
{
    super_init(&mqueue_super, &mqueue_super_ops, "mqueue", MQUEUE_MAGIC_NUMBER);
    struct inode *inode = calloc(1, sizeof(*inode));
    if (inode) {
        inode_init(inode, &mqueue_super, &root_ops, 1, S_IFDIR | S_ISVTX | 0777);
        inode->uid = 0;
        inode->gid = 0;
        inode->file_ops = &root_file_ops;
        inode->nlink = 2;
        mqueue_super.root = inode;
        root = inode;
    }
}

int mqueue_new(struct super **ret_super)
{
    pthread_once(&started, mqueue_start);
    if (!root) {
        return -ENOMEM;
    }
    *ret_super = super_ref(&mqueue_super);
    return 0;
}

/* --- mq_open and mq_unlink --- */

static int check_name(const char *name)
{
    size_t length = strlen(name);
    if (length == 0) {
        return -ENOENT;
    }
    if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return -EACCES;
    }
    return length > 255 ? -ENAMETOOLONG : root ? 0 : -ENOMEM;
}

/* Linux: prepare_open. */
static int find_or_make(const char *name, int flags, uint32_t mode, const struct mq_attr *attr,
                        struct inode **ret_inode, bool *ret_created)
{
    static const int masks[] = {4, 2, 6};
    struct mqueue_inode *queue = find_locked(name);
    if (!queue) {
        if (!(flags & O_CREAT)) {
            return -ENOENT;
        }
        int result = inode_permission(root, MAY_WRITE_SEARCH);
        *ret_created = true;
        return result != 0 ? result : make_locked(name, mode, attr, ret_inode);
    }
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
        return -EEXIST;
    }
    if ((flags & O_ACCMODE) == O_ACCMODE) {
        return -EINVAL;
    }
    int result = inode_permission(&queue->inode, masks[flags & O_ACCMODE]);
    if (result == 0) {
        *ret_inode = inode_ref(&queue->inode);
    }
    return result;
}

int mqueue_open(const char *name, int flags, uint32_t mode, const struct mq_attr *attr,
                struct file **ret_file, bool *ret_created)
{
    static const unsigned modes[] = {FILE_READ, FILE_WRITE, FILE_READ | FILE_WRITE, FILE_READ};
    struct inode *inode = NULL;
    *ret_created = false;
    pthread_once(&started, mqueue_start);
    int result = check_name(name);
    if (result != 0) {
        return result;
    }
    mode &= ~fs_context_umask(current.fs);
    mutex_lock(&root->lock);
    result = find_or_make(name, flags, mode, attr, &inode, ret_created);
    mutex_unlock(&root->lock);
    if (result != 0) {
        return result;
    }
    char label[260];
    snprintf(label, sizeof(label), "/%.255s", name);
    struct path path = {NULL, dentry_new_disconnected(label, inode)};
    result = path.dentry ? file_new(inode, &path, &mqueue_file_ops,
                                    modes[flags & O_ACCMODE] | FILE_NO_WRITE_COUNT,
                                    (unsigned)flags & (O_ACCMODE | O_NONBLOCK), NULL, ret_file)
                         : -ENOMEM;
    path_unref(&path);
    inode_unref(inode);
    return result;
}

int mqueue_unlink(const char *name)
{
    pthread_once(&started, mqueue_start);
    int result = check_name(name);
    if (result != 0) {
        return result;
    }
    mutex_lock(&root->lock);
    struct mqueue_inode *queue = find_locked(name);
    result = queue ? inode_permission(root, MAY_WRITE_SEARCH) : -ENOENT;
    if (result == 0 && (inode_load(root->mode) & S_ISVTX)) {
        uint32_t fsuid = current.cred->fsuid;
        bool owner = fsuid == inode_load(queue->inode.uid) || fsuid == inode_load(root->uid);
        result = owner || capable(CAP_FOWNER) ? 0 : -EPERM;
    }
    if (result == 0) {
        remove_locked(queue);
    }
    mutex_unlock(&root->lock);
    return result;
}
