/*
 * trap.c: the trap engine's table, and its address spaces.
 */
#include "platform/trap/trap.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/stub/stub_image.h"
#include "platform/stub/stub_reach.h"
#include "platform/trap/trap_internal.h"

/* The interrupt's handler needs microseconds; on a crowded host it may have to wait for a CPU. */
#define SILENCE_LIMIT_NS 20000000000ULL

static int trap_init(const struct platform_config *config, struct platform **ret_platform)
{
    struct platform *platform = calloc(1, sizeof *platform);
    if (platform == NULL) {
        return -ENOMEM;
    }
    trap_pace_start(platform);
    platform->silence_limit_ns =
        config->silence_limit_ms != 0 ? config->silence_limit_ms * 1000000ULL : SILENCE_LIMIT_NS;
    int image = config->stub_image_fd >= 0 ? config->stub_image_fd : stub_image_create();
    int rc = image < 0 ? image : placement_new(&platform->placement);
    if (rc == 0) {
        rc = stub_start_template(image, SECCOMP_RET_TRAP, &platform->template_stub);
    }
    if (rc == 0) {
        rc = trap_text_init(platform);
    }
    if (rc == 0) {
        rc = trap_monitor_new(&platform->monitor);
    }
    if (rc == 0) {
        rc = trap_pool_new(platform, config->ready_spaces, &platform->pool);
    }
    if (image >= 0 && config->stub_image_fd < 0) {
        close(image);
    }
    if (rc != 0) {
        trap_monitor_free(platform->monitor);
        trap_text_fini(platform);
        stub_free(platform->template_stub);
        placement_free(platform->placement);
        free(platform);
        return rc;
    }
    *ret_platform = platform;
    return 0;
}

static void trap_fini(struct platform *platform)
{
    if (platform == NULL) {
        return;
    }
    trap_pool_free(platform->pool);
    trap_monitor_free(platform->monitor);
    trap_text_fini(platform);
    stub_free(platform->template_stub);
    placement_free(platform->placement);
    free(platform);
}

int trap_new_space(struct platform *platform, struct address_space *parent,
                   struct address_space **ret_space)
{
    struct address_space *space = calloc(1, sizeof *space);
    if (space == NULL) {
        return -ENOMEM;
    }
    mutex_init(&space->change, RANK_SPACE);
    int rc;
    if (parent != NULL) {
        mutex_lock(&parent->change);
        rc = trap_text_new(space, parent);
        rc = rc != 0 ? rc : stub_fork(parent->stub, &space->stub);
        mutex_unlock(&parent->change);
    } else {
        rc = trap_text_new(space, NULL);
        rc = rc != 0 ? rc : stub_fork(platform->template_stub, &space->stub);
    }
    if (rc == 0) {
        space->platform = platform;
        atomic_init(&space->stop_pending, 0);
        rc = trap_monitor_add_space(platform->monitor, space);
    }
    if (rc != 0) {
        stub_free(space->stub);
        trap_text_free(space);
        mutex_fini(&space->change);
        free(space);
        return rc;
    }
    *ret_space = space;
    return 0;
}

static int trap_space_new(struct platform *platform, struct address_space **ret_space)
{
    *ret_space = trap_pool_take(platform->pool);
    return *ret_space != NULL ? 0 : trap_new_space(platform, NULL, ret_space);
}

static int trap_space_fork(struct address_space *parent, struct address_space **ret_space)
{
    trap_copy_flush(parent);
    return trap_new_space(parent->platform, parent, ret_space);
}

void trap_space_free(struct address_space *space)
{
    if (space != NULL) {
        trap_monitor_remove_space(space->platform->monitor, space);
        stub_free(space->stub);
        trap_text_free(space);
        mutex_fini(&space->change);
        free(space);
    }
}

static bool trap_space_fault_of_guest(struct address_space *space)
{
    return stub_is_self_inflicted(space->stub);
}

static void trap_space_vdso(struct address_space *space, struct vdso_info *ret_info)
{
    *ret_info = space->stub->vdso;
}

static int trap_space_map(struct address_space *space, guest_addr addr, uint64_t length, int prot,
                          int flags, int fd, uint64_t offset)
{
    trap_copy_flush(space);
    mutex_lock(&space->change);
    int rc = trap_text_map(space, addr, length, prot, flags, fd, offset);
    mutex_unlock(&space->change);
    return rc;
}

