/*
 * test_death.c: stubs that die or lie, and sentries that die.
 */
#include "tests/platform/harness.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

GUEST(guest_spin_forever, "1: jmp 1b\n");
GUEST(guest_call_forever, "1: mov $39, %eax\n syscall\n jmp 1b\n");

#define PIDS_MAX 64

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Reads parent and state of a process; false when it does not exist. */
static bool read_stat(pid_t pid, pid_t *ret_parent, char *ret_state)
{
    char path[64];
    char line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool got = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    char *end = got ? strrchr(line, ')') : NULL;
    int parent;
    if (end == NULL || sscanf(end + 1, " %c %d", ret_state, &parent) != 2) {
        return false;
    }
    *ret_parent = parent;
    return true;
}

static size_t list_children(pid_t parent, pid_t *pids)
{
    DIR *proc = opendir("/proc");
    size_t count = 0;
    struct dirent *entry;
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        pid_t pid = atoi(entry->d_name);
        pid_t its_parent;
        char state;
        if (pid > 0 && read_stat(pid, &its_parent, &state) && its_parent == parent &&
            count < PIDS_MAX) {
            pids[count++] = pid;
        }
    }
    if (proc != NULL) {
        closedir(proc);
    }
    return count;
}

/* The child that appeared since `before` was listed. */
static pid_t new_child(const pid_t *before, size_t before_count)
{
    pid_t after[PIDS_MAX];
    size_t count = list_children(getpid(), after);
    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t j = 0; j < before_count; j++) {
            known = known || after[i] == before[j];
        }
        if (!known) {
            return after[i];
        }
    }
    return -1;
}

static struct address_space *space_with_pid(const unsigned char *code, size_t length,
                                            pid_t *ret_pid)
{
    pid_t before[PIDS_MAX];
    size_t count = list_children(getpid(), before);
    struct address_space *space = guest_space(code, length);
    *ret_pid = new_child(before, count);
    assert_true(*ret_pid > 0);
    return space;
}

static void assert_dead(struct address_space *space, struct platform_thread *thread)
{
    struct arch_regs regs;
    struct platform_event event;
    struct platform_thread *fresh;
    struct address_space *child;
    unsigned char *xstate = malloc(arch_xstate_size());
    uint32_t old;
    uint64_t value = 0;

    arch_regs_init(&regs, CODE_ADDR, 0);
    assert_int_equal(engine->thread_run(thread, &regs, &event), PLATFORM_DEAD);
    assert_int_equal(engine->thread_run(thread, &regs, &event), PLATFORM_DEAD);
    assert_int_equal(engine->space_protect(space, DATA_ADDR, PAGE, PROT_READ), PLATFORM_DEAD);
    assert_int_equal(engine->space_fork(space, &child), PLATFORM_DEAD);
    assert_int_equal(engine->thread_new(space, &fresh), PLATFORM_DEAD);
    assert_int_equal(engine->copy_in(space, DATA_ADDR, &value, 8), PLATFORM_DEAD);
    assert_int_equal(engine->copy_out(space, DATA_ADDR, &value, 8), PLATFORM_DEAD);
    assert_int_equal(engine->copy_out_force(space, DATA_ADDR, &value, 8, PROT_READ), PLATFORM_DEAD);
    assert_int_equal(engine->thread_atomic(thread, DATA_ADDR, PLATFORM_ATOMIC_CMPXCHG, 0, 0, &old),
                     PLATFORM_DEAD);
    assert_int_equal(engine->thread_get_xstate(thread, xstate, arch_xstate_size()), PLATFORM_DEAD);
    engine->thread_interrupt(thread);
    free(xstate);
}

static void test_killed_idle(void **state)
{
    (void)state;
    pid_t pid;
    struct address_space *space = space_with_pid(GUEST_ARGS(guest_call_forever), &pid);
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    guest_run_to_call(thread, &regs, SYS_getpid);
    kill(pid, SIGKILL);
    sleep_ms(20);
    assert_dead(space, thread);
    engine->thread_free(thread);
    engine->space_free(space);
}

