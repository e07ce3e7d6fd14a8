/* gofer_test.c: a gofer process on a temporary directory. */
#include "tests/gofer/gofer_test.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORDINARY_USER 65534

/* rm copes with paths that are longer than any call takes. */
static void remove_tree(const char *path)
{
    char *argv[] = {"rm", "-rf", "--", (char *)(uintptr_t)path, NULL};
    pid_t child;
    int status;
    assert_int_equal(posix_spawnp(&child, "rm", NULL, NULL, argv, environ), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
}

int gofer_test_setup(void **state)
{
    struct gofer_test *test = calloc(1, sizeof(*test));
    assert_non_null(test);
    strcpy(test->root, "/tmp/gofer-test-XXXXXX");
    assert_non_null(mkdtemp(test->root));
    test->policy = policy_new();
    assert_non_null(test->policy);
    test->audit_fd = memfd_create("audit", MFD_CLOEXEC);
    assert_true(test->audit_fd >= 0);
    test->mounts[0] = (struct gofer_mount_config){
        .host_path = test->root, .guest_path = "/work", .mode = GOFER_ACCESS_WRITE};
    test->config = (struct gofer_config){
        .mounts = test->mounts,
        .mount_count = 1,
        .policy = test->policy,
        .audit_fd = test->audit_fd,
        .log = {.fd = STDERR_FILENO, .level = LOG_WARNING, .role = "gofer"},
    };
    *state = test;
    return 0;
}

int gofer_test_teardown(void **state)
{
    struct gofer_test *test = *state;
    if (test->server) {
        assert_int_equal(gofer_test_stop(test), 0);
    }
    remove_tree(test->root);
    policy_free(test->policy);
    close(test->audit_fd);
    free(test);
    return 0;
}

void gofer_test_start(struct gofer_test *test)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    test->config.connection_fd = pair[1];
    fflush(NULL);
    test->server = fork();
    assert_true(test->server >= 0);
    if (test->server == 0) {
        close(pair[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(gofer_files_run(&test->config));
    }
    close(pair[1]);
    assert_int_equal(gofer_client_new(pair[0], &test->client), 0);
    assert_int_equal(gofer_attach(test->client, 0, &test->mount), 0);
}

int gofer_test_stop(struct gofer_test *test)
{
    int status;
    gofer_client_free(test->client);
    test->client = NULL;
    assert_int_equal(waitpid(test->server, &status, 0), test->server);
    test->server = 0;
    return status;
}

void gofer_test_rules(struct gofer_test *test, const char *json)
{
    struct policy_error error = {""};
    int result = policy_load_text(test->policy, "test", json, strlen(json), &error);
    if (result) {
        fail_msg("%s", error.text);
    }
}

const char *gofer_test_path(struct gofer_test *test, const char *format, ...)
{
    static char buffers[4][4096];
    static unsigned turn;
    char *buffer = buffers[turn++ % 4];
    int length = snprintf(buffer, 4096, "%s/", test->root);
    va_list args;
    va_start(args, format);
    vsnprintf(buffer + length, 4096 - (size_t)length, format, args);
    va_end(args);
    return buffer;
}

void gofer_test_write(struct gofer_test *test, const char *name, const char *content)
{
    int fd =
        open(gofer_test_path(test, "%s", name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

void gofer_test_mkdir(struct gofer_test *test, const char *name)
{
    assert_int_equal(mkdir(gofer_test_path(test, "%s", name), 0755), 0);
}

int gofer_test_walk(struct gofer_test *test, const char *path, struct gofer_object *ret_object)
{
    char copy[4096];
    snprintf(copy, sizeof(copy), "%s", path);
    struct gofer_object at = {.fid = test->mount.fid, .attr = test->mount.attr};
    char *rest = copy;
    char *name;
    while ((name = strsep(&rest, "/"))) {
        uint64_t from = at.fid;
        int error = gofer_walk(test->client, from, name, &at);
        if (from != test->mount.fid) {
            gofer_release(test->client, from);
        }
        if (error) {
            return error;
        }
    }
    *ret_object = at;
    return 0;
}

uint64_t gofer_test_fid(struct gofer_test *test, const char *path)
{
    struct gofer_object object;
    int error = gofer_test_walk(test, path, &object);
    if (error) {
        fail_msg("walk %s: %s", path, strerror(-error));
    }
    return object.fid;
}

char *gofer_test_audit(struct gofer_test *test)
{
    struct stat stat;
    assert_int_equal(fstat(test->audit_fd, &stat), 0);
    char *text = calloc(1, (size_t)stat.st_size + 1);
    assert_non_null(text);
    assert_int_equal(pread(test->audit_fd, text, (size_t)stat.st_size, 0), stat.st_size);
    return text;
}

int gofer_test_run(int (*run_group)(void))
{
    int failed = 0;
    if (geteuid() == 0) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            if (setgroups(0, NULL) || setgid(ORDINARY_USER) || setuid(ORDINARY_USER)) {
                _exit(1);
            }
            prctl(PR_SET_DUMPABLE, 1); /* sanitizers look at /proc/self */
            int result = run_group();
            fflush(NULL);
            _exit(result ? 1 : 0);
        }
        int status = 1;
        waitpid(child, &status, 0);
        failed |= status != 0;
    }
    failed |= run_group() != 0;
    return failed;
}
