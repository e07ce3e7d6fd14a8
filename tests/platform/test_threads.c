/*
 * test_threads.c: many threads, interrupts and atomics.
 */
#include "tests/platform/harness.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

GUEST(guest_add, "1: lock incq (%rdi)\n dec %rsi\n jnz 1b\n mov $60, %eax\n syscall\n");
GUEST(guest_spin, "1: incq (%rdi)\n jmp 1b\n");
GUEST(guest_call_loop, "1: mov $39, %eax\n syscall\n incq (%rdi)\n jmp 1b\n");

struct adder {
    pthread_t thread;
    struct address_space *space;
    uint64_t count;
    bool calls; /* make calls instead of adding */
    bool failed;
};

/* Asserts only work on the main thread: workers report. */
static void *run_adder(void *argument)
{
    struct adder *adder = argument;
    struct platform_thread *thread;
    struct platform_event event;
    struct arch_regs regs;
    adder->failed = true;
    if (engine->thread_new(adder->space, &thread) != 0) {
        return NULL;
    }
    arch_regs_init(&regs, CODE_ADDR, STACK_ADDR + STACK_SIZE - 64);
    regs.rdi = DATA_ADDR;
    regs.rsi = adder->count;
    uint64_t calls = 0;
    bool done = false;
    while (!done && engine->thread_run(thread, &regs, &event) == 0) {
        if (event.kind == PLATFORM_EVENT_INTERRUPTED) {
            continue;
        }
        if (event.kind != PLATFORM_EVENT_SYSCALL) {
            break;
        }
        calls++;
        done = regs.rax == SYS_exit || (adder->calls && calls == adder->count);
    }
    adder->failed = !done;
    engine->thread_free(thread);
    return NULL;
}

static void run_adders(struct adder *adders, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&adders[i].thread, NULL, run_adder, &adders[i]), 0);
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(adders[i].thread, NULL);
        assert_false(adders[i].failed);
    }
}

static void test_shared_memory(void **state)
{
    (void)state;
    enum { THREADS = 24, COUNT = 20000 };
    struct address_space *spaces[2];
    struct adder adders[THREADS];
    for (int i = 0; i < 2; i++) {
        spaces[i] = guest_space(GUEST_ARGS(guest_add));
    }
    for (int i = 0; i < THREADS; i++) {
        adders[i] = (struct adder){.space = spaces[i % 2], .count = COUNT};
    }
    run_adders(adders, THREADS);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(guest_read64(spaces[i], DATA_ADDR), THREADS / 2 * COUNT);
        engine->space_free(spaces[i]);
    }
}

static void test_many_callers(void **state)
{
    (void)state;
    enum { THREADS = 16, COUNT = 2000 };
    struct address_space *spaces[2];
    struct adder adders[THREADS];
    for (int i = 0; i < 2; i++) {
        spaces[i] = guest_space(GUEST_ARGS(guest_call_loop));
    }
    for (int i = 0; i < THREADS; i++) {
        adders[i] = (struct adder){.space = spaces[i % 2], .count = COUNT, .calls = true};
    }
    run_adders(adders, THREADS);
    for (int i = 0; i < 2; i++) {
        engine->space_free(spaces[i]);
    }
}

