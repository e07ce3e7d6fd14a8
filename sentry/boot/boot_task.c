/* boot_task.c: pid 1 of the sandbox, which only reaps orphans, and pid 2, the program. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sentry/boot/internal.h"
#include "sentry/fs/dev/host_stream.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/task_exec.h"
#include "sentry/kernel/task_run.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/inode.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static void set_limits(struct process *process, const struct sentry_config *config)
{
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        process->limits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
    }
    uint64_t files = config->limits.open_files;
    process->limits[RLIMIT_NOFILE] =
        files == SENTRY_NO_LIMIT ? (struct rlimit){1024, 1048576} : (struct rlimit){files, files};
    process->limits[RLIMIT_STACK] = (struct rlimit){8 << 20, RLIM_INFINITY};
    process->limits[RLIMIT_CORE] = (struct rlimit){0, RLIM_INFINITY};
    process->limits[RLIMIT_MEMLOCK] = (struct rlimit){8 << 20, 8 << 20};
    process->limits[RLIMIT_MSGQUEUE] = (struct rlimit){819200, 819200};
    process->limits[RLIMIT_NICE] = (struct rlimit){0, 0};
    process->limits[RLIMIT_RTPRIO] = (struct rlimit){0, 0};
    process->limits[RLIMIT_SIGPENDING] = (struct rlimit){63000, 63000};
    uint64_t tasks = config->limits.pids == SENTRY_NO_LIMIT ? 63000 : config->limits.pids;
    process->limits[RLIMIT_NPROC] = (struct rlimit){tasks, tasks};
}

static int make_init(const struct sentry_config *config)
{
    struct process *init = process_new(NULL);
    if (!init) {
        return -ENOMEM;
    }
    set_limits(init, config);
    init->sighand = sighand_new();
    struct task *task = task_new(init); /* has no thread: it only stands for pid 1 in the tables */
    if (!task) {
        return -ENOMEM;
    }
    task->cred = cred_ref(&cred_boot);
    memcpy(task->comm, "init", 5);
    memcpy(task->affinity, kernel.cpu_mask, sizeof(task->affinity));
    atomic_store(&task->state, TASK_SLEEPING);
    mutex_lock(&kernel_lock);
    int pid = pid_allocate_locked();
    task_publish_locked(task, pid);
    init->leader = task;
    init->tgid = init->pgid = pid;
    init->session = session_new(pid);
    init->state = PROCESS_RUNNING;
    process_publish_locked(init);
    init_process = init;
    mutex_unlock(&kernel_lock);
    return init->sighand && init->session ? 0 : -ENOMEM;
}

static int make_cred(const struct sentry_config *config, const struct cred **ret_cred)
{
    struct cred *cred = cred_new(config->uid, config->gid);
    if (!cred) {
        return -ENOMEM;
    }
    int result = cred_set_groups(cred, config->groups, (uint32_t)config->group_count);
    if (result != 0) {
        cred_unref(cred);
        return result;
    }
    *ret_cred = cred;
    return 0;
}

static int make_fs(const struct sentry_config *config, struct fs_context **ret_fs, char *text,
                   size_t size)
{
    struct path cwd;
    int result = path_walk(NULL, config->cwd, WALK_FOLLOW | WALK_DIRECTORY, &cwd);
    if (result != 0) {
        snprintf(text, size, "working directory %s: %s", config->cwd, strerror(-result));
        return result;
    }
    struct path root;
    fs_context_get_root(current.fs, &root);
    *ret_fs = fs_context_new(&root, &cwd, config->umask);
    path_unref(&root);
    path_unref(&cwd);
    return *ret_fs ? 0 : -ENOMEM;
}

/* The devices that a guest has itself are its own: with a name, and without the host's. */
static const struct {
    unsigned device_minor; /* of major 1 */
    const char *name;
} own_devices[] = {
    {3, "/dev/null"}, {5, "/dev/zero"}, {7, "/dev/full"}, {8, "/dev/random"}, {9, "/dev/urandom"}};

static int open_stream(int host_fd, struct file **ret_file)
{
    struct stat st;
    int flags = fcntl(host_fd, F_GETFL);
    if (flags >= 0 && fstat(host_fd, &st) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) == 1) {
        struct open_request request = {.flags = (unsigned)flags & O_ACCMODE};
        for (size_t i = 0; i < array_size(own_devices); i++) {
            if (own_devices[i].device_minor == minor(st.st_rdev) &&
                vfs_open(NULL, own_devices[i].name, &request, ret_file) == 0) {
                close(host_fd);
                return 0;
            }
        }
    }
    return host_stream_new(host_fd, ret_file);
}

int boot_streams(const struct sentry_config *config, struct fd_table *table)
{
    struct file *console = NULL;
    int started = boot_console_start(config, &console);
    if (started != 0) {
        return started;
    }
    for (int i = 0; i < 3; i++) {
        struct file *file = NULL;
        int result = 0;
        if (console && config->stream_is_terminal[i]) {
            file = file_ref(console);
        } else if (config->stream_fd[i] >= 0) {
            result = open_stream(config->stream_fd[i], &file);
        } else {
            continue;
        }
        if (result == 0) {
            result = fd_install_at(table, i, file, false, 3);
        }
        if (result < 0) {
            file_unref(file);
            file_unref(console);
            return result;
        }
    }
    file_unref(console);
    return 0;
}

