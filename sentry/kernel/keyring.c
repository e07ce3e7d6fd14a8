/* keyring.c: what tasks do with keys. Linux: security/keys/{key,keyring,keyctl,process_keys}.c. */
#include "sentry/kernel/keyring.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/text.h"
#include "sentry/core/clock.h"
#include "sentry/kernel/keyring_internal.h"

#define DEPTH_MAX        6 /* Linux: KEYRING_SEARCH_MAX_DEPTH */
#define POSSESSOR(p)     ((uint32_t)(p) << 24)
#define OWNER(p)         ((uint32_t)(p) << 16)
#define ALL              0x3fU
#define RING_MODE        (POSSESSOR(ALL) | OWNER(KEY_MAY_VIEW))
#define SESSION_MODE     (POSSESSOR(ALL) | OWNER(KEY_MAY_VIEW | KEY_MAY_READ))
#define USER_RING_MODE   (POSSESSOR(ALL & ~KEY_MAY_SETATTR) | OWNER(ALL))
#define NEGATIVE_SECONDS 60

struct user_rings {
    LIST_ENTRY(user_rings) link;
    uint32_t uid;
    struct key *ring, *session;
};

static LIST_HEAD(, user_rings) users = LIST_HEAD_INITIALIZER(users); /* under keys_lock */

/* --- which keyrings a task has --- */

static int user_rings_locked(struct task *task, struct user_rings **ret)
{
    struct user_rings *user;
    uint32_t uid = task->cred->uid;
    char name[32];
    LIST_FOREACH (user, &users, link) {
        if (user->uid == uid) {
            *ret = user;
            return 0;
        }
    }
    user = calloc(1, sizeof(*user));
    if (!user) {
        return -ENOMEM;
    }
    user->uid = uid;
    snprintf(name, sizeof(name), "_uid.%u", uid);
    int error = key_new_locked(task->cred, KEY_TYPE_KEYRING, name, USER_RING_MODE, &user->ring);
    if (error == 0) {
        snprintf(name, sizeof(name), "_uid_ses.%u", uid);
        error = key_new_locked(task->cred, KEY_TYPE_KEYRING, name, USER_RING_MODE, &user->session);
    }
    if (error == 0) {
        error = keyring_add_locked(user->session, user->ring);
    }
    if (error != 0) {
        key_unref_locked(user->session);
        key_unref_locked(user->ring);
        free(user);
        return error;
    }
    LIST_INSERT_HEAD(&users, user, link);
    *ret = user;
    return 0;
}

/* The slot of a task's own keyring, made when create. -ENOKEY: there is none. */
static int own_ring_locked(struct task *task, struct key **slot, const char *name, bool create,
                           struct key **ret)
{
    if (!*slot) {
        int error =
            create ? key_new_locked(task->cred, KEY_TYPE_KEYRING, name, RING_MODE, slot) : -ENOKEY;
        if (error != 0) {
            return error;
        }
    }
    *ret = *slot;
    return 0;
}

static int special_locked(struct task *task, int id, bool create, struct key **ret)
{
    struct user_rings *user;
    int error;
    switch (id) {
    case KEY_THREAD_RING:
        return own_ring_locked(task, &task->thread_keyring, "_tid", create, ret);
    case KEY_PROCESS_RING:
        return own_ring_locked(task, &task->process->keyring, "_pid", create, ret);
    case KEY_SESSION_RING:
        if (task->session_keyring) {
            *ret = task->session_keyring;
            return 0;
        }
        return special_locked(task, KEY_USER_SESSION_RING, create, ret); /* stands in for it */
    case KEY_USER_RING:
    case KEY_USER_SESSION_RING:
        error = user_rings_locked(task, &user);
        if (error == 0) {
            *ret = id == KEY_USER_RING ? user->ring : user->session;
        }
        return error;
    case KEY_REQUESTOR_RING:
        return -ENOKEY;
    default:
        return -EINVAL;
    }
}

