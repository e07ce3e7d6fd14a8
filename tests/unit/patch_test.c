/*
 * Images of patched text: every shape, its limits, and whole libraries.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "platform/patch/patch.h"
#include "tests/unit/patch_check.h"
#include "tests/unit/patch_files.h"

static const struct patch_config config = {.entry_slot = PATCH_CHECK_SLOT};

/* A text under construction: instructions that mean nothing, then what a test puts in. */
struct text {
    uint8_t bytes[8192];
    size_t length, tail;
};

static void fill(struct text *text, size_t length, size_t tail)
{
    static const uint8_t filler[] = {0x48, 0x89, 0xe5, 0x48, 0x83, 0xc0, 0x01, 0x31, 0xd2, 0x48,
                                     0x8d, 0x7c, 0x24, 0x08, 0x85, 0xc9, 0x53, 0x41, 0x54};
    text->length = length;
    text->tail = tail;
    memset(text->bytes, 0, sizeof(text->bytes));
    for (size_t at = 0; at + sizeof(filler) <= length - tail; at += sizeof(filler)) {
        memcpy(text->bytes + at, filler, sizeof(filler));
    }
    for (size_t at = (length - tail) / sizeof(filler) * sizeof(filler); at < length - tail; at++) {
        text->bytes[at] = 0x53;
    }
}

#define put(text, at, literal) memcpy((text)->bytes + (at), literal, sizeof(literal) - 1)

/* mov $39, %eax; syscall at `at`; the syscall is 5 bytes further. */
#define CALL "\xb8\x27\x00\x00\x00\x0f\x05"
/* A call that only what follows it betrays: cmp $-4095, %rax. */
#define BARE   "\x31\xc0\x0f\x05\x48\x3d\x01\xf0\xff\xff"
#define NOP_5  "\x0f\x1f\x44\x00\x00"
#define NOP_6  "\x66\x0f\x1f\x44\x00\x00"
#define NOP_8  "\x0f\x1f\x84\x00\x00\x00\x00\x00"
#define NOP_9  "\x66" NOP_8
#define NOP_10 "\x66\x2e" NOP_8

/* Starts an instruction at `at`, whatever the filler was doing there. */
static void align_filler(struct text *text, size_t at)
{
    for (size_t i = at < 16 ? 0 : at - 16; i < at; i++) {
        text->bytes[i] = 0x53;
    }
}

static struct patch_image *build(const struct text *text)
{
    struct patch_image *image = NULL;
    assert_int_equal(patch_build(&config, text->bytes, text->length, text->tail, &image), 0);
    patch_check_image(image, text->bytes, text->length, text->tail);
    return image;
}

/* Builds and returns the shape of the only site, -1 without one. */
static int shape_of(const struct text *text, size_t offset)
{
    struct patch_image *image = build(text);
    const struct patch_site *site = patch_image_find(image, offset);
    int shape = site ? site->shape : -1;
    assert_true(patch_image_site_count(image) <= 1);
    patch_image_unref(image);
    return shape;
}

static void test_hole_whole(void **state)
{
    (void)state;
    struct text text;
    fill(&text, 4096, 0);
    align_filler(&text, 256);
    put(&text, 256, CALL);
    align_filler(&text, 321);
    put(&text, 320, "\xc3" NOP_10 NOP_5);
    struct patch_image *image = build(&text);
    const struct patch_site *site = patch_image_find(image, 261);
    assert_non_null(site);
    assert_int_equal(site->shape, PATCH_SHAPE_HOLE);
    assert_int_equal(site->hop, 321);
    assert_int_equal(site->trampoline, 321);
    assert_int_equal(site->edit_count, 2);
    patch_image_unref(image);
}

