/*
 * stub_time.c: CPU time of guest threads, as shares of their stub's.
 */
#include <errno.h>

#include "platform/host/process.h"
#include "platform/stub/stub.h"

void stub_time_add(struct stub *stub, struct stub_thread_time *time, uint64_t spent)
{
    atomic_fetch_add_explicit(&time->guest_time, spent, memory_order_relaxed);
    atomic_fetch_add_explicit(&stub->guest_time, spent, memory_order_relaxed);
}

int stub_time_read(struct stub *stub, struct stub_thread_time *time, uint64_t *ret_user_ns,
                   uint64_t *ret_system_ns)
{
    uint64_t user;
    uint64_t system;
    int rc = host_process_cpu_time(stub->pid, &user, &system);
    if (rc != 0) {
        return rc == -EINVAL ? PLATFORM_DEAD : rc;
    }
    uint64_t mine = atomic_load(&time->guest_time);
    uint64_t all = atomic_load(&stub->guest_time);
    if (mine < all) {
        user = (uint64_t)((unsigned __int128)user * mine / all);
        system = (uint64_t)((unsigned __int128)system * mine / all);
    }
    time->user_ns = max_of(time->user_ns, user);
    time->system_ns = max_of(time->system_ns, system);
    *ret_user_ns = time->user_ns;
    *ret_system_ns = time->system_ns;
    return 0;
}
