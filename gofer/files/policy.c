/*
 * policy.c: building a policy, and judging paths by it.
 *
 * A pattern of at most 63 components is matched as a small automaton in one word, so that a walk
 * advances all rules by one component at a time and a move can be compared rule by rule.
 */
#include "gofer/files/policy.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const access_names[] = {
    [GOFER_ACCESS_HIDE] = "hide",           [GOFER_ACCESS_DENY] = "deny",
    [GOFER_ACCESS_READ] = "read",           [GOFER_ACCESS_COW] = "cow",
    [GOFER_ACCESS_NO_DELETE] = "no-delete", [GOFER_ACCESS_WRITE] = "write",
};

const char *policy_access_name(enum gofer_access access)
{
    return (size_t)access < array_size(access_names) ? access_names[access] : "?";
}

bool policy_access_parse(const char *name, enum gofer_access *ret_access)
{
    for (size_t i = 0; i < array_size(access_names); i++) {
        if (strcmp(name, access_names[i]) == 0) {
            *ret_access = (enum gofer_access)i;
            return true;
        }
    }
    return false;
}

struct policy *policy_new(void)
{
    struct policy *policy = calloc(1, sizeof(*policy));
    if (policy) {
        policy->default_access = GOFER_ACCESS_WRITE;
    }
    return policy;
}

static void pattern_fini(struct policy_pattern *pattern)
{
    free(pattern->text);
    free(pattern->components);
    pattern->text = NULL;
    pattern->components = NULL;
}

void policy_free(struct policy *policy)
{
    if (!policy) {
        return;
    }
    for (size_t i = 0; i < policy->rule_count; i++) {
        pattern_fini(&policy->rules[i].pattern);
        free(policy->rules[i].reason);
    }
    for (size_t i = 0; i < policy->quota_count; i++) {
        pattern_fini(&policy->quotas[i].pattern);
    }
    free(policy->rules);
    free(policy->quotas);
    free(policy);
}

static int pattern_error(struct policy_error *ret_error, const char *path, const char *why)
{
    snprintf(ret_error->text, sizeof(ret_error->text), "path \"%.256s\": %s", path, why);
    return -EINVAL;
}

/* Removes the backslashes of a component without globs, which is then compared byte by byte. */
static void unescape(char *component)
{
    char *to = component;
    for (const char *from = component; *from; from++) {
        if (*from == '\\' && from[1]) {
            from++;
        }
        *to++ = *from;
    }
    *to = '\0';
}

static bool has_glob(const char *component)
{
    for (; *component; component++) {
        if (*component == '\\' && component[1]) {
            component++;
        } else if (strchr("*?[", *component)) {
            return true;
        }
    }
    return false;
}

/* NULL when the component may stand in a pattern, else what is wrong with it. */
static const char *component_mistake(const char *component)
{
    if (strcmp(component, ".") == 0 || strcmp(component, "..") == 0) {
        return "\".\" and \"..\" are not allowed";
    }
    if (strstr(component, "**") && strcmp(component, "**") != 0) {
        return "\"**\" must stand alone between slashes";
    }
    if (!policy_glob_valid(component)) {
        return "unfinished \"[\" or \"\\\"";
    }
    if (strlen(component) > 4 * GOFER_NAME_MAX) {
        return "a name is too long";
    }
    return NULL;
}

static size_t literal_prefix(const char *path)
{
    size_t length = 0;
    while (path[length] && !strchr("*?[", path[length])) {
        length += path[length] == '\\' && path[length + 1] ? 2 : 1;
    }
    return length;
}

static int pattern_split(struct policy_pattern *pattern, struct policy_error *ret_error)
{
    static const char any_name[] = "*";
    char *rest = pattern->components;
    char *component;
    while ((component = strsep(&rest, "/"))) {
        if (*component == '\0') {
            continue;
        }
        const char *mistake = component_mistake(component);
        if (!mistake && pattern->count >= POLICY_COMPONENTS_MAX - 1) {
            mistake = "too many components";
        }
        if (mistake) {
            return pattern_error(ret_error, pattern->text, mistake);
        }
        uint64_t bit = UINT64_C(1) << pattern->count;
        if (strcmp(component, "**") == 0) {
            pattern->any_depth |= bit;
            pattern->glob = true;
        } else if (has_glob(component)) {
            pattern->glob = true;
        } else {
            unescape(component);
            pattern->literal |= bit;
        }
        pattern->component[pattern->count++] = component;
    }
    /* A trailing "**" is everything beneath, not the directory itself. */
    if (pattern->count && (pattern->any_depth >> (pattern->count - 1) & 1)) {
        pattern->component[pattern->count++] = any_name;
    }
    return 0;
}