static void test_hole_chained(void **state)
{
    (void)state;
    struct text text;
    fill(&text, 4096, 512);
    align_filler(&text, 256);
    put(&text, 256, CALL);
    align_filler(&text, 306);
    put(&text, 306, "\xc3" NOP_5);
    put(&text, 306, "\xc3" NOP_9);
    put(&text, 310, "\x53\x53\xeb\xfe\xcc\xcc\xcc\xcc\xcc\xcc");
    align_filler(&text, 312);
    struct patch_image *image = build(&text);
    const struct patch_site *site = patch_image_find(image, 261);
    assert_non_null(site);
    assert_int_equal(site->shape, PATCH_SHAPE_HOLE);
    assert_int_equal(site->hop, 314);
    assert_true(site->trampoline >= text.length - text.tail);
    assert_int_equal(site->edit_count, 3);
    patch_image_unref(image);

    /* Without a tail, the trampoline stands in padding far away. */
    fill(&text, 4096, 0);
    align_filler(&text, 256);
    put(&text, 256, CALL);
    align_filler(&text, 312);
    put(&text, 312, "\xeb\xfe\xcc\xcc\xcc\xcc\xcc\xcc");
    align_filler(&text, 3840);
    put(&text, 3840, "\xc3" NOP_10 NOP_5);
    image = build(&text);
    site = patch_image_find(image, 261);
    assert_non_null(site);
    assert_int_equal(site->hop, 314);
    assert_int_equal(site->trampoline, 3841);
    patch_image_unref(image);

    /* And without any, there is nothing to do. */
    memset(text.bytes + 3840, 0x53, 16);
    assert_int_equal(shape_of(&text, 261), -1);
}

/* No 14 bytes anywhere: lea and the jump to the stub stand apart. */
static void test_split(void **state)
{
    (void)state;
    struct text text;
    fill(&text, 8192, 0);
    memset(text.bytes, 0x53, text.length);
    put(&text, 256, CALL);
    put(&text, 312, "\xeb\xfe\xcc\xcc\xcc\xcc\xcc\xcc");
    put(&text, 4096, "\x53\x53\xc3" NOP_8 NOP_5);
    assert_int_equal(shape_of(&text, 261), -1);
    put(&text, 6144 + 7, "\xc3" NOP_8);
    struct patch_image *image = build(&text);
    const struct patch_site *site = patch_image_find(image, 261);
    assert_non_null(site);
    assert_int_equal(site->shape, PATCH_SHAPE_HOLE);
    assert_int_equal(site->hop, 314);
    assert_int_equal(site->trampoline, 4099);
    assert_int_equal(site->exit, 6152);
    assert_int_equal(site->edit_count, 4);
    /* Which parts of the text can go on their own. */
    assert_true(patch_image_divided(image, 0, 4096));
    assert_true(patch_image_divided(image, 4096, 8192));
    assert_true(patch_image_divided(image, 4100, 4101));
    assert_true(patch_image_divided(image, 261, 6158));
    assert_false(patch_image_divided(image, 261, 6159));
    assert_false(patch_image_divided(image, 0, 8192));
    assert_false(patch_image_divided(image, 0, 256));
    assert_false(patch_image_divided(image, 512, 4096));
    patch_image_unref(image);
}

