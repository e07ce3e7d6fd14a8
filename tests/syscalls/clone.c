/*
 * clone.c: clone flags: what is shared, parent and child tid words, bad combinations.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define STACK_SIZE 65536

static volatile int shared_value;
static char stack[STACK_SIZE] __attribute__((aligned(64)));

static int set_value(void *argument)
{
    shared_value = *(int *)argument;
    return 3;
}

TEST_CASE(vm_shares_memory)
{
    int five = 5;
    shared_value = 0;
    pid_t pid = (pid_t)CHECK_OK(clone(set_value, stack + STACK_SIZE, CLONE_VM | SIGCHLD, &five));
    CHECK_CHILD_EXIT(pid, 3);
    CHECK_EQ(shared_value, 5);
}

TEST_CASE(without_vm_memory_is_copied)
{
    int five = 5;
    shared_value = 0;
    pid_t pid = (pid_t)CHECK_OK(clone(set_value, stack + STACK_SIZE, SIGCHLD, &five));
    CHECK_CHILD_EXIT(pid, 3);
    CHECK_EQ(shared_value, 0);
}

static int close_fd(void *argument)
{
    return close(*(int *)argument);
}

TEST_CASE(files_shares_the_fd_table)
{
    int fd = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    pid_t pid = (pid_t)CHECK_OK(clone(close_fd, stack + STACK_SIZE, CLONE_FILES | SIGCHLD, &fd));
    CHECK_CHILD_OK(pid);
    CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF);
}

static int change_directory(void *argument)
{
    umask(077);
    return chdir(argument);
}

TEST_CASE(fs_shares_cwd_and_umask)
{
    char before[PATH_MAX];
    char after[PATH_MAX];
    CHECK_OK(mkdir("sub", 0755));
    CHECK(getcwd(before, sizeof(before)));
    pid_t pid =
        (pid_t)CHECK_OK(clone(change_directory, stack + STACK_SIZE, SIGCHLD, (void *)"sub"));
    CHECK_CHILD_OK(pid);
    CHECK(getcwd(after, sizeof(after)));
    CHECK(strcmp(before, after) == 0);
    pid = (pid_t)CHECK_OK(
        clone(change_directory, stack + STACK_SIZE, CLONE_FS | SIGCHLD, (void *)"sub"));
    CHECK_CHILD_OK(pid);
    CHECK(getcwd(after, sizeof(after)));
    CHECK(strcmp(after + strlen(after) - 4, "/sub") == 0);
    CHECK_EQ(umask(022), 077);
}

static int return_zero(void *argument)
{
    (void)argument;
    return 0;
}

TEST_CASE(tid_words)
{
    static volatile pid_t parent_word;
    static volatile pid_t child_word;
    child_word = 77;
    pid_t pid =
        (pid_t)CHECK_OK(clone(return_zero, stack + STACK_SIZE,
                              CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, NULL,
                              &parent_word, NULL, &child_word));
    CHECK_EQ(parent_word, pid);
    CHECK_CHILD_OK(pid);
    CHECK_EQ(child_word, 0);
    pid = (pid_t)CHECK_OK(clone(return_zero, stack + STACK_SIZE,
                                CLONE_VM | CLONE_CHILD_SETTID | SIGCHLD, NULL, NULL, NULL,
                                &child_word));
    CHECK_CHILD_OK(pid);
    CHECK_EQ(child_word, pid);
}

TEST_CASE(no_exit_signal_needs_wclone)
{
    int status = 0;
    pid_t pid = (pid_t)CHECK_OK(clone(return_zero, stack + STACK_SIZE, 0, NULL));
    CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    pid = (pid_t)CHECK_OK(clone(return_zero, stack + STACK_SIZE, 0, NULL));
    CHECK_EQ(waitpid(pid, &status, __WCLONE), pid);
    CHECK_EQ(status, 0);
}

static volatile sig_atomic_t got_signal;

static void note_signal(int sig)
{
    got_signal = sig;
}

TEST_CASE(other_exit_signal)
{
    int status = 0;
    guest_handle(SIGUSR2, note_signal, SA_RESTART);
    got_signal = 0;
    pid_t pid = (pid_t)CHECK_OK(clone(return_zero, stack + STACK_SIZE, SIGUSR2, NULL));
    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    CHECK_EQ(got_signal, SIGUSR2);
}

static int clone_a_sibling(void *argument)
{
    static char inner[STACK_SIZE] __attribute__((aligned(64)));
    *(volatile pid_t *)argument =
        clone(return_zero, inner + STACK_SIZE, CLONE_PARENT | SIGCHLD, NULL);
    return 0;
}

TEST_CASE(parent_flag_makes_a_sibling)
{
    static volatile pid_t sibling;
    pid_t pid = (pid_t)CHECK_OK(
        clone(clone_a_sibling, stack + STACK_SIZE, CLONE_VM | SIGCHLD, (void *)&sibling));
    CHECK_CHILD_OK(pid);
    CHECK(sibling > 0);
    CHECK_CHILD_OK(sibling);
}

TEST_CASE(vfork_flag_suspends)
{
    int five = 6;
    shared_value = 0;
    pid_t pid = (pid_t)CHECK_OK(
        clone(set_value, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD, &five));
    CHECK_EQ(shared_value, 6);
    CHECK_CHILD_EXIT(pid, 3);
}

TEST_CASE(bad_flag_combinations)
{
    CHECK_ERRNO(syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_NEWNS | CLONE_FS | SIGCHLD, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_NEWUSER | CLONE_FS | SIGCHLD, 0, 0, 0, 0), EINVAL);
}