/* Does the task have the key, through one of its keyrings? */
static bool possesses_locked(struct task *task, const struct key *key)
{
    const struct key *rings[] = {task->thread_keyring, task->process->keyring,
                                 task->session_keyring};
    struct user_rings *user;
    for (size_t i = 0; i < array_size(rings); i++) {
        if (rings[i] && keyring_reaches_locked(rings[i], key, DEPTH_MAX)) {
            return true;
        }
    }
    return !task->session_keyring && user_rings_locked(task, &user) == 0 &&
           keyring_reaches_locked(user->session, key, DEPTH_MAX);
}

static int check_permission_locked(struct task *task, const struct key *key, unsigned wanted)
{
    const struct cred *cred = task->cred;
    unsigned shift = key->uid == cred->fsuid                                   ? 16
                     : key->gid != UINT32_MAX && cred_in_group(cred, key->gid) ? 8
                                                                               : 0;
    unsigned granted = key->permissions >> shift;
    if ((granted & wanted) != wanted && possesses_locked(task, key)) {
        granted |= key->permissions >> 24;
    }
    return (granted & wanted & ALL) == wanted ? 0 : -EACCES;
}

/* The key that an id names, if it is valid and the task may use it so. */
static int get_locked(struct task *task, int id, bool create, unsigned wanted, struct key **ret)
{
    if (id == 0) {
        return -EINVAL;
    }
    int error = 0;
    if (id < 0) {
        error = special_locked(task, id, create, ret);
    } else {
        *ret = key_find_locked(id);
        error = *ret ? 0 : -ENOKEY;
    }
    if (error == 0) {
        error = key_validate_locked(*ret);
    }
    return error == 0 ? check_permission_locked(task, *ret, wanted) : error;
}

static int get_ring_locked(struct task *task, int id, unsigned wanted, struct key **ret)
{
    int error = get_locked(task, id, true, wanted, ret);
    return error == 0 && (*ret)->type != KEY_TYPE_KEYRING ? -ENOTDIR : error;
}

/* --- making and finding keys --- */

static int check_payload(enum key_type type, const char *description, size_t length)
{
    const char *colon;
    switch (type) {
    case KEY_TYPE_KEYRING:
        return length == 0 ? 0 : -EINVAL;
    case KEY_TYPE_LOGON:
        colon = strchr(description, ':');
        if (!colon || colon == description) {
            return -EINVAL;
        }
        return length > 0 && length <= 32767 ? 0 : -EINVAL;
    case KEY_TYPE_USER:
        return length > 0 && length <= 32767 ? 0 : -EINVAL;
    default:
        return length > 0 && length <= KEY_PAYLOAD_MAX ? 0 : -EINVAL;
    }
}

static uint32_t first_permissions(enum key_type type)
{
    unsigned possessor = type == KEY_TYPE_LOGON ? ALL & ~KEY_MAY_READ : ALL;
    return POSSESSOR(possessor) | OWNER(KEY_MAY_VIEW);
}

static int add_locked(struct task *task, enum key_type type, const char *description,
                      const void *payload, size_t length, struct key *ring)
{
    struct key *key = keyring_member_locked(ring, type, description);
    int error;
    if (key && type != KEY_TYPE_KEYRING && key_validate_locked(key) == 0) {
        error = key->negative ? 0 : check_permission_locked(task, key, KEY_MAY_WRITE);
        if (error == 0) {
            error = key_set_payload_locked(key, payload, length);
        }
        return error == 0 ? key->serial : error;
    }
    error = key_new_locked(task->cred, type, description, first_permissions(type), &key);
    if (error != 0) {
        return error;
    }
    int serial = key->serial;
    if (type != KEY_TYPE_KEYRING) {
        error = key_set_payload_locked(key, payload, length);
    }
    if (error == 0) {
        error = keyring_add_locked(ring, key);
    }
    key_unref_locked(key);
    return error == 0 ? serial : error;
}

