/*
 * devpts.c: /dev/pts: one node per pair whose master is open, and ptmx.
 *
 * The nodes' inodes belong to the pairs, so attributes last as long as the terminal. There is one
 * set of pairs, hence one super for all mounts.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "platform/base/text.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/fs/dev/tty_internal.h"
#include "sentry/vfs/inode.h"

#define DEVPTS_MAGIC 0x1cd1
#define PTMX_INO     2
#define FIRST_INO    3 /* of pair 0 */
#define TTY_GID      5

static struct super devpts_super;
static struct inode *ptmx_inode;
static int start_error;
static pthread_once_t started = PTHREAD_ONCE_INIT;

static void node_free(struct inode *inode)
{
    inode_fini(inode);
    free(inode);
}

static int node_setattr(struct inode *inode, const struct inode_attr *attr, unsigned set)
{
    if (set & INODE_SET_SIZE) {
        return -EINVAL;
    }
    inode_apply_locked(inode, attr, set);
    return 0;
}

static const struct inode_ops node_ops = {.setattr = node_setattr, .free = node_free};

static struct inode *node_new(uint64_t ino, uint32_t mode, uint64_t rdev)
{
    struct inode *inode = calloc(1, sizeof(*inode));
    if (inode) {
        inode_init(inode, &devpts_super, &node_ops, ino, S_IFCHR | mode);
        inode->rdev = rdev;
    }
    return inode;
}

/* --- the directory --- */

static bool parse_index(const char *name, unsigned *ret_index)
{
    unsigned index = 0;
    size_t length = strlen(name);
    if (length == 0 || length > 4 || (name[0] == '0' && length > 1)) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (name[i] < '0' || name[i] > '9') {
            return false;
        }
        index = index * 10 + (unsigned)(name[i] - '0');
    }
    *ret_index = index;
    return true;
}

static int root_lookup(struct inode *dir, const char *name, struct inode **ret_child)
{
    (void)dir;
    unsigned index;
    if (strcmp(name, "ptmx") == 0) {
        *ret_child = inode_ref(ptmx_inode);
        return 0;
    }
    struct tty *tty = parse_index(name, &index) ? pty_find(index) : NULL;
    if (!tty || !tty->inode) {
        tty_unref(tty);
        return -ENOENT;
    }
    *ret_child = inode_ref(tty->inode);
    tty_unref(tty);
    return 0;
}

static bool root_revalidate(struct inode *dir, const char *name, struct inode *child)
{
    struct inode *now = NULL;
    int result = root_lookup(dir, name, &now);
    bool same = result == 0 ? now == child : child == NULL;
    if (now) {
        inode_unref(now);
    }
    return same;
}

/* Positions: 0 ".", 1 "..", 2 ptmx, 3 + index. */
static int root_readdir(struct file *file, struct dir_sink *sink, uint64_t *pos)
{
    uint64_t root_ino = file->inode->ino;
    if (*pos == 0) {
        if (!sink->emit(sink, ".", 1, root_ino, DT_DIR, 1)) {
            return 0;
        }
        *pos = 1;
    }
    if (*pos == 1) {
        if (!sink->emit(sink, "..", 2, root_ino, DT_DIR, 2)) {
            return 0;
        }
        *pos = 2;
    }
    if (*pos == 2) {
        if (!sink->emit(sink, "ptmx", 4, PTMX_INO, DT_CHR, 3)) {
            return 0;
        }
        *pos = 3;
    }
    unsigned index;
    while (*pos < 3 + PTY_MAX && pty_next((unsigned)(*pos - 3), &index)) {
        char name[16];
        int length = snprintf(name, sizeof(name), "%u", index);
        if (!sink->emit(sink, name, (size_t)length, FIRST_INO + index, DT_CHR, index + 4)) {
            return 0;
        }
        *pos = index + 4;
    }
    return 0;
}

static const struct inode_ops root_ops = {
    .lookup = root_lookup,
    .revalidate = root_revalidate,
    .setattr = node_setattr,
    .free = node_free,
};

static const struct file_ops root_file_ops = {.readdir = root_readdir};

/* --- the file system --- */

static int devpts_statfs(struct super *super, struct statfs *ret)
{
    (void)super;
    ret->f_bsize = 4096;
    ret->f_namelen = 255;
    return 0;
}

static void devpts_free(struct super *super)
{
    (void)super; /* lives for ever */
}

static void devpts_show_options(struct super *super, struct text *text)
{
    (void)super;
    text_puts(text, ",gid=5,mode=620,ptmxmode=666");
}

static const struct super_ops devpts_ops = {
    .statfs = devpts_statfs, .free = devpts_free, .show_options = devpts_show_options};

static void devpts_start(void)
{
    super_init(&devpts_super, &devpts_ops, "devpts", DEVPTS_MAGIC);
    struct inode *root = calloc(1, sizeof(*root));
    ptmx_inode = node_new(PTMX_INO, 0666, makedev(5, 2));
    if (!root || !ptmx_inode) {
        free(root);
        start_error = -ENOMEM;
        return;
    }
    inode_init(root, &devpts_super, &root_ops, 1, S_IFDIR | 0755);
    root->file_ops = &root_file_ops;
    root->nlink = 2;
    devpts_super.root = root;
}

int devpts_new(struct super **ret_super)
{
    pthread_once(&started, devpts_start);
    if (start_error == 0) {
        *ret_super = super_ref(&devpts_super);
    }
    return start_error;
}

int devpts_make_inode(struct tty *tty)
{
    pthread_once(&started, devpts_start);
    if (start_error != 0) {
        return start_error;
    }
    struct inode *inode =
        node_new(FIRST_INO + (unsigned)tty->index, 0620, makedev(PTY_SLAVE_MAJOR, tty->index));
    if (!inode) {
        return -ENOMEM;
    }
    inode->uid = current.cred->fsuid;
    inode->gid = TTY_GID;
    tty->inode = inode;
    return 0;
}
