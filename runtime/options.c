/*
 * options.c: the command line of `stockade run`.
 *
 * One table of long options; every value is checked here, so that the rest of the launcher sees
 * valid values only. An error is one line: what, where, what to do.
 */
#include "runtime/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/platform.h"
#include "runtime/parse.h"

enum option_id {
    OPTION_PLATFORM = 1000,
    OPTION_ROOTFS,
    OPTION_MOUNT,
    OPTION_TMPFS,
    OPTION_HIDE,
    OPTION_POLICY,
    OPTION_ENV,
    OPTION_CLEAR_ENV,
    OPTION_CWD,
    OPTION_USER,
    OPTION_HOSTNAME,
    OPTION_TIME_LIMIT,
    OPTION_CPU_LIMIT,
    OPTION_MEMORY_LIMIT,
    OPTION_PIDS_LIMIT,
    OPTION_OUTPUT_LIMIT,
    OPTION_TMPFS_LIMIT,
    OPTION_FILES_LIMIT,
    OPTION_STRACE,
    OPTION_LOG,
    OPTION_LOG_LEVEL,
    OPTION_LOG_FORMAT,
    OPTION_AUDIT,
    OPTION_AUDIT_ALL,
    OPTION_RESULT,
    OPTION_SAVE_CHANGES,
    OPTION_SHOW_CHANGES,
    OPTION_NO_TERMINAL,
    OPTION_HELP,
};

static const struct option run_long_options[] = {
    {"platform", required_argument, NULL, OPTION_PLATFORM},
    {"rootfs", required_argument, NULL, OPTION_ROOTFS},
    {"mount", required_argument, NULL, OPTION_MOUNT},
    {"tmpfs", required_argument, NULL, OPTION_TMPFS},
    {"hide", required_argument, NULL, OPTION_HIDE},
    {"policy", required_argument, NULL, OPTION_POLICY},
    {"env", required_argument, NULL, OPTION_ENV},
    {"clear-env", no_argument, NULL, OPTION_CLEAR_ENV},
    {"cwd", required_argument, NULL, OPTION_CWD},
    {"user", required_argument, NULL, OPTION_USER},
    {"hostname", required_argument, NULL, OPTION_HOSTNAME},
    {"time-limit", required_argument, NULL, OPTION_TIME_LIMIT},
    {"cpu-limit", required_argument, NULL, OPTION_CPU_LIMIT},
    {"memory-limit", required_argument, NULL, OPTION_MEMORY_LIMIT},
    {"pids-limit", required_argument, NULL, OPTION_PIDS_LIMIT},
    {"output-limit", required_argument, NULL, OPTION_OUTPUT_LIMIT},
    {"tmpfs-limit", required_argument, NULL, OPTION_TMPFS_LIMIT},
    {"open-files-limit", required_argument, NULL, OPTION_FILES_LIMIT},
    {"strace", optional_argument, NULL, OPTION_STRACE},
    {"log", required_argument, NULL, OPTION_LOG},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"audit", required_argument, NULL, OPTION_AUDIT},
    {"audit-all", no_argument, NULL, OPTION_AUDIT_ALL},
    {"result", required_argument, NULL, OPTION_RESULT},
    {"save-changes", required_argument, NULL, OPTION_SAVE_CHANGES},
    {"show-changes", no_argument, NULL, OPTION_SHOW_CHANGES},
    {"no-terminal", no_argument, NULL, OPTION_NO_TERMINAL},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static const char run_help[] =
    "usage: stockade run [options] -- CMD [ARGS...]\n"
    "\n"
    "Runs CMD in a fresh sandbox. It sees the host's system directories read-only, the current\n"
    "directory copy-on-write, empty /tmp /home /root /run, and no network but loopback.\n"
    "\n"
    "Files\n"
    "  --mount SRC:DST[:MODE]   host SRC at DST; MODE is ro (default), rw, cow or no-delete\n"
    "  --tmpfs DST[:size=N]     an empty in-memory directory at DST\n"
    "  --hide PATH              guest path that does not exist for the program\n"
    "  --policy FILE            rules for files, JSON (see stockade-policy)\n"
    "  --rootfs DIR             DIR as / (copy-on-write) instead of the host's directories\n"
    "  --show-changes           list changed files on standard error at the end\n"
    "  --save-changes DIR       copy changed files into DIR (made when missing)\n"
    "Program\n"
    "  --env K=V, --env K       set a variable, or pass the host's through\n"
    "  --clear-env              start from an empty environment\n"
    "  --cwd PATH               guest directory to start in\n"
    "  --user UID[:GID]         guest identity (default: the caller's; 0 with --rootfs)\n"
    "  --hostname NAME          default: stockade\n"
    "  --no-terminal            no pty even when standard input is a terminal\n"
    "Limits (SIZE: 512K 64M 2G none; TIME: 500ms 5s 2m 1h)\n"
    "  --time-limit TIME        wall time; status 124\n"
    "  --cpu-limit TIME         CPU time of all processes; status 137\n"
    "  --memory-limit SIZE      memory of all processes; status 137 (default: 75% of the host's)\n"
    "  --pids-limit N           processes and threads (default 4096)\n"
    "  --tmpfs-limit SIZE       in-memory files (default: half the memory limit)\n"
    "  --output-limit SIZE      bytes on standard output and error; status 137\n"
    "  --open-files-limit N     open files per process\n"
    "Reports\n"
    "  --result FILE            JSON: exit, limits, CPU, memory, changes, refusals\n"
    "  --strace[=FILE]          trace system calls (default: standard error)\n"
    "  --audit FILE             one JSON line per refused file access\n"
    "  --audit-all              an audit line for every access\n"
    "  --log FILE               diagnostics; --log-level error|warning|notice|info|debug,\n"
    "                           --log-format text|json\n"
    "Engine\n"
    "  --platform NAME          auto (default) or one of `stockade doctor`\n"
    "\n"
    "Exit status: the program's; 128+N when signal N killed it; 124 time limit; 125 stockade "
    "itself\n"
    "failed; 126 cannot execute; 127 not found; 137 another limit.\n";

