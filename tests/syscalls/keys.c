/* keys.c: add_key, request_key, keyctl. */
#include <linux/keyctl.h>

#include "guest_test.h"

static long add(const char *type, const char *name, const char *text, int ring)
{
    return syscall(SYS_add_key, type, name, text, text ? strlen(text) : 0, ring);
}

static long request(const char *type, const char *name, const char *callout, int ring)
{
    return syscall(SYS_request_key, type, name, callout, ring);
}

static long keyctl(int operation, long a, long b, long c, long d)
{
    return syscall(SYS_keyctl, operation, a, b, c, d);
}

/* A session of the test's own; a container may refuse the calls. */
static void begin(void)
{
    if (keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) < 0) {
        CHECK(errno == EPERM || errno == ENOSYS);
        SKIP("no keys");
    }
}

TEST_CASE(user_key)
{
    char text[64] = "";
    begin();
    long key = CHECK_OK(add("user", "name", "secret", KEY_SPEC_SESSION_KEYRING));
    CHECK_EQ(keyctl(KEYCTL_READ, key, (long)text, sizeof(text), 0), 6);
    CHECK(memcmp(text, "secret", 6) == 0);
    CHECK_EQ(add("user", "name", "other", KEY_SPEC_SESSION_KEYRING), key);
    CHECK_EQ(keyctl(KEYCTL_READ, key, 0, 0, 0), 5);
    CHECK_OK(keyctl(KEYCTL_UPDATE, key, (long)"third!", 6, 0));
    CHECK_EQ(keyctl(KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, (long)"user", (long)"name", 0), key);
    CHECK_EQ(request("user", "name", NULL, 0), key);
    CHECK(keyctl(KEYCTL_DESCRIBE, key, (long)text, sizeof(text), 0) > 0);
    CHECK(strncmp(text, "user;", 5) == 0 && strstr(text, ";3f010000;name"));
    CHECK_OK(keyctl(KEYCTL_UNLINK, key, KEY_SPEC_SESSION_KEYRING, 0, 0));
    CHECK_ERRNO(request("user", "name", NULL, 0), ENOKEY);
}

TEST_CASE(arguments)
{
    begin();
    CHECK_ERRNO(add("user", "name", "", KEY_SPEC_SESSION_KEYRING), EINVAL);
    CHECK_ERRNO(add("no-such-type", "name", "x", KEY_SPEC_SESSION_KEYRING), ENODEV);
    CHECK_ERRNO(add("keyring", ".name", NULL, KEY_SPEC_SESSION_KEYRING), EPERM);
    CHECK_ERRNO(add("keyring", "name", "x", KEY_SPEC_SESSION_KEYRING), EINVAL);
    CHECK_ERRNO(add("logon", "nocolon", "x", KEY_SPEC_SESSION_KEYRING), EINVAL);
    CHECK_ERRNO(syscall(SYS_add_key, "user", "a", NULL, 5, KEY_SPEC_SESSION_KEYRING), EFAULT);
    CHECK_ERRNO(syscall(SYS_add_key, guest_bad(), "a", "x", 1, KEY_SPEC_SESSION_KEYRING), EFAULT);
    CHECK_ERRNO(add("user", "name", "x", -99), EINVAL);
    CHECK_ERRNO(keyctl(KEYCTL_READ, 0x7ffffff0, 0, 0, 0), ENOKEY);
    CHECK_ERRNO(keyctl(9999, 0, 0, 0, 0), EOPNOTSUPP);
    CHECK_ERRNO(keyctl(KEYCTL_SETPERM, KEY_SPEC_SESSION_KEYRING, 0xffffffffL, 0, 0), EINVAL);
}

