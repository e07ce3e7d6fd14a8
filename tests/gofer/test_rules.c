/* test_rules.c: rules, audit and quotas as a client of a live server meets them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gofer/files/audit.h"
#include "tests/gofer/gofer_test.h"

static const struct gofer_new_file plain = {.mode = 0644, .uid = GOFER_NO_ID, .gid = GOFER_NO_ID};

static int open_path(struct gofer_test *test, const char *path, uint32_t flags)
{
    struct gofer_object object;
    int fd;
    uint32_t result;
    int error = gofer_test_walk(test, path, &object);
    if (!error) {
        error = gofer_open(test->client, object.fid, flags, &fd, &result);
    }
    if (!error && fd >= 0) {
        close(fd);
    }
    return error;
}

static bool listed(struct gofer_test *test, uint64_t dir, const char *name)
{
    struct gofer_listing listing;
    struct gofer_dirent entry;
    bool found = false;
    assert_int_equal(gofer_list(test->client, dir, 0, &listing), 0);
    while (gofer_listing_next(&listing, &entry)) {
        found |= strcmp(entry.name, name) == 0;
    }
    gofer_listing_fini(&listing);
    return found;
}

static void test_access(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object object;
    int fd;
    uint32_t result;
    gofer_test_write(test, "hidden", "h");
    gofer_test_write(test, "denied", "d");
    gofer_test_write(test, "readable", "r");
    gofer_test_write(test, "kept", "k");
    gofer_test_write(test, "free", "f");
    gofer_test_rules(test,
                     "{\"version\":1,\"rules\":["
                     "{\"path\":\"/work/hidden\",\"access\":\"hide\",\"reason\":\"a secret\"},"
                     "{\"path\":\"/work/denied\",\"access\":\"deny\"},"
                     "{\"path\":\"/work/readable\",\"access\":\"read\"},"
                     "{\"path\":\"/work/kept\",\"access\":\"no-delete\"}]}");
    gofer_test_start(test);
    uint64_t root = test->mount.fid;
    assert_int_equal(gofer_test_walk(test, "hidden", &object), -ENOENT);
    assert_false(listed(test, root, "hidden"));
    assert_true(listed(test, root, "denied"));
    assert_int_equal(gofer_test_walk(test, "denied", &object), 0);
    assert_int_equal(object.attr.access, GOFER_ACCESS_DENY);
    assert_int_equal(open_path(test, "denied", O_RDONLY), -EACCES);
    assert_int_equal(open_path(test, "readable", O_RDONLY), 0);
    assert_int_equal(open_path(test, "readable", O_RDWR), -EROFS);
    assert_int_equal(open_path(test, "readable", O_RDONLY | O_TRUNC), -EROFS);
    assert_int_equal(gofer_unlink(test->client, root, "readable", 0), -EROFS);
    assert_int_equal(open_path(test, "kept", O_RDWR), 0);
    assert_int_equal(gofer_unlink(test->client, root, "kept", 0), -EPERM);
    assert_int_equal(gofer_rename(test->client, root, "kept", root, "x", 0), -EPERM);
    assert_int_equal(gofer_rename(test->client, root, "free", root, "kept", 0), -EPERM);
    assert_int_equal(gofer_rename(test->client, root, "free", root, "hidden", 0), -EACCES);
    assert_int_equal(gofer_rename(test->client, root, "hidden", root, "free", 0), -ENOENT);
    assert_int_equal(gofer_unlink(test->client, root, "hidden", 0), -ENOENT);
    assert_int_equal(
        gofer_create(test->client, root, "hidden", O_RDWR, &plain, &object, &fd, &result), -EACCES);
    /* A second name would escape the rule. */
    struct gofer_attr attr;
    uint64_t readable = gofer_test_fid(test, "readable");
    assert_int_equal(gofer_link(test->client, root, "alias", readable, &attr), -EROFS);
    uint64_t kept = gofer_test_fid(test, "kept");
    assert_int_equal(gofer_link(test->client, root, "alias", kept, &attr), -EXDEV);
    struct gofer_change change = {.set = GOFER_SET_MODE, .mode = 0600};
    assert_int_equal(gofer_setattr(test->client, readable, &change, &attr), -EROFS);
    assert_int_equal(gofer_rename(test->client, root, "free", root, "renamed", 0), 0);
    gofer_test_stop(test);
    char *audit = gofer_test_audit(test);
    assert_non_null(strstr(audit, "\"op\":\"walk\",\"path\":\"/work/hidden\",\"access\":\"hide\","
                                  "\"rule\":\"/work/hidden\",\"reason\":\"a secret\","
                                  "\"errno\":\"ENOENT\"}\n"));
    assert_non_null(strstr(audit, "\"op\":\"open\",\"path\":\"/work/denied\",\"access\":\"deny\""));
    assert_null(strstr(audit, "/work/free\",\"access\":\"write\",\"errno\":\"0\""));
    free(audit);
}

