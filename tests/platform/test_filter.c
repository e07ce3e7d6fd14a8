/*
 * test_filter.c: what a stub cannot do even if the guest controlled its service thread: each
 * forbidden call ends the process. Works on stubs directly, below the engines.
 */
#include "tests/platform/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/stub/stub.h"
#include "platform/stub/stub_filter.h"
#include "platform/stub/stub_image.h"

static struct stub *template_stub;

static int start_template(void **state)
{
    (void)state;
    int image = stub_image_create();
    int rc =
        image < 0 ? image : stub_start_template(image, SECCOMP_RET_KILL_PROCESS, &template_stub);
    close(image);
    return rc;
}

static int stop_template(void **state)
{
    (void)state;
    stub_free(template_stub);
    return 0;
}

static int call_raw(struct stub *stub, const struct stub_op *op, int64_t *ret_result)
{
    mutex_lock(&stub->service);
    int rc = stub_call_locked(stub, op, 1, NULL, 0, ret_result);
    mutex_unlock(&stub->service);
    return rc;
}

#define G       0x10000000
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)

static void test_forbidden(void **state)
{
    (void)state;
    static const struct stub_op ops[] = {
        {SYS_read, {0, STUB_REPLY, 1}, 0},
        {SYS_write, {0, STUB_TEXT, 1}, 0},
        {SYS_pwrite64, {STUB_FD_PAGES, G, 8, 0}, 0},
        {SYS_pwrite64, {STUB_FD_SOCKET, G, 8, STUB_PAGE + STUB_REPLY_DATA}, 0},
        {SYS_pwrite64, {STUB_FD_PAGES, G, STUB_PAGE, STUB_PAGE + STUB_REPLY_DATA}, 0},
        {SYS_pread64, {STUB_FD_PAGES, STUB_TEXT, 8, STUB_PAGE + STUB_REPLY_DATA}, 0},
        {SYS_open, {STUB_TEXT}, 0},
        {SYS_openat, {0, STUB_TEXT}, 0},
        {SYS_openat2, {0, STUB_TEXT}, 0},
        {SYS_close, {STUB_FD_SOCKET}, 0},
        {SYS_close, {3}, 0},
        {SYS_socket, {AF_INET, SOCK_STREAM}, 0},
        {SYS_sendmsg, {0, STUB_REPLY}, 0},
        {SYS_recvmsg, {0, STUB_REPLY, MSG_DONTWAIT}, 0},
        {SYS_recvmsg, {1, STUB_REPLY + STUB_REPLY_DATA, MSG_DONTWAIT}, 0},
        {SYS_recvmsg, {0, STUB_REPLY + STUB_REPLY_DATA, 0}, 0},
        {SYS_execve, {STUB_TEXT}, 0},
        {SYS_execveat, {0, STUB_TEXT, 0, 0, AT_EMPTY_PATH}, 0},
        {SYS_clone, {SIGCHLD}, 0},
        {SYS_clone, {STUB_CLONE_PROCESS | CLONE_NEWUSER}, 0},
        {SYS_clone, {STUB_CLONE_PROCESS | CLONE_VM}, 0},
        {SYS_clone, {STUB_CLONE_THREAD | CLONE_UNTRACED}, 0},
        {SYS_clone, {STUB_CLONE_THREAD | 1ULL << 32}, 0},
        {SYS_clone, {STUB_CLONE_THREAD, DATA_ADDR}, 0},
        {SYS_clone3, {STUB_REPLY, 64}, 0},
        {SYS_fork, {0}, 0},
        {SYS_vfork, {0}, 0},
        {SYS_kill, {1, 0}, 0},
        {SYS_tgkill, {1, 1, 0}, 0},
        {SYS_ptrace, {PTRACE_TRACEME}, 0},
        {SYS_prctl, {PR_SET_PDEATHSIG, 0}, 0},
        {SYS_prctl, {PR_SET_DUMPABLE, 0}, 0},
        {SYS_seccomp, {SECCOMP_SET_MODE_FILTER, 0, 0}, 0},
        {SYS_setsid, {0}, 0},
        {SYS_unshare, {CLONE_NEWUSER}, 0},
        {SYS_userfaultfd, {0}, 0},
        {SYS_io_uring_setup, {1, STUB_REPLY}, 0},
        {SYS_process_vm_readv, {1}, 0},
        {SYS_process_vm_writev, {1}, 0},
        {SYS_futex, {STUB_REQUEST, FUTEX_WAIT, 0}, 0},
        {SYS_futex, {STUB_REPLY, FUTEX_LOCK_PI}, 0},
        {SYS_exit, {0}, 0},
        {SYS_rt_sigaction, {SIGUSR1, 0, 0, 8}, 0},
        {SYS_rt_sigreturn, {0}, 0},
        {SYS_brk, {0}, 0},
        {SYS_mlock, {G, PAGE}, 0},
        {SYS_mbind, {G, PAGE}, 0},
        {SYS_remap_file_pages, {G, PAGE}, 0},
        {SYS_shmat, {0}, 0},
        {SYS_modify_ldt, {0}, 0},
        {SYS_mmap, {0, PAGE, PROT_READ, PRIVATE, -1, 0}, 0},
        {SYS_mmap, {STUB_TEXT, PAGE, PROT_READ, PRIVATE, -1, 0}, 0},
        {SYS_mmap, {STUB_REQUEST, PAGE, PROT_READ | PROT_WRITE, PRIVATE, -1, 0}, 0},
        {SYS_mmap, {PLATFORM_GUEST_MIN - PAGE, PAGE, PROT_READ, PRIVATE, -1, 0}, 0},
        {SYS_mmap, {G, PAGE, PROT_READ, PRIVATE | MAP_GROWSDOWN, -1, 0}, 0},
        {SYS_mmap, {G, PAGE, PROT_READ, PRIVATE | MAP_LOCKED, -1, 0}, 0},
        {SYS_mmap, {G, PAGE, PROT_READ, PRIVATE | MAP_HUGETLB, -1, 0}, 0},
        {SYS_mmap, {G, PAGE, PROT_READ | PROT_GROWSDOWN, PRIVATE, -1, 0}, 0},
        {SYS_mmap, {G, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, STUB_FD_SOCKET, 0}, 0},
        {SYS_munmap, {STUB_TEXT, PAGE}, 0},
        {SYS_munmap, {STUB_REQUEST, PAGE}, 0},
        {SYS_mprotect, {STUB_TEXT, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC}, 0},
        {SYS_mprotect, {STUB_REQUEST, PAGE, PROT_READ | PROT_WRITE}, 0},
        {SYS_mprotect, {G, PAGE, PROT_READ | PROT_GROWSUP}, 0},
        {SYS_madvise, {STUB_REQUEST, PAGE, MADV_DONTNEED}, 0},
        {SYS_madvise, {G, PAGE, MADV_MERGEABLE}, 0},
        {SYS_madvise, {G, PAGE, MADV_HWPOISON}, 0},
        {SYS_madvise, {G, PAGE, UINT32_MAX}, 0},
        {SYS_mremap, {STUB_TEXT, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, G}, 0},
        {SYS_mremap, {G, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, STUB_TEXT}, 0},
        {SYS_mincore, {G, PAGE, STUB_REQUEST}, 0},
        {SYS_getpid, {0}, 0},
        {SYS_mmap | 0x40000000, {G, PAGE, PROT_READ, PRIVATE, -1, 0}, 0},
        {500, {0}, 0},
    };
    for (size_t i = 0; i < array_size(ops); i++) {
        struct stub *stub;
        int64_t result = 0;
        assert_int_equal(stub_fork(template_stub, &stub), 0);
        int rc = call_raw(stub, &ops[i], &result);
        if (rc != PLATFORM_DEAD) {
            print_error("call %zu (number %lu) was let through: %ld\n", i, ops[i].number, result);
        }
        assert_int_equal(rc, PLATFORM_DEAD);
        stub_free(stub);
    }
}

