/* boot_console.c: the guest's controlling terminal on the launcher's. */
#include <errno.h>
#include <stddef.h>

#include "sentry/boot/internal.h"
#include "sentry/fs/dev/tty.h"
#include "sentry/vfs/file.h"

#define DRAIN_MS 2000

static bool console_exists;

int boot_console_start(const struct sentry_config *config, struct file **ret_file)
{
    *ret_file = NULL;
    if (!config->is_terminal) {
        return 0;
    }
    int result = console_start(config->terminal_fd, config->terminal_fd, &config->window, ret_file);
    if (result == 0) {
        console_exists = true;
        result = console_attach(*ret_file);
    }
    return result;
}

void boot_console_resize(const struct winsize *window)
{
    if (console_exists) {
        tty_console_resize(window);
    }
}

void boot_console_drain(void)
{
    if (console_exists) {
        console_drain(DRAIN_MS);
    }
}
