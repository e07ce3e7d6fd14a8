/* confine.c: no new privileges for the sentry from here on. */
#include "sentry/boot/confine.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>

int sentry_confine(char *text, size_t text_size)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        snprintf(text, text_size, "cannot give up privileges");
        return -errno;
    }
    return 0;
}
