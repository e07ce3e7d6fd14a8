/*
 * report.c: gathers what happened and turns it into an exit status and a JSON file.
 */
#include "runtime/report.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/text.h"
#include "runtime/options.h"

void report_fini(struct report *report)
{
    free(report->error);
    for (size_t i = 0; i < report->limit_count; i++) {
        free(report->limits[i].detail);
    }
    for (size_t i = 0; i < report->change_count; i++) {
        free(report->changes[i].path);
    }
    free(report->changes);
    for (size_t i = 0; i < report->refusal_count; i++) {
        struct report_refusal *r = &report->refusals[i];
        free(r->op);
        free(r->path);
        free(r->rule);
        free(r->reason);
        free(r->error);
    }
    free(report->refusals);
}

void report_fail(struct report *report, const char *format, ...)
{
    if (report->error != NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    if (vasprintf(&report->error, format, args) < 0) {
        report->error = NULL;
    }
    va_end(args);
    report_error("%s", report->error != NULL ? report->error : "out of memory");
}

bool report_add_limit(struct report *report, const char *name, const char *detail, bool fatal)
{
    struct report_limit *limit = NULL;
    for (size_t i = 0; i < report->limit_count; i++) {
        if (strcmp(report->limits[i].name, name) == 0) {
            limit = &report->limits[i];
            if (limit->fatal || !fatal) {
                return false;
            }
        }
    }
    if (limit == NULL) {
        if (report->limit_count == REPORT_LIMITS_MAX) {
            return false;
        }
        limit = &report->limits[report->limit_count++];
        snprintf(limit->name, sizeof(limit->name), "%s", name);
    }
    free(limit->detail);
    limit->detail = strdup(detail);
    limit->fatal = fatal;
    if (fatal) {
        report_error("%s", detail);
    }
    return true;
}

void report_add_change(struct report *report, const char *kind, const char *path,
                       const struct control_change *object)
{
    size_t n = report->change_count;
    if (n == REPORT_ITEMS_MAX) {
        report->changes_dropped++;
        return;
    }
    if ((n & (n - 1)) == 0) {
        struct report_change *grown =
            reallocarray(report->changes, n == 0 ? 1 : 2 * n, sizeof(*grown));
        if (grown == NULL) {
            report->changes_dropped++;
            return;
        }
        report->changes = grown;
    }
    char *copy = strdup(path);
    if (copy == NULL) {
        report->changes_dropped++;
        return;
    }
    struct report_change *change = &report->changes[report->change_count++];
    snprintf(change->kind, sizeof(change->kind), "%s", kind);
    change->path = copy;
    change->object = *object;
}

/* strdup that turns "no memory" into NULL text, which the JSON then leaves out. */
static char *copy_or_null(const char *text)
{
    return text != NULL && text[0] != 0 ? strdup(text) : NULL;
}

void report_add_refusal(struct report *report, const char *op, const char *path, const char *error,
                        const char *rule, const char *reason)
{
    for (size_t i = report->refusal_count; i > 0 && i + 256 > report->refusal_count; i--) {
        struct report_refusal *r = &report->refusals[i - 1];
        if (r->op != NULL && r->path != NULL && r->error != NULL && strcmp(r->op, op) == 0 &&
            strcmp(r->path, path) == 0 && strcmp(r->error, error) == 0) {
            r->count++;
            return;
        }
    }
    size_t n = report->refusal_count;
    if (n >= REPORT_ITEMS_MAX / 10) {
        report->refusals_dropped++;
        return;
    }
    if ((n & (n - 1)) == 0) {
        struct report_refusal *grown =
            reallocarray(report->refusals, n == 0 ? 1 : 2 * n, sizeof(*grown));
        if (grown == NULL) {
            report->refusals_dropped++;
            return;
        }
        report->refusals = grown;
    }
    report->refusals[report->refusal_count++] = (struct report_refusal){
        .op = copy_or_null(op),
        .path = copy_or_null(path),
        .rule = copy_or_null(rule),
        .reason = copy_or_null(reason),
        .error = copy_or_null(error),
        .count = 1,
    };
}

void report_add_audit_line(struct report *report, const char *line, size_t length)
{
    json_t *event = json_loadb(line, length, 0, NULL);
    const char *op = NULL;
    const char *path = NULL;
    const char *error = NULL;
    const char *rule = NULL;
    const char *reason = NULL;
    if (event == NULL) {
        return;
    }
    if (json_unpack(event, "{s:s, s:s, s:s, s?s, s?s}", "op", &op, "path", &path, "errno", &error,
                    "rule", &rule, "reason", &reason) == 0 &&
        strcmp(error, "0") != 0) {
        report_add_refusal(report, op, path, error, rule, reason);
    }
    json_decref(event);
}

int report_status(const struct report *report)
{
    for (size_t i = 0; i < report->limit_count; i++) {
        if (report->limits[i].fatal) {
            return strcmp(report->limits[i].name, "time") == 0 ? STATUS_TIME_LIMIT : STATUS_LIMIT;
        }
    }
    if (report->exec_error != 0) {
        return report->exec_error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
    }
    if (report->error != NULL) {
        return STATUS_FAILED;
    }
    if (report->ended_by_signal != 0) {
        return 128 + report->ended_by_signal;
    }
    if (!report->exited) {
        return STATUS_FAILED;
    }
    if (WIFSIGNALED(report->wait_status)) {
        return 128 + WTERMSIG(report->wait_status);
    }
    return WEXITSTATUS(report->wait_status);
}

void report_show_changes(const struct report *report)
{
    auto_text struct text out = TEXT_INIT;
    for (size_t i = 0; i < report->change_count; i++) {
        const struct report_change *c = &report->changes[i];
        text_putc(&out, c->kind[0] == 'a' ? 'A' : c->kind[0] == 'd' ? 'D' : 'M');
        text_putc(&out, ' ');
        text_append_escaped(&out, c->path, strlen(c->path));
        text_putc(&out, '\n');
    }
    if (report->changes_dropped > 0) {
        text_printf(&out, "and %llu more\n", (unsigned long long)report->changes_dropped);
    }
    fputs(text_string(&out), stderr);
}

/* A JSON string from bytes that need not be UTF-8. */
static json_t *json_bytes(const char *bytes)
{
    if (bytes == NULL) {
        return json_null();
    }
    json_t *plain = json_string(bytes);
    if (plain != NULL) {
        return plain;
    }
    auto_text struct text escaped = TEXT_INIT;
    text_putc(&escaped, '"');
    text_append_json(&escaped, bytes, strlen(bytes));
    text_putc(&escaped, '"');
    json_t *value = json_loads(text_string(&escaped), JSON_DECODE_ANY, NULL);
    return value != NULL ? value : json_null();
}

static json_t *exit_to_json(const struct report *report)
{
    if (!report->exited) {
        return json_null();
    }
    if (WIFSIGNALED(report->wait_status)) {
        const char *name = sigabbrev_np(WTERMSIG(report->wait_status));
        char text[32];
        snprintf(text, sizeof(text), "SIG%s", name != NULL ? name : "?");
        return json_pack("{s:n, s:i, s:s, s:b}", "code", "signal", WTERMSIG(report->wait_status),
                         "signal_name", text, "core_dump", WCOREDUMP(report->wait_status) != 0);
    }
    return json_pack("{s:i, s:n}", "code", WEXITSTATUS(report->wait_status), "signal");
}

static const char *mode_type(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "symlink";
    case S_IFIFO:
        return "fifo";
    case S_IFSOCK:
        return "socket";
    case S_IFCHR:
    case S_IFBLK:
        return "device";
    default:
        return NULL;
    }
}

