/*
 * patch_cache.c: two hash tables on one list of entries. An entry has an image and the keys of the
 * files that have this content.
 *
 * cache->lock guards everything but config, limits and secret.
 */
#include "platform/patch/patch_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/hash.h"
#include "platform/base/lock.h"
#include "platform/base/queue.h"
#include "platform/patch/patch_internal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { KEYS_PER_IMAGE = 16 };

struct content {
    XXH128_hash_t hash;
    uint64_t length, tail;
};

struct cache_key {
    struct patch_file_key key;
    struct cache_entry *entry;
    TAILQ_ENTRY(cache_key) link; /* in entry->keys */
    UT_hash_handle hh;
};

struct cache_entry {
    struct content content;
    struct patch_image *image;
    uint64_t bytes;
    size_t key_count;
    TAILQ_HEAD(, cache_key) keys;  /* oldest first */
    TAILQ_ENTRY(cache_entry) link; /* in cache->entries */
    UT_hash_handle hh;
};

struct patch_cache {
    struct patch_config config;
    struct patch_cache_limits limits;
    uint8_t secret[PATCH_CACHE_SECRET];
    struct mutex lock;
    struct cache_entry *by_content;
    struct cache_key *by_key;
    TAILQ_HEAD(, cache_entry) entries; /* longest unused first */
    struct patch_cache_counts counts;
};

int patch_cache_new(const struct patch_config *config, const struct patch_cache_limits *limits,
                    const uint8_t secret[PATCH_CACHE_SECRET], struct patch_cache **ret_cache)
{
    struct patch_cache *cache = calloc(1, sizeof(*cache));
    if (!cache) {
        return -ENOMEM;
    }
    cache->config = *config;
    cache->limits = *limits;
    memcpy(cache->secret, secret, sizeof(cache->secret));
    mutex_init(&cache->lock, RANK_PLATFORM);
    TAILQ_INIT(&cache->entries);
    *ret_cache = cache;
    return 0;
}

static void forget_key(struct patch_cache *cache, struct cache_key *key)
{
    HASH_DEL(cache->by_key, key);
    TAILQ_REMOVE(&key->entry->keys, key, link);
    key->entry->key_count--;
    cache->counts.keys--;
    free(key);
}

static void forget_entry(struct patch_cache *cache, struct cache_entry *entry)
{
    struct cache_key *key;
    while ((key = TAILQ_FIRST(&entry->keys)) != NULL) {
        forget_key(cache, key);
    }
    HASH_DEL(cache->by_content, entry);
    TAILQ_REMOVE(&cache->entries, entry, link);
    cache->counts.images--;
    cache->counts.bytes -= entry->bytes;
    patch_image_unref(entry->image);
    free(entry);
}

void patch_cache_free(struct patch_cache *cache)
{
    struct cache_entry *entry;
    if (!cache) {
        return;
    }
    while ((entry = TAILQ_FIRST(&cache->entries)) != NULL) {
        forget_entry(cache, entry);
    }
    mutex_fini(&cache->lock);
    free(cache);
}

static struct content content_of(const struct patch_cache *cache, const uint8_t *text,
                                 size_t length, size_t tail)
{
    struct content content;
    memset(&content, 0, sizeof(content));
    content.hash = XXH3_128bits_withSecret(text, length, cache->secret, sizeof(cache->secret));
    content.length = length;
    content.tail = tail;
    return content;
}

static struct patch_image *use_locked(struct patch_cache *cache, struct cache_entry *entry)
    REQUIRES(cache->lock)
{
    TAILQ_REMOVE(&cache->entries, entry, link);
    TAILQ_INSERT_TAIL(&cache->entries, entry, link);
    return patch_image_ref(entry->image);
}

int patch_cache_find(struct patch_cache *cache, const struct patch_file_key *key,
                     struct patch_image **ret_image)
{
    struct cache_key *found;
    mutex_lock(&cache->lock);
    HASH_FIND(hh, cache->by_key, key, sizeof(*key), found);
    if (found) {
        cache->counts.found_by_key++;
        *ret_image = use_locked(cache, found->entry);
    }
    mutex_unlock(&cache->lock);
    return found ? 0 : -ENOENT;
}

/* Remembers that a file has this content. A key that cannot be remembered costs only time. */
static void add_key_locked(struct patch_cache *cache, struct cache_entry *entry,
                           const struct patch_file_key *key) REQUIRES(cache->lock)
{
    struct cache_key *found;
    HASH_FIND(hh, cache->by_key, key, sizeof(*key), found);
    if (found) {
        forget_key(cache, found);
    }
    if (entry->key_count == KEYS_PER_IMAGE) {
        forget_key(cache, TAILQ_FIRST(&entry->keys));
    }
    struct cache_key *added = calloc(1, sizeof(*added));
    if (!added) {
        return;
    }
    added->key = *key;
    added->entry = entry;
    HASH_ADD(hh, cache->by_key, key, sizeof(added->key), added);
    if (!hash_was_added(added)) {
        free(added);
        return;
    }
    TAILQ_INSERT_TAIL(&entry->keys, added, link);
    entry->key_count++;
    cache->counts.keys++;
}

static struct cache_entry *find_content_locked(struct patch_cache *cache,
                                               const struct content *content) REQUIRES(cache->lock)
{
    struct cache_entry *found;
    HASH_FIND(hh, cache->by_content, content, sizeof(*content), found);
    return found;
}

