/*
 * trap_probe.c: what the engine needs of host and CPU.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/trap/trap_internal.h"

#define HWCAP2_FSGSBASE_BIT 2 /* Linux: asm/hwcap2.h */

int trap_probe(char *reason, size_t reason_size)
{
    uint32_t action = SECCOMP_RET_TRAP;
    if ((getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT) == 0) {
        snprintf(reason, reason_size, "the CPU or the kernel lacks FSGSBASE instructions");
        return -ENOTSUP;
    }
    if (arch_xstate_size() > STUB_XSTATE_MAX) {
        snprintf(reason, reason_size, "the CPU's extended state of %zu bytes is too large",
                 arch_xstate_size());
        return -ENOTSUP;
    }
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0) {
        snprintf(reason, reason_size, "the kernel has no seccomp filters that raise signals");
        return -ENOTSUP;
    }
    return 0;
}