/* What a directory holds is judged the same wherever it goes, or it does not go. */
static void test_directory_moves(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object object;
    gofer_test_mkdir(test, "a");
    gofer_test_mkdir(test, "b");
    gofer_test_write(test, "a/secret", "s");
    gofer_test_write(test, "b/.env", "e");
    gofer_test_rules(test, "{\"version\":1,\"rules\":["
                           "{\"path\":\"/work/a/secret\",\"access\":\"hide\"},"
                           "{\"path\":\"/work/**/.env\",\"access\":\"hide\"}]}");
    gofer_test_start(test);
    uint64_t root = test->mount.fid;
    assert_int_equal(gofer_rename(test->client, root, "a", root, "c", 0), -EXDEV);
    assert_int_equal(gofer_rename(test->client, root, "b", root, "a", RENAME_EXCHANGE), -EXDEV);
    assert_int_equal(gofer_rename(test->client, root, "b", root, "c", 0), 0);
    assert_int_equal(gofer_test_walk(test, "c/.env", &object), -ENOENT);
    assert_int_equal(gofer_test_walk(test, "a/secret", &object), -ENOENT);
}

static void test_allow_list(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object object;
    int fd;
    uint32_t result;
    gofer_test_mkdir(test, "deep");
    gofer_test_mkdir(test, "deep/in");
    gofer_test_write(test, "deep/in/file", "yes");
    gofer_test_write(test, "deep/other", "no");
    gofer_test_write(test, "top", "no");
    gofer_test_rules(test, "{\"version\":1,\"default\":\"hide\",\"rules\":["
                           "{\"path\":\"/work/deep/in\",\"access\":\"write\"}]}");
    gofer_test_start(test);
    uint64_t root = test->mount.fid;
    assert_int_equal(gofer_test_walk(test, "top", &object), -ENOENT);
    assert_int_equal(gofer_test_walk(test, "deep/other", &object), -ENOENT);
    assert_int_equal(open_path(test, "deep/in/file", O_RDWR), 0);
    assert_true(listed(test, root, "deep"));
    assert_false(listed(test, root, "top"));
    uint64_t deep = gofer_test_fid(test, "deep");
    assert_false(listed(test, deep, "other"));
    assert_int_equal(gofer_create(test->client, deep, "new", O_RDWR, &plain, &object, &fd, &result),
                     -EACCES);
    struct gofer_change change = {.set = GOFER_SET_MODE, .mode = 0777};
    struct gofer_attr attr;
    assert_int_equal(gofer_setattr(test->client, deep, &change, &attr), -EACCES);
    assert_int_equal(gofer_unlink(test->client, root, "deep", AT_REMOVEDIR), -EACCES);
}

static void test_no_delete_mount(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object object;
    int fd;
    uint32_t result;
    gofer_test_write(test, "file", "x");
    test->mounts[0].mode = GOFER_ACCESS_NO_DELETE;
    gofer_test_start(test);
    uint64_t root = test->mount.fid;
    assert_int_equal(open_path(test, "file", O_RDWR | O_TRUNC), 0);
    assert_int_equal(gofer_create(test->client, root, "new", O_RDWR, &plain, &object, &fd, &result),
                     0);
    close(fd);
    assert_int_equal(gofer_unlink(test->client, root, "new", 0), -EPERM);
    assert_int_equal(gofer_rename(test->client, root, "new", root, "x", 0), -EPERM);
}

