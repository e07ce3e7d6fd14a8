/* answer_lookup.c: answers that find objects and tell about them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "gofer/files/session.h"

int answer_attach(struct session *session, const struct wire_request *request, void *reply,
                  struct answer *answer)
{
    const struct gofer_attach_request *body = request->body;
    struct gofer_attach_reply *result = reply;
    if (body->index >= session->mount_count) {
        return -EINVAL;
    }
    struct session_mount *mount = &session->mounts[body->index];
    int error = access_require(session, mount->root, ACCESS_SEE);
    if (!error) {
        error = object_attr_now(session, mount->root, &result->attr);
    }
    if (error) {
        return error;
    }
    mount->root->lookups++;
    size_t length = min_of(strlen(mount->config->guest_path), (size_t)4095);
    result->fid = mount->root->id;
    result->mode = mount->config->mode;
    result->flags = mount->flags;
    result->mount_count = (uint32_t)session->mount_count;
    result->path_length = (uint32_t)length;
    memcpy(answer->tail, mount->config->guest_path, length);
    answer->tail_length = length;
    return 0;
}

int answer_walk(struct session *session, const struct wire_request *request, void *reply,
                struct answer *answer)
{
    const struct gofer_walk_request *body = request->body;
    struct gofer_walk_reply *result = reply;
    char name[GOFER_NAME_MAX + 1];
    struct node *dir;
    struct node *node;
    (void)answer;
    object_name(name, request->tail, body->name_length);
    int error = object_get(session, body->fid, &dir);
    if (!error) {
        error = object_walk(session, dir, name, &node, &result->attr);
    }
    if (!error) {
        result->fid = node->id;
    }
    return error;
}

/* The target of a link that was just walked to; 0 bytes when it may not be read or has changed. */
static uint32_t read_target(struct session *session, struct node *node, uint8_t *target)
{
    int fd;
    if (access_require(session, node, ACCESS_USE) || nodes_open(&session->nodes, node, &fd)) {
        return 0;
    }
    ssize_t length = readlinkat(fd, "", (char *)target, GOFER_TARGET_MAX);
    return length > 0 ? (uint32_t)length : 0;
}

int answer_walk_many(struct session *session, const struct wire_request *request, void *reply,
                     struct answer *answer)
{
    const struct gofer_walk_many_request *body = request->body;
    struct gofer_walk_many_reply *result = reply;
    const uint8_t *position = request->tail;
    const uint8_t *end = request->tail + request->tail_length;
    struct node *node;
    struct gofer_walk_reply found;
    int error = object_get(session, body->fid, &node);
    if (error) {
        return error;
    }
    memset(&found, 0, sizeof(found));
    while (result->count < body->count && (result->count == 0 || node->type != S_IFLNK)) {
        const uint8_t *bytes;
        size_t length;
        char name[GOFER_NAME_MAX + 1];
        if (!wire_names_next(&position, end, &bytes, &length)) {
            break;
        }
        object_name(name, bytes, length);
        result->error = object_walk(session, node, name, &node, &found.attr);
        if (result->error) {
            break;
        }
        found.fid = node->id;
        memcpy(answer->tail + answer->tail_length, &found, sizeof(found));
        answer->tail_length += sizeof(found);
        result->count++;
    }
    if (result->count > 0 && !result->error) {
        if (node->type == S_IFLNK) {
            result->target_length = read_target(session, node, answer->tail + answer->tail_length);
            answer->tail_length += result->target_length;
        } else if (result->count == body->count && node->type == S_IFREG &&
                   body->open_flags != GOFER_NO_OPEN) {
            result->error =
                object_open(session, node, body->open_flags, answer, &result->open_result);
        }
    }
    return 0;
}

int answer_getattr(struct session *session, const struct wire_request *request, void *reply,
                   struct answer *answer)
{
    const struct gofer_getattr_request *body = request->body;
    struct gofer_getattr_reply *result = reply;
    struct node *node;
    (void)answer;
    int error = object_get(session, body->fid, &node);
    if (!error) {
        error = access_require(session, node, ACCESS_SEE);
    }
    return error ? error : object_attr_now(session, node, &result->attr);
}

int answer_readlink(struct session *session, const struct wire_request *request, void *reply,
                    struct answer *answer)
{
    const struct gofer_readlink_request *body = request->body;
    struct gofer_readlink_reply *result = reply;
    struct node *node;
    int fd;
    int error = object_get(session, body->fid, &node);
    if (error) {
        return error;
    }
    if (node->type != S_IFLNK) {
        return -EINVAL;
    }
    error = access_require(session, node, ACCESS_USE);
    if (!error) {
        error = nodes_open(&session->nodes, node, &fd);
    }
    if (error) {
        return error;
    }
    ssize_t length = readlinkat(fd, "", (char *)answer->tail, GOFER_TARGET_MAX);
    if (length < 0) {
        return -errno;
    }
    result->length = (uint32_t)length;
    answer->tail_length = (size_t)length;
    return 0;
}

int answer_statfs(struct session *session, const struct wire_request *request, void *reply,
                  struct answer *answer)
{
    const struct gofer_statfs_request *body = request->body;
    struct gofer_statfs_reply *result = reply;
    struct node *node;
    struct statfs statfs;
    int fd;
    (void)answer;
    int error = object_get(session, body->fid, &node);
    if (!error) {
        error = access_require(session, node, ACCESS_SEE);
    }
    if (!error) {
        error = nodes_open(&session->nodes, node, &fd);
    }
    if (error) {
        return error;
    }
    if (fstatfs(fd, &statfs)) {
        return -errno;
    }
    *result = (struct gofer_statfs_reply){
        .type = (uint64_t)statfs.f_type,
        .bsize = (uint64_t)statfs.f_bsize,
        .blocks = statfs.f_blocks,
        .bfree = statfs.f_bfree,
        .bavail = statfs.f_bavail,
        .files = statfs.f_files,
        .ffree = statfs.f_ffree,
        .namelen = (uint64_t)statfs.f_namelen,
        .frsize = (uint64_t)statfs.f_frsize,
    };
    return 0;
}

int answer_release(struct session *session, const struct wire_request *request, void *reply,
                   struct answer *answer)
{
    const struct gofer_release_request *body = request->body;
    (void)reply;
    (void)answer;
    for (uint32_t i = 0; i < body->count; i++) {
        uint64_t fid;
        memcpy(&fid, request->tail + i * sizeof(fid), sizeof(fid));
        struct node *node = nodes_get(&session->nodes, fid);
        if (node) {
            nodes_release(&session->nodes, node, 1);
        }
    }
    return 0;
}