/* Threads are created, run and freed while others map, fork and free spaces. */
static void *run_churn(void *argument)
{
    struct adder *adder = argument;
    adder->failed = true;
    for (uint64_t i = 0; i < adder->count; i++) {
        struct address_space *child;
        guest_addr at = 0x30000000 + (uint64_t)(uintptr_t)adder % 64 * 0x100000;
        if (engine->space_map(adder->space, at, PAGE, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != 0 ||
            engine->space_fork(adder->space, &child) != 0) {
            return NULL;
        }
        struct adder one = {.space = child, .count = 100};
        run_adder(&one);
        engine->space_free(child);
        if (one.failed) {
            return NULL;
        }
    }
    adder->failed = false;
    return NULL;
}

static void test_churn(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    struct adder churners[THREADS];
    struct address_space *space = guest_space(GUEST_ARGS(guest_add));
    for (int i = 0; i < THREADS; i++) {
        churners[i] = (struct adder){.space = space, .count = 40};
        assert_int_equal(pthread_create(&churners[i].thread, NULL, run_churn, &churners[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(churners[i].thread, NULL);
        assert_false(churners[i].failed);
    }
    engine->space_free(space);
}

struct interrupter {
    struct platform_thread *thread;
    atomic_int wanted, given;
    atomic_bool stop;
};

static void *run_interrupter(void *argument)
{
    struct interrupter *self = argument;
    unsigned int random = 12345;
    cpu_set_t all;

    /* Not on the one CPU where the thread that created us is pinned. */
    memset(&all, 0xff, sizeof all);
    sched_setaffinity(0, sizeof all, &all);
    while (!atomic_load(&self->stop)) {
        if (atomic_load(&self->wanted) == atomic_load(&self->given)) {
            sched_yield();
            continue;
        }
        random = random * 1103515245 + 12345;
        for (volatile unsigned int i = 0; i < random % 4096; i = i + 1) {
        }
        engine->thread_interrupt(self->thread);
        atomic_fetch_add(&self->given, 1);
    }
    return NULL;
}

/* Each interrupt of a spinning thread ends one run, wherever it meets it. */
static void test_interrupt_races(void **state)
{
    (void)state;
    enum { ROUNDS = 4000 };
    struct address_space *space = guest_space(GUEST_ARGS(guest_spin));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    struct platform_event event;
    struct interrupter interrupter = {.thread = thread};
    pthread_t helper;
    assert_int_equal(pthread_create(&helper, NULL, run_interrupter, &interrupter), 0);
    regs.rdi = DATA_ADDR;
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&interrupter.wanted, 1);
        assert_int_equal(engine->thread_run(thread, &regs, &event), 0);
        assert_int_equal(event.kind, PLATFORM_EVENT_INTERRUPTED);
        assert_in_range(regs.rip, CODE_ADDR, CODE_ADDR + 16);
    }
    atomic_store(&interrupter.stop, true);
    pthread_join(helper, NULL);
    assert_true(guest_read64(space, DATA_ADDR) > 0);
    engine->thread_free(thread);
    engine->space_free(space);
}

/* An interrupt never loses, repeats or changes a call. */
static void test_interrupt_calls(void **state)
{
    (void)state;
    enum { CALLS = 20000 };
    struct address_space *space = guest_space(GUEST_ARGS(guest_call_loop));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    struct platform_event event;
    struct interrupter interrupter = {.thread = thread};
    pthread_t helper;
    assert_int_equal(pthread_create(&helper, NULL, run_interrupter, &interrupter), 0);
    regs.rdi = DATA_ADDR;
    int interrupts = 0;
    for (int calls = 0; calls < CALLS;) {
        atomic_store(&interrupter.wanted, atomic_load(&interrupter.given) + 1);
        assert_int_equal(engine->thread_run(thread, &regs, &event), 0);
        if (event.kind == PLATFORM_EVENT_INTERRUPTED) {
            interrupts++;
            continue;
        }
        assert_int_equal(event.kind, PLATFORM_EVENT_SYSCALL);
        assert_int_equal(regs.rax, SYS_getpid);
        assert_int_equal(regs.rip, CODE_ADDR + 7);
        assert_int_equal(guest_read64(space, DATA_ADDR), calls);
        calls++;
    }
    print_message("  %d interrupts in %d calls\n", interrupts, CALLS);
    assert_true(interrupts > 0);
    atomic_store(&interrupter.stop, true);
    pthread_join(helper, NULL);
    engine->thread_free(thread);
    engine->space_free(space);
}

/* An interrupt before a run is remembered, once. */
static void test_interrupt_sticky(void **state)
{
    (void)state;
    struct address_space *space = guest_space(GUEST_ARGS(guest_call_loop));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    struct platform_event event;
    regs.rdi = DATA_ADDR;
    engine->thread_interrupt(thread);
    engine->thread_interrupt(thread);
    struct arch_regs before = regs;
    assert_int_equal(engine->thread_run(thread, &regs, &event), 0);
    assert_int_equal(event.kind, PLATFORM_EVENT_INTERRUPTED);
    assert_memory_equal(&before, &regs, sizeof regs);
    guest_run_to_call(thread, &regs, SYS_getpid);
    engine->thread_free(thread);
    engine->space_free(space);
}

static void test_atomic(void **state)
{
    (void)state;
    struct address_space *space = guest_space(GUEST_ARGS(guest_call_loop));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    uint32_t old = 0;
    regs.rdi = DATA_ADDR;
    guest_run_to_call(thread, &regs, SYS_getpid);
    struct arch_regs at_call = regs;
    guest_write64(space, DATA_ADDR + 8, 0x1111111122222222);
    assert_int_equal(
        engine->thread_atomic(thread, DATA_ADDR + 8, PLATFORM_ATOMIC_CMPXCHG, 0x22222222, 7, &old),
        0);
    assert_int_equal(old, 0x22222222);
    assert_int_equal(guest_read64(space, DATA_ADDR + 8), 0x1111111100000007);
    assert_int_equal(
        engine->thread_atomic(thread, DATA_ADDR + 8, PLATFORM_ATOMIC_CMPXCHG, 8, 9, &old), 0);
    assert_int_equal(old, 7);
    assert_int_equal(guest_read64(space, DATA_ADDR + 8), 0x1111111100000007);
    assert_int_equal(
        engine->thread_atomic(thread, DATA_ADDR + 12, PLATFORM_ATOMIC_LOAD, 0, 0, &old), 0);
    assert_int_equal(old, 0x11111111);

    /* Unmapped, read-only, misaligned, beyond a file's end, and not guest memory at all. */
    int file = memfd_create("empty", MFD_CLOEXEC);
    assert_int_equal(
        engine->space_map(space, 0x800000, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), 0);
    guest_map(space, 0x900000, PAGE, PROT_READ);
    static const guest_addr bad[] = {0x500000, 0x900000, 0x800000,          DATA_ADDR + 1,
                                     0x21000,  0,        PLATFORM_GUEST_MAX};
    for (size_t i = 0; i < array_size(bad); i++) {
        assert_int_equal(engine->thread_atomic(thread, bad[i], PLATFORM_ATOMIC_CMPXCHG, 0, 1, &old),
                         -EFAULT);
    }
    assert_int_equal(engine->thread_atomic(thread, 0x500000, PLATFORM_ATOMIC_LOAD, 0, 0, &old),
                     -EFAULT);
    close(file);
    /* The call in progress is not disturbed, nor is an interrupt lost. */
    engine->thread_interrupt(thread);
    assert_int_equal(
        engine->thread_atomic(thread, DATA_ADDR + 8, PLATFORM_ATOMIC_CMPXCHG, 7, 8, &old), 0);
    struct platform_event event;
    assert_int_equal(engine->thread_run(thread, &regs, &event), 0);
    assert_int_equal(event.kind, PLATFORM_EVENT_INTERRUPTED);
    assert_memory_equal(&regs, &at_call, sizeof regs);
    guest_run_to_call(thread, &regs, SYS_getpid);
    assert_int_equal(guest_read64(space, DATA_ADDR), 1);
    engine->thread_free(thread);
    engine->space_free(space);
}

static void test_cpu_time(void **state)
{
    (void)state;
    struct address_space *space = guest_space(GUEST_ARGS(guest_add));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    uint64_t user;
    uint64_t system;
    uint64_t user_after;
    uint64_t system_after;
    regs.rdi = DATA_ADDR;
    regs.rsi = 30000000;
    assert_int_equal(engine->thread_cpu_time(thread, &user, &system), 0);
    guest_run_to_call(thread, &regs, SYS_exit);
    assert_int_equal(engine->thread_cpu_time(thread, &user_after, &system_after), 0);
    print_message("  user %lu us, system %lu us\n", (user_after - user) / 1000,
                  (system_after - system) / 1000);
    assert_true(user_after + system_after - user - system > 20000000);
    assert_true(user_after + system_after - user - system < 10000000000);
    engine->thread_free(thread);
    engine->space_free(space);
}

/* The mask of one CPU is obeyed, then all CPUs are allowed again. */
GUEST(guest_cpu_number, "1: rdtscp\n mov %ecx, %edi\n mov $500, %eax\n syscall\n jmp 1b\n");

static void test_affinity(void **state)
{
    (void)state;
    cpu_set_t all;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    struct address_space *space = guest_space(GUEST_ARGS(guest_cpu_number));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        int rc = engine->thread_set_affinity(thread, &one, sizeof one);
        if (!CPU_ISSET(cpu, &all)) {
            assert_int_equal(rc, -EINVAL);
            continue;
        }
        assert_int_equal(rc, 0);
        for (int i = 0; i < 3; i++) {
            guest_run_to_call(thread, &regs, 500);
            /* Linux: TSC_AUX holds the CPU number in its low 12 bits. */
            assert_int_equal(regs.rdi & 0xfff, cpu);
        }
    }
    assert_int_equal(engine->thread_set_affinity(thread, &all, sizeof all), 0);
    engine->thread_free(thread);
    engine->space_free(space);
    cpu_set_t after;
    assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
    assert_true(CPU_EQUAL(&all, &after));
}

/* Threads that stand in every state are freed without a hang. */
static void test_free_any_state(void **state)
{
    (void)state;
    struct address_space *space = guest_space(GUEST_ARGS(guest_call_loop));
    struct arch_regs regs;
    struct platform_event event;
    struct platform_thread *fresh = guest_thread(space, &regs);
    struct platform_thread *at_call = guest_thread(space, &regs);
    regs.rdi = DATA_ADDR;
    guest_run_to_call(at_call, &regs, SYS_getpid);
    struct platform_thread *at_fault = guest_thread(space, &regs);
    regs.rip = 0x500000;
    guest_run(at_fault, &regs, PLATFORM_EVENT_FAULT, &event);
    struct platform_thread *interrupted = guest_thread(space, &regs);
    engine->thread_interrupt(interrupted);
    assert_int_equal(engine->thread_run(interrupted, &regs, &event), 0);
    struct platform_thread *pending = guest_thread(space, &regs);
    engine->thread_interrupt(pending);
    engine->thread_free(fresh);
    engine->thread_free(at_call);
    engine->thread_free(at_fault);
    engine->thread_free(interrupted);
    engine->thread_free(pending);
    /* The space itself goes on. */
    struct platform_thread *last = guest_thread(space, &regs);
    regs.rdi = DATA_ADDR;
    guest_run_to_call(last, &regs, SYS_getpid);
    engine->thread_free(last);
    engine->space_free(space);
}

const struct CMUnitTest thread_tests[] = {
    cmocka_unit_test(test_shared_memory),   cmocka_unit_test(test_many_callers),
    cmocka_unit_test(test_churn),           cmocka_unit_test(test_interrupt_sticky),
    cmocka_unit_test(test_interrupt_races), cmocka_unit_test(test_interrupt_calls),
    cmocka_unit_test(test_atomic),          cmocka_unit_test(test_cpu_time),
    cmocka_unit_test(test_affinity),        cmocka_unit_test(test_free_any_state),
};
const size_t thread_test_count = array_size(thread_tests);
