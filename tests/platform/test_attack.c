/*
 * test_attack.c: guests that attack their stub: jump anywhere into its code, write over all that
 * they share with the sentry, forge the turn, hide from interrupts. Each run must end with an event
 * or with PLATFORM_DEAD by the guest's own fault, soon, and another space must not notice.
 */
#include "tests/platform/harness.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/platform/inside.h"

/* Longer than the time limit of harness_start for a silent guest, on a crowded host. */
#define BOUND_MS 25000

GUEST(attack_calls, "1: mov $39, %eax\n syscall\n jmp 1b\n");
GUEST(attack_jump, "jmp *%r11\n");
/* Sleeps in the stub's futex call for ever, whatever wakes it. */
GUEST(attack_sleep, "1: call *%rbx\n mov %r12, %rdi\n mov %r13, %rsi\n jmp 1b\n");
/* Writes random words at random places of [rdi, rdi + rsi), rsi a power of two. */
GUEST(attack_scribble, "mov $0x2545f491, %rax\n dec %rsi\n and $-4, %rsi\n"
                       "1: mov %rax, %rcx\n shl $13, %rcx\n xor %rcx, %rax\n mov %rax, %rcx\n"
                       "shr $7, %rcx\n xor %rcx, %rax\n mov %rax, %rcx\n shl $17, %rcx\n"
                       "xor %rcx, %rax\n mov %rax, %rcx\n shr $20, %rcx\n and %rsi, %rcx\n"
                       "mov %eax, %edx\n and %r8d, %edx\n mov %edx, (%rdi, %rcx)\n jmp 1b\n");

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t random_state = 88172645463325252ULL;

static uint64_t next_random(void)
{
    uint64_t x = random_state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    random_state = x;
    return x * 0x2545f4914f6cdd1dULL;
}

/* Interrupts the watched thread when its time is up, again and again. */
static struct {
    pthread_mutex_t lock;
    pthread_t helper;
    struct platform_thread *thread;
    uint64_t due_ms;
    bool stop;
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *run_watch(void *argument)
{
    cpu_set_t all;
    memset(&all, 0xff, sizeof all);
    sched_setaffinity(0, sizeof all, &all);
    bool stop = false;
    while (!stop) {
        const struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&watch.lock);
        if (watch.thread != NULL && now_ms() >= watch.due_ms) {
            engine->thread_interrupt(watch.thread);
        }
        stop = watch.stop;
        pthread_mutex_unlock(&watch.lock);
    }
    return argument;
}

static void watch_thread(struct platform_thread *thread, uint64_t after_ms)
{
    pthread_mutex_lock(&watch.lock);
    watch.thread = thread;
    watch.due_ms = now_ms() + after_ms;
    pthread_mutex_unlock(&watch.lock);
}

static struct address_space *other;
static struct platform_thread *other_thread;
static struct arch_regs other_regs;

static int attack_setup(void **state)
{
    (void)state;
    watch.stop = false;
    other = guest_space(GUEST_ARGS(attack_calls));
    other_thread = guest_thread(other, &other_regs);
    return pthread_create(&watch.helper, NULL, run_watch, NULL);
}

static int attack_teardown(void **state)
{
    (void)state;
    watch_thread(NULL, 0);
    pthread_mutex_lock(&watch.lock);
    watch.stop = true;
    pthread_mutex_unlock(&watch.lock);
    pthread_join(watch.helper, NULL);
    engine->thread_free(other_thread);
    engine->space_free(other);
    return 0;
}

static void check_other(void)
{
    guest_run_to_call(other_thread, &other_regs, SYS_getpid);
    guest_write64(other, DATA_ADDR, 1);
    assert_int_equal(guest_read64(other, DATA_ADDR), 1);
}

/* One run of a hostile thread: 0 or PLATFORM_DEAD, within the bound, and a sane event. */
static int run_hostile(struct address_space *space, struct platform_thread *thread,
                       struct arch_regs *regs, uint64_t interrupt_ms, struct platform_event *event)
{
    uint64_t start = now_ms();
    watch_thread(thread, interrupt_ms);
    int rc = engine->thread_run(thread, regs, event);
    watch_thread(NULL, 0);
    assert_true(now_ms() - start < BOUND_MS);
    if (rc == PLATFORM_DEAD) {
        assert_true(engine->space_fault_of_guest(space));
        return rc;
    }
    assert_int_equal(rc, 0);
    assert_true(event->kind == PLATFORM_EVENT_SYSCALL || event->kind == PLATFORM_EVENT_FAULT ||
                event->kind == PLATFORM_EVENT_INTERRUPTED);
    assert_true(regs->fs_base < 1ULL << 47 && regs->gs_base < 1ULL << 47);
    return 0;
}

