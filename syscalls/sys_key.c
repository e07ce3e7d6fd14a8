/* sys_key.c: add_key, request_key, keyctl. Source: Linux security/keys/keyctl.c. */
#include <linux/keyctl.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/text.h"
#include "sentry/core/current.h"
#include "sentry/kernel/keyring.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define TYPE_MAX        32
#define DESCRIPTION_MAX 4096
#define UPDATE_MAX      4096

/* The type's name (Linux: key_get_type_from_user); -EPERM for those the kernel keeps. */
static int copy_in_type(uint64_t addr, char type[TYPE_MAX])
{
    ssize_t length = mm_copy_in_string(current.mm, addr, type, TYPE_MAX);
    if (length < 0) {
        return length == -ENAMETOOLONG ? -EINVAL : (int)length;
    }
    return type[0] == '\0' ? -EINVAL : type[0] == '.' ? -EPERM : 0;
}

static int copy_in_description(uint64_t addr, char text[DESCRIPTION_MAX])
{
    text[0] = '\0';
    ssize_t length = addr != 0 ? mm_copy_in_string(current.mm, addr, text, DESCRIPTION_MAX) : 0;
    return length == -ENAMETOOLONG ? -EINVAL : length < 0 ? (int)length : 0;
}

static int copy_in_payload(uint64_t addr, uint64_t length, void **ret)
{
    void *payload = malloc(length > 0 ? length : 1);
    if (!payload) {
        return -ENOMEM;
    }
    if (length > 0 && mm_copy_in(current.mm, addr, payload, length) < 0) {
        free(payload);
        return -EFAULT;
    }
    *ret = payload;
    return 0;
}

long sys_add_key(struct task *task, const struct syscall_args *args)
{
    char type[TYPE_MAX], description[DESCRIPTION_MAX];
    auto_free void *payload = NULL;
    if (arg_u64(args, 3) > KEY_PAYLOAD_MAX) {
        return -EINVAL;
    }
    int error = copy_in_type(arg_u64(args, 0), type);
    if (error == 0) {
        error = copy_in_description(arg_u64(args, 1), description);
    }
    if (error == 0 && description[0] == '.' && strcmp(type, "keyring") == 0) {
        error = -EPERM;
    }
    if (error == 0) {
        error = copy_in_payload(arg_u64(args, 2), arg_u64(args, 3), &payload);
    }
    return error < 0 ? error
                     : key_add(task, type, description, payload, (size_t)arg_u64(args, 3),
                               arg_int(args, 4));
}

long sys_request_key(struct task *task, const struct syscall_args *args)
{
    char type[TYPE_MAX], description[DESCRIPTION_MAX], callout[DESCRIPTION_MAX];
    int error = copy_in_type(arg_u64(args, 0), type);
    if (error == 0) {
        error =
            arg_u64(args, 1) != 0 ? copy_in_description(arg_u64(args, 1), description) : -EFAULT;
    }
    if (error == 0) {
        error = copy_in_description(arg_u64(args, 2), callout);
    }
    return error < 0
               ? error
               : key_request(task, type, description, arg_int(args, 3), arg_u64(args, 2) != 0);
}

/* What fits of a result; its whole length is told. Linux: with a buffer that is too small nothing
 * is written. */
static long put_result(const struct text *text, size_t length, uint64_t addr, uint64_t room)
{
    if (addr != 0 && room >= length && length > 0 &&
        mm_copy_out(current.mm, addr, text_string(text), length) < 0) {
        return -EFAULT;
    }
    return (long)length;
}

static long describe(struct task *task, int id, uint64_t addr, uint64_t room)
{
    auto_text struct text text = TEXT_INIT;
    int error = key_describe(task, id, &text);
    return error < 0 ? error : put_result(&text, text.length + 1, addr, room);
}

static long read_key(struct task *task, int id, uint64_t addr, uint64_t room)
{
    auto_text struct text text = TEXT_INIT;
    int error = key_read(task, id, &text);
    return error < 0 ? error : put_result(&text, text.length, addr, room);
}

static long update(struct task *task, int id, uint64_t addr, uint64_t length)
{
    auto_free void *payload = NULL;
    if (length > UPDATE_MAX) {
        return -EINVAL;
    }
    int error = copy_in_payload(addr, length, &payload);
    return error < 0 ? error : key_update(task, id, payload, (size_t)length);
}