/* Padding that is not: nothing may be put there, so the site gets the move shape. */
static void test_padding_kinds(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        bool used;
    } cases[] = {
        {"\xc3" NOP_10 NOP_5, 16, true},
        {"\xc3\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc", 16, true},
        {"\x0f\x0b" NOP_8 NOP_6, 16, true},
        {"\xf4" NOP_10 NOP_5, 16, true},
        {"\xff\xe0" NOP_8 NOP_6, 16, true},
        {"\xeb\xf0" NOP_8 NOP_6, 16, true},
        {"\xe9\xf0\xff\xff\xff" NOP_6 NOP_5, 16, true},
        {"\xc3\x66\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00\x0f\x1f\x40\x00", 16, true},
        {"\xc3\x66\x66\x66\x66\x66\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00", 16, true},
        /* The byte before belongs to a mov: the code falls through into a loop's alignment. */
        {"\x48\x89\xc3\x66\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00\x66\x90", 16, false},
        /* A call that may come back. */
        {"\xe8\xf0\x00\x00\x00" NOP_6 NOP_5, 16, false},
        /* Jumps out of the text prove nothing. */
        {"\xe9\xf0\xff\xff\x7f" NOP_6 NOP_5, 16, false},
        /* Places for hooks. */
        {"\xc3\x53\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90", 16, false},
        {"\xc3\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90", 16, false},
        /* Data. */
        {"\xc3\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 16, false},
        /* Less than a jump. */
        {"\x53\x53\x53\x53\x53\x53\x53\x53\x53\x53\x53\xc3\x0f\x1f\x40\x00", 16, false},
        /* It does not end at a multiple of 16: the nop belongs to what follows. */
        {"\x53\x53\x53\x53\x53\x53\x53\x53\x53\x53\xc3\x66\x90\x90\x66\x53", 16, false},
    };
    (void)state;
    for (size_t i = 0; i < array_size(cases); i++) {
        struct text text;
        fill(&text, 4096, 1024);
        align_filler(&text, 256);
        put(&text, 256, CALL);
        align_filler(&text, 304);
        memcpy(text.bytes + 304, cases[i].bytes, cases[i].length);
        int shape = shape_of(&text, 261);
        if (shape != (cases[i].used ? PATCH_SHAPE_HOLE : PATCH_SHAPE_MOVE)) {
            fail_msg("case %zu: shape %d", i, shape);
        }
    }
}

static void test_padding_branches(void **state)
{
    struct text text;
    (void)state;
    for (int kind = 0; kind < 5; kind++) {
        fill(&text, 8192, 1024);
        align_filler(&text, 256);
        put(&text, 256, CALL);
        align_filler(&text, 320);
        put(&text, 320, "\xc3" NOP_10 NOP_5);
        align_filler(&text, 380);
        align_filler(&text, 1380);
        if (kind == 1) { /* jne 325 */
            put(&text, 380, "\x75");
            text.bytes[381] = (uint8_t)(325 - 382);
        } else if (kind == 2) { /* jne to the next function: no harm */
            put(&text, 380, "\x75");
            text.bytes[381] = (uint8_t)(336 - 382);
        } else if (kind == 3) { /* jmp near from further away */
            put(&text, 1380, "\xe9");
            memcpy(text.bytes + 1381, &(int32_t){325 - 1385}, 4);
        } else if (kind == 4) { /* jne near */
            put(&text, 1380, "\x0f\x85");
            memcpy(text.bytes + 1382, &(int32_t){321 - 1386}, 4);
        }
        bool free = kind == 0 || kind == 2;
        assert_int_equal(shape_of(&text, 261), free ? PATCH_SHAPE_HOLE : PATCH_SHAPE_MOVE);
    }
}

/* The short jump's reach, in both directions. */
static void test_reach(void **state)
{
    (void)state;
    for (size_t at = 900; at < 1400; at++) {
        struct text text;
        fill(&text, 4096, 1024);
        memset(text.bytes, 0x53, 3072);
        put(&text, 1120, "\xc3" NOP_10 NOP_5);
        if (at + 7 > 1104 && at < 1152) {
            continue;
        }
        put(&text, at, CALL);
        size_t site = at + 5;
        int64_t distance = 1121 - (int64_t)(site + 2);
        bool reaches = distance >= -128 && distance <= 127;
        int shape = shape_of(&text, site);
        if (shape != (reaches ? PATCH_SHAPE_HOLE : PATCH_SHAPE_MOVE)) {
            fail_msg("site %zu: shape %d", site, shape);
        }
    }
}

