/*
 * known_answers.c: calls whose results a kernel knows before they are made, called so often that a
 * sandbox may have taken a short way for them: what changes the results changes them at once.
 */
#include "tests/syscalls/guest_test.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#define OFTEN 400 /* more often than it takes for a call site to count as a hot one */

struct identity {
    long pid, tid, uid, euid, gid, egid;
};

static struct identity ask(void)
{
    return (struct identity){
        .pid = syscall(SYS_getpid),
        .tid = syscall(SYS_gettid),
        .uid = getuid(),
        .euid = geteuid(),
        .gid = getgid(),
        .egid = getegid(),
    };
}

/* All of them equal `expected`, time and again. */
static bool stays(struct identity expected)
{
    for (int i = 0; i < OFTEN; i++) {
        struct identity now = ask();
        if (memcmp(&now, &expected, sizeof(now)) != 0) {
            return false;
        }
    }
    return true;
}

TEST_CASE(fork_and_vfork)
{
    struct identity parent = ask();
    CHECK(stays(parent));
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct identity expected = parent;
        expected.pid = expected.tid = ask().pid;
        CHECK(expected.pid != parent.pid);
        CHECK(stays(expected));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK(stays(parent));
    pid = vfork();
    if (pid == 0) {
        _exit(syscall(SYS_getpid) == parent.pid || syscall(SYS_gettid) != syscall(SYS_getpid));
    }
    CHECK_CHILD_OK(pid);
    CHECK(stays(parent));
}

static void *check_thread(void *argument)
{
    struct identity expected = *(struct identity *)argument;
    expected.tid = ask().tid;
    return expected.tid != expected.pid && stays(expected) ? argument : NULL;
}

TEST_CASE(threads)
{
    struct identity own = ask();
    CHECK(stays(own));
    for (int round = 0; round < 10; round++) {
        pthread_t threads[3];
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(pthread_create(&threads[i], NULL, check_thread, &own), 0);
        }
        CHECK(stays(own));
        for (int i = 0; i < 3; i++) {
            void *result = NULL;
            CHECK_EQ(pthread_join(threads[i], &result), 0);
            CHECK(result == &own);
        }
    }
}

TEST_CASE(changing_ids)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot switch users");
    }
    struct identity expected = ask();
    CHECK(stays(expected));
    /* The bare calls change this thread only. */
    CHECK_OK(syscall(SYS_setresgid, 70, 71, -1));
    expected.gid = 70;
    expected.egid = 71;
    CHECK(stays(expected));
    CHECK_OK(syscall(SYS_setresuid, 80, 81, 0));
    expected.uid = 80;
    expected.euid = 81;
    CHECK(stays(expected));
    CHECK_OK(syscall(SYS_setresuid, -1, 0, -1));
    expected.euid = 0;
    CHECK(stays(expected));
    CHECK_OK(syscall(SYS_setuid, 12345));
    expected.uid = expected.euid = 12345;
    CHECK(stays(expected));
}

TEST_HELPER(answers_child)
{
    struct identity own = ask();
    (void)argc;
    return own.pid == own.tid && own.pid == atoi(argv[1]) && stays(own) ? 0 : 1;
}

static void *exec_here(void *unused)
{
    char pid[24];
    char *const arguments[] = {"x", "--helper", "answers_child", pid, NULL};
    snprintf(pid, sizeof(pid), "%d", getpid());
    if (stays(ask())) {
        execv(guest_self(), arguments);
    }
    _exit(unused == NULL ? 3 : 4);
}

/* exec by another thread: it takes the leader's id. */
TEST_CASE(exec_of_a_thread)
{
    struct identity own = ask();
    pid_t pid = guest_fork();
    if (pid == 0) {
        pthread_t thread;
        CHECK(stays((struct identity){getpid(), getpid(), own.uid, own.euid, own.gid, own.egid}));
        CHECK_EQ(pthread_create(&thread, NULL, exec_here, NULL), 0);
        pthread_join(thread, NULL);
        _exit(2);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(yield_lets_others_run)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    CHECK_OK(sched_setaffinity(0, sizeof(one), &one));
    for (int i = 0; i < OFTEN; i++) {
        CHECK_EQ(sched_yield(), 0);
    }
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (int i = 0; i < OFTEN; i++) {
            CHECK_EQ(sched_yield(), 0);
        }
        _exit(0);
    }
    for (int status; waitpid(pid, &status, WNOHANG) == 0;) {
        sched_yield();
    }
}