static int trap_space_unmap(struct address_space *space, guest_addr addr, uint64_t length)
{
    trap_copy_flush(space);
    mutex_lock(&space->change);
    int rc = trap_text_clear(space, addr, length);
    rc = rc != 0 ? rc : stub_unmap(space->stub, addr, length);
    mutex_unlock(&space->change);
    return rc;
}

static int trap_space_protect(struct address_space *space, guest_addr addr, uint64_t length,
                              int prot)
{
    trap_copy_flush(space);
    mutex_lock(&space->change);
    int rc = trap_text_protect(space, addr, length, prot);
    rc = rc != 0 ? rc : stub_protect(space->stub, addr, length, prot);
    mutex_unlock(&space->change);
    return rc;
}

static int trap_space_remap(struct address_space *space, guest_addr old_addr, uint64_t old_length,
                            guest_addr new_addr, uint64_t new_length, int flags)
{
    trap_copy_flush(space);
    mutex_lock(&space->change);
    int rc = trap_text_restore(space, old_addr, old_length != 0 ? old_length : STUB_PAGE);
    rc = rc != 0 ? rc : trap_text_clear(space, new_addr, new_length);
    rc = rc != 0 ? rc : stub_remap(space->stub, old_addr, old_length, new_addr, new_length, flags);
    mutex_unlock(&space->change);
    return rc;
}

static int trap_space_advise(struct address_space *space, guest_addr addr, uint64_t length,
                             int advice)
{
    trap_copy_flush(space);
    if (advice != MADV_DONTNEED) {
        return stub_advise(space->stub, addr, length, advice);
    }
    mutex_lock(&space->change);
    int rc = trap_text_drop(space, addr, length);
    mutex_unlock(&space->change);
    return rc;
}

static int trap_space_mincore(struct address_space *space, guest_addr addr, uint64_t length,
                              unsigned char *ret_vec)
{
    return stub_mincore(space->stub, addr, length, ret_vec);
}

static ssize_t trap_copy_out_force(struct address_space *space, guest_addr addr, const void *buffer,
                                   size_t length, int prot)
{
    trap_copy_flush(space);
    mutex_lock(&space->change);
    int rc = trap_text_restore(space, addr, length);
    ssize_t count = rc != 0 ? rc : stub_copy_out_force(space->stub, addr, buffer, length, prot);
    mutex_unlock(&space->change);
    return count;
}

static int trap_host_calls(struct host_call_set *ret_set, bool guest)
{
    return guest ? stub_reach_guest(SECCOMP_RET_TRAP, ret_set)
                 : stub_reach_service(SECCOMP_RET_TRAP, ret_set);
}

static void trap_thread_rest(struct platform_thread *thread, bool begins)
{
    placement_rest(&thread->pair, begins);
}

static void trap_thread_bring(struct platform_thread *thread)
{
    placement_bring(thread->space->platform->placement, &thread->pair);
}

const struct platform_ops trap_platform_ops = {
    .name = "trap",
    .host_calls = trap_host_calls,
    .probe = trap_probe,
    .init = trap_init,
    .fini = trap_fini,
    .space_new = trap_space_new,
    .space_fork = trap_space_fork,
    .space_free = trap_space_free,
    .space_fault_of_guest = trap_space_fault_of_guest,
    .space_vdso = trap_space_vdso,
    .space_map = trap_space_map,
    .space_unmap = trap_space_unmap,
    .space_protect = trap_space_protect,
    .space_remap = trap_space_remap,
    .space_advise = trap_space_advise,
    .space_mincore = trap_space_mincore,
    .copy_in = trap_copy_in,
    .copy_out = trap_copy_out,
    .copy_in_string = trap_copy_in_string,
    .copy_out_later = trap_copy_out_later,
    .copy_out_force = trap_copy_out_force,
    .thread_new = trap_thread_new,
    .thread_free = trap_thread_free,
    .thread_run = trap_thread_run,
    .thread_answer = trap_thread_answer,
    .thread_interrupt = trap_thread_interrupt,
    .thread_get_xstate = trap_thread_get_xstate,
    .thread_set_xstate = trap_thread_set_xstate,
    .thread_atomic = trap_thread_atomic,
    .thread_cpu_time = trap_thread_cpu_time,
    .thread_rest = trap_thread_rest,
    .thread_bring = trap_thread_bring,
    .thread_set_affinity = trap_thread_set_affinity,
};
