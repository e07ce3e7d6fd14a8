/*
 * execve.c: execve: arguments, what survives, and every error.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>
#include <sys/resource.h>

static char *no_env[] = {NULL};

TEST_HELPER(exit_with)
{
    return argc > 1 ? atoi(argv[1]) : 1;
}

TEST_HELPER(check_arguments)
{
    return argc == 4 && strcmp(argv[1], "") == 0 && strcmp(argv[2], "two words") == 0 &&
                   strcmp(argv[3], "\xc3\xa9") == 0 && getenv("KEY") &&
                   strcmp(getenv("KEY"), "value=x") == 0 && getenv("HOME") == NULL
               ? 0
               : 1;
}

TEST_CASE(arguments_and_environment)
{
    char *args[] = {"x", "--helper", "check_arguments", "", "two words", "\xc3\xa9", NULL};
    char *env[] = {"KEY=value=x", NULL};
    pid_t pid = guest_fork();
    if (pid == 0) {
        execve(guest_self(), args, env);
        _exit(126);
    }
    CHECK_CHILD_OK(pid);
}

TEST_HELPER(check_state)
{
    struct sigaction action;
    sigset_t set;
    int closed = atoi(argv[1]);
    int kept = atoi(argv[2]);
    CHECK_EQ(getpid(), atoi(argv[3]));
    CHECK_ERRNO(fcntl(closed, F_GETFD), EBADF);
    CHECK_EQ(fcntl(kept, F_GETFD), 0);
    CHECK_EQ(lseek(kept, 0, SEEK_CUR), 3);
    sigaction(SIGUSR1, NULL, &action);
    CHECK(action.sa_handler == SIG_DFL);
    sigaction(SIGUSR2, NULL, &action);
    CHECK(action.sa_handler == SIG_IGN);
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &set));
    CHECK_EQ(sigismember(&set, SIGHUP), 1);
    CHECK_EQ(sigismember(&set, SIGTERM), 0);
    CHECK_OK(sigpending(&set));
    CHECK_EQ(sigismember(&set, SIGHUP), 1);
    CHECK_EQ(umask(022), 027);
    struct stat st;
    CHECK_OK(stat("marker", &st));
    stack_t alternate;
    CHECK_OK(sigaltstack(NULL, &alternate));
    CHECK_EQ(alternate.ss_flags, SS_DISABLE);
    return 0;
}

static void handler(int sig)
{
    (void)sig;
}

TEST_CASE(state_that_survives)
{
    static char alternate[16384];
    char numbers[3][16];
    char *args[] = {"x", "--helper", "check_state", numbers[0], numbers[1], numbers[2], NULL};
    guest_write_file("marker", "abcdef");
    pid_t pid = guest_fork();
    if (pid == 0) {
        sigset_t set;
        stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
        int closed = open("marker", O_RDONLY | O_CLOEXEC);
        int kept = open("marker", O_RDONLY);
        lseek(kept, 3, SEEK_SET);
        snprintf(numbers[0], 16, "%d", closed);
        snprintf(numbers[1], 16, "%d", kept);
        snprintf(numbers[2], 16, "%d", getpid());
        guest_handle(SIGUSR1, handler, 0);
        signal(SIGUSR2, SIG_IGN);
        sigemptyset(&set);
        sigaddset(&set, SIGHUP);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(SIGHUP);
        umask(027);
        sigaltstack(&stack, NULL);
        execve(guest_self(), args, no_env);
        _exit(126);
    }
    CHECK_CHILD_OK(pid);
}

static void *exec_from_thread(void *argument)
{
    (void)argument;
    char *args[] = {"x", "--helper", "check_single", NULL};
    execve(guest_self(), args, no_env);
    _exit(126);
}

TEST_HELPER(check_single)
{
    CHECK_EQ(syscall(SYS_gettid), getpid());
    return 12;
}

static void *wait_forever(void *argument)
{
    (void)argument;
    for (;;) {
        pause();
    }
    return NULL;
}

TEST_CASE(exec_from_a_thread_takes_over_the_process)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, wait_forever, NULL);
        pthread_create(&thread, NULL, exec_from_thread, NULL);
        wait_forever(NULL);
    }
    CHECK_CHILD_EXIT(pid, 12);
}

TEST_CASE(path_errors)
{
    char *args[] = {"x", NULL};
    char *longname = malloc(5000);
    memset(longname, 'a', 4999);
    longname[4999] = '\0';
    guest_write_file("plain", "#!/bin/sh\n");
    CHECK_OK(symlink("loop", "loop"));
    CHECK_OK(mkdir("dir", 0755));
    CHECK_ERRNO(execve("missing", args, no_env), ENOENT);
    CHECK_ERRNO(execve("", args, no_env), ENOENT);
    CHECK_ERRNO(execve("plain/x", args, no_env), ENOTDIR);
    CHECK_ERRNO(execve("plain", args, no_env), EACCES);
    CHECK_ERRNO(execve("dir", args, no_env), EACCES);
    CHECK_ERRNO(execve("loop", args, no_env), ELOOP);
    CHECK_ERRNO(execve(longname, args, no_env), ENAMETOOLONG);
    CHECK_ERRNO(execve(guest_bad(), args, no_env), EFAULT);
    CHECK_ERRNO(execve(guest_self(), guest_bad(), no_env), EFAULT);
    char *bad_args[] = {"x", guest_bad(), NULL};
    CHECK_ERRNO(execve(guest_self(), bad_args, no_env), EFAULT);
}

TEST_CASE(format_errors)
{
    char *args[] = {"x", NULL};
    guest_write_file("empty", "");
    guest_write_file("text", "just some text\n");
    guest_write_file("short_elf", "\177ELF");
    CHECK_OK(chmod("empty", 0755));
    CHECK_OK(chmod("text", 0755));
    CHECK_OK(chmod("short_elf", 0755));
    CHECK_ERRNO(execve("empty", args, no_env), ENOEXEC);
    CHECK_ERRNO(execve("text", args, no_env), ENOEXEC);
    CHECK_ERRNO(execve("short_elf", args, no_env), ENOEXEC);
}

TEST_CASE(damaged_elf_header)
{
    char *args[] = {"x", NULL};
    char header[4096];
    int in = (int)CHECK_OK(open(guest_self(), O_RDONLY));
    CHECK_EQ(read(in, header, sizeof(header)), sizeof(header));
    header[18] = (char)183; /* e_machine: aarch64 */
    int out = (int)CHECK_OK(open("other", O_WRONLY | O_CREAT, 0755));
    CHECK_EQ(write(out, header, sizeof(header)), sizeof(header));
    CHECK_OK(close(out));
    CHECK_ERRNO(execve("other", args, no_env), ENOEXEC);
    header[18] = 62;
    header[16] = 1; /* e_type: relocatable object */
    out = (int)CHECK_OK(open("object", O_WRONLY | O_CREAT, 0755));
    CHECK_EQ(write(out, header, sizeof(header)), sizeof(header));
    CHECK_OK(close(out));
    CHECK_ERRNO(execve("object", args, no_env), ENOEXEC);
}

