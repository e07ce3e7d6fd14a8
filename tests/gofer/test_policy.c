/* test_policy.c: globs, precedence, passages, moves, and the parser's refusals. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gofer/files/policy.h"

static bool glob(const char *pattern, const char *name)
{
    return policy_glob_match(pattern, name, strlen(name));
}

static void test_glob(void **state)
{
    (void)state;
    assert_true(glob("*", ""));
    assert_true(glob("*", "abc"));
    assert_true(glob("shadow*", "shadow"));
    assert_true(glob("shadow*", "shadow-"));
    assert_false(glob("shadow*", "ashadow"));
    assert_true(glob("*_key", "ssh_host_rsa_key"));
    assert_false(glob("*_key", "ssh_host_rsa_key.pub"));
    assert_true(glob("a?c", "abc"));
    assert_false(glob("a?c", "ac"));
    assert_true(glob("[a-c]x", "bx"));
    assert_false(glob("[!a-c]x", "bx"));
    assert_true(glob("[]]", "]"));
    assert_true(glob("[a-]", "-"));
    assert_true(glob("\\*", "*"));
    assert_false(glob("\\*", "x"));
    assert_true(glob("[\\]]", "]"));
    assert_true(glob("a*b*c", "aXbYbZc"));
    assert_false(glob("a*b*c", "aXbYbZ"));
    assert_true(glob(".*", ".env"));
    assert_true(glob("*", ".env"));
    assert_false(policy_glob_valid("[abc"));
    assert_false(policy_glob_valid("abc\\"));
    assert_true(policy_glob_valid("[]abc]"));
    /* Many stars do not explode. */
    char pattern[200] = "";
    char name[200];
    for (int i = 0; i < 60; i++) {
        strcat(pattern, "*a");
    }
    memset(name, 'a', 59);
    name[59] = '\0';
    assert_false(glob(pattern, name));
}

static struct policy_verdict judge(const struct policy *policy, const char *path)
{
    uint64_t words[128];
    struct policy_verdict verdict;
    assert_true(policy_state_size(policy) <= 128);
    policy_state_path(policy, path, words);
    policy_judge(policy, words, &verdict);
    return verdict;
}

static enum gofer_access access_of(const struct policy *policy, const char *path)
{
    return judge(policy, path).access;
}

static struct policy *load(const char *json)
{
    struct policy_error error = {""};
    struct policy *policy = policy_new();
    if (policy_load_text(policy, "p", json, strlen(json), &error)) {
        fail_msg("%s", error.text);
    }
    return policy;
}

static void test_precedence(void **state)
{
    (void)state;
    struct policy *policy = load("{\"version\":1,\"rules\":["
                                 "{\"path\":\"/work\",\"access\":\"read\"},"
                                 "{\"path\":\"/work/src\",\"access\":\"write\"},"
                                 "{\"path\":\"/work/s*\",\"access\":\"deny\"},"
                                 "{\"path\":\"/work/**/.env\",\"access\":\"hide\"},"
                                 "{\"path\":\"/tie\",\"access\":\"read\"},"
                                 "{\"path\":\"/tie/\",\"access\":\"hide\"},"
                                 "{\"path\":\"/eq/[a]\",\"access\":\"hide\"},"
                                 "{\"path\":\"/eq/\\\\a\",\"access\":\"read\"}"
                                 "]}");
    assert_int_equal(access_of(policy, "/work"), GOFER_ACCESS_READ);
    assert_int_equal(access_of(policy, "/work/x/y"), GOFER_ACCESS_READ);
    assert_int_equal(access_of(policy, "/work/src/a"), GOFER_ACCESS_WRITE);
    assert_int_equal(access_of(policy, "/work/sx"), GOFER_ACCESS_DENY);
    assert_int_equal(access_of(policy, "/work/x/.env"), GOFER_ACCESS_HIDE);
    assert_int_equal(access_of(policy, "/work/.env"), GOFER_ACCESS_HIDE);
    /* The longer literal prefix decides. */
    assert_int_equal(access_of(policy, "/work/src/.env"), GOFER_ACCESS_WRITE);
    assert_int_equal(access_of(policy, "/workshop"), GOFER_ACCESS_WRITE);
    assert_int_equal(access_of(policy, "/tie"), GOFER_ACCESS_HIDE);
    assert_int_equal(access_of(policy, "/eq/a"), GOFER_ACCESS_READ);
    policy_free(policy);
}

