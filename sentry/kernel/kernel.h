/*
 * kernel.h: what the sandbox has once: the engine, the host's facts, names, limits, and how it
 * ends.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"
#include "platform/platform.h"

struct task;
struct process;
struct tty;
struct path;

struct kernel_limits { /* UINT64_MAX: none */
    uint64_t memory_bytes;
    uint64_t tasks; /* processes and threads at one time */
};

struct kernel {
    const struct platform_ops *platform_ops;
    struct platform *platform;
    /* fixed at boot */
    uint32_t cpu_count;    /* CPUs the sandbox may use */
    uint32_t cpu_highest;  /* the highest possible CPU number */
    uint8_t cpu_mask[128]; /* host CPU numbers */
    uint64_t host_memory_bytes;
    uint64_t boot_time_ns; /* CLOCK_REALTIME when CLOCK_BOOTTIME was 0: the guest sees the host's
                              clocks */
    uint64_t boot_monotonic_ns;
    struct kernel_limits limits;
    int nice; /* of the first process: what Stockade was started with */
    uint8_t boot_id[16];
    int random_fd; /* unused where getrandom works */
    /* under RANK_ACCOUNT through kernel_* below */
    char hostname[65];
    char domainname[65];
    bool domain_set; /* by somebody: it was "(none)" until then */
    /* Every call is wanted, those whose result is known before, too: they are traced or counted. */
    atomic_bool sees_all_calls;
    atomic_uint task_count;
    atomic_ullong memory_used; /* bytes, as the launcher measured it last */
    atomic_ullong tmpfs_bytes; /* of the in-memory file systems */
    atomic_ullong forks, context_switches;
    uint64_t ended_user_ns, ended_system_ns; /* (K) of reaped processes, for /proc/stat */
};

extern struct kernel kernel;

#define KERNEL_RELEASE "6.12.0-stockade"
#define KERNEL_VERSION "#1 SMP PREEMPT_DYNAMIC Stockade 1.0"

/* Called once, from the last thread of the sandbox's first process, with its wait status. */
extern void (*kernel_first_process_exited)(int wait_status);
/* Called by every ending task, with its wait status; set by --strace. May be NULL. */
extern void (*kernel_task_exited)(struct task *task, int wait_status);
/* A limit of the sandbox was reached: name as --result reports it. The first call ends the sandbox
 * where `fatal`. */
extern void (*kernel_limit_hit)(const char *name, const char *detail, bool fatal);

/* Memory that the sentry keeps on behalf of guests (messages, semaphores) changes by so many bytes:
 * only an increase may fail (-ENOSPC). Allowed under locks ranked below RANK_ACCOUNT. */
extern int (*kernel_charge)(int64_t bytes) must_check;

/* Memory that the sandbox may use, and how much of it is free: the limit, else the host's. */
void kernel_memory(uint64_t *ret_total, uint64_t *ret_available);

void kernel_get_hostname(char buffer[65]);
int kernel_set_hostname(const char *name, size_t length) must_check;
void kernel_get_domainname(char buffer[65]);
int kernel_set_domainname(const char *name, size_t length) must_check;

/* Terminal hooks, set by the tty layer at boot. NULL: no terminals. */
struct tty_kernel_hooks {
    /* The session leader exits or disassociates: hang up its terminal. */
    void (*disassociate)(struct tty *tty, bool hangup);
    uint64_t (*device)(struct tty *tty);      /* makedev, for /proc/pid/stat */
    int (*foreground_group)(struct tty *tty); /* -1: none */
};
extern struct tty_kernel_hooks tty_kernel_hooks;
