/*
 * bench.c: what an engine's operations cost. Usage: platform_bench [--platform NAME]
 * Minimum of five rounds, in nanoseconds per operation.
 */
#include "tests/platform/harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

GUEST(guest_null_calls, "1: mov $110, %eax\n syscall\n jmp 1b\n");

#define ROUNDS 5

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct address_space *space;
static struct platform_thread *thread;
static struct arch_regs regs;

static void check(int rc, const char *what)
{
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(-rc));
        exit(1);
    }
}

static void call(void)
{
    struct platform_event event;
    check(engine->thread_run(thread, &regs, &event), "run");
    regs.rax = 1;
}

static void copy_in_8(void)
{
    uint64_t value;
    ignore_result(engine->copy_in(space, DATA_ADDR, &value, sizeof value));
}

static void copy_out_4k(void)
{
    static char buffer[4096];
    ignore_result(engine->copy_out(space, DATA_ADDR, buffer, sizeof buffer));
}

static void map_unmap(void)
{
    check(engine->space_map(space, 0x10000000, PAGE, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
          "map");
    check(engine->space_unmap(space, 0x10000000, PAGE), "unmap");
}

static int file = -1;

static void map_file(void)
{
    check(engine->space_map(space, 0x10000000, PAGE, PROT_READ, MAP_PRIVATE, file, 0), "map file");
}

static void atomic(void)
{
    uint32_t old;
    check(engine->thread_atomic(thread, DATA_ADDR, PLATFORM_ATOMIC_CMPXCHG, 0, 0, &old), "atomic");
}

static void new_free(void)
{
    struct address_space *fresh;
    check(engine->space_new(platform, &fresh), "space_new");
    engine->space_free(fresh);
}

static void fork_free(void)
{
    struct address_space *child;
    check(engine->space_fork(space, &child), "space_fork");
    engine->space_free(child);
}

static void fork_run(void)
{
    struct address_space *child;
    struct platform_thread *fresh;
    struct platform_event event;
    struct arch_regs copy = regs;
    check(engine->space_fork(space, &child), "space_fork");
    check(engine->thread_new(child, &fresh), "thread_new");
    check(engine->thread_run(fresh, &copy, &event), "run");
    engine->thread_free(fresh);
    engine->space_free(child);
}

static void thread_new_free(void)
{
    struct platform_thread *fresh;
    check(engine->thread_new(space, &fresh), "thread_new");
    engine->thread_free(fresh);
}

static void measure(const char *name, void (*operation)(void), int count)
{
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = now_ns();
        for (int i = 0; i < count; i++) {
            operation();
        }
        best = min_of(best, (now_ns() - start) / (uint64_t)count);
    }
    printf("%-24s %8lu ns\n", name, best);
}

struct caller {
    pthread_t thread;
    struct address_space *space;
    uint64_t work; /* guest loop rounds between calls */
    int count;
};

GUEST(guest_work_calls, "1: mov %rdi, %rcx\n 2: dec %rcx\n jnz 2b\n mov $110, %eax\n syscall\n"
                        "jmp 1b\n");

static void *run_caller(void *argument)
{
    struct caller *caller = argument;
    struct platform_thread *mine;
    struct platform_event event;
    struct arch_regs own;
    check(engine->thread_new(caller->space, &mine), "thread_new");
    arch_regs_init(&own, CODE_ADDR, 0);
    own.rdi = caller->work;
    for (int i = 0; i < caller->count; i++) {
        check(engine->thread_run(mine, &own, &event), "run");
    }
    engine->thread_free(mine);
    return NULL;
}

/* Wall time per call of each of `threads` threads that call at once. */
static void measure_parallel(const char *name, int threads, uint64_t work, int count)
{
    struct caller callers[16];
    uint64_t best = UINT64_MAX;
    struct address_space *shared = guest_space(GUEST_ARGS(guest_work_calls));
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = now_ns();
        for (int i = 0; i < threads; i++) {
            callers[i] = (struct caller){.space = shared, .work = work, .count = count};
            pthread_create(&callers[i].thread, NULL, run_caller, &callers[i]);
        }
        for (int i = 0; i < threads; i++) {
            pthread_join(callers[i].thread, NULL);
        }
        best = min_of(best, (now_ns() - start) / (uint64_t)count);
    }
    engine->space_free(shared);
    printf("%-24s %8lu ns\n", name, best);
}

int main(int argc, char **argv)
{
    harness_start(argc == 3 && strcmp(argv[1], "--platform") == 0 ? argv[2] : "auto");
    space = guest_space(GUEST_ARGS(guest_null_calls));
    thread = guest_thread(space, &regs);
    file = memfd_create("bench", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, PAGE) != 0) {
        return 1;
    }
    measure("call", call, 20000);
    measure("copy_in 8 bytes", copy_in_8, 20000);
    measure("copy_out 4 KiB", copy_out_4k, 20000);
    measure("map + unmap", map_unmap, 2000);
    measure("map file", map_file, 2000);
    measure("atomic", atomic, 2000);
    measure("thread new + free", thread_new_free, 500);
    measure("space new + free", new_free, 300);
    measure("fork + free", fork_free, 300);
    measure("fork + run + free", fork_run, 300);
    engine->thread_free(thread);
    engine->space_free(space);
    measure_parallel("call, 1 thread", 1, 1, 20000);
    measure_parallel("call, 2 threads", 2, 1, 20000);
    measure_parallel("call, 4 threads", 4, 1, 10000);
    measure_parallel("100 us work, 1 thread", 1, 200000, 1000);
    measure_parallel("100 us work, 2 threads", 2, 200000, 1000);
    measure_parallel("100 us work, 3 threads", 3, 200000, 1000);
    measure_parallel("100 us work, 4 threads", 4, 200000, 1000);
    measure_parallel("long work, 3 threads", 3, 400000000, 1);
    measure_parallel("long work, 4 threads", 4, 400000000, 1);
    harness_stop();
    return 0;
}
