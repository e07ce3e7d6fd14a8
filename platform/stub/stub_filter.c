/*
 * stub_filter.c: what a stub may ask of the host. This list is the host's exposure to a guest that
 * gained control of everything in its stub: read it as "callable at any time".
 *
 * Every address argument must be at or above PLATFORM_GUEST_MIN, so the stub's own pages (all
 * below) cannot be unmapped, replaced or made writable. GROWSDOWN, HUGETLB, LOCKED, clone3,
 * userfaultfd, PI futexes and every file-opening call are absent.
 */
#include "platform/stub/stub_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "platform/platform.h"
#include "platform/stub/layout.h"

#define ALLOW          SECCOMP_RET_ALLOW
#define KILL           SECCOMP_RET_KILL_PROCESS
#define AFTER(address) ((address) + 2) /* seccomp sees the address behind the instruction */

#define ADVICE_BIT(advice) (1U << (advice))
const uint32_t stub_filter_advice =
    ADVICE_BIT(MADV_NORMAL) | ADVICE_BIT(MADV_RANDOM) | ADVICE_BIT(MADV_SEQUENTIAL) |
    ADVICE_BIT(MADV_WILLNEED) | ADVICE_BIT(MADV_DONTNEED) | ADVICE_BIT(MADV_FREE) |
    ADVICE_BIT(MADV_REMOVE) | ADVICE_BIT(MADV_DONTFORK) | ADVICE_BIT(MADV_DOFORK) |
    ADVICE_BIT(MADV_HUGEPAGE) | ADVICE_BIT(MADV_NOHUGEPAGE) | ADVICE_BIT(MADV_DONTDUMP) |
    ADVICE_BIT(MADV_DODUMP) | ADVICE_BIT(MADV_WIPEONFORK) | ADVICE_BIT(MADV_KEEPONFORK) |
    ADVICE_BIT(MADV_COLD) | ADVICE_BIT(MADV_POPULATE_READ) | ADVICE_BIT(MADV_POPULATE_WRITE);

static void allow_at(struct bpf_program *program, uint32_t address, uint32_t number)
{
    struct bpf_block block;
    bpf_begin_block(program, &block, AFTER(address), AFTER(address));
    bpf_begin_rule(program, number);
    bpf_end_rule(program, ALLOW, KILL);
    bpf_end_block(program, &block, KILL);
}

static void allow_futex_at(struct bpf_program *program, uint32_t address, uint32_t word,
                           uint32_t operation)
{
    struct bpf_block block;
    bpf_begin_block(program, &block, AFTER(address), AFTER(address));
    bpf_begin_rule(program, SYS_futex);
    bpf_check_equal(program, 0, word);
    bpf_check_equal32(program, 1, operation);
    bpf_end_rule(program, ALLOW, KILL);
    bpf_end_block(program, &block, KILL);
}

/* The area of a guest thread: in the shared pages, above all guest memory. */
static void add_area_rule(struct bpf_program *program)
{
    bpf_begin_rule(program, SYS_mmap);
    bpf_check_at_least(program, 0, PLATFORM_GUEST_MIN);
    bpf_check_equal(program, 1, STUB_AREA_SIZE);
    bpf_check_equal(program, 2, PROT_READ | PROT_WRITE);
    bpf_check_equal(program, 3, MAP_SHARED | MAP_FIXED);
    bpf_check_equal32(program, 4, STUB_FD_PAGES);
    bpf_end_rule_or_next(program, ALLOW);
}

