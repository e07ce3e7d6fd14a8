/*
 * proc_mounts.c: mounts, mountinfo, mountstats. Linux: fs/proc_namespace.c. Only mounts that can be
 * reached from the process's root are shown.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sentry/fs/proc/internal.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/dentry.h"
#include "sentry/vfs/fs_context.h"
#include "sentry/vfs/mount.h"

enum mounts_format { FORMAT_MOUNTS, FORMAT_MOUNTINFO, FORMAT_MOUNTSTATS };

struct mounts_reader {
    struct text *out;
    struct path root;
    enum mounts_format format;
};

#define UNREACHABLE "(unreachable)"

/* Linux: mangle: blanks, backslashes and '#' would end a field. */
static void append_mangled(struct text *out, const char *text)
{
    for (; *text != 0; text++) {
        if (strchr(" \t\n\\#", *text) != NULL) {
            text_printf(out, "\\%03o", (unsigned char)*text);
        } else {
            text_putc(out, *text);
        }
    }
}

static void append_flags(struct text *out, unsigned flags)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = {
        {MOUNT_SYNC, ",sync"},
        {MOUNT_DIR_SYNC, ",dirsync"},
        {MOUNT_MANDLOCK, ",mand"},
        {MOUNT_LAZYTIME, ",lazytime"},
        {MOUNT_NO_SUID, ",nosuid"},
        {MOUNT_NO_DEV, ",nodev"},
        {MOUNT_NO_EXEC, ",noexec"},
        {MOUNT_NO_ATIME, ",noatime"},
        {MOUNT_NO_DIRATIME, ",nodiratime"},
        {MOUNT_RELATIME, ",relatime"},
        {MOUNT_NO_SYMFOLLOW, ",nosymfollow"},
    };
    text_puts(out, (flags & MOUNT_READ_ONLY) != 0 ? "ro" : "rw");
    for (size_t i = 0; i < array_size(names); i++) {
        if ((flags & names[i].flag) != 0) {
            text_puts(out, names[i].name);
        }
    }
    if ((flags & MOUNT_ATIME_FLAGS) == 0) {
        text_puts(out, ",relatime"); /* what the VFS does */
    }
}

/* Where the mount's root lies in its file system: not "/" for bind mounts. */
static void append_root(struct text *out, struct mount *mount)
{
    auto_text struct text root = TEXT_INIT;
    struct path path = {NULL, mount->root};
    if (path_text(&path, NULL, false, &root) < 0) {
        text_putc(out, '/');
        return;
    }
    const char *text = text_string(&root);
    size_t skip = strncmp(text, UNREACHABLE, strlen(UNREACHABLE)) == 0 ? strlen(UNREACHABLE) : 0;
    append_mangled(out, text[skip] != 0 ? text + skip : "/");
}

static void show_mount(struct mount *mount, void *context)
{
    struct mounts_reader *reader = context;
    struct text *out = reader->out;
    auto_text struct text place = TEXT_INIT;
    struct path path = {mount, mount->root};
    struct super *super = mount->super;
    unsigned flags = atomic_load(&mount->flags);
    if (path_text(&path, &reader->root, false, &place) < 0 ||
        strncmp(text_string(&place), UNREACHABLE, strlen(UNREACHABLE)) == 0) {
        return;
    }
    if (reader->format == FORMAT_MOUNTSTATS) {
        text_printf(out, "device %s mounted on %s with fstype %s\n", mount->source,
                    text_string(&place), super->type);
        return;
    }
    if (reader->format == FORMAT_MOUNTS) {
        append_mangled(out, mount->source);
        text_putc(out, ' ');
        append_mangled(out, text_string(&place));
        text_printf(out, " %s ", super->type);
        append_flags(out, flags);
        super_show_options(super, out);
        text_puts(out, " 0 0\n");
        return;
    }
    text_printf(out, "%d %d %u:%u ", mount->id, mount->parent != NULL ? mount->parent->id : 1,
                major(super->dev), minor(super->dev));
    append_root(out, mount);
    text_putc(out, ' ');
    append_mangled(out, text_string(&place));
    text_putc(out, ' ');
    append_flags(out, flags & MOUNT_OWN_FLAGS);
    text_puts(out, mount->unbindable ? " unbindable" : "");
    text_printf(out, " - %s ", super->type);
    append_mangled(out, mount->source);
    text_puts(out, (flags & MOUNT_READ_ONLY) != 0 ? " ro" : " rw");
    text_puts(out, (flags & MOUNT_SYNC) != 0 ? ",sync" : "");
    text_puts(out, (flags & MOUNT_DIR_SYNC) != 0 ? ",dirsync" : "");
    super_show_options(super, out);
    text_putc(out, '\n');
}

static int show_all(struct proc_node *node, struct text *out, enum mounts_format format)
{
    struct mounts_reader reader = {.out = out, .format = format};
    struct task *task;
    int result = proc_get_task(node, &task);
    if (result < 0) {
        return result;
    }
    mutex_lock(&kernel_lock);
    struct fs_context *fs = task->fs != NULL ? fs_context_ref(task->fs) : NULL;
    mutex_unlock(&kernel_lock);
    task_unref(task);
    if (fs == NULL) {
        return -EINVAL;
    }
    fs_context_get_root(fs, &reader.root);
    fs_context_unref(fs);
    mount_for_each(show_mount, &reader);
    path_unref(&reader.root);
    return 0;
}

int proc_show_mounts(struct proc_node *node, struct text *out)
{
    return show_all(node, out, FORMAT_MOUNTS);
}

int proc_show_mountinfo(struct proc_node *node, struct text *out)
{
    return show_all(node, out, FORMAT_MOUNTINFO);
}

int proc_show_mountstats(struct proc_node *node, struct text *out)
{
    return show_all(node, out, FORMAT_MOUNTSTATS);
}
