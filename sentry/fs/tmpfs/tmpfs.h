/*
 * tmpfs.h: the file system in memory: /tmp, /dev/shm, the rootfs skeleton, an overlay's upper
 * layer, memfd.
 *
 * Directories are tables; small files are heap buffers; larger or mapped ones are a host memfd
 * each. Source: kernel mm/shmem.c, tmpfs(5), memfd_create(2).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct file;
struct super;

#define TMPFS_MODE_GIVEN 0x80000000U

struct tmpfs_options {
    uint64_t max_bytes;  /* size=; 0: unlimited */
    uint64_t max_inodes; /* nr_inodes=; 0: unlimited */
    uint32_t mode;       /* of the root; 0: 01777, 0 itself is TMPFS_MODE_GIVEN */
    uint32_t uid, gid;   /* of the root */
    const char *type;    /* NULL: "tmpfs"; static string */
    const char
        *contents; /* not NULL: the root is a regular file with this text, to be mounted on one */
};

/* A new file system with an empty root; the caller owns one reference (for mount_add, or
 * super_drop). */
int tmpfs_new(const struct tmpfs_options *options, struct super **ret) must_check;

/* mount(2)'s tmpfs and ramfs, and a remount's new options (struct filesystem_type). */
int tmpfs_mount(const char *options, struct super **ret_super) must_check;
int ramfs_mount(const char *options, struct super **ret_super) must_check;
int tmpfs_check_option(const char *option) must_check;
int tmpfs_reconfigure(struct super *super, const char *options) must_check;

/* memfd_create: an unnamed file, open for reading and writing, shown as "/memfd:NAME (deleted)". */
enum tmpfs_memfd_flags {
    TMPFS_MEMFD_ALLOW_SEALING = 1,
    TMPFS_MEMFD_NOEXEC_SEAL = 2, /* mode 0666, F_SEAL_EXEC, sealing allowed */
};
int tmpfs_new_memfd(const char *name, unsigned flags, struct file **ret_file) must_check;

/* Sandbox-wide accounting of file bytes in memory; set once at boot. charge gets the change in
 * bytes; only a positive change may fail (-ENOSPC), and it may run under any lock ranked below
 * RANK_ACCOUNT. */
struct tmpfs_account {
    int (*charge)(int64_t bytes) must_check;
};
extern struct tmpfs_account tmpfs_account;
/* Bytes that guests made by touching mappings and that are not charged yet. *ret_over: with them a
 * file system is larger than its own size. Asks the host about every file that was ever mapped. */
uint64_t tmpfs_uncharged(bool *ret_over);
