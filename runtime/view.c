/*
 * view.c: the mounts of a sandbox, in order: root, system directories, empty directories, kernel
 * file systems, the current directory, and what the options ask for.
 *
 * Nothing of the host's home directories is in the default view but the current directory itself.
 */
#include "runtime/view.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gofer/files/policy.h"
#include "runtime/parse.h"

static struct sentry_mount *add(struct view *view, enum sentry_mount_kind kind, const char *path)
{
    static struct sentry_mount nowhere;
    struct sentry_mount *grown =
        reallocarray(view->mounts, view->mount_count + 1, sizeof(*view->mounts));
    if (grown == NULL) {
        view->failed = true;
        return &nowhere;
    }
    view->mounts = grown;
    struct sentry_mount *mount = &grown[view->mount_count++];
    *mount = (struct sentry_mount){
        .kind = kind, .path = path, .size = SENTRY_NO_LIMIT, .dir_mode = 0755};
    return mount;
}

static void add_directory(struct view *view, const char *path, uint32_t mode, uid_t uid, gid_t gid)
{
    struct sentry_mount *mount = add(view, SENTRY_MOUNT_DIRECTORY, path);
    mount->dir_mode = mode;
    mount->uid = uid;
    mount->gid = gid;
}

static void add_tmpfs(struct view *view, const char *path, uint32_t mode, uint64_t size)
{
    struct sentry_mount *mount = add(view, SENTRY_MOUNT_TMPFS, path);
    mount->mode = SENTRY_MODE_READ_WRITE;
    mount->dir_mode = mode;
    mount->size = size;
}

static void add_symlink(struct view *view, const char *path, const char *target)
{
    add(view, SENTRY_MOUNT_SYMLINK, path)->target = target;
}

static void add_root(struct view *view, const char *host, const char *guest,
                     enum sentry_mount_mode mode, bool exclusive)
{
    struct view_root *grown = reallocarray(view->roots, view->root_count + 1, sizeof(*view->roots));
    if (grown == NULL) {
        view->failed = true;
        return;
    }
    view->roots = grown;
    grown[view->root_count] = (struct view_root){
        .host_path = host, .guest_path = guest, .mode = mode, .exclusive = exclusive};
    struct sentry_mount *mount = add(view, SENTRY_MOUNT_GOFER, guest);
    mount->mode = mode;
    mount->target = host;
    mount->gofer_index = (unsigned)view->root_count++;
}

/* A system directory of the host: read-only, or the same symbolic link on merged-/usr systems. */
static void add_system(struct view *view, const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        add_root(view, path, path, SENTRY_MODE_READ_ONLY, true);
        return;
    }
    char target[PATH_MAX];
    ssize_t n = S_ISLNK(st.st_mode) ? readlink(path, target, sizeof(target) - 1) : -1;
    if (n > 0) {
        target[n] = 0;
        const char *copy = strdup(target);
        if (copy == NULL) {
            view->failed = true;
            return;
        }
        add_symlink(view, path, copy);
    }
}

static void add_kernel_mounts(struct view *view)
{
    add(view, SENTRY_MOUNT_PROC, "/proc");
    add(view, SENTRY_MOUNT_SYS, "/sys")->mode = SENTRY_MODE_READ_ONLY;
    add(view, SENTRY_MOUNT_DEV, "/dev");
    add(view, SENTRY_MOUNT_DEVPTS, "/dev/pts");
    add(view, SENTRY_MOUNT_MQUEUE, "/dev/mqueue");
    add_tmpfs(view, "/dev/shm", 01777, SENTRY_NO_LIMIT);
}

static void add_default_system(struct view *view)
{
    static const char *const system[] = {"/usr",   "/bin",   "/sbin",   "/lib",
                                         "/lib32", "/lib64", "/libx32", "/etc"};
    static const struct {
        const char *path;
        uint32_t mode;
    } empty[] = {{"/tmp", 01777},      {"/home", 0755},    {"/root", 0700},     {"/run", 0755},
                 {"/run/lock", 01777}, {"/var", 0755},     {"/var/tmp", 01777}, {"/var/lib", 0755},
                 {"/var/cache", 0755}, {"/var/log", 0755}, {"/mnt", 0755},      {"/opt", 0755},
                 {"/srv", 0755}};
    for (size_t i = 0; i < array_size(system); i++) {
        add_system(view, system[i]);
    }
    for (size_t i = 0; i < array_size(empty); i++) {
        add_directory(view, empty[i].path, empty[i].mode, 0, 0);
    }
    add_system(view, "/var/lib/dpkg"); /* which packages the files of /usr belong to */
    add_system(view, "/var/lib/apt/lists");
    add_symlink(view, "/var/run", "/run");
    add_symlink(view, "/var/lock", "/run/lock");
}

/* The home directory that HOME names exists and belongs to the guest's user. */
static void add_home(struct view *view, const struct run_options *options)
{
    struct passwd *entry = options->uid != 0 ? getpwuid(options->uid) : NULL;
    if (entry != NULL && strncmp(entry->pw_dir, "/home/", 6) == 0) {
        char *home = parse_guest_path(entry->pw_dir);
        if (home == NULL) {
            view->failed = true;
            return;
        }
        add_directory(view, home, 0755, options->uid, options->gid);
    }
}

static bool under_kernel_fs(const char *path)
{
    return path_is_within(path, "/proc") || path_is_within(path, "/sys") ||
           path_is_within(path, "/dev");
}

