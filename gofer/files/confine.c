/*
 * confine.c: descriptors, capabilities and Landlock. The system call filter is in
 * confine_syscalls.c.
 *
 * None of this needs privileges or namespaces.
 */
#include "gofer/files/confine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/base/log.h"

/* Newer than the headers we build with. */
#define FS_REFER       (UINT64_C(1) << 13)
#define FS_TRUNCATE    (UINT64_C(1) << 14)
#define FS_IOCTL_DEV   (UINT64_C(1) << 15)
#define NET_ALL        UINT64_C(3)
#define SCOPE_ALL      UINT64_C(3)
#define FS_FIRST_ABI   ((UINT64_C(1) << 13) - 1)
#define FS_FILE_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

struct ruleset {
    uint64_t fs, net, scoped;
};

static bool is_kept(const struct confine_config *config, int fd)
{
    for (size_t i = 0; i < config->keep_count; i++) {
        if (config->keep[i] == fd) {
            return true;
        }
    }
    return false;
}

/* For hosts without close_range: what /proc says is open. */
static int close_listed(unsigned first, unsigned last)
{
    DIR *list = opendir("/proc/self/fd");
    if (!list) {
        return -errno;
    }
    struct dirent *entry;
    while ((entry = readdir(list))) {
        unsigned long fd = strtoul(entry->d_name, NULL, 10);
        if (entry->d_name[0] != '.' && fd >= first && fd <= last && (int)fd != dirfd(list)) {
            close((int)fd);
        }
    }
    closedir(list);
    return 0;
}

static int close_between(unsigned first, unsigned last)
{
    if (first > last) {
        return 0;
    }
    if (syscall(SYS_close_range, first, last, 0) == 0) {
        return 0;
    }
    if (errno != ENOSYS && errno != EPERM) {
        return -errno;
    }
    return close_listed(first, last);
}

int confine_descriptors(const struct confine_config *config)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= 2; fd++) {
        if (!is_kept(config, fd) && fd != null && dup2(null, fd) < 0) {
            return -errno;
        }
    }
    unsigned first = 3;
    for (;;) {
        int next = -1;
        for (size_t i = 0; i < config->keep_count; i++) {
            int fd = config->keep[i];
            if (fd >= (int)first && (next < 0 || fd < next)) {
                next = fd;
            }
        }
        if (next < 0) {
            return close_between(first, ~0u);
        }
        int error = close_between(first, (unsigned)next - 1);
        if (error) {
            return error;
        }
        first = (unsigned)next + 1;
    }
}

int confine_capabilities(const struct confine_config *config, bool *ret_may_chown)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    uint32_t wanted = UINT32_C(1) << CAP_DAC_READ_SEARCH;
    if (config->writable) {
        wanted |= UINT32_C(1) << CAP_DAC_OVERRIDE | UINT32_C(1) << CAP_FOWNER |
                  UINT32_C(1) << CAP_CHOWN | UINT32_C(1) << CAP_FSETID;
    }
    if (syscall(SYS_capget, &header, data)) {
        return -errno;
    }
    uint32_t kept = data[0].effective & wanted;
    memset(data, 0, sizeof(data));
    data[0].effective = kept;
    data[0].permitted = kept;
    if (syscall(SYS_capset, &header, data)) {
        return -errno;
    }
    *ret_may_chown = kept >> CAP_CHOWN & 1;
    return 0;
}

static uint64_t root_rights(const struct confine_root *root)
{
    uint64_t rights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    if (root->writable) {
        rights |= LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | FS_REFER |
                  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
                  LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_MAKE_FIFO;
    }
    if (root->deletable) {
        /* A move makes the moved, whatever it is, anew: sockets and devices that are there may move
         * too. */
        rights |= LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                  LANDLOCK_ACCESS_FS_MAKE_SOCK;
    }
    return root->directory ? rights : rights & FS_FILE_RIGHTS;
}

int confine_landlock(const struct confine_config *config)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) {
        if (config->require_landlock) {
            return -EOPNOTSUPP;
        }
        log_info("gofer: this host has no Landlock");
        return 0;
    }
    struct ruleset handled = {.fs = FS_FIRST_ABI};
    handled.fs |= abi >= 2 ? FS_REFER : 0;
    handled.fs |= abi >= 3 ? FS_TRUNCATE : 0;
    handled.fs |= abi >= 5 ? FS_IOCTL_DEV : 0;
    handled.net = abi >= 4 ? NET_ALL : 0;
    handled.scoped = abi >= 6 ? SCOPE_ALL : 0;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
    if (ruleset < 0) {
        return -errno;
    }
    int error = 0;
    for (size_t i = 0; i < config->root_count && !error; i++) {
        struct landlock_path_beneath_attr rule = {
            .allowed_access = root_rights(&config->roots[i]) & handled.fs,
            .parent_fd = config->roots[i].fd,
        };
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0)) {
            error = -errno;
        }
    }
    if (!error && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
                   syscall(SYS_landlock_restrict_self, ruleset, 0))) {
        error = -errno;
    }
    close(ruleset);
    return error;
}
