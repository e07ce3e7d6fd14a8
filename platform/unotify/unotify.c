/*
 * unotify.c: the unotify engine's table, and its address spaces, which are stubs and nothing more.
 */
#include "platform/unotify/unotify.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/stub/stub_image.h"
#include "platform/stub/stub_reach.h"
#include "platform/unotify/unotify_internal.h"

/* The interrupt's handler needs microseconds; on a crowded host it may have to wait for a CPU. */
#define SILENCE_LIMIT_NS 20000000000ULL

static int unotify_init(const struct platform_config *config, struct platform **ret_platform)
{
    struct platform *platform = calloc(1, sizeof *platform);
    if (platform == NULL) {
        return -ENOMEM;
    }
    const uint64_t silence_limit_ns =
        config->silence_limit_ms != 0 ? config->silence_limit_ms * 1000000ULL : SILENCE_LIMIT_NS;
    int image = config->stub_image_fd >= 0 ? config->stub_image_fd : stub_image_create();
    int rc = image < 0 ? image : placement_new(&platform->placement);
    if (rc == 0) {
        rc = stub_start_template(image, SECCOMP_RET_USER_NOTIF, &platform->template_stub);
    }
    if (rc == 0) {
        rc = unotify_watch_new(silence_limit_ns, &platform->watch);
    }
    if (image >= 0 && config->stub_image_fd < 0) {
        close(image);
    }
    if (rc != 0) {
        stub_free(platform->template_stub);
        placement_free(platform->placement);
        free(platform);
        return rc;
    }
    *ret_platform = platform;
    return 0;
}

static void unotify_fini(struct platform *platform)
{
    if (platform == NULL) {
        return;
    }
    unotify_watch_free(platform->watch);
    stub_free(platform->template_stub);
    placement_free(platform->placement);
    free(platform);
}

static int new_space(struct platform *platform, struct stub *parent,
                     struct address_space **ret_space)
{
    struct address_space *space = calloc(1, sizeof *space);
    if (space == NULL) {
        return -ENOMEM;
    }
    int rc = stub_fork(parent, &space->stub);
    if (rc != 0) {
        free(space);
        return rc;
    }
    space->platform = platform;
    mutex_init(&space->lock, RANK_PLATFORM);
    *ret_space = space;
    return 0;
}

static int unotify_space_new(struct platform *platform, struct address_space **ret_space)
{
    return new_space(platform, platform->template_stub, ret_space);
}

static int unotify_space_fork(struct address_space *parent, struct address_space **ret_space)
{
    return new_space(parent->platform, parent->stub, ret_space);
}

static void unotify_space_free(struct address_space *space)
{
    if (space != NULL) {
        /* First the end of its threads, which run on when nobody listens. */
        stub_free(space->stub);
        for (uint32_t i = 0; i < space->idle_count; i++) {
            close(space->idle[i]->listener);
            free(space->idle[i]);
        }
        mutex_fini(&space->lock);
        free(space);
    }
}

static bool unotify_space_fault_of_guest(struct address_space *space)
{
    return stub_is_self_inflicted(space->stub);
}

static void unotify_space_vdso(struct address_space *space, struct vdso_info *ret_info)
{
    *ret_info = space->stub->vdso;
}

static int unotify_space_map(struct address_space *space, guest_addr addr, uint64_t length,
                             int prot, int flags, int fd, uint64_t offset)
{
    return stub_map(space->stub, addr, length, prot, flags, fd, offset);
}

static int unotify_space_unmap(struct address_space *space, guest_addr addr, uint64_t length)
{
    return stub_unmap(space->stub, addr, length);
}

static int unotify_space_protect(struct address_space *space, guest_addr addr, uint64_t length,
                                 int prot)
{
    return stub_protect(space->stub, addr, length, prot);
}

static int unotify_space_remap(struct address_space *space, guest_addr old_addr,
                               uint64_t old_length, guest_addr new_addr, uint64_t new_length,
                               int flags)
{
    return stub_remap(space->stub, old_addr, old_length, new_addr, new_length, flags);
}

static int unotify_space_advise(struct address_space *space, guest_addr addr, uint64_t length,
                                int advice)
{
    return stub_advise(space->stub, addr, length, advice);
}

static int unotify_space_mincore(struct address_space *space, guest_addr addr, uint64_t length,
                                 unsigned char *ret_vec)
{
    return stub_mincore(space->stub, addr, length, ret_vec);
}

static ssize_t unotify_copy_in(struct address_space *space, guest_addr addr, void *buffer,
                               size_t length)
{
    return stub_copy_in(space->stub, addr, buffer, length);
}

static ssize_t unotify_copy_out(struct address_space *space, guest_addr addr, const void *buffer,
                                size_t length)
{
    return stub_copy_out(space->stub, addr, buffer, length);
}

static ssize_t unotify_copy_out_force(struct address_space *space, guest_addr addr,
                                      const void *buffer, size_t length, int prot)
{
    return stub_copy_out_force(space->stub, addr, buffer, length, prot);
}

static void unotify_thread_rest(struct platform_thread *thread, bool begins)
{
    placement_rest(&thread->pair, begins);
}

static void unotify_thread_bring(struct platform_thread *thread)
{
    placement_bring(thread->space->platform->placement, &thread->pair);
}

static int unotify_host_calls(struct host_call_set *ret_set, bool guest)
{
    return guest ? stub_reach_guest(SECCOMP_RET_USER_NOTIF, ret_set)
                 : stub_reach_service(SECCOMP_RET_USER_NOTIF, ret_set);
}

const struct platform_ops unotify_platform_ops = {
    .name = "unotify",
    .listens = true,
    .host_calls = unotify_host_calls,
    .probe = unotify_probe,
    .init = unotify_init,
    .fini = unotify_fini,
    .space_new = unotify_space_new,
    .space_fork = unotify_space_fork,
    .space_free = unotify_space_free,
    .space_fault_of_guest = unotify_space_fault_of_guest,
    .space_vdso = unotify_space_vdso,
    .space_map = unotify_space_map,
    .space_unmap = unotify_space_unmap,
    .space_protect = unotify_space_protect,
    .space_remap = unotify_space_remap,
    .space_advise = unotify_space_advise,
    .space_mincore = unotify_space_mincore,
    .copy_in = unotify_copy_in,
    .copy_out = unotify_copy_out,
    .copy_out_force = unotify_copy_out_force,
    .thread_new = unotify_thread_new,
    .thread_free = unotify_thread_free,
    .thread_run = unotify_thread_run,
    .thread_complete = unotify_thread_complete,
    .thread_interrupt = unotify_thread_interrupt,
    .thread_get_xstate = unotify_thread_get_xstate,
    .thread_set_xstate = unotify_thread_set_xstate,
    .thread_atomic = unotify_thread_atomic,
    .thread_cpu_time = unotify_thread_cpu_time,
    .thread_rest = unotify_thread_rest,
    .thread_bring = unotify_thread_bring,
    .thread_set_affinity = unotify_thread_set_affinity,
};
