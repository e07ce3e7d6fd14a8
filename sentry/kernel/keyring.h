/*
 * keyring.h: keys and keyrings of the guest. Types: keyring, user, logon, big_key. Source:
 * keyrings(7), keyctl(2), Linux security/keys.
 *
 * One lock guards all keys (RANK_OBJECT); every function here takes it. A key lives while something
 * refers to it: a keyring, a task, a process, a user. Nothing outside asks for keys: request_key
 * finds what is there, or leaves a negative key.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct key;
struct process;
struct task;
struct text;

/* Permissions, as the lowest byte of each group in a key's mask. */
enum key_permission {
    KEY_MAY_VIEW = 1,
    KEY_MAY_READ = 2,
    KEY_MAY_WRITE = 4,
    KEY_MAY_SEARCH = 8,
    KEY_MAY_LINK = 16,
    KEY_MAY_SETATTR = 32,
};

enum key_special { /* KEY_SPEC_* of keyctl(2) */
                   KEY_THREAD_RING = -1,
                   KEY_PROCESS_RING = -2,
                   KEY_SESSION_RING = -3,
                   KEY_USER_RING = -4,
                   KEY_USER_SESSION_RING = -5,
                   KEY_REQUESTOR_RING = -8,
};

#define KEY_PAYLOAD_MAX ((1U << 20) - 1)

/* The limits of /proc/sys/kernel/keys; they may change at any time. */
struct key_limits {
    _Atomic uint64_t keys, bytes, root_keys, root_bytes;
};
extern struct key_limits key_limits;

/* All return a key's serial, a length or 0, else a negative errno; ring ids may be special. */
int key_add(struct task *task, const char *type, const char *description, const void *payload,
            size_t length, int ring) must_check;
/* dest 0: none. instantiate: make a negative key when nothing is found. */
int key_request(struct task *task, const char *type, const char *description, int dest,
                bool instantiate) must_check;
int key_ring_id(struct task *task, int id, bool create) must_check;
/* NULL: a new one without a name of its own. */
int key_join_session(struct task *task, const char *name) must_check;
int key_update(struct task *task, int id, const void *payload, size_t length) must_check;
int key_revoke(struct task *task, int id) must_check;
int key_invalidate(struct task *task, int id) must_check;
int key_chown(struct task *task, int id, uint32_t uid, uint32_t gid) must_check;
int key_set_permissions(struct task *task, int id, uint32_t permissions) must_check;
int key_set_timeout(struct task *task, int id, unsigned seconds) must_check;
/* The line of KEYCTL_DESCRIBE. */
int key_describe(struct task *task, int id, struct text *ret) must_check;
/* The payload, or the serials in a keyring. */
int key_read(struct task *task, int id, struct text *ret) must_check;
int key_clear(struct task *task, int ring) must_check;
int key_link(struct task *task, int id, int ring) must_check;
int key_unlink(struct task *task, int id, int ring) must_check;
int key_search(struct task *task, int ring, const char *type, const char *description,
               int dest) must_check;
/* May the caller look at the key at all? */
int key_check_view(struct task *task, int id) must_check;

/* The parent gets the caller's session. -EPERM: it is another user's, has threads, or is init. */
int key_session_to_parent(struct task *task) must_check;

/* clone: the child has its parent's session. */
void key_task_copy(const struct task *parent, struct task *child);
/* exec: the keyrings of thread and process go. */
void key_task_exec(struct task *task);
void key_task_free(struct task *task);
void key_process_free(struct process *process);
