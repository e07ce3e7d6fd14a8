/*
 * sigaltstack.c: alternate signal stacks.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>
#include <sys/resource.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static char stack_memory[65536] __attribute__((aligned(16)));
static volatile uintptr_t where;
static volatile int flags_inside;
static volatile int change_errno;

static void look(int sig)
{
    stack_t now;
    char local;
    (void)sig;
    where = (uintptr_t)&local;
    sigaltstack(NULL, &now);
    flags_inside = now.ss_flags;
    stack_t other = {.ss_sp = stack_memory, .ss_size = sizeof(stack_memory)};
    change_errno = sigaltstack(&other, NULL) < 0 ? errno : 0;
}

static bool on_alternate(void)
{
    return where >= (uintptr_t)stack_memory &&
           where < (uintptr_t)stack_memory + sizeof(stack_memory);
}

static void install(int flags)
{
    stack_t stack = {.ss_sp = stack_memory, .ss_size = sizeof(stack_memory), .ss_flags = flags};
    CHECK_OK(sigaltstack(&stack, NULL));
}

TEST_CASE(handler_runs_there)
{
    install(0);
    guest_handle(SIGUSR1, look, SA_ONSTACK);
    CHECK_OK(raise(SIGUSR1));
    CHECK(on_alternate());
    CHECK_EQ(flags_inside, SS_ONSTACK);
    CHECK_EQ(change_errno, EPERM);
    stack_t after;
    CHECK_OK(sigaltstack(NULL, &after));
    CHECK_EQ(after.ss_flags, 0);
    CHECK(after.ss_sp == stack_memory);
    CHECK_EQ(after.ss_size, sizeof(stack_memory));
}

TEST_CASE(not_without_the_flag)
{
    install(0);
    guest_handle(SIGUSR1, look, 0);
    CHECK_OK(raise(SIGUSR1));
    CHECK(!on_alternate());
    CHECK_EQ(flags_inside, 0);
    CHECK_EQ(change_errno, 0);
}

TEST_CASE(disable)
{
    install(0);
    stack_t off = {.ss_flags = SS_DISABLE};
    stack_t old;
    CHECK_OK(sigaltstack(&off, &old));
    CHECK(old.ss_sp == stack_memory);
    CHECK_OK(sigaltstack(NULL, &old));
    CHECK_EQ(old.ss_flags, SS_DISABLE);
    guest_handle(SIGUSR1, look, SA_ONSTACK);
    CHECK_OK(raise(SIGUSR1));
    CHECK(!on_alternate());
}

TEST_CASE(errors)
{
    stack_t small = {.ss_sp = stack_memory, .ss_size = 1000};
    CHECK_ERRNO(sigaltstack(&small, NULL), ENOMEM);
    stack_t bad = {.ss_sp = stack_memory, .ss_size = sizeof(stack_memory), .ss_flags = 0x40};
    CHECK_ERRNO(sigaltstack(&bad, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_sigaltstack, guest_bad(), NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_sigaltstack, NULL, guest_bad()), EFAULT);
}

static void look_and_move(int sig)
{
    static char elsewhere[32768];
    stack_t now;
    char local;
    (void)sig;
    where = (uintptr_t)&local;
    sigaltstack(NULL, &now);
    flags_inside = now.ss_flags;
    stack_t other = {.ss_sp = elsewhere, .ss_size = sizeof(elsewhere)};
    change_errno = sigaltstack(&other, NULL) < 0 ? errno : 0;
}

TEST_CASE(autodisarm)
{
    install((int)SS_AUTODISARM);
    guest_handle(SIGUSR1, look_and_move, SA_ONSTACK);
    CHECK_OK(raise(SIGUSR1));
    CHECK(on_alternate());
    CHECK_EQ(flags_inside, SS_DISABLE);
    CHECK_EQ(change_errno, 0);
    stack_t after;
    CHECK_OK(sigaltstack(NULL, &after));
    CHECK_EQ(after.ss_flags, (int)SS_AUTODISARM); /* restored by sigreturn */
    CHECK(after.ss_sp == stack_memory);
}

static int depth(int n)
{
    volatile char block[4096];
    block[0] = (char)n;
    return n > 1000000 ? block[0] : depth(n + 1) + block[0];
}

static void survive(int sig)
{
    char local;
    _exit(sig == SIGSEGV && (uintptr_t)&local >= (uintptr_t)stack_memory &&
                  (uintptr_t)&local < (uintptr_t)stack_memory + sizeof(stack_memory)
              ? 71
              : 72);
}

TEST_CASE(stack_overflow_is_handled_there)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct rlimit limit = {256 * 1024, RLIM_INFINITY};
        getrlimit(RLIMIT_STACK, &limit);
        limit.rlim_cur = 256 * 1024;
        CHECK_OK(setrlimit(RLIMIT_STACK, &limit));
        install(0);
        guest_handle(SIGSEGV, survive, SA_ONSTACK);
        _exit(depth(0));
    }
    CHECK_CHILD_EXIT(pid, 71);
}

TEST_CASE(no_room_for_a_frame_kills)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        guest_handle(SIGSEGV, survive, 0); /* not on the alternate stack */
        _exit(depth(0));
    }
    CHECK_CHILD_SIGNAL(pid, SIGSEGV);
}

static void *thread_stack(void *argument)
{
    stack_t now;
    sigaltstack(NULL, &now);
    *(int *)argument = now.ss_flags;
    return NULL;
}

TEST_CASE(threads_start_without_one_fork_keeps_it)
{
    pthread_t thread;
    int flags = -1;
    install(0);
    CHECK_EQ(pthread_create(&thread, NULL, thread_stack, &flags), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(flags, SS_DISABLE);
    pid_t pid = guest_fork();
    if (pid == 0) {
        stack_t now;
        CHECK_OK(sigaltstack(NULL, &now));
        CHECK(now.ss_sp == stack_memory);
        CHECK_EQ(now.ss_flags, 0);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}
