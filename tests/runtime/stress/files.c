/*
 * files.c: threads that share one descriptor table and one directory: open, rename, link, unlink,
 * list, map, lock, poll, pass descriptors and read /proc, while other processes come and go.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/runtime/stress/stress.h"

#define THREADS 6
#define NAMES   8

static double stop_at;
static uint64_t base_seed;

static const char *name_of(struct stress_random *random, char *buffer)
{
    unsigned n = stress_below(random, NAMES);
    sprintf(buffer, stress_below(random, 3) ? "n%u" : "dir/n%u", n);
    return buffer;
}

static void change_names(struct stress_random *random)
{
    char a[32];
    char b[32];
    struct stat st;
    name_of(random, a);
    name_of(random, b);
    switch (stress_below(random, 9)) {
    case 0:
        rename(a, b);
        break;
    case 1:
        (void)!link(a, b);
        break;
    case 2:
        unlink(a);
        break;
    case 3:
        (void)!symlink(a, b);
        break;
    case 4:
        mkdir(a, 0755);
        break;
    case 5:
        rmdir(a);
        break;
    case 6:
        stat(a, &st);
        break;
    case 7:
        syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2UL);
        break;
    default:
        mkfifo(a, 0644);
    }
}

static void use_file(struct stress_random *random)
{
    char name[32];
    char buffer[3000];
    int fd = open(name_of(random, name), O_RDWR | O_CREAT | O_NONBLOCK, 0644);
    if (fd < 0) {
        return;
    }
    memset(buffer, 1, sizeof(buffer));
    (void)!pwrite(fd, buffer, stress_below(random, sizeof(buffer)), stress_below(random, 9000));
    (void)!pread(fd, buffer, sizeof(buffer), 0);
    (void)!ftruncate(fd, stress_below(random, 20000));
    struct flock lock = {.l_type = stress_below(random, 2) ? F_WRLCK : F_UNLCK,
                         .l_start = stress_below(random, 100),
                         .l_len = 10};
    fcntl(fd, F_SETLK, &lock);
    flock(fd, LOCK_EX | LOCK_NB);
    if (stress_below(random, 2)) {
        void *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
                         stress_below(random, 2) ? MAP_SHARED : MAP_PRIVATE, fd, 0);
        if (map != MAP_FAILED) {
            munmap(map, 8192);
        }
    }
    fchmod(fd, 0600 + stress_below(random, 64));
    close(fd);
}

static void list(struct stress_random *random)
{
    static const char *const places[] = {".",   "dir", "/proc", "/proc/self/task", "/proc/self/fd",
                                         "/dev"};
    DIR *directory = opendir(places[stress_below(random, 6)]);
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        struct stat st;
        fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW);
    }
    if (directory) {
        closedir(directory);
    }
}

static void read_proc(struct stress_random *random)
{
    static const char *const names[] = {"stat",     "status", "maps",       "cmdline", "environ",
                                        "fdinfo/3", "smaps",  "limits",     "io",      "mountinfo",
                                        "comm",     "statm",  "syscall",    "wchan",   "auxv",
                                        "cgroup",   "sched",  "task/1/stat"};
    static const char *const globals[] = {"stat",    "meminfo", "mounts",
                                          "uptime",  "loadavg", "net/unix",
                                          "net/tcp", "locks",   "sys/kernel/pid_max",
                                          "cpuinfo"};
    char path[64];
    char buffer[4096];
    DIR *directory = opendir("/proc");
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' && stress_below(random, 2)) {
            snprintf(path, sizeof(path), "/proc/%.10s/%s", entry->d_name,
                     names[stress_below(random, 18)]);
            int fd = open(path, O_RDONLY);
            while (fd >= 0 && read(fd, buffer, sizeof(buffer)) > 0) {
            }
            close(fd);
            snprintf(path, sizeof(path), "/proc/%.10s/%s", entry->d_name,
                     stress_below(random, 2) ? "exe" : "cwd");
            (void)!readlink(path, buffer, sizeof(buffer));
        }
    }
    if (directory) {
        closedir(directory);
    }
    snprintf(path, sizeof(path), "/proc/%s", globals[stress_below(random, 10)]);
    int fd = open(path, O_RDONLY);
    while (fd >= 0 && read(fd, buffer, sizeof(buffer)) > 0) {
    }
    close(fd);
}

static void pass_descriptor(struct stress_random *random)
{
    int pair[2];
    if (socketpair(AF_UNIX, stress_below(random, 2) ? SOCK_STREAM : SOCK_DGRAM, 0, pair) != 0) {
        return;
    }
    char byte = 1;
    char control[CMSG_SPACE(sizeof(int) * 2)] = {0};
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(pair));
    memcpy(CMSG_DATA(header), pair, sizeof(pair)); /* the sockets themselves: a cycle */
    sendmsg(pair[0], &message, MSG_DONTWAIT);
    if (stress_below(random, 2)) {
        message.msg_controllen = sizeof(control);
        if (recvmsg(pair[1], &message, MSG_DONTWAIT) > 0 && (header = CMSG_FIRSTHDR(&message))) {
            int got[2];
            memcpy(got, CMSG_DATA(header), sizeof(got));
            close(got[0]);
            close(got[1]);
        }
    }
    close(pair[0]);
    close(pair[1]);
}

