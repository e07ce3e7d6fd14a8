/* key_object.c: keys, keyrings and quotas as objects. See keyring_internal.h. */
#include <stdlib.h>
#include <string.h>

#include "sentry/core/clock.h"
#include "sentry/kernel/keyring_internal.h"

struct mutex keys_lock = {.host = PTHREAD_MUTEX_INITIALIZER, .rank = RANK_OBJECT};

struct key_limits key_limits = {
    .keys = 200, .bytes = 20000, .root_keys = 1000000, .root_bytes = 25000000};

/* What is kept for all of a sandbox, whatever the users' limits are. */
#define TOTAL_KEYS  1000000
#define TOTAL_BYTES (64ULL << 20)

static TAILQ_HEAD(key_list, key) keys = TAILQ_HEAD_INITIALIZER(keys);
static int last_serial = 0x10000;
static uint64_t total_keys, total_bytes;

const char *key_type_name(enum key_type type)
{
    static const char *const names[KEY_TYPE_COUNT] = {"keyring", "user", "logon", "big_key"};
    return names[type];
}

int key_type_find(const char *name, enum key_type *ret)
{
    for (int i = 0; i < KEY_TYPE_COUNT; i++) {
        if (strcmp(name, key_type_name((enum key_type)i)) == 0) {
            *ret = (enum key_type)i;
            return 0;
        }
    }
    return -ENODEV;
}

/* What a user's keys take up; one is added to it. */
static int charge_locked(uint32_t uid, size_t bytes, bool new_key)
{
    uint64_t count = new_key, sum = bytes;
    const struct key *key;
    TAILQ_FOREACH (key, &keys, link) {
        if (key->charged_uid == uid) {
            count++;
            sum += key->charged;
        }
    }
    uint64_t most_keys = uid == 0 ? key_limits.root_keys : key_limits.keys;
    uint64_t most_bytes = uid == 0 ? key_limits.root_bytes : key_limits.bytes;
    bool over = count > most_keys || sum > most_bytes || total_keys + new_key > TOTAL_KEYS ||
                total_bytes + bytes > TOTAL_BYTES;
    return over ? -EDQUOT : 0;
}

int key_new_locked(const struct cred *cred, enum key_type type, const char *description,
                   uint32_t permissions, struct key **ret)
{
    size_t bytes = strlen(description) + 1;
    int error = charge_locked(cred->fsuid, bytes, true);
    if (error != 0) {
        return error;
    }
    struct key *key = calloc(1, sizeof(*key));
    char *copy = strdup(description);
    if (!key || !copy) {
        free(key);
        free(copy);
        return -ENOMEM;
    }
    do {
        last_serial = last_serial >= INT32_MAX - 8 ? 0x10000 : last_serial + 7;
    } while (key_find_locked(last_serial));
    key->serial = last_serial;
    key->refs = 1;
    key->type = type;
    key->description = copy;
    key->uid = key->charged_uid = cred->fsuid;
    key->gid = cred->fsgid;
    key->permissions = permissions;
    key->charged = bytes;
    total_keys++;
    total_bytes += bytes;
    TAILQ_INSERT_TAIL(&keys, key, link);
    *ret = key;
    return 0;
}

void key_ref_locked(struct key *key)
{
    key->refs++;
}

/* Keyrings may be nested as deep as the guest likes: a loop, no recursion. */
void key_unref_locked(struct key *first)
{
    struct key_list doomed = TAILQ_HEAD_INITIALIZER(doomed);
    struct key *key = first;
    if (!key || --key->refs != 0) {
        return;
    }
    TAILQ_REMOVE(&keys, key, link);
    TAILQ_INSERT_TAIL(&doomed, key, link);
    while ((key = TAILQ_FIRST(&doomed)) != NULL) {
        TAILQ_REMOVE(&doomed, key, link);
        for (size_t i = 0; i < key->count; i++) {
            struct key *member = key->members[i];
            if (--member->refs == 0) {
                TAILQ_REMOVE(&keys, member, link);
                TAILQ_INSERT_TAIL(&doomed, member, link);
            }
        }
        total_keys--;
        total_bytes -= key->charged;
        free(key->members);
        free(key->payload);
        free(key->description);
        free(key);
    }
}

