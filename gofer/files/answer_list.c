/*
 * answer_list.c: directories with the attributes of their entries, a message-full at a time.
 *
 * A few directories stay open between messages: a cookie is a host offset, and going on in the same
 * open directory is the one case that every host file system does well. Any other cookie seeks.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gofer/files/session.h"

static void stream_close(struct session_stream *stream)
{
    if (stream->fid) {
        close(stream->fd);
        stream->fid = 0;
    }
}

/* The slot that already stands at the wanted place, else the one to reuse. */
static struct session_stream *stream_choose(struct session *session, uint64_t fid, uint64_t cookie)
{
    struct session_stream *oldest = &session->streams[0];
    for (size_t i = 0; i < SESSION_STREAMS; i++) {
        struct session_stream *stream = &session->streams[i];
        if (stream->fid == fid && cookie != 0 && stream->cookie == cookie) {
            return stream;
        }
        if (!stream->fid || (oldest->fid && stream->used < oldest->used)) {
            oldest = stream;
        }
    }
    return oldest;
}

/* A stream of dir at cookie. */
static int stream_get(struct session *session, struct node *dir, uint64_t cookie,
                      struct session_stream **ret_stream)
{
    struct session_stream *stream = stream_choose(session, dir->id, cookie);
    stream->used = ++session->clock;
    if (stream->fid == dir->id && cookie != 0 && stream->cookie == cookie) {
        *ret_stream = stream;
        return 0;
    }
    stream_close(stream);
    if (!stream->buffer) {
        stream->buffer = malloc(SESSION_STREAM_BYTES);
        if (!stream->buffer) {
            return -ENOMEM;
        }
    }
    int fd;
    int error = object_open_real(session, dir, 0, &fd);
    if (error) {
        return error;
    }
    if (cookie != 0 && lseek(fd, (off_t)cookie, SEEK_SET) < 0) {
        error = -errno;
        close(fd);
        return error;
    }
    stream->fid = dir->id;
    stream->fd = fd;
    stream->cookie = cookie;
    stream->length = 0;
    stream->position = 0;
    *ret_stream = stream;
    return 0;
}

/* The entry at hand; NULL at the end. Names come from the host kernel. */
static int stream_peek(struct session_stream *stream, struct dirent64 **ret_entry)
{
    if (stream->position >= stream->length) {
        ssize_t length = getdents64(stream->fd, stream->buffer, SESSION_STREAM_BYTES);
        if (length < 0) {
            /* Linux: a directory that was removed meanwhile reads as ENOENT. */
            return errno == ENOENT ? (*ret_entry = NULL, 0) : -errno;
        }
        stream->length = (size_t)length;
        stream->position = 0;
    }
    *ret_entry =
        stream->length ? (struct dirent64 *)(void *)(stream->buffer + stream->position) : NULL;
    return 0;
}

static void stream_skip(struct session_stream *stream, const struct dirent64 *entry)
{
    stream->cookie = (uint64_t)entry->d_off;
    stream->position += entry->d_reclen;
}

/* Attributes of an entry. false: it is not to be seen. */
static bool entry_attr(struct session *session, struct node *dir, int dir_fd,
                       const struct dirent64 *entry, struct gofer_attr *ret_attr)
{
    struct node_verdict verdict;
    struct statx stat;
    int error = node_lookup_stat(dir_fd, entry->d_name, &stat);
    if (error == -EACCES) {
        /* Linux: a directory without search permission can still be listed. */
        memset(&stat, 0, sizeof(stat));
        stat.stx_ino = entry->d_ino;
        stat.stx_mode = (uint16_t)DTTOIF(entry->d_type);
        stat.stx_dev_major = (uint32_t)(dir->dev >> 8 & 0xfff);
    } else if (error) {
        return false;
    }
    if (access_name(session, dir, entry->d_name, stat.stx_mode & S_IFMT, &verdict, NULL)) {
        return false;
    }
    if (verdict.access == GOFER_ACCESS_HIDE && !verdict.passage) {
        return false;
    }
    if (error) {
        *ret_attr = (struct gofer_attr){
            .ino = stat.stx_ino, .mode = stat.stx_mode, .access = verdict.access};
        return object_device(session, dir->dev, dir_fd, "", &ret_attr->dev_id) == 0;
    }
    return object_attr(session, &stat, dir_fd, entry->d_name, &verdict, ret_attr) == 0;
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

int answer_list(struct session *session, const struct wire_request *request, void *reply,
                struct answer *answer)
{
    const struct gofer_list_request *body = request->body;
    struct gofer_list_reply *result = reply;
    struct session_stream *stream = NULL;
    struct node *dir;
    int dir_fd;
    int error = object_get_dir(session, body->fid, &dir, &dir_fd);
    if (!error) {
        error = stream_get(session, dir, body->cookie, &stream);
    }
    if (error) {
        return error;
    }
    for (;;) {
        struct dirent64 *entry;
        error = stream_peek(stream, &entry);
        if (error) {
            stream_close(stream);
            return error;
        }
        if (!entry) {
            result->end = 1;
            break;
        }
        size_t length = strlen(entry->d_name);
        size_t size = wire_list_entry_size(length);
        if (size > answer->tail_capacity - answer->tail_length) {
            break;
        }
        struct gofer_list_entry listed = {.cookie = (uint64_t)entry->d_off,
                                          .name_length = (uint32_t)length};
        /* Attributes come through the open directory: the same that the names come from. */
        if (!is_dots(entry->d_name) && length <= GOFER_NAME_MAX &&
            entry_attr(session, dir, stream->fd, entry, &listed.attr)) {
            uint8_t *to = answer->tail + answer->tail_length;
            memset(to + size - 8, 0, 8);
            memcpy(to, &listed, sizeof(listed));
            memcpy(to + sizeof(listed), entry->d_name, length);
            answer->tail_length += size;
            result->count++;
        }
        stream_skip(stream, entry);
    }
    result->cookie = stream->cookie;
    if (result->end) {
        stream_close(stream);
    }
    return 0;
}
