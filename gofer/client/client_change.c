/* client_change.c: requests that change host names, data and attributes. */
#include <errno.h>
#include <string.h>

#include "gofer/client/call.h"

/* A request whose reply is a new object; ends the call. */
static int call_object(struct gofer_client *client, uint16_t id, const void *request,
                       const struct iovec *parts, size_t count, struct gofer_object *ret_object)
{
    struct gofer_call call;
    int error = gofer_call_begin(client, id, request, parts, count, &call);
    if (error) {
        return error;
    }
    /* mkdir, mknod and symlink answer with the same structure. */
    const struct gofer_walk_reply *reply = call.reply.body;
    *ret_object = (struct gofer_object){.fid = reply->fid, .attr = reply->attr};
    gofer_call_end(&call);
    return 0;
}

_Static_assert(sizeof(struct gofer_mkdir_reply) == sizeof(struct gofer_walk_reply), "same layout");
_Static_assert(sizeof(struct gofer_mknod_reply) == sizeof(struct gofer_walk_reply), "same layout");
_Static_assert(sizeof(struct gofer_symlink_reply) == sizeof(struct gofer_walk_reply),
               "same layout");

int gofer_create(struct gofer_client *client, uint64_t dir, const char *name, uint32_t flags,
                 const struct gofer_new_file *file, struct gofer_object *ret_object, int *ret_fd,
                 uint32_t *ret_result)
{
    struct iovec part;
    int error = gofer_name_part(name, &part);
    if (error) {
        return error;
    }
    struct gofer_create_request request = {.fid = dir,
                                           .flags = flags,
                                           .mode = file->mode,
                                           .uid = file->uid,
                                           .gid = file->gid,
                                           .name_length = (uint32_t)part.iov_len};
    struct gofer_call call;
    error = gofer_call_begin(client, GOFER_OP_create, &request, &part, 1, &call);
    if (error) {
        return error;
    }
    const struct gofer_create_reply *reply = call.reply.body;
    if (call.fd < 0 && call.reply.header->has_fd) {
        gofer_release_locked(client, reply->fid);
        error = -EMFILE;
    } else if (call.fd < 0 && reply->result == GOFER_OPEN_FD) {
        gofer_call_break(client, "reply without its descriptor");
        error = -EIO;
    } else {
        *ret_object = (struct gofer_object){.fid = reply->fid, .attr = reply->attr};
        *ret_fd = call.fd;
        *ret_result = reply->result;
        call.fd = -1;
    }
    gofer_call_end(&call);
    return error;
}

int gofer_mkdir(struct gofer_client *client, uint64_t dir, const char *name,
                const struct gofer_new_file *file, struct gofer_object *ret_object)
{
    struct iovec part;
    int error = gofer_name_part(name, &part);
    if (error) {
        return error;
    }
    struct gofer_mkdir_request request = {.fid = dir,
                                          .mode = file->mode,
                                          .uid = file->uid,
                                          .gid = file->gid,
                                          .name_length = (uint32_t)part.iov_len};
    return call_object(client, GOFER_OP_mkdir, &request, &part, 1, ret_object);
}

int gofer_mknod(struct gofer_client *client, uint64_t dir, const char *name,
                const struct gofer_new_file *file, struct gofer_object *ret_object)
{
    struct iovec part;
    int error = gofer_name_part(name, &part);
    if (error) {
        return error;
    }
    struct gofer_mknod_request request = {.fid = dir,
                                          .mode = file->mode,
                                          .uid = file->uid,
                                          .gid = file->gid,
                                          .name_length = (uint32_t)part.iov_len};
    return call_object(client, GOFER_OP_mknod, &request, &part, 1, ret_object);
}

int gofer_symlink(struct gofer_client *client, uint64_t dir, const char *name, const char *target,
                  uint32_t uid, uint32_t gid, struct gofer_object *ret_object)
{
    struct iovec parts[2];
    int error = gofer_name_part(name, &parts[0]);
    if (error) {
        return error;
    }
    size_t length = strlen(target);
    if (length == 0) {
        return -ENOENT;
    }
    if (length > GOFER_TARGET_MAX) {
        return -ENAMETOOLONG;
    }
    parts[1] = (struct iovec){(void *)(uintptr_t)target, length};
    struct gofer_symlink_request request = {.fid = dir,
                                            .uid = uid,
                                            .gid = gid,
                                            .name_length = (uint32_t)parts[0].iov_len,
                                            .target_length = (uint32_t)length};
    return call_object(client, GOFER_OP_symlink, &request, parts, 2, ret_object);
}