void report_error(const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    if (n < 0) {
        return;
    }
    /* One line whatever the file names in it hold. */
    for (char *p = line; *p != 0; p++) {
        if (iscntrl((unsigned char)*p)) {
            *p = '?';
        }
    }
    fprintf(stderr, "stockade: %s\n", line);
}

/* Grows an array by one; NULL when there is no memory. */
static void *array_grow(void *array, size_t count, size_t element)
{
    return reallocarray(array, count + 1, element);
}

static int no_memory(void)
{
    report_error("out of memory");
    return -EINVAL;
}

static int add_string(const char ***array, size_t *count, const char *value)
{
    const char **grown = array_grow(*array, *count, sizeof(*grown));
    if (grown == NULL) {
        return no_memory();
    }
    grown[(*count)++] = value;
    *array = grown;
    return 0;
}

static int add_mount(struct run_options *options, const struct mount_option *mount)
{
    struct mount_option *grown =
        array_grow(options->mounts, options->mount_count, sizeof(*options->mounts));
    if (grown == NULL) {
        return no_memory();
    }
    grown[options->mount_count++] = *mount;
    options->mounts = grown;
    return 0;
}

static const char *host_path(const char *option, const char *path)
{
    char *real = realpath(path, NULL);
    if (real == NULL) {
        report_error("%s: %s: %s; give a path that exists", option, path, strerror(errno));
    }
    return real;
}

static const char *guest_path(const char *option, const char *path)
{
    char *normal = parse_guest_path(path);
    if (normal == NULL) {
        report_error("%s: '%s' is not an absolute guest path; start it with /", option, path);
    } else if (strlen(normal) >= PATH_MAX) {
        report_error("%s: the path is longer than %d bytes", option, PATH_MAX - 1);
        free(normal);
        return NULL;
    }
    return normal;
}

static int option_mount(struct run_options *options, const char *value)
{
    static const struct {
        const char *name;
        enum sentry_mount_mode mode;
    } modes[] = {{"ro", SENTRY_MODE_READ_ONLY},
                 {"rw", SENTRY_MODE_READ_WRITE},
                 {"cow", SENTRY_MODE_COW},
                 {"no-delete", SENTRY_MODE_NO_DELETE}};
    struct mount_option mount = {.mode = SENTRY_MODE_READ_ONLY, .size = SENTRY_NO_LIMIT};
    char *source = strdup(value);
    if (source == NULL) {
        return no_memory();
    }
    char *path = strchr(source, ':');
    if (path == NULL || path == source || path[1] == 0) {
        report_error("--mount: '%s' is not SRC:DST[:ro|rw|cow|no-delete]", value);
        free(source);
        return -EINVAL;
    }
    *path++ = 0;
    char *mode = strchr(path, ':');
    if (mode != NULL) {
        *mode++ = 0;
        size_t i = 0;
        while (i < array_size(modes) && strcmp(modes[i].name, mode) != 0) {
            i++;
        }
        if (i == array_size(modes)) {
            report_error("--mount: unknown mode '%s' in '%s'; use ro, rw, cow or no-delete", mode,
                         value);
            free(source);
            return -EINVAL;
        }
        mount.mode = modes[i].mode;
    }
    mount.path = guest_path("--mount", path);
    if (mount.path != NULL && strcmp(mount.path, "/") == 0) {
        report_error("--mount: '%s' would cover the root directory; use --rootfs", value);
    } else if (mount.path != NULL) {
        mount.source = host_path("--mount", source);
    }
    free(source);
    if (mount.source == NULL) {
        free((char *)(uintptr_t)mount.path);
        return -EINVAL;
    }
    return add_mount(options, &mount);
}

