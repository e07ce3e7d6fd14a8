/*
 * ptrace_watch.c: the debug registers. While one is enabled the task is stepped, and after each
 * step it is seen whether the next instruction or a value is one that is watched for.
 * Linux: arch/x86/kernel/ptrace.c (ptrace_write_dr7), arch/x86/kernel/hw_breakpoint.c.
 *
 * DIFFERS: a write that does not change the value is not noticed, and reads cannot be watched.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "platform/arch/memory_access.h"
#include "platform/platform.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"

#define TASK_SIZE_LIMIT 0x7ffffffff000ULL
#define DR7_ENABLES     0xffULL
#define DR7_CONTROL     0xfc00ULL /* reserved and general bits, which nobody needs */
#define DR6_STEP        0x4000ULL
#define CODE_WATCH      4 /* TRAP_HWBKPT */

enum watch_kind { WATCH_EXECUTE, WATCH_WRITE, WATCH_IO, WATCH_ACCESS };

static bool is_enabled(uint64_t control, unsigned index)
{
    return (control >> (2 * index) & 3) != 0;
}

static enum watch_kind kind_of(uint64_t control, unsigned index)
{
    return (enum watch_kind)(control >> (16 + 4 * index) & 3);
}

static unsigned size_of(uint64_t control, unsigned index)
{
    static const unsigned sizes[] = {1, 2, 8, 4};
    return sizes[control >> (18 + 4 * index) & 3];
}

static int check(const uint64_t debug[8], uint64_t control, unsigned index)
{
    unsigned size = size_of(control, index);
    enum watch_kind kind = kind_of(control, index);
    if (kind == WATCH_ACCESS) {
        return -ENOSPC;
    }
    if (kind == WATCH_IO || (kind == WATCH_EXECUTE && size != 1) ||
        (debug[index] & (size - 1)) != 0) {
        return -EINVAL;
    }
    return 0;
}

int ptrace_set_debug(uint64_t debug[8], unsigned index, uint64_t value)
{
    if (index == 4 || index == 5) {
        return -EIO;
    }
    if (index < 4 && value >= TASK_SIZE_LIMIT) {
        return -EINVAL;
    }
    uint64_t control = index == 7 ? value & ~DR7_CONTROL : debug[7];
    uint64_t changed[8];
    memcpy(changed, debug, sizeof(changed));
    changed[index] = index == 7 ? control : value;
    for (unsigned i = 0; i < 4; i++) {
        int result = index != 6 && is_enabled(control, i) ? check(changed, control, i) : 0;
        if (result != 0) {
            return result;
        }
    }
    debug[index] = changed[index];
    return 0;
}

bool ptrace_debug_enabled(const uint64_t debug[8])
{
    return (debug[7] & DR7_ENABLES) != 0;
}

static uint64_t watched_value(struct task *task, unsigned index)
{
    uint64_t value = 0;
    size_t size = size_of(task->ptrace.debug[7], index);
    ignore_result(mm_copy_in(task->mm, task->ptrace.debug[index], &value, size));
    return value;
}

/* Another thread's write is not this one's: only an instruction that writes there may have been. */
void ptrace_watch_begin(struct task *task)
{
    struct ptrace_state *state = &task->ptrace;
    uint8_t bytes[15];
    ssize_t got = mm_copy_in_some(task->mm, task->regs.rip, bytes, sizeof(bytes));
    state->may_write = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t addr = state->debug[i];
        if (got > 0 && is_enabled(state->debug[7], i) &&
            kind_of(state->debug[7], i) == WATCH_WRITE &&
            arch_access_is_write(bytes, (size_t)got, &task->regs, addr)) {
            state->watched[i] = watched_value(task, i);
            state->may_write |= 1U << i;
        }
    }
}

/* Which of the registers tell of this step: bits of DR6. */
static uint64_t find_hits(struct task *task)
{
    const struct ptrace_state *state = &task->ptrace;
    uint64_t hits = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (!is_enabled(state->debug[7], i)) {
            continue;
        }
        bool hit =
            kind_of(state->debug[7], i) == WATCH_EXECUTE
                ? task->regs.rip == state->debug[i]
                : (state->may_write & 1U << i) && watched_value(task, i) != state->watched[i];
        hits |= hit ? 1ULL << i : 0;
    }
    return hits;
}

bool ptrace_watch_step(struct task *task, struct platform_fault *fault)
{
    struct ptrace_state *state = &task->ptrace;
    unsigned mode = atomic_load(&state->mode);
    bool own_step = fault->signo == SIGTRAP && fault->code == TRAP_TRACE;
    if (!own_step || !(mode & PTRACE_MODE_WATCH)) {
        return false;
    }
    uint64_t hits = find_hits(task);
    bool wanted = (mode & PTRACE_MODE_STEP) || !state->was_step;
    state->debug[6] |= hits | (wanted ? DR6_STEP : 0);
    if (hits != 0) {
        fault->code = CODE_WATCH;
        fault->addr = task->regs.rip;
    }
    return hits == 0 && !wanted;
}
