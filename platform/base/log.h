/*
 * log.h: leveled diagnostics. One line per message, text or JSON; written with one write(2).
 *
 * The default sink is standard error at level WARNING. log_open redirects it. Safe from any thread.
 */
#pragma once

#include <stdbool.h>

#include "platform/base/compiler.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

struct log_config {
    int fd;               /* borrowed; -1 is "nowhere" */
    enum log_level level; /* messages above it are dropped */
    bool json;
    const char *role; /* "launcher", "sentry", "gofer"; static string */
};

void log_configure(const struct log_config *config);
void log_set_role(const char *role);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *format, ...) printf_like(2, 3);

#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)                                                                              \
    do {                                                                                           \
        if (log_enabled(LOG_INFO)) {                                                               \
            log_write(LOG_INFO, __VA_ARGS__);                                                      \
        }                                                                                          \
    } while (0)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_enabled(LOG_DEBUG)) {                                                              \
            log_write(LOG_DEBUG, __VA_ARGS__);                                                     \
        }                                                                                          \
    } while (0)