int key_add(struct task *task, const char *type_name, const char *description, const void *payload,
            size_t length, int ring_id)
{
    enum key_type type;
    struct key *ring;
    mutex_lock(&keys_lock);
    int result = get_ring_locked(task, ring_id, KEY_MAY_WRITE, &ring);
    if (result == 0) {
        result = key_type_find(type_name, &type);
    }
    if (result == 0) {
        result = description[0] == '\0' ? -EINVAL : check_payload(type, description, length);
    }
    if (result == 0) {
        result = add_locked(task, type, description, payload, length, ring);
    }
    mutex_unlock(&keys_lock);
    return result;
}

/* What a search came upon: a key, or the best reason why not. */
struct search {
    struct task *task;
    enum key_type type;
    const char *description;
    struct key *found;
    int error;
};

/* Linux: of the reasons, "revoked" and "expired" tell more than "not there". */
static void note_error(struct search *search, int error)
{
    if (search->error == -ENOKEY || error == -EACCES) {
        search->error = search->error == -ENOKEY ? error : search->error;
    }
}

static void consider(struct search *search, struct key *key)
{
    if (key->type != search->type || strcmp(key->description, search->description) != 0) {
        return;
    }
    int error = key_validate_locked(key);
    if (error == 0) {
        error = check_permission_locked(search->task, key, KEY_MAY_SEARCH);
    }
    if (error == 0 && key->negative) {
        error = -ENOKEY;
    }
    if (error == 0) {
        search->found = key;
    } else {
        note_error(search, error);
    }
}

static void search_ring(struct search *search, struct key *ring, int depth)
{
    if (key_validate_locked(ring) != 0 ||
        check_permission_locked(search->task, ring, KEY_MAY_SEARCH) != 0) {
        return;
    }
    for (size_t i = 0; i < ring->count && !search->found; i++) {
        consider(search, ring->members[i]);
    }
    for (size_t i = 0; i < ring->count && !search->found && depth > 0; i++) {
        if (ring->members[i]->type == KEY_TYPE_KEYRING) {
            search_ring(search, ring->members[i], depth - 1);
        }
    }
}

static int search_task_locked(struct search *search)
{
    struct task *task = search->task;
    struct user_rings *user;
    struct key *session = task->session_keyring;
    if (!session && user_rings_locked(task, &user) == 0) {
        session = user->session;
    }
    struct key *rings[] = {task->thread_keyring, task->process->keyring, session};
    for (size_t i = 0; i < array_size(rings) && !search->found; i++) {
        if (rings[i]) {
            search_ring(search, rings[i], DEPTH_MAX);
        }
    }
    return search->found ? 0 : search->error;
}

/* Where request_key puts what it makes (Linux: construct_get_dest_keyring). */
static int default_ring_locked(struct task *task, struct key **ret)
{
    static const int rings[] = {0,
                                KEY_THREAD_RING,
                                KEY_PROCESS_RING,
                                KEY_SESSION_RING,
                                KEY_USER_RING,
                                KEY_USER_SESSION_RING};
    int choice = task->default_keyring;
    int id = choice > 0 && (size_t)choice < array_size(rings) ? rings[choice]
             : task->thread_keyring                           ? KEY_THREAD_RING
             : task->process->keyring                         ? KEY_PROCESS_RING
                                                              : KEY_SESSION_RING;
    return get_ring_locked(task, id, KEY_MAY_WRITE, ret);
}

/* Linux: construct_key, with nobody who answers: a negative key tells so for a while. */
static int make_negative_locked(struct search *search, struct key *ring)
{
    struct key *key;
    int error = key_new_locked(search->task->cred, search->type, search->description,
                               first_permissions(search->type), &key);
    if (error != 0) {
        return error;
    }
    key->negative = true;
    key->expires_ns = clock_monotonic_ns() + NEGATIVE_SECONDS * 1000000000ULL;
    error = keyring_add_locked(ring, key);
    key_unref_locked(key);
    return error != 0 ? error : -ENOKEY;
}

