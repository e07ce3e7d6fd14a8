/*
 * proc_self.c: /proc/self: exe, cmdline, environ, comm, cwd, stat, status, limits, auxv.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static char text[65536];

/* The value after "name:" in /proc/self/status. */
static const char *status_field(const char *name)
{
    char key[64];
    guest_read_file("/proc/self/status", text, sizeof(text));
    snprintf(key, sizeof(key), "\n%s:", name);
    char *at = strstr(text, key);
    if (!at) {
        FAIL("no %s in status", name);
    }
    at += strlen(key);
    return at + strspn(at, " \t");
}

TEST_CASE(self_is_this_process)
{
    char target[64] = "";
    char path[64];
    struct stat a;
    struct stat b;
    CHECK_OK(readlink("/proc/self", target, sizeof(target) - 1));
    CHECK_EQ(atoi(target), getpid());
    snprintf(path, sizeof(path), "/proc/%d", getpid());
    CHECK_OK(stat(path, &a));
    CHECK_OK(stat("/proc/self", &b));
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK(S_ISDIR(a.st_mode));
    snprintf(path, sizeof(path), "%d/task/%ld", getpid(), syscall(SYS_gettid));
    CHECK_OK(readlink("/proc/thread-self", target, sizeof(target) - 1));
    CHECK(strncmp(target, path, strlen(path)) == 0);
}

TEST_CASE(exe)
{
    char target[PATH_MAX] = "";
    struct stat a;
    struct stat b;
    CHECK_OK(readlink("/proc/self/exe", target, sizeof(target) - 1));
    CHECK(strcmp(target, guest_self()) == 0);
    CHECK_OK(stat("/proc/self/exe", &a));
    CHECK_OK(stat(guest_self(), &b));
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK_OK(open("/proc/self/exe", O_RDONLY));
}

TEST_CASE(cwd_and_root)
{
    char cwd[PATH_MAX];
    char target[PATH_MAX] = "";
    CHECK(getcwd(cwd, sizeof(cwd)));
    CHECK_OK(readlink("/proc/self/cwd", target, sizeof(target) - 1));
    CHECK(strcmp(cwd, target) == 0);
    memset(target, 0, sizeof(target));
    CHECK_OK(readlink("/proc/self/root", target, sizeof(target) - 1));
    CHECK(strcmp(target, "/") == 0);
    guest_write_file("here", "");
    CHECK_OK(access("/proc/self/cwd/here", F_OK));
}

TEST_HELPER(print_command_line)
{
    size_t n = guest_read_file("/proc/self/cmdline", text, sizeof(text));
    static const char want[] = "x\0--helper\0print_command_line\0two words\0";
    CHECK_EQ(n, sizeof(want) - 1);
    CHECK(memcmp(text, want, n) == 0);
    n = guest_read_file("/proc/self/environ", text, sizeof(text));
    CHECK_EQ(n, 4);
    CHECK(memcmp(text, "A=1", 4) == 0);
    return 7;
}

TEST_CASE(cmdline_and_environ)
{
    char *args[] = {"x", "--helper", "print_command_line", "two words", NULL};
    char *env[] = {"A=1", NULL};
    pid_t pid = guest_fork();
    if (pid == 0) {
        execve(guest_self(), args, env);
        _exit(126);
    }
    CHECK_CHILD_EXIT(pid, 7);
}

TEST_CASE(comm)
{
    CHECK_OK(prctl(PR_SET_NAME, "my-name"));
    guest_read_file("/proc/self/comm", text, sizeof(text));
    CHECK(strcmp(text, "my-name\n") == 0);
    int fd = (int)CHECK_OK(open("/proc/self/comm", O_WRONLY));
    CHECK_EQ(write(fd, "written", 7), 7);
    char name[17] = "";
    CHECK_OK(prctl(PR_GET_NAME, name));
    CHECK(strcmp(name, "written") == 0);
}

TEST_CASE(stat_line)
{
    int pid;
    int ppid;
    int pgrp;
    int session;
    char state;
    char name[64];
    CHECK_OK(prctl(PR_SET_NAME, "odd) name ("));
    guest_read_file("/proc/self/stat", text, sizeof(text));
    char *close = strrchr(text, ')');
    CHECK(close);
    CHECK_EQ(sscanf(close + 2, "%c %d %d %d", &state, &ppid, &pgrp, &session), 4);
    CHECK_EQ(sscanf(text, "%d (%63[^\n]", &pid, name), 2);
    CHECK_EQ(state, 'R');
    CHECK_EQ(pid, getpid());
    CHECK_EQ(ppid, getppid());
    CHECK_EQ(pgrp, getpgrp());
    CHECK_EQ(session, getsid(0));
    CHECK(strncmp(name, "odd) name ()", 12) == 0);
    int fields = 2;
    for (char *p = close + 1; *p; p++) {
        fields += *p == ' ';
    }
    CHECK_EQ(fields, 52);
}