/* Values that lead further into the stub than random ones do. With pointers to its own memory a
 * guest can make the stub's loops run until it is killed, so they are rare. */
static uint64_t choose_value(bool deep)
{
    switch (next_random() % 5 + (deep ? 0 : 3)) {
    case 0:
        return DATA_ADDR + next_random() % DATA_SIZE;
    case 1:
        return STACK_ADDR + next_random() % STACK_SIZE;
    case 2:
        return STUB_REPLY + next_random() % STUB_PAGE;
    case 3:
        return STUB_TEXT + next_random() % STUB_TEXT_MAX;
    case 4:
        return next_random() % 512;
    default:
        return next_random();
    }
}

/* Every byte of the stub's code is jumped to. */
static void test_jump_anywhere(void **state)
{
    (void)state;
    unsigned int calls = 0;
    unsigned int faults = 0;
    unsigned int interrupts = 0;
    unsigned int deaths = 0;
    struct address_space *space = NULL;
    struct platform_thread *thread = NULL;
    struct arch_regs regs;
    struct platform_event event;
    for (uint64_t offset = 0; offset < STUB_TEXT_MAX; offset++) {
        if (space == NULL) {
            space = guest_space(GUEST_ARGS(attack_jump));
            thread = guest_thread(space, &regs);
            assert_int_equal(
                engine->space_protect(space, CODE_ADDR, 4 * PAGE, PROT_READ | PROT_EXEC), 0);
        }
        uint64_t *const values[] = {&regs.rax, &regs.rcx, &regs.rdx, &regs.rsi, &regs.rdi,
                                    &regs.rbp, &regs.r8,  &regs.r9,  &regs.r10, &regs.rbx,
                                    &regs.r12, &regs.r13, &regs.r14, &regs.r15};
        for (size_t i = 0; i < array_size(values); i++) {
            *values[i] = choose_value(offset % 97 == 0);
        }
        regs.rip = CODE_ADDR;
        regs.r11 = STUB_TEXT + offset;
        regs.rsp = STACK_ADDR + next_random() % STACK_SIZE;
        regs.eflags = 0x202;
        regs.fs_base = regs.gs_base = 0;
        int rc = run_hostile(space, thread, &regs, 5, &event);
        calls += rc == 0 && event.kind == PLATFORM_EVENT_SYSCALL;
        faults += rc == 0 && event.kind == PLATFORM_EVENT_FAULT;
        interrupts += rc == 0 && event.kind == PLATFORM_EVENT_INTERRUPTED;
        if (rc == PLATFORM_DEAD) {
            deaths++;
            engine->thread_free(thread);
            engine->space_free(space);
            space = NULL;
        }
        /* Behind the code there is nothing but faults. */
        offset += offset > 0x1800 ? 63 : 0;
    }
    print_message("  %u calls, %u faults, %u interrupts, %u deaths\n", calls, faults, interrupts,
                  deaths);
    if (space != NULL) {
        engine->thread_free(thread);
        engine->space_free(space);
    }
    check_other();
}

struct scribble {
    struct address_space *space;
    guest_addr start;
    uint64_t length;
    uint32_t mask;
    atomic_bool ready, stop;
    struct platform_thread *thread;
    int rc;
};

static void *run_scribble(void *argument)
{
    struct scribble *self = argument;
    struct platform_event event;
    struct arch_regs regs;
    self->rc = engine->thread_new(self->space, &self->thread);
    atomic_store(&self->ready, true);
    if (self->rc != 0) {
        return NULL;
    }
    arch_regs_init(&regs, CODE_ADDR + 0x100, STACK_ADDR + 64);
    regs.rdi = self->start;
    regs.rsi = self->length;
    regs.r8 = self->mask;
    do {
        self->rc = engine->thread_run(self->thread, &regs, &event);
    } while (self->rc == 0 && event.kind == PLATFORM_EVENT_INTERRUPTED &&
             !atomic_load(&self->stop));
    return NULL;
}

