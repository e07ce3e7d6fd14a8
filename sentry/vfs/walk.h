/*
 * walk.h: the steps of a path walk, for path_walk.c and for open.c, which may create at the end.
 *
 * A walker holds references on its present place and on its root. The use is: walker_init, then
 * walker_to_last; the caller treats the last component (walker_last does so for look-ups) and may
 * continue with walker_follow when that was a symbolic link; walker_fini at the end in every case.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "platform/base/compiler.h"
#include "sentry/vfs/path.h"

enum walk_last {
    WALK_LAST_NORMAL, /* a name: last, last_length */
    WALK_LAST_DOT,
    WALK_LAST_DOTDOT,
    WALK_LAST_ROOT, /* the text was only slashes */
    WALK_LAST_NONE, /* at is the result (after a magic link, or for an empty text) */
};

struct walker {
    struct path at;   /* where the walk stands */
    struct path root; /* absolute names and ".." end here */
    unsigned flags;   /* enum walk_flags */
    int links;        /* followed so far */
    char *buffer;     /* the text of a followed link and what came after it; owned */
    const char *rest; /* what is still to walk */
    enum walk_last type;
    const char *last; /* not NUL-terminated */
    size_t last_length;
    bool trailing; /* slashes followed the last component */
};

int walker_init(struct walker *w, const struct path *start, const char *text,
                unsigned flags) must_check;
void walker_fini(struct walker *w);
/* Walks to the directory of the last component, checking search permission in it too. */
int walker_to_last(struct walker *w) must_check;
/* The object of the last component, mounts followed; the dentry may be negative. For
 * WALK_LAST_NORMAL and others alike. *ret gets references. */
int walker_last(struct walker *w, struct path *ret) must_check;
/* Follows the symbolic link that is the last component; then walker_to_last is to be called. */
int walker_follow(struct walker *w, const struct path *link) must_check;
/* path_walk_parent, but a name that is too long is no error yet: ret_name (NAME_MAX_LENGTH+2 bytes)
 * then has NAME_MAX_LENGTH+1 characters, and looking it up gives ENAMETOOLONG, when Linux would say
 * so. */
int walk_parent(const struct path *start, const char *text, unsigned flags, struct path *ret_parent,
                char *ret_name, bool *ret_trailing_slash) must_check;
