/*
 * strace_names.c: tables of symbolic names. Values are those of the guest ABI, which are the
 * host's.
 */
#include "syscalls/strace_names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/compiler.h"
#include "platform/base/text.h"
#include "sentry/core/restart.h"

#define NAME(x)                                                                                    \
    {                                                                                              \
        (uint64_t)(uint32_t)(x), #x                                                                \
    }
#define END                                                                                        \
    {                                                                                              \
        0, NULL                                                                                    \
    }

#define FLAGS(variable, mask, ...)                                                                 \
    static const struct strace_name variable##_names[] = {__VA_ARGS__, END};                       \
    const struct strace_flags variable = {variable##_names, mask};

FLAGS(strace_open_flags, O_ACCMODE, NAME(O_RDONLY), NAME(O_WRONLY), NAME(O_RDWR), NAME(O_CREAT),
      NAME(O_EXCL), NAME(O_NOCTTY), NAME(O_TRUNC), NAME(O_APPEND), NAME(O_NONBLOCK), NAME(O_SYNC),
      NAME(O_DSYNC), NAME(O_ASYNC), NAME(O_DIRECT), {0100000, "O_LARGEFILE"}, NAME(O_TMPFILE),
      NAME(O_DIRECTORY), NAME(O_NOFOLLOW), NAME(O_NOATIME), NAME(O_CLOEXEC), NAME(O_PATH))
FLAGS(strace_at_flags, 0, NAME(AT_SYMLINK_NOFOLLOW), NAME(AT_REMOVEDIR), NAME(AT_SYMLINK_FOLLOW),
      NAME(AT_NO_AUTOMOUNT), NAME(AT_EMPTY_PATH), NAME(AT_STATX_FORCE_SYNC),
      NAME(AT_STATX_DONT_SYNC))
FLAGS(strace_msg_flags, 0, NAME(MSG_OOB), NAME(MSG_PEEK), NAME(MSG_DONTROUTE), NAME(MSG_CTRUNC),
      NAME(MSG_TRUNC), NAME(MSG_DONTWAIT), NAME(MSG_EOR), NAME(MSG_WAITALL), NAME(MSG_CONFIRM),
      NAME(MSG_ERRQUEUE), NAME(MSG_NOSIGNAL), NAME(MSG_MORE), NAME(MSG_WAITFORONE),
      NAME(MSG_CMSG_CLOEXEC))
FLAGS(strace_access_modes, 0, NAME(F_OK), NAME(R_OK), NAME(W_OK), NAME(X_OK))
FLAGS(strace_clocks, UINT32_MAX, NAME(CLOCK_REALTIME), NAME(CLOCK_MONOTONIC),
      NAME(CLOCK_PROCESS_CPUTIME_ID), NAME(CLOCK_THREAD_CPUTIME_ID), NAME(CLOCK_MONOTONIC_RAW),
      NAME(CLOCK_REALTIME_COARSE), NAME(CLOCK_MONOTONIC_COARSE), NAME(CLOCK_BOOTTIME),
      NAME(CLOCK_REALTIME_ALARM), NAME(CLOCK_BOOTTIME_ALARM), NAME(CLOCK_TAI))
FLAGS(strace_resources, UINT32_MAX, NAME(RLIMIT_CPU), NAME(RLIMIT_FSIZE), NAME(RLIMIT_DATA),
      NAME(RLIMIT_STACK), NAME(RLIMIT_CORE), NAME(RLIMIT_RSS), NAME(RLIMIT_NPROC),
      NAME(RLIMIT_NOFILE), NAME(RLIMIT_MEMLOCK), NAME(RLIMIT_AS), NAME(RLIMIT_LOCKS),
      NAME(RLIMIT_SIGPENDING), NAME(RLIMIT_MSGQUEUE), NAME(RLIMIT_NICE), NAME(RLIMIT_RTPRIO),
      NAME(RLIMIT_RTTIME))
FLAGS(strace_wait_options, 0, NAME(WNOHANG), NAME(WUNTRACED), NAME(WEXITED), NAME(WCONTINUED),
      NAME(WNOWAIT), {0x20000000, "__WNOTHREAD"}, {0x40000000, "__WALL"}, {0x80000000, "__WCLONE"})
FLAGS(strace_socket_families, UINT32_MAX, NAME(AF_UNSPEC), NAME(AF_UNIX), NAME(AF_INET),
      NAME(AF_INET6), NAME(AF_NETLINK), NAME(AF_PACKET), NAME(AF_ALG), NAME(AF_VSOCK))
FLAGS(strace_socket_types, 0xf, NAME(SOCK_STREAM), NAME(SOCK_DGRAM), NAME(SOCK_RAW), NAME(SOCK_RDM),
      NAME(SOCK_SEQPACKET), NAME(SOCK_NONBLOCK), NAME(SOCK_CLOEXEC))
FLAGS(strace_prot, 0, NAME(PROT_NONE), NAME(PROT_READ), NAME(PROT_WRITE), NAME(PROT_EXEC),
      NAME(PROT_GROWSDOWN), NAME(PROT_GROWSUP))
FLAGS(strace_map_flags, 0xf, NAME(MAP_SHARED), NAME(MAP_PRIVATE), NAME(MAP_SHARED_VALIDATE),
      NAME(MAP_FIXED), NAME(MAP_ANONYMOUS), NAME(MAP_32BIT), NAME(MAP_GROWSDOWN),
      NAME(MAP_DENYWRITE), NAME(MAP_EXECUTABLE), NAME(MAP_LOCKED), NAME(MAP_NORESERVE),
      NAME(MAP_POPULATE), NAME(MAP_NONBLOCK), NAME(MAP_STACK), NAME(MAP_HUGETLB), NAME(MAP_SYNC),
      NAME(MAP_FIXED_NOREPLACE))
FLAGS(strace_mremap_flags, 0, NAME(MREMAP_MAYMOVE), NAME(MREMAP_FIXED), {4, "MREMAP_DONTUNMAP"})
FLAGS(strace_msync_flags, 0, NAME(MS_ASYNC), NAME(MS_INVALIDATE), NAME(MS_SYNC))
FLAGS(strace_madvice, UINT32_MAX, NAME(MADV_NORMAL), NAME(MADV_RANDOM), NAME(MADV_SEQUENTIAL),
      NAME(MADV_WILLNEED), NAME(MADV_DONTNEED), NAME(MADV_FREE), NAME(MADV_REMOVE),
      NAME(MADV_DONTFORK), NAME(MADV_DOFORK), NAME(MADV_MERGEABLE), NAME(MADV_UNMERGEABLE),
      NAME(MADV_HUGEPAGE), NAME(MADV_NOHUGEPAGE), NAME(MADV_DONTDUMP), NAME(MADV_DODUMP),
      NAME(MADV_WIPEONFORK), NAME(MADV_KEEPONFORK), NAME(MADV_COLD), NAME(MADV_PAGEOUT),
      NAME(MADV_POPULATE_READ), NAME(MADV_POPULATE_WRITE))
FLAGS(strace_whence, UINT32_MAX, NAME(SEEK_SET), NAME(SEEK_CUR), NAME(SEEK_END), NAME(SEEK_DATA),
      NAME(SEEK_HOLE))
FLAGS(strace_sigproc_how, UINT32_MAX, NAME(SIG_BLOCK), NAME(SIG_UNBLOCK), NAME(SIG_SETMASK))
FLAGS(strace_prctl, UINT32_MAX, NAME(PR_SET_PDEATHSIG), NAME(PR_GET_PDEATHSIG),
      NAME(PR_GET_DUMPABLE), NAME(PR_SET_DUMPABLE), NAME(PR_GET_KEEPCAPS), NAME(PR_SET_KEEPCAPS),
      NAME(PR_SET_NAME), NAME(PR_GET_NAME), NAME(PR_GET_SECCOMP), NAME(PR_SET_SECCOMP),
      NAME(PR_CAPBSET_READ), NAME(PR_CAPBSET_DROP), NAME(PR_GET_SECUREBITS),
      NAME(PR_SET_SECUREBITS), NAME(PR_SET_TIMERSLACK), NAME(PR_GET_TIMERSLACK), NAME(PR_SET_MM),
      NAME(PR_SET_CHILD_SUBREAPER), NAME(PR_GET_CHILD_SUBREAPER), NAME(PR_SET_NO_NEW_PRIVS),
      NAME(PR_GET_NO_NEW_PRIVS), NAME(PR_GET_TID_ADDRESS), NAME(PR_SET_THP_DISABLE),
      NAME(PR_GET_THP_DISABLE), NAME(PR_CAP_AMBIENT), NAME(PR_SET_VMA))
FLAGS(strace_ioctls, UINT32_MAX, NAME(TCGETS), NAME(TCSETS), NAME(TCSETSW), NAME(TCSETSF),
      NAME(TCGETA), NAME(TCSETA), NAME(TCSBRK), NAME(TCXONC), NAME(TCFLSH), NAME(TIOCEXCL),
      NAME(TIOCNXCL), NAME(TIOCSCTTY), NAME(TIOCGPGRP), NAME(TIOCSPGRP), NAME(TIOCOUTQ),
      NAME(TIOCSTI), NAME(TIOCGWINSZ), NAME(TIOCSWINSZ), NAME(FIONREAD), NAME(FIONBIO),
      NAME(TIOCNOTTY), NAME(TIOCGSID), NAME(TIOCGPTN), NAME(TIOCSPTLCK), NAME(TIOCGPTPEER),
      NAME(FIONCLEX), NAME(FIOCLEX), NAME(FIOASYNC), NAME(FIOQSIZE), {0x8912, "SIOCGIFCONF"},
      {0x8913, "SIOCGIFFLAGS"}, {0x8915, "SIOCGIFADDR"}, {0x8933, "SIOCGIFINDEX"},
      {0x40049409, "FICLONE"}, {2, "FIGETBSZ"})
FLAGS(strace_futex_ops, 0x7f, NAME(FUTEX_WAIT), NAME(FUTEX_WAKE), NAME(FUTEX_REQUEUE),
      NAME(FUTEX_CMP_REQUEUE), NAME(FUTEX_WAKE_OP), NAME(FUTEX_LOCK_PI), NAME(FUTEX_UNLOCK_PI),
      NAME(FUTEX_TRYLOCK_PI), NAME(FUTEX_WAIT_BITSET), NAME(FUTEX_WAKE_BITSET),
      NAME(FUTEX_WAIT_REQUEUE_PI), NAME(FUTEX_CMP_REQUEUE_PI), NAME(FUTEX_LOCK_PI2),
      NAME(FUTEX_PRIVATE_FLAG), NAME(FUTEX_CLOCK_REALTIME))
FLAGS(strace_fcntl, UINT32_MAX, NAME(F_DUPFD), NAME(F_GETFD), NAME(F_SETFD), NAME(F_GETFL),
      NAME(F_SETFL), NAME(F_GETLK), NAME(F_SETLK), NAME(F_SETLKW), NAME(F_SETOWN), NAME(F_GETOWN),
      NAME(F_SETSIG), NAME(F_GETSIG), NAME(F_SETOWN_EX), NAME(F_GETOWN_EX), NAME(F_OFD_GETLK),
      NAME(F_OFD_SETLK), NAME(F_OFD_SETLKW), NAME(F_SETLEASE), NAME(F_GETLEASE), NAME(F_NOTIFY),
      NAME(F_DUPFD_CLOEXEC), NAME(F_SETPIPE_SZ), NAME(F_GETPIPE_SZ), NAME(F_ADD_SEALS),
      NAME(F_GET_SEALS))
FLAGS(strace_clone_flags, 0, NAME(CLONE_VM), NAME(CLONE_FS), NAME(CLONE_FILES), NAME(CLONE_SIGHAND),
      NAME(CLONE_PIDFD), NAME(CLONE_PTRACE), NAME(CLONE_VFORK), NAME(CLONE_PARENT),
      NAME(CLONE_THREAD), NAME(CLONE_NEWNS), NAME(CLONE_SYSVSEM), NAME(CLONE_SETTLS),
      NAME(CLONE_PARENT_SETTID), NAME(CLONE_CHILD_CLEARTID), NAME(CLONE_DETACHED),
      NAME(CLONE_UNTRACED), NAME(CLONE_CHILD_SETTID), NAME(CLONE_NEWCGROUP), NAME(CLONE_NEWUTS),
      NAME(CLONE_NEWIPC), NAME(CLONE_NEWUSER), NAME(CLONE_NEWPID), NAME(CLONE_NEWNET),
      NAME(CLONE_IO))

/* The member of the enumeration part, or the name of zero. False: there is none. */
static bool put_enum(struct text *text, const struct strace_flags *flags, uint64_t value)
{
    for (const struct strace_name *name = flags->names; name->name; name++) {
        if (name->value == value && (value & ~flags->enum_mask) == 0) {
            text_puts(text, name->name);
            return true;
        }
    }
    return false;
}

void strace_put_flags(struct text *text, const struct strace_flags *flags, uint64_t value)
{
    const char *separator = "";
    uint64_t rest = value & ~flags->enum_mask;
    if (flags->enum_mask != 0 || value == 0) {
        if (put_enum(text, flags, value & flags->enum_mask)) {
            separator = "|";
        } else if (rest == 0 || (value & flags->enum_mask) != 0) {
            text_printf(text, "%#llx", (unsigned long long)(value & flags->enum_mask));
            separator = "|";
        }
    }
    for (const struct strace_name *name = flags->names; name->name; name++) {
        if (name->value != 0 && (name->value & flags->enum_mask) == 0 &&
            (rest & name->value) == name->value) {
            text_printf(text, "%s%s", separator, name->name);
            separator = "|";
            rest &= ~name->value;
        }
    }
    if (rest != 0) {
        text_printf(text, "%s%#llx", separator, (unsigned long long)rest);
    }
}

void strace_put_signal(struct text *text, int signo)
{
    const char *name = signo > 0 && signo < 32 ? sigabbrev_np(signo) : NULL;
    if (name) {
        text_printf(text, "SIG%s", name);
    } else if (signo >= 32 && signo <= 64) {
        text_printf(text, "SIGRT_%d", signo - 32);
    } else {
        text_printf(text, "%d", signo);
    }
}

const char *strace_error_name(int error)
{
    switch (error) {
    case ERESTARTSYS:
        return "ERESTARTSYS";
    case ERESTARTNOINTR:
        return "ERESTARTNOINTR";
    case ERESTARTNOHAND:
        return "ERESTARTNOHAND";
    case ERESTART_RESTARTBLOCK:
        return "ERESTART_RESTARTBLOCK";
    default:
        return strerrorname_np(error);
    }
}

const char *strace_error_text(int error)
{
    switch (error) {
    case ERESTARTSYS:
        return "To be restarted if SA_RESTART is set";
    case ERESTARTNOINTR:
        return "To be restarted";
    case ERESTARTNOHAND:
        return "To be restarted if no handler";
    case ERESTART_RESTARTBLOCK:
        return "Interrupted by signal";
    default: {
        const char *text = strerrordesc_np(error);
        return text ? text : "?";
    }
    }
}
