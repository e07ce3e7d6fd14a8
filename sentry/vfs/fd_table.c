/*
 * fd_table.c: file descriptors. Slots grow in powers of two; files are dropped after the lock is
 * released, because the last reference may call an implementation.
 */
#include "sentry/vfs/fd_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/tunables.h"
#include "sentry/vfs/file.h"

#define FIRST_CAPACITY 64U
#define MAX_CAPACITY   NR_OPEN_MOST

static struct fd_table *table_new(uint32_t capacity)
{
    struct fd_table *table = calloc(1, sizeof(*table));
    if (!table) {
        return NULL;
    }
    table->slots = calloc(capacity, sizeof(*table->slots));
    if (!table->slots) {
        free(table);
        return NULL;
    }
    refcount_init(&table->ref);
    mutex_init(&table->lock, RANK_FD_TABLE);
    table->capacity = capacity;
    return table;
}

struct fd_table *fd_table_new(void)
{
    return table_new(FIRST_CAPACITY);
}

int fd_table_copy(struct fd_table *table, uint32_t limit_to, struct fd_table **ret)
{
    mutex_lock(&table->lock);
    uint32_t used = min_of(table->capacity, limit_to);
    while (used > 0 && !table->slots[used - 1].file) {
        used--;
    }
    if (used > tunables.nr_open) { /* Linux: sane_fdtable_size: fs.nr_open was lowered since */
        mutex_unlock(&table->lock);
        return -EMFILE;
    }
    uint32_t capacity = FIRST_CAPACITY;
    while (capacity < used) {
        capacity *= 2;
    }
    struct fd_table *copy = table_new(capacity);
    if (copy) {
        for (uint32_t i = 0; i < used; i++) {
            if (table->slots[i].file) {
                copy->slots[i] = table->slots[i];
                file_ref(copy->slots[i].file);
                copy->count++;
            }
        }
        copy->lowest_free = min_of(table->lowest_free, used);
    }
    mutex_unlock(&table->lock);
    if (!copy) {
        return -ENOMEM;
    }
    *ret = copy;
    return 0;
}

struct fd_table *fd_table_ref(struct fd_table *table)
{
    refcount_get(&table->ref);
    return table;
}

static void drop(struct fd_table *table, struct file *file)
{
    if (file) {
        file_flush(file, table);
        file_unref(file);
    }
}

struct fd_table *fd_table_unref(struct fd_table *table)
{
    if (table && refcount_put(&table->ref)) {
        for (uint32_t i = 0; i < table->capacity; i++) {
            drop(table, table->slots[i].file);
        }
        mutex_fini(&table->lock);
        free(table->slots);
        free(table);
    }
    return NULL;
}

static struct file *slot_file_locked(struct fd_table *table, int fd) REQUIRES(table->lock)
{
    return fd >= 0 && (uint32_t)fd < table->capacity ? table->slots[fd].file : NULL;
}

struct file *fd_get(struct fd_table *table, int fd, bool *ret_close_on_exec)
{
    mutex_lock(&table->lock);
    struct file *file = slot_file_locked(table, fd);
    if (file) {
        file_ref(file);
        if (ret_close_on_exec) {
            *ret_close_on_exec = table->slots[fd].close_on_exec;
        }
    }
    mutex_unlock(&table->lock);
    return file;
}

struct file *fd_get_io(struct fd_table *table, int fd)
{
    mutex_lock(&table->lock);
    struct file *file = slot_file_locked(table, fd);
    if (file && (file->mode & FILE_PATH) != 0) {
        file = NULL;
    }
    if (file) {
        file_ref(file);
    }
    mutex_unlock(&table->lock);
    return file;
}

static int grow_locked(struct fd_table *table, uint32_t needed) REQUIRES(table->lock)
{
    uint32_t capacity = table->capacity;
    if (needed > MAX_CAPACITY) {
        return -EMFILE;
    }
    while (capacity < needed) {
        capacity *= 2;
    }
    if (capacity == table->capacity) {
        return 0;
    }
    struct fd_slot *slots = calloc(capacity, sizeof(*slots));
    if (!slots) {
        return -ENOMEM;
    }
    memcpy(slots, table->slots, table->capacity * sizeof(*slots));
    free(table->slots);
    table->slots = slots;
    table->capacity = capacity;
    return 0;
}

static void set_locked(struct fd_table *table, uint32_t fd, struct file *file, bool close_on_exec)
    REQUIRES(table->lock)
{
    table->slots[fd] = (struct fd_slot){file, close_on_exec};
    table->count++;
    if (fd == table->lowest_free) {
        table->lowest_free = fd + 1;
    }
}

