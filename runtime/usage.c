/*
 * usage.c: walks a process tree by /proc/PID/task/TID/children, or, on kernels without that file,
 * by the session that the sentry started for its tree.
 */
#include "runtime/usage.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TREE_MAX 65536

struct tree {
    pid_t *pids;
    size_t count, capacity;
};

/* Reads a small /proc file; the count of bytes or negative errno. */
static ssize_t read_proc(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    size_t used = 0;
    ssize_t n;
    while (used < size - 1 && (n = read(fd, buffer + used, size - 1 - used)) > 0) {
        used += (size_t)n;
    }
    close(fd);
    buffer[used] = 0;
    return (ssize_t)used;
}

static int tree_add(struct tree *tree, pid_t pid)
{
    if (tree->count == TREE_MAX) {
        return -E2BIG;
    }
    if (tree->count == tree->capacity) {
        size_t capacity = tree->capacity == 0 ? 64 : tree->capacity * 2;
        pid_t *grown = reallocarray(tree->pids, capacity, sizeof(*grown));
        if (grown == NULL) {
            return -ENOMEM;
        }
        tree->pids = grown;
        tree->capacity = capacity;
    }
    tree->pids[tree->count++] = pid;
    return 0;
}

/* Children of one thread; -ENOENT when the host does not tell. */
static int add_children(struct tree *tree, pid_t pid, const char *tid)
{
    char path[96];
    snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)pid, tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    char buffer[4096];
    size_t kept = 0;
    ssize_t n;
    int error = 0;
    while (error == 0 && (n = read(fd, buffer + kept, sizeof(buffer) - 1 - kept)) > 0) {
        size_t length = kept + (size_t)n;
        buffer[length] = 0;
        char *p = buffer;
        char *space;
        while (error == 0 && (space = strchr(p, ' ')) != NULL) {
            error = tree_add(tree, (pid_t)strtol(p, NULL, 10));
            p = space + 1;
        }
        kept = length - (size_t)(p - buffer);
        memmove(buffer, p, kept);
    }
    close(fd);
    return error;
}

static int add_task_children(struct tree *tree, pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL) {
        return 0; /* it ended */
    }
    struct dirent *entry;
    int error = 0;
    while (error == 0 && (entry = readdir(tasks)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0])) {
            error = add_children(tree, pid, entry->d_name);
            if (error == -ENOENT && faccessat(dirfd(tasks), entry->d_name, F_OK, 0) != 0) {
                error = 0; /* only that thread ended */
            }
        }
    }
    closedir(tasks);
    return error;
}

/* Fields of /proc/PID/stat after the name: index 0 is the state. */
static int read_stat(pid_t pid, unsigned long long *ret_fields, size_t count)
{
    char path[64];
    char buffer[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (read_proc(path, buffer, sizeof(buffer)) <= 0) {
        return -ESRCH;
    }
    char *p = strrchr(buffer, ')');
    if (p == NULL || p[1] != ' ' || p[2] == 0) {
        return -ESRCH;
    }
    p += 3;
    ret_fields[0] = 0;
    for (size_t i = 1; i < count; i++) {
        ret_fields[i] = strtoull(p, &p, 10);
    }
    return 0;
}

enum {
    STAT_PARENT = 1,
    STAT_SESSION = 3,
    STAT_UTIME = 11,
    STAT_STIME,
    STAT_CUTIME,
    STAT_CSTIME,
    STAT_FIELDS
};

/* Every process whose parent or session is value. */
static int add_matching(struct tree *tree, unsigned field, pid_t value)
{
    DIR *proc = opendir("/proc");
    if (proc == NULL) {
        return -errno;
    }
    struct dirent *entry;
    int error = 0;
    while (error == 0 && (entry = readdir(proc)) != NULL) {
        unsigned long long fields[STAT_FIELDS];
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && pid != value && read_stat(pid, fields, STAT_FIELDS) == 0 &&
            fields[field] == (unsigned long long)value) {
            error = tree_add(tree, pid);
        }
    }
    closedir(proc);
    return error;
}

static int tree_collect(struct tree *tree, pid_t root)
{
    int error = tree_add(tree, root);
    for (size_t i = 0; error == 0 && i < tree->count; i++) {
        error = add_task_children(tree, tree->pids[i]);
    }
    if (error == -ENOENT) {
        tree->count = 1;
        error = add_matching(tree, STAT_SESSION, root);
    }
    return error;
}

int usage_sample(pid_t root, struct usage *ret_usage)
{
    struct tree tree = {0};
    struct usage usage = {0};
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t tick = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
    int error = tree_collect(&tree, root);
    for (size_t i = 0; error == 0 && i < tree.count; i++) {
        char path[64];
        char buffer[256];
        unsigned long long fields[STAT_FIELDS];
        unsigned long long resident = 0;
        if (read_stat(tree.pids[i], fields, STAT_FIELDS) != 0) {
            continue;
        }
        snprintf(path, sizeof(path), "/proc/%d/statm", (int)tree.pids[i]);
        if (read_proc(path, buffer, sizeof(buffer)) > 0) {
            ignore_result(sscanf(buffer, "%*u %llu", &resident));
        }
        usage.memory += resident * page;
        usage.cpu_ns += (fields[STAT_UTIME] + fields[STAT_STIME]) * tick;
        usage.cpu_ns += (fields[STAT_CUTIME] + fields[STAT_CSTIME]) * tick;
        usage.processes++;
    }
    free(tree.pids);
    if (error == 0) {
        *ret_usage = usage;
    }
    return error;
}

/* A "Name:   123 kB" line; 0 when absent. In bytes. */
static uint64_t find_kb(const char *text, const char *name)
{
    const char *p = strstr(text, name);
    return p != NULL ? strtoull(p + strlen(name), NULL, 10) * 1024 : 0;
}

int usage_memory_exact(pid_t root, uint64_t *ret_bytes)
{
    struct tree tree = {0};
    uint64_t bytes = 0;
    int error = tree_collect(&tree, root);
    for (size_t i = 0; error == 0 && i < tree.count; i++) {
        char path[64];
        char buffer[4096];
        snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)tree.pids[i]);
        if (read_proc(path, buffer, sizeof(buffer)) > 0) {
            bytes += find_kb(buffer, "\nPss:");
            continue;
        }
        snprintf(path, sizeof(path), "/proc/%d/status", (int)tree.pids[i]);
        if (read_proc(path, buffer, sizeof(buffer)) > 0) {
            bytes += find_kb(buffer, "\nRssAnon:");
        }
    }
    free(tree.pids);
    if (error == 0) {
        *ret_bytes = bytes;
    }
    return error;
}

void usage_kill_children(void)
{
    struct tree tree = {0};
    pid_t self = getpid();
    if (add_task_children(&tree, self) == -ENOENT) {
        tree.count = 0;
        ignore_result(add_matching(&tree, STAT_PARENT, self));
    }
    for (size_t i = 0; i < tree.count; i++) {
        kill(tree.pids[i], SIGKILL);
    }
    free(tree.pids);
}

static uint64_t read_limit(const char *path)
{
    char buffer[64];
    if (read_proc(path, buffer, sizeof(buffer)) <= 0 || !isdigit((unsigned char)buffer[0])) {
        return UINT64_MAX;
    }
    uint64_t value = strtoull(buffer, NULL, 10);
    return value > 0 ? value : UINT64_MAX;
}

uint64_t usage_host_memory(void)
{
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    bytes = min_of(bytes, read_limit("/sys/fs/cgroup/memory.max"));
    return min_of(bytes, read_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
}