/* Closes and reuses numbers that other threads are using. */
static void steal_descriptor(struct stress_random *random)
{
    int fd = 3 + (int)stress_below(random, 20);
    switch (stress_below(random, 4)) {
    case 0:
        close(fd);
        break;
    case 1:
        dup2(3 + (int)stress_below(random, 20), fd);
        break;
    case 2: {
        struct pollfd polls[20];
        for (int i = 0; i < 20; i++) {
            polls[i] = (struct pollfd){.fd = 3 + i, .events = POLLIN | POLLOUT};
        }
        poll(polls, 20, (int)stress_below(random, 3));
        break;
    }
    default: {
        int epoll = epoll_create1(0);
        for (int i = 3; i < 23; i++) {
            struct epoll_event event = {.events = EPOLLIN | EPOLLOUT |
                                                  (stress_below(random, 2) ? EPOLLET : 0)};
            epoll_ctl(epoll, EPOLL_CTL_ADD, i, &event);
        }
        struct epoll_event events[8];
        (void)!epoll_wait(epoll, events, 8, (int)stress_below(random, 3));
        if (stress_below(random, 2)) {
            close(epoll);
        }
    }
    }
}

static void name_socket(struct stress_random *random)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    sprintf(address.sun_path, "s%u", stress_below(random, 4));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (stress_below(random, 2)) {
        unlink(address.sun_path);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
            listen(fd, 4);
            usleep(stress_below(random, 500));
            close(accept(fd, NULL, NULL));
        }
    } else if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        (void)!write(fd, "hello", 5);
    }
    close(fd);
}

static void watch_names(struct stress_random *random)
{
    char buffer[4096];
    int fd = inotify_init1(IN_NONBLOCK);
    inotify_add_watch(fd, stress_below(random, 2) ? "." : "dir", IN_ALL_EVENTS);
    inotify_add_watch(fd, "n1", IN_ALL_EVENTS);
    usleep(stress_below(random, 300));
    (void)!read(fd, buffer, sizeof(buffer));
    close(fd);
}

static void come_and_go(struct stress_random *random)
{
    pid_t pid = fork();
    if (pid == 0) {
        usleep(stress_below(random, 1000));
        _exit(0);
    }
    if (pid > 0) {
        waitpid(pid, NULL, 0);
    }
}

static void use_terminal(void)
{
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
    char name[64];
    int unlocked = 0;
    if (master < 0) {
        return;
    }
    ioctl(master, 0x40045431 /* TIOCSPTLCK */, &unlocked);
    if (ptsname_r(master, name, sizeof(name)) == 0) {
        int slave = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
        (void)!write(master, "line\n", 5);
        (void)!write(slave, "out\n", 4);
        (void)!read(slave, name, sizeof(name));
        close(slave);
    }
    close(master);
}

static void *work(void *argument)
{
    struct stress_random random;
    stress_seed(&random, base_seed * 1000 + (uintptr_t)argument);
    while (stress_now() < stop_at) {
        switch (stress_below(&random, 14)) {
        case 0:
        case 1:
        case 2:
            change_names(&random);
            break;
        case 3:
        case 4:
            use_file(&random);
            break;
        case 5:
            list(&random);
            break;
        case 6:
            read_proc(&random);
            break;
        case 7:
        case 8:
            pass_descriptor(&random);
            break;
        case 9:
            steal_descriptor(&random);
            break;
        case 10:
            name_socket(&random);
            break;
        case 11:
            watch_names(&random);
            break;
        case 12:
            use_terminal();
            break;
        default:
            come_and_go(&random);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int seconds = argc > 1 ? atoi(argv[1]) : 3;
    base_seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)getpid();
    char directory[] = "/tmp/stress-XXXXXX";
    if (!mkdtemp(directory) || chdir(argc > 3 ? argv[3] : directory) != 0 ||
        mkdir("dir", 0755) != 0) {
        stress_fail("directory");
    }
    signal(SIGPIPE, SIG_IGN);
    stop_at = stress_now() + seconds;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0) {
            stress_fail("pthread_create");
        }
    }
    sleep((unsigned)seconds + 1);
    printf("files: done\n"); /* a thread may be stuck in accept(2) of a stolen descriptor: not
                                joined */
    fflush(stdout);
    _exit(0);
}