/* Service requests find the death on their own, with a thread of the stub not reaped yet. */
static void test_killed_request(void **state)
{
    (void)state;
    pid_t pid;
    struct address_space *space = space_with_pid(GUEST_ARGS(guest_call_forever), &pid);
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    guest_run_to_call(thread, &regs, SYS_getpid);
    kill(pid, SIGKILL);
    uint64_t start = now_ms();
    assert_int_equal(engine->space_protect(space, DATA_ADDR, PAGE, PROT_READ), PLATFORM_DEAD);
    assert_true(now_ms() - start < 2000);
    assert_dead(space, thread);
    engine->thread_free(thread);
    engine->space_free(space);
}

struct killer {
    pid_t pid;
    long delay_ms;
};

static void *run_killer(void *argument)
{
    struct killer *killer = argument;
    cpu_set_t all;
    memset(&all, 0xff, sizeof all);
    sched_setaffinity(0, sizeof all, &all);
    sleep_ms(killer->delay_ms);
    kill(killer->pid, SIGKILL);
    return NULL;
}

static void test_killed_running(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        pid_t pid;
        struct address_space *space = i % 2 == 0
                                          ? space_with_pid(GUEST_ARGS(guest_spin_forever), &pid)
                                          : space_with_pid(GUEST_ARGS(guest_call_forever), &pid);
        struct arch_regs regs;
        struct platform_thread *thread = guest_thread(space, &regs);
        struct killer killer = {.pid = pid, .delay_ms = i};
        struct platform_event event;
        pthread_t helper;
        assert_int_equal(pthread_create(&helper, NULL, run_killer, &killer), 0);
        int rc;
        do {
            rc = engine->thread_run(thread, &regs, &event);
        } while (rc == 0);
        assert_int_equal(rc, PLATFORM_DEAD);
        pthread_join(helper, NULL);
        assert_dead(space, thread);
        engine->thread_free(thread);
        engine->space_free(space);
    }
}

static void test_killed_under_requests(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        pid_t pid;
        struct address_space *space = space_with_pid(GUEST_ARGS(guest_spin_forever), &pid);
        struct killer killer = {.pid = pid, .delay_ms = i};
        pthread_t helper;
        assert_int_equal(pthread_create(&helper, NULL, run_killer, &killer), 0);
        int rc;
        do {
            rc = engine->space_map(space, 0x10000000, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
                                   -1, 0);
            if (rc == 0 && i % 2 == 1) {
                struct address_space *child;
                rc = engine->space_fork(space, &child);
                if (rc == 0) {
                    engine->space_free(child);
                }
            }
        } while (rc == 0);
        assert_int_equal(rc, PLATFORM_DEAD);
        pthread_join(helper, NULL);
        engine->space_free(space);
    }
}

/* Signals from outside other than SIGKILL neither reach the guest nor end it. */
static void test_stray_signals(void **state)
{
    (void)state;
    pid_t pid;
    struct address_space *space = space_with_pid(GUEST_ARGS(guest_call_forever), &pid);
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    static const int signals[] = {SIGTERM, SIGINT, SIGSEGV, SIGTRAP, SIGCHLD, SIGALRM,
                                  SIGURG,  SIGSYS, SIGUSR1, SIGFPE,  SIGHUP};
    for (size_t i = 0; i < array_size(signals); i++) {
        kill(pid, signals[i]);
        guest_run_to_call(thread, &regs, SYS_getpid);
        guest_run_to_call(thread, &regs, SYS_getpid);
    }
    assert_int_equal(engine->space_protect(space, DATA_ADDR, PAGE, PROT_READ), 0);
    engine->thread_free(thread);
    engine->space_free(space);
}

