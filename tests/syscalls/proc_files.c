/*
 * proc_files.c: /proc as programs read it: formats, magic links, and what must agree with the
 * calls.
 */
#include "guest_test.h"

#include <dirent.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>

static char text[65536];

static const char *field(const char *name)
{
    char key[64];
    snprintf(key, sizeof(key), "\n%s:", name);
    const char *at = strncmp(text, key + 1, strlen(key) - 1) == 0 ? text - 1 : strstr(text, key);
    return at ? at + strlen(key) + 1 : NULL;
}

static long status_number(const char *name)
{
    const char *value = field(name);
    CHECK(value != NULL);
    return strtol(value, NULL, 10);
}

TEST_CASE(self_is_a_link_to_the_pid)
{
    char target[64] = {0}, want[64];
    CHECK_OK(readlink("/proc/self", target, sizeof(target) - 1));
    CHECK_EQ(atoi(target), getpid());
    memset(target, 0, sizeof(target));
    CHECK_OK(readlink("/proc/thread-self", target, sizeof(target) - 1));
    snprintf(want, sizeof(want), "%d/task/%d", getpid(), getpid());
    CHECK(strcmp(target, want) == 0);
}

TEST_CASE(stat_has_52_fields)
{
    guest_read_file("/proc/self/stat", text, sizeof(text));
    char *end = strrchr(text, ')');
    CHECK(end != NULL && end[1] == ' ');
    CHECK_EQ(atoi(text), getpid());
    int count = 2;
    for (char *at = strtok(end + 2, " \n"); at; at = strtok(NULL, " \n")) {
        count++;
        if (count == 3) {
            CHECK(strcmp(at, "R") == 0);
        } else if (count == 4) {
            CHECK_EQ(atoi(at), getppid());
        } else if (count == 5) {
            CHECK_EQ(atoi(at), getpgrp());
        } else if (count == 6) {
            CHECK_EQ(atoi(at), getsid(0));
        } else if (count == 20) {
            CHECK_EQ(atoi(at), 1);
        } else if (count == 23 || count == 24) {
            CHECK(strtoul(at, NULL, 10) > 0);
        }
    }
    CHECK_EQ(count, 52);
}

TEST_CASE(status_agrees_with_the_calls)
{
    umask(027);
    guest_read_file("/proc/self/status", text, sizeof(text));
    CHECK_EQ(status_number("Pid"), getpid());
    CHECK_EQ(status_number("Tgid"), getpid());
    CHECK_EQ(status_number("PPid"), getppid());
    CHECK_EQ(status_number("Uid"), getuid());
    CHECK_EQ(status_number("Gid"), getgid());
    CHECK_EQ(status_number("Threads"), 1);
    CHECK(status_number("VmSize") > 0 && status_number("VmRSS") > 0);
    CHECK_EQ(strtol(field("Umask"), NULL, 8), 027);
    CHECK(strncmp(field("State"), "R (running)\n", 12) == 0);
}

TEST_CASE(signal_sets_show)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
    CHECK_OK(kill(getpid(), SIGUSR1));
    guest_read_file("/proc/self/status", text, sizeof(text));
    CHECK((strtoull(field("SigBlk"), NULL, 16) >> (SIGUSR1 - 1) & 1) == 1);
    CHECK((strtoull(field("SigIgn"), NULL, 16) >> (SIGUSR2 - 1) & 1) == 1);
    CHECK((strtoull(field("ShdPnd"), NULL, 16) >> (SIGUSR1 - 1) & 1) == 1);
}

TEST_CASE(comm_can_be_read_and_set)
{
    CHECK_OK(prctl(PR_SET_NAME, "short"));
    guest_read_file("/proc/self/comm", text, sizeof(text));
    CHECK(strcmp(text, "short\n") == 0);
    guest_write_file("/proc/self/comm", "a name that is too long");
    char name[16];
    CHECK_OK(prctl(PR_GET_NAME, name));
    CHECK(strcmp(name, "a name that is ") == 0);
}

