/*
 * support.c: prints what `stockade syscalls` shows. Everything comes from table.def.
 */
#include "syscalls/support.h"

#include <errno.h>
#include <string.h>

#include "platform/base/text.h"
#include "syscalls/strace_names.h"
#include "syscalls/syscall_table.h"

#include "syscalls/arguments.h"

static const char *level_name(const struct syscall_row *row)
{
    switch (row->support) {
    case SYSCALL_FULL:
        return "full";
    case SYSCALL_PARTIAL:
        return "partial";
    default:
        return "refused";
    }
}

static void put_arguments_json(struct text *text, const struct syscall_row *row)
{
    text_puts(text, ", \"arguments\": [");
    for (unsigned i = 0; i < SYSCALL_MAX_ARGUMENTS && row->arguments[i].type != ARG_NONE; i++) {
        text_printf(text, "%s\"%s\"", i > 0 ? ", " : "", row->arguments[i].name);
    }
    text_putc(text, ']');
}

static void put_json(struct text *text, unsigned number, const struct syscall_row *row, bool first)
{
    text_printf(text, "%s\n  {\"number\": %u, \"name\": \"%s\", \"support\": \"%s\"",
                first ? "" : ",", number, row->name, level_name(row));
    if (row->function) {
        put_arguments_json(text, row);
    } else {
        const char *error = strace_error_name(row->error);
        text_printf(text, ", \"error\": \"%s\"", error ? error : "?");
    }
    if (row->note[0] != '\0') {
        text_puts(text, ", \"note\": \"");
        text_append_json(text, row->note, strlen(row->note));
        text_putc(text, '"');
    }
    text_putc(text, '}');
}

static void put_plain(struct text *text, unsigned number, const struct syscall_row *row)
{
    text_printf(text, "%4u  %-26s %-8s", number, row->name, level_name(row));
    if (!row->function) {
        const char *error = strace_error_name(row->error);
        text_printf(text, " %s", error ? error : "?");
    }
    if (row->note[0] != '\0') {
        text_printf(text, "%s%s", row->function ? " " : ": ", row->note);
    }
    text_putc(text, '\n');
}

int syscalls_print_support(FILE *stream, bool json)
{
    auto_text struct text text = TEXT_INIT;
    bool first = true;
    text_puts(&text, json ? "[" : "");
    for (unsigned number = 0; number < SYSCALL_COUNT; number++) {
        const struct syscall_row *row = &syscall_table[number];
        if (!row->name) {
            continue;
        }
        if (json) {
            put_json(&text, number, row, first);
        } else {
            put_plain(&text, number, row);
        }
        first = false;
    }
    text_puts(&text, json ? "\n]\n" : "");
    if (text.failed) {
        return -ENOMEM;
    }
    return fputs(text_string(&text), stream) < 0 ? -EIO : 0;
}