GUEST(guest_scribble, "mov %rdi, %rcx\n 1: mov %edx, (%rdi)\n add $4, %rdi\n lea (%rcx,%r8), %rax\n"
                      "cmp %rax, %rdi\n jb 1b\n mov %rcx, %rdi\n add %esi, %edx\n jmp 1b\n");

struct scribbler {
    struct address_space *space;
    struct platform_thread *thread;
    uint32_t step, length;
    atomic_bool ready, stop;
    int rc;
};

static void *run_scribbler(void *argument)
{
    struct scribbler *self = argument;
    struct arch_regs regs;
    struct platform_event event;
    self->rc = engine->thread_new(self->space, &self->thread);
    atomic_store(&self->ready, true);
    if (self->rc != 0) {
        return NULL;
    }
    arch_regs_init(&regs, CODE_ADDR, 0);
    regs.rdi = 0x21000; /* where a stub's reply page lies; a fault where there is none */
    regs.rsi = self->step;
    regs.r8 = self->length;
    do {
        self->rc = engine->thread_run(self->thread, &regs, &event);
    } while (self->rc == 0 && event.kind == PLATFORM_EVENT_INTERRUPTED &&
             !atomic_load(&self->stop));
    engine->thread_free(self->thread);
    return NULL;
}

/*
 * A guest that overwrites all that its process can write, while the sentry asks for memory and
 * forks. It may harm itself only: every request ends, with success, an error, or its death.
 */
static void test_forged_replies(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        struct address_space *space = guest_space(GUEST_ARGS(guest_scribble));
        uint32_t step = i / 2;
        struct scribbler scribbler = {.space = space, .step = step, .length = i % 2 ? 4096 : 4};
        pthread_t helper;
        assert_int_equal(pthread_create(&helper, NULL, run_scribbler, &scribbler), 0);
        while (!atomic_load(&scribbler.ready)) {
            sleep_ms(1);
        }
        uint64_t start = now_ms();
        int rc = 0;
        int requests = 0;
        int forks = 0;
        int file = memfd_create("forged", MFD_CLOEXEC);
        while (rc != PLATFORM_DEAD && now_ms() - start < 300) {
            rc = engine->space_map(space, 0x10000000, PAGE, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | (requests % 2 ? 0 : MAP_ANONYMOUS),
                                   requests % 2 ? file : -1, 0);
            requests++;
            if (rc != PLATFORM_DEAD && requests % 8 == 0) {
                struct address_space *child;
                struct platform_thread *thread;
                rc = engine->space_fork(space, &child);
                if (rc == 0) {
                    forks++;
                    ignore_result(engine->space_unmap(child, 0x10000000, PAGE));
                    if (engine->thread_new(child, &thread) == 0) {
                        engine->thread_free(thread);
                    }
                    engine->space_free(child);
                }
            }
        }
        print_message("  %u bytes, step %u: %d requests, %d forks, %s\n", scribbler.length, step,
                      requests, forks, rc == PLATFORM_DEAD ? "dead" : "alive");
        atomic_store(&scribbler.stop, true);
        while (rc != PLATFORM_DEAD && pthread_tryjoin_np(helper, NULL) != 0) {
            engine->thread_interrupt(scribbler.thread);
            sleep_ms(1);
        }
        if (rc == PLATFORM_DEAD) {
            pthread_join(helper, NULL);
        }
        engine->space_free(space);
        close(file);
    }
    /* The engine itself is well. */
    struct address_space *space = guest_space(GUEST_ARGS(guest_call_forever));
    struct arch_regs regs;
    struct platform_thread *thread = guest_thread(space, &regs);
    guest_run_to_call(thread, &regs, SYS_getpid);
    engine->thread_free(thread);
    engine->space_free(space);
}