static void test_allowed(void **state)
{
    (void)state;
    static const struct stub_op ops[] = {
        {SYS_mmap, {G, PAGE, PROT_READ | PROT_WRITE, PRIVATE, -1, 0}, 0},
        {SYS_mmap, {PLATFORM_GUEST_MIN, PAGE, PROT_READ, PRIVATE | MAP_NORESERVE, -1, 0}, 0},
        {SYS_mmap, {0x7f0000000000, PAGE, PROT_READ, PRIVATE, -1, 0}, 0},
        {SYS_mprotect, {G, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC}, 0},
        {SYS_madvise, {G, PAGE, MADV_DONTNEED}, 0},
        {SYS_mincore, {G, PAGE, STUB_REPLY + STUB_REPLY_DATA}, 0},
        {SYS_munmap, {G, PAGE}, 0},
        {SYS_close, {STUB_FD_FIRST}, 0},
    };
    struct stub *stub;
    assert_int_equal(stub_fork(template_stub, &stub), 0);
    for (size_t i = 0; i < array_size(ops); i++) {
        int64_t result = 0;
        assert_int_equal(call_raw(stub, &ops[i], &result), 0);
        assert_true(result >= 0 || result == -EBADF);
    }
    stub_free(stub);
}

/* Descriptors that the service thread did not take must never reach a later mapping. */
static void test_descriptor_not_taken(void **state)
{
    (void)state;
    struct stub *stub;
    int64_t results[3];
    assert_int_equal(stub_fork(template_stub, &stub), 0);
    int file = memfd_create("first", MFD_CLOEXEC);
    assert_true(file >= 0);
    mutex_lock(&stub->service);
    struct stub_op receive = stub_op_receive(stub, 1);
    /* As a guest thread would at this moment: msg_iovlen beyond what Linux takes. */
    memset(stub->reply->data, 0xff, 64);
    int rc = stub_call_locked(stub, &receive, 1, &file, 1, results);
    mutex_unlock(&stub->service);
    assert_int_equal(rc, PLATFORM_DEAD);
    close(file);
    stub_free(stub);
}

