/*
 * orphan.c: reparenting to a subreaper, and orphaned process groups.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/prctl.h>

TEST_CASE(subreaper_adopts)
{
    int value = -1;
    CHECK_OK(prctl(PR_GET_CHILD_SUBREAPER, &value));
    CHECK_EQ(value, 0);
    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    CHECK_OK(prctl(PR_GET_CHILD_SUBREAPER, &value));
    CHECK_EQ(value, 1);
    pid_t self = getpid();
    int pair[2];
    CHECK_OK(pipe(pair));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(prctl(PR_GET_CHILD_SUBREAPER, &value));
        CHECK_EQ(value, 0);
        pid_t grandchild = guest_fork();
        if (grandchild == 0) {
            while (getppid() != self) {
                guest_sleep_ms(1);
            }
            _exit(44);
        }
        CHECK_EQ(write(pair[1], &grandchild, sizeof(grandchild)), sizeof(grandchild));
        _exit(0);
    }
    pid_t grandchild;
    CHECK_EQ(read(pair[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
    CHECK_CHILD_OK(pid);
    CHECK_CHILD_EXIT(grandchild, 44);
}

TEST_CASE(orphan_sees_another_parent)
{
    int pair[2];
    pid_t parents[2];
    CHECK_OK(pipe(pair));
    pid_t pid = guest_fork();
    if (pid == 0) {
        pid_t middle = getpid();
        if (guest_fork() == 0) {
            parents[0] = middle;
            while (getppid() == middle) {
                guest_sleep_ms(1);
            }
            parents[1] = getppid();
            CHECK_EQ(write(pair[1], parents, sizeof(parents)), sizeof(parents));
            _exit(0);
        }
        guest_sleep_ms(10);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_EQ(read(pair[0], parents, sizeof(parents)), sizeof(parents));
    CHECK(parents[0] == pid && parents[1] != pid);
}

static volatile sig_atomic_t got_hup;
static volatile sig_atomic_t got_cont;

static void note(int sig)
{
    if (sig == SIGHUP) {
        got_hup = 1;
    } else {
        got_cont = 1;
    }
}

/* Linux: when a group becomes orphaned and has a stopped member, it gets SIGHUP and SIGCONT. */
TEST_CASE(orphaned_stopped_group_gets_hup_and_cont)
{
    int pair[2];
    char answer = 0;
    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    CHECK_OK(pipe(pair));
    pid_t leader = guest_fork();
    if (leader == 0) {
        CHECK_OK(setsid());
        pid_t member = guest_fork();
        if (member == 0) {
            CHECK_OK(setpgid(0, 0));
            guest_handle(SIGHUP, note, 0);
            guest_handle(SIGCONT, note, 0);
            CHECK_OK(raise(SIGSTOP));
            for (int i = 0; i < 2000 && !(got_hup && got_cont); i++) {
                guest_sleep_ms(1);
            }
            guest_signal_fd(got_hup && got_cont ? pair[1] : -1);
            _exit(0);
        }
        int status;
        CHECK_EQ(waitpid(member, &status, WUNTRACED), member);
        CHECK(WIFSTOPPED(status));
        _exit(0);
    }
    CHECK_CHILD_OK(leader);
    CHECK_EQ(read(pair[0], &answer, 1), 1);
}

TEST_CASE(tty_stop_is_ignored_in_an_orphaned_group)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setsid()); /* a session leader's group is orphaned from the start */
        CHECK_OK(raise(SIGTSTP));
        CHECK_OK(raise(SIGTTIN));
        CHECK_OK(raise(SIGTTOU));
        _exit(8);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 8);
}