/* One thread overwrites what the other shares with the sentry, while that one makes calls. */
static void scribble_over(guest_addr start, uint64_t length, uint32_t mask, const char *what)
{
    struct address_space *space = guest_space(GUEST_ARGS(attack_calls));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    struct platform_event event;
    struct scribble scribble = {.space = space, .start = start, .length = length, .mask = mask};
    pthread_t helper;
    assert_int_equal(engine->copy_out(space, CODE_ADDR + 0x100, attack_scribble_start,
                                      (size_t)(attack_scribble_end - attack_scribble_start)),
                     attack_scribble_end - attack_scribble_start);
    if (start == 0) {
        scribble.start = STUB_AREAS + thread_slot(thread) * (uint64_t)STUB_AREA_SIZE;
    }
    assert_int_equal(pthread_create(&helper, NULL, run_scribble, &scribble), 0);
    while (!atomic_load(&scribble.ready)) {
        sched_yield();
    }
    unsigned int events = 0;
    uint64_t start_ms = now_ms();
    int rc = 0;
    unsigned char *xstate = malloc(arch_xstate_size());
    while (rc == 0 && now_ms() - start_ms < 150) {
        rc = run_hostile(space, thread, &regs, 10, &event);
        if (rc == 0) {
            /* Whatever it says: go on calling. */
            regs.rip = CODE_ADDR;
            events++;
        }
        if (rc == 0 && events % 16 == 0) {
            ssize_t size = engine->thread_get_xstate(thread, xstate, arch_xstate_size());
            rc = size == PLATFORM_DEAD ? PLATFORM_DEAD : 0;
            int set = rc == 0 ? engine->thread_set_xstate(thread, xstate, arch_xstate_size()) : 0;
            assert_true(set == 0 || set == -EINVAL);
        }
    }
    print_message("  %s, mask %x: %u events%s\n", what, mask, events, rc != 0 ? ", dead" : "");
    atomic_store(&scribble.stop, true);
    uint64_t stop_ms = now_ms();
    if (scribble.rc == 0 && scribble.thread != NULL) {
        engine->thread_interrupt(scribble.thread);
    }
    pthread_join(helper, NULL);
    assert_true(now_ms() - stop_ms < BOUND_MS);
    free(xstate);
    engine->thread_free(scribble.thread);
    engine->thread_free(thread);
    assert_true(now_ms() - stop_ms < BOUND_MS);
    engine->space_free(space);
    check_other();
}

static void test_scribble(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint64_t start, length;
        uint32_t mask;
    } places[] = {
        {"the area", 0, STUB_AREA_SIZE, UINT32_MAX},
        {"all areas", STUB_AREAS, 2 * STUB_AREA_SIZE, UINT32_MAX},
        {"the mailbox", 0, 512, UINT32_MAX},
        {"the mailbox", 0, 512, 3},
        {"the turn", 0, 4, 3},
        {"the turn", 0, 4, 1},
        {"the turn", 0, 4, UINT32_MAX},
        {"the turn and the order", 0, 8, 3},
        {"the turn and the order", 0, 8, UINT32_MAX},
        {"the reply page", STUB_REPLY, STUB_PAGE, UINT32_MAX},
    };
    if (!has_areas()) {
        print_message("skipped: the engine has no areas\n");
        skip();
    }
    for (size_t i = 0; i < array_size(places); i++) {
        scribble_over(places[i].start, places[i].length, places[i].mask, places[i].what);
    }
}

GUEST(attack_stack_call, "mov %rbx, %rsp\n mov $39, %eax\n syscall\n");
GUEST(attack_stack_return, "mov %rbx, %rsp\n mov $15, %eax\n syscall\n");
GUEST(attack_stack_ud2, "mov %rbx, %rsp\n ud2\n");
GUEST(attack_stack_int3, "mov %rbx, %rsp\n int3\n");
GUEST(attack_stack_push, "mov %rbx, %rsp\n push %rax\n ud2\n");
GUEST(attack_stack_spin, "mov %rbx, %rsp\n 1: jmp 1b\n");

