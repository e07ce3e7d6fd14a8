/* filesystem.c: see filesystem.h. Linux: fs/filesystems.c. */
#include "sentry/vfs/filesystem.h"

#include <errno.h>
#include <string.h>

#include "platform/base/text.h"

static const struct filesystem_type *types[FILESYSTEMS_MAX];
static size_t type_count;

int filesystem_register(const struct filesystem_type *type)
{
    if (type_count == FILESYSTEMS_MAX) {
        return -ENOSPC;
    }
    types[type_count++] = type;
    return 0;
}

const struct filesystem_type *filesystem_find(const char *name)
{
    for (size_t i = 0; i < type_count; i++) {
        if (strcmp(types[i]->name, name) == 0) {
            return types[i];
        }
    }
    return NULL;
}

const struct filesystem_type *filesystem_at(size_t index)
{
    return index < type_count ? types[index] : NULL;
}

void filesystem_show(struct text *text)
{
    for (size_t i = 0; i < type_count; i++) {
        text_printf(text, "nodev\t%s\n", types[i]->name);
    }
}
