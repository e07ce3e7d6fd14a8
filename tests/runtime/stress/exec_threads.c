/*
 * exec_threads.c: execve from a thread that is not the leader while the others fork, create
 * threads, map memory, sleep, wait in vfork or call execve themselves. The pid must stay, the
 * program must be alone.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/runtime/stress/stress.h"

#define THREADS 6

static char left_text[16], seed_text[32], pid_text[16];

static void exec_again(void)
{
    execl("/proc/thread-self/exe", "exec_threads", "again", left_text, seed_text, pid_text,
          (char *)NULL);
}

static void *short_thread(void *argument)
{
    return argument;
}

static void *work(void *argument)
{
    struct stress_random random;
    stress_seed(&random, strtoull(seed_text, NULL, 0) + (uintptr_t)argument);
    for (;;) {
        switch (stress_below(&random, 7)) {
        case 0: {
            pid_t pid = fork();
            if (pid == 0) {
                _exit(0);
            }
            waitpid(pid, NULL, 0);
            break;
        }
        case 1: {
            pthread_t thread;
            if (pthread_create(&thread, NULL, short_thread, NULL) == 0) {
                pthread_detach(thread);
            }
            break;
        }
        case 2: {
            void *area =
                mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            munmap(area, 65536);
            break;
        }
        case 3:
            usleep(stress_below(&random, 500));
            break;
        case 4: {
            pid_t pid = vfork();
            if (pid == 0) {
                execl("/proc/thread-self/exe", "exec_threads", "true", (char *)NULL);
                _exit(0);
            }
            waitpid(pid, NULL, 0);
            break;
        }
        case 5: {
            int fds[2];
            if (pipe(fds) == 0) {
                char byte;
                fcntl(fds[0], F_SETFL, O_NONBLOCK);
                (void)!read(fds[0], &byte, 1);
                close(fds[0]);
                close(fds[1]);
            }
            break;
        }
        default:
            if (stress_below(&random, 8) == 0) {
                exec_again();
            }
        }
    }
    return NULL;
}

static unsigned count_threads(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/task");
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        count += entry->d_name[0] != '.';
    }
    if (directory) {
        closedir(directory);
    }
    return count;
}

static int round_again(char **argv)
{
    if (getpid() != atoi(argv[4]) || syscall(SYS_gettid) != getpid()) {
        stress_fail("exec changed the pid: %d, tid %ld", getpid(), syscall(SYS_gettid));
    }
    if (count_threads() != 1) {
        stress_fail("%u threads after exec", count_threads());
    }
    int left = atoi(argv[2]) - 1;
    if (left <= 0) {
        return 0;
    }
    snprintf(left_text, sizeof(left_text), "%d", left);
    snprintf(seed_text, sizeof(seed_text), "%llu",
             strtoull(argv[3], NULL, 0) * 6364136223846793005ULL + 1);
    snprintf(pid_text, sizeof(pid_text), "%d", getpid());
    pthread_t thread;
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_create(&thread, NULL, work, (void *)i);
    }
    if (strtoull(seed_text, NULL, 0) >> 40 & 1) {
        syscall(SYS_exit, 0L);
    }
    pause();
    return 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "true") == 0) {
        return 0;
    }
    if (argc == 5) {
        return round_again(argv);
    }
    double stop_at = stress_now() + (argc > 1 ? atoi(argv[1]) : 3);
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)getpid();
    unsigned rounds = 0;
    while (stress_now() < stop_at) {
        pid_t pid = fork();
        if (pid == 0) {
            snprintf(left_text, sizeof(left_text), "10");
            snprintf(seed_text, sizeof(seed_text), "%llu", (unsigned long long)seed);
            snprintf(pid_text, sizeof(pid_text), "%d", getpid());
            exec_again();
            _exit(99);
        }
        int status;
        if (waitpid(pid, &status, 0) != pid || status != 0) {
            stress_fail("status 0x%x, seed %llu", status, (unsigned long long)seed);
        }
        seed = seed * 2862933555777941757ULL + 3037000493ULL;
        rounds++;
    }
    printf("exec_threads: %u rounds of 10\n", rounds);
    return 0;
}