static void test_any_depth(void **state)
{
    (void)state;
    struct policy *policy = load("{\"version\":1,\"rules\":["
                                 "{\"path\":\"/\",\"access\":\"read\"},"
                                 "{\"path\":\"/**/secret\",\"access\":\"hide\"},"
                                 "{\"path\":\"/in/**\",\"access\":\"write\"},"
                                 "{\"path\":\"/a/**/b/**/c\",\"access\":\"deny\"}]}");
    assert_int_equal(access_of(policy, "/"), GOFER_ACCESS_READ);
    assert_int_equal(access_of(policy, "/secret"), GOFER_ACCESS_HIDE);
    assert_int_equal(access_of(policy, "/x/y/secret"), GOFER_ACCESS_HIDE);
    assert_int_equal(access_of(policy, "/x/y/secret/z"), GOFER_ACCESS_HIDE);
    assert_int_equal(access_of(policy, "/in"), GOFER_ACCESS_READ);
    assert_int_equal(access_of(policy, "/in/x"), GOFER_ACCESS_WRITE);
    assert_int_equal(access_of(policy, "/a/b/c"), GOFER_ACCESS_DENY);
    assert_int_equal(access_of(policy, "/a/1/2/b/3/c"), GOFER_ACCESS_DENY);
    assert_int_equal(access_of(policy, "/a/1/2/3/c"), GOFER_ACCESS_READ);
    policy_free(policy);
}

static void test_default_and_passage(void **state)
{
    (void)state;
    struct policy *policy = load("{\"version\":1,\"default\":\"hide\",\"rules\":["
                                 "{\"path\":\"/work/in\",\"access\":\"read\"},"
                                 "{\"path\":\"/sealed\",\"access\":\"hide\"},"
                                 "{\"path\":\"/**/x\",\"access\":\"read\"}]}");
    assert_int_equal(access_of(policy, "/work"), GOFER_ACCESS_HIDE);
    assert_true(judge(policy, "/work").passage);
    assert_int_equal(access_of(policy, "/work/in/a"), GOFER_ACCESS_READ);
    assert_true(judge(policy, "/other").passage); /* x may stand anywhere */
    assert_int_equal(judge(policy, "/sealed").passage, false);
    policy_free(policy);
    policy = load("{\"version\":1,\"default\":\"hide\",\"rules\":[]}");
    assert_int_equal(access_of(policy, "/"), GOFER_ACCESS_HIDE);
    assert_false(judge(policy, "/").passage);
    policy_free(policy);
}

static bool same_beneath(const struct policy *policy, const char *a, const char *b)
{
    uint64_t left[64];
    uint64_t right[64];
    policy_state_path(policy, a, left);
    policy_state_path(policy, b, right);
    return policy_same_beneath(policy, left, right);
}

static void test_moves(void **state)
{
    (void)state;
    struct policy *policy = load("{\"version\":1,\"rules\":["
                                 "{\"path\":\"/work/**/.env\",\"access\":\"hide\"},"
                                 "{\"path\":\"/work/a/secret\",\"access\":\"hide\"},"
                                 "{\"path\":\"/work/pub\",\"access\":\"write\"}]}");
    assert_true(same_beneath(policy, "/work/x", "/work/y"));
    assert_true(same_beneath(policy, "/work/x", "/work/y/deep/er"));
    assert_false(same_beneath(policy, "/work/a", "/work/b"));
    assert_false(same_beneath(policy, "/work/x", "/else"));
    /* In pub the .env rule would lose. */
    assert_false(same_beneath(policy, "/work/x", "/work/pub/x"));
    policy_free(policy);
}

