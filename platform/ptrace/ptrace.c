/*
 * ptrace.c: the ptrace engine's table, and its address spaces, which are stubs and nothing more.
 */
#include "platform/ptrace/ptrace.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/ptrace/ptrace_internal.h"
#include "platform/stub/stub_image.h"

static int ptrace_init(const struct platform_config *config, struct platform **ret_platform)
{
    struct platform *platform = calloc(1, sizeof *platform);
    if (platform == NULL) {
        return -ENOMEM;
    }
    int image = config->stub_image_fd >= 0 ? config->stub_image_fd : stub_image_create();
    int rc = image < 0 ? image : placement_new(&platform->placement);
    if (rc == 0) {
        /* Guest threads never get to make a call: one from elsewhere is an attack. */
        rc = stub_start_template(image, SECCOMP_RET_KILL_PROCESS, &platform->template_stub);
    }
    if (image >= 0 && config->stub_image_fd < 0) {
        close(image);
    }
    if (rc != 0) {
        placement_free(platform->placement);
        free(platform);
        return rc;
    }
    *ret_platform = platform;
    return 0;
}

static void ptrace_fini(struct platform *platform)
{
    if (platform == NULL) {
        return;
    }
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
    *ret_space = space;
    return 0;
}

static int ptrace_space_new(struct platform *platform, struct address_space **ret_space)
{
    return new_space(platform, platform->template_stub, ret_space);
}

static int ptrace_space_fork(struct address_space *parent, struct address_space **ret_space)
{
    return new_space(parent->platform, parent->stub, ret_space);
}

static void ptrace_space_free(struct address_space *space)
{
    if (space != NULL) {
        stub_free(space->stub);
        free(space);
    }
}

static bool ptrace_space_fault_of_guest(struct address_space *space)
{
    /* The host tells how the process ended only when all its traced threads are reaped. */
    return atomic_load(&space->stub->broken);
}

static void ptrace_space_vdso(struct address_space *space, struct vdso_info *ret_info)
{
    *ret_info = space->stub->vdso;
}

static int ptrace_space_map(struct address_space *space, guest_addr addr, uint64_t length, int prot,
                            int flags, int fd, uint64_t offset)
{
    return stub_map(space->stub, addr, length, prot, flags, fd, offset);
}

static int ptrace_space_unmap(struct address_space *space, guest_addr addr, uint64_t length)
{
    return stub_unmap(space->stub, addr, length);
}

static int ptrace_space_protect(struct address_space *space, guest_addr addr, uint64_t length,
                                int prot)
{
    return stub_protect(space->stub, addr, length, prot);
}

static int ptrace_space_remap(struct address_space *space, guest_addr old_addr, uint64_t old_length,
                              guest_addr new_addr, uint64_t new_length, int flags)
{
    return stub_remap(space->stub, old_addr, old_length, new_addr, new_length, flags);
}

static int ptrace_space_advise(struct address_space *space, guest_addr addr, uint64_t length,
                               int advice)
{
    return stub_advise(space->stub, addr, length, advice);
}

static int ptrace_space_mincore(struct address_space *space, guest_addr addr, uint64_t length,
                                unsigned char *ret_vec)
{
    return stub_mincore(space->stub, addr, length, ret_vec);
}

static ssize_t ptrace_copy_in(struct address_space *space, guest_addr addr, void *buffer,
                              size_t length)
{
    return stub_copy_in(space->stub, addr, buffer, length);
}

static ssize_t ptrace_copy_out(struct address_space *space, guest_addr addr, const void *buffer,
                               size_t length)
{
    return stub_copy_out(space->stub, addr, buffer, length);
}

static ssize_t ptrace_copy_out_force(struct address_space *space, guest_addr addr,
                                     const void *buffer, size_t length, int prot)
{
    return stub_copy_out_force(space->stub, addr, buffer, length, prot);
}

static void ptrace_thread_rest(struct platform_thread *thread, bool begins)
{
    placement_rest(&thread->pair, begins);
}

static void ptrace_thread_bring(struct platform_thread *thread)
{
    placement_bring(thread->space->platform->placement, &thread->pair);
}

const struct platform_ops ptrace_platform_ops = {
    .name = "ptrace",
    .traces = true,
    .probe = ptrace_probe,
    .init = ptrace_init,
    .fini = ptrace_fini,
    .space_new = ptrace_space_new,
    .space_fork = ptrace_space_fork,
    .space_free = ptrace_space_free,
    .space_fault_of_guest = ptrace_space_fault_of_guest,
    .space_vdso = ptrace_space_vdso,
    .space_map = ptrace_space_map,
    .space_unmap = ptrace_space_unmap,
    .space_protect = ptrace_space_protect,
    .space_remap = ptrace_space_remap,
    .space_advise = ptrace_space_advise,
    .space_mincore = ptrace_space_mincore,
    .copy_in = ptrace_copy_in,
    .copy_out = ptrace_copy_out,
    .copy_out_force = ptrace_copy_out_force,
    .thread_new = ptrace_thread_new,
    .thread_free = ptrace_thread_free,
    .thread_run = ptrace_thread_run,
    .thread_interrupt = ptrace_thread_interrupt,
    .thread_get_xstate = ptrace_thread_get_xstate,
    .thread_set_xstate = ptrace_thread_set_xstate,
    .thread_atomic = ptrace_thread_atomic,
    .thread_cpu_time = ptrace_thread_cpu_time,
    .thread_rest = ptrace_thread_rest,
    .thread_bring = ptrace_thread_bring,
    .thread_set_affinity = ptrace_thread_set_affinity,
};
