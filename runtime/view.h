/*
 * view.h: which host files the guest sees where: the mount list of the sentry and the roots of the
 * gofer, built from the options and DESIGN's default view.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "platform/base/compiler.h"
#include "runtime/options.h"
#include "sentry/boot/config.h"

struct view_root {
    const char *host_path;  /* absolute */
    const char *guest_path; /* normalised */
    enum sentry_mount_mode mode;
    bool exclusive; /* nobody changes it meanwhile: may be cached without revalidation */
};

struct view {
    struct sentry_mount *mounts;
    size_t mount_count;
    struct view_root *roots; /* sentry_mount.gofer_index counts these */
    size_t root_count;
    const char *cwd; /* guest path to start in */
    bool failed;     /* out of memory while building */
};

struct policy;

/*
 * Takes away the mounts whose root the policy hides: the guest does not see them at all. The
 * current directory stays as an empty directory, so that the program can start in it.
 */
void view_apply_policy(struct view *view, const struct policy *policy);

/* 0, or -EINVAL after an error was printed. */
int view_build(const struct run_options *options, struct view *ret_view) must_check;