/* *ret_entry is NULL when the image is too large to be kept. */
static int add_entry_locked(struct patch_cache *cache, const struct content *content,
                            struct patch_image *image, struct cache_entry **ret_entry)
    REQUIRES(cache->lock)
{
    uint64_t bytes = image->site_count != 0 ? (content->length + 4095) & ~4095ULL : 0;
    *ret_entry = NULL;
    if (cache->limits.images == 0 || bytes > cache->limits.bytes) {
        return 0;
    }
    while (cache->counts.images >= cache->limits.images ||
           cache->counts.bytes > cache->limits.bytes - bytes) {
        forget_entry(cache, TAILQ_FIRST(&cache->entries));
    }
    struct cache_entry *entry = calloc(1, sizeof(*entry));
    if (!entry) {
        return -ENOMEM;
    }
    entry->content = *content;
    entry->bytes = bytes;
    TAILQ_INIT(&entry->keys);
    HASH_ADD(hh, cache->by_content, content, sizeof(entry->content), entry);
    if (!hash_was_added(entry)) {
        free(entry);
        return -ENOMEM;
    }
    entry->image = patch_image_ref(image);
    TAILQ_INSERT_TAIL(&cache->entries, entry, link);
    cache->counts.images++;
    cache->counts.bytes += bytes;
    *ret_entry = entry;
    return 0;
}

static int build(const struct patch_cache *cache, const uint8_t *text, size_t length, size_t tail,
                 struct patch_image **ret_image)
{
    struct patch_image *image;
    int error = patch_build(&cache->config, text, length, tail, &image);
    if (error) {
        return error;
    }
    if (patch_image_site_count(image) != 0) {
        int fd = patch_image_memfd(image, text, length);
        if (fd < 0) {
            patch_image_unref(image);
            return fd;
        }
    }
    *ret_image = image;
    return 0;
}

int patch_cache_get(struct patch_cache *cache, const struct patch_file_key *key,
                    const uint8_t *text, size_t length, size_t tail, struct patch_image **ret_image)
{
    const struct content content = content_of(cache, text, length, tail);
    struct patch_image *image = NULL, *mine = NULL;
    int error = 0;

    mutex_lock(&cache->lock);
    struct cache_entry *entry = find_content_locked(cache, &content);
    if (!entry) {
        mutex_unlock(&cache->lock);
        error = build(cache, text, length, tail, &mine);
        if (error) {
            return error;
        }
        mutex_lock(&cache->lock);
        cache->counts.built++;
        entry = find_content_locked(cache, &content); /* another thread was faster */
        if (!entry) {
            error = add_entry_locked(cache, &content, mine, &entry);
        }
    } else {
        cache->counts.found_by_content++;
    }
    if (!error && entry) {
        image = use_locked(cache, entry);
        if (key) {
            add_key_locked(cache, entry, key);
        }
    } else if (!error) {
        image = patch_image_ref(mine);
    }
    mutex_unlock(&cache->lock);
    patch_image_unref(mine);
    if (!error) {
        *ret_image = image;
    }
    return error;
}

/* base with one site more and its memfd. */
static int extend(const struct patch_image *base, const uint8_t *text, size_t length,
                  uint64_t offset, uint64_t number, struct patch_image **ret_image)
{
    struct patch_image *image;
    int error = patch_image_add(base, text, length, offset, number, &image);
    if (error) {
        return error;
    }
    int fd = patch_image_memfd(image, text, length);
    if (fd < 0) {
        patch_image_unref(image);
        return fd;
    }
    *ret_image = image;
    return 0;
}

/* False when base no longer stands for the text. */
static bool replace(struct patch_cache *cache, const struct content *content,
                    struct patch_image *base, struct patch_image *newer)
{
    mutex_lock(&cache->lock);
    struct cache_entry *entry = find_content_locked(cache, content);
    bool current = entry && entry->image == base;
    if (current) {
        entry->image = patch_image_ref(newer);
    }
    if (current && entry->bytes == 0) {
        /* It had no sites, so it had no memfd. The limit may be passed until the next text. */
        entry->bytes = (content->length + 4095) & ~4095ULL;
        cache->counts.bytes += entry->bytes;
    }
    mutex_unlock(&cache->lock);
    if (current) {
        patch_image_unref(base); /* the entry's */
    }
    return current;
}

int patch_cache_extend(struct patch_cache *cache, const struct patch_image *image,
                       const uint8_t *text, size_t length, uint64_t offset, uint64_t number,
                       struct patch_image **ret_image)
{
    const struct content content = content_of(cache, text, length, image->tail);
    struct patch_image *base = NULL, *newer;
    mutex_lock(&cache->lock);
    struct cache_entry *entry = find_content_locked(cache, &content);
    if (entry) {
        base = use_locked(cache, entry);
    }
    mutex_unlock(&cache->lock);
    if (!base) {
        return -ENOENT;
    }
    if (patch_image_find(base, offset)) {
        *ret_image = base; /* another process had it added */
        return 0;
    }
    int error = extend(base, text, length, offset, number, &newer);
    if (!error && !replace(cache, &content, base, newer)) {
        patch_image_unref(newer);
        error = -EAGAIN;
    }
    patch_image_unref(base);
    if (!error) {
        *ret_image = newer;
    }
    return error;
}

void patch_cache_count(struct patch_cache *cache, struct patch_cache_counts *ret_counts)
{
    mutex_lock(&cache->lock);
    *ret_counts = cache->counts;
    mutex_unlock(&cache->lock);
}
