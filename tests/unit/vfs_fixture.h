/* vfs_fixture.h: a sandbox root on tmpfs and short forms of VFS calls, for the vfs tests. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/base/text.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/path.h"

static maybe_unused int vfs_setup_with(const struct tmpfs_options *options)
{
    struct super *super;
    struct path root;
    if (tmpfs_new(options, &super) != 0 || mount_root(super, "root", 0, &root) != 0) {
        return -1;
    }
    current.cred = &cred_boot;
    current.file_limit = UINT64_MAX;
    current.fs = fs_context_new(&root, &root, 022);
    path_unref(&root);
    return current.fs ? 0 : -1;
}

static maybe_unused int vfs_setup(void **state)
{
    (void)state;
    const struct tmpfs_options options = {.mode = 0755};
    return vfs_setup_with(&options);
}

static maybe_unused int vfs_teardown(void **state)
{
    (void)state;
    current.cred = &cred_boot;
    current.fs = fs_context_unref(current.fs);
    mount_fini();
    uint64_t total, unused;
    dentry_count(&total, &unused);
    return total == 0 ? 0 : -1;
}

static maybe_unused int t_open(const char *path, uint64_t flags, uint32_t mode, struct file **ret)
{
    struct open_request request = {.flags = flags, .mode = mode};
    return vfs_open(NULL, path, &request, ret);
}

/* The error of an open, closing what was opened. */
static maybe_unused int t_try_open(const char *path, uint64_t flags, uint32_t mode)
{
    struct file *file;
    int error = t_open(path, flags, mode, &file);
    if (error == 0) {
        file_unref(file);
    }
    return error;
}

static maybe_unused ssize_t t_write(struct file *file, const void *data, size_t length)
{
    struct uio uio;
    uio_init_kernel(&uio, (void *)(uintptr_t)data, length);
    return file_write(file, &uio, NULL, 0);
}

static maybe_unused ssize_t t_pwrite(struct file *file, const void *data, size_t length,
                                     uint64_t pos)
{
    struct uio uio;
    uio_init_kernel(&uio, (void *)(uintptr_t)data, length);
    return file_write(file, &uio, &pos, 0);
}

static maybe_unused ssize_t t_pread(struct file *file, void *data, size_t length, uint64_t pos)
{
    struct uio uio;
    uio_init_kernel(&uio, data, length);
    return file_read(file, &uio, &pos, 0);
}

static maybe_unused ssize_t t_read(struct file *file, void *data, size_t length)
{
    struct uio uio;
    uio_init_kernel(&uio, data, length);
    return file_read(file, &uio, NULL, 0);
}

/* Makes a file with a text in it. */
static maybe_unused int t_put(const char *path, const char *text)
{
    struct file *file;
    int error = t_open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644, &file);
    if (error != 0) {
        return error;
    }
    ssize_t count = t_write(file, text, strlen(text));
    file_unref(file);
    return count == (ssize_t)strlen(text) ? 0 : (int)count;
}

static maybe_unused int t_stat(const char *path, unsigned walk, struct inode_attr *ret)
{
    struct path found;
    int error = path_walk(NULL, path, walk, &found);
    if (error == 0) {
        error = inode_getattr(path_inode(&found), ret);
        path_unref(&found);
    }
    return error;
}

static maybe_unused int t_link(const char *from, const char *to)
{
    struct path found;
    int error = path_walk(NULL, from, 0, &found);
    if (error == 0) {
        error = vfs_link(&found, NULL, to);
        path_unref(&found);
    }
    return error;
}

static maybe_unused int t_rename(const char *from, const char *to, unsigned flags)
{
    return vfs_rename(NULL, from, NULL, to, flags);
}

static maybe_unused int t_chdir(const char *path)
{
    struct path found;
    int error = path_walk(NULL, path, WALK_FOLLOW | WALK_DIRECTORY, &found);
    if (error == 0) {
        fs_context_set_cwd(current.fs, &found);
        path_unref(&found);
    }
    return error;
}

/* Collects the names of a directory, separated by spaces; at most `most` entries a call. */
struct t_names {
    struct dir_sink sink;
    char text[65536];
    size_t length;
    int count, most;
};

static maybe_unused bool t_emit(struct dir_sink *sink, const char *name, size_t length,
                                uint64_t ino, unsigned char type, uint64_t next)
{
    struct t_names *names = container_of(sink, struct t_names, sink);
    (void)ino;
    (void)type;
    (void)next;
    if (names->count == names->most) {
        return false;
    }
    names->count++;
    if (names->length + length + 2 < sizeof(names->text)) {
        memcpy(names->text + names->length, name, length);
        names->length += length;
        names->text[names->length++] = ' ';
        names->text[names->length] = '\0';
    }
    return true;
}

static maybe_unused void t_names_init(struct t_names *names, int most)
{
    names->sink.emit = t_emit;
    names->text[0] = '\0';
    names->length = 0;
    names->count = 0;
    names->most = most;
}
