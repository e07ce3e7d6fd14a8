/*
 * overlay_readdir.c: merged directories.
 *
 * An open directory lists a snapshot taken when reading starts at position 0: positions are indexes
 * into it, so they stay valid while names come and go (rm -r reads and removes in turns).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/overlay/internal.h"

struct packed {
    uint64_t ino;
    uint16_t length;
    uint8_t type;
    uint8_t from_lower;
};

static int listing_add(struct overlay_listing *listing, const struct overlay_name *name)
{
    size_t need = sizeof(struct packed) + name->length + 1;
    if (listing->length + need > listing->capacity) {
        size_t capacity = max_of(listing->capacity * 2, listing->length + need + 1024);
        char *data = capacity > UINT32_MAX ? NULL : realloc(listing->data, capacity);
        if (data == NULL) {
            return -ENOMEM;
        }
        listing->data = data;
        listing->capacity = capacity;
    }
    if (listing->count == listing->offset_capacity) {
        uint32_t capacity = listing->offset_capacity * 2 + 32;
        uint32_t *offsets = realloc(listing->offsets, capacity * sizeof(*offsets));
        if (offsets == NULL) {
            return -ENOMEM;
        }
        listing->offsets = offsets;
        listing->offset_capacity = capacity;
    }
    struct packed packed = {name->ino, (uint16_t)name->length, name->type, name->from_lower};
    listing->offsets[listing->count++] = (uint32_t)listing->length;
    memcpy(listing->data + listing->length, &packed, sizeof(packed));
    memcpy(listing->data + listing->length + sizeof(packed), name->name, name->length);
    listing->data[listing->length + need - 1] = 0;
    listing->length += need;
    return 0;
}

void overlay_listing_get(const struct overlay_listing *listing, uint32_t index,
                         struct overlay_name *ret)
{
    const char *at = listing->data + listing->offsets[index];
    struct packed packed;
    memcpy(&packed, at, sizeof(packed));
    ret->ino = packed.ino;
    ret->name = at + sizeof(packed);
    ret->length = packed.length;
    ret->type = packed.type;
    ret->from_lower = packed.from_lower != 0;
}

void overlay_listing_fini(struct overlay_listing *listing)
{
    free(listing->data);
    free(listing->offsets);
    memset(listing, 0, sizeof(*listing));
}

static int list_entries(struct overlay_inode *dir, struct overlay_listing *listing)
{
    struct overlay_super *super = overlay_super_of(dir);
    int result = 0;
    mutex_lock(&super->tree_lock);
    for (struct overlay_entry *entry = overlay_entry_first(dir); entry != NULL && result == 0;
         entry = overlay_entry_next(entry)) {
        if (entry->child != NULL) {
            struct overlay_name name = {.ino = entry->child->inode.ino,
                                        .name = entry->name,
                                        .length = strlen(entry->name),
                                        .type = IFTODT(inode_load(entry->child->inode.mode))};
            result = listing_add(listing, &name);
        }
    }
    mutex_unlock(&super->tree_lock);
    return result;
}

struct lower_sink {
    struct dir_sink sink;
    struct overlay_inode *dir;
    struct overlay_listing *listing; /* NULL: only whether there is a visible name */
    bool has_entries;
    bool found;
    uint64_t taken;
    int error;
};

static bool lower_emit(struct dir_sink *sink, const char *name, size_t length, uint64_t ino,
                       unsigned char type, uint64_t next)
{
    struct lower_sink *lower = container_of(sink, struct lower_sink, sink);
    (void)next;
    lower->taken++;
    if (length == 0 || length > 255 || (length == 1 && name[0] == '.') ||
        (length == 2 && name[0] == '.' && name[1] == '.')) {
        return true;
    }
    char copy[256];
    memcpy(copy, name, length);
    copy[length] = 0;
    if (lower->has_entries && overlay_tree_has(lower->dir, copy)) {
        return true;
    }
    lower->found = true;
    if (lower->listing == NULL) {
        return false;
    }
    struct overlay_name record = {
        .ino = ino, .name = copy, .length = length, .type = type, .from_lower = true};
    lower->error = listing_add(lower->listing, &record);
    return lower->error == 0;
}