static void test_move(void **state)
{
    (void)state;
    struct text text;
    fill(&text, 4096, 64);
    align_filler(&text, 256);
    put(&text, 256, CALL);
    assert_int_equal(shape_of(&text, 261), PATCH_SHAPE_MOVE);
    /* No room for 19 bytes, in the tail or elsewhere. */
    text.bytes[4096 - 64 + 12] = 1;
    assert_int_equal(shape_of(&text, 261), -1);
    /* rt_sigreturn keeps its bytes. */
    fill(&text, 4096, 64);
    align_filler(&text, 256);
    put(&text, 256, "\xb8\x0f\x00\x00\x00\x0f\x05");
    assert_int_equal(shape_of(&text, 261), -1);
    /* No number of a call. */
    put(&text, 256, "\xb8\x00\x02\x00\x00\x0f\x05");
    assert_int_equal(shape_of(&text, 261), -1);
    /* b8 is the ModRM of a load: `mov 0x88(%r8), %rdi; syscall; cmp`. Not a mov of a number. */
    put(&text, 254, "\x49\x8b\xb8\x88\x00\x00\x00\x0f\x05\x48\x3d\x01\xf0\xff\xff");
    assert_int_equal(shape_of(&text, 261), PATCH_SHAPE_FORWARD);
}

static void test_forward(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        int shape;
    } cases[] = {
        {BARE, 10, PATCH_SHAPE_FORWARD},
        /* mov %rax, %rdi; call: a call is not moved, but mov alone is enough. */
        {"\x31\xc0\x0f\x05\x48\x89\xc7\xe8\x01\x00\x00\x00", 12, PATCH_SHAPE_FORWARD},
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct text text;
        fill(&text, 4096, 64);
        align_filler(&text, 256);
        memcpy(text.bytes + 256, cases[i].bytes, cases[i].length);
        assert_int_equal(shape_of(&text, 258), cases[i].shape);
        /* A branch to the instruction behind the syscall. */
        align_filler(&text, 300);
        put(&text, 300, "\x75");
        text.bytes[301] = (uint8_t)(260 - 302);
        assert_int_equal(shape_of(&text, 258), -1);
        /* A branch to the syscall itself is well. */
        text.bytes[301] = (uint8_t)(258 - 302);
        assert_int_equal(shape_of(&text, 258), cases[i].shape);
    }
}

/* Sites that were executed: what is behind them may be anything that can be moved. */
static void test_added(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        int error;
    } cases[] = {
        {"\x0f\x05\x74\x10\x31\xc0\x53", 7, 0},                  /* je */
        {"\x0f\x05\xeb\x10\xcc", 5, -ENOSPC},                    /* jmp: 4 bytes are too few */
        {"\x0f\x05\x89\xc2\xeb\x10\xcc", 7, 0},                  /* mov; jmp */
        {"\x0f\x05\x48\x8b\x05\x10\x00\x00\x00\x53", 10, 0},     /* mov 16(%rip), %rax */
        {"\x0f\x05\x48\x85\xc0\x0f\x88\x10\x00\x00\x00", 11, 0}, /* test */
        {"\x0f\x05\x0f\x88\x10\x00\x00\x00\x53", 9, 0},          /* js near */
        {"\x0f\x05\xe9\x10\x00\x00\x00\x53", 8, 0},              /* jmp near */
        {"\x0f\x05\xe8\x10\x00\x00\x00\x53", 8, -ENOSPC},        /* call */
        {"\x0f\x05\x0f\x05\x0f\x05\x0f\x05", 8, -ENOSPC},        /* syscall */
        {"\x0f\x05\xe3\x10\x53\x53", 6, -ENOSPC},                /* jrcxz */
        {"\x0f\x05\x31\xc0\x74\xfc\x53", 7, -ENOSPC},            /* a loop within */
        {"\x0f\x05\xc3\x06\x06\x06", 6, -ENOSPC},                /* ret, then anything */
        {"\xb8\x02\x00\x00\x00\x90\x0f\x05\x06\x06\x06", 11, -EINVAL}, /* offset 0: a mov */
    };
    (void)state;
    for (size_t i = 0; i < array_size(cases); i++) {
        struct text text;
        struct patch_image *more = NULL;
        fill(&text, 4096, 128);
        align_filler(&text, 512);
        put(&text, 512, CALL);
        struct patch_image *image = build(&text);
        assert_int_equal(patch_image_site_count(image), 1);
        align_filler(&text, 256);
        memcpy(text.bytes + 256, cases[i].bytes, cases[i].length);
        patch_image_unref(image);
        image = build(&text);
        int error = patch_image_add(image, text.bytes, text.length, 256, 7, &more);
        if (error != cases[i].error) {
            fail_msg("case %zu: %d", i, error);
        }
        if (!error) {
            patch_check_image(more, text.bytes, text.length, text.tail);
            assert_int_equal(patch_image_site_count(more), 2);
            assert_non_null(patch_image_find(more, 517));
            assert_int_equal(patch_image_find(more, 256)->shape, PATCH_SHAPE_FORWARD);
            assert_int_equal(patch_image_find(more, 517)->trampoline,
                             patch_image_find(image, 517)->trampoline);
            struct patch_image *again = NULL;
            assert_int_equal(patch_image_add(more, text.bytes, text.length, 256, 7, &again),
                             -EEXIST);
        }
        patch_image_unref(more);
        patch_image_unref(image);
    }
}