TEST_CASE(too_big)
{
    size_t size = 132 * 1024; /* one string may be 32 pages */
    char *huge = malloc(size);
    char *args[] = {"x", huge, NULL};
    memset(huge, 'a', size - 1);
    huge[size - 1] = '\0';
    CHECK_ERRNO(execve(guest_self(), args, no_env), E2BIG);
    huge[120 * 1024] = '\0';
    size_t count = 80; /* 80 * 120 KB exceed the 6 MB that argument lists can ever have */
    char **many = calloc(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        many[i] = huge;
    }
    CHECK_ERRNO(execve(guest_self(), many, no_env), E2BIG);
}

TEST_HELPER(count_arguments)
{
    return argc == 3002 && strlen(argv[3001]) == 20 ? 0 : 1;
}

TEST_CASE(many_arguments)
{
    static char *args[3005];
    args[0] = "x";
    args[1] = "--helper";
    args[2] = "count_arguments";
    for (int i = 3; i < 3004; i++) {
        args[i] = "abcdefghijklmnopqrst";
    }
    pid_t pid = guest_fork();
    if (pid == 0) {
        execve(guest_self(), args, no_env);
        _exit(126);
    }
    CHECK_CHILD_OK(pid);
}

TEST_HELPER(one_empty_argument)
{
    return argc == 1 && argv[0][0] == '\0' && argv[1] == NULL ? 19 : 1;
}

/* Linux: an empty argument list becomes one empty string. */
TEST_CASE(empty_argument_list)
{
    char *env[] = {"GUEST_HELPER=one_empty_argument", NULL};
    char **lists[2] = {no_env, NULL};
    for (int i = 0; i < 2; i++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            execve(guest_self(), lists[i], env);
            _exit(126);
        }
        CHECK_CHILD_EXIT(pid, 19);
    }
}