static json_t *changes_to_json(const struct report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->change_count; i++) {
        const struct report_change *c = &report->changes[i];
        json_t *entry = json_pack("{s:s, s:o}", "kind", c->kind, "path", json_bytes(c->path));
        const char *type = mode_type(c->object.mode);
        if (entry != NULL && type != NULL) {
            char mode[16];
            snprintf(mode, sizeof(mode), "%04o", c->object.mode & 07777);
            json_object_set_new(entry, "type", json_string(type));
            json_object_set_new(entry, "mode", json_string(mode));
            json_object_set_new(entry, "size", json_integer((json_int_t)c->object.size));
        }
        json_array_append_new(list, entry);
    }
    return list;
}

static json_t *refusals_to_json(const struct report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->refusal_count; i++) {
        const struct report_refusal *r = &report->refusals[i];
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "op", json_bytes(r->op),
                                        "path", json_bytes(r->path), "errno", json_bytes(r->error),
                                        "rule", json_bytes(r->rule), "reason",
                                        json_bytes(r->reason), "count", (json_int_t)r->count));
    }
    return list;
}

static json_t *limits_to_json(const struct report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->limit_count; i++) {
        json_array_append_new(list, json_pack("{s:s, s:o, s:b}", "limit", report->limits[i].name,
                                              "detail", json_bytes(report->limits[i].detail),
                                              "fatal", report->limits[i].fatal));
    }
    return list;
}

