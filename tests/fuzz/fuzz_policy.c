/*
 * fuzz_policy.c: the policy parser, the option parsers and the matcher. The first bytes choose the
 * target.
 */
#include <stdlib.h>
#include <string.h>

#include "gofer/files/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct policy *policy, const char *path)
{
    uint64_t *state = calloc(policy_state_size(policy) + 1, sizeof(*state));
    uint64_t *root = calloc(policy_state_size(policy) + 1, sizeof(*root));
    struct policy_verdict verdict;
    if (state && root) {
        policy_state_path(policy, path, state);
        policy_state_root(policy, root);
        policy_judge(policy, state, &verdict);
        if (verdict.rule >= (int)policy->rule_count || !policy_same_beneath(policy, state, state)) {
            abort();
        }
        (void)policy_same_beneath(policy, state, root);
        (void)policy_quota_touches(policy, state);
    }
    free(state);
    free(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy_error error;
    if (size < 2) {
        return 0;
    }
    struct policy *policy = policy_new();
    size_t split = min_of((size_t)data[1], size - 2);
    char *first = strndup((const char *)data + 2, split);
    char *second = strndup((const char *)data + 2 + split, size - 2 - split);
    if (!policy || !first || !second) {
        abort();
    }
    switch (data[0] % 4) {
    case 0:
        ignore_result(policy_load_text(policy, "fuzz", (const char *)data + 2, size - 2, &error));
        judge(policy, "/etc/ssh/x_key");
        break;
    case 1:
        ignore_result(policy_add_rule(policy, first, GOFER_ACCESS_HIDE, NULL, &error));
        ignore_result(policy_add_rule(policy, "/**/a", GOFER_ACCESS_READ, NULL, &error));
        judge(policy, second);
        break;
    case 2:
        (void)policy_glob_valid(first);
        (void)policy_glob_match(first, second, strlen(second));
        break;
    default:
        ignore_result(policy_add_option(policy, first, &error));
        ignore_result(policy_add_quota_option(policy, second, &error));
        judge(policy, "/a/b");
        break;
    }
    free(first);
    free(second);
    policy_free(policy);
    return 0;
}
