/*
 * stub.S: the stub's entry points and all of its system-call instructions, each at a fixed address
 * that the filter knows. See platform/stub/README.md.
 *
 * The service thread keeps its state in registers and uses no stack: the guest can write every
 * writable byte of this process. r14d holds the sequence number of the last request. Guest threads
 * of the trap and unotify engines run guest.c on a stack in their area.
 */
#include "platform/stub/layout.h"

#define NR_write 1
#define NR_sched_yield 24
#define NR_close 3
#define NR_mmap 9
#define NR_dup2 33
#define NR_pause 34
#define NR_exit 60
#define NR_getppid 110
#define NR_prctl 157
#define NR_rt_sigprocmask 14
#define NR_sigaltstack 131
#define NR_futex 202
#define NR_seccomp 317
#define NR_exit_group 231

#define REQUEST_SEQUENCE STUB_REQUEST
#define REQUEST_COUNT (STUB_REQUEST + 4)
#define REQUEST_PARENT (STUB_REQUEST + 8)
#define REQUEST_OPS (STUB_REQUEST + STUB_REQUEST_OPS)
#define REPLY_SEQUENCE STUB_REPLY
#define REPLY_RESULTS (STUB_REPLY + 64)

/* Stores a register where it is not there already: see struct stub_mailbox. */
#define KEEP(register, offset) \
    cmp register, offset(%rdi); \
    je 9f; \
    mov register, offset(%rdi); \
9:

#define AT(address) .org (address) - STUB_TEXT, 0x90

    .section .entry, "ax", @progbits
    .globl _start
_start:
/*
 * A new process: the template after exec, or the child of a clone. fd 1 is the memfd with its
 * request and reply page, fd 2 its socket. The hello on the socket carries the pid that the kernel
 * vouches for.
 */
start_process:
    mov $NR_mmap, %eax
    mov $STUB_REQUEST, %edi
    mov $STUB_PAGE, %esi
    mov $1, %edx                    /* PROT_READ */
    mov $0x11, %r10d                /* MAP_SHARED | MAP_FIXED */
    mov $STUB_FD_FIRST, %r8d
    xor %r9d, %r9d
    syscall
    cmp $STUB_REQUEST, %rax
    jne die
    mov $NR_mmap, %eax
    mov $STUB_REPLY, %edi
    mov $STUB_PAGE, %esi
    mov $3, %edx                    /* PROT_READ | PROT_WRITE */
    mov $0x11, %r10d
    mov $STUB_FD_FIRST, %r8d
    mov $STUB_PAGE, %r9d
    syscall
    cmp $STUB_REPLY, %rax
    jne die
    mov $NR_dup2, %eax
    mov $(STUB_FD_FIRST + 1), %edi
    mov $STUB_FD_SOCKET, %esi
    syscall
    test %rax, %rax
    jnz die
    mov $NR_dup2, %eax
    mov $STUB_FD_FIRST, %edi
    mov $STUB_FD_PAGES, %esi
    syscall
    cmp $STUB_FD_PAGES, %rax
    jne die
    mov $NR_close, %eax
    mov $STUB_FD_FIRST, %edi
    syscall
    mov $NR_close, %eax
    mov $(STUB_FD_FIRST + 1), %edi
    syscall
    mov $NR_prctl, %eax
    mov $1, %edi                    /* PR_SET_PDEATHSIG */
    mov $9, %esi                    /* SIGKILL */
    xor %edx, %edx
    xor %r10d, %r10d
    xor %r8d, %r8d
    syscall
    test %rax, %rax
    jnz die
    mov $NR_getppid, %eax
    syscall
    cmp %eax, REQUEST_PARENT
    jne die
    mov $NR_write, %eax
    mov $STUB_FD_SOCKET, %edi
    mov $STUB_TEXT, %esi
    mov $1, %edx
    syscall
    cmp $1, %rax
    jne die
    xor %r14d, %r14d

    AT(STUB_AT_LOOP)
loop:
    mov REQUEST_SEQUENCE, %eax
    lea 2(%r14), %ecx
    cmp %ecx, %eax
    je run
    mov %eax, %edx
    sub %r14d, %edx
    cmp $1, %edx
    ja die
    mov %eax, %edx
    mov $NR_futex, %eax
    mov $STUB_REQUEST, %edi
    xor %esi, %esi                  /* FUTEX_WAIT */
    xor %r10d, %r10d
    AT(STUB_AT_WAIT)
    syscall
    jmp loop

run:
    mov %ecx, %r14d
    mov REQUEST_COUNT, %ebx
    cmp $STUB_OPS_MAX, %ebx
    ja die
    xor %ebp, %ebp
    mov $REQUEST_OPS, %r15d