static void add_memory_rules(struct bpf_program *program)
{
    bpf_begin_rule(program, SYS_munmap);
    bpf_check_at_least(program, 0, PLATFORM_GUEST_MIN);
    bpf_end_rule(program, ALLOW, KILL);

    add_area_rule(program);

    bpf_begin_rule(program, SYS_mmap);
    bpf_check_at_least(program, 0, PLATFORM_GUEST_MIN);
    bpf_check_mask(program, 2, PROT_READ | PROT_WRITE | PROT_EXEC);
    bpf_check_mask(program, 3,
                   MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE);
    bpf_check_either32(program, 4, STUB_FD_FIRST, UINT32_MAX);
    bpf_end_rule(program, ALLOW, KILL);

    bpf_begin_rule(program, SYS_mprotect);
    bpf_check_at_least(program, 0, PLATFORM_GUEST_MIN);
    bpf_check_mask(program, 2, PROT_READ | PROT_WRITE | PROT_EXEC);
    bpf_end_rule(program, ALLOW, KILL);

    bpf_begin_rule(program, SYS_madvise);
    bpf_check_at_least(program, 0, PLATFORM_GUEST_MIN);
    bpf_check_one_of_bits(program, 2, stub_filter_advice);
    bpf_end_rule(program, ALLOW, KILL);

    bpf_begin_rule(program, SYS_mremap);
    bpf_check_at_least(program, 0, PLATFORM_GUEST_MIN);
    bpf_check_mask(program, 3, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP);
    bpf_check_at_least(program, 4, PLATFORM_GUEST_MIN);
    bpf_end_rule(program, ALLOW, KILL);

    bpf_begin_rule(program, SYS_mincore);
    bpf_check_at_least(program, 0, PLATFORM_GUEST_MIN);
    bpf_check_equal(program, 2, STUB_REPLY + STUB_REPLY_DATA);
    bpf_end_rule(program, ALLOW, KILL);
}

/* The list executor: memory, receiving fds, and clones. */
static void add_list_block(struct bpf_program *program, uint32_t foreign_action)
{
    struct bpf_block block;
    bpf_begin_block(program, &block, AFTER(STUB_AT_LIST), AFTER(STUB_AT_LIST));
    add_memory_rules(program);

    /* Copies between guest memory and the reply page. */
    static const uint32_t copies[] = {SYS_pread64, SYS_pwrite64};
    for (size_t i = 0; i < array_size(copies); i++) {
        bpf_begin_rule(program, copies[i]);
        bpf_check_equal32(program, 0, STUB_FD_PAGES);
        bpf_check_at_least(program, 1, PLATFORM_GUEST_MIN);
        bpf_check_mask(program, 2, STUB_PAGE - 1);
        bpf_check_equal(program, 3, STUB_PAGE + STUB_REPLY_DATA);
        bpf_end_rule(program, ALLOW, KILL);
    }

    bpf_begin_rule(program, SYS_recvmsg);
    bpf_check_equal32(program, 0, STUB_FD_SOCKET);
    bpf_check_equal(program, 1, STUB_REPLY + STUB_REPLY_DATA);
    bpf_check_equal32(program, 2, MSG_DONTWAIT);
    bpf_end_rule(program, ALLOW, KILL);

    /* The listener of a new guest thread, to the sentry. */
    if (foreign_action == SECCOMP_RET_USER_NOTIF) {
        bpf_begin_rule(program, SYS_sendmsg);
        bpf_check_equal32(program, 0, STUB_FD_SOCKET);
        bpf_check_equal(program, 1, STUB_REPLY + STUB_REPLY_DATA);
        bpf_check_equal32(program, 2, MSG_DONTWAIT | MSG_NOSIGNAL);
        bpf_end_rule(program, ALLOW, KILL);
    }

    bpf_begin_rule(program, SYS_close);
    bpf_check_either32(program, 0, STUB_FD_FIRST, STUB_FD_FIRST + 1);
    bpf_end_rule(program, ALLOW, KILL);

    bpf_begin_rule(program, SYS_clone);
    bpf_check_equal(program, 0, STUB_CLONE_PROCESS);
    bpf_check_equal(program, 1, 0);
    bpf_end_rule_or_next(program, ALLOW);

    bpf_begin_rule(program, SYS_clone);
    bpf_check_equal(program, 0, STUB_CLONE_THREAD);
    bpf_check_equal(program, 1, 0);
    bpf_end_rule(program, ALLOW, KILL);
    bpf_end_block(program, &block, KILL);
}

static uint32_t guest_filter_flags(uint32_t foreign_action)
{
    return foreign_action == SECCOMP_RET_USER_NOTIF ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
}