int key_request(struct task *task, const char *type_name, const char *description, int dest,
                bool instantiate)
{
    struct search search = {.task = task, .description = description, .error = -ENOKEY};
    struct key *ring = NULL;
    int result = 0;
    mutex_lock(&keys_lock);
    if (dest != 0) {
        result = get_ring_locked(task, dest, KEY_MAY_WRITE, &ring);
    }
    if (result == 0) {
        result = key_type_find(type_name, &search.type);
    }
    if (result == 0) {
        result = search_task_locked(&search);
        if (result == 0) {
            result = ring ? keyring_add_locked(ring, search.found) : 0;
            result = result == 0 ? search.found->serial : result;
        } else if (result == -ENOKEY && instantiate) {
            result = ring ? 0 : default_ring_locked(task, &ring);
            result = result == 0 ? make_negative_locked(&search, ring) : result;
        }
    }
    mutex_unlock(&keys_lock);
    return result;
}

int key_search(struct task *task, int ring_id, const char *type_name, const char *description,
               int dest)
{
    struct search search = {.task = task, .description = description, .error = -ENOKEY};
    struct key *ring, *to = NULL;
    mutex_lock(&keys_lock);
    int result = get_ring_locked(task, ring_id, KEY_MAY_SEARCH, &ring);
    if (result == 0 && dest != 0) {
        result = get_ring_locked(task, dest, KEY_MAY_WRITE, &to);
    }
    if (result == 0) {
        result = key_type_find(type_name, &search.type);
    }
    if (result == 0) {
        search_ring(&search, ring, DEPTH_MAX);
        result = search.found ? 0 : search.error;
    }
    if (result == 0 && to) {
        result = check_permission_locked(task, search.found, KEY_MAY_LINK);
        result = result == 0 ? keyring_add_locked(to, search.found) : result;
    }
    result = result == 0 ? search.found->serial : result;
    mutex_unlock(&keys_lock);
    return result;
}

/* --- keyctl --- */

int key_ring_id(struct task *task, int id, bool create)
{
    struct key *key;
    mutex_lock(&keys_lock);
    int result = get_locked(task, id, create, KEY_MAY_SEARCH, &key);
    result = result == 0 ? key->serial : result;
    mutex_unlock(&keys_lock);
    return result;
}

int key_join_session(struct task *task, const char *name)
{
    struct key *ring = NULL;
    int result = 0;
    mutex_lock(&keys_lock);
    if (name) {
        ring = keyring_by_name_locked(name);
    }
    if (ring) {
        result = check_permission_locked(task, ring, KEY_MAY_SEARCH);
        if (result == 0) {
            key_ref_locked(ring);
        }
    } else {
        result = key_new_locked(task->cred, KEY_TYPE_KEYRING, name ? name : "_ses",
                                name ? SESSION_MODE | OWNER(KEY_MAY_LINK) : SESSION_MODE, &ring);
    }
    if (result == 0) {
        key_unref_locked(task->session_keyring);
        task->session_keyring = ring;
        result = ring->serial;
    }
    mutex_unlock(&keys_lock);
    return result;
}

int key_update(struct task *task, int id, const void *payload, size_t length)
{
    struct key *key;
    mutex_lock(&keys_lock);
    int result = get_locked(task, id, false, KEY_MAY_WRITE, &key);
    if (result == 0 && key->type == KEY_TYPE_KEYRING) {
        result = -EOPNOTSUPP;
    }
    if (result == 0) {
        result = check_payload(key->type, key->description, length);
    }
    if (result == 0) {
        result = key_set_payload_locked(key, payload, length);
    }
    mutex_unlock(&keys_lock);
    return result;
}

int key_revoke(struct task *task, int id)
{
    struct key *key;
    mutex_lock(&keys_lock);
    int result = get_locked(task, id, false, KEY_MAY_WRITE, &key);
    if (result == -EACCES) {
        result = get_locked(task, id, false, KEY_MAY_SETATTR, &key);
    }
    if (result == 0) {
        key->revoked = true;
        keyring_clear_locked(key);
    }
    mutex_unlock(&keys_lock);
    return result;
}