static int read_lower(struct overlay_inode *dir, struct lower_sink *sink)
{
    struct file *file;
    int result = layer_open(dir->lower, FILE_READ, &file);
    if (result < 0) {
        return result;
    }
    uint64_t pos = 0;
    do {
        sink->taken = 0;
        result = layer_readdir(file, &sink->sink, &pos);
        if (result == 0) {
            result = sink->error;
        }
    } while (result == 0 && sink->taken > 0 && !(sink->listing == NULL && sink->found));
    file_unref(file);
    return result;
}

int overlay_list(struct overlay_inode *dir, struct overlay_listing *ret)
{
    struct overlay_listing listing = {0};
    int result = list_entries(dir, &listing);
    if (result == 0 && dir->lower != NULL && (dir->inode.flags & INODE_DEAD) == 0) {
        struct lower_sink sink = {.sink.emit = lower_emit,
                                  .dir = dir,
                                  .listing = &listing,
                                  .has_entries = !RB_EMPTY(&dir->entries)};
        result = read_lower(dir, &sink);
    }
    if (result < 0) {
        overlay_listing_fini(&listing);
        return result;
    }
    *ret = listing;
    return 0;
}

int overlay_check_empty(struct overlay_inode *dir)
{
    struct overlay_listing own = {0};
    int result = list_entries(dir, &own);
    uint32_t count = own.count;
    overlay_listing_fini(&own);
    if (result < 0 || count > 0) {
        return result < 0 ? result : -ENOTEMPTY;
    }
    if (dir->lower == NULL) {
        return 0;
    }
    struct lower_sink sink = {.sink.emit = lower_emit, .dir = dir, .has_entries = true};
    result = read_lower(dir, &sink);
    if (result < 0) {
        return result;
    }
    return sink.found ? -ENOTEMPTY : 0;
}

static int overlay_dir_readdir(struct file *file, struct dir_sink *sink, uint64_t *pos)
{
    struct overlay_inode *dir = overlay_of(file->inode);
    struct overlay_listing *listing = file->private_data;
    if (*pos == 0 || listing == NULL) {
        struct overlay_listing fresh;
        int result = overlay_list(dir, &fresh);
        if (result < 0) {
            return result;
        }
        if (listing == NULL) {
            listing = malloc(sizeof(*listing));
            if (listing == NULL) {
                overlay_listing_fini(&fresh);
                return -ENOMEM;
            }
            file->private_data = listing;
        } else {
            overlay_listing_fini(listing);
        }
        *listing = fresh;
    }
    if (*pos == 0) {
        if (!sink->emit(sink, ".", 1, dir->inode.ino, DT_DIR, 1)) {
            return 0;
        }
        *pos = 1;
    }
    if (*pos == 1) {
        if (!sink->emit(sink, "..", 2, overlay_parent_ino(dir), DT_DIR, 2)) {
            return 0;
        }
        *pos = 2;
    }
    while (*pos - 2 < listing->count) {
        struct overlay_name name;
        overlay_listing_get(listing, (uint32_t)(*pos - 2), &name);
        if (!sink->emit(sink, name.name, name.length, name.ino, name.type, *pos + 1)) {
            return 0;
        }
        (*pos)++;
    }
    return 0;
}

static void overlay_dir_release(struct file *file)
{
    struct overlay_listing *listing = file->private_data;
    if (listing != NULL) {
        overlay_listing_fini(listing);
        free(listing);
    }
}

static int overlay_dir_sync(struct file *file, bool data_only)
{
    (void)file;
    (void)data_only;
    return 0;
}

const struct file_ops overlay_dir_file_ops = {
    .readdir = overlay_dir_readdir,
    .sync = overlay_dir_sync,
    .release = overlay_dir_release,
};