/* The mov shape of an executed site asks for the number that was called. */
static void test_added_number(void **state)
{
    (void)state;
    struct text text;
    struct patch_image *image, *more = NULL;
    fill(&text, 4096, 128);
    align_filler(&text, 256);
    put(&text, 256, "\xb8\x0f\x00\x00\x00\x0f\x05\x06\x06\x06");
    image = build(&text);
    assert_int_equal(patch_image_site_count(image), 0);
    assert_int_equal(patch_image_add(image, text.bytes, text.length, 261, 16, &more), -ENOSPC);
    assert_int_equal(patch_image_add(image, text.bytes, text.length, 261, 15, &more), -ENOSPC);
    put(&text, 256, "\xb8\x10\x00\x00\x00\x0f\x05\x06\x06\x06");
    assert_int_equal(patch_image_add(image, text.bytes, text.length, 261, 15, &more), -ENOSPC);
    assert_int_equal(patch_image_add(image, text.bytes, text.length, 261, 16, &more), 0);
    patch_check_image(more, text.bytes, text.length, text.tail);
    patch_image_unref(more);
    /* Offsets that are none. */
    assert_int_equal(patch_image_add(image, text.bytes, text.length, 4095, 16, &more), -EINVAL);
    assert_int_equal(patch_image_add(image, text.bytes, text.length, 4096, 16, &more), -EINVAL);
    assert_int_equal(patch_image_add(image, text.bytes, text.length, UINT64_MAX, 1, &more),
                     -EINVAL);
    assert_int_equal(patch_image_add(image, text.bytes, 4095, 261, 16, &more), -EINVAL);
    patch_image_unref(image);
}

/* A site at the very start, at the very end, across a page, and short texts. */
static void test_edges(void **state)
{
    (void)state;
    struct text text;
    struct patch_image *image;
    fill(&text, 8192, 64);
    put(&text, 0, CALL "\x53\x53\x53");
    assert_int_equal(shape_of(&text, 5), PATCH_SHAPE_MOVE);
    fill(&text, 8192, 64);
    put(&text, 0, "\x0f\x05\x48\x3d\x01\xf0\xff\xff");
    assert_int_equal(shape_of(&text, 0), PATCH_SHAPE_FORWARD);
    fill(&text, 8192, 64);
    align_filler(&text, 8192 - 64 - 7);
    put(&text, 8192 - 64 - 7, CALL);
    assert_int_equal(shape_of(&text, 8192 - 64 - 2), PATCH_SHAPE_MOVE);
    for (size_t at = 4080; at < 4100; at++) {
        fill(&text, 8192, 64);
        align_filler(&text, at);
        put(&text, at, CALL);
        assert_int_equal(shape_of(&text, at + 5), PATCH_SHAPE_MOVE);
    }
    for (size_t length = 0; length < 40; length++) {
        fill(&text, length, 0);
        image = build(&text);
        assert_int_equal(patch_image_site_count(image), 0);
        assert_false(patch_image_next_edit(image, 0, &(uint64_t){0}, &(size_t){0}));
        patch_image_unref(image);
    }
    /* A pair cut by the end of the code is no site. */
    fill(&text, 4096, 63);
    align_filler(&text, 4096 - 64 - 5);
    put(&text, 4096 - 64 - 5, "\xb8\x27\x00\x00\x00\x0f\x05");
    text.bytes[4096 - 63] = 0x05;
    assert_int_equal(shape_of(&text, 4096 - 64), -1);
    assert_int_equal(patch_build(&config, text.bytes, 10, 11, &image), -EINVAL);
}

