/*
 * proc_config.c: /proc/config.gz: the features of this kernel under the names that Linux's build
 * has for them, for programs that look there first. A gzip member (RFC 1952) of stored blocks
 * (RFC 1951), so nothing is compressed.
 */
#include <assert.h>

#include "sentry/fs/proc/internal.h"

#define STORED_MAX 65535

/* What the guest finds works; what is absent is not there. */
static const char config[] = "#\n"
                             "# Linux/x86_64 Kernel Configuration\n"
                             "#\n"
                             "CONFIG_64BIT=y\n"
                             "CONFIG_X86_64=y\n"
                             "CONFIG_X86=y\n"
                             "CONFIG_MMU=y\n"
                             "CONFIG_SMP=y\n"
                             "CONFIG_HZ_100=y\n"
                             "CONFIG_HZ=100\n"
                             "CONFIG_HIGH_RES_TIMERS=y\n"
                             "CONFIG_POSIX_TIMERS=y\n"
                             "CONFIG_PREEMPT_VOLUNTARY=y\n"
                             "CONFIG_PRINTK=y\n"
                             "CONFIG_MULTIUSER=y\n"
                             "CONFIG_BINFMT_ELF=y\n"
                             "CONFIG_BINFMT_SCRIPT=y\n"
                             "CONFIG_FUTEX=y\n"
                             "CONFIG_FUTEX_PI=y\n"
                             "CONFIG_EPOLL=y\n"
                             "CONFIG_SIGNALFD=y\n"
                             "CONFIG_TIMERFD=y\n"
                             "CONFIG_EVENTFD=y\n"
                             "CONFIG_AIO=y\n"
                             "CONFIG_KEYS=y\n"
                             "CONFIG_SHMEM=y\n"
                             "CONFIG_MEMFD_CREATE=y\n"
                             "CONFIG_ADVISE_SYSCALLS=y\n"
                             "CONFIG_MEMBARRIER=y\n"
                             "CONFIG_KCMP=y\n"
                             "CONFIG_CHECKPOINT_RESTORE=y\n"
                             "CONFIG_CROSS_MEMORY_ATTACH=y\n"
                             "CONFIG_FILE_LOCKING=y\n"
                             "CONFIG_FSNOTIFY=y\n"
                             "CONFIG_DNOTIFY=y\n"
                             "CONFIG_INOTIFY_USER=y\n"
                             "CONFIG_PROC_FS=y\n"
                             "CONFIG_PROC_SYSCTL=y\n"
                             "CONFIG_SYSFS=y\n"
                             "CONFIG_TMPFS=y\n"
                             "CONFIG_TMPFS_XATTR=y\n"
                             "CONFIG_DEVTMPFS=y\n"
                             "CONFIG_UNIX98_PTYS=y\n"
                             "CONFIG_TTY=y\n"
                             "CONFIG_BLOCK=y\n"
                             "CONFIG_BLK_DEV=y\n"
                             "CONFIG_BLK_DEV_LOOP=y\n"
                             "CONFIG_NET=y\n"
                             "CONFIG_UNIX=y\n"
                             "CONFIG_INET=y\n"
                             "CONFIG_IPV6=y\n"
                             "CONFIG_SYSVIPC=y\n"
                             "CONFIG_SYSVIPC_SYSCTL=y\n"
                             "CONFIG_POSIX_MQUEUE=y\n"
                             "CONFIG_POSIX_MQUEUE_SYSCTL=y\n"
                             "CONFIG_SECCOMP=y\n"
                             "CONFIG_SECCOMP_FILTER=y\n"
                             "CONFIG_SECURITY_LANDLOCK=y\n"
                             "CONFIG_OVERLAY_FS=y\n"
                             "CONFIG_9P_FS=y\n"
                             "# CONFIG_MODULES is not set\n"
                             "# CONFIG_SWAP is not set\n"
                             "CONFIG_NUMA=y\n"
                             "# CONFIG_HUGETLBFS is not set\n"
                             "# CONFIG_IO_URING is not set\n"
                             "# CONFIG_USERFAULTFD is not set\n"
                             "# CONFIG_FANOTIFY is not set\n"
                             "# CONFIG_QUOTA is not set\n"
                             "# CONFIG_BSD_PROCESS_ACCT is not set\n";

static uint32_t crc32_of(const char *data, size_t length)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < length; i++) {
        crc ^= (unsigned char)data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0);
        }
    }
    return ~crc;
}

static void append_le(struct text *out, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        char byte = (char)(value >> (8 * i));
        text_append(out, &byte, 1);
    }
}

int proc_show_config(struct proc_node *node, struct text *out)
{
    static const char header[10] = {0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    static_assert(sizeof(config) - 1 <= STORED_MAX, "one stored block");
    const uint32_t length = sizeof(config) - 1;
    (void)node;
    text_append(out, header, sizeof(header));
    append_le(out, 1, 1); /* the last block, stored */
    append_le(out, length, 2);
    append_le(out, ~length, 2);
    text_append(out, config, length);
    append_le(out, crc32_of(config, length), 4);
    append_le(out, length, 4);
    return 0;
}
