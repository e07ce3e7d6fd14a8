/*
 * The Nth allocation fails, for every N: images and caches answer ENOMEM, leak nothing and go on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/patch/patch_cache.h"
#include "tests/unit/failing_alloc.h"
#include "tests/unit/patch_check.h"
#include "tests/unit/patch_files.h"

/* Builds, adds a site, and goes through a cache. Returns the first error. */
static int use(const struct patch_file *file, uint64_t added)
{
    static const struct patch_config config = {.entry_slot = PATCH_CHECK_SLOT};
    static const struct patch_cache_limits limits = {.images = 4, .bytes = 16 << 20};
    static const uint8_t secret[PATCH_CACHE_SECRET] = {1};
    const struct patch_file_key key = {.inode = 1};
    size_t tail = file->length - file->code;
    struct patch_image *image = NULL, *more = NULL, *kept = NULL;
    struct patch_cache *cache = NULL;

    int error = patch_build(&config, file->text, file->length, tail, &image);
    if (!error) {
        error = patch_image_add(image, file->text, file->length, added, 400, &more);
    }
    if (!error) {
        int fd = patch_image_memfd(more, file->text, file->length);
        error = fd < 0 ? fd : 0;
    }
    if (!error) {
        error = patch_cache_new(&config, &limits, secret, &cache);
    }
    if (!error) {
        error = patch_cache_get(cache, &key, file->text, file->length, tail, &kept);
    }
    if (!error) {
        struct patch_image *extended = NULL;
        error = patch_cache_extend(cache, kept, file->text, file->length, added, 400, &extended);
        error = error == -ENOENT ? 0 : error; /* the cache had no memory to keep it */
        patch_image_unref(extended);
        patch_image_unref(kept);
        /* A key that was not remembered is no error. */
        if (patch_cache_find(cache, &key, &kept) != 0) {
            kept = NULL;
        }
    }
    patch_image_unref(kept);
    patch_cache_free(cache);
    patch_image_unref(more);
    patch_image_unref(image);
    return error;
}

/* A pair that no signature fits and that can be added. */
static uint64_t find_addition(const struct patch_file *file)
{
    static const struct patch_config config = {.entry_slot = PATCH_CHECK_SLOT};
    struct patch_image *image = NULL, *more = NULL;
    uint64_t found = 0;
    assert_int_equal(
        patch_build(&config, file->text, file->length, file->length - file->code, &image), 0);
    for (size_t at = 0; at + 1 < file->code && found == 0; at++) {
        if (file->text[at] == 0x0f && file->text[at + 1] == 0x05 &&
            patch_image_add(image, file->text, file->length, at, 400, &more) == 0) {
            patch_image_unref(more);
            found = at;
        }
    }
    patch_image_unref(image);
    return found;
}

static void test_failing_allocations(void **state)
{
    (void)state;
    struct patch_file file = {0};
    int error = -ENOMEM;
    long tried = 0;
    if (patch_file_open("/usr/lib/x86_64-linux-gnu/libc.so.6", &file) != 0) {
        skip();
        return;
    }
    uint64_t added = find_addition(&file);
    assert_true(added != 0);
    for (;; tried++) {
        alloc_countdown = tried;
        error = use(&file, added);
        assert_true(error == 0 || error == -ENOMEM);
        if (alloc_countdown >= 0) {
            break; /* none failed any more */
        }
        alloc_countdown = -1;
        assert_int_equal(use(&file, added), 0);
    }
    alloc_countdown = -1;
    printf("%ld allocations failed in turn\n", tried);
    assert_int_equal(error, 0);
    assert_true(tried > 20);
    patch_file_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
