/*
 * The cache of patched images, and the rest of the page behind an ELF segment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "platform/patch/patch_cache.h"
#include "platform/patch/patch_elf.h"
#include "tests/unit/patch_check.h"
#include "tests/unit/patch_files.h"

static const struct patch_config config = {.entry_slot = PATCH_CHECK_SLOT};
static const uint8_t secret[PATCH_CACHE_SECRET] = {1, 2, 3};

static void make_text(uint8_t *text, size_t length, uint8_t mark, bool site)
{
    memset(text, 0x53, length);
    text[0] = mark;
    if (site) {
        memcpy(text + 256, "\xb8\x27\x00\x00\x00\x0f\x05", 7);
        memset(text + length - 64, 0, 64);
    }
}

static struct patch_cache *make_cache(size_t images, uint64_t bytes)
{
    struct patch_cache *cache = NULL;
    const struct patch_cache_limits limits = {.images = images, .bytes = bytes};
    assert_int_equal(patch_cache_new(&config, &limits, secret, &cache), 0);
    return cache;
}

static struct patch_image *get(struct patch_cache *cache, const struct patch_file_key *key,
                               uint8_t mark, bool site)
{
    uint8_t text[4096];
    struct patch_image *image = NULL;
    make_text(text, sizeof(text), mark, site);
    assert_int_equal(patch_cache_get(cache, key, text, sizeof(text), site ? 64 : 0, &image), 0);
    assert_int_equal(patch_image_site_count(image), site);
    assert_int_equal(patch_image_fd(image) >= 0, site);
    return image;
}

static void test_found(void **state)
{
    (void)state;
    struct patch_cache *cache = make_cache(10, 1 << 20);
    const struct patch_file_key key = {.device = 1, .inode = 2, .length = 4096};
    struct patch_file_key other = key;
    struct patch_image *found = NULL;
    struct patch_cache_counts counts;

    assert_int_equal(patch_cache_find(cache, &key, &found), -ENOENT);
    struct patch_image *first = get(cache, &key, 0x50, true);
    assert_int_equal(patch_cache_find(cache, &key, &found), 0);
    assert_ptr_equal(found, first);
    patch_image_unref(found);
    other.mtime_ns = 1;
    assert_int_equal(patch_cache_find(cache, &other, &found), -ENOENT);
    struct patch_image *same = get(cache, &other, 0x50, true);
    assert_ptr_equal(same, first);
    assert_int_equal(patch_cache_find(cache, &other, &found), 0);
    patch_image_unref(found);
    struct patch_image *none = get(cache, NULL, 0x50, false);
    assert_ptr_not_equal(none, first);
    patch_cache_count(cache, &counts);
    assert_int_equal(counts.images, 2);
    assert_int_equal(counts.keys, 2);
    assert_int_equal(counts.bytes, 4096);
    assert_int_equal(counts.built, 2);
    assert_int_equal(counts.found_by_content, 1);
    assert_int_equal(counts.found_by_key, 2);
    /* The same key with other content: the file changed without its times telling. */
    struct patch_image *changed = get(cache, &key, 0x51, true);
    assert_int_equal(patch_cache_find(cache, &key, &found), 0);
    assert_ptr_equal(found, changed);
    patch_image_unref(found);
    patch_cache_free(cache);
    assert_int_equal(patch_image_site_count(first), 1);
    patch_image_unref(first);
    patch_image_unref(same);
    patch_image_unref(none);
    patch_image_unref(changed);
}

static void test_limits(void **state)
{
    (void)state;
    struct patch_cache *cache = make_cache(8, 3 * 4096);
    struct patch_cache_counts counts;
    struct patch_image *found = NULL;
    for (uint8_t i = 0; i < 100; i++) {
        struct patch_file_key key = {.inode = i};
        patch_image_unref(get(cache, &key, (uint8_t)(0x50 + (i & 7)), i % 2 == 0));
        patch_cache_count(cache, &counts);
        assert_true(counts.images <= 8 && counts.bytes <= 3 * 4096);
    }
    /* What is used stays: the first of three, asked for each time, survives. */
    struct patch_file_key key = {.inode = 1000};
    patch_image_unref(get(cache, &key, 0x58, true));
    for (uint8_t i = 0; i < 30; i++) {
        assert_int_equal(patch_cache_find(cache, &key, &found), 0);
        patch_image_unref(found);
        patch_image_unref(get(cache, NULL, (uint8_t)(0x59 + i % 7), true));
    }
    /* Many files of one content have a bounded number of keys. */
    for (uint64_t i = 0; i < 1000; i++) {
        struct patch_file_key many = {.inode = 2000 + i};
        patch_image_unref(get(cache, &many, 0x58, true));
    }
    patch_cache_count(cache, &counts);
    assert_true(counts.keys <= 8 * 16);
    patch_cache_free(cache);

    /* A cache that keeps nothing works. */
    cache = make_cache(0, 0);
    patch_image_unref(get(cache, &key, 0x58, true));
    patch_cache_count(cache, &counts);
    assert_int_equal(counts.images, 0);
    patch_cache_free(cache);
    patch_cache_free(NULL);
}

