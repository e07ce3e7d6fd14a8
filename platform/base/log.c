/* log.c: leveled diagnostics. The configuration is set before threads start. */
#include "platform/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/text.h"

static struct log_config log_state = {
    .fd = STDERR_FILENO, .level = LOG_WARNING, .role = "stockade"};

static const char *const level_names[] = {"error", "warning", "notice", "info", "debug"};

void log_configure(const struct log_config *config)
{
    log_state = *config;
    if (!log_state.role) {
        log_state.role = "stockade";
    }
}

void log_set_role(const char *role)
{
    log_state.role = role;
}

bool log_enabled(enum log_level level)
{
    return log_state.fd >= 0 && level <= log_state.level;
}

static void log_time(char *buffer, size_t size)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(buffer, size, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buffer + n, size - n, ".%06ldZ", now.tv_nsec / 1000);
}

void log_write(enum log_level level, const char *format, ...)
{
    if (!log_enabled(level)) {
        return;
    }
    auto_text struct text message = TEXT_INIT;
    va_list args;
    va_start(args, format);
    text_vprintf(&message, format, args);
    va_end(args);

    auto_text struct text line = TEXT_INIT;
    if (log_state.json) {
        char when[64];
        log_time(when, sizeof(when));
        text_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"role\":\"%s\",\"msg\":\"", when,
                    level_names[level], log_state.role);
        text_append_json(&line, text_string(&message), message.length);
        text_puts(&line, "\"}\n");
    } else {
        text_printf(&line, "stockade: %s: %s: ", log_state.role, level_names[level]);
        text_puts(&line, text_string(&message));
        text_putc(&line, '\n');
    }
    if (!line.failed) {
        ignore_result(write(log_state.fd, text_string(&line), line.length));
    }
}