TEST_CASE(rings)
{
    int serials[4] = {0};
    begin();
    long outer = CHECK_OK(add("keyring", "outer", NULL, KEY_SPEC_SESSION_KEYRING));
    long inner = CHECK_OK(add("keyring", "inner", NULL, (int)outer));
    long key = CHECK_OK(add("user", "name", "x", (int)inner));
    CHECK_EQ(keyctl(KEYCTL_READ, inner, (long)serials, sizeof(serials), 0), 4);
    CHECK_EQ(serials[0], key);
    CHECK_EQ(keyctl(KEYCTL_SEARCH, outer, (long)"user", (long)"name", 0), key);
    CHECK_ERRNO(keyctl(KEYCTL_LINK, outer, inner, 0, 0), EDEADLK);
    CHECK_OK(keyctl(KEYCTL_LINK, key, outer, 0, 0));
    CHECK_ERRNO(keyctl(KEYCTL_CLEAR, key, 0, 0, 0), ENOTDIR);
    CHECK_OK(keyctl(KEYCTL_CLEAR, inner, 0, 0, 0));
    CHECK_EQ(keyctl(KEYCTL_READ, inner, 0, 0, 0), 0);
    CHECK_EQ(keyctl(KEYCTL_SEARCH, outer, (long)"user", (long)"name", 0), key);
}

TEST_CASE(revoked_and_expired)
{
    begin();
    long key = CHECK_OK(add("user", "a", "x", KEY_SPEC_SESSION_KEYRING));
    CHECK_OK(keyctl(KEYCTL_REVOKE, key, 0, 0, 0));
    CHECK_ERRNO(keyctl(KEYCTL_READ, key, 0, 0, 0), EKEYREVOKED);
    CHECK_ERRNO(request("user", "a", NULL, 0), EKEYREVOKED);
    key = CHECK_OK(add("user", "b", "x", KEY_SPEC_SESSION_KEYRING));
    CHECK_OK(keyctl(KEYCTL_SET_TIMEOUT, key, 1, 0, 0));
    guest_sleep_ms(2100);
    CHECK_ERRNO(keyctl(KEYCTL_READ, key, 0, 0, 0), EKEYEXPIRED);
    key = CHECK_OK(add("user", "c", "x", KEY_SPEC_SESSION_KEYRING));
    CHECK_OK(keyctl(KEYCTL_INVALIDATE, key, 0, 0, 0));
    CHECK(request("user", "c", NULL, 0) < 0 && (errno == ENOKEY || errno == EKEYREVOKED));
}

TEST_CASE(permissions)
{
    begin();
    long key = CHECK_OK(add("user", "a", "x", KEY_SPEC_SESSION_KEYRING));
    CHECK_OK(keyctl(KEYCTL_SETPERM, key, 0x21000000 /* possessor: view, setattr */, 0, 0));
    CHECK_ERRNO(keyctl(KEYCTL_READ, key, 0, 0, 0), EACCES);
    CHECK_ERRNO(keyctl(KEYCTL_UPDATE, key, (long)"y", 1, 0), EACCES);
    long logon = CHECK_OK(add("logon", "a:b", "x", KEY_SPEC_SESSION_KEYRING));
    CHECK(keyctl(KEYCTL_READ, logon, 0, 0, 0) < 0);
}

TEST_CASE(inherited)
{
    begin();
    long session = CHECK_OK(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0, 0));
    long thread = CHECK_OK(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 1, 0, 0));
    long process = CHECK_OK(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1, 0, 0));
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_EQ(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0, 0), session);
        CHECK_ERRNO(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0, 0, 0), ENOKEY);
        CHECK_ERRNO(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0, 0, 0), ENOKEY);
        _exit(0);
    }
    CHECK_CHILD_OK(child);
    CHECK_EQ(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0, 0, 0), thread);
    CHECK_EQ(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0, 0, 0), process);
}

TEST_CASE(session_to_parent)
{
    begin();
    long before = CHECK_OK(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0, 0));
    pid_t child = guest_fork();
    if (child == 0) {
        CHECK_OK(keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0));
        CHECK_OK(keyctl(KEYCTL_SESSION_TO_PARENT, 0, 0, 0, 0));
        _exit(0);
    }
    CHECK_CHILD_OK(child);
    CHECK(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0, 0) != before);
}