static void test_extend(void **state)
{
    (void)state;
    struct patch_cache *cache = make_cache(8, 1 << 20);
    struct patch_file_key key = {.inode = 1};
    uint8_t text[4096];
    struct patch_image *older = NULL, *newer = NULL, *found = NULL;
    make_text(text, sizeof(text), 0x53, true);
    memcpy(text + 600, "\xb8\x10\x00\x00\x00\x90\x0f\x05\x48\x31\xc0\x53", 12);
    assert_int_equal(patch_cache_get(cache, &key, text, sizeof(text), 64, &older), 0);
    assert_int_equal(patch_cache_extend(cache, older, text, sizeof(text), 606, 16, &newer), 0);
    assert_int_equal(patch_image_site_count(newer), patch_image_site_count(older) + 1);
    assert_true(patch_image_fd(newer) >= 0);
    assert_int_equal(patch_cache_find(cache, &key, &found), 0);
    assert_ptr_equal(found, newer);
    patch_image_unref(found);
    /* The site is there already, whatever image the caller knows. */
    assert_int_equal(patch_cache_extend(cache, older, text, sizeof(text), 606, 16, &found), 0);
    assert_ptr_equal(found, newer);
    patch_image_unref(found);
    assert_int_equal(patch_cache_extend(cache, older, text, sizeof(text), 605, 16, &found),
                     -EINVAL);
    /* Another text. */
    text[2000] ^= 1;
    assert_int_equal(patch_cache_extend(cache, older, text, sizeof(text), 606, 16, &found),
                     -ENOENT);
    patch_image_unref(older);
    patch_image_unref(newer);
    patch_cache_free(cache);
}

static void *get_many(void *context)
{
    struct patch_cache *cache = context;
    uint8_t text[4096];
    for (unsigned int i = 0; i < 2000; i++) {
        struct patch_file_key key = {.inode = i % 7};
        struct patch_image *image = NULL;
        make_text(text, sizeof(text), (uint8_t)(0x50 + i % 7), true);
        if (patch_cache_find(cache, &key, &image) != 0 &&
            patch_cache_get(cache, &key, text, sizeof(text), 64, &image) != 0) {
            return "no image";
        }
        bool good = patch_image_site_count(image) == 1;
        patch_image_unref(image);
        if (!good) {
            return "another image";
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    void *result;
    struct patch_cache *cache = make_cache(3, 1 << 20);
    for (size_t i = 0; i < array_size(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, get_many, cache), 0);
    }
    for (size_t i = 0; i < array_size(threads); i++) {
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    patch_cache_free(cache);
}

struct elf {
    Elf64_Ehdr header;
    Elf64_Phdr segments[4];
};

static struct elf make_elf(void)
{
    struct elf elf = {
        .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
                   .e_machine = EM_X86_64,
                   .e_phoff = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 3},
        .segments = {{.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = 0x500, .p_memsz = 0x500},
                     {.p_type = PT_LOAD,
                      .p_flags = PF_R | PF_X,
                      .p_offset = 0x1000,
                      .p_vaddr = 0x401000,
                      .p_filesz = 0x1234,
                      .p_memsz = 0x1234},
                     {.p_type = PT_LOAD,
                      .p_flags = PF_R | PF_W,
                      .p_offset = 0x3000,
                      .p_vaddr = 0x404000,
                      .p_filesz = 0x10,
                      .p_memsz = 0x20}}};
    return elf;
}

#define tail_of(elf) patch_elf_tail((const uint8_t *)(elf), sizeof(*(elf)), 0x1000, 0x2000)

static void test_elf(void **state)
{
    (void)state;
    struct elf elf = make_elf();
    assert_int_equal(tail_of(&elf), 0x3000 - 0x2234);
    assert_int_equal(patch_elf_tail((uint8_t *)&elf, sizeof(elf), 0x1000, 0x1000), 0);
    assert_int_equal(patch_elf_tail((uint8_t *)&elf, sizeof(elf), 0x0, 0x3000), 0);
    assert_int_equal(patch_elf_tail((uint8_t *)&elf, sizeof(elf), UINT64_MAX & ~0xfffULL, 0x2000),
                     0);
    for (size_t length = 0; length < sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr); length++) {
        assert_int_equal(patch_elf_tail((uint8_t *)&elf, length, 0x1000, 0x2000), 0);
    }
    /* Another segment begins in the page's rest, or elsewhere in that page's place. */
    elf.segments[2].p_vaddr = 0x402800;
    assert_int_equal(tail_of(&elf), 0);
    elf = make_elf();
    elf.segments[2].p_type = PT_NOTE;
    elf.segments[2].p_vaddr = 0x402f00;
    assert_int_equal(tail_of(&elf), 0);
    elf.segments[2].p_vaddr = 0x402000;
    assert_int_equal(tail_of(&elf), 0x3000 - 0x2234);
    elf = make_elf();
    elf.segments[1].p_memsz++;
    assert_int_equal(tail_of(&elf), 0);
    elf = make_elf();
    elf.segments[1].p_flags |= PF_W;
    assert_int_equal(tail_of(&elf), 0);
    elf = make_elf();
    elf.segments[2] = elf.segments[1];
    assert_int_equal(tail_of(&elf), 0);
    elf = make_elf();
    elf.header.e_phnum = 0xffff;
    assert_int_equal(tail_of(&elf), 0);
    elf = make_elf();
    elf.header.e_phoff = UINT64_MAX - 8;
    assert_int_equal(tail_of(&elf), 0);
    elf = make_elf();
    elf.segments[2].p_memsz = UINT64_MAX;
    assert_int_equal(tail_of(&elf), 0);
    elf = make_elf();
    elf.header.e_machine = EM_AARCH64;
    assert_int_equal(tail_of(&elf), 0);
}

static void test_elf_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(patch_files); i++) {
        struct patch_file file;
        if (patch_file_open(patch_files[i], &file) == 0) {
            size_t tail = patch_elf_tail(file.map, 4096, file.offset, file.length);
            printf("%-56s %4zu bytes behind the code\n", patch_files[i], tail);
            assert_true(tail == 0 || tail == file.length - file.code);
            patch_file_close(&file);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),  cmocka_unit_test(test_limits),
        cmocka_unit_test(test_extend), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_elf),    cmocka_unit_test(test_elf_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