static void test_kernel_file_systems(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object object;
    /* Only where the host's root can be read at all: /proc stands on it. */
    test->mounts[0].host_path = "/";
    test->mounts[0].mode = GOFER_ACCESS_READ;
    gofer_test_start(test);
    assert_int_equal(gofer_test_walk(test, "proc", &object), 0);
    assert_int_equal(object.attr.access, GOFER_ACCESS_DENY);
    assert_int_equal(gofer_test_walk(test, "proc/self", &object), -EACCES);
    struct gofer_listing listing;
    assert_int_equal(gofer_list(test->client, gofer_test_fid(test, "proc"), 0, &listing), -EACCES);
    assert_int_equal(open_path(test, "dev/null", O_RDONLY), -ENXIO);
    test->mounts[0].host_path = test->root;
}

static void test_audit_all_and_identity(void **state)
{
    struct gofer_test *test = *state;
    gofer_test_write(test, "a\n\"b", "x");
    gofer_test_rules(test, "{\"version\":1,\"audit\":\"all\"}");
    gofer_process.pid = 42;
    strcpy(gofer_process.comm, "py\"thon");
    gofer_test_start(test);
    assert_int_equal(open_path(test, "a\n\"b", O_RDONLY), 0);
    gofer_process.pid = 0;
    memset(gofer_process.comm, 0, sizeof(gofer_process.comm));
    gofer_test_stop(test);
    char *audit = gofer_test_audit(test);
    assert_non_null(strstr(audit, ",\"pid\":42,\"comm\":\"py\\\"thon\",\"op\":\"open\","
                                  "\"path\":\"/work/a\\u000a\\\"b\",\"access\":\"write\","
                                  "\"errno\":\"0\"}\n"));
    free(audit);
}

static void test_audit_is_bounded(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object object;
    gofer_test_write(test, "hidden", "x");
    gofer_test_rules(test,
                     "{\"version\":1,\"rules\":[{\"path\":\"/work/hidden\",\"access\":\"hide\"}]}");
    gofer_test_start(test);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(gofer_test_walk(test, "hidden", &object), -ENOENT);
    }
    gofer_test_stop(test);
    char *audit = gofer_test_audit(test);
    size_t lines = 0;
    unsigned long long suppressed = 0;
    for (const char *line = audit; *line; line = strchr(line, '\n') + 1) {
        const char *count = strstr(line, "\"suppressed\":");
        if (count && count < strchr(line, '\n')) {
            suppressed += strtoull(count + strlen("\"suppressed\":"), NULL, 10);
        } else {
            lines++;
        }
    }
    assert_int_equal(lines + suppressed, 5000);
    assert_true(lines < 4000 && lines >= AUDIT_LINES_PER_SECOND);
    free(audit);
}

