/*
 * internal.h: the machinery shared by the files of /proc.
 *
 * A node is made for each look-up and kept by the name cache while its process lives. A show
 * function runs without locks but the position of the reading file (RANK_FILE), so it may take
 * kernel_lock, an address space's lock or a descriptor table's, but not the mount lock (see
 * PROC_AT_OPEN).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "platform/base/compiler.h"
#include "platform/base/text.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"

struct proc_node;
struct process;
struct task;
struct mm;

enum proc_flags {
    PROC_GUARDED = 1, /* Linux: ptrace_may_access decides, besides the mode bits */
    PROC_AT_OPEN = 2, /* the contents are made by open, once: for what takes outer locks */
    PROC_THREAD = 4,  /* in a process's own directory only, not in task/TID */
    PROC_WORLD = 8,   /* belongs to root whatever the process is */
};

/* One name. Tables of them end with a row without name. */
struct proc_entry {
    const char *name;
    uint32_t mode; /* type and permissions */
    unsigned flags;
    /* Files: appends the contents. 0 or negative errno. */
    int (*show)(struct proc_node *node, struct text *out) must_check;
    /* Files: a write of up to 4095 bytes, NUL-terminated. NULL: EIO. */
    int (*write)(struct proc_node *node, char *data, size_t length) must_check;
    /* Links: the text, and for links to objects the object. */
    int (*readlink)(struct proc_node *node, struct text *out) must_check;
    int (*follow)(struct proc_node *node, struct path *ret_path) must_check;
    const struct proc_entry *children; /* directories */
    /* Directories with numbers as names: the lowest number >= from, or -1; and the node of one.
     * each describes them. */
    const struct proc_entry *each;
    int64_t (*next)(struct proc_node *dir, uint64_t from);
    int (*find)(struct proc_node *dir, uint64_t number, struct proc_node *child) must_check;
    const struct file_ops *ops; /* files that are no text */
};

struct proc_node {
    struct inode inode;
    const struct proc_entry *entry;
    struct process *process; /* reference; NULL: of the system */
    struct task *task;       /* reference; NULL: the process as a whole */
    int fd;                  /* below fd and fdinfo; else -1 */
};

static inline struct proc_node *proc_node_of(struct inode *inode)
{
    return container_of(inode, struct proc_node, inode);
}

#define PROC_FILE(n, m, f, s)                                                                      \
    {                                                                                              \
        .name = (n), .mode = S_IFREG | (m), .flags = (f), .show = (s)                              \
    }
#define PROC_WRITABLE(n, m, f, s, w)                                                               \
    {                                                                                              \
        .name = (n), .mode = S_IFREG | (m), .flags = (f), .show = (s), .write = (w)                \
    }
#define PROC_DIR(n, c)                                                                             \
    {                                                                                              \
        .name = (n), .mode = S_IFDIR | 0555, .children = (c)                                       \
    }

extern const struct proc_entry proc_root;
extern const struct proc_entry proc_pid;       /* /proc/PID */
extern const struct proc_entry proc_tid;       /* /proc/PID/task/TID */
extern const struct proc_entry proc_sysvipc[]; /* /proc/sysvipc */
extern const struct proc_entry proc_ns_rows[]; /* /proc/PID/ns */
extern const struct proc_entry proc_net[];     /* /proc/PID/net */
extern const struct proc_entry proc_sys[];     /* /proc/sys */
extern const struct proc_entry proc_sys_net[]; /* /proc/sys/net */
extern const struct proc_entry proc_fd_each, proc_fdinfo_each;
extern const struct file_ops proc_text_ops, proc_mem_ops, proc_dir_ops;

/* A number without sign or leading zeroes, up to 2^31. False for anything else. */
bool proc_parse_number(const char *name, uint64_t *ret);
uint64_t proc_ino(uint64_t parent, const char *name);
int proc_text_open(struct file *file) must_check;

/* proc_access.c: the objects behind a node. References; -ESRCH when gone. */
int proc_get_task(struct proc_node *node, struct task **ret_task) must_check;
/* -ESRCH, or *ret_mm NULL when the task has no memory (any more). */
int proc_get_mm(struct proc_node *node, struct mm **ret_mm) must_check;
/* proc_get_mm after the check of ptrace_may_access. */
int proc_get_guarded_mm(struct proc_node *node, struct mm **ret_mm) must_check;
bool proc_is_alive(struct proc_node *node);
/* Owner of the files of a process: its effective ids, or root when it is not dumpable. */
void proc_owner(struct proc_node *node, uint32_t *ret_uid, uint32_t *ret_gid);

