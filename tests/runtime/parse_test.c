/*
 * parse_test.c: sizes, durations, numbers, users and paths of the command line.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/parse.h"

static void sizes(void **state maybe_unused)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"1", 1},
                {"512", 512},
                {"1K", 1024},
                {"1k", 1024},
                {"64M", 64ULL << 20},
                {"1.5G", 3ULL << 29},
                {"2T", 2ULL << 40},
                {"1KiB", 1024},
                {"3MB", 3ULL << 20},
                {"7B", 7},
                {"none", UINT64_MAX}};
    static const char *const bad[] = {"",     "K",         "-1",    "+1",  "1KK", "1 K",
                                      "0x10", "1e3",       "nan",   "inf", "1.",  ".",
                                      "0.5",  "99999999T", "none ", "1iB", "1Kib"};
    uint64_t value;
    for (size_t i = 0; i < array_size(good); i++) {
        assert_int_equal(parse_size(good[i].text, &value), 0);
        assert_int_equal(value, good[i].bytes);
    }
    for (size_t i = 0; i < array_size(bad); i++) {
        value = 42;
        if (parse_size(bad[i], &value) == 0) {
            /* A final dot is read as "1.0". */
            assert_string_equal(bad[i], "1.");
        } else {
            assert_int_equal(value, 42);
        }
    }
}

static void durations(void **state maybe_unused)
{
    uint64_t ms;
    assert_int_equal(parse_duration("5", &ms), 0);
    assert_int_equal(ms, 5000);
    assert_int_equal(parse_duration("250ms", &ms), 0);
    assert_int_equal(ms, 250);
    assert_int_equal(parse_duration("1.5m", &ms), 0);
    assert_int_equal(ms, 90000);
    assert_int_equal(parse_duration("2h", &ms), 0);
    assert_int_equal(ms, 7200000);
    static const char *const bad[] = {
        "", "0", "0ms", "s", "-1s", "5 s", "5x", "1e9", "9999999999999999h"};
    for (size_t i = 0; i < array_size(bad); i++) {
        assert_int_equal(parse_duration(bad[i], &ms), -EINVAL);
    }
}

static void users(void **state maybe_unused)
{
    uid_t uid;
    gid_t gid;
    assert_int_equal(parse_user("1000", &uid, &gid), 0);
    assert_int_equal(uid, 1000);
    assert_int_equal(gid, 1000);
    assert_int_equal(parse_user("0:5", &uid, &gid), 0);
    assert_int_equal(gid, 5);
    static const char *const bad[] = {"", ":", "1:", ":1", "root", "-1", "1:2:3", "4294967295"};
    for (size_t i = 0; i < array_size(bad); i++) {
        assert_int_equal(parse_user(bad[i], &uid, &gid), -EINVAL);
    }
}

static void paths(void **state maybe_unused)
{
    static const char *const rows[][2] = {{"/", "/"},        {"//", "/"},       {"/a", "/a"},
                                          {"/a/", "/a"},     {"/a//b", "/a/b"}, {"/a/./b", "/a/b"},
                                          {"/a/../b", "/b"}, {"/..", "/"},      {"/../../x", "/x"},
                                          {"/a/b/..", "/a"}, {"/...", "/..."}};
    for (size_t i = 0; i < array_size(rows); i++) {
        char *path = parse_guest_path(rows[i][0]);
        assert_string_equal(path, rows[i][1]);
        free(path);
    }
    assert_null(parse_guest_path("relative"));
    assert_null(parse_guest_path(""));
    assert_true(path_is_within("/a/b", "/a"));
    assert_true(path_is_within("/a", "/a"));
    assert_true(path_is_within("/a", "/"));
    assert_false(path_is_within("/ab", "/a"));
    assert_false(path_is_within("/", "/a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes), cmocka_unit_test(durations),
                                       cmocka_unit_test(users), cmocka_unit_test(paths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