static void test_quota_bytes(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object object;
    struct gofer_attr attr;
    uint64_t size;
    int fd;
    uint32_t result;
    static const char data[4096];
    gofer_test_mkdir(test, "q");
    gofer_test_mkdir(test, "free");
    gofer_test_rules(test, "{\"version\":1,\"quotas\":[{\"path\":\"/work/q\",\"bytes\":10000}]}");
    gofer_test_start(test);
    assert_true(test->mount.flags & GOFER_MOUNT_QUOTA);
    uint64_t q = gofer_test_fid(test, "q");
    assert_int_equal(gofer_create(test->client, q, "file", O_RDWR, &plain, &object, &fd, &result),
                     0);
    assert_int_equal(result, GOFER_OPEN_WRITE_MESSAGE);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), -1); /* for reading only */
    uint64_t file = object.fid;
    assert_int_equal(gofer_write(test->client, file, data, 4096, 0, 0, &size), 4096);
    assert_int_equal(gofer_write(test->client, file, data, 4096, 4096, 0, &size), 4096);
    assert_int_equal(gofer_write(test->client, file, data, 4096, 8192, 0, &size), 10000 - 8192);
    assert_int_equal(size, 10000);
    assert_int_equal(gofer_write(test->client, file, data, 1, 10000, 0, &size), -EDQUOT);
    assert_int_equal(gofer_write(test->client, file, data, 4096, 0, 0, &size), 4096);
    char byte;
    assert_int_equal(pread(fd, &byte, 1, 9999), 1);
    close(fd);
    struct gofer_change change = {.set = GOFER_SET_SIZE, .size = 20000};
    assert_int_equal(gofer_setattr(test->client, file, &change, &attr), -EDQUOT);
    assert_int_equal(gofer_allocate(test->client, file, 0, 0, 20000, &attr), -EDQUOT);
    assert_int_equal(gofer_allocate(test->client, file, 1, 0, 20000, &attr), -EOPNOTSUPP);
    change.size = 5000;
    assert_int_equal(gofer_setattr(test->client, file, &change, &attr), 0);
    assert_int_equal(gofer_write(test->client, file, data, 4096, 5000, 0, &size), 4096);
    /* A removed file gives back when nobody uses it any more. */
    assert_int_equal(gofer_unlink(test->client, q, "file", 0), 0);
    assert_int_equal(gofer_create(test->client, q, "two", O_WRONLY, &plain, &object, &fd, &result),
                     0);
    assert_int_equal(fd, -1);
    assert_int_equal(gofer_write(test->client, object.fid, data, 4096, 0, 0, &size), 904);
    gofer_release(test->client, file);
    gofer_flush(test->client);
    assert_int_equal(gofer_write(test->client, object.fid, data, 4096, 904, 0, &size), 4096);
    assert_int_equal(gofer_open(test->client, object.fid, O_RDWR | O_TRUNC, &fd, &result), 0);
    close(fd);
    assert_int_equal(gofer_write(test->client, object.fid, data, 4096, 5904, 0, &size), 4096);
    assert_int_equal(size, 10000);
    /* Nothing moves across the border of a quota. */
    gofer_test_write(test, "outside", "x");
    assert_int_equal(gofer_rename(test->client, test->mount.fid, "outside", q, "in", 0), -EXDEV);
    assert_int_equal(gofer_rename(test->client, test->mount.fid, "free", q, "in", 0), -EXDEV);
    assert_int_equal(gofer_link(test->client, q, "in", gofer_test_fid(test, "outside"), &attr),
                     -EXDEV);
    /* Elsewhere files are written directly. */
    assert_int_equal(
        gofer_open(test->client, gofer_test_fid(test, "outside"), O_RDWR, &fd, &result), 0);
    assert_int_equal(result, GOFER_OPEN_FD);
    close(fd);
}

static void test_quota_files(void **state)
{
    struct gofer_test *test = *state;
    struct gofer_object object;
    int fd;
    uint32_t result;
    gofer_test_rules(test, "{\"version\":1,\"quotas\":[{\"path\":\"/work\",\"files\":3}]}");
    gofer_test_start(test);
    uint64_t root = test->mount.fid;
    assert_int_equal(gofer_create(test->client, root, "1", O_RDWR, &plain, &object, &fd, &result),
                     0);
    assert_int_equal(result, GOFER_OPEN_FD);
    close(fd);
    assert_int_equal(gofer_mkdir(test->client, root, "2", &plain, &object), 0);
    assert_int_equal(gofer_mkdir(test->client, root, "2", &plain, &object), -EEXIST);
    assert_int_equal(gofer_symlink(test->client, root, "3", "x", 0, 0, &object), 0);
    assert_int_equal(gofer_mkdir(test->client, root, "4", &plain, &object), -EDQUOT);
    assert_int_equal(gofer_unlink(test->client, root, "2", AT_REMOVEDIR), 0);
    assert_int_equal(gofer_mkdir(test->client, root, "4", &plain, &object), 0);
    assert_int_equal(gofer_mkdir(test->client, root, "5", &plain, &object), -EDQUOT);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, gofer_test_setup, gofer_test_teardown)
        TEST(test_access),
        TEST(test_directory_moves),
        TEST(test_allow_list),
        TEST(test_no_delete_mount),
        TEST(test_kernel_file_systems),
        TEST(test_audit_all_and_identity),
        TEST(test_audit_is_bounded),
        TEST(test_quota_bytes),
        TEST(test_quota_files),
    };
    return cmocka_run_group_tests_name("gofer rules", tests, NULL, NULL);
}

int main(void)
{
    return gofer_test_run(run_group);
}
