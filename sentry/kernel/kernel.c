/* kernel.c: the sandbox-wide state. */
#include "sentry/kernel/kernel.h"

#include <errno.h>
#include <string.h>

#include "sentry/kernel/task.h"

struct kernel kernel;
void (*kernel_task_exited)(struct task *task, int wait_status);
void (*kernel_first_process_exited)(int wait_status);
static int charge_nothing(int64_t bytes)
{
    (void)bytes;
    return 0;
}
int (*kernel_charge)(int64_t bytes) = charge_nothing;
void (*kernel_limit_hit)(const char *name, const char *detail, bool fatal);
struct tty_kernel_hooks tty_kernel_hooks;

static void get_name(const char *name, char buffer[65])
{
    mutex_lock(&kernel_lock);
    memcpy(buffer, name, 65);
    mutex_unlock(&kernel_lock);
}

static int set_name(char *name, const char *value, size_t length)
{
    if (length > 64) {
        return -EINVAL;
    }
    mutex_lock(&kernel_lock);
    memset(name, 0, 65);
    memcpy(name, value, length);
    mutex_unlock(&kernel_lock);
    return 0;
}

void kernel_get_hostname(char buffer[65])
{
    get_name(kernel.hostname, buffer);
}

int kernel_set_hostname(const char *name, size_t length)
{
    return set_name(kernel.hostname, name, length);
}

void kernel_get_domainname(char buffer[65])
{
    get_name(kernel.domainname, buffer);
    if (buffer[0] == '\0' && !kernel.domain_set) {
        memcpy(buffer, "(none)", sizeof("(none)"));
    }
}

int kernel_set_domainname(const char *name, size_t length)
{
    kernel.domain_set = true;
    return set_name(kernel.domainname, name, length);
}

void kernel_memory(uint64_t *ret_total, uint64_t *ret_available)
{
    uint64_t total = min_of(kernel.limits.memory_bytes, kernel.host_memory_bytes);
    uint64_t used = atomic_load(&kernel.memory_used) + atomic_load(&kernel.tmpfs_bytes);
    *ret_total = total;
    *ret_available = used < total ? total - used : 0;
}