static int pattern_init(struct policy_pattern *pattern, const char *path,
                        struct policy_error *ret_error)
{
    *pattern = (struct policy_pattern){0};
    if (path[0] != '/') {
        return pattern_error(ret_error, path, "must be absolute");
    }
    if (strlen(path) >= PATH_MAX) {
        return pattern_error(ret_error, "", "is too long");
    }
    pattern->text = strdup(path);
    pattern->components = strdup(path);
    if (!pattern->text || !pattern->components) {
        pattern_fini(pattern);
        return -ENOMEM;
    }
    size_t length = strlen(pattern->text);
    while (length > 1 && pattern->text[length - 1] == '/') {
        pattern->text[--length] = '\0';
    }
    int error = pattern_split(pattern, ret_error);
    if (error) {
        pattern_fini(pattern);
        return error;
    }
    pattern->literal_length = pattern->count ? literal_prefix(pattern->text) : 0;
    return 0;
}

int policy_add_rule(struct policy *policy, const char *path, enum gofer_access access,
                    const char *reason, struct policy_error *ret_error)
{
    if (policy->rule_count >= POLICY_RULES_MAX) {
        snprintf(ret_error->text, sizeof(ret_error->text), "more than %d rules", POLICY_RULES_MAX);
        return -EINVAL;
    }
    struct policy_rule *rules =
        realloc(policy->rules, (policy->rule_count + 1) * sizeof(policy->rules[0]));
    if (!rules) {
        return -ENOMEM;
    }
    policy->rules = rules;
    struct policy_rule *rule = &rules[policy->rule_count];
    *rule = (struct policy_rule){.access = access};
    int error = pattern_init(&rule->pattern, path, ret_error);
    if (error) {
        return error;
    }
    if (reason) {
        rule->reason = strdup(reason);
        if (!rule->reason) {
            pattern_fini(&rule->pattern);
            return -ENOMEM;
        }
    }
    policy->rule_count++;
    return 0;
}

int policy_add_quota(struct policy *policy, const char *path, uint64_t bytes, uint64_t files,
                     struct policy_error *ret_error)
{
    if (policy->quota_count >= POLICY_QUOTAS_MAX) {
        snprintf(ret_error->text, sizeof(ret_error->text), "more than %d quotas",
                 POLICY_QUOTAS_MAX);
        return -EINVAL;
    }
    struct policy_quota *quotas =
        realloc(policy->quotas, (policy->quota_count + 1) * sizeof(policy->quotas[0]));
    if (!quotas) {
        return -ENOMEM;
    }
    policy->quotas = quotas;
    struct policy_quota *quota = &quotas[policy->quota_count];
    *quota = (struct policy_quota){.bytes = bytes, .files = files};
    int error = pattern_init(&quota->pattern, path, ret_error);
    if (error) {
        return error;
    }
    if (quota->pattern.glob) {
        pattern_fini(&quota->pattern);
        return pattern_error(ret_error, path, "a quota's path has no wildcards");
    }
    policy->quota_count++;
    return 0;
}

/* ---- matching ---- */

size_t policy_state_size(const struct policy *policy)
{
    return policy->rule_count + policy->quota_count;
}

static const struct policy_pattern *pattern_at(const struct policy *policy, size_t i)
{
    return i < policy->rule_count ? &policy->rules[i].pattern
                                  : &policy->quotas[i - policy->rule_count].pattern;
}

/* "**" may match nothing: whoever stands before it also stands behind it. */
static uint64_t close_any_depth(const struct policy_pattern *pattern, uint64_t set)
{
    uint64_t added = set;
    while ((added = (set & pattern->any_depth) << 1 & ~set)) {
        set |= added;
    }
    return set;
}

static uint64_t pattern_step(const struct policy_pattern *pattern, uint64_t set, const char *name,
                             size_t length)
{
    uint64_t whole = UINT64_C(1) << pattern->count;
    /* A match covers everything beneath, and "**" takes any component. */
    uint64_t next = set & (whole | pattern->any_depth);
    uint64_t waiting = set & ~whole & ~pattern->any_depth;
    while (waiting) {
        unsigned i = (unsigned)__builtin_ctzll(waiting);
        uint64_t bit = UINT64_C(1) << i;
        waiting &= ~bit;
        const char *component = pattern->component[i];
        bool matches = (pattern->literal & bit)
                           ? strncmp(component, name, length) == 0 && component[length] == '\0'
                           : policy_glob_match(component, name, length);
        if (matches) {
            next |= bit << 1;
        }
    }
    return close_any_depth(pattern, next);
}

