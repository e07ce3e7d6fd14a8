/*
 * directory.c: directories of tmpfs: a hash by name and a tree by cookie for readdir.
 *
 * A cookie stays with its entry, so seekdir works and removing while reading is safe. Newer entries
 * have smaller cookies: a reader that goes up never meets what is created behind it.
 */
#include <errno.h>
#include <dirent.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sentry/fs/tmpfs/tmpfs_inode.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/file.h"

#define FIRST_COOKIE  (1ULL << 40)
#define FIRST_BUCKETS 8U

static int compare(struct tmpfs_entry *a, struct tmpfs_entry *b)
{
    return a->cookie < b->cookie ? -1 : a->cookie > b->cookie;
}

RB_GENERATE_INTERNAL(tmpfs_entries, tmpfs_entry, node, compare, maybe_unused static)

static uint32_t name_hash(const char *name, size_t length)
{
    uint64_t h = 0xcbf29ce484222325ULL ^ (uintptr_t)&name_hash;
    for (size_t i = 0; i < length; i++) {
        h = (h ^ (unsigned char)name[i]) * 0x100000001b3ULL;
    }
    return (uint32_t)(h ^ h >> 32);
}

void tmpfs_directory_init(struct tmpfs_directory *dir)
{
    RB_INIT(&dir->entries);
    dir->next_cookie = FIRST_COOKIE;
}

static struct tmpfs_entry *find(struct tmpfs_directory *dir, const char *name)
{
    if (dir->count == 0) {
        return NULL;
    }
    size_t length = strlen(name);
    uint32_t hash = name_hash(name, length);
    struct tmpfs_entry *entry = dir->buckets[hash & (dir->bucket_count - 1)];
    while (entry && (entry->hash != hash || entry->length != length ||
                     memcmp(entry->name, name, length) != 0)) {
        entry = entry->hash_next;
    }
    return entry;
}

/* Room for one more entry; only the first table must succeed. */
static int grow(struct tmpfs_directory *dir)
{
    if (dir->buckets && dir->count < dir->bucket_count * 2) {
        return 0;
    }
    uint32_t count = dir->buckets ? dir->bucket_count * 4 : FIRST_BUCKETS;
    struct tmpfs_entry **buckets = calloc(count, sizeof(struct tmpfs_entry *));
    if (!buckets) {
        return dir->buckets ? 0 : -ENOMEM;
    }
    struct tmpfs_entry *entry;
    RB_FOREACH (entry, tmpfs_entries, &dir->entries) {
        struct tmpfs_entry **bucket = &buckets[entry->hash & (count - 1)];
        entry->hash_next = *bucket;
        *bucket = entry;
    }
    free(dir->buckets);
    dir->buckets = buckets;
    dir->bucket_count = count;
    return 0;
}

/* An entry not yet in any table; takes no reference. */
static int entry_new(struct inode *dir, const char *name, struct tmpfs_entry **ret)
{
    int error = grow(&tmpfs_inode(dir)->dir);
    if (error != 0) {
        return error;
    }
    size_t length = strlen(name);
    struct tmpfs_entry *entry = malloc(sizeof(*entry) + length + 1);
    if (!entry) {
        return -ENOMEM;
    }
    memset(entry, 0, sizeof(*entry));
    memcpy(entry->name, name, length + 1);
    entry->length = (uint32_t)length;
    entry->hash = name_hash(name, length);
    *ret = entry;
    return 0;
}

/* cookie 0: a new one. Takes the reference on inode. */
static void entry_insert(struct inode *dir_inode, struct tmpfs_entry *entry, struct inode *inode,
                         uint64_t cookie)
{
    struct tmpfs_directory *dir = &tmpfs_inode(dir_inode)->dir;
    entry->inode = inode;
    entry->cookie = cookie != 0 ? cookie : dir->next_cookie--;
    struct tmpfs_entry **bucket = &dir->buckets[entry->hash & (dir->bucket_count - 1)];
    entry->hash_next = *bucket;
    *bucket = entry;
    RB_INSERT(tmpfs_entries, &dir->entries, entry);
    dir->count++;
    inode_store(dir_inode->size, dir_inode->size + TMPFS_DIRENT);
}

/* Out of the tables; the caller gets the inode's reference and frees the entry. */
static void entry_remove(struct inode *dir_inode, struct tmpfs_entry *entry)
{
    struct tmpfs_directory *dir = &tmpfs_inode(dir_inode)->dir;
    struct tmpfs_entry **link = &dir->buckets[entry->hash & (dir->bucket_count - 1)];
    while (*link != entry) {
        link = &(*link)->hash_next;
    }
    *link = entry->hash_next;
    RB_REMOVE(tmpfs_entries, &dir->entries, entry);
    dir->count--;
    inode_store(dir_inode->size, dir_inode->size - TMPFS_DIRENT);
}

void tmpfs_directory_fini(struct tmpfs_directory *dir)
{
    struct tmpfs_entry *entry;
    while ((entry = RB_MIN(tmpfs_entries, &dir->entries)) != NULL) {
        RB_REMOVE(tmpfs_entries, &dir->entries, entry);
        inode_unref(entry->inode);
        free(entry);
    }
    free(dir->buckets);
}