static const char *environment_path(char *const *envp)
{
    for (; *envp; envp++) {
        if (strncmp(*envp, "PATH=", 5) == 0) {
            return *envp + 5;
        }
    }
    return DEFAULT_PATH;
}

/* As execvp: a name without a slash is looked up in PATH. */
static int find_program(const struct sentry_config *config, char found[PATH_MAX_LENGTH],
                        struct file **ret_file)
{
    const char *name = config->argv[0];
    if (strchr(name, '/') || name[0] == '\0') {
        snprintf(found, PATH_MAX_LENGTH, "%s", name);
        return vfs_open_exec(NULL, name, WALK_FOLLOW, ret_file);
    }
    int worst = -ENOENT;
    const char *path = environment_path(config->envp);
    for (;;) {
        size_t length = strcspn(path, ":");
        int written =
            snprintf(found, PATH_MAX_LENGTH, "%.*s/%s", (int)length, length ? path : ".", name);
        if (length == 0) {
            written = snprintf(found, PATH_MAX_LENGTH, "./%s", name);
        }
        if (written > 0 && written < PATH_MAX_LENGTH) {
            int result = vfs_open_exec(NULL, found, WALK_FOLLOW, ret_file);
            if (result == 0) {
                return 0;
            }
            worst = result == -EACCES ? result : worst;
        }
        if (path[length] == '\0') {
            return worst;
        }
        path += length + 1;
    }
}

static int pack(char *const *strings, struct string_list *list)
{
    for (; *strings; strings++) {
        int result = string_list_add(list, *strings, strlen(*strings));
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

static int load_program(const struct sentry_config *config, struct task *task, char *text,
                        size_t size)
{
    char found[PATH_MAX_LENGTH];
    struct file *file = NULL;
    struct string_list argv = {0};
    struct string_list envp = {0};
    int result = find_program(config, found, &file);
    if (result == 0) {
        result = pack(config->argv, &argv);
    }
    if (result == 0) {
        result = pack(config->envp, &envp);
    }
    if (result == 0) {
        struct exec_request request = {.file = file, .path = found, .argv = &argv, .envp = &envp};
        result = task_exec_first(task, &request);
    }
    if (result != 0) {
        snprintf(text, size, "%s: %s", config->argv[0],
                 result == -ENOENT && !strchr(config->argv[0], '/') ? "command not found"
                                                                    : strerror(-result));
    }
    file_unref(file);
    string_list_fini(&argv);
    string_list_fini(&envp);
    return result;
}

static int make_process(struct task **ret_task)
{
    struct process *process = process_new(init_process);
    if (!process) {
        return -ENOMEM;
    }
    process->sighand = sighand_new();
    process->exit_signal = SIGCHLD;
    process->nice = kernel.nice;
    struct task *task = process->sighand ? task_new(process) : NULL;
    if (!task) {
        process_unref(process);
        return -ENOMEM;
    }
    mutex_lock(&kernel_lock);
    int pid = pid_allocate_locked();
    task_publish_locked(task, pid);
    process->tgid = process->pgid = pid;
    process->session = session_new(pid);
    process->leader = task_ref(task);
    process->parent = init_process;
    TAILQ_INSERT_TAIL(&init_process->children, process, sibling_link);
    TAILQ_INSERT_TAIL(&process->threads, task, thread_link);
    process->thread_count = process->live_count = 1;
    process_publish_locked(process);
    mutex_unlock(&kernel_lock);
    process_unref(process);
    memcpy(task->affinity, kernel.cpu_mask, sizeof(task->affinity));
    *ret_task = task;
    return process->session ? 0 : -ENOMEM;
}

int boot_first_task(const struct sentry_config *config, struct task **ret_task, bool *ret_failed,
                    char *text, size_t text_size)
{
    struct task *task = NULL;
    snprintf(text, text_size, "out of memory");
    int result = make_init(config);
    if (result == 0) {
        result = make_process(&task);
    }
    if (result == 0) {
        result = make_cred(config, &task->cred);
    }
    if (result == 0) {
        result = make_fs(config, &task->fs, text, text_size);
    }
    if (result == 0) {
        task->fds = fd_table_new();
        result = task->fds ? 0 : -ENOMEM;
    }
    if (result != 0) {
        return result;
    }
    /* From here with the guest's own rights and working directory. */
    struct fs_context *boot_fs = current.fs;
    task_sync_current(task);
    result = boot_streams(config, task->fds);
    if (result == 0) {
        result = load_program(config, task, text, text_size);
        *ret_failed = result != 0;
    }
    current.task = NULL;
    current.fs = boot_fs;
    current.cred = &cred_boot;
    current.mm = NULL;
    *ret_task = task;
    return result;
}
