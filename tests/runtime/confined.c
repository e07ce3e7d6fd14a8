/*
 * confined.c: runs a program under what a container denies: the calls that Docker's default seccomp
 * profile refuses to a container without added capabilities, on kernels since 4.8.
 *
 *   confined [--no-ptrace] PROGRAM ARGUMENT...
 *
 * --no-ptrace: also what Yama's scope 3 takes away (tracing and other processes' memory), which
 * cannot be set back on a running host. Status 77 when filters cannot be installed.
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <unistd.h>

#define DENIED(name)                                                                               \
    {                                                                                              \
        SCMP_SYS(name), #name                                                                      \
    }

/* Not in the profile, or only with a capability that a container has not. */
static const struct {
    int number;
    const char *name;
} denied[] = {
    DENIED(acct),
    DENIED(add_key),
    DENIED(bpf),
    DENIED(clock_adjtime),
    DENIED(clock_settime),
    DENIED(create_module),
    DENIED(delete_module),
    DENIED(fanotify_init),
    DENIED(finit_module),
    DENIED(fsconfig),
    DENIED(fsmount),
    DENIED(fsopen),
    DENIED(fspick),
    DENIED(get_mempolicy),
    DENIED(init_module),
    DENIED(io_uring_enter),
    DENIED(io_uring_register),
    DENIED(io_uring_setup),
    DENIED(ioperm),
    DENIED(iopl),
    DENIED(kexec_file_load),
    DENIED(kexec_load),
    DENIED(keyctl),
    DENIED(lookup_dcookie),
    DENIED(mbind),
    DENIED(mount),
    DENIED(mount_setattr),
    DENIED(move_mount),
    DENIED(move_pages),
    DENIED(nfsservctl),
    DENIED(open_by_handle_at),
    DENIED(open_tree),
    DENIED(perf_event_open),
    DENIED(pivot_root),
    DENIED(quotactl),
    DENIED(reboot),
    DENIED(request_key),
    DENIED(set_mempolicy),
    DENIED(setdomainname),
    DENIED(sethostname),
    DENIED(setns),
    DENIED(settimeofday),
    DENIED(swapoff),
    DENIED(swapon),
    DENIED(syslog),
    DENIED(umount2),
    DENIED(unshare),
    DENIED(userfaultfd),
    DENIED(ustat),
    DENIED(vhangup),
    DENIED(vm86),
};

static const int denied_by_yama[] = {SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
                                     SCMP_SYS(process_vm_writev), SCMP_SYS(kcmp),
                                     SCMP_SYS(pidfd_getfd)};

static int add_rules(scmp_filter_ctx filter, int no_ptrace)
{
    const unsigned long namespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                     CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;
    int rc = 0;
    for (size_t i = 0; i < sizeof denied / sizeof denied[0] && rc == 0; i++) {
        if (denied[i].number >= 0) {
            rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), denied[i].number, 0);
        }
    }
    for (size_t i = 0; i < sizeof denied_by_yama / sizeof *denied_by_yama && rc == 0; i++) {
        if (no_ptrace) {
            rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), denied_by_yama[i], 0);
        }
    }
    /* clone with namespaces; clone3, whose flags a filter cannot see, does not exist. */
    for (unsigned long flag = 1; flag != 0 && rc == 0; flag <<= 1) {
        if ((namespaces & flag) != 0) {
            rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
        }
    }
    if (rc == 0) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    }
    if (rc == 0) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
                              SCMP_A0(SCMP_CMP_EQ, AF_VSOCK));
    }
    /* personality: Linux, 32-bit addresses, and asking. */
    if (rc == 0) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(personality), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, ADDR_NO_RANDOMIZE, ADDR_NO_RANDOMIZE));
    }
    return rc;
}

int main(int argc, char **argv)
{
    int no_ptrace = argc > 1 && strcmp(argv[1], "--no-ptrace") == 0;
    char **program = argv + 1 + no_ptrace;
    if (argc < 2 + no_ptrace) {
        fprintf(stderr, "usage: confined [--no-ptrace] PROGRAM ARGUMENT...\n");
        return 2;
    }
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    /* The profile allows the other calling conventions. */
    if (filter == NULL || seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW) != 0 ||
        add_rules(filter, no_ptrace) != 0 || seccomp_load(filter) != 0) {
        fprintf(stderr, "confined: cannot install the filter\n");
        return 77;
    }
    seccomp_release(filter);
    execvp(program[0], program);
    perror(program[0]);
    return 127;
}