next:
    cmp %ebx, %ebp
    jae done
    mov 0(%r15), %rax
    mov 8(%r15), %rdi
    mov 16(%r15), %rsi
    mov 24(%r15), %rdx
    mov 32(%r15), %r10
    mov 40(%r15), %r8
    mov 48(%r15), %r9
    mov 56(%r15), %r13
    cmp %r14d, REQUEST_SEQUENCE
    jne die
    AT(STUB_AT_LIST)
    syscall
    test %rax, %rax
    jnz store
    cmp $STUB_CHILD_PROCESS, %r13d
    je start_process
    cmp $STUB_CHILD_GUEST, %r13d
    je guest_start
    cmp $STUB_CHILD_THREAD, %r13d
    je park
store:
    mov %rax, REPLY_RESULTS(,%rbp,8)
    inc %ebp
    add $STUB_OP_SIZE, %r15d
    jmp next
done:
    mov %r14d, REPLY_SEQUENCE
    mov $NR_futex, %eax
    mov $STUB_REPLY, %edi
    mov $1, %esi                    /* FUTEX_WAKE */
    mov $1, %edx
    AT(STUB_AT_WAKE)
    syscall
    jmp loop

park:
    mov $NR_pause, %eax
    AT(STUB_AT_PARK)
    syscall
    jmp park

    AT(STUB_AT_EXIT)
    syscall                         /* the engine sets the number and the status */
    ud2

die:
    mov $NR_exit_group, %eax
    mov $1, %edi
    AT(STUB_AT_DIE)
    syscall
    ud2

    AT(STUB_AT_ATOMIC)
    lock cmpxchg %esi, (%rdi)
    int3

/*
 * A guest thread of the trap and unotify engines. r8: its area. Ends with the thread's own filter,
 * after which only the calls below are left to it.
 */
    AT(STUB_AT_GUEST_START)
guest_start:
    wrgsbase %r8
    lea STUB_AREA_SIZE(%r8), %rsp
    mov $NR_sigaltstack, %eax
    lea MAILBOX_ALTSTACK(%r8), %rdi
    xor %esi, %esi
    syscall
    test %rax, %rax
    jnz die
    mov $NR_rt_sigprocmask, %eax
    mov $2, %edi                    /* SIG_SETMASK */
    mov $other_signals, %esi
    xor %edx, %edx
    mov $8, %r10d
    syscall
    test %rax, %rax
    jnz die
    mov $NR_seccomp, %eax
    mov $1, %edi                    /* SECCOMP_SET_MODE_FILTER */
    mov STUB_REQUEST + STUB_REQUEST_FLAGS, %esi
    mov $(STUB_REQUEST + STUB_REQUEST_FILTER), %edx
    syscall
    test %rax, %rax
    js die
    AT(STUB_AT_GUEST_READY)
    mov %r8, %rdi
    call guest_ready
    ud2
    .balign 8
other_signals:                      /* all but ILL TRAP BUS FPE SEGV URG SYS */
    .quad ~0x404004d8

/* void guest_wait(word, value): FUTEX_WAIT without a time limit. */
    .globl guest_wait
    AT(STUB_AT_GUEST_WAIT - 16)
guest_wait:
    mov %esi, %edx
    xor %esi, %esi
    xor %r10d, %r10d
    mov $NR_futex, %eax
    AT(STUB_AT_GUEST_WAIT)
    syscall
    ret

/* void guest_wake(word): FUTEX_WAKE of one. */
    .globl guest_wake
    AT(STUB_AT_GUEST_WAKE - 16)
guest_wake:
    xor %r9d, %r9d
wake_and_leave:                     /* r9d not zero */
    mov $1, %esi
    mov %esi, %edx
    mov $NR_futex, %eax
    AT(STUB_AT_GUEST_WAKE)
    syscall
    test %r9d, %r9d
    jnz leave
    ret

/*
 * void guest_exit(word): gives the turn to the sentry for the last time and ends the thread without
 * using its area any more, not even as a stack: it may already be another thread's.
 */
    .globl guest_exit
    AT(STUB_AT_GUEST_EXIT - 32)
guest_exit:
    mov $STUB_TURN_SENTRY, %eax
    mov %eax, %r9d
    xchg %eax, (%rdi)
    test $STUB_TURN_WAITER, %al
    jnz wake_and_leave
leave:
    xor %edi, %edi
    mov $NR_exit, %eax
    AT(STUB_AT_GUEST_EXIT)
    syscall
    ud2

/* Every signal arrives here, on the alternate stack: signal number, siginfo, ucontext. */
    AT(STUB_AT_SIGNAL)
    cld
    push $0x202
    popfq
    and $-16, %rsp
    call guest_signal
    ud2

    AT(STUB_AT_RESTORER)
    ud2

/*
 * A rewritten call site: all registers as at its system call, but rcx has the return address. The
 * thread's area is at the gs base, its stack at the end of it. Nothing below the guest's stack
 * pointer is touched.
 */
    AT(STUB_AT_ENTRY)
entry:
    mov %rdi, %gs:MAILBOX_RDI
    mov %rcx, %gs:MAILBOX_RIP
    .globl entry_stored
