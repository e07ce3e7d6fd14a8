/* mount_options.c: see mount_options.h. */
#include "syscalls/mount_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sentry/vfs/mount.h"

static const struct {
    const char *name;
    unsigned set, clear;
} general[] = {
    {"ro", MOUNT_READ_ONLY, 0},        {"rw", 0, MOUNT_READ_ONLY},
    {"sync", MOUNT_SYNC, 0},           {"async", 0, MOUNT_SYNC},
    {"dirsync", MOUNT_DIR_SYNC, 0},    {"lazytime", MOUNT_LAZYTIME, 0},
    {"nolazytime", 0, MOUNT_LAZYTIME}, {"mand", MOUNT_MANDLOCK, 0},
    {"nomand", 0, MOUNT_MANDLOCK},
};

bool mount_options_take_flag(struct mount_options *options, const char *key)
{
    for (size_t i = 0; i < array_size(general); i++) {
        if (strcmp(general[i].name, key) == 0) {
            options->set_flags = (options->set_flags & ~general[i].clear) | general[i].set;
            options->clear_flags = (options->clear_flags & ~general[i].set) | general[i].clear;
            return true;
        }
    }
    return false;
}

int mount_options_add(struct mount_options *options, const char *key, const char *value)
{
    size_t used = strlen(options->text);
    size_t room = sizeof(options->text) - used;
    int length = snprintf(options->text + used, room, "%s%s%s%s", used != 0 ? "," : "", key,
                          value ? "=" : "", value ? value : "");
    if (length < 0 || (size_t)length >= room) {
        options->text[used] = '\0';
        return -EINVAL;
    }
    return 0;
}

int mount_options_split(const char *data, struct mount_options *ret)
{
    char copy[MOUNT_DATA_MAX];
    char *state = NULL;
    size_t length = strnlen(data, sizeof(copy));
    int error = length < sizeof(copy) ? 0 : -EINVAL;
    *ret = (struct mount_options){0};
    if (error == 0) {
        memcpy(copy, data, length + 1);
    }
    for (char *word = error == 0 ? strtok_r(copy, ",", &state) : NULL; word && error == 0;
         word = strtok_r(NULL, ",", &state)) {
        if (!mount_options_take_flag(ret, word)) {
            error = mount_options_add(ret, word, NULL);
        }
    }
    return error;
}