static void *run_spinner(void *argument)
{
    struct address_space *space = argument;
    struct platform_thread *thread;
    struct arch_regs regs;
    struct platform_event event;
    if (engine->thread_new(space, &thread) == 0) {
        arch_regs_init(&regs, CODE_ADDR, 0);
        while (engine->thread_run(thread, &regs, &event) == 0) {
        }
    }
    return NULL;
}

_Noreturn void death_run_victim(const char *name)
{
    pid_t pids[PIDS_MAX];
    pthread_t helper;

    harness_start(name);
    for (int i = 0; i < 4; i++) {
        struct address_space *space = guest_space(GUEST_ARGS(guest_spin_forever));
        struct address_space *child;
        assert_int_equal(engine->space_fork(space, &child), 0);
        if (i < 2) {
            assert_int_equal(pthread_create(&helper, NULL, run_spinner, space), 0);
        } else {
            struct arch_regs regs;
            guest_thread(child, &regs);
        }
    }
    sleep_ms(50);
    size_t count = list_children(getpid(), pids);
    for (size_t i = 0; i < count; i++) {
        printf("%d\n", (int)pids[i]);
    }
    printf("0\n");
    fflush(stdout);
    for (;;) {
        pause();
    }
}

static bool all_gone(const pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pid_t parent;
        char process_state;
        if (read_stat(pids[i], &parent, &process_state) && process_state != 'Z' &&
            process_state != 'X') {
            return false;
        }
    }
    return true;
}

static void test_sentry_killed(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t sentry = fork();
    assert_true(sentry >= 0);
    if (sentry == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        execl("/proc/self/exe", "conformance", "--platform", engine->name, "--victim",
              (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    pid_t pids[PIDS_MAX];
    size_t count = 0;
    int pid;
    while (count < PIDS_MAX && fscanf(from, "%d", &pid) == 1 && pid != 0) {
        pids[count++] = pid;
    }
    assert_true(count >= 9);
    assert_false(all_gone(pids, 1));
    kill(sentry, SIGKILL);
    uint64_t start = now_ms();
    while (!all_gone(pids, count) && now_ms() - start < 5000) {
        sleep_ms(2);
    }
    print_message("  %zu stubs gone after %lu ms\n", count, now_ms() - start);
    assert_true(all_gone(pids, count));
    int status;
    assert_int_equal(waitpid(sentry, &status, 0), sentry);
    fclose(from);
}

/* Nothing is left behind: no child beyond those that were there, no descriptor. */
static size_t count_fds(void)
{
    size_t count = 0;
    DIR *fds = opendir("/proc/self/fd");
    while (fds != NULL && readdir(fds) != NULL) {
        count++;
    }
    if (fds != NULL) {
        closedir(fds);
    }
    return count;
}

static void test_no_leaks(void **state)
{
    (void)state;
    pid_t pids[PIDS_MAX];
    size_t children = list_children(getpid(), pids);
    size_t fds = count_fds();
    for (int i = 0; i < 20; i++) {
        struct address_space *space = guest_space(GUEST_ARGS(guest_call_forever));
        struct address_space *child;
        struct arch_regs regs;
        struct platform_thread *thread = guest_thread(space, &regs);
        assert_int_equal(engine->space_fork(space, &child), 0);
        guest_run_to_call(thread, &regs, SYS_getpid);
        engine->thread_free(thread);
        engine->space_free(space);
        engine->space_free(child);
    }
    assert_int_equal(list_children(getpid(), pids), children);
    assert_int_equal(count_fds(), fds);
    assert_true(children <= 2);
}

const struct CMUnitTest death_tests[] = {
    cmocka_unit_test(test_killed_idle),    cmocka_unit_test(test_killed_request),
    cmocka_unit_test(test_killed_running), cmocka_unit_test(test_killed_under_requests),
    cmocka_unit_test(test_stray_signals),  cmocka_unit_test(test_forged_replies),
    cmocka_unit_test(test_sentry_killed),  cmocka_unit_test(test_no_leaks),
};
const size_t death_test_count = array_size(death_tests);
