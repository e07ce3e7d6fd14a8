/*
 * vfs_harness.h: a small guest's view for unit tests of file systems: a tmpfs root, mounts below
 * it, and the VFS calls with assertions. Included by one .c file per test program.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

#include "platform/base/text.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/path.h"

static maybe_unused struct super *make_tmpfs(void)
{
    struct super *super;
    struct tmpfs_options options = {.mode = 0755};
    assert_int_equal(tmpfs_new(&options, &super), 0);
    return super;
}

static maybe_unused void make_root(void)
{
    struct path root;
    if (current.fs != NULL) {
        return;
    }
    assert_int_equal(mount_root(make_tmpfs(), "none", 0, &root), 0);
    current.fs = fs_context_new(&root, &root, 022);
    assert_non_null(current.fs);
    path_unref(&root);
}

static maybe_unused void mount_at(struct super *super, const char *where)
{
    struct path path;
    assert_int_equal(mount_make_point(where, true), 0);
    assert_int_equal(path_walk(NULL, where, WALK_FOLLOW, &path), 0);
    assert_int_equal(mount_add(super, "none", 0, &path), 0);
    path_unref(&path);
}

static maybe_unused void unmount(const char *where)
{
    struct path path;
    assert_int_equal(path_walk(NULL, where, WALK_FOLLOW, &path), 0);
    int result = mount_remove(&path, true);
    path_unref(&path);
    assert_int_equal(result, 0);
}

static maybe_unused int try_open(const char *path, uint64_t flags, uint32_t mode, struct file **ret)
{
    struct open_request request = {.flags = flags, .mode = mode};
    return vfs_open(NULL, path, &request, ret);
}

static maybe_unused struct file *must_open(const char *path, uint64_t flags, uint32_t mode)
{
    struct file *file = NULL;
    int result = try_open(path, flags, mode, &file);
    if (result != 0) {
        fail_msg("open %s: %s", path, strerror(-result));
    }
    return file;
}

static maybe_unused void write_fd(struct file *file, const char *data)
{
    struct uio uio;
    uio_init_kernel(&uio, (void *)(uintptr_t)data, strlen(data));
    assert_int_equal(file_write(file, &uio, NULL, 0), (ssize_t)strlen(data));
}

static maybe_unused void write_file(const char *path, const char *data)
{
    struct file *file = must_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    write_fd(file, data);
    file_unref(file);
}

static maybe_unused void append_file(const char *path, const char *data)
{
    struct file *file = must_open(path, O_WRONLY | O_APPEND, 0);
    write_fd(file, data);
    file_unref(file);
}

static maybe_unused void expect_data(struct file *file, const char *data)
{
    char buffer[512];
    struct uio uio;
    uint64_t pos = 0;
    uio_init_kernel(&uio, buffer, sizeof(buffer) - 1);
    ssize_t count = file_read(file, &uio, &pos, 0);
    assert_true(count >= 0);
    buffer[count] = 0;
    assert_string_equal(buffer, data);
}

static maybe_unused void expect_file(const char *path, const char *data)
{
    struct file *file = must_open(path, O_RDONLY, 0);
    expect_data(file, data);
    file_unref(file);
}

static maybe_unused int stat_at(const char *path, struct inode_attr *ret)
{
    struct path found;
    int result = path_walk(NULL, path, 0, &found);
    if (result == 0) {
        result = inode_getattr(path_inode(&found), ret);
        path_unref(&found);
    }
    return result;
}

static maybe_unused struct inode_attr must_stat(const char *path)
{
    struct inode_attr attr;
    int result = stat_at(path, &attr);
    if (result != 0) {
        fail_msg("stat %s: %s", path, strerror(-result));
    }
    return attr;
}

static maybe_unused void expect_missing(const char *path)
{
    struct inode_attr attr;
    assert_int_equal(stat_at(path, &attr), -ENOENT);
}

static maybe_unused void make_dir(const char *path)
{
    assert_int_equal(vfs_mkdir(NULL, path, 0755), 0);
}

static maybe_unused int move(const char *from, const char *to)
{
    return vfs_rename(NULL, from, NULL, to, 0);
}

static maybe_unused int set_attr(const char *path, struct inode_attr *attr, unsigned set)
{
    struct path found;
    int result = path_walk(NULL, path, 0, &found);
    if (result == 0) {
        result = inode_setattr(path_inode(&found), attr, set);
        path_unref(&found);
    }
    return result;
}

static maybe_unused int change_mode(const char *path, uint32_t mode)
{
    struct inode_attr attr = {.mode = mode};
    return set_attr(path, &attr, INODE_SET_MODE);
}

static maybe_unused int link_path(const char *from, const char *to)
{
    struct path found;
    int result = path_walk(NULL, from, 0, &found);
    if (result == 0) {
        result = vfs_link(&found, NULL, to);
        path_unref(&found);
    }
    return result;
}

struct list_sink {
    struct dir_sink sink;
    struct text text;
    unsigned count, limit;
};

static maybe_unused bool list_emit(struct dir_sink *sink, const char *name, size_t length,
                                   uint64_t ino, unsigned char type, uint64_t next)
{
    struct list_sink *list = container_of(sink, struct list_sink, sink);
    (void)ino;
    (void)type;
    (void)next;
    if (list->limit != 0 && list->count == list->limit) {
        return false;
    }
    list->count++;
    if (name[0] != '.' || length > 2) {
        text_append(&list->text, name, length);
        text_putc(&list->text, ' ');
    }
    return true;
}

static maybe_unused int compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in path, sorted, each followed by a space. */
static maybe_unused void expect_list(const char *path, const char *names)
{
    struct file *file = must_open(path, O_RDONLY | O_DIRECTORY, 0);
    struct list_sink list = {.sink.emit = list_emit};
    unsigned before;
    do {
        before = list.count;
        list.limit = list.count + 3;
        assert_int_equal(file_readdir(file, &list.sink), 0);
    } while (list.count != before);
    file_unref(file);
    char *words[256];
    size_t count = 0;
    char *copy = strdup(text_string(&list.text));
    for (char *word = strtok(copy, " "); word != NULL && count < 256; word = strtok(NULL, " ")) {
        words[count++] = word;
    }
    qsort(words, count, sizeof(*words), compare_words);
    auto_text struct text sorted = TEXT_INIT;
    for (size_t i = 0; i < count; i++) {
        text_printf(&sorted, "%s ", words[i]);
    }
    assert_string_equal(text_string(&sorted), names);
    free(copy);
    text_fini(&list.text);
}