static void test_overruled(void **state)
{
    (void)state;
    struct policy *policy = load("{\"version\":1,\"rules\":["
                                 "{\"path\":\"/**/.env\",\"access\":\"hide\"},"
                                 "{\"path\":\"/work\",\"access\":\"write\"},"
                                 "{\"path\":\"/work/**/.env\",\"access\":\"hide\"}]}");
    assert_true(policy_rule_overruled(policy, 0, 1));
    assert_false(policy_rule_overruled(policy, 2, 1));
    assert_false(policy_rule_overruled(policy, 1, 0));
    policy_free(policy);
}

static void test_defaults(void **state)
{
    (void)state;
    struct policy *policy = policy_new();
    assert_int_equal(policy_add_defaults(policy), 0);
    assert_int_equal(access_of(policy, "/etc/shadow"), GOFER_ACCESS_HIDE);
    assert_int_equal(access_of(policy, "/etc/shadow-"), GOFER_ACCESS_HIDE);
    assert_int_equal(access_of(policy, "/etc/ssh/ssh_host_ed25519_key"), GOFER_ACCESS_HIDE);
    assert_int_equal(access_of(policy, "/etc/ssl/private/x.pem"), GOFER_ACCESS_HIDE);
    assert_int_equal(access_of(policy, "/etc/ssl/certs/x.pem"), GOFER_ACCESS_WRITE);
    assert_int_equal(access_of(policy, "/etc/passwd"), GOFER_ACCESS_WRITE);
    struct policy_error error;
    assert_int_equal(policy_add_option(policy, "read:/etc/machine-id:needed", &error), 0);
    assert_int_equal(access_of(policy, "/etc/machine-id"), GOFER_ACCESS_READ);
    assert_string_equal(policy->rules[policy->rule_count - 1].reason, "needed");
    policy_free(policy);
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *json, *error;
    } cases[] = {
        {"", "p:1:"},
        {"[]", "p:1:1: a policy must be an object"},
        {"{}", "p:1:1: \"version\" is missing"},
        {"{\"version\":2}", "p:1:2: \"version\" must be 1"},
        {"{\"version\":\"1\"}", "p:1:2: \"version\" must be 1"},
        {"{\"version\":1,\n \"rulez\":[]}", "p:2:2: unknown key \"rulez\""},
        {"{\"version\":1,\"version\":1}", "p:1:"},
        {"{\"version\":1,\"rules\":{}}", "p:1:14: \"rules\" must be an array"},
        {"{\"version\":1,\"rules\":[\n 5]}", "p:2:2: a rule must be an object"},
        {"{\"version\":1,\"rules\":[{\"access\":\"read\"}]}", "p:1:23: \"path\" is missing"},
        {"{\"version\":1,\"rules\":[{\"path\":\"/a\"}]}", "p:1:23: \"access\" is missing"},
        {"{\"version\":1,\"rules\":[{\"path\":\"/a\",\"access\":\"read\"},\n"
         "{\"path\":\"/a\",\n\"access\":\"rw\"}]}",
         "p:3:1: access \"rw\" is none of"},
        {"{\"version\":1,\"rules\":[{\"path\":\"a\",\"access\":\"read\"}]}",
         "p:1:24: path \"a\": must be absolute"},
        {"{\"version\":1,\"rules\":[{\"path\":\"/a/../b\",\"access\":\"read\"}]}", "p:1:24: path"},
        {"{\"version\":1,\"rules\":[{\"path\":\"/a**b\",\"access\":\"read\"}]}", "p:1:24: path"},
        {"{\"version\":1,\"rules\":[{\"path\":\"/[a\",\"access\":\"read\"}]}", "p:1:24: path"},
        {"{\"version\":1,\"rules\":[{\"path\":\"/a\",\"access\":\"read\",\"why\":\"\"}]}",
         "p:1:52: unknown key \"why\""},
        {"{\"version\":1,\"default\":\"write\"}", "p:1:14: default \"write\""},
        {"{\"version\":1,\"audit\":true}", "p:1:14: \"audit\" must be a string"},
        {"{\"version\":1,\"audit\":\"some\"}", "p:1:14: audit \"some\""},
        {"{\"version\":1,\"quotas\":[{\"path\":\"/a\"}]}", "p:1:24: a quota needs"},
        {"{\"version\":1,\"quotas\":[{\"path\":\"/a*\",\"bytes\":1}]}", "p:1:25: path"},
        {"{\"version\":1,\"quotas\":[{\"path\":\"/a\",\"bytes\":-1}]}", "p:1:37: \"bytes\""},
        {"{\"version\":1,\"quotas\":[{\"path\":\"/a\",\"bytes\":1.5}]}", "p:1:37: \"bytes\""},
        {"{\"version\":1} x", "p:1:"},
    };
    (void)state;
    for (size_t i = 0; i < array_size(cases); i++) {
        struct policy_error error = {""};
        struct policy *policy = policy_new();
        assert_int_equal(
            policy_load_text(policy, "p", cases[i].json, strlen(cases[i].json), &error), -EINVAL);
        if (strncmp(error.text, cases[i].error, strlen(cases[i].error)) != 0) {
            fail_msg("%s\n  said %s\n  not  %s", cases[i].json, error.text, cases[i].error);
        }
        policy_free(policy);
    }
}