TEST_HELPER(print_arguments)
{
    size_t length = guest_read_file("/proc/self/cmdline", text, sizeof(text));
    CHECK(length > 8 && memcmp(text + length - 7, "one\0tw", 6) == 0);
    length = guest_read_file("/proc/self/environ", text, sizeof(text));
    CHECK_EQ(length, 4);
    CHECK(memcmp(text, "A=b", 4) == 0);
    return 0;
}

TEST_CASE(cmdline_and_environ_after_exec)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        char self[PATH_MAX];
        snprintf(self, sizeof(self), "%s", guest_self());
        char *argv[] = {self, "--helper", "print_arguments", "one", "tw", NULL};
        char *envp[] = {"A=b", NULL};
        execve(self, argv, envp);
        _exit(99);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(links_to_objects)
{
    char target[PATH_MAX], cwd[PATH_MAX];
    memset(target, 0, sizeof(target));
    CHECK_OK(readlink("/proc/self/cwd", target, sizeof(target) - 1));
    CHECK(getcwd(cwd, sizeof(cwd)) != NULL && strcmp(cwd, target) == 0);
    memset(target, 0, sizeof(target));
    CHECK_OK(readlink("/proc/self/exe", target, sizeof(target) - 1));
    struct stat a, b;
    CHECK_OK(stat(target, &a));
    CHECK_OK(stat("/proc/self/exe", &b));
    CHECK(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
    guest_write_file("file", "x");
    CHECK_OK(stat("/proc/self/cwd/file", &a));
    CHECK_OK(lstat("/proc/self/cwd", &b));
    CHECK(S_ISLNK(b.st_mode));
}

TEST_CASE(descriptors)
{
    char path[64], target[PATH_MAX];
    guest_write_file("file", "contents");
    int fd = (int)CHECK_OK(open("file", O_RDONLY));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK_OK(unlink("file"));
    memset(target, 0, sizeof(target));
    CHECK_OK(readlink(path, target, sizeof(target) - 1));
    CHECK(strlen(target) > 15 && strcmp(target + strlen(target) - 15, "/file (deleted)") == 0);
    int again = (int)CHECK_OK(open(path, O_RDONLY));
    CHECK_EQ(read(again, target, 8), 8);
    CHECK(memcmp(target, "contents", 8) == 0);
    struct stat status;
    CHECK_OK(lstat(path, &status));
    CHECK_EQ(status.st_mode & 0777, 0500);
    CHECK_EQ(read(fd, target, 3), 3);
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    guest_read_file(path, text, sizeof(text));
    CHECK_EQ(status_number("pos"), 3);
    CHECK_OK(close(fd));
    CHECK_ERRNO(open(path, O_RDONLY), ENOENT);
}

TEST_CASE(a_pipe_opens_again)
{
    int ends[2];
    char path[64], data[8];
    CHECK_OK(pipe(ends));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
    int again = (int)CHECK_OK(open(path, O_RDONLY));
    CHECK_EQ(write(ends[1], "hello", 5), 5);
    CHECK_EQ(read(again, data, sizeof(data)), 5);
    CHECK_OK(close(ends[1]));
    CHECK_EQ(read(again, data, sizeof(data)), 0);
    memset(text, 0, 64);
    CHECK_OK(readlink(path, text, 63));
    CHECK(strncmp(text, "pipe:[", 6) == 0);
}

TEST_CASE(the_fd_directory_lists_what_is_open)
{
    int fd = (int)CHECK_OK(dup2(0, 77));
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    bool found = false;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        found |= atoi(entry->d_name) == fd;
    }
    CHECK(found);
    closedir(dir);
}

TEST_CASE(maps_shows_mappings)
{
    char *area = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    CHECK_OK(mprotect(area, 4096, PROT_READ | PROT_EXEC));
    guest_read_file("/proc/self/maps", text, sizeof(text));
    char line[64];
    snprintf(line, sizeof(line), "%lx-%lx r-xp 00000000 00:00 0", (unsigned long)area,
             (unsigned long)area + 4096);
    CHECK(strstr(text, line) != NULL);
    CHECK(strstr(text, "[stack]\n") != NULL);
    CHECK(strstr(text, guest_self()) != NULL || strstr(text, "/proc_files\n") != NULL);
}

