/*
 * policy_setup.c: built-in rules first, then the file, then options, so that the later ones win
 * ties.
 */
#include "runtime/policy_setup.h"

#include <errno.h>
#include <string.h>

static int add_all(const struct run_options *options, struct policy *policy,
                   struct policy_error *error)
{
    /* A root file system of one's own has no secrets of this host. */
    int result = options->rootfs == NULL ? policy_add_defaults(policy) : 0;
    if (result == 0 && options->policy != NULL) {
        result = policy_load_file(policy, options->policy, error);
    }
    for (size_t i = 0; result == 0 && i < options->hidden_count; i++) {
        result = policy_add_rule(policy, options->hidden[i], GOFER_ACCESS_HIDE, "--hide", error);
    }
    return result;
}

int policy_setup(const struct run_options *options, struct report *report,
                 struct policy **ret_policy)
{
    struct policy_error error = {.text = ""};
    struct policy *policy = policy_new();
    int result = policy != NULL ? add_all(options, policy, &error) : -ENOMEM;
    if (result != 0) {
        report_fail(report, "policy: %s", error.text[0] != 0 ? error.text : strerror(-result));
        policy_free(policy);
        return result;
    }
    policy->audit_all = policy->audit_all || options->audit_all;
    *ret_policy = policy;
    return 0;
}