int key_invalidate(struct task *task, int id)
{
    struct key *key;
    mutex_lock(&keys_lock);
    int result = get_locked(task, id, false, KEY_MAY_SEARCH, &key);
    if (result == 0) {
        key->revoked = true;
        key_forget_locked(key);
    }
    mutex_unlock(&keys_lock);
    return result;
}

int key_chown(struct task *task, int id, uint32_t uid, uint32_t gid)
{
    struct key *key;
    bool change_uid = uid != UINT32_MAX, change_gid = gid != UINT32_MAX;
    if (!change_uid && !change_gid) {
        return 0;
    }
    mutex_lock(&keys_lock);
    int result = get_locked(task, id, true, KEY_MAY_SETATTR, &key);
    if (result == 0 && !cred_capable(task->cred, CAP_SYS_ADMIN) &&
        ((change_uid && key->uid != uid) ||
         (change_gid && key->gid != gid && !cred_in_group(task->cred, gid)))) {
        result = -EACCES;
    }
    if (result == 0) {
        key->uid = change_uid ? uid : key->uid;
        key->charged_uid = change_uid ? uid : key->charged_uid;
        key->gid = change_gid ? gid : key->gid;
    }
    mutex_unlock(&keys_lock);
    return result;
}

int key_set_permissions(struct task *task, int id, uint32_t permissions)
{
    struct key *key;
    if ((permissions & ~0x3f3f3f3fU) != 0) {
        return -EINVAL;
    }
    mutex_lock(&keys_lock);
    int result = get_locked(task, id, true, KEY_MAY_SETATTR, &key);
    if (result == 0 && key->uid != task->cred->fsuid && !cred_capable(task->cred, CAP_SYS_ADMIN)) {
        result = -EACCES;
    }
    if (result == 0) {
        key->permissions = permissions;
    }
    mutex_unlock(&keys_lock);
    return result;
}

int key_set_timeout(struct task *task, int id, unsigned seconds)
{
    struct key *key;
    mutex_lock(&keys_lock);
    int result = get_locked(task, id, true, KEY_MAY_SETATTR, &key);
    if (result == 0) {
        key->expires_ns = seconds != 0 ? clock_monotonic_ns() + seconds * 1000000000ULL : 0;
    }
    mutex_unlock(&keys_lock);
    return result;
}

int key_describe(struct task *task, int id, struct text *ret)
{
    struct key *key;
    mutex_lock(&keys_lock);
    int result = get_locked(task, id, true, KEY_MAY_VIEW, &key);
    if (result == 0) {
        text_printf(ret, "%s;%d;%d;%08x;%s", key_type_name(key->type), (int)key->uid, (int)key->gid,
                    key->permissions, key->description);
    }
    mutex_unlock(&keys_lock);
    return result == 0 && ret->failed ? -ENOMEM : result;
}

int key_read(struct task *task, int id, struct text *ret)
{
    struct key *key;
    mutex_lock(&keys_lock);
    int result = get_locked(task, id, false, 0, &key);
    if (result == 0 && key->negative) {
        result = -ENOKEY;
    }
    if (result == 0 && check_permission_locked(task, key, KEY_MAY_READ) != 0) {
        /* Linux: who can find the key by searching may read it, too. */
        result =
            possesses_locked(task, key) && check_permission_locked(task, key, KEY_MAY_SEARCH) == 0
                ? 0
                : -EACCES;
    }
    if (result == 0 && key->type == KEY_TYPE_LOGON) {
        result = -EOPNOTSUPP;
    }
    if (result == 0 && key->type == KEY_TYPE_KEYRING) {
        for (size_t i = 0; i < key->count; i++) {
            text_append(ret, &key->members[i]->serial, sizeof(int));
        }
    } else if (result == 0) {
        text_append(ret, key->payload, key->length);
    }
    mutex_unlock(&keys_lock);
    return result == 0 && ret->failed ? -ENOMEM : result;
}

