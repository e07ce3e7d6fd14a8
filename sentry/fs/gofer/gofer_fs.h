/*
 * gofer_fs.h: host files, through the gofer.
 *
 * A mount that the gofer marks exclusive is cached without revalidation: whole directories with
 * attributes and the absence of names. Any other is asked again when an answer is older than
 * GOFER_FS_VALID_MS; the absence of a name is then never remembered. The file descriptors that
 * opens donate are kept, up to a bound, so that later opens, reads, writes and mappings cost no
 * message.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

struct gofer_client;
struct super;

#define GOFER_FS_VALID_MS 50

struct gofer_fs_options {
    /* Host owner host_uid (host_gid) is shown as guest_uid (guest_gid), and given for it; other ids
     * are shown as they are. Equal pairs: no mapping. */
    uid_t host_uid, guest_uid;
    gid_t host_gid, guest_gid;
    uint32_t max_idle_fds; /* donated descriptors kept without users; 0: a default of 128 */
};

/* The file system of mount index. client is borrowed and must outlive it. options may be NULL.
 * *ret_read_only, which may be NULL: the mount can never be written. */
int gofer_fs_new(struct gofer_client *client, uint32_t mount_index,
                 const struct gofer_fs_options *options, struct super **ret_super,
                 bool *ret_read_only) must_check;