/* Calls, faults and interrupts with a stack pointer that no signal frame fits below. */
static void test_stack_pointers(void **state)
{
    (void)state;
    const guest_addr area = STUB_AREAS;
    const guest_addr pointers[] = {0,
                                   1,
                                   UINT64_MAX,
                                   0x8000000000000000,
                                   0xffffffff81000000,
                                   0x500000,
                                   STUB_TEXT,
                                   STUB_REPLY + 64,
                                   area,
                                   area + STUB_AREA_STACK,
                                   area + STUB_AREA_STACK + 8,
                                   area + STUB_AREA_STACK + 0x400,
                                   area + STUB_AREA_STACK + 0x1000,
                                   area + STUB_AREA_STACK + 0x4000,
                                   area + STUB_AREA_SIZE - 8,
                                   area + STUB_AREA_SIZE,
                                   area + STUB_AREA_SIZE + 8};
    static const struct {
        const unsigned char *start, *end;
    } codes[] = {{attack_stack_call_start, attack_stack_call_end},
                 {attack_stack_return_start, attack_stack_return_end},
                 {attack_stack_ud2_start, attack_stack_ud2_end},
                 {attack_stack_int3_start, attack_stack_int3_end},
                 {attack_stack_push_start, attack_stack_push_end},
                 {attack_stack_spin_start, attack_stack_spin_end}};
    unsigned int deaths = 0;
    for (size_t i = 0; i < array_size(pointers); i++) {
        for (size_t code = 0; code < array_size(codes); code++) {
            struct address_space *space =
                guest_space(codes[code].start, (size_t)(codes[code].end - codes[code].start));
            struct arch_regs regs;
            struct platform_thread *thread = guest_thread(space, &regs);
            struct platform_event event;
            guest_addr pointer = pointers[i];
            if (has_areas() && pointer - area <= STUB_AREA_SIZE + 8) {
                pointer += thread_slot(thread) * (guest_addr)STUB_AREA_SIZE;
            }
            for (int round = 0; round < 3; round++) {
                regs.rip = CODE_ADDR;
                regs.rbx = pointer;
                int rc = run_hostile(space, thread, &regs, 3, &event);
                if (rc == 0 && engine->thread_complete != NULL) {
                    rc = engine->thread_complete(thread, &regs);
                    assert_true(rc == 0 || engine->space_fault_of_guest(space));
                }
                if (rc != 0) {
                    deaths++;
                    break;
                }
                if (event.kind == PLATFORM_EVENT_SYSCALL) {
                    assert_true(regs.rax == SYS_getpid || regs.rax == SYS_rt_sigreturn);
                    assert_true(regs.rsp == pointer);
                }
            }
            engine->thread_free(thread);
            engine->space_free(space);
        }
    }
    print_message("  %u deaths\n", deaths);
    check_other();
}

/* A thread that hides in the stub from interrupts, one that ends itself there, and one that waits
 * for a turn that it has: found out, with and without an interrupt. */
static void test_silent_threads(void **state)
{
    (void)state;
    if (!has_areas()) {
        print_message("skipped: the engine has no areas\n");
        skip();
    }
    const struct {
        const char *what;
        guest_addr at;
        bool area, interrupt;
    } cases[] = {
        {"sleeps in the stub", STUB_AT_GUEST_WAIT - 16, false, true},
        {"ends itself", STUB_AT_GUEST_EXIT - 32, false, true},
        {"ends itself", STUB_AT_GUEST_EXIT - 32, false, false},
        {"ends itself, having posted", STUB_AT_GUEST_EXIT - 32, true, false},
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct address_space *space = guest_space(GUEST_ARGS(attack_sleep));
        struct arch_regs regs;
        struct platform_thread *thread = guest_thread(space, &regs);
        struct platform_event event;
        regs.rbx = cases[i].at;
        regs.rdi = regs.r12 =
            cases[i].area ? STUB_AREAS + thread_slot(thread) * (uint64_t)STUB_AREA_SIZE : DATA_ADDR;
        regs.rsi = regs.r13 = 0;
        uint64_t start = now_ms();
        int rc;
        int rounds = 0;
        do {
            rc = run_hostile(space, thread, &regs, cases[i].interrupt ? 20 : 60000, &event);
        } while (rc == 0 && ++rounds < 1000);
        print_message("  %s: %d events, dead after %lu ms\n", cases[i].what, rounds,
                      now_ms() - start);
        assert_int_equal(rc, PLATFORM_DEAD);
        engine->thread_free(thread);
        engine->space_free(space);
        check_other();
    }
}

GUEST(attack_bases, "mov $0xffff800000000000, %rax\n wrfsbase %rax\n mov $39, %eax\n syscall\n"
                    "mov $0xffff800000000000, %rax\n wrgsbase %rax\n mov $40, %eax\n syscall\n"
                    "mov $41, %eax\n syscall\n");

/* Segment bases that the guest may load and the sentry's registers may not hold. */
static void test_bases(void **state)
{
    (void)state;
    struct address_space *space = guest_space(GUEST_ARGS(attack_bases));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    guest_run_to_call(thread, &regs, 39);
    guest_run_to_call(thread, &regs, 40);
    guest_run_to_call(thread, &regs, 41);
    engine->thread_free(thread);
    engine->space_free(space);
    check_other();
}

#define ATTACK(test) cmocka_unit_test_setup_teardown(test, attack_setup, attack_teardown)

const struct CMUnitTest attack_tests[] = {
    ATTACK(test_jump_anywhere),  ATTACK(test_scribble), ATTACK(test_stack_pointers),
    ATTACK(test_silent_threads), ATTACK(test_bases),
};
const size_t attack_test_count = array_size(attack_tests);
