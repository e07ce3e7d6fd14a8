/* boot_console.c: the guest's controlling terminal on the launcher's. */
#include <errno.h>

#include "sentry/boot/internal.h"

int boot_console_start(const struct sentry_config *config)
{
    return config->is_terminal ? -ENXIO : 0;
}

void boot_console_resize(const struct winsize *window)
{
    (void)window;
}

void boot_console_drain(void)
{
}
