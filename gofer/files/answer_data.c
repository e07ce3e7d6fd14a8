/* answer_data.c: answers that open, read, write and size files, and their attributes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "gofer/files/session.h"

int answer_open(struct session *session, const struct wire_request *request, void *reply,
                struct answer *answer)
{
    const struct gofer_open_request *body = request->body;
    struct gofer_open_reply *result = reply;
    struct node *node;
    int error = object_get(session, body->fid, &node);
    return error ? error : object_open(session, node, body->flags, answer, &result->result);
}

int answer_read(struct session *session, const struct wire_request *request, void *reply,
                struct answer *answer)
{
    const struct gofer_read_request *body = request->body;
    struct gofer_read_reply *result = reply;
    struct node *node;
    int fd;
    if (body->offset > INT64_MAX) {
        return -EINVAL;
    }
    int error = object_get(session, body->fid, &node);
    if (!error) {
        error = access_require(session, node, ACCESS_USE);
    }
    if (!error) {
        error = object_open_cached(session, node, false, &fd);
    }
    if (error) {
        return error;
    }
    size_t length = min_of((size_t)body->length, (size_t)GOFER_DATA_MAX);
    ssize_t count = pread(fd, answer->tail, length, (off_t)body->offset);
    if (count < 0) {
        return -errno;
    }
    result->length = (uint32_t)count;
    answer->tail_length = (size_t)count;
    return 0;
}

/* A writable descriptor of a node that may be written. */
static int writable(struct session *session, uint64_t fid, struct node **ret_node,
                    struct node_verdict *ret_verdict, int *ret_fd)
{
    int error = object_get(session, fid, ret_node);
    if (!error) {
        error = access_node(session, *ret_node, ret_verdict);
    }
    if (!error) {
        error = access_check(session, *ret_node, NULL, ret_verdict, ACCESS_WRITE);
    }
    return error ? error : object_open_cached(session, *ret_node, true, ret_fd);
}

int answer_write(struct session *session, const struct wire_request *request, void *reply,
                 struct answer *answer)
{
    const struct gofer_write_request *body = request->body;
    struct gofer_write_reply *result = reply;
    struct node_verdict verdict;
    struct node *node;
    struct statx stat;
    int fd;
    (void)answer;
    if (body->flags & ~(uint32_t)GOFER_WRITE_APPEND) {
        return -EINVAL;
    }
    int error = writable(session, body->fid, &node, &verdict, &fd);
    if (!error) {
        error = node_fd_stat(fd, &stat);
    }
    if (error) {
        return error;
    }
    uint64_t offset = body->flags & GOFER_WRITE_APPEND ? stat.stx_size : body->offset;
    uint64_t end;
    if (__builtin_add_overflow(offset, body->length, &end) || end > INT64_MAX) {
        return -EFBIG;
    }
    /* Linux: a write that only partly fits is cut, one of which nothing fits fails. */
    uint64_t left = quota_bytes_left(session, verdict.quotas);
    if (end > stat.stx_size && end - stat.stx_size > left) {
        end = stat.stx_size + left;
        if (end <= offset) {
            return -EDQUOT;
        }
    }
    uint64_t growth = end > stat.stx_size ? end - stat.stx_size : 0;
    error = quota_take_bytes(session, verdict.quotas, growth);
    if (error) {
        return error;
    }
    ssize_t count = pwrite(fd, request->tail, (size_t)(end - offset), (off_t)offset);
    error = count < 0 ? -errno : 0;
    uint64_t reached = count > 0 ? offset + (uint64_t)count : stat.stx_size;
    uint64_t size = max_of(reached, (uint64_t)stat.stx_size);
    quota_give_bytes(session, verdict.quotas, growth - (size - stat.stx_size));
    if (error) {
        return error;
    }
    result->length = (uint32_t)count;
    result->size = size;
    return 0;
}

int answer_allocate(struct session *session, const struct wire_request *request, void *reply,
                    struct answer *answer)
{
    const struct gofer_allocate_request *body = request->body;
    struct gofer_allocate_reply *result = reply;
    struct node_verdict verdict;
    struct node *node;
    struct statx stat;
    uint64_t end;
    int fd;
    (void)answer;
    if (body->length == 0 || __builtin_add_overflow(body->offset, body->length, &end)) {
        return -EINVAL;
    }
    if (end > INT64_MAX) {
        return -EFBIG;
    }
    int error = writable(session, body->fid, &node, &verdict, &fd);
    if (!error) {
        error = node_fd_stat(fd, &stat);
    }
    if (error) {
        return error;
    }
    uint32_t mode = body->mode;
    bool punches = mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
    /* DIFFERS: under a quota only what changes the size, or frees, can be counted. */
    if (quota_limits_bytes(session, verdict.quotas) && mode != 0 && !punches &&
        mode != FALLOC_FL_ZERO_RANGE) {
        return -EOPNOTSUPP;
    }
    uint64_t growth = !punches && end > stat.stx_size ? end - stat.stx_size : 0;
    error = quota_take_bytes(session, verdict.quotas, growth);
    if (error) {
        return error;
    }
    if (fallocate(fd, (int)mode, (off_t)body->offset, (off_t)body->length)) {
        error = -errno;
        quota_give_bytes(session, verdict.quotas, growth);
        return error;
    }
    return object_attr_now(session, node, &result->attr);
}