struct key *key_find_locked(int serial)
{
    struct key *key;
    TAILQ_FOREACH (key, &keys, link) {
        if (key->serial == serial) {
            return key;
        }
    }
    return NULL;
}

int key_set_payload_locked(struct key *key, const void *payload, size_t length)
{
    /* Linux: a large key lies in a file of its own and counts as 16 bytes only. */
    size_t counted = key->type == KEY_TYPE_BIG ? 16 : length;
    size_t base = strlen(key->description) + 1;
    size_t more = base + counted > key->charged ? base + counted - key->charged : 0;
    int error = charge_locked(key->charged_uid, more, false);
    if (error == 0 && total_bytes + length > TOTAL_BYTES) {
        error = -EDQUOT;
    }
    void *copy = error == 0 ? malloc(length > 0 ? length : 1) : NULL;
    if (!copy) {
        return error != 0 ? error : -ENOMEM;
    }
    memcpy(copy, payload, length);
    free(key->payload);
    key->payload = copy;
    key->length = length;
    total_bytes = total_bytes - key->charged + base + counted;
    key->charged = base + counted;
    key->negative = false;
    key->expires_ns = 0;
    return 0;
}

int key_validate_locked(const struct key *key)
{
    if (key->revoked) {
        return -EKEYREVOKED;
    }
    return key->expires_ns != 0 && clock_monotonic_ns() >= key->expires_ns ? -EKEYEXPIRED : 0;
}

struct key *keyring_member_locked(const struct key *ring, enum key_type type,
                                  const char *description)
{
    for (size_t i = 0; i < ring->count; i++) {
        struct key *key = ring->members[i];
        if (key->type == type && strcmp(key->description, description) == 0) {
            return key;
        }
    }
    return NULL;
}

static void remove_at(struct key *ring, size_t index)
{
    struct key *key = ring->members[index];
    ring->count--;
    memmove(&ring->members[index], &ring->members[index + 1],
            (ring->count - index) * sizeof(*ring->members));
    key_unref_locked(key);
}

int keyring_add_locked(struct key *ring, struct key *key)
{
    struct key *old = keyring_member_locked(ring, key->type, key->description);
    if (old == key) {
        return 0;
    }
    if (ring->count == ring->capacity) {
        size_t capacity = ring->capacity * 2 + 4;
        struct key **members = realloc(ring->members, capacity * sizeof(*members));
        if (!members) {
            return -ENOMEM;
        }
        ring->members = members;
        ring->capacity = capacity;
    }
    key_ref_locked(key);
    ring->members[ring->count++] = key;
    if (old) { /* Linux: a link displaces one to a key of the same name */
        keyring_remove_locked(ring, old);
    }
    return 0;
}

bool keyring_remove_locked(struct key *ring, struct key *key)
{
    for (size_t i = 0; i < ring->count; i++) {
        if (ring->members[i] == key) {
            remove_at(ring, i);
            return true;
        }
    }
    return false;
}

void keyring_clear_locked(struct key *ring)
{
    while (ring->count > 0) {
        remove_at(ring, ring->count - 1);
    }
}

bool keyring_reaches_locked(const struct key *ring, const struct key *key, int depth)
{
    if (ring == key) {
        return true;
    }
    for (size_t i = 0; i < ring->count && depth > 0; i++) {
        const struct key *member = ring->members[i];
        if (member == key ||
            (member->type == KEY_TYPE_KEYRING && keyring_reaches_locked(member, key, depth - 1))) {
            return true;
        }
    }
    return false;
}

struct key *keyring_by_name_locked(const char *name)
{
    struct key *key;
    TAILQ_FOREACH (key, &keys, link) {
        if (key->type == KEY_TYPE_KEYRING && !key->revoked && strcmp(key->description, name) == 0 &&
            key->uid == current.cred->fsuid) {
            return key;
        }
    }
    return NULL;
}

void key_forget_locked(struct key *key)
{
    struct key *ring, *next;
    key_ref_locked(key);
    TAILQ_FOREACH_SAFE (ring, &keys, link, next) {
        if (ring->type == KEY_TYPE_KEYRING && ring != key) {
            while (keyring_remove_locked(ring, key)) {
            }
        }
    }
    key_unref_locked(key);
}
