/*
 * host_calls.c: which host calls are left to each kind of process and thread, read from the very
 * filters that they get (platform/host/bpf_reach.h).
 */
#include "runtime/host_calls.h"

#include <errno.h>
#include <jansson.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gofer/files/confine.h"
#include "platform/host/bpf_reach.h"
#include "platform/host/memory.h"
#include "platform/platform.h"
#include "runtime/confine.h"
#include "runtime/options.h"
#include "runtime/run.h"
#include "sentry/boot/confine.h"

static int export_gofer(const char *unused, int fd)
{
    const struct confine_config config = {
        .writable = true, .connection = 3, .audit = 4, .log = 5, .proc_fd = 6};
    (void)unused;
    return confine_syscalls_export(&config, fd);
}

static int export_sentry(const char *engine, int fd)
{
    return sentry_confine_export(platform_find(engine), fd);
}

static int export_launcher(const char *unused, int fd)
{
    (void)unused;
    return confine_launcher_export(fd);
}

/* Either a filter that can be exported, or what an engine says of its stubs' threads. */
static const struct kind {
    const char *name, *what, *engine;
    int (*export)(const char *engine, int fd);
    bool guest;
} kinds[] = {
    {"guest", "a thread that runs guest code, trap", "trap", NULL, true},
    {"service", "the thread of a stub that never does, trap", "trap", NULL, false},
    {"sentry", "the sentry, trap", "trap", export_sentry, false},
    {"gofer", "the gofer, with a writable mount", "", export_gofer, false},
    {"launcher", "the process that started them", "", export_launcher, false},
    {"guest-unotify", "a thread that runs guest code, unotify", "unotify", NULL, true},
    {"sentry-unotify", "the sentry, unotify", "unotify", export_sentry, false},
    {"sentry-ptrace", "the sentry, ptrace", "ptrace", export_sentry, false},
};

static int add_exported(const struct kind *kind, struct host_call_set *set)
{
    static struct sock_filter code[BPF_MAXINSNS];
    int fd = host_memfd_create("filter", 0);
    if (fd < 0) {
        return fd;
    }
    int result = kind->export(kind->engine, fd);
    ssize_t size = result == 0 ? pread(fd, code, sizeof(code), 0) : 0;
    if (result == 0 && (size <= 0 || (size_t)size % sizeof(code[0]) != 0)) {
        result = -EIO;
    }
    if (result == 0) {
        const struct sock_fprog filter = {(unsigned short)((size_t)size / sizeof(code[0])), code};
        result = bpf_reach_add(&filter, 1, 0, set);
    }
    close(fd);
    return result;
}

static int reach(const struct kind *kind, struct host_call_set *set)
{
    memset(set, 0, sizeof(*set));
    return kind->export ? add_exported(kind, set)
                        : platform_find(kind->engine)->host_calls(set, kind->guest);
}

static json_t *names_of(const struct host_call_set *set)
{
    json_t *names = json_array();
    for (int number = 0; number < HOST_CALLS_MAX; number++) {
        if (set->calls[number].allowed) {
            char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number);
            json_array_append_new(names, json_pack("{s:s, s:b}", "name", name ? name : "?",
                                                   "checked", set->calls[number].refused));
            free(name);
        }
    }
    return names;
}

static void print_kind(const char *name, const char *what, const json_t *calls)
{
    const json_t *call;
    size_t i;
    int column = 0;
    printf("%s: %zu, %s\n", name, json_array_size(calls), what);
    json_array_foreach(calls, i, call)
    {
        const char *text = json_string_value(json_object_get(call, "name"));
        const char *mark = json_is_true(json_object_get(call, "checked")) ? "*" : "";
        if (column == 0 || column + (int)strlen(text) > 96) {
            printf("%s   ", column == 0 ? "" : "\n");
            column = 3;
        }
        column += printf(" %s%s", text, mark);
    }
    puts("");
}

bool host_calls_print(bool as_json)
{
    json_t *root = json_object();
    for (size_t i = 0; i < array_size(kinds); i++) {
        static struct host_call_set set;
        int error = reach(&kinds[i], &set);
        if (error != 0) {
            report_error("doctor: cannot read the filter of %s: %s", kinds[i].what,
                         strerror(-error));
            json_decref(root);
            return false;
        }
        json_t *calls = names_of(&set);
        if (!as_json) {
            print_kind(kinds[i].name, kinds[i].what, calls);
        }
        json_object_set_new(root, kinds[i].name,
                            json_pack("{s:i, s:s, s:o}", "count", (int)json_array_size(calls),
                                      "what", kinds[i].what, "calls", calls));
    }
    if (as_json) {
        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        puts("*: only with certain arguments, or from certain instructions");
    }
    json_decref(root);
    return true;
}