static void test_file(void **state)
{
    char path[] = "/tmp/gofer-policy-XXXXXX";
    struct policy_error error = {""};
    (void)state;
    int fd = mkstemp(path);
    const char *json = "{\"version\": 1, \"audit\": \"all\"}";
    assert_int_equal(write(fd, json, strlen(json)), strlen(json));
    close(fd);
    struct policy *policy = policy_new();
    assert_int_equal(policy_load_file(policy, path, &error), 0);
    assert_true(policy->audit_all);
    unlink(path);
    assert_int_equal(policy_load_file(policy, path, &error), -ENOENT);
    assert_non_null(strstr(error.text, path));
    policy_free(policy);
}

static void test_options(void **state)
{
    struct policy_error error;
    struct policy *policy = policy_new();
    (void)state;
    assert_int_equal(policy_add_option(policy, "hide:/a/b", &error), 0);
    assert_int_equal(policy_add_option(policy, "hidden:/a/b", &error), -EINVAL);
    assert_int_equal(policy_add_option(policy, "hide", &error), -EINVAL);
    assert_int_equal(policy_add_option(policy, "hide:b", &error), -EINVAL);
    assert_int_equal(policy_add_quota_option(policy, "/w:10M:100", &error), 0);
    assert_int_equal(policy->quotas[0].bytes, 10 << 20);
    assert_int_equal(policy->quotas[0].files, 100);
    assert_int_equal(policy_add_quota_option(policy, "/w:-:5", &error), 0);
    assert_true(policy->quotas[1].bytes == POLICY_UNLIMITED);
    assert_int_equal(policy_add_quota_option(policy, "/w:10Q", &error), -EINVAL);
    assert_int_equal(policy_add_quota_option(policy, "/w", &error), -EINVAL);
    assert_int_equal(policy_add_quota_option(policy, "/w:-1", &error), -EINVAL);
    assert_int_equal(policy_add_quota_option(policy, "/w:99999999999999T", &error), -EINVAL);
    policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glob),      cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_any_depth), cmocka_unit_test(test_default_and_passage),
        cmocka_unit_test(test_overruled), cmocka_unit_test(test_moves),
        cmocka_unit_test(test_defaults),  cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_file),      cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests_name("gofer policy", tests, NULL, NULL);
}