void policy_state_root(const struct policy *policy, uint64_t *ret_state)
{
    for (size_t i = 0; i < policy_state_size(policy); i++) {
        ret_state[i] = close_any_depth(pattern_at(policy, i), 1);
    }
}

void policy_state_step(const struct policy *policy, const uint64_t *state, const char *name,
                       size_t length, uint64_t *ret_state)
{
    for (size_t i = 0; i < policy_state_size(policy); i++) {
        uint64_t set = state[i];
        ret_state[i] = set ? pattern_step(pattern_at(policy, i), set, name, length) : 0;
    }
}

void policy_state_path(const struct policy *policy, const char *path, uint64_t *ret_state)
{
    policy_state_root(policy, ret_state);
    while (*path) {
        size_t length = strcspn(path, "/");
        if (length) {
            policy_state_step(policy, ret_state, path, length, ret_state);
        }
        path += length;
        path += *path == '/';
    }
}

static bool whole_match(const struct policy_pattern *pattern, uint64_t set)
{
    return set >> pattern->count & 1;
}

/* What of the pattern is left to match beneath. */
static uint64_t residue(const struct policy_pattern *pattern, uint64_t set)
{
    return set & ~(UINT64_C(1) << pattern->count);
}

/* Does rule a decide over rule b (-1: the default) where both cover a path? */
static bool decides_over(const struct policy *policy, size_t a, int b)
{
    if (b < 0) {
        return true;
    }
    const struct policy_pattern *left = &policy->rules[a].pattern;
    const struct policy_pattern *right = &policy->rules[b].pattern;
    if (left->literal_length != right->literal_length) {
        return left->literal_length > right->literal_length;
    }
    if (left->glob != right->glob) {
        return right->glob;
    }
    return a > (size_t)b;
}

static int deciding_rule(const struct policy *policy, const uint64_t *state)
{
    int best = -1;
    for (size_t i = 0; i < policy->rule_count; i++) {
        if (whole_match(&policy->rules[i].pattern, state[i]) && decides_over(policy, i, best)) {
            best = (int)i;
        }
    }
    return best;
}

void policy_judge(const struct policy *policy, const uint64_t *state,
                  struct policy_verdict *ret_verdict)
{
    int best = deciding_rule(policy, state);
    struct policy_verdict verdict = {
        .access = best < 0 ? policy->default_access : policy->rules[best].access,
        .rule = best,
    };
    if (verdict.access <= GOFER_ACCESS_DENY) {
        for (size_t i = 0; i < policy->rule_count && !verdict.passage; i++) {
            verdict.passage = policy->rules[i].access > GOFER_ACCESS_DENY &&
                              residue(&policy->rules[i].pattern, state[i]) &&
                              decides_over(policy, i, best);
        }
    }
    for (size_t i = 0; i < policy->quota_count; i++) {
        if (whole_match(&policy->quotas[i].pattern, state[policy->rule_count + i])) {
            verdict.quotas |= UINT32_C(1) << i;
        }
    }
    *ret_verdict = verdict;
}

bool policy_same_beneath(const struct policy *policy, const uint64_t *a, const uint64_t *b)
{
    bool open_ends = false;
    for (size_t i = 0; i < policy_state_size(policy); i++) {
        const struct policy_pattern *pattern = pattern_at(policy, i);
        uint64_t left = residue(pattern, a[i]);
        if (left != residue(pattern, b[i])) {
            return false;
        }
        open_ends |= left != 0;
        if (i >= policy->rule_count && a[i] != b[i]) {
            return false;
        }
    }
    /* Rules yet to match compete with the rule that decides here. */
    return !open_ends || deciding_rule(policy, a) == deciding_rule(policy, b);
}

bool policy_quota_touches(const struct policy *policy, const uint64_t *state)
{
    for (size_t i = 0; i < policy->quota_count; i++) {
        if (state[policy->rule_count + i]) {
            return true;
        }
    }
    return false;
}

bool policy_rule_overruled(const struct policy *policy, size_t rule, size_t other)
{
    const struct policy_rule *loser = &policy->rules[rule];
    const struct policy_rule *winner = &policy->rules[other];
    if (loser->access > GOFER_ACCESS_DENY || winner->access <= GOFER_ACCESS_DENY ||
        winner->pattern.glob || !decides_over(policy, other, (int)rule)) {
        return false;
    }
    uint64_t set = close_any_depth(&loser->pattern, 1);
    for (unsigned i = 0; i < winner->pattern.count; i++) {
        const char *name = winner->pattern.component[i];
        set = pattern_step(&loser->pattern, set, name, strlen(name));
    }
    return residue(&loser->pattern, set) != 0;
}