/* What the host shows of a stub: confined, without capabilities to gain, one thread, one fd. */
static void test_confinement(void **state)
{
    (void)state;
    struct stub *stub;
    assert_int_equal(stub_fork(template_stub, &stub), 0);
    char path[64];
    char line[256];
    unsigned int found = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)stub->pid);
    FILE *status = fopen(path, "re");
    assert_non_null(status);
    while (fgets(line, sizeof line, status) != NULL) {
        found |= strcmp(line, "NoNewPrivs:\t1\n") == 0 ? 1U : 0;
        found |= strcmp(line, "Seccomp:\t2\n") == 0 ? 2U : 0;
        found |= strcmp(line, "Threads:\t1\n") == 0 ? 4U : 0;
        found |= strcmp(line, "Name:\tstockade-stub\n") == 0 ? 8U : 0;
    }
    fclose(status);
    assert_int_equal(found, 15);
    int64_t result;
    static const struct stub_op nothing = {SYS_close, {STUB_FD_FIRST}, 0};
    assert_int_equal(call_raw(stub, &nothing, &result), 0);
    for (int fd = 0; fd < 64; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)stub->pid, fd);
        assert_int_equal(readlink(path, line, sizeof line) > 0,
                         fd == STUB_FD_SOCKET || fd == STUB_FD_PAGES);
    }
    /* The template's mappings: the stub's three pages, the vDSO's, and the vsyscall page. */
    snprintf(path, sizeof path, "/proc/%d/maps", (int)stub->pid);
    FILE *maps = fopen(path, "re");
    int below = 0;
    int others = 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        uint64_t start = strtoull(line, NULL, 16);
        if (start < PLATFORM_GUEST_MIN) {
            below++;
        } else if (strstr(line, "[v") == NULL) {
            print_error("left over: %s", line);
            others++;
        }
    }
    fclose(maps);
    assert_int_equal(below, 3);
    assert_int_equal(others, 0);
    stub_free(stub);
}

/*
 * Guest code that jumps to a stub's own system calls makes a guest call like any other, or is
 * killed for it. It never gets what it asks for, and others do not notice.
 */
GUEST(guest_jump_to_stub, "jmp *%rbx\n");

static void test_stub_gadgets(void **state)
{
    (void)state;
    static const uint64_t sites[] = {
        STUB_AT_LIST,       STUB_AT_WAIT,        STUB_AT_WAKE,        STUB_AT_EXIT,
        STUB_AT_DIE,        STUB_AT_PARK,        STUB_AT_START,       STUB_AT_GUEST_WAIT,
        STUB_AT_GUEST_WAKE, STUB_AT_GUEST_START, STUB_AT_GUEST_YIELD,
    };
    static const struct stub_op calls[] = {
        {SYS_munmap, {DATA_ADDR, PAGE}, 0},
        {SYS_mmap, {0x10000000, PAGE, PROT_READ, PRIVATE, -1, 0}, 0},
        {SYS_clone, {STUB_CLONE_PROCESS, 0}, 0},
        {SYS_seccomp, {SECCOMP_SET_MODE_FILTER, 0, STUB_REQUEST + STUB_REQUEST_FILTER}, 0},
    };
    struct address_space *other = guest_space(GUEST_ARGS(guest_jump_to_stub));
    for (size_t i = 0; i < array_size(sites) * array_size(calls); i++) {
        const struct stub_op *call = &calls[i % array_size(calls)];
        struct address_space *space = guest_space(GUEST_ARGS(guest_jump_to_stub));
        struct arch_regs regs;
        struct platform_thread *thread = guest_thread(space, &regs);
        struct platform_event event;
        regs.rbx = sites[i / array_size(calls)];
        regs.rax = call->number;
        regs.rdi = call->args[0];
        regs.rsi = call->args[1];
        regs.rdx = call->args[2];
        regs.r10 = call->args[3];
        regs.r8 = call->args[4];
        int rc;
        do {
            rc = engine->thread_run(thread, &regs, &event);
        } while (rc == 0 && event.kind == PLATFORM_EVENT_INTERRUPTED);
        assert_true(rc == 0 || rc == PLATFORM_DEAD);
        if (rc == 0) {
            assert_int_equal(guest_read64(space, DATA_ADDR), 0);
            assert_int_equal(engine->copy_in(space, 0x10000000, &rc, 4), -EFAULT);
        }
        engine->thread_free(thread);
        engine->space_free(space);
    }
    assert_int_equal(guest_read64(other, DATA_ADDR), 0);
    engine->space_free(other);
}

const struct CMUnitTest filter_tests[] = {
    cmocka_unit_test_setup_teardown(test_allowed, start_template, stop_template),
    cmocka_unit_test_setup_teardown(test_forbidden, start_template, stop_template),
    cmocka_unit_test_setup_teardown(test_descriptor_not_taken, start_template, stop_template),
    cmocka_unit_test_setup_teardown(test_confinement, start_template, stop_template),
    cmocka_unit_test(test_stub_gadgets),
};
const size_t filter_test_count = array_size(filter_tests);
