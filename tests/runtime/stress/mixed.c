/*
 * mixed.c: threads of one process that map, fork, exec, signal each other, lock and write to pipes,
 * all at once. Every fork's child must be waited for with the status it gave.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/runtime/stress/stress.h"

#define THREADS 8

static double stop_at;
static uint64_t base_seed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static atomic_int tids[THREADS];
static atomic_long signals_seen, operations;
static const char *self_path;

static void count_signal(int signo)
{
    (void)signo;
    atomic_fetch_add(&signals_seen, 1);
}

static void do_memory(struct stress_random *random)
{
    size_t size = (1 + stress_below(random, 64)) * 4096UL;
    char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) {
        stress_fail("mmap %zu", size);
    }
    memset(area, 0x5a, size);
    if (stress_below(random, 2)) {
        if (mprotect(area, 4096, PROT_READ) != 0) {
            stress_fail("mprotect");
        }
    } else {
        area = mremap(area, size, size * 2, MREMAP_MAYMOVE);
        if (area == MAP_FAILED) {
            stress_fail("mremap");
        }
        size *= 2;
    }
    if (area[0] != 0x5a || munmap(area, size) != 0) {
        stress_fail("munmap");
    }
}

static void wait_for(pid_t pid, int wanted)
{
    int status;
    pid_t got;
    do {
        got = waitpid(pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    if (got != pid || !WIFEXITED(status) || WEXITSTATUS(status) != wanted) {
        stress_fail("wait: pid %d got %d status 0x%x wanted %d", pid, got, status, wanted);
    }
}

static void do_fork(struct stress_random *random, bool exec)
{
    int code = (int)stress_below(random, 200);
    char text[16];
    snprintf(text, sizeof(text), "%d", code);
    pid_t pid = exec && stress_below(random, 2) ? vfork() : fork();
    if (pid == 0) {
        if (exec) {
            execl(self_path, self_path, "exit", text, (char *)NULL);
            _exit(250);
        }
        _exit(code);
    }
    if (pid < 0) {
        stress_fail("fork");
    }
    wait_for(pid, code);
}

static void do_signal(struct stress_random *random)
{
    int tid = atomic_load(&tids[stress_below(random, THREADS)]);
    if (tid != 0) {
        int signo = stress_below(random, 2) ? SIGUSR1 : SIGRTMIN + (int)stress_below(random, 4);
        syscall(SYS_tgkill, getpid(), tid, signo);
    }
}

static void do_futex(struct stress_random *random)
{
    pthread_mutex_lock(&lock);
    if (stress_below(random, 2)) {
        pthread_cond_broadcast(&condition);
    } else {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 2000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        pthread_cond_timedwait(&condition, &lock, &until);
    }
    pthread_mutex_unlock(&lock);
}

static void do_pipe(struct stress_random *random)
{
    int fds[2];
    char buffer[512];
    int made = stress_below(random, 2) ? pipe2(fds, O_CLOEXEC)
                                       : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
    if (made != 0) {
        stress_fail("pipe");
    }
    memset(buffer, 7, sizeof(buffer));
    ssize_t done;
    do {
        done = write(fds[1], buffer, sizeof(buffer));
    } while (done < 0 && errno == EINTR);
    struct pollfd poll_fd = {.fd = fds[0], .events = POLLIN};
    while (poll(&poll_fd, 1, 1000) < 0 && errno == EINTR) {
    }
    do {
        done = read(fds[0], buffer, sizeof(buffer));
    } while (done < 0 && errno == EINTR);
    if (done != sizeof(buffer)) {
        stress_fail("pipe read %zd", done);
    }
    close(fds[0]);
    close(fds[1]);
}

static void do_epoll(struct stress_random *random)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event wanted = {.events = EPOLLIN};
    if (epoll < 0 || event < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted) != 0) {
        stress_fail("epoll");
    }
    if (stress_below(random, 2)) {
        uint64_t one = 1;
        if (write(event, &one, sizeof(one)) != sizeof(one)) {
            stress_fail("eventfd write");
        }
    }
    struct epoll_event got;
    (void)!epoll_wait(epoll, &got, 1, 1);
    bool first = stress_below(random, 2);
    close(first ? event : epoll);
    close(first ? epoll : event);
}

static void *end_at_once(void *argument)
{
    return argument;
}

static void do_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, end_at_once, NULL) != 0) {
        stress_fail("pthread_create");
    }
    pthread_join(thread, NULL);
}

static void *work(void *argument)
{
    size_t index = (size_t)argument;
    struct stress_random random;
    stress_seed(&random, base_seed * 1000 + index);
    atomic_store(&tids[index], (int)syscall(SYS_gettid));
    while (stress_now() < stop_at) {
        switch (stress_below(&random, 12)) {
        case 0:
            do_fork(&random, false);
            break;
        case 1:
            do_fork(&random, true);
            break;
        case 2:
        case 3:
            do_memory(&random);
            break;
        case 4:
        case 5:
            do_futex(&random);
            break;
        case 6:
        case 7:
            do_pipe(&random);
            break;
        case 8:
            do_epoll(&random);
            break;
        case 9:
            do_thread();
            break;
        default:
            do_signal(&random);
            break;
        }
        atomic_fetch_add(&operations, 1);
    }
    atomic_store(&tids[index], 0);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "exit") == 0) {
        return atoi(argv[2]);
    }
    self_path = "/proc/self/exe";
    stop_at = stress_now() + (argc > 1 ? atoi(argv[1]) : 3);
    base_seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)getpid();
    struct sigaction action = {.sa_handler = count_signal};
    sigaction(SIGUSR1, &action, NULL);
    action.sa_flags = SA_RESTART;
    for (int i = 0; i < 4; i++) {
        sigaction(SIGRTMIN + i, &action, NULL);
    }
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0) {
            stress_fail("pthread_create");
        }
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("mixed: %ld operations, %ld signals\n", atomic_load(&operations),
           atomic_load(&signals_seen));
    return 0;
}