/* The current directory, copy-on-write, unless an option covers it or it cannot be shown. */
static int add_current(struct view *view, const struct run_options *options)
{
    char *cwd = getcwd(NULL, 0);
    if (cwd == NULL || cwd[0] != '/') {
        report_error("the current directory cannot be used (%s); change to one that exists",
                     cwd == NULL ? strerror(errno) : cwd);
        free(cwd);
        return -EINVAL;
    }
    view->cwd = cwd;
    if (strcmp(cwd, "/") == 0 || under_kernel_fs(cwd)) {
        return 0;
    }
    for (size_t i = 0; i < options->mount_count; i++) {
        if (path_is_within(cwd, options->mounts[i].path)) {
            return 0;
        }
    }
    add_root(view, cwd, cwd, SENTRY_MODE_COW, false);
    return 0;
}

static void add_options(struct view *view, const struct run_options *options)
{
    for (size_t i = 0; i < options->mount_count; i++) {
        const struct mount_option *m = &options->mounts[i];
        if (m->source == NULL) {
            add_tmpfs(view, m->path, 01777, m->size);
        } else {
            add_root(view, m->source, m->path, m->mode, false);
        }
    }
}

/* Finds out now, with a clear line, what the gofer could not open later. */
static int check_roots(const struct view *view)
{
    for (size_t i = 0; i < view->root_count; i++) {
        const char *path = view->roots[i].host_path;
        struct stat st;
        int fd = open(path, O_PATH | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) != 0) {
            report_error("cannot open %s for the sandbox: %s", path, strerror(errno));
            if (fd >= 0) {
                close(fd);
            }
            return -EINVAL;
        }
        close(fd);
        if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
            report_error("%s is neither a directory nor a regular file; it cannot be mounted",
                         path);
            return -EINVAL;
        }
        if (S_ISDIR(st.st_mode) && access(path, R_OK | X_OK) != 0) {
            report_error("cannot read the directory %s: %s", path, strerror(errno));
            return -EINVAL;
        }
    }
    return 0;
}

static int check_rootfs(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        report_error("--rootfs: %s is not a directory", path);
        return -EINVAL;
    }
    return 0;
}

static struct policy_verdict judge(const struct policy *policy, const char *path)
{
    struct policy_verdict verdict = {.access = GOFER_ACCESS_WRITE};
    uint64_t *state = calloc(policy_state_size(policy) + 1, sizeof(*state));
    if (state != NULL) {
        policy_state_path(policy, path, state);
        policy_judge(policy, state, &verdict);
        free(state);
    }
    return verdict;
}

static bool is_hidden(const struct policy *policy, const char *path)
{
    struct policy_verdict verdict = judge(policy, path);
    return verdict.access == GOFER_ACCESS_HIDE && !verdict.passage;
}

static bool is_readable(const struct policy *policy, const char *path)
{
    enum gofer_access access = judge(policy, path).access;
    return access != GOFER_ACCESS_HIDE && access != GOFER_ACCESS_DENY;
}

void view_apply_policy(struct view *view, const struct policy *policy)
{
    size_t kept = 0;
    for (size_t i = 0; i < view->mount_count; i++) {
        struct sentry_mount mount = view->mounts[i];
        if (mount.kind == SENTRY_MOUNT_GOFER && is_hidden(policy, mount.path)) {
            if (strcmp(mount.path, view->cwd) != 0) {
                continue;
            }
            mount.kind = SENTRY_MOUNT_DIRECTORY;
        }
        if (mount.kind == SENTRY_MOUNT_FILE && !is_readable(policy, mount.path)) {
            continue;
        }
        view->mounts[kept++] = mount;
    }
    view->mount_count = kept;
}

static void add_file(struct view *view, const char *path, const char *text)
{
    if (text == NULL) {
        view->failed = true;
        return;
    }
    struct sentry_mount *mount = add(view, SENTRY_MOUNT_FILE, path);
    mount->target = text;
    mount->dir_mode = 0644;
    mount->mode = SENTRY_MODE_READ_WRITE;
}

/* The guest's own name resolves, and the host's is not told. */
static void add_names(struct view *view, const struct run_options *options)
{
    char *hosts = NULL;
    char *name = NULL;
    if (asprintf(&hosts,
                 "127.0.0.1\tlocalhost\n127.0.1.1\t%s\n\n"
                 "::1\tlocalhost ip6-localhost ip6-loopback\n",
                 options->hostname) < 0) {
        hosts = NULL;
    }
    if (asprintf(&name, "%s\n", options->hostname) < 0) {
        name = NULL;
    }
    add_file(view, "/etc/hosts", hosts);
    add_file(view, "/etc/hostname", name);
}

int view_build(const struct run_options *options, struct view *ret_view)
{
    struct view view = {.cwd = "/"};
    int error = 0;
    if (options->rootfs != NULL) {
        error = check_rootfs(options->rootfs);
        if (error == 0) {
            add_root(&view, options->rootfs, "/", SENTRY_MODE_COW, false);
            add_kernel_mounts(&view);
            add_tmpfs(&view, "/tmp", 01777, SENTRY_NO_LIMIT);
        }
    } else {
        add_tmpfs(&view, "/", 0755, SENTRY_NO_LIMIT);
        add_default_system(&view);
        add_names(&view, options);
        add_home(&view, options);
        add_kernel_mounts(&view);
        error = add_current(&view, options);
    }
    if (error == 0) {
        add_options(&view, options);
        error = check_roots(&view);
    }
    if (error == 0 && view.failed) {
        report_error("out of memory");
        error = -EINVAL;
    }
    if (error != 0) {
        return error;
    }
    if (options->cwd != NULL) {
        view.cwd = options->cwd;
    }
    *ret_view = view;
    return 0;
}
