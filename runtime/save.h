/*
 * save.h: --save-changes: writes what the guest changed below a host directory.
 *
 * The sentry is not trusted: names are walked one by one without following links, contents come
 * from a descriptor that must be a regular file, and no special permission bits are kept.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/boot/control.h"

/* Makes the directory when missing and opens it; ret_fd is the caller's. Negative errno. */
int save_open(const char *directory, int *ret_fd) must_check;
/*
 * Saves one change: guest path /a/b becomes a/b below the directory; a deletion is a line in
 * ".stockade-deleted". target is that of a symbolic link; content_fd is -1 for none (borrowed).
 */
int save_change(int directory_fd, const char *kind, const char *path, const char *target,
                const struct control_change *object, int content_fd) must_check;
