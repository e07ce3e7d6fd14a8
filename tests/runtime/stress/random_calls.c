/*
 * random_calls.c: random system calls with hostile arguments, from processes of several threads
 * that share memory and descriptors. Nothing is expected of their results: the sandbox has to
 * survive them. Never run this outside of a sandbox.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "tests/runtime/stress/stress.h"

#define THREADS   3
#define CHILDREN  3
#define AREA_SIZE (64 * 1024)
#define LAST_CALL 462

static unsigned char *area;
static long only_call = -1;

static const char *const names[] = {"a",
                                    "b",
                                    "d/x",
                                    "/proc/self/fd/3",
                                    "",
                                    "..",
                                    "/dev/null",
                                    "/proc/self/maps",
                                    "d",
                                    "/dev/ptmx",
                                    "/proc/self/mem",
                                    "/tmp/f/a",
                                    "/",
                                    "/proc/1/stat",
                                    "link",
                                    "/dev/tty",
                                    "/usr/bin",
                                    "/proc/self/task",
                                    "d/../a",
                                    "/etc/passwd"};

static bool is_forbidden(long number)
{
    switch (number) {
    case SYS_fork: /* only as SYS_clone below, so that the number of processes stays small */
    case SYS_vfork:
    case SYS_clone:
    case SYS_clone3:
    case SYS_rt_sigreturn:
    case SYS_reboot:
    case SYS_exit_group:
    case SYS_munmap: /* would mostly end the process at once */
    case SYS_brk:
    case SYS_pause:
    case SYS_exit:
    case SYS_seccomp:
    case SYS_prlimit64:
    case SYS_process_vm_writev:
        return true;
    default:
        return false;
    }
}

static uint64_t number_like(struct stress_random *random)
{
    static const uint64_t odd[] = {0,
                                   1,
                                   2,
                                   3,
                                   7,
                                   8,
                                   16,
                                   0xff,
                                   0x1000,
                                   0xfff,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffffff,
                                   0x7fffffffffffffff,
                                   0x8000000000000000,
                                   (uint64_t)-1,
                                   (uint64_t)-100,
                                   (uint64_t)-4095,
                                   1ULL << 47};
    uint64_t value = odd[stress_below(random, sizeof(odd) / sizeof(odd[0]))];
    switch (stress_below(random, 4)) {
    case 0:
        return value;
    case 1:
        return 1ULL << stress_below(random, 64);
    case 2:
        return stress_below(random, 64);
    default:
        return value + stress_below(random, 5) - 2;
    }
}

/* Something a structure or a string could be. */
static void fill(struct stress_random *random, unsigned char *at)
{
    uint64_t words[16];
    switch (stress_below(random, 5)) {
    case 0:
        strcpy((char *)at, names[stress_below(random, sizeof(names) / sizeof(names[0]))]);
        return;
    case 1:
        memset(at, 0, sizeof(words));
        return;
    case 2:
        for (int i = 0; i < 16; i++) { /* iovec-like: pointer, length */
            words[i] = i % 2 ? stress_below(random, 9000)
                             : (uint64_t)(uintptr_t)area + stress_below(random, AREA_SIZE - 9000);
        }
        break;
    case 3:
        for (int i = 0; i < 16; i++) {
            words[i] = stress_below(random, 3);
        }
        break;
    default:
        for (int i = 0; i < 16; i++) {
            words[i] = number_like(random);
        }
    }
    memcpy(at, words, sizeof(words));
}

static uint64_t argument(struct stress_random *random)
{
    switch (stress_below(random, 8)) {
    case 0:
    case 1:
        return stress_below(random, 24); /* a descriptor */
    case 2:
    case 3:
    case 4: {
        unsigned char *at = area + stress_below(random, AREA_SIZE - 256);
        if (stress_below(random, 4)) {
            at = (unsigned char *)((uintptr_t)at & ~7UL);
        }
        fill(random, at);
        return (uint64_t)(uintptr_t)at;
    }
    case 5:
        return stress_below(random, 4096);
    case 6: {
        uint64_t end = (uint64_t)(uintptr_t)area + AREA_SIZE; /* the edge of what is mapped */
        return end - stress_below(random, 64);
    }
    default:
        return number_like(random);
    }
}