static json_t *report_to_json(const struct report *report)
{
    return json_pack(
        "{s:i, s:o, s:i, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:o, s:I, s:o}", "version", 1,
        "exit", exit_to_json(report), "status", report_status(report), "limits_hit",
        limits_to_json(report), "cpu_ms", (json_int_t)(report->cpu_ns / 1000000), "wall_ms",
        (json_int_t)(report->wall_ns / 1000000), "peak_memory_bytes",
        (json_int_t)report->peak_memory, "peak_tasks", (json_int_t)report->stats.peak_tasks,
        "output_bytes", (json_int_t)report->stats.output_bytes, "changes", changes_to_json(report),
        "changes_omitted", (json_int_t)report->changes_dropped, "refusals",
        refusals_to_json(report), "refusals_omitted", (json_int_t)report->refusals_dropped, "error",
        json_bytes(report->error));
}

int report_result_prepare(const char *path, int *ret_dir_fd, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    auto_free char *directory =
        slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    struct stat st;
    if (directory == NULL) {
        return -ENOMEM;
    }
    if (name[0] == 0 || strlen(name) > 240) {
        return name[0] == 0 ? -EISDIR : -ENAMETOOLONG;
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int error = 0;
    if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        error = -errno;
    } else if (fstatat(fd, name, &st, 0) == 0 && S_ISDIR(st.st_mode)) {
        error = -EISDIR;
    }
    if (error != 0) {
        close(fd);
        return error;
    }
    *ret_dir_fd = fd;
    *ret_name = name;
    return 0;
}

static int write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n > 0) {
            data += n;
            length -= (size_t)n;
        }
    }
    return 0;
}

int report_result_write(const struct report *report, int dir_fd, const char *name)
{
    struct stat st;
    json_t *root = report_to_json(report);
    auto_free char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (text == NULL) {
        return -ENOMEM;
    }
    /* A device or pipe, such as /dev/stdout, is written in place. */
    if (fstatat(dir_fd, name, &st, 0) == 0 && !S_ISREG(st.st_mode)) {
        int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        int error = fd < 0 ? -errno : write_all(fd, text, strlen(text));
        if (fd >= 0) {
            close(fd);
        }
        return error;
    }
    char temporary[300];
    snprintf(temporary, sizeof(temporary), ".%s.%d.tmp", name, (int)getpid());
    int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        return -errno;
    }
    int error = write_all(fd, text, strlen(text));
    if (error == 0) {
        error = write_all(fd, "\n", 1);
    }
    if (close(fd) != 0 && error == 0) {
        error = -errno;
    }
    if (error == 0 && renameat(dir_fd, temporary, dir_fd, name) != 0) {
        error = -errno;
    }
    if (error != 0) {
        unlinkat(dir_fd, temporary, 0);
    }
    return error;
}