TEST_CASE(status_fields)
{
    CHECK_EQ(atoi(status_field("Pid")), getpid());
    CHECK_EQ(atoi(status_field("Tgid")), getpid());
    CHECK_EQ(atoi(status_field("PPid")), getppid());
    CHECK_EQ(atoi(status_field("Uid")), (int)getuid());
    CHECK_EQ(atoi(status_field("Gid")), (int)getgid());
    CHECK_EQ(atoi(status_field("Threads")), 1);
    CHECK_EQ(status_field("State")[0], 'R');
    CHECK(atol(status_field("VmRSS")) > 0);
    CHECK(atol(status_field("VmSize")) >= atol(status_field("VmRSS")));
}

TEST_CASE(status_signals)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(kill(getpid(), SIGUSR1));
    signal(SIGUSR2, SIG_IGN);
    CHECK_EQ(strtoull(status_field("SigBlk"), NULL, 16), 1ULL << (SIGUSR1 - 1));
    CHECK_EQ(strtoull(status_field("ShdPnd"), NULL, 16), 1ULL << (SIGUSR1 - 1));
    CHECK_EQ(strtoull(status_field("SigIgn"), NULL, 16) & 1ULL << (SIGUSR2 - 1),
             1ULL << (SIGUSR2 - 1));
}

TEST_CASE(limits)
{
    struct rlimit limit = {77, 88};
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    guest_read_file("/proc/self/limits", text, sizeof(text));
    char *line = strstr(text, "Max open files");
    CHECK(line);
    int soft;
    int hard;
    CHECK_EQ(sscanf(line + 14, "%d %d", &soft, &hard), 2);
    CHECK(soft == 77 && hard == 88);
}

TEST_CASE(auxiliary_vector)
{
    unsigned long vector[100];
    int fd = (int)CHECK_OK(open("/proc/self/auxv", O_RDONLY));
    ssize_t n = CHECK_OK(read(fd, vector, sizeof(vector)));
    CHECK(n % 16 == 0 && n >= 160);
    bool page_size = false;
    for (ssize_t i = 0; i < n / 16; i++) {
        page_size |= vector[2 * i] == AT_PAGESZ && vector[2 * i + 1] == 4096;
    }
    CHECK(page_size);
    CHECK_EQ(getauxval(AT_PAGESZ), 4096);
    CHECK_EQ(getauxval(AT_UID), getuid());
    CHECK_EQ(getauxval(AT_EGID), getegid());
    CHECK_EQ(getauxval(AT_SECURE), 0);
    CHECK(getauxval(AT_RANDOM) && getauxval(AT_PHDR) && getauxval(AT_ENTRY));
    CHECK(getauxval(AT_EXECFN));
}

TEST_CASE(states_of_a_child)
{
    char path[64];
    char state = 0;
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    for (int i = 0; i < 2000 && state != 'S'; i++) {
        guest_read_file(path, text, sizeof(text));
        state = strrchr(text, ')')[2];
        guest_sleep_ms(1);
    }
    CHECK_EQ(state, 'S');
    int status;
    CHECK_OK(kill(pid, SIGSTOP));
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    guest_read_file(path, text, sizeof(text));
    CHECK_EQ(strrchr(text, ')')[2], 'T');
    siginfo_t info;
    CHECK_OK(kill(pid, SIGKILL));
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    guest_read_file(path, text, sizeof(text));
    CHECK_EQ(strrchr(text, ')')[2], 'Z');
    CHECK_CHILD_SIGNAL(pid, SIGKILL);
    CHECK_ERRNO(open(path, O_RDONLY), ENOENT);
}

TEST_CASE(small_reads_and_offsets)
{
    char byte[2];
    int fd = (int)CHECK_OK(open("/proc/self/status", O_RDONLY));
    CHECK_EQ(read(fd, byte, 1), 1);
    CHECK_EQ(byte[0], 'N');
    CHECK_EQ(read(fd, byte, 1), 1);
    CHECK_EQ(byte[0], 'a');
    CHECK_EQ(pread(fd, byte, 1, 2), 1);
    CHECK_EQ(byte[0], 'm');
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(read(fd, byte, 1), 1);
    CHECK_EQ(byte[0], 'N');
    int writable = open("/proc/self/status", O_WRONLY); /* root may open it, but not write */
    CHECK(writable < 0 ? errno == EACCES : write(writable, "x", 1) < 0);
}
