/*
 * strace.c: lines of the trace. Each is built in a text and written with one write(2); a line that
 * cannot be built for lack of memory is left out. Takes no locks.
 */
#include "syscalls/strace.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sentry/kernel/task.h"
#include "syscalls/dispatch.h"
#include "syscalls/strace_names.h"
#include "syscalls/strace_value.h"
#include "syscalls/syscall.h"
#include "syscalls/syscall_table.h"

#include "syscalls/arguments.h"

#define NR_EXIT         60
#define NR_EXIT_GROUP   231
#define NR_RT_SIGRETURN 15

atomic_int strace_fd = -1;

void strace_configure(int fd)
{
    atomic_store(&strace_fd, fd);
    syscall_watch();
}

static void start_line(struct text *text, const struct task *task)
{
    text_printf(text, "[%4d] ", task->tid);
}

static void write_line(struct text *text)
{
    int fd = atomic_load(&strace_fd);
    text_putc(text, '\n');
    if (!text->failed && fd >= 0) {
        ignore_result(write(fd, text->data, text->length));
    }
    text_fini(text);
}

/* The mode of open(2) means something only where a file may be made. */
static bool is_unused_mode(const struct strace_call *call, unsigned index)
{
    const struct syscall_argument *arguments = call->row->arguments;
    return arguments[index].type == ARG_MODE && index > 0 &&
           arguments[index - 1].type == ARG_OPEN_FLAGS &&
           (call->args->arg[index - 1] & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) == 0;
}

/* Appends arguments from call->next on; before the call (result -1 and not `all`) only up to the
 * first one that the call fills. */
static void put_arguments(struct strace_call *call, struct task *task, long result, bool all)
{
    struct text *text = &call->before;
    for (; call->next < SYSCALL_MAX_ARGUMENTS; call->next++) {
        if (call->row->arguments[call->next].type == ARG_NONE || is_unused_mode(call, call->next)) {
            break;
        }
        if (!all && strace_is_output(call->row, call->next)) {
            return;
        }
        if (call->next > 0) {
            text_puts(text, ", ");
        }
        strace_put_argument(text, task->mm, call->row, call->args, call->next, result);
    }
}

void strace_enter(struct strace_call *call, struct task *task, unsigned number,
                  const struct syscall_args *args)
{
    *call = (struct strace_call){.number = number, .args = args, .before = TEXT_INIT};
    start_line(&call->before, task);
    if (number >= SYSCALL_COUNT || !syscall_table[number].name) {
        text_printf(&call->before, "syscall_%#x(%#llx, %#llx, %#llx, %#llx, %#llx, %#llx", number,
                    (unsigned long long)args->arg[0], (unsigned long long)args->arg[1],
                    (unsigned long long)args->arg[2], (unsigned long long)args->arg[3],
                    (unsigned long long)args->arg[4], (unsigned long long)args->arg[5]);
        return;
    }
    call->row = &syscall_table[number];
    text_puts(&call->before, call->row->name);
    text_putc(&call->before, '(');
    put_arguments(call, task, -1, false);
    if (number == NR_EXIT || number == NR_EXIT_GROUP) {
        text_puts(&call->before, ") = ?");
        write_line(&call->before);
        call->done = true;
    }
}

static bool returns_address(const struct strace_call *call)
{
    const char *name = call->row ? call->row->name : "";
    return strcmp(name, "mmap") == 0 || strcmp(name, "brk") == 0 || strcmp(name, "mremap") == 0;
}

static void put_result(struct strace_call *call, long result)
{
    struct text *text = &call->before;
    if (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK) {
        text_printf(text, ") = ? %s (%s)", strace_error_name((int)-result),
                    strace_error_text((int)-result));
    } else if (result < 0 && result >= -4095) {
        const char *name = strace_error_name((int)-result);
        text_printf(text, ") = -1 %s (%s)", name ? name : "E?", strace_error_text((int)-result));
    } else if (returns_address(call)) {
        text_printf(text, ") = %#lx", (unsigned long)result);
    } else {
        text_printf(text, ") = %ld", result);
    }
}

void strace_leave(struct strace_call *call, struct task *task, long result)
{
    if (call->done) {
        return;
    }
    if (call->row) {
        put_arguments(call, task, result, true);
    }
    put_result(call, result);
    write_line(&call->before);
}

static const char *code_name(int signo, int code)
{
    static const char *const child[] = {NULL,          "CLD_EXITED",  "CLD_KILLED",   "CLD_DUMPED",
                                        "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"};
    static const char *const general[] = {"SI_USER",    "SI_QUEUE", "SI_TIMER", "SI_MESGQ",
                                          "SI_ASYNCIO", "SI_SIGIO", "SI_TKILL"};
    if (code == SI_KERNEL) {
        return "SI_KERNEL";
    }
    if (code <= 0 && code >= SI_TKILL) {
        return general[-code];
    }
    if (signo == SIGCHLD && code > 0 && code < (int)array_size(child)) {
        return child[code];
    }
    if (signo == SIGSEGV && (code == SEGV_MAPERR || code == SEGV_ACCERR)) {
        return code == SEGV_MAPERR ? "SEGV_MAPERR" : "SEGV_ACCERR";
    }
    return NULL;
}

static void put_siginfo(struct text *text, int signo, const siginfo_t *info)
{
    const char *code = code_name(signo, info->si_code);
    text_puts(text, "{si_signo=");
    strace_put_signal(text, signo);
    if (code) {
        text_printf(text, ", si_code=%s", code);
    } else {
        text_printf(text, ", si_code=%d", info->si_code);
    }
    if (signo == SIGCHLD && info->si_code > 0) {
        text_printf(text, ", si_pid=%d, si_uid=%u, si_status=%d", info->si_pid, info->si_uid,
                    info->si_status);
    } else if (info->si_code == SI_USER || info->si_code == SI_TKILL || info->si_code == SI_QUEUE) {
        text_printf(text, ", si_pid=%d, si_uid=%u", info->si_pid, info->si_uid);
    } else if (info->si_code > 0 && (signo == SIGSEGV || signo == SIGBUS || signo == SIGFPE ||
                                     signo == SIGILL || signo == SIGTRAP)) {
        text_printf(text, ", si_addr=%#llx", (unsigned long long)(uintptr_t)info->si_addr);
    }
    text_putc(text, '}');
}

void strace_signal(struct task *task, const siginfo_t *info)
{
    struct text text = TEXT_INIT;
    if (!strace_enabled()) {
        return;
    }
    start_line(&text, task);
    text_puts(&text, "--- ");
    strace_put_signal(&text, info->si_signo);
    text_putc(&text, ' ');
    put_siginfo(&text, info->si_signo, info);
    text_puts(&text, " ---");
    write_line(&text);
}

void strace_exit(struct task *task, int wait_status)
{
    struct text text = TEXT_INIT;
    if (!strace_enabled()) {
        return;
    }
    start_line(&text, task);
    if (WIFSIGNALED(wait_status)) {
        text_puts(&text, "+++ killed by ");
        strace_put_signal(&text, WTERMSIG(wait_status));
        text_puts(&text, WCOREDUMP(wait_status) ? " (core dumped) +++" : " +++");
    } else {
        text_printf(&text, "+++ exited with %d +++", WEXITSTATUS(wait_status));
    }
    write_line(&text);
}