/* Set-up of a guest thread, before it installs its own filter. */
static void add_guest_start_block(struct bpf_program *program, uint32_t foreign_action)
{
    struct bpf_block block;
    bpf_begin_block(program, &block, STUB_AT_GUEST_START, STUB_AT_GUEST_READY);
    bpf_begin_rule(program, SYS_sigaltstack);
    bpf_check_equal(program, 1, 0);
    bpf_end_rule(program, ALLOW, KILL);

    bpf_begin_rule(program, SYS_rt_sigprocmask);
    bpf_check_equal32(program, 0, SIG_SETMASK);
    bpf_check_equal(program, 2, 0);
    bpf_end_rule(program, ALLOW, KILL);

    bpf_begin_rule(program, SYS_seccomp);
    bpf_check_equal(program, 0, SECCOMP_SET_MODE_FILTER);
    bpf_check_equal(program, 1, guest_filter_flags(foreign_action));
    bpf_check_equal(program, 2, STUB_REQUEST + STUB_REQUEST_FILTER);
    bpf_end_rule(program, ALLOW, KILL);
    bpf_end_block(program, &block, KILL);
}

/* A guest thread waits for its turn, and gives the turn. */
static void add_guest_futex_block(struct bpf_program *program, uint32_t address, uint32_t operation)
{
    struct bpf_block block;
    bpf_begin_block(program, &block, AFTER(address), AFTER(address));
    bpf_begin_rule(program, SYS_futex);
    bpf_check_at_least(program, 0, PLATFORM_GUEST_MIN);
    bpf_check_equal32(program, 1, operation);
    if (operation == FUTEX_WAKE) {
        bpf_check_equal32(program, 2, 1);
    } else {
        bpf_check_equal(program, 3, 0);
    }
    bpf_end_rule(program, ALLOW, KILL);
    bpf_end_block(program, &block, KILL);
}

static void add_start_map_rule(struct bpf_program *program, uint32_t addr, uint32_t prot,
                               uint32_t offset)
{
    bpf_begin_rule(program, SYS_mmap);
    bpf_check_equal(program, 0, addr);
    bpf_check_equal(program, 1, STUB_PAGE);
    bpf_check_equal(program, 2, prot);
    bpf_check_equal(program, 3, MAP_SHARED | MAP_FIXED);
    bpf_check_equal32(program, 4, STUB_FD_FIRST);
    bpf_check_equal(program, 5, offset);
    bpf_end_rule_or_next(program, ALLOW);
}

/* Set-up of a new process: from exec or fork to its first wait. */
static void add_start_block(struct bpf_program *program)
{
    struct bpf_block block;
    bpf_begin_block(program, &block, STUB_AT_START, STUB_AT_LOOP);
    add_start_map_rule(program, STUB_REQUEST, PROT_READ, 0);
    add_start_map_rule(program, STUB_REPLY, PROT_READ | PROT_WRITE, STUB_PAGE);

    bpf_begin_rule(program, SYS_dup2);
    bpf_check_equal32(program, 0, STUB_FD_FIRST + 1);
    bpf_check_equal32(program, 1, STUB_FD_SOCKET);
    bpf_end_rule_or_next(program, ALLOW);

    bpf_begin_rule(program, SYS_dup2);
    bpf_check_equal32(program, 0, STUB_FD_FIRST);
    bpf_check_equal32(program, 1, STUB_FD_PAGES);
    bpf_end_rule(program, ALLOW, KILL);

    bpf_begin_rule(program, SYS_close);
    bpf_check_either32(program, 0, STUB_FD_FIRST, STUB_FD_FIRST + 1);
    bpf_end_rule(program, ALLOW, KILL);

    bpf_begin_rule(program, SYS_prctl);
    bpf_check_equal32(program, 0, PR_SET_PDEATHSIG);
    bpf_check_equal(program, 1, SIGKILL);
    bpf_end_rule(program, ALLOW, KILL);

    bpf_begin_rule(program, SYS_getppid);
    bpf_end_rule(program, ALLOW, KILL);

    bpf_begin_rule(program, SYS_write);
    bpf_check_equal32(program, 0, STUB_FD_SOCKET);
    bpf_check_equal(program, 1, STUB_TEXT);
    bpf_check_equal(program, 2, 1);
    bpf_end_rule(program, ALLOW, KILL);
    bpf_end_block(program, &block, KILL);
}

