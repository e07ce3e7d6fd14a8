/*
 * access.c: what policy and mount allow for an object or a name, and the audit lines about it.
 *
 * A path is judged by the names that lead to it from its mount; the verdict of a node is cached
 * until any directory is renamed (nodes.age).
 */
#include <errno.h>
#include <string.h>

#include "gofer/files/session.h"

static bool kernel_device(const struct session *session, uint64_t dev)
{
    for (size_t i = 0; i < session->device_count; i++) {
        if (session->devices[i].dev == dev) {
            return session->devices[i].kernel_fs;
        }
    }
    return false;
}

int access_dir_state(struct session *session, struct node *dir, const uint64_t **ret_state)
{
    size_t size = policy_state_size(session->policy);
    if (session->dir_state_fid != dir->id || session->dir_state_age != session->nodes.age) {
        size_t count;
        int error = nodes_chain(&session->nodes, dir, &count);
        if (error) {
            return error;
        }
        memcpy(session->dir_state, session->mounts[dir->mount].state, size * sizeof(uint64_t));
        for (size_t i = 1; i < count; i++) {
            const char *name = session->nodes.chain[i]->key->name;
            policy_state_step(session->policy, session->dir_state, name, strlen(name),
                              session->dir_state);
        }
        session->dir_state_fid = dir->id;
        session->dir_state_age = session->nodes.age;
    }
    *ret_state = session->dir_state;
    return 0;
}

static void judge(struct session *session, uint32_t mount, const uint64_t *state, uint32_t type,
                  struct node_verdict *ret_verdict)
{
    struct policy_verdict rules;
    policy_judge(session->policy, state, &rules);
    enum gofer_access mode = session->mounts[mount].config->mode;
    *ret_verdict = (struct node_verdict){
        .access = min_of(rules.access, mode),
        .passage = rules.passage && type == S_IFDIR,
        .rule = rules.access <= mode ? rules.rule : -1,
        .quotas = rules.quotas,
    };
}

/* Nothing on a file system of the kernel itself is touched, whatever the rules say. */
static void judge_device(const struct session *session, uint64_t dev, struct node_verdict *verdict)
{
    if (verdict->access > GOFER_ACCESS_HIDE && kernel_device(session, dev)) {
        verdict->access = GOFER_ACCESS_DENY;
        verdict->passage = false;
        verdict->kernel_fs = true;
        verdict->rule = -1;
    }
}

int access_node(struct session *session, struct node *node, struct node_verdict *ret_verdict)
{
    if (node->verdict_age != session->nodes.age) {
        const uint64_t *state;
        int error;
        if (node->key) {
            error = access_dir_state(session, node->parent, &state);
            if (error) {
                return error;
            }
            policy_state_step(session->policy, state, node->key->name, strlen(node->key->name),
                              session->name_state);
            state = session->name_state;
        } else {
            state = session->mounts[node->mount].state;
        }
        judge(session, node->mount, state, node->type, &node->verdict);
        judge_device(session, node->dev, &node->verdict);
        node->verdict_age = session->nodes.age;
    }
    *ret_verdict = node->verdict;
    return 0;
}

int access_name(struct session *session, struct node *dir, const char *name, uint32_t type,
                struct node_verdict *ret_verdict, uint64_t *ret_state)
{
    const uint64_t *state;
    int error = access_dir_state(session, dir, &state);
    if (error) {
        return error;
    }
    uint64_t *target = ret_state ? ret_state : session->name_state;
    policy_state_step(session->policy, state, name, strlen(name), target);
    judge(session, dir->mount, target, type, ret_verdict);
    judge_device(session, dir->dev, ret_verdict);
    return 0;
}

static int refusal(const struct node_verdict *verdict, enum access_need need)
{
    bool hidden = verdict->access == GOFER_ACCESS_HIDE && !verdict->passage;
    bool closed = verdict->access <= GOFER_ACCESS_DENY && !verdict->passage;
    if (hidden) {
        return -ENOENT;
    }
    if (need == ACCESS_SEE) {
        return 0;
    }
    if (closed || (need != ACCESS_USE && verdict->access <= GOFER_ACCESS_DENY)) {
        return -EACCES;
    }
    if (need == ACCESS_USE) {
        return 0;
    }
    if (verdict->access <= GOFER_ACCESS_COW) {
        return -EROFS;
    }
    return need == ACCESS_DELETE && verdict->access == GOFER_ACCESS_NO_DELETE ? -EPERM : 0;
}

/* The guest path of a node, and of a name in it. */
static void put_path(struct session *session, struct node *node, const char *name,
                     struct text *text)
{
    const char *root = session->mounts[node->mount].config->guest_path;
    size_t count;
    text_puts(text, strcmp(root, "/") == 0 ? "" : root);
    if (nodes_chain(&session->nodes, node, &count)) {
        text_puts(text, "/...");
        count = 0;
    }
    for (size_t i = 1; i < count && text->length < 4096; i++) {
        text_putc(text, '/');
        text_puts(text, session->nodes.chain[i]->key->name);
    }
    if (name && *name) {
        text_putc(text, '/');
        text_puts(text, name);
    }
    if (text->length == 0) {
        text_putc(text, '/');
    }
}

static void write_event(struct session *session, struct node *node, const char *name,
                        const struct node_verdict *verdict, int error)
{
    auto_text struct text path = TEXT_INIT;
    put_path(session, node, name, &path);
    const struct policy_rule *rule =
        verdict->rule >= 0 ? &session->policy->rules[verdict->rule] : NULL;
    const char *reason = rule ? rule->reason : NULL;
    if (error && !rule) {
        reason = verdict->kernel_fs                     ? "a file system of the host kernel"
                 : verdict->access <= GOFER_ACCESS_DENY ? "the policy's default"
                                                        : "the mount's mode";
    }
    const struct gofer_request_header *header = session->request->header;
    struct audit_event event = {
        .pid = header->pid,
        .comm = header->comm,
        .op = session->request->row->name,
        .path = text_string(&path),
        .access = verdict->access,
        .rule = rule ? rule->pattern.text : NULL,
        .reason = reason,
        .error = error,
    };
    audit_write(&session->audit, &event);
    session->audited = true;
}

int access_refuse(struct session *session, struct node *node, const char *name,
                  const struct node_verdict *verdict, int error)
{
    if (session->audit.fd >= 0) {
        write_event(session, node, name, verdict, error);
    }
    return error;
}

int access_check(struct session *session, struct node *node, const char *name,
                 const struct node_verdict *verdict, enum access_need need)
{
    session->subject = node;
    strncpy(session->subject_name, name ? name : "", GOFER_NAME_MAX);
    int error = refusal(verdict, need);
    return error ? access_refuse(session, node, name, verdict, error) : 0;
}

int access_require(struct session *session, struct node *node, enum access_need need)
{
    struct node_verdict verdict;
    int error = access_node(session, node, &verdict);
    return error ? error : access_check(session, node, NULL, &verdict, need);
}

void access_audit_done(struct session *session, int error)
{
    if (!session->audit.all || session->audit.fd < 0 || session->audited || !session->subject) {
        return;
    }
    struct node *node = session->subject;
    struct node_verdict verdict;
    int failed = session->subject_name[0]
                     ? access_name(session, node, session->subject_name, 0, &verdict, NULL)
                     : access_node(session, node, &verdict);
    if (!failed) {
        write_event(session, node, session->subject_name, &verdict, error);
    }
}