TEST_CASE(mem_reads_and_writes)
{
    static const char secret[] = "in memory";
    static char target[] = "before";
    char data[16];
    int fd = (int)CHECK_OK(open("/proc/self/mem", O_RDWR));
    CHECK_EQ(pread(fd, data, sizeof(secret), (off_t)(uintptr_t)secret), sizeof(secret));
    CHECK(memcmp(data, secret, sizeof(secret)) == 0);
    CHECK_EQ(pwrite(fd, "after!", 6, (off_t)(uintptr_t)target), 6);
    CHECK(memcmp(*(char *volatile *)&(char *){target}, "after!", 6) == 0);
    CHECK_ERRNO(pread(fd, data, 1, 4096), EIO);
}

static void *wait_for_release(void *argument)
{
    while (!atomic_load_explicit((_Atomic int *)argument, memory_order_acquire)) {
        guest_sleep_ms(1);
    }
    return NULL;
}

TEST_CASE(task_lists_threads)
{
    _Atomic int release = 0;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_release, (void *)&release), 0);
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    CHECK_EQ(count, 2);
    guest_read_file("/proc/self/status", text, sizeof(text));
    CHECK_EQ(status_number("Threads"), 2);
    atomic_store(&release, 1);
    pthread_join(thread, NULL);
}

TEST_CASE(zombies_and_the_gone)
{
    char path[64];
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(0);
    }
    siginfo_t info;
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    guest_read_file(path, text, sizeof(text));
    CHECK(strstr(text, ") Z ") != NULL);
    int fd = (int)CHECK_OK(open(path, O_RDONLY));
    CHECK_EQ(guest_wait(pid), 0);
    CHECK_ERRNO(read(fd, text, sizeof(text)), ESRCH);
    CHECK_ERRNO(open(path, O_RDONLY), ENOENT);
}

TEST_CASE(system_files)
{
    struct utsname name;
    CHECK_OK(uname(&name));
    size_t length = guest_read_file("/proc/sys/kernel/osrelease", text, sizeof(text));
    CHECK(length > 1 && strncmp(text, name.release, length - 1) == 0);
    guest_read_file("/proc/sys/kernel/hostname", text, sizeof(text));
    CHECK(strncmp(text, name.nodename, strlen(name.nodename)) == 0);
    guest_read_file("/proc/meminfo", text, sizeof(text));
    CHECK(strncmp(text, "MemTotal:       ", 16) == 0 && strstr(text, "\nMemAvailable: ") != NULL);
    guest_read_file("/proc/uptime", text, sizeof(text));
    CHECK(strtod(text, NULL) > 0);
    guest_read_file("/proc/stat", text, sizeof(text));
    CHECK(strncmp(text, "cpu  ", 5) == 0 && strstr(text, "\nbtime ") != NULL);
    CHECK_EQ(guest_read_file("/proc/sys/kernel/random/uuid", text, sizeof(text)), 37);
    guest_read_file("/proc/self/mountinfo", text, sizeof(text));
    CHECK(strstr(text, " / /proc ") != NULL && strstr(text, " - proc ") != NULL);
    guest_read_file("/sys/devices/system/cpu/online", text, sizeof(text));
    CHECK_EQ(text[0] >= '0' && text[0] <= '9', 1);
}

TEST_CASE(what_cannot_be_done)
{
    CHECK_ERRNO(open("/proc/self/nothing", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("/proc/0", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("/proc/01", O_RDONLY), ENOENT);
    CHECK_ERRNO(mkdir("/proc/directory", 0755), ENOENT);
    CHECK_ERRNO(unlink("/proc/self/stat"), EPERM);
    CHECK_ERRNO(open("/proc/self/stat/x", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(readlink("/proc/self/stat", text, 10), EINVAL);
    CHECK_ERRNO(open("/proc/self/exe", O_RDONLY | O_NOFOLLOW), ELOOP);
}