static void touch(struct inode *inode)
{
    inode_touch_locked(inode, INODE_SET_MTIME | INODE_SET_CTIME);
}

static void nlink_add(struct inode *inode, int delta)
{
    inode_set_nlink_locked(inode, inode->nlink + (uint32_t)delta);
}

static int tmpfs_lookup(struct inode *dir, const char *name, struct inode **ret_child)
{
    struct tmpfs_entry *entry = find(&tmpfs_inode(dir)->dir, name);
    if (!entry) {
        return -ENOENT;
    }
    *ret_child = inode_ref(entry->inode);
    return 0;
}

/* Puts a new inode under name; on failure the inode goes. */
static int add_new(struct inode *dir, const char *name, struct tmpfs_inode *ti,
                   struct inode **ret_child)
{
    struct tmpfs_entry *entry;
    int error = entry_new(dir, name, &entry);
    if (error != 0) {
        inode_unref(&ti->inode);
        return error;
    }
    entry_insert(dir, entry, inode_ref(&ti->inode), 0);
    if (S_ISDIR(ti->inode.mode)) {
        nlink_add(dir, 1);
    }
    touch(dir);
    *ret_child = &ti->inode;
    return 0;
}

static int tmpfs_create(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev,
                        struct inode **ret_child)
{
    struct tmpfs_inode *ti;
    int error = tmpfs_inode_new(dir->super, dir, mode, rdev, &ti);
    return error != 0 ? error : add_new(dir, name, ti, ret_child);
}

static int tmpfs_symlink(struct inode *dir, const char *name, const char *target,
                         struct inode **ret_child)
{
    struct tmpfs_inode *ti;
    int error = tmpfs_inode_new(dir->super, dir, S_IFLNK | 0777, 0, &ti);
    if (error != 0) {
        return error;
    }
    ti->target = strdup(target);
    if (!ti->target) {
        inode_unref(&ti->inode);
        return -ENOMEM;
    }
    ti->inode.size = strlen(target);
    return add_new(dir, name, ti, ret_child);
}

static int tmpfs_tmpfile(struct inode *dir, uint32_t mode, struct inode **ret_child)
{
    struct tmpfs_inode *ti;
    int error = tmpfs_inode_new(dir->super, dir, mode, 0, &ti);
    if (error == 0) {
        ti->inode.nlink = 0;
        *ret_child = &ti->inode;
    }
    return error;
}

static int tmpfs_link(struct inode *dir, const char *name, struct inode *target)
{
    struct tmpfs_entry *entry;
    int error = entry_new(dir, name, &entry);
    if (error != 0) {
        return error;
    }
    entry_insert(dir, entry, inode_ref(target), 0);
    nlink_add(target, 1);
    inode_touch_locked(target, INODE_SET_CTIME);
    touch(dir);
    return 0;
}

/* Takes name out of dir; its inode is locked by the caller, who keeps a reference. */
static void remove_name(struct inode *dir, struct tmpfs_entry *entry)
{
    struct inode *inode = entry->inode;
    entry_remove(dir, entry);
    if (S_ISDIR(inode->mode)) {
        nlink_add(dir, -1);
        inode_set_nlink_locked(inode, 0);
    } else {
        nlink_add(inode, -1);
    }
    inode_touch_locked(inode, INODE_SET_CTIME);
    free(entry);
    inode_unref(inode);
}

static int tmpfs_unlink(struct inode *dir, const char *name, struct inode *child)
{
    struct tmpfs_entry *entry = find(&tmpfs_inode(dir)->dir, name);
    if (!entry || entry->inode != child) {
        return -ENOENT;
    }
    remove_name(dir, entry);
    touch(dir);
    return 0;
}

static int tmpfs_rmdir(struct inode *dir, const char *name, struct inode *child)
{
    if (tmpfs_inode(child)->dir.count != 0) {
        return -ENOTEMPTY;
    }
    return tmpfs_unlink(dir, name, child);
}

static int exchange(struct inode *old_dir, struct tmpfs_entry *old, struct inode *new_dir,
                    struct tmpfs_entry *new)
{
    int delta = (int)S_ISDIR(new->inode->mode) - (int)S_ISDIR(old->inode->mode);
    struct inode *inode = old->inode;
    old->inode = new->inode;
    new->inode = inode;
    if (old_dir != new_dir && delta != 0) {
        nlink_add(old_dir, delta);
        nlink_add(new_dir, -delta);
    }
    return 0;
}

/* RENAME_WHITEOUT: a character device 0:0 in place of the old name. */
static int make_whiteout(struct inode *dir, const char *name, struct tmpfs_entry **ret)
{
    struct tmpfs_inode *ti;
    int error = tmpfs_inode_new(dir->super, dir, S_IFCHR, 0, &ti);
    if (error != 0) {
        return error;
    }
    error = entry_new(dir, name, ret);
    if (error != 0) {
        inode_unref(&ti->inode);
        return error;
    }
    (*ret)->inode = &ti->inode;
    return 0;
}

