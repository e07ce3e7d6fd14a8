/*
 * save.c: copies changed objects to a host directory, never through a symbolic link.
 */
#include "runtime/save.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/text.h"
#include "runtime/parse.h"

int save_open(const char *directory, int *ret_fd)
{
    if (mkdir(directory, 0777) != 0 && errno != EEXIST) {
        return -errno;
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

/* Opens a subdirectory, made when missing; what stands there and is no directory is replaced. */
static int enter(int parent, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, flags);
    if (fd >= 0) {
        return fd;
    }
    if (errno == ENOTDIR || errno == ELOOP) {
        if (unlinkat(parent, name, 0) != 0) {
            return -errno;
        }
    } else if (errno != ENOENT) {
        return -errno;
    }
    if (mkdirat(parent, name, 0777) != 0 && errno != EEXIST) {
        return -errno;
    }
    fd = openat(parent, name, flags);
    return fd >= 0 ? fd : -errno;
}

/* The directory that holds the last component of path, which is normalised and not "/". */
static int open_parent(int root, char *path, const char **ret_name)
{
    int fd = fcntl(root, F_DUPFD_CLOEXEC, 3);
    char *p = path + 1;
    char *slash;
    if (fd < 0) {
        return -errno;
    }
    while ((slash = strchr(p, '/')) != NULL) {
        *slash = 0;
        int next = enter(fd, p);
        close(fd);
        if (next < 0) {
            return next;
        }
        fd = next;
        p = slash + 1;
    }
    *ret_name = p;
    return fd;
}

/* Copies the data of a file and leaves its holes. */
static int copy_contents(int to, int from, uint64_t size)
{
    off_t position = 0;
    if (ftruncate(to, (off_t)size) != 0) {
        return -errno;
    }
    while ((uint64_t)position < size) {
        off_t data = lseek(from, position, SEEK_DATA);
        if (data < 0 && errno == ENXIO) {
            return 0;
        }
        off_t end = data < 0 ? (off_t)size : lseek(from, data, SEEK_HOLE);
        position = data < 0 ? position : data;
        if (end < 0 || (uint64_t)end > size) {
            end = (off_t)size;
        }
        if (lseek(to, position, SEEK_SET) < 0) {
            return -errno;
        }
        while (position < end) {
            ssize_t n = sendfile(to, from, &position, (size_t)(end - position));
            if (n < 0 && errno != EINTR) {
                return -errno;
            }
            if (n == 0) {
                return 0;
            }
        }
    }
    return 0;
}

static int save_regular(int parent, const char *name, const struct control_change *object,
                        int content_fd)
{
    struct stat st;
    char temporary[64];
    if (content_fd < 0 || fstat(content_fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return -EPROTO;
    }
    snprintf(temporary, sizeof(temporary), ".stockade-%d.tmp", (int)getpid());
    int fd = openat(parent, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = object->mtime_sec, .tv_nsec = min_of(object->mtime_nsec, 999999999U)}};
    int error = copy_contents(fd, content_fd, (uint64_t)st.st_size);
    if (error == 0 && fchmod(fd, object->mode & 0777) != 0) {
        error = -errno;
    }
    ignore_result(futimens(fd, times));
    if (close(fd) != 0 && error == 0) {
        error = -errno;
    }
    if (error == 0 && renameat(parent, temporary, parent, name) != 0) {
        error = -errno;
        if (error == -EISDIR && unlinkat(parent, name, AT_REMOVEDIR) == 0 &&
            renameat(parent, temporary, parent, name) == 0) {
            error = 0;
        }
    }
    if (error != 0) {
        unlinkat(parent, temporary, 0);
    }
    return error;
}

static int save_object(int parent, const char *name, const char *target,
                       const struct control_change *object, int content_fd)
{
    int fd;
    switch (object->mode & S_IFMT) {
    case S_IFREG:
        return save_regular(parent, name, object, content_fd);
    case S_IFDIR:
        fd = enter(parent, name);
        if (fd < 0) {
            return fd;
        }
        /* Always enough for us to fill it. */
        ignore_result(fchmod(fd, (object->mode & 0777) | 0700));
        close(fd);
        return 0;
    case S_IFLNK:
        unlinkat(parent, name, 0);
        return symlinkat(target, parent, name) != 0 ? -errno : 0;
    case S_IFIFO:
        unlinkat(parent, name, 0);
        return mkfifoat(parent, name, object->mode & 0777) != 0 ? -errno : 0;
    default:
        return 0; /* sockets and devices mean nothing outside */
    }
}

static int save_deletion(int directory_fd, const char *path)
{
    auto_text struct text line = TEXT_INIT;
    text_append_escaped(&line, path, strlen(path));
    text_putc(&line, '\n');
    if (line.failed) {
        return -ENOMEM;
    }
    int fd = openat(directory_fd, ".stockade-deleted",
                    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) {
        return -errno;
    }
    int error = write(fd, line.data, line.length) == (ssize_t)line.length ? 0 : -EIO;
    close(fd);
    return error;
}

int save_change(int directory_fd, const char *kind, const char *path, const char *target,
                const struct control_change *object, int content_fd)
{
    auto_free char *normal = parse_guest_path(path);
    if (normal == NULL || strcmp(normal, path) != 0 || strlen(path) >= PATH_MAX) {
        return -EPROTO;
    }
    if (strcmp(path, "/") == 0) {
        return 0;
    }
    if (strcmp(kind, "deleted") == 0) {
        return save_deletion(directory_fd, path);
    }
    if (strcmp(kind, "metadata") == 0 && S_ISREG(object->mode) && content_fd < 0) {
        return 0;
    }
    const char *name = NULL;
    int parent = open_parent(directory_fd, normal, &name);
    if (parent < 0) {
        return parent;
    }
    int error = save_object(parent, name, target, object, content_fd);
    close(parent);
    return error;
}