int key_clear(struct task *task, int ring_id)
{
    struct key *ring;
    mutex_lock(&keys_lock);
    int result = get_ring_locked(task, ring_id, KEY_MAY_WRITE, &ring);
    if (result == 0) {
        keyring_clear_locked(ring);
    }
    mutex_unlock(&keys_lock);
    return result;
}

int key_link(struct task *task, int id, int ring_id)
{
    struct key *ring, *key;
    mutex_lock(&keys_lock);
    int result = get_ring_locked(task, ring_id, KEY_MAY_WRITE, &ring);
    if (result == 0) {
        result = get_locked(task, id, true, KEY_MAY_LINK, &key);
    }
    if (result == 0 && key->type == KEY_TYPE_KEYRING &&
        keyring_reaches_locked(key, ring, DEPTH_MAX)) {
        result = -EDEADLK;
    }
    if (result == 0) {
        result = keyring_add_locked(ring, key);
    }
    mutex_unlock(&keys_lock);
    return result;
}

int key_unlink(struct task *task, int id, int ring_id)
{
    struct key *ring, *key;
    mutex_lock(&keys_lock);
    int result = get_ring_locked(task, ring_id, KEY_MAY_WRITE, &ring);
    if (result == 0) {
        result = id < 0 ? special_locked(task, id, false, &key) : 0;
    }
    if (result == 0 && id >= 0) {
        key = key_find_locked(id);
        result = key ? 0 : -ENOKEY;
    }
    if (result == 0) {
        result = keyring_remove_locked(ring, key) ? 0 : -ENOENT;
    }
    mutex_unlock(&keys_lock);
    return result;
}

int key_check_view(struct task *task, int id)
{
    struct key *key;
    mutex_lock(&keys_lock);
    int result = get_locked(task, id, true, KEY_MAY_VIEW, &key);
    mutex_unlock(&keys_lock);
    return result;
}

static bool same_user(const struct cred *a, const struct cred *b)
{
    return a->uid == b->euid && a->euid == b->euid && a->suid == b->euid && a->gid == b->egid &&
           a->egid == b->egid && a->sgid == b->egid;
}

int key_session_to_parent(struct task *task)
{
    mutex_lock(&kernel_lock);
    struct process *parent = task->process->parent;
    struct task *leader = NULL;
    if (parent && parent->tgid > 1 && parent->thread_count == 1 && parent->leader &&
        parent->leader->cred && same_user(parent->leader->cred, task->cred)) {
        leader = task_ref(parent->leader);
    }
    mutex_unlock(&kernel_lock);
    if (!leader) {
        return -EPERM;
    }
    mutex_lock(&keys_lock);
    struct key *ring;
    int error = special_locked(task, KEY_SESSION_RING, true, &ring);
    if (error == 0 && atomic_load(&leader->state) == TASK_DEAD) {
        error = -EPERM; /* its keys are gone already */
    }
    if (error == 0) {
        key_ref_locked(ring);
        key_unref_locked(leader->session_keyring);
        leader->session_keyring = ring;
    }
    mutex_unlock(&keys_lock);
    task_unref(leader);
    return error;
}

/* --- the life of tasks --- */

void key_task_copy(const struct task *parent, struct task *child)
{
    if (parent->session_keyring) {
        mutex_lock(&keys_lock);
        key_ref_locked(parent->session_keyring);
        child->session_keyring = parent->session_keyring;
        mutex_unlock(&keys_lock);
    }
}

static void drop(struct key **slot)
{
    if (*slot) {
        mutex_lock(&keys_lock);
        key_unref_locked(*slot);
        *slot = NULL;
        mutex_unlock(&keys_lock);
    }
}

void key_task_exec(struct task *task)
{
    drop(&task->thread_keyring);
    drop(&task->process->keyring);
}

void key_task_free(struct task *task)
{
    drop(&task->thread_keyring);
    drop(&task->session_keyring);
}

void key_process_free(struct process *process)
{
    drop(&process->keyring);
}
