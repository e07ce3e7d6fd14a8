/* keyring_internal.h: keys as objects, shared by keyring.c and key_object.c. keys_lock is held
 * throughout. */
#pragma once

#include "platform/base/lock.h"
#include "platform/base/queue.h"
#include "sentry/kernel/keyring.h"
#include "sentry/kernel/task.h"

enum key_type { KEY_TYPE_KEYRING, KEY_TYPE_USER, KEY_TYPE_LOGON, KEY_TYPE_BIG, KEY_TYPE_COUNT };

struct key {
    TAILQ_ENTRY(key) link; /* in the list of all */
    unsigned refs;
    int serial;
    enum key_type type;
    char *description;
    uint32_t uid, gid, permissions;
    uint32_t charged_uid; /* whose quota it is in */
    size_t charged;
    bool revoked, negative;
    uint64_t expires_ns; /* CLOCK_MONOTONIC; 0: never */
    void *payload;
    size_t length;
    struct key **members; /* of a keyring: references */
    size_t count, capacity;
};

extern struct mutex keys_lock;

const char *key_type_name(enum key_type type);
/* -ENODEV. */
int key_type_find(const char *name, enum key_type *ret) must_check;
/* A key without payload: a reference. -ENOMEM, -EDQUOT. */
int key_new_locked(const struct cred *cred, enum key_type type, const char *description,
                   uint32_t permissions, struct key **ret) must_check;
void key_ref_locked(struct key *key);
void key_unref_locked(struct key *key);
struct key *key_find_locked(int serial);
/* Replaces the payload. */
int key_set_payload_locked(struct key *key, const void *payload, size_t length) must_check;
/* -EKEYREVOKED, -EKEYEXPIRED; 0. */
int key_validate_locked(const struct key *key) must_check;
int keyring_add_locked(struct key *ring, struct key *key) must_check;
/* False: it was not there. */
bool keyring_remove_locked(struct key *ring, struct key *key);
struct key *keyring_member_locked(const struct key *ring, enum key_type type,
                                  const char *description);
void keyring_clear_locked(struct key *ring);
/* Is key in ring, at any depth? */
bool keyring_reaches_locked(const struct key *ring, const struct key *key, int depth);
/* Any keyring with that name that everybody may find. */
struct key *keyring_by_name_locked(const char *name);
/* Takes a key out of every keyring. */
void key_forget_locked(struct key *key);