static int move(struct inode *old_dir, struct tmpfs_entry *old, struct inode *new_dir,
                const char *new_name, struct inode *target, unsigned flags)
{
    struct tmpfs_entry *fresh, *whiteout = NULL;
    struct inode *child = old->inode;
    if (target && S_ISDIR(target->mode) && tmpfs_inode(target)->dir.count != 0) {
        return -ENOTEMPTY;
    }
    int error = entry_new(new_dir, new_name, &fresh);
    if (error != 0) {
        return error;
    }
    if ((flags & RENAME_WHITEOUT) != 0) {
        error = make_whiteout(old_dir, old->name, &whiteout);
        if (error != 0) {
            free(fresh);
            return error;
        }
    }
    if (target) {
        remove_name(new_dir, find(&tmpfs_inode(new_dir)->dir, new_name));
    }
    uint64_t cookie = old_dir == new_dir ? old->cookie : 0;
    entry_remove(old_dir, old);
    free(old);
    entry_insert(new_dir, fresh, child, cookie);
    if (whiteout) {
        entry_insert(old_dir, whiteout, whiteout->inode, 0);
    }
    if (old_dir != new_dir && S_ISDIR(child->mode)) {
        nlink_add(old_dir, -1);
        nlink_add(new_dir, 1);
    }
    return 0;
}

static int tmpfs_rename(struct inode *old_dir, const char *old_name, struct inode *child,
                        struct inode *new_dir, const char *new_name, struct inode *target,
                        unsigned flags)
{
    struct tmpfs_entry *old = find(&tmpfs_inode(old_dir)->dir, old_name);
    struct tmpfs_entry *new = find(&tmpfs_inode(new_dir)->dir, new_name);
    if (!old || old->inode != child || (new ? new->inode : NULL) != target) {
        return -ENOENT;
    }
    int error;
    if ((flags & RENAME_EXCHANGE) != 0) {
        error = exchange(old_dir, old, new_dir, new);
        if (error == 0) {
            inode_touch_locked(target, INODE_SET_CTIME);
        }
    } else {
        error = move(old_dir, old, new_dir, new_name, target, flags);
    }
    if (error == 0) {
        inode_touch_locked(child, INODE_SET_CTIME);
        touch(old_dir);
        touch(new_dir);
    }
    return error;
}

const struct inode_ops tmpfs_directory_ops = {
    .lookup = tmpfs_lookup,
    .create = tmpfs_create,
    .symlink = tmpfs_symlink,
    .link = tmpfs_link,
    .unlink = tmpfs_unlink,
    .rmdir = tmpfs_rmdir,
    .rename = tmpfs_rename,
    .tmpfile = tmpfs_tmpfile,
    .setattr = tmpfs_setattr,
    .getxattr = tmpfs_getxattr,
    .setxattr = tmpfs_setxattr,
    .listxattr = tmpfs_listxattr,
    .removexattr = tmpfs_removexattr,
    .free = tmpfs_inode_free,
};

/* The inode number of "..". */
static uint64_t parent_ino(struct file *file)
{
    uint64_t ino = file->inode->ino;
    if (file->path.dentry) {
        struct dentry *parent = dentry_get_parent(file->path.dentry);
        struct inode *inode = atomic_load(&parent->inode);
        if (inode && inode->super == file->inode->super) {
            ino = inode->ino;
        }
        dentry_unref(parent);
    }
    return ino;
}

static int directory_readdir(struct file *file, struct dir_sink *sink, uint64_t *pos)
{
    struct tmpfs_directory *dir = &tmpfs_inode(file->inode)->dir;
    if (*pos == 0) {
        if (!sink->emit(sink, ".", 1, file->inode->ino, DT_DIR, 1)) {
            return 0;
        }
        *pos = 1;
    }
    if (*pos == 1) {
        if (!sink->emit(sink, "..", 2, parent_ino(file), DT_DIR, 2)) {
            return 0;
        }
        *pos = 2;
    }
    struct tmpfs_entry key;
    key.cookie = *pos;
    struct tmpfs_entry *entry = RB_NFIND(tmpfs_entries, &dir->entries, &key);
    for (; entry; entry = RB_NEXT(tmpfs_entries, &dir->entries, entry)) {
        unsigned char type = (unsigned char)(entry->inode->mode >> 12 & 15);
        if (!sink->emit(sink, entry->name, entry->length, entry->inode->ino, type,
                        entry->cookie + 1)) {
            return 0;
        }
        *pos = entry->cookie + 1;
    }
    return 0;
}

/* Linux: positions of directories are cookies; SEEK_END has no meaning. */
static int64_t directory_seek(struct file *file, int64_t offset, int whence)
{
    if (whence == SEEK_CUR) {
        offset += (int64_t)file->position;
    } else if (whence != SEEK_SET) {
        return -EINVAL;
    }
    return offset < 0 ? -EINVAL : offset;
}

static int directory_sync(struct file *file, bool data_only)
{
    (void)file;
    (void)data_only;
    return 0;
}

const struct file_ops tmpfs_directory_file_ops = {
    .readdir = directory_readdir,
    .seek = directory_seek,
    .sync = directory_sync,
};
