/*
 * endings.c: processes with several threads that end in every way at once: exit_group from some
 * thread, the leader alone, fatal signals, stops and continues, while others signal and wait.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "tests/runtime/stress/stress.h"

#define CHILDREN 6
#define THREADS  4

static struct stress_random process_random;

static void nothing(int signo)
{
    (void)signo;
}

static void start_timers(struct stress_random *random)
{
    struct itimerval interval = {.it_interval.tv_usec = 300, .it_value.tv_usec = 300};
    setitimer(ITIMER_REAL, &interval, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) {
        struct itimerspec often = {.it_interval.tv_nsec = 200000, .it_value.tv_nsec = 200000};
        timer_settime(timer, 0, &often, NULL);
        if (stress_below(random, 2)) {
            timer_delete(timer);
        }
    }
}

static void *thread_work(void *argument)
{
    struct stress_random random;
    stress_seed(&random, (uint64_t)(uintptr_t)argument ^ (uint64_t)getpid() * 77);
    if (stress_below(&random, 3) == 0) {
        start_timers(&random);
    }
    if (stress_below(&random, 4) == 0) {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, NULL);
    }
    for (unsigned i = 0; i < 200; i++) {
        switch (stress_below(&random, 40)) {
        case 0:
            syscall(SYS_exit_group, (long)stress_below(&random, 5));
            break;
        case 1:
            kill(getpid(), stress_below(&random, 2) ? SIGKILL : SIGTERM);
            break;
        case 2:
            return NULL;
        case 3:
            if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                usleep(stress_below(&random, 2000));
                _exit(0);
            }
            break;
        case 4: {
            *(volatile int *)16 = 0; /* a fault */
            break;
        }
        default:
            usleep(stress_below(&random, 200));
        }
    }
    return NULL;
}

static void child(uint64_t seed)
{
    struct stress_random random;
    stress_seed(&random, seed);
    signal(SIGRTMIN, nothing);
    signal(SIGALRM, nothing);
    signal(SIGUSR1, nothing);
    if (stress_below(&random, 2)) {
        signal(SIGCHLD, SIG_IGN);
    }
    pthread_t thread;
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_create(&thread, NULL, thread_work, (void *)(seed * 10 + i));
    }
    if (stress_below(&random, 2)) {
        syscall(SYS_exit, 3L); /* the leader leaves first */
    }
    thread_work((void *)(uintptr_t)seed);
    _exit(4);
}

static void torment(struct stress_random *random, const pid_t *children)
{
    static const int signals[] = {SIGUSR1, SIGSTOP, SIGCONT, SIGTSTP, SIGKILL, SIGTERM, SIGUSR1, 0};
    pid_t pid = children[stress_below(random, CHILDREN)];
    if (pid > 0) {
        kill(pid, signals[stress_below(random, 8)]);
        if (stress_below(random, 4) == 0) {
            syscall(SYS_tgkill, pid, pid, SIGRTMIN);
        }
    }
}

int main(int argc, char **argv)
{
    double stop_at = stress_now() + (argc > 1 ? atoi(argv[1]) : 3);
    stress_seed(&process_random, argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)getpid());
    if (stress_below(&process_random, 2)) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    }
    pid_t children[CHILDREN] = {0};
    unsigned long ended = 0;
    while (stress_now() < stop_at) {
        unsigned slot = stress_below(&process_random, CHILDREN);
        if (children[slot] == 0) {
            uint64_t seed = stress_next(&process_random);
            pid_t pid = fork();
            if (pid == 0) {
                child(seed);
            }
            if (pid < 0) {
                stress_fail("fork");
            }
            children[slot] = pid;
        }
        torment(&process_random, children);
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
            for (int i = 0; i < CHILDREN; i++) {
                if (children[i] == pid && (WIFEXITED(status) || WIFSIGNALED(status))) {
                    children[i] = 0;
                    ended++;
                }
            }
        }
        usleep(stress_below(&process_random, 300));
    }
    for (int i = 0; i < CHILDREN; i++) {
        if (children[i] > 0) {
            kill(children[i], SIGKILL);
            int status;
            while (waitpid(children[i], &status, 0) < 0 && errno == EINTR) {
            }
        }
    }
    printf("endings: %lu processes\n", ended);
    return 0;
}
