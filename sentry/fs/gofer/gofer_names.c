/*
 * gofer_names.c: whole directories with attributes.
 *
 * One reply carries hundreds of entries, so that neighbours are answered, and absent names denied,
 * without further messages. Cached on exclusive mounts; the least recently used go beyond a bound.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/gofer/internal.h"

struct builder {
    struct gofer_names *names;
    uint32_t capacity;
    size_t text_length, text_capacity;
};

static int builder_add(struct builder *builder, const struct gofer_dirent *entry)
{
    struct gofer_names *names = builder->names;
    if (names->count == builder->capacity) {
        uint32_t capacity = builder->capacity * 2 + 32;
        struct gofer_name *entries = realloc(names->entries, capacity * sizeof(*entries));
        if (entries == NULL) {
            return -ENOMEM;
        }
        names->entries = entries;
        builder->capacity = capacity;
    }
    size_t need = builder->text_length + entry->name_length + 1;
    if (need > builder->text_capacity) {
        size_t capacity = need * 2 + 256;
        char *text = capacity > UINT32_MAX ? NULL : realloc(names->text, capacity);
        if (text == NULL) {
            return -ENOMEM;
        }
        names->text = text;
        builder->text_capacity = capacity;
    }
    memcpy(names->text + builder->text_length, entry->name, entry->name_length + 1);
    names->entries[names->count++] = (struct gofer_name){
        .attr = entry->attr,
        .name = (uint32_t)builder->text_length,
        .length = (uint32_t)entry->name_length,
    };
    builder->text_length = need;
    return 0;
}

static int compare_names(const void *a, const void *b, void *context)
{
    const char *text = context;
    return strcmp(text + ((const struct gofer_name *)a)->name,
                  text + ((const struct gofer_name *)b)->name);
}

static int fetch_part(struct gofer_client *client, uint64_t fid, uint32_t max, uint64_t *cookie,
                      bool *end, struct builder *builder)
{
    struct gofer_listing listing;
    struct gofer_dirent entry;
    int result = gofer_list(client, fid, *cookie, &listing);
    if (result < 0) {
        return result;
    }
    uint32_t before = builder->names->count;
    while (result == 0 && gofer_listing_next(&listing, &entry)) {
        result = max != 0 && builder->names->count == max ? -E2BIG : builder_add(builder, &entry);
    }
    *cookie = listing.cookie;
    *end = listing.end || builder->names->count == before;
    gofer_listing_fini(&listing);
    return result;
}

int gofer_names_fetch(struct gofer_node *dir, uint32_t max, struct gofer_names **ret)
{
    struct builder builder = {.names = calloc(1, sizeof(struct gofer_names))};
    uint64_t fid;
    if (builder.names == NULL) {
        return -ENOMEM;
    }
    atomic_init(&builder.names->refs, 1);
    uint64_t cookie = 0;
    bool end = false;
    int result = gofer_node_fid(dir, &fid);
    while (result == 0 && !end) {
        result = fetch_part(gofer_super_of(dir)->client, fid, max, &cookie, &end, &builder);
    }
    if (result < 0) {
        gofer_names_unref(builder.names);
        return result;
    }
    struct gofer_names *names = builder.names;
    if (names->count > 0) {
        qsort_r(names->entries, names->count, sizeof(*names->entries), compare_names, names->text);
        struct gofer_name *entries =
            realloc(names->entries, names->count * sizeof(*names->entries));
        names->entries = entries != NULL ? entries : names->entries;
    }
    *ret = names;
    return 0;
}

const struct gofer_name *gofer_names_find(const struct gofer_names *names, const char *name)
{
    uint32_t low = 0;
    uint32_t high = names->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(name, names->text + names->entries[middle].name);
        if (order == 0) {
            return &names->entries[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

struct gofer_names *gofer_names_unref(struct gofer_names *names)
{
    if (names != NULL && atomic_fetch_sub(&names->refs, 1) == 1) {
        free(names->entries);
        free(names->text);
        free(names);
    }
    return NULL;
}

struct gofer_names *gofer_names_cached(struct gofer_node *dir)
{
    struct gofer_super *super = gofer_super_of(dir);
    mutex_lock(&super->table_lock);
    struct gofer_names *names = dir->names;
    if (names != NULL) {
        atomic_fetch_add(&names->refs, 1);
        TAILQ_REMOVE(&super->listed, dir, names_link);
        TAILQ_INSERT_TAIL(&super->listed, dir, names_link);
    }
    mutex_unlock(&super->table_lock);
    return names;
}

/* Takes the listing of dir out of the cache. table_lock is held. */
static struct gofer_names *take_out(struct gofer_super *super, struct gofer_node *dir)
{
    struct gofer_names *names = dir->names;
    if (names != NULL) {
        dir->names = NULL;
        TAILQ_REMOVE(&super->listed, dir, names_link);
        super->listed_entries -= names->count;
    }
    return names;
}

void gofer_names_keep(struct gofer_node *dir, struct gofer_names *names)
{
    struct gofer_super *super = gofer_super_of(dir);
    gofer_names_forget(dir);
    mutex_lock(&super->table_lock);
    if (dir->names == NULL) {
        atomic_fetch_add(&names->refs, 1);
        dir->names = names;
        TAILQ_INSERT_TAIL(&super->listed, dir, names_link);
        super->listed_entries += names->count;
    }
    while (super->listed_entries > GOFER_NAMES_TOTAL_MAX) {
        struct gofer_node *oldest = TAILQ_FIRST(&super->listed);
        gofer_names_unref(take_out(super, oldest));
    }
    mutex_unlock(&super->table_lock);
}

void gofer_names_forget(struct gofer_node *dir)
{
    struct gofer_super *super = gofer_super_of(dir);
    mutex_lock(&super->table_lock);
    struct gofer_names *names = take_out(super, dir);
    mutex_unlock(&super->table_lock);
    gofer_names_unref(names);
}