static int option_tmpfs(struct run_options *options, const char *value)
{
    struct mount_option mount = {.mode = SENTRY_MODE_READ_WRITE, .size = SENTRY_NO_LIMIT};
    char *path = strdup(value);
    if (path == NULL) {
        return no_memory();
    }
    char *size = strchr(path, ':');
    if (size != NULL) {
        *size++ = 0;
        if (strncmp(size, "size=", 5) != 0 || parse_size(size + 5, &mount.size) != 0) {
            report_error("--tmpfs: '%s' is not DST[:size=N]; a size is like 64M", value);
            free(path);
            return -EINVAL;
        }
    }
    mount.path = guest_path("--tmpfs", path);
    free(path);
    if (mount.path == NULL) {
        return -EINVAL;
    }
    if (strcmp(mount.path, "/") == 0) {
        report_error("--tmpfs: '%s' would cover the root directory; name a directory in it", value);
        return -EINVAL;
    }
    return add_mount(options, &mount);
}

static int option_size(const char *name, const char *value, uint64_t *ret)
{
    if (parse_size(value, ret) != 0 || *ret == 0) {
        report_error("%s: '%s' is not a size; write a number with K, M or G, such as 512M, or none",
                     name, value);
        return -EINVAL;
    }
    return 0;
}

static int option_time(const char *name, const char *value, uint64_t *ret)
{
    if (parse_duration(value, ret) != 0) {
        report_error("%s: '%s' is not a time; write a number with ms, s, m or h, such as 5s", name,
                     value);
        return -EINVAL;
    }
    return 0;
}

static int option_count(const char *name, const char *value, uint64_t max, uint64_t *ret)
{
    if (parse_number(value, 1, max, ret) != 0) {
        report_error("%s: '%s' is not a number from 1 to %llu", name, value,
                     (unsigned long long)max);
        return -EINVAL;
    }
    return 0;
}

static int option_platform(struct run_options *options, const char *value)
{
    if (strcmp(value, "auto") != 0 && platform_find(value) == NULL) {
        char names[256] = "auto";
        const struct platform_ops *ops;
        for (size_t i = 0; (ops = platform_get(i)) != NULL; i++) {
            strncat(names, " ", sizeof(names) - strlen(names) - 1);
            strncat(names, ops->name, sizeof(names) - strlen(names) - 1);
        }
        report_error("--platform: no engine '%s'; choose one of: %s", value, names);
        return -EINVAL;
    }
    options->platform = value;
    return 0;
}

static int option_env(struct run_options *options, const char *value)
{
    if (value[0] == 0 || value[0] == '=') {
        report_error("--env: '%s' is not K=V or K", value);
        return -EINVAL;
    }
    return add_string(&options->env, &options->env_count, value);
}

static int option_hostname(struct run_options *options, const char *value)
{
    /* Linux: __NEW_UTS_LEN is 64. */
    if (value[0] == 0 || strlen(value) > 64) {
        report_error("--hostname: a name has 1 to 64 bytes");
        return -EINVAL;
    }
    options->hostname = value;
    return 0;
}

static int option_user(struct run_options *options, const char *value)
{
    if (parse_user(value, &options->uid, &options->gid) != 0) {
        report_error("--user: '%s' is not UID or UID:GID in numbers", value);
        return -EINVAL;
    }
    options->user_given = true;
    return 0;
}

static int option_log_level(struct run_options *options, const char *value)
{
    static const char *const names[] = {"error", "warning", "notice", "info", "debug"};
    for (size_t i = 0; i < array_size(names); i++) {
        if (strcmp(names[i], value) == 0) {
            options->log_level = (enum log_level)i;
            options->log_level_given = true;
            return 0;
        }
    }
    report_error("--log-level: '%s' is not error, warning, notice, info or debug", value);
    return -EINVAL;
}

static int option_log_format(struct run_options *options, const char *value)
{
    if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0) {
        report_error("--log-format: '%s' is not text or json", value);
        return -EINVAL;
    }
    options->log_json = strcmp(value, "json") == 0;
    return 0;
}

static int option_guest_path(const char *name, const char *value, const char **ret)
{
    *ret = guest_path(name, value);
    return *ret != NULL ? 0 : -EINVAL;
}

static int option_hide(struct run_options *options, const char *value)
{
    const char *path;
    int error = option_guest_path("--hide", value, &path);
    return error != 0 ? error : add_string(&options->hidden, &options->hidden_count, path);
}

static int option_rootfs(struct run_options *options, const char *value)
{
    options->rootfs = host_path("--rootfs", value);
    return options->rootfs != NULL ? 0 : -EINVAL;
}