/* proc_maps.c: resident bytes of an address space: anonymous, of files, shared. */
struct proc_resident {
    uint64_t anonymous, file, shared;
};
void proc_resident(struct mm *mm, struct proc_resident *ret);

/* Rows that more than one table has. */
int proc_show_config(struct proc_node *node, struct text *out) must_check;
int proc_show_maps(struct proc_node *node, struct text *out) must_check;
int proc_show_smaps(struct proc_node *node, struct text *out) must_check;
int proc_show_smaps_rollup(struct proc_node *node, struct text *out) must_check;
int proc_show_stat(struct proc_node *node, struct text *out) must_check;
int proc_show_statm(struct proc_node *node, struct text *out) must_check;
int proc_show_status(struct proc_node *node, struct text *out) must_check;
int proc_show_io(struct proc_node *node, struct text *out) must_check;
int proc_show_limits(struct proc_node *node, struct text *out) must_check;
int proc_show_mounts(struct proc_node *node, struct text *out) must_check;
int proc_show_mountinfo(struct proc_node *node, struct text *out) must_check;
int proc_show_mountstats(struct proc_node *node, struct text *out) must_check;
int proc_show_cpuinfo(struct proc_node *node, struct text *out) must_check;
int64_t proc_fd_next(struct proc_node *dir, uint64_t from);
int proc_fd_find(struct proc_node *dir, uint64_t number, struct proc_node *child) must_check;
int proc_link_exe(struct proc_node *node, struct text *out) must_check;
int proc_link_cwd(struct proc_node *node, struct text *out) must_check;
int proc_link_root(struct proc_node *node, struct text *out) must_check;
int proc_follow_exe(struct proc_node *node, struct path *ret_path) must_check;
int proc_follow_cwd(struct proc_node *node, struct path *ret_path) must_check;
int proc_follow_root(struct proc_node *node, struct path *ret_path) must_check;

int proc_show_lease_break_time(struct proc_node *node, struct text *out) must_check;
int proc_write_lease_break_time(struct proc_node *node, char *data, size_t length) must_check;
/* proc_ipc.c: /proc/sys/kernel/{shm,msg,sem}*, /proc/sys/fs/mqueue. */
int proc_show_mq_msg_default(struct proc_node *node, struct text *out) must_check;
int proc_write_mq_msg_default(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_mq_msg_max(struct proc_node *node, struct text *out) must_check;
int proc_write_mq_msg_max(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_mq_msgsize_default(struct proc_node *node, struct text *out) must_check;
int proc_write_mq_msgsize_default(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_mq_msgsize_max(struct proc_node *node, struct text *out) must_check;
int proc_write_mq_msgsize_max(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_mq_queues_max(struct proc_node *node, struct text *out) must_check;
int proc_write_mq_queues_max(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_msgmax(struct proc_node *node, struct text *out) must_check;
int proc_write_msgmax(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_msgmnb(struct proc_node *node, struct text *out) must_check;
int proc_write_msgmnb(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_msgmni(struct proc_node *node, struct text *out) must_check;
int proc_write_msgmni(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_sem(struct proc_node *node, struct text *out) must_check;
int proc_write_sem(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_shmall(struct proc_node *node, struct text *out) must_check;
int proc_write_shmall(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_shmmax(struct proc_node *node, struct text *out) must_check;
int proc_write_shmmax(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_shmmni(struct proc_node *node, struct text *out) must_check;
int proc_write_shmmni(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_msg_next_id(struct proc_node *node, struct text *out) must_check;
int proc_write_msg_next_id(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_sem_next_id(struct proc_node *node, struct text *out) must_check;
int proc_write_sem_next_id(struct proc_node *node, char *data, size_t length) must_check;
int proc_show_shm_next_id(struct proc_node *node, struct text *out) must_check;
int proc_write_shm_next_id(struct proc_node *node, char *data, size_t length) must_check;

#define PROC_HZ      100
#define PROC_TICK_NS (1000000000ULL / PROC_HZ)
