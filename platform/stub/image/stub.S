/*
 * stub.S: all code that runs in a stub process besides the guest's. See platform/stub/README.md.
 *
 * The service thread keeps its state in registers and uses no stack: the guest can write every
 * writable byte of this process. r14d holds the sequence number of the last request.
 */
#include "platform/stub/layout.h"

#define NR_write 1
#define NR_close 3
#define NR_mmap 9
#define NR_dup2 33
#define NR_pause 34
#define NR_exit 60
#define NR_getppid 110
#define NR_prctl 157
#define NR_futex 202
#define NR_exit_group 231

#define REQUEST_SEQUENCE STUB_REQUEST
#define REQUEST_COUNT (STUB_REQUEST + 4)
#define REQUEST_PARENT (STUB_REQUEST + 8)
#define REQUEST_OPS (STUB_REQUEST + STUB_REQUEST_OPS)
#define REPLY_SEQUENCE STUB_REPLY
#define REPLY_RESULTS (STUB_REPLY + 64)

#define AT(address) .org (address) - STUB_TEXT, 0x90

    .text
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
    AT(STUB_AT_END)

    .section .note.GNU-stack, "", @progbits