static struct file *clear_locked(struct fd_table *table, uint32_t fd) REQUIRES(table->lock)
{
    struct file *file = table->slots[fd].file;
    if (file) {
        table->slots[fd] = (struct fd_slot){NULL, false};
        table->count--;
        table->lowest_free = min_of(table->lowest_free, fd);
    }
    return file;
}

static int install_locked(struct fd_table *table, struct file *file, bool close_on_exec,
                          uint32_t from, uint64_t limit) REQUIRES(table->lock)
{
    uint32_t fd = max_of(from, table->lowest_free);
    while (fd < table->capacity && table->slots[fd].file) {
        fd++;
    }
    if (from <= table->lowest_free) {
        table->lowest_free = fd;
    }
    if (fd >= limit || fd >= MAX_CAPACITY) {
        return -EMFILE;
    }
    int error = grow_locked(table, fd + 1);
    if (error != 0) {
        return error;
    }
    set_locked(table, fd, file, close_on_exec);
    return (int)fd;
}

int fd_install(struct fd_table *table, struct file *file, bool close_on_exec, uint32_t from,
               uint64_t limit)
{
    mutex_lock(&table->lock);
    int fd = install_locked(table, file, close_on_exec, from, limit);
    mutex_unlock(&table->lock);
    return fd;
}

int fd_install_two(struct fd_table *table, struct file *const files[2], bool close_on_exec,
                   uint64_t limit, int ret_fds[2])
{
    mutex_lock(&table->lock);
    int first = install_locked(table, files[0], close_on_exec, 0, limit);
    int second = first < 0 ? first : install_locked(table, files[1], close_on_exec, 0, limit);
    if (first >= 0 && second < 0) {
        clear_locked(table, (uint32_t)first);
    }
    mutex_unlock(&table->lock);
    if (second < 0) {
        return second;
    }
    ret_fds[0] = first;
    ret_fds[1] = second;
    return 0;
}

int fd_install_at(struct fd_table *table, int fd, struct file *file, bool close_on_exec,
                  uint64_t limit)
{
    if (fd < 0 || (uint64_t)fd >= limit) {
        return -EBADF;
    }
    mutex_lock(&table->lock);
    int error = grow_locked(table, (uint32_t)fd + 1);
    struct file *old = NULL;
    if (error == 0) {
        old = clear_locked(table, (uint32_t)fd);
        set_locked(table, (uint32_t)fd, file, close_on_exec);
    }
    mutex_unlock(&table->lock);
    if (error != 0) {
        return error == -EMFILE ? -EBADF : error;
    }
    drop(table, old);
    return fd;
}

int fd_close(struct fd_table *table, int fd)
{
    mutex_lock(&table->lock);
    struct file *file = slot_file_locked(table, fd);
    if (file) {
        clear_locked(table, (uint32_t)fd);
    }
    mutex_unlock(&table->lock);
    if (!file) {
        return -EBADF;
    }
    drop(table, file);
    return 0;
}

int fd_set_close_on_exec(struct fd_table *table, int fd, bool on)
{
    mutex_lock(&table->lock);
    bool found = slot_file_locked(table, fd) != NULL;
    if (found) {
        table->slots[fd].close_on_exec = on;
    }
    mutex_unlock(&table->lock);
    return found ? 0 : -EBADF;
}

/* Closes from fd on the next used one up to last that wanted says; false: none left. */
static bool close_next(struct fd_table *table, uint32_t *fd, uint32_t last, bool only_cloexec)
{
    struct file *file = NULL;
    mutex_lock(&table->lock);
    for (; *fd < table->capacity && *fd <= last && !file; (*fd)++) {
        if (table->slots[*fd].file && (!only_cloexec || table->slots[*fd].close_on_exec)) {
            file = clear_locked(table, *fd);
        }
    }
    mutex_unlock(&table->lock);
    drop(table, file);
    return file != NULL;
}

void fd_close_range(struct fd_table *table, uint32_t first, uint32_t last, bool only_mark)
{
    if (only_mark) {
        mutex_lock(&table->lock);
        for (uint32_t i = first; i < table->capacity && i <= last; i++) {
            table->slots[i].close_on_exec = table->slots[i].file != NULL;
        }
        mutex_unlock(&table->lock);
        return;
    }
    while (close_next(table, &first, last, false)) {
    }
}

void fd_close_on_exec(struct fd_table *table)
{
    uint32_t fd = 0;
    while (close_next(table, &fd, UINT32_MAX, true)) {
    }
}

int fd_next(struct fd_table *table, uint32_t from)
{
    int found = -1;
    mutex_lock(&table->lock);
    for (uint32_t i = from; i < table->capacity && found < 0; i++) {
        if (table->slots[i].file) {
            found = (int)i;
        }
    }
    mutex_unlock(&table->lock);
    return found;
}
