/* audit.c: the audit log. Lines are whole or absent; a log that cannot be written stops nothing. */
#include "gofer/files/audit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gofer/files/policy.h"
#include "platform/base/text.h"

void audit_init(struct audit *audit, int fd, bool all)
{
    *audit = (struct audit){.fd = fd, .all = all};
}

static void put_time(struct text *line, const struct timespec *now)
{
    struct tm tm;
    char when[32] = "";
    gmtime_r(&now->tv_sec, &tm);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    text_printf(line, "{\"time\":\"%s.%06ldZ\"", when, now->tv_nsec / 1000);
}

static void put_string(struct text *line, const char *key, const char *value, size_t length)
{
    text_printf(line, ",\"%s\":\"", key);
    text_append_json(line, value, length);
    text_putc(line, '"');
}

static void put_line(struct audit *audit, struct text *line)
{
    text_puts(line, "}\n");
    if (!line->failed) {
        ignore_result(write(audit->fd, text_string(line), line->length));
    }
}

static void put_suppressed(struct audit *audit, const struct timespec *now)
{
    auto_text struct text line = TEXT_INIT;
    put_time(&line, now);
    text_printf(&line, ",\"suppressed\":%llu", (unsigned long long)audit->suppressed);
    put_line(audit, &line);
    audit->suppressed = 0;
}

/* May one more line be written now? Counts it, or counts it as left out. */
static bool admit(struct audit *audit, const struct timespec *now)
{
    if (now->tv_sec != audit->second) {
        audit->second = now->tv_sec;
        audit->in_second = 0;
    }
    if (audit->total >= AUDIT_LINES_MAX || audit->in_second >= AUDIT_LINES_PER_SECOND) {
        audit->suppressed++;
        return false;
    }
    audit->total++;
    audit->in_second++;
    return true;
}

void audit_write(struct audit *audit, const struct audit_event *event)
{
    if (audit->fd < 0) {
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (!admit(audit, &now)) {
        return;
    }
    if (audit->suppressed) {
        put_suppressed(audit, &now);
    }
    auto_text struct text line = TEXT_INIT;
    put_time(&line, &now);
    text_printf(&line, ",\"pid\":%d", event->pid);
    put_string(&line, "comm", event->comm, strnlen(event->comm, 16));
    put_string(&line, "op", event->op, strlen(event->op));
    put_string(&line, "path", event->path, strlen(event->path));
    put_string(&line, "access", policy_access_name(event->access),
               strlen(policy_access_name(event->access)));
    if (event->rule) {
        put_string(&line, "rule", event->rule, strlen(event->rule));
    }
    if (event->reason) {
        put_string(&line, "reason", event->reason, strlen(event->reason));
    }
    const char *name = event->error ? strerrorname_np(-event->error) : "0";
    put_string(&line, "errno", name ? name : "?", strlen(name ? name : "?"));
    put_line(audit, &line);
}

void audit_finish(struct audit *audit)
{
    if (audit->fd >= 0 && audit->suppressed) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        put_suppressed(audit, &now);
    }
}