entry_stored:
    mov %rsp, %rdi                  /* no flag is changed before they are stored */
    rdgsbase %rcx
    lea STUB_AREA_SIZE(%rcx), %rsp
    pushfq
    push %rdi
    mov %rcx, %rdi
    cld
    mov %rax, MAILBOX_RAX(%rdi)
    pop %rcx                        /* the guest's stack pointer */
    pop %r11                        /* its flags */
    cmp $STUB_ANSWERED_CALLS, %rax
    jae ask
    movzbl guest_answers(%rax), %eax
    mov MAILBOX_ANSWERS(%rdi, %rax, 8), %rax
    test %rax, %rax
    jz ask
    mov %eax, %eax
/*
 * The call is answered here: rax has its result. A signal that interrupts from the test of
 * `interrupted` on finds the guest behind its call: see guest.c.
 */
    .globl answer_begin
    .globl answer_left
    .globl answer_end
answer_begin:
    cmpl $0, MAILBOX_INTERRUPTED(%rdi)
    jne ask
    push %r11
    popfq
    mov %rcx, %rsp
answer_left:                        /* the area's stack */
    mov MAILBOX_RIP(%rdi), %rcx
    mov MAILBOX_RDI(%rdi), %rdi
    jmp *%rcx
answer_end:
ask:
    mov %rsi, MAILBOX_RSI(%rdi)
    mov %rdx, MAILBOX_RDX(%rdi)
    mov %r10, MAILBOX_R10(%rdi)
    mov %r8, MAILBOX_R8(%rdi)
    KEEP(%rcx, MAILBOX_RSP)
    KEEP(%r11, MAILBOX_EFLAGS)
    KEEP(%r9, MAILBOX_R9)
    KEEP(%rbx, MAILBOX_RBX)
    KEEP(%rbp, MAILBOX_RBP)
    KEEP(%r12, MAILBOX_R12)
    KEEP(%r13, MAILBOX_R13)
    KEEP(%r14, MAILBOX_R14)
    KEEP(%r15, MAILBOX_R15)
    test $0x44100, %r11d            /* AC NT TF: not while we run */
    jz 1f
    push $0x202
    popfq
1:  call guest_call
    ud2

/* void guest_yield(void): sched_yield. */
    .globl guest_yield
    AT(STUB_AT_GUEST_YIELD - 16)
guest_yield:
    mov $NR_sched_yield, %eax
    AT(STUB_AT_GUEST_YIELD)
    syscall
    ret

/*
 * The ways back to guest code. A signal that interrupts between the test of `interrupted` and the
 * guest's first instruction is noticed by its address here, and the sentry asked again.
 *
 * guest_return(mailbox): rcx is rip and r11 the flags, as after a system call.
 */
    .globl guest_return
    .globl guest_load
    AT(STUB_AT_RESUME)
guest_return:
    lea STUB_AREA_SIZE(%rdi), %rsp
    cmpl $0, MAILBOX_INTERRUPTED(%rdi)
    jne interrupted
    mov MAILBOX_EFLAGS(%rdi), %r11
    push %r11
    popfq
    mov MAILBOX_RAX(%rdi), %rax
    mov MAILBOX_RSI(%rdi), %rsi
    mov MAILBOX_RDX(%rdi), %rdx
    mov MAILBOX_R10(%rdi), %r10
    mov MAILBOX_R8(%rdi), %r8
    mov MAILBOX_R9(%rdi), %r9
    mov MAILBOX_RIP(%rdi), %rcx
    mov MAILBOX_RBX(%rdi), %rbx
    mov MAILBOX_RBP(%rdi), %rbp
    mov MAILBOX_R12(%rdi), %r12
    mov MAILBOX_R13(%rdi), %r13
    mov MAILBOX_R14(%rdi), %r14
    mov MAILBOX_R15(%rdi), %r15
    mov MAILBOX_RSP(%rdi), %rsp
    mov MAILBOX_RDI(%rdi), %rdi
    jmp *%rcx

/*
 * guest_load(mailbox, frame, gs base): any registers. The frame holds the general registers in the
 * order of the pops below, then what iretq takes.
 */
guest_load:
    cmpl $0, MAILBOX_INTERRUPTED(%rdi)
    jne interrupted
    mov %rsi, %rsp
    wrgsbase %rdx
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    iretq
interrupted:
    lea STUB_AREA_SIZE(%rdi), %rsp
    call guest_interrupted
    ud2

/* void guest_restart(area, function, argument): calls function(area, argument) on an empty stack. */
    .globl guest_restart
    AT(STUB_AT_RESUME_END)
guest_restart:
    lea STUB_AREA_SIZE(%rdi), %rsp
    mov %rsi, %rax
    mov %rdx, %rsi
    call *%rax
    ud2

    AT(STUB_ENTRY_SLOT)
    .quad entry

    .section .note.GNU-stack, "", @progbits