/*
 * Linux: emulate_vsyscall() asks the filter with the vsyscall's own address; where it answers with
 * SIGSYS the call arrives like any other. Else these three calls are carried out by the host (they
 * read clocks and the CPU number, as the vDSO does without asking).
 */
static void add_vsyscall_rules(struct bpf_program *program)
{
    static const uint32_t numbers[] = {SYS_gettimeofday, SYS_time, SYS_getcpu};
    for (size_t i = 0; i < array_size(numbers); i++) {
        struct bpf_block block;
        uint64_t address = 0xffffffffff600000ULL + 0x400 * i;
        bpf_begin_block(program, &block, address, address);
        bpf_begin_rule(program, numbers[i]);
        bpf_end_rule(program, ALLOW, KILL);
        bpf_end_block(program, &block, KILL);
    }
}

int stub_filter_build(struct bpf_program *program, uint32_t foreign_action)
{
    program->length = 0;
    program->failed = false;
    bpf_check_abi(program, foreign_action);
    allow_futex_at(program, STUB_AT_WAIT, STUB_REQUEST, FUTEX_WAIT);
    allow_futex_at(program, STUB_AT_WAKE, STUB_REPLY, FUTEX_WAKE);
    add_guest_futex_block(program, STUB_AT_GUEST_WAIT, FUTEX_WAIT);
    add_guest_futex_block(program, STUB_AT_GUEST_WAKE, FUTEX_WAKE);
    allow_at(program, STUB_AT_GUEST_EXIT, SYS_exit);
    allow_at(program, STUB_AT_GUEST_YIELD, SYS_sched_yield);
    add_list_block(program, foreign_action);
    add_start_block(program);
    add_guest_start_block(program, foreign_action);
    allow_at(program, STUB_AT_PARK, SYS_pause);
    allow_at(program, STUB_AT_EXIT, SYS_exit);
    allow_at(program, STUB_AT_DIE, SYS_exit_group);
    if (foreign_action != SECCOMP_RET_TRAP) {
        add_vsyscall_rules(program);
    }
    bpf_return(program, foreign_action);
    return program->failed ? -E2BIG : 0;
}

int stub_filter_build_guest(struct stub_request *request, uint32_t foreign_action)
{
    const bool listened = foreign_action == SECCOMP_RET_USER_NOTIF;
    const struct {
        uint32_t address, verdict;
    } sites[] = {
        {STUB_AT_GUEST_WAIT, listened ? foreign_action : ALLOW},
        {STUB_AT_GUEST_WAKE, ALLOW},
        {STUB_AT_GUEST_EXIT, ALLOW},
        {STUB_AT_GUEST_YIELD, listened ? KILL : ALLOW},
    };
    /* Without a listener, calls from elsewhere are for the first filter to judge: the stricter
     * verdict holds. The vsyscall page is always for the first. */
    const uint32_t foreign = listened ? foreign_action : ALLOW;
    const uint32_t ip = offsetof(struct seccomp_data, instruction_pointer);
    struct sock_filter code[STUB_FILTER_MAX];
    size_t count = 0;
    if (listened) {
        const uint32_t arch = offsetof(struct seccomp_data, arch);
        code[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, arch);
        code[count++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
        code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, foreign);
    }
    code[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip + 4);
    code[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 0, 1);
    code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ALLOW);
    code[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, foreign);
    code[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip);
    for (size_t i = 0; i < array_size(sites); i++) {
        code[count++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AFTER(sites[i].address), 0, 1);
        code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, sites[i].verdict);
    }
    code[count++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PLATFORM_GUEST_MIN, 0, 1);
    code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, foreign);
    code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, KILL);
    memcpy(request->filter, code, count * sizeof code[0]);
    request->filter_length = count;
    request->filter_address = STUB_REQUEST + STUB_REQUEST_FILTER + 16;
    request->filter_flags = guest_filter_flags(foreign_action);
    return 0;
}
