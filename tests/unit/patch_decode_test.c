/*
 * Instruction lengths: compared with capstone over whole libraries, and never beyond the bytes
 * that are there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <capstone/capstone.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/patch/patch_decode.h"
#include "tests/unit/patch_files.h"

/* Both walk the text from its start; where they differ, both go on behind capstone's. */
static void compare_text(const char *path, const uint8_t *text, size_t length)
{
    csh handle;
    size_t instructions = 0, wrong = 0, refused = 0, unknown = 0;
    assert_int_equal(cs_open(CS_ARCH_X86, CS_MODE_64, &handle), CS_ERR_OK);
    cs_insn *in = cs_malloc(handle);
    assert_non_null(in);
    const uint8_t *at = text;
    while (at < text + length && instructions < 150000) {
        size_t left = (size_t)(text + length - at);
        const uint8_t *next = at;
        uint64_t address = (uint64_t)(at - text);
        unsigned int own = patch_length(at, left);
        struct patch_instruction full;
        assert_int_equal(patch_decode(at, left, &full), own);
        if (!cs_disasm_iter(handle, &next, &left, &address, in)) {
            unknown++;
            at += own ? own : 1;
            continue;
        }
        instructions++;
        refused += own == 0;
        if (own != 0 && own != in->size) {
            if (++wrong < 20) {
                printf("%s+%zx: %s %s: %u, capstone %u\n", path, (size_t)(at - text), in->mnemonic,
                       in->op_str, own, in->size);
            }
        }
        at += in->size;
    }
    printf("%-60s %8zu instructions, %zu differ, %zu refused, %zu unknown to capstone\n", path,
           instructions, wrong, refused, unknown);
    /* Tables among the code (libcrypto, Go's headers) make sequences that no compiler makes. */
    assert_int_equal(wrong, 0);
    assert_true(refused * 200 <= instructions);
    cs_free(in, 1);
    cs_close(&handle);
}

static void test_lengths_like_capstone(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(patch_files); i++) {
        struct patch_file file;
        if (patch_file_open(patch_files[i], &file) == 0) {
            compare_text(patch_files[i], file.text, file.code);
            patch_file_close(&file);
        }
    }
}

/* Every prefix of an instruction is no instruction, and nothing behind the end is read. */
static void test_truncated(void **state)
{
    static const char *const whole[] = {"\x48\x8d\x0d\x01\x02\x03\x04",
                                        "\xe9\x01\x02\x03\x04",
                                        "\x66\x2e\x0f\x1f\x84\x00\x01\x02\x03\x04",
                                        "\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08",
                                        "\xc4\xe2\x7d\x58\x05\x01\x02\x03\x04",
                                        "\x62\xf1\xfe\x28\x6f\x84\x24\x01\x02\x03\x04"};
    static const size_t lengths[] = {7, 5, 10, 10, 9, 11};
    (void)state;
    uint8_t *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + 4096, 4096, PROT_NONE), 0);
    for (size_t i = 0; i < array_size(whole); i++) {
        for (size_t length = 0; length <= lengths[i]; length++) {
            uint8_t *at = pages + 4096 - length;
            memcpy(at, whole[i], length);
            assert_int_equal(patch_length(at, length), length == lengths[i] ? length : 0);
        }
    }
    munmap(pages, 8192);
}

static void test_flow(void **state)
{
    static const struct {
        const char *bytes;
        uint8_t length, flow, relative_size;
        int32_t relative;
        bool call, system;
    } cases[] = {
        {"\xc3", 1, PATCH_FLOW_END, 0, 0, false, false},
        {"\xf3\xc3", 2, PATCH_FLOW_END, 0, 0, false, false},
        {"\xeb\xfe", 2, PATCH_FLOW_END, 1, -2, false, false},
        {"\xe9\x10\x00\x00\x00", 5, PATCH_FLOW_END, 4, 16, false, false},
        {"\xe8\x10\x00\x00\x00", 5, PATCH_FLOW_BRANCH, 4, 16, true, false},
        {"\x0f\x84\xff\xff\xff\xff", 6, PATCH_FLOW_BRANCH, 4, -1, false, false},
        {"\x74\x7f", 2, PATCH_FLOW_BRANCH, 1, 127, false, false},
        {"\x0f\x0b", 2, PATCH_FLOW_END, 0, 0, false, false},
        {"\xf4", 1, PATCH_FLOW_END, 0, 0, false, true},
        {"\xff\xe0", 2, PATCH_FLOW_END, 0, 0, false, false},
        {"\x3e\xff\xe2", 3, PATCH_FLOW_END, 0, 0, false, false},
        {"\xf2\xff\x25\x01\x02\x03\x04", 7, PATCH_FLOW_END, 0, 0, false, false},
        {"\xff\xd0", 2, PATCH_FLOW_NEXT, 0, 0, true, false},
        {"\x0f\x05", 2, PATCH_FLOW_NEXT, 0, 0, false, true},
        {"\xcd\x80", 2, PATCH_FLOW_NEXT, 0, 0, false, true},
        {"\x66\x90", 2, PATCH_FLOW_NEXT, 0, 0, false, false},
    };
    (void)state;
    for (size_t i = 0; i < array_size(cases); i++) {
        struct patch_instruction in;
        assert_int_equal(patch_decode((const uint8_t *)cases[i].bytes, cases[i].length, &in),
                         cases[i].length);
        assert_int_equal(in.flow, cases[i].flow);
        assert_int_equal(in.relative_size, cases[i].relative_size);
        assert_int_equal(in.relative, cases[i].relative);
        assert_int_equal(in.is_call, cases[i].call);
        assert_int_equal(in.is_system, cases[i].system);
    }
    struct patch_instruction in;
    assert_int_equal(patch_decode((const uint8_t *)"\x48\x8d\x0d\1\2\3\4", 7, &in), 7);
    assert_int_equal(in.rip_relative, 3);
    assert_int_equal(patch_decode((const uint8_t *)"\x48\x8b\x4c\x24\x08", 5, &in), 5);
    assert_int_equal(in.rip_relative, 0);
    assert_int_equal(patch_length((const uint8_t *)"\x06\0\0\0\0\0\0\0", 8), 0);
    assert_int_equal(patch_length((const uint8_t *)"\x66\xe8\0\0\0\0\0\0", 8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths_like_capstone),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_flow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