int answer_fsync(struct session *session, const struct wire_request *request, void *reply,
                 struct answer *answer)
{
    const struct gofer_fsync_request *body = request->body;
    struct node *node;
    int fd;
    (void)reply;
    (void)answer;
    int error = object_get(session, body->fid, &node);
    if (!error) {
        error = access_require(session, node, ACCESS_USE);
    }
    if (!error) {
        error = object_open_any(session, node, &fd);
    }
    if (error) {
        return error;
    }
    error = (body->data_only ? fdatasync(fd) : fsync(fd)) ? -errno : 0;
    close(fd);
    return error;
}

/* ---- attributes ---- */

static int set_mode(struct session *session, struct node *node, uint32_t mode)
{
    if (node->type == S_IFLNK) {
        return -EOPNOTSUPP;
    }
    if (node->type != S_IFREG && node->type != S_IFDIR && node->type != S_IFIFO) {
        return -EPERM;
    }
    mode &= 07777;
    if (node->type != S_IFDIR && !session->config->allow_setid) {
        mode &= ~(uint32_t)(S_ISUID | S_ISGID);
    }
    int fd;
    int error;
    if (session->proc_fd >= 0) {
        /* Through our own descriptor: also for what may not be opened. */
        char number[16];
        error = nodes_open(&session->nodes, node, &fd);
        if (error) {
            return error;
        }
        snprintf(number, sizeof(number), "%d", fd);
        return fchmodat(session->proc_fd, number, mode, 0) ? -errno : 0;
    }
    error = object_open_any(session, node, &fd);
    if (!error) {
        error = fchmod(fd, mode) ? -errno : 0;
        close(fd);
    }
    return error;
}

static struct timespec time_to_set(const struct gofer_setattr_request *body, uint32_t which,
                                   uint32_t now, const struct gofer_time *time)
{
    if (!(body->set & which)) {
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    }
    if (body->set & now) {
        return (struct timespec){.tv_nsec = UTIME_NOW};
    }
    return (struct timespec){.tv_sec = time->seconds, .tv_nsec = time->nanoseconds};
}

static int set_times(int fd, const struct gofer_setattr_request *body)
{
    struct timespec times[2] = {
        time_to_set(body, GOFER_SET_ATIME, GOFER_SET_ATIME_NOW, &body->atime),
        time_to_set(body, GOFER_SET_MTIME, GOFER_SET_MTIME_NOW, &body->mtime),
    };
    return utimensat(fd, "", times, AT_EMPTY_PATH) ? -errno : 0;
}

static int set_size(struct session *session, struct node *node, uint64_t size)
{
    int fd;
    if (node->type != S_IFREG) {
        return node->type == S_IFDIR ? -EISDIR : -EINVAL;
    }
    int error = object_open_cached(session, node, true, &fd);
    return error ? error : object_resize(session, node, fd, size);
}

static bool time_valid(const struct gofer_time *time)
{
    return time->nanoseconds < 1000000000;
}

int answer_setattr(struct session *session, const struct wire_request *request, void *reply,
                   struct answer *answer)
{
    const struct gofer_setattr_request *body = request->body;
    struct gofer_setattr_reply *result = reply;
    struct node *node;
    int fd;
    (void)answer;
    if ((body->set & ~(uint32_t)GOFER_SET_ALL) || !time_valid(&body->atime) ||
        !time_valid(&body->mtime)) {
        return -EINVAL;
    }
    int error = object_get(session, body->fid, &node);
    if (!error) {
        error = access_require(session, node, ACCESS_WRITE);
    }
    if (!error && (body->set & GOFER_SET_SIZE)) {
        error = set_size(session, node, body->size);
    }
    if (!error && (body->set & (GOFER_SET_UID | GOFER_SET_GID))) {
        uid_t uid = body->set & GOFER_SET_UID ? body->uid : (uid_t)-1;
        gid_t gid = body->set & GOFER_SET_GID ? body->gid : (gid_t)-1;
        error = nodes_open(&session->nodes, node, &fd);
        if (!error) {
            error = fchownat(fd, "", uid, gid, AT_EMPTY_PATH) ? -errno : 0;
        }
    }
    if (!error && (body->set & GOFER_SET_MODE)) {
        error = set_mode(session, node, body->mode);
    }
    if (!error && (body->set & (GOFER_SET_ATIME | GOFER_SET_MTIME))) {
        error = nodes_open(&session->nodes, node, &fd);
        if (!error) {
            error = set_times(fd, body);
        }
    }
    return error ? error : object_attr_now(session, node, &result->attr);
}