int gofer_link(struct gofer_client *client, uint64_t dir, const char *name, uint64_t target,
               struct gofer_attr *ret_attr)
{
    struct iovec part;
    int error = gofer_name_part(name, &part);
    if (error) {
        return error;
    }
    struct gofer_link_request request = {
        .fid = dir, .target = target, .name_length = (uint32_t)part.iov_len};
    struct gofer_call call;
    error = gofer_call_begin(client, GOFER_OP_link, &request, &part, 1, &call);
    if (error) {
        return error;
    }
    *ret_attr = ((const struct gofer_link_reply *)call.reply.body)->attr;
    gofer_call_end(&call);
    return 0;
}

int gofer_unlink(struct gofer_client *client, uint64_t dir, const char *name, uint32_t flags)
{
    struct iovec part;
    int error = gofer_name_part(name, &part);
    if (error) {
        return error;
    }
    struct gofer_unlink_request request = {
        .fid = dir, .flags = flags, .name_length = (uint32_t)part.iov_len};
    struct gofer_call call;
    error = gofer_call_begin(client, GOFER_OP_unlink, &request, &part, 1, &call);
    if (!error) {
        gofer_call_end(&call);
    }
    return error;
}

int gofer_rename(struct gofer_client *client, uint64_t dir, const char *name, uint64_t new_dir,
                 const char *new_name, uint32_t flags)
{
    struct iovec parts[2];
    int error = gofer_name_part(name, &parts[0]);
    if (!error) {
        error = gofer_name_part(new_name, &parts[1]);
    }
    if (error) {
        return error;
    }
    struct gofer_rename_request request = {.fid = dir,
                                           .new_fid = new_dir,
                                           .flags = flags,
                                           .name_length = (uint32_t)parts[0].iov_len,
                                           .new_name_length = (uint32_t)parts[1].iov_len};
    struct gofer_call call;
    error = gofer_call_begin(client, GOFER_OP_rename, &request, parts, 2, &call);
    if (!error) {
        gofer_call_end(&call);
    }
    return error;
}

int gofer_setattr(struct gofer_client *client, uint64_t fid, const struct gofer_change *change,
                  struct gofer_attr *ret_attr)
{
    struct gofer_setattr_request request = {.fid = fid,
                                            .size = change->size,
                                            .atime = change->atime,
                                            .mtime = change->mtime,
                                            .set = change->set,
                                            .mode = change->mode,
                                            .uid = change->uid,
                                            .gid = change->gid};
    struct gofer_call call;
    int error = gofer_call_begin(client, GOFER_OP_setattr, &request, NULL, 0, &call);
    if (error) {
        return error;
    }
    *ret_attr = ((const struct gofer_setattr_reply *)call.reply.body)->attr;
    gofer_call_end(&call);
    return 0;
}

ssize_t gofer_write(struct gofer_client *client, uint64_t fid, const void *data, size_t length,
                    uint64_t offset, uint32_t flags, uint64_t *ret_size)
{
    length = min_of(length, (size_t)GOFER_DATA_MAX);
    struct gofer_write_request request = {
        .fid = fid, .offset = offset, .length = (uint32_t)length, .flags = flags};
    struct iovec part = {(void *)(uintptr_t)data, length};
    struct gofer_call call;
    int error = gofer_call_begin(client, GOFER_OP_write, &request, &part, 1, &call);
    if (error) {
        return error;
    }
    const struct gofer_write_reply *reply = call.reply.body;
    ssize_t count = (ssize_t)reply->length;
    if (reply->length > length) {
        gofer_call_break(client, "malformed reply");
        count = -EIO;
    } else if (ret_size) {
        *ret_size = reply->size;
    }
    gofer_call_end(&call);
    return count;
}

int gofer_allocate(struct gofer_client *client, uint64_t fid, uint32_t mode, uint64_t offset,
                   uint64_t length, struct gofer_attr *ret_attr)
{
    struct gofer_allocate_request request = {
        .fid = fid, .offset = offset, .length = length, .mode = mode};
    struct gofer_call call;
    int error = gofer_call_begin(client, GOFER_OP_allocate, &request, NULL, 0, &call);
    if (error) {
        return error;
    }
    *ret_attr = ((const struct gofer_allocate_reply *)call.reply.body)->attr;
    gofer_call_end(&call);
    return 0;
}