static void test_memfd(void **state)
{
    (void)state;
    struct text text;
    uint8_t back[8192], wanted[8192] = {0};
    fill(&text, 5000, 64);
    align_filler(&text, 256);
    put(&text, 256, CALL);
    struct patch_image *image = build(&text);
    assert_int_equal(patch_image_fd(image), -1);
    assert_int_equal(patch_image_memfd(image, text.bytes, 4999), -EINVAL);
    int fd = patch_image_memfd(image, text.bytes, text.length);
    assert_true(fd >= 0);
    assert_int_equal(patch_image_memfd(image, text.bytes, text.length), fd);
    assert_int_equal(patch_image_fd(image), fd);
    assert_int_equal(pread(fd, back, sizeof(back), 0), sizeof(back));
    memcpy(wanted, text.bytes, text.length);
    patch_image_apply(image, 0, wanted, text.length);
    assert_memory_equal(back, wanted, sizeof(back));
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_true(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    patch_image_unref(image);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    fill(&text, 4096, 0);
    image = build(&text);
    assert_int_equal(patch_image_memfd(image, text.bytes, text.length), -ENOENT);
    patch_image_unref(image);
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Files whose text holds no system call must not get a site, whatever their tables look like. */
static bool has_no_calls(const char *path)
{
    static const char *const names[] = {"python", "git",       "node",   "libcrypto",
                                        "libjvm", "libstdc++", "libm.so"};
    for (size_t i = 0; i < array_size(names); i++) {
        if (strstr(path, names[i])) {
            return true;
        }
    }
    return false;
}

static void test_files(void **state)
{
    (void)state;
    printf("%-56s %9s %5s %5s %5s %5s %8s\n", "file", "text", "sites", "hole", "move", "forw",
           "ms");
    for (size_t i = 0; i < array_size(patch_files); i++) {
        struct patch_file file;
        struct patch_image *image = NULL;
        size_t shapes[PATCH_SHAPE_COUNT] = {0};
        if (patch_file_open(patch_files[i], &file) != 0) {
            continue;
        }
        double best = 1e9;
        for (int round = 0; round < 3; round++) {
            patch_image_unref(image);
            double start = milliseconds();
            assert_int_equal(
                patch_build(&config, file.text, file.length, file.length - file.code, &image), 0);
            double took = milliseconds() - start;
            best = took < best ? took : best;
        }
        size_t count = patch_image_site_count(image);
        for (size_t s = 0; s < count; s++) {
            shapes[patch_image_site(image, s)->shape]++;
        }
        printf("%-56s %9zu %5zu %5zu %5zu %5zu %8.3f\n", patch_files[i], file.code, count,
               shapes[PATCH_SHAPE_HOLE], shapes[PATCH_SHAPE_MOVE], shapes[PATCH_SHAPE_FORWARD],
               best);
        patch_check_image(image, file.text, file.length, file.length - file.code);
        if (has_no_calls(patch_files[i])) {
            assert_int_equal(count, 0);
        } else {
            assert_true(count >= 20);
        }
        patch_image_unref(image);
        patch_file_close(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hole_whole),
        cmocka_unit_test(test_hole_chained),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_padding_kinds),
        cmocka_unit_test(test_padding_branches),
        cmocka_unit_test(test_reach),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_added),
        cmocka_unit_test(test_added_number),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_memfd),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