/* ---- extended attributes ---- */

/* "user.*" as a string, for an object that can carry them. */
static int xattr_name(const struct node *node, const uint8_t *bytes, size_t length, int other_type,
                      char *ret_name)
{
    object_name(ret_name, bytes, length);
    if (strncmp(ret_name, "user.", 5) != 0 || ret_name[5] == '\0') {
        return -EOPNOTSUPP;
    }
    return node->type == S_IFREG || node->type == S_IFDIR ? 0 : other_type;
}

int answer_getxattr(struct session *session, const struct wire_request *request, void *reply,
                    struct answer *answer)
{
    const struct gofer_getxattr_request *body = request->body;
    struct gofer_getxattr_reply *result = reply;
    char name[GOFER_XATTR_NAME_MAX + 1];
    struct node *node;
    int fd;
    int error = object_get(session, body->fid, &node);
    if (!error) {
        error = access_require(session, node, ACCESS_USE);
    }
    if (!error) {
        error = xattr_name(node, request->tail, body->name_length, -ENODATA, name);
    }
    if (!error) {
        error = object_open_any(session, node, &fd);
    }
    if (error) {
        return error;
    }
    size_t size = min_of((size_t)body->size, (size_t)GOFER_DATA_MAX);
    ssize_t length = fgetxattr(fd, name, answer->tail, size);
    error = length < 0 ? -errno : 0;
    close(fd);
    if (error) {
        return error;
    }
    result->length = (uint32_t)length;
    result->tail_length = size ? (uint32_t)length : 0;
    answer->tail_length = result->tail_length;
    return 0;
}

/* Keeps the user.* names of a list; returns its new length. */
static size_t keep_user(char *list, size_t length)
{
    size_t kept = 0;
    for (size_t at = 0; at < length;) {
        size_t size = strnlen(list + at, length - at) + 1;
        size = min_of(size, length - at);
        if (size > 5 && strncmp(list + at, "user.", 5) == 0) {
            memmove(list + kept, list + at, size);
            kept += size;
        }
        at += size;
    }
    return kept;
}

int answer_listxattr(struct session *session, const struct wire_request *request, void *reply,
                     struct answer *answer)
{
    const struct gofer_listxattr_request *body = request->body;
    struct gofer_listxattr_reply *result = reply;
    struct node *node;
    int fd;
    int error = object_get(session, body->fid, &node);
    if (!error) {
        error = access_require(session, node, ACCESS_USE);
    }
    if (error || (node->type != S_IFREG && node->type != S_IFDIR)) {
        return error;
    }
    error = object_open_any(session, node, &fd);
    if (error) {
        return error;
    }
    ssize_t length = flistxattr(fd, (char *)answer->tail, GOFER_DATA_MAX);
    error = length < 0 ? -errno : 0;
    close(fd);
    if (error) {
        return error;
    }
    size_t kept = keep_user((char *)answer->tail, (size_t)length);
    if (body->size != 0 && body->size < kept) {
        return -ERANGE;
    }
    result->length = (uint32_t)kept;
    result->tail_length = body->size ? (uint32_t)kept : 0;
    answer->tail_length = result->tail_length;
    return 0;
}

int answer_setxattr(struct session *session, const struct wire_request *request, void *reply,
                    struct answer *answer)
{
    const struct gofer_setxattr_request *body = request->body;
    char name[GOFER_XATTR_NAME_MAX + 1];
    struct node *node;
    int fd;
    (void)reply;
    (void)answer;
    if (body->flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE)) {
        return -EINVAL;
    }
    int error = object_get(session, body->fid, &node);
    if (!error) {
        error = access_require(session, node, ACCESS_WRITE);
    }
    if (!error) {
        error = xattr_name(node, request->tail, body->name_length, -EPERM, name);
    }
    if (!error) {
        error = object_open_any(session, node, &fd);
    }
    if (error) {
        return error;
    }
    const uint8_t *value = request->tail + body->name_length;
    error = fsetxattr(fd, name, value, body->value_length, (int)body->flags) ? -errno : 0;
    close(fd);
    return error;
}

int answer_removexattr(struct session *session, const struct wire_request *request, void *reply,
                       struct answer *answer)
{
    const struct gofer_removexattr_request *body = request->body;
    char name[GOFER_XATTR_NAME_MAX + 1];
    struct node *node;
    int fd;
    (void)reply;
    (void)answer;
    int error = object_get(session, body->fid, &node);
    if (!error) {
        error = access_require(session, node, ACCESS_WRITE);
    }
    if (!error) {
        error = xattr_name(node, request->tail, body->name_length, -EPERM, name);
    }
    if (!error) {
        error = object_open_any(session, node, &fd);
    }
    if (error) {
        return error;
    }
    error = fremovexattr(fd, name) ? -errno : 0;
    close(fd);
    return error;
}
