/*
 * gofer_test.h: a gofer process on a temporary directory, for tests.
 */
#pragma once

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/types.h>

#include "gofer/client/client.h"
#include "gofer/files/server.h"

#define GOFER_TEST_MOUNTS 3

struct gofer_test {
    char root[64]; /* temporary directory: mount 0; removed at the end */
    struct gofer_mount_config mounts[GOFER_TEST_MOUNTS];
    struct gofer_config config;
    struct policy *policy;
    pid_t server;
    int audit_fd; /* a memfd */
    struct gofer_client *client;
    struct gofer_mount mount; /* index 0 */
};

/* setup and teardown of a test: a directory and an empty policy; mount 0 is /work, mode write. */
int gofer_test_setup(void **state);
int gofer_test_teardown(void **state);
/* Starts the server and attaches. */
void gofer_test_start(struct gofer_test *test);
/* Closes the client and waits for the server; its exit status. */
int gofer_test_stop(struct gofer_test *test);
void gofer_test_rules(struct gofer_test *test, const char *json);
/* A path below the root; printf-like, in a static buffer (four in turn). */
const char *gofer_test_path(struct gofer_test *test, const char *format, ...) printf_like(2, 3);
void gofer_test_write(struct gofer_test *test, const char *name, const char *content);
void gofer_test_mkdir(struct gofer_test *test, const char *name);
/* Walks a path of components from the root; the result of the last walk. */
int gofer_test_walk(struct gofer_test *test, const char *path, struct gofer_object *ret_object);
/* The same; must succeed. */
uint64_t gofer_test_fid(struct gofer_test *test, const char *path);
/* The audit log so far, to be freed. */
char *gofer_test_audit(struct gofer_test *test);
/* Runs the tests as the present user, and when that is root also as an ordinary one. */
int gofer_test_run(int (*run_group)(void));