static long join_session(struct task *task, uint64_t addr)
{
    char name[DESCRIPTION_MAX];
    int error = copy_in_description(addr, name);
    if (error < 0) {
        return error;
    }
    if (name[0] == '.') {
        return -EPERM;
    }
    return key_join_session(task, addr != 0 && name[0] != '\0' ? name : NULL);
}

static long search(struct task *task, const struct syscall_args *args)
{
    char type[TYPE_MAX], description[DESCRIPTION_MAX];
    int error = copy_in_type(arg_u64(args, 2), type);
    if (error == 0) {
        error = copy_in_description(arg_u64(args, 3), description);
    }
    return error < 0 ? error
                     : key_search(task, arg_int(args, 1), type, description, arg_int(args, 4));
}

/* Which keyring request_key would use; the old one is told. */
static long set_default_ring(struct task *task, int choice)
{
    int old = task->default_keyring;
    int error = 0;
    switch (choice) {
    case KEY_REQKEY_DEFL_THREAD_KEYRING:
        error = key_ring_id(task, KEY_THREAD_RING, true);
        break;
    case KEY_REQKEY_DEFL_PROCESS_KEYRING:
        error = key_ring_id(task, KEY_PROCESS_RING, true);
        break;
    case KEY_REQKEY_DEFL_DEFAULT:
    case KEY_REQKEY_DEFL_SESSION_KEYRING:
    case KEY_REQKEY_DEFL_USER_KEYRING:
    case KEY_REQKEY_DEFL_USER_SESSION_KEYRING:
    case KEY_REQKEY_DEFL_REQUESTOR_KEYRING:
        break;
    case KEY_REQKEY_DEFL_NO_CHANGE:
        return old;
    default:
        return -EINVAL;
    }
    if (error < 0) {
        return error;
    }
    task->default_keyring = choice;
    return old;
}

/* KEYCTL_GET_SECURITY: no security module labels keys. */
static long get_security(struct task *task, int id, uint64_t addr, uint64_t room)
{
    int error = key_check_view(task, id);
    if (error < 0) {
        return error;
    }
    if (addr != 0 && room > 0 && mm_copy_out(current.mm, addr, "", 1) < 0) {
        return -EFAULT;
    }
    return 1;
}

long sys_keyctl(struct task *task, const struct syscall_args *args)
{
    int id = arg_int(args, 1);
    switch (arg_int(args, 0)) {
    case KEYCTL_GET_KEYRING_ID:
        return key_ring_id(task, id, arg_int(args, 2) != 0);
    case KEYCTL_JOIN_SESSION_KEYRING:
        return join_session(task, arg_u64(args, 1));
    case KEYCTL_UPDATE:
        return update(task, id, arg_u64(args, 2), arg_u64(args, 3));
    case KEYCTL_REVOKE:
        return key_revoke(task, id);
    case KEYCTL_CHOWN:
        return key_chown(task, id, arg_uint(args, 2), arg_uint(args, 3));
    case KEYCTL_SETPERM:
        return key_set_permissions(task, id, arg_uint(args, 2));
    case KEYCTL_DESCRIBE:
        return describe(task, id, arg_u64(args, 2), arg_u64(args, 3));
    case KEYCTL_CLEAR:
        return key_clear(task, id);
    case KEYCTL_LINK:
        return key_link(task, id, arg_int(args, 2));
    case KEYCTL_UNLINK:
        return key_unlink(task, id, arg_int(args, 2));
    case KEYCTL_SEARCH:
        return search(task, args);
    case KEYCTL_READ:
        return read_key(task, id, arg_u64(args, 2), arg_u64(args, 3));
    case KEYCTL_SET_REQKEY_KEYRING:
        return set_default_ring(task, id);
    case KEYCTL_SET_TIMEOUT:
        return key_set_timeout(task, id, arg_uint(args, 2));
    case KEYCTL_INVALIDATE:
        return key_invalidate(task, id);
    case KEYCTL_GET_SECURITY:
        return get_security(task, id, arg_u64(args, 2), arg_u64(args, 3));
    case KEYCTL_ASSUME_AUTHORITY:
        return id == 0 ? 0 : id < 0 ? -EINVAL : -ENOKEY;
    case KEYCTL_INSTANTIATE:
    case KEYCTL_INSTANTIATE_IOV:
    case KEYCTL_NEGATE:
    case KEYCTL_REJECT:
        return -EPERM; /* nobody was asked to make a key */
    case KEYCTL_SESSION_TO_PARENT:
        return key_session_to_parent(task);
    default:
        return -EOPNOTSUPP;
    }
}