/* Calls that could reach the process that waits for us get a harmless target. */
static void tame(struct stress_random *random, long number, uint64_t *args)
{
    switch (number) {
    case SYS_kill:
    case SYS_tkill:
    case SYS_tgkill:
    case SYS_rt_sigqueueinfo:
    case SYS_rt_tgsigqueueinfo:
    case SYS_sched_setaffinity:
    case SYS_process_vm_readv:
    case SYS_ptrace:
        args[0] = args[1] = (uint64_t)getpid();
        if (number == SYS_kill || number == SYS_tkill) {
            args[1] = stress_below(random, 300) == 0 ? SIGKILL : 10 + stress_below(random, 56);
        }
        if (number == SYS_process_vm_readv || number == SYS_ptrace) {
            args[1] = argument(random);
        }
        break;
    case SYS_mmap:
    case SYS_mremap:
    case SYS_mprotect:
    case SYS_madvise:
    case SYS_remap_file_pages:
    case SYS_shmat:
        /* behind the area: what holds the arguments and the program's own text stay */
        args[number == SYS_shmat] =
            (uint64_t)(uintptr_t)area + AREA_SIZE + (uint64_t)(stress_below(random, 64) << 12);
        break;
    case SYS_close_range:
        args[0] |= 8;
        break;
    default:
        break;
    }
}

static void one_call(struct stress_random *random)
{
    long number = only_call >= 0 ? only_call : (long)stress_below(random, LAST_CALL);
    if (is_forbidden(number)) {
        if (stress_below(random, 30) == 0) {
            pid_t pid = (pid_t)syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
            if (pid == 0) {
                usleep(stress_below(random, 3000));
                _exit((int)stress_below(random, 4));
            }
        }
        return;
    }
    uint64_t args[6];
    for (int i = 0; i < 6; i++) {
        args[i] = argument(random);
    }
    tame(random, number, args);
    syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

static void *work(void *seed)
{
    struct stress_random random;
    stress_seed(&random, (uint64_t)(uintptr_t)seed);
    for (int i = 0; i < 3000; i++) {
        one_call(&random);
    }
    return NULL;
}

/* Descriptors 3… of every kind. */
static void open_things(void)
{
    int pair[2];
    mkdir("d", 0755);
    (void)!open("a", O_RDWR | O_CREAT, 0644);
    (void)!open("d", O_RDONLY | O_DIRECTORY);
    (void)!pipe(pair);
    (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    (void)!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    (void)!socket(AF_INET, SOCK_STREAM, 0);
    (void)!socket(AF_INET, SOCK_DGRAM, 0);
    (void)!eventfd(1, 0);
    (void)!epoll_create1(0);
    (void)!timerfd_create(CLOCK_MONOTONIC, 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    (void)!signalfd(-1, &set, 0);
    (void)!inotify_init1(0);
    (void)!open("/dev/ptmx", O_RDWR);
    (void)!(int)syscall(SYS_memfd_create, "m", 2U);
    (void)!open("/proc/self/stat", O_RDONLY);
    (void)!open("/etc/passwd", O_RDONLY);
}

static void child(uint64_t seed)
{
    setpgid(0, 0);
    for (int fd = 3; fd < 8; fd++) {
        close(fd);
    }
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    struct stress_random random;
    stress_seed(&random, seed);
    area = mmap(NULL, AREA_SIZE, PROT_READ | PROT_WRITE,
                MAP_ANONYMOUS | (stress_below(&random, 2) ? MAP_SHARED : MAP_PRIVATE), -1, 0);
    if (area == MAP_FAILED) {
        stress_fail("mmap");
    }
    open_things();
    pthread_t thread;
    for (uint64_t i = 0; i < THREADS; i++) {
        pthread_create(&thread, NULL, work, (void *)(uintptr_t)(seed * 8 + i));
    }
    work((void *)(uintptr_t)(seed * 8 + THREADS));
    _exit(0);
}

int main(int argc, char **argv)
{
    double stop_at = stress_now() + (argc > 1 ? atoi(argv[1]) : 3);
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)getpid();
    only_call = argc > 3 ? atoi(argv[3]) : -1;
    if (mkdir("/tmp/f", 0777) != 0 || chdir("/tmp/f") != 0) {
        stress_fail("/tmp/f");
    }
    struct {
        pid_t pid;
        double since;
    } children[CHILDREN] = {0};
    unsigned ended = 0;
    signal(SIGHUP, SIG_IGN);
    while (stress_now() < stop_at) {
        for (int i = 0; i < CHILDREN; i++) {
            if (children[i].pid == 0) {
                pid_t pid = fork();
                if (pid == 0) {
                    int null = open("/dev/null", O_RDWR);
                    dup2(null, 0);
                    dup2(null, 1);
                    dup2(null, 2);
                    child(seed);
                }
                if (pid < 0) {
                    stress_fail("fork");
                }
                children[i].pid = pid;
                children[i].since = stress_now();
                seed++;
            } else if (stress_now() - children[i].since > 1.5) {
                kill(-children[i].pid, SIGKILL);
                kill(children[i].pid, SIGKILL);
            }
        }
        usleep(10000);
        pid_t pid;
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
            for (int i = 0; i < CHILDREN; i++) {
                if (children[i].pid == pid) {
                    children[i].pid = 0;
                    ended++;
                }
            }
        }
    }
    printf("random_calls: %u processes, next seed %llu\n", ended, (unsigned long long)seed);
    return 0;
}