static int parse_limit(int id, struct run_options *options, const char *value)
{
    switch (id) {
    case OPTION_TIME_LIMIT:
        return option_time("--time-limit", value, &options->time_ms);
    case OPTION_CPU_LIMIT:
        return option_time("--cpu-limit", value, &options->cpu_ms);
    case OPTION_MEMORY_LIMIT:
        return option_size("--memory-limit", value, &options->limits.memory);
    case OPTION_PIDS_LIMIT:
        return option_count("--pids-limit", value, 1 << 22, &options->limits.pids);
    case OPTION_OUTPUT_LIMIT:
        return option_size("--output-limit", value, &options->limits.output);
    case OPTION_TMPFS_LIMIT:
        return option_size("--tmpfs-limit", value, &options->limits.tmpfs);
    case OPTION_FILES_LIMIT:
        return option_count("--open-files-limit", value, 1 << 20, &options->limits.open_files);
    default:
        return -ENOENT;
    }
}

static int parse_report(int id, struct run_options *options, const char *value)
{
    switch (id) {
    case OPTION_STRACE:
        options->strace = true;
        options->strace_file = value;
        return 0;
    case OPTION_LOG:
        options->log_file = value;
        return 0;
    case OPTION_LOG_LEVEL:
        return option_log_level(options, value);
    case OPTION_LOG_FORMAT:
        return option_log_format(options, value);
    case OPTION_AUDIT:
        options->audit_file = value;
        return 0;
    case OPTION_AUDIT_ALL:
        options->audit_all = true;
        return 0;
    case OPTION_RESULT:
        options->result_file = value;
        return 0;
    case OPTION_SAVE_CHANGES:
        options->save_changes = value;
        return 0;
    case OPTION_SHOW_CHANGES:
        options->show_changes = true;
        return 0;
    default:
        return -ENOENT;
    }
}

static int parse_one(int id, struct run_options *options, const char *value)
{
    switch (id) {
    case OPTION_PLATFORM:
        return option_platform(options, value);
    case OPTION_ROOTFS:
        return option_rootfs(options, value);
    case OPTION_MOUNT:
        return option_mount(options, value);
    case OPTION_TMPFS:
        return option_tmpfs(options, value);
    case OPTION_HIDE:
        return option_hide(options, value);
    case OPTION_POLICY:
        options->policy = value;
        return 0;
    case OPTION_ENV:
        return option_env(options, value);
    case OPTION_CLEAR_ENV:
        options->clear_env = true;
        return 0;
    case OPTION_CWD:
        return option_guest_path("--cwd", value, &options->cwd);
    case OPTION_USER:
        return option_user(options, value);
    case OPTION_HOSTNAME:
        return option_hostname(options, value);
    case OPTION_NO_TERMINAL:
        options->no_terminal = true;
        return 0;
    default:
        break;
    }
    int error = parse_limit(id, options, value);
    return error == -ENOENT ? parse_report(id, options, value) : error;
}

static void report_bad_option(char **argv, int id)
{
    const char *text = argv[optind - 1];
    if (id == ':') {
        report_error("run: option %s needs a value; see stockade run --help", text);
    } else if (optopt >= OPTION_PLATFORM) {
        report_error("run: option %s takes no value; see stockade run --help", text);
    } else {
        report_error("run: unknown option %s; see stockade run --help", text);
    }
}

int run_options_parse(int argc, char **argv, struct run_options *ret_options)
{
    struct run_options options = {
        .platform = "auto",
        .hostname = "stockade",
        .time_ms = SENTRY_NO_LIMIT,
        .cpu_ms = SENTRY_NO_LIMIT,
        .limits = {.memory = 0,
                   .cpu_seconds = SENTRY_NO_LIMIT,
                   .pids = 4096,
                   .tmpfs = 0,
                   .output = SENTRY_NO_LIMIT,
                   .open_files = 0},
    };
    int id;
    optind = 0;
    opterr = 0;
    while ((id = getopt_long(argc, argv, "+:h", run_long_options, NULL)) != -1) {
        if (id == OPTION_HELP || id == 'h') {
            fputs(run_help, stdout);
            return 1;
        }
        if (id == '?' || id == ':') {
            report_bad_option(argv, id);
            return -EINVAL;
        }
        if (parse_one(id, &options, optarg) != 0) {
            return -EINVAL;
        }
    }
    if (optind >= argc) {
        report_error("run: no command; write it after --, as in: stockade run -- echo hello");
        return -EINVAL;
    }
    if (argv[optind][0] == 0) {
        report_error("run: the command is an empty string");
        return -EINVAL;
    }
    options.argv = argv + optind;
    if (!options.log_level_given) {
        options.log_level = options.log_file != NULL ? LOG_NOTICE : LOG_WARNING;
    }
    *ret_options = options;
    return 0;
}
