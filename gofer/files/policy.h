/*
 * policy.h: what may be done with which guest path: rules, quotas, the audit level.
 *
 * Rules come from a JSON file, from command-line options and from the built-in list, all through
 * policy_add_rule. Paths are guest paths. A rule covers what its pattern matches and everything
 * beneath. Of the rules that cover a path the most specific decides: the longest literal prefix
 * (bytes before the first glob character; 0 for "/"), then a pattern without globs before one with,
 * then the later rule. Where no rule covers a path, the policy's default does. A rule can only take
 * rights away from the mount's mode, never add any. docs/policy.md is the user's page.
 *
 * A policy is built before the gofer confines itself and is read-only afterwards.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gofer/protocol.h"
#include "platform/base/compiler.h"

#define POLICY_RULES_MAX      4096
#define POLICY_QUOTAS_MAX     32
#define POLICY_COMPONENTS_MAX 63
#define POLICY_FILE_MAX       (1 << 20)
#define POLICY_UNLIMITED      UINT64_MAX

/* A guest path with globs, cut into components. */
struct policy_pattern {
    char *text;       /* as written; owned */
    char *components; /* NUL-separated; owned */
    const char *component[POLICY_COMPONENTS_MAX + 1];
    uint64_t any_depth; /* bit i: component i is "**" */
    uint64_t literal;   /* bit i: component i has no glob character */
    unsigned count;
    size_t literal_length; /* of the prefix without globs; 0 for "/" */
    bool glob;
};

struct policy_rule {
    struct policy_pattern pattern;
    enum gofer_access access;
    char *reason; /* owned; NULL: none given */
    bool built_in;
};

struct policy_quota {
    struct policy_pattern pattern; /* no globs */
    uint64_t bytes, files;         /* POLICY_UNLIMITED */
};

struct policy {
    struct policy_rule *rules;
    size_t rule_count;
    struct policy_quota *quotas;
    size_t quota_count;
    enum gofer_access default_access; /* GOFER_ACCESS_WRITE: whatever the mount's mode gives */
    bool audit_all;                   /* else denials only */
};

struct policy_error {
    char text[512]; /* one line: what, where */
};

/* NULL: no memory. */
struct policy *policy_new(void) must_check;
void policy_free(struct policy *policy);

/*
 * Adds to the policy. -EINVAL with ret_error filled, or -ENOMEM. The file is refused as a whole on
 * the first mistake: unknown or repeated keys, wrong types, bad patterns; errors read
 * "file:line:column: what".
 */
int policy_load_file(struct policy *policy, const char *path,
                     struct policy_error *ret_error) must_check;
/* The same for text; name stands for the file in errors. */
int policy_load_text(struct policy *policy, const char *name, const char *text, size_t length,
                     struct policy_error *ret_error) must_check;
/* "ACCESS:PATH" or "ACCESS:PATH:REASON", ACCESS as in the file. */
int policy_add_option(struct policy *policy, const char *option,
                      struct policy_error *ret_error) must_check;
/* "PATH:BYTES[:FILES]" with K, M, G suffixes for bytes; "-" for no limit. */
int policy_add_quota_option(struct policy *policy, const char *option,
                            struct policy_error *ret_error) must_check;
/* Hides secrets under system directories; meant to be called first, so that later rules win ties.
 */
int policy_add_defaults(struct policy *policy) must_check;

int policy_add_rule(struct policy *policy, const char *path, enum gofer_access access,
                    const char *reason, struct policy_error *ret_error) must_check;
int policy_add_quota(struct policy *policy, const char *path, uint64_t bytes, uint64_t files,
                     struct policy_error *ret_error) must_check;

/* "hide", "deny", "read", "cow", "no-delete", "write". */
const char *policy_access_name(enum gofer_access access);
bool policy_access_parse(const char *name, enum gofer_access *ret_access);

/*
 * Matching goes down a path one component at a time. A state is policy_state_size() words, owned by
 * the caller: one word for each rule, then for each quota. Bit i of a word: the first i components
 * of the pattern are matched; bit count: all of them.
 */
size_t policy_state_size(const struct policy *policy);
void policy_state_root(const struct policy *policy, uint64_t *ret_state);
/* ret_state may be state. */
void policy_state_step(const struct policy *policy, const uint64_t *state, const char *name,
                       size_t length, uint64_t *ret_state);
/* The state of an absolute path; empty components are skipped. */
void policy_state_path(const struct policy *policy, const char *path, uint64_t *ret_state);

struct policy_verdict {
    enum gofer_access access; /* of the rules alone */
    bool passage;    /* access is HIDE or DENY, but a more specific rule may give more beneath:
                        a directory may be walked and listed, nothing else */
    int rule;        /* index; -1: the default */
    uint32_t quotas; /* bit per quota whose path is or contains this one */
};

void policy_judge(const struct policy *policy, const uint64_t *state,
                  struct policy_verdict *ret_verdict);
/* Would everything beneath a directory be judged the same if it moved from one state to the other?
 */
bool policy_same_beneath(const struct policy *policy, const uint64_t *a, const uint64_t *b);
/* Does some quota limit bytes or files at or beneath this state? */
bool policy_quota_touches(const struct policy *policy, const uint64_t *state);

/*
 * Does rule lose beneath the path of other, which is more specific and gives more? Then a hide or
 * deny does not reach where its author may have meant it to: worth a warning.
 */
bool policy_rule_overruled(const struct policy *policy, size_t rule, size_t other);

/* One component against a glob: * ? [a-z] [!a-z] and \ before a literal; bytes, case counts. */
bool policy_glob_match(const char *glob, const char *name, size_t length);
/* Is the glob well-formed ("[" closed, no trailing "\")? */
bool policy_glob_valid(const char *glob);

/* Line and column (from 1) of the value or key that a JSON path names; text is valid JSON. */
struct policy_locator {
    const char *keys[4]; /* object key, or NULL for an array index */
    size_t indexes[4];
    unsigned depth;
};
bool policy_locate(const char *text, size_t length, const struct policy_locator *locator,
                   unsigned *ret_line, unsigned *ret_column);
