/*
 * patch_cache.h: images of one sandbox, found by the file they come from or by their content, so
 * that a text is looked at once however often it is mapped. Bounded; the longest unused image goes
 * first (its users keep their references). Texts without sites are remembered too.
 *
 * All functions may be called by several threads; the lock's rank is RANK_PLATFORM. Images are
 * built outside it.
 */
#pragma once

#include "platform/patch/patch.h"

#define PATCH_CACHE_SECRET 192

struct patch_cache;

struct patch_cache_limits {
    size_t images;
    uint64_t bytes; /* of memfds that the cache itself holds */
};

/* One mapping's place. Two texts with the same key must be the same text. */
struct patch_file_key {
    uint64_t device, inode;
    uint64_t size, mtime_ns, ctime_ns; /* of the file when the text was read */
    uint64_t offset, length;
};

struct patch_cache_counts {
    size_t images, keys;
    uint64_t bytes;
    uint64_t found_by_key, found_by_content, built;
};

/*
 * secret: random bytes that nobody in the sandbox knows. They key the content hash, so that one
 * guest user cannot make up a text that another's is mistaken for. -ENOMEM.
 */
int patch_cache_new(const struct patch_config *config, const struct patch_cache_limits *limits,
                    const uint8_t secret[PATCH_CACHE_SECRET],
                    struct patch_cache **ret_cache) must_check;
/* NULL is allowed. */
void patch_cache_free(struct patch_cache *cache);

/* A reference to the image of a file's text that was looked at before; -ENOENT. */
int patch_cache_find(struct patch_cache *cache, const struct patch_file_key *key,
                     struct patch_image **ret_image) must_check;

/*
 * A reference to the image of this text (arguments as patch_build's), from the cache or new. An
 * image with sites has its memfd. key may be NULL. -ENOMEM, and what the host says to memfds.
 */
int patch_cache_get(struct patch_cache *cache, const struct patch_file_key *key,
                    const uint8_t *text, size_t length, size_t tail,
                    struct patch_image **ret_image) must_check;

/*
 * A reference to an image of the text that image was built from, with one site more, as
 * patch_image_add does; it has its memfd and stands for that text from now on. The text is compared
 * with what was looked at then: a caller may have it from anywhere. -ENOENT when it is another
 * text, or no longer in the cache; -EAGAIN when another thread was faster with another site; else
 * what patch_image_add and the host say.
 */
int patch_cache_extend(struct patch_cache *cache, const struct patch_image *image,
                       const uint8_t *text, size_t length, uint64_t offset, uint64_t number,
                       struct patch_image **ret_image) must_check;

void patch_cache_count(struct patch_cache *cache, struct patch_cache_counts *ret_counts);
