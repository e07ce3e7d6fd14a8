/*
 * doctor.c: `stockade doctor`: which layers this host gives, and what a missing one costs.
 *
 * Each check is one row; only the rows marked required decide the exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/platform.h"
#include "runtime/host_calls.h"
#include "runtime/options.h"
#include "runtime/run.h"
#include "runtime/usage.h"

struct finding {
    bool ok;
    char detail[256];
};

static void read_line(const char *path, char *buffer, size_t size)
{
    FILE *file = fopen(path, "re");
    buffer[0] = 0;
    if (file != NULL) {
        if (fgets(buffer, (int)size, file) != NULL) {
            buffer[strcspn(buffer, "\n")] = 0;
        }
        fclose(file);
    }
}

static void check_kernel(struct finding *f)
{
    struct utsname name;
    int major = 0;
    int minor = 0;
    uname(&name);
    ignore_result(sscanf(name.release, "%d.%d", &major, &minor));
    f->ok = major > 5 || (major == 5 && minor >= 9);
    snprintf(f->detail, sizeof(f->detail), "Linux %s%s", name.release,
             f->ok ? "" : "; 5.9 or newer is needed");
}

static void check_engines(struct finding *f)
{
    const struct platform_ops *ops;
    size_t used = 0;
    for (size_t i = 0; (ops = platform_get(i)) != NULL && used < sizeof(f->detail); i++) {
        char reason[128] = "";
        bool works = ops->probe(reason, sizeof(reason)) == 0;
        f->ok = f->ok || works;
        used += (size_t)snprintf(
            f->detail + used, sizeof(f->detail) - used, "%s%s%s%s%s", used > 0 ? ", " : "",
            ops->name, works ? "" : " (not here: ", works ? "" : reason, works ? "" : ")");
    }
}

static void check_openat2(struct finding *f)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how));
    f->ok = fd >= 0;
    snprintf(f->detail, sizeof(f->detail), "%s", f->ok ? "works" : strerror(errno));
    if (fd >= 0) {
        close(fd);
    }
}

static void check_seccomp(struct finding *f)
{
    unsigned action = SECCOMP_RET_KILL_PROCESS;
    f->ok = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
    snprintf(f->detail, sizeof(f->detail), "%s", f->ok ? "filters work" : strerror(errno));
}

static void check_landlock(struct finding *f)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    f->ok = version > 0;
    if (f->ok) {
        snprintf(f->detail, sizeof(f->detail), "version %ld", version);
    } else {
        snprintf(f->detail, sizeof(f->detail),
                 "not here (%s): the gofer's file access rests on openat2 and seccomp alone",
                 strerror(errno));
    }
}

static void check_userns(struct finding *f)
{
    pid_t pid = fork();
    int status = 1;
    if (pid == 0) {
        _exit(unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
    }
    if (pid > 0) {
        waitpid(pid, &status, 0);
    }
    f->ok = pid > 0 && status == 0;
    snprintf(f->detail, sizeof(f->detail), "%s",
             f->ok ? "can be made (not needed)" : "cannot be made (not needed)");
}

static void check_yama(struct finding *f)
{
    char scope[32];
    read_line("/proc/sys/kernel/yama/ptrace_scope", scope, sizeof(scope));
    f->ok = scope[0] == 0 || atoi(scope) < 3;
    if (scope[0] == 0) {
        snprintf(f->detail, sizeof(f->detail), "not active");
    } else {
        snprintf(f->detail, sizeof(f->detail), "ptrace_scope %s%s", scope,
                 f->ok ? ": children may be traced" : ": the ptrace engine cannot work");
    }
}

static void check_cgroup(struct finding *f)
{
    char line[128];
    read_line("/sys/fs/cgroup/cgroup.controllers", line, sizeof(line));
    f->ok = access("/sys/fs/cgroup/cgroup.procs", W_OK) == 0;
    snprintf(f->detail, sizeof(f->detail), "%s%s", line[0] != 0 ? "v2" : "v1 or none",
             f->ok ? ", writable" : ", not writable: limits are watched by sampling");
}

static void check_memory(struct finding *f)
{
    f->ok = true;
    snprintf(f->detail, sizeof(f->detail), "%llu MiB; default memory limit %llu MiB",
             (unsigned long long)(usage_host_memory() >> 20),
             (unsigned long long)(usage_host_memory() / 4 * 3 >> 20));
}

static void check_proc(struct finding *f)
{
    struct usage usage;
    f->ok = usage_sample(getpid(), &usage) == 0 && usage.memory > 0;
    snprintf(f->detail, sizeof(f->detail), "%s",
             f->ok ? "readable" : "not readable: memory and CPU limits cannot be watched");
}

static const struct {
    const char *name;
    bool required;
    void (*check)(struct finding *finding);
} checks[] = {
    {"kernel", true, check_kernel},      {"engines", true, check_engines},
    {"seccomp", true, check_seccomp},    {"openat2", true, check_openat2},
    {"landlock", false, check_landlock}, {"proc", false, check_proc},
    {"yama", false, check_yama},         {"user namespaces", false, check_userns},
    {"cgroups", false, check_cgroup},    {"memory", false, check_memory},
};

static bool run_checks(bool as_json)
{
    bool usable = true;
    json_t *layers = json_array();
    for (size_t i = 0; i < array_size(checks); i++) {
        struct finding finding = {.ok = false, .detail = ""};
        checks[i].check(&finding);
        usable = usable && (finding.ok || !checks[i].required);
        if (!as_json) {
            printf("%-4s %-16s %s\n",
                   finding.ok           ? "ok"
                   : checks[i].required ? "FAIL"
                                        : "-",
                   checks[i].name, finding.detail);
        }
        json_array_append_new(layers, json_pack("{s:s, s:b, s:b, s:s}", "name", checks[i].name,
                                                "ok", finding.ok, "required", checks[i].required,
                                                "detail", finding.detail));
    }
    json_t *root = json_pack("{s:i, s:b, s:o}", "version", 1, "usable", usable, "layers", layers);
    if (as_json && root != NULL) {
        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (!as_json) {
        puts(usable ? "stockade can run here" : "stockade cannot run here");
    }
    json_decref(root);
    return usable;
}

int command_doctor(int argc, char **argv)
{
    static const struct option long_options[] = {{"json", no_argument, NULL, 'j'},
                                                 {"host-calls", no_argument, NULL, 'c'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {NULL, 0, NULL, 0}};
    bool json = false;
    bool host_calls = false;
    int id;
    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (id == 'h') {
            puts("usage: stockade doctor [--host-calls] [--json]\n\n"
                 "Says which layers of protection this host gives. Exit status 0 if sandboxes can "
                 "run\nhere, 1 if not.\n\n"
                 "  --host-calls  instead: which of the host's system calls are left to each kind "
                 "of\n                process and thread of a sandbox\n"
                 "  --json        for programs");
            return 0;
        }
        if (id == 'c') {
            host_calls = true;
            continue;
        }
        if (id != 'j') {
            report_error("doctor: unknown option %s; see stockade doctor --help", argv[optind - 1]);
            return STATUS_FAILED;
        }
        json = true;
    }
    if (optind < argc) {
        report_error("doctor: unexpected argument '%s'", argv[optind]);
        return STATUS_FAILED;
    }
    if (host_calls) {
        return host_calls_print(json) ? 0 : STATUS_FAILED;
    }
    return run_checks(json) ? 0 : 1;
}
