/* client_lookup.c: finding objects and asking about them; nothing here changes the host. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gofer/client/call.h"

int gofer_attach(struct gofer_client *client, uint32_t index, struct gofer_mount *ret_mount)
{
    struct gofer_attach_request request = {.index = index};
    struct gofer_call call;
    int error = gofer_call_begin(client, GOFER_OP_attach, &request, NULL, 0, &call);
    if (error) {
        return error;
    }
    const struct gofer_attach_reply *reply = call.reply.body;
    ret_mount->fid = reply->fid;
    ret_mount->attr = reply->attr;
    ret_mount->mode = reply->mode;
    ret_mount->flags = reply->flags;
    ret_mount->mount_count = reply->mount_count;
    memcpy(ret_mount->guest_path, call.reply.tail, call.reply.tail_length);
    ret_mount->guest_path[call.reply.tail_length] = '\0';
    gofer_call_end(&call);
    return 0;
}

int gofer_walk(struct gofer_client *client, uint64_t fid, const char *name,
               struct gofer_object *ret_object)
{
    struct iovec part;
    int error = gofer_name_part(name, &part);
    if (error) {
        return error;
    }
    struct gofer_walk_request request = {.fid = fid, .name_length = (uint32_t)part.iov_len};
    struct gofer_call call;
    error = gofer_call_begin(client, GOFER_OP_walk, &request, &part, 1, &call);
    if (error) {
        return error;
    }
    const struct gofer_walk_reply *reply = call.reply.body;
    *ret_object = (struct gofer_object){.fid = reply->fid, .attr = reply->attr};
    gofer_call_end(&call);
    return 0;
}

/* Names in wire form. Returns the length or a negative errno. */
static ssize_t pack_names(const char *const *names, size_t count, uint8_t *ret_data)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        struct iovec part;
        int error = gofer_name_part(names[i], &part);
        if (error) {
            return error;
        }
        uint16_t name_length = (uint16_t)part.iov_len;
        memcpy(ret_data + length, &name_length, sizeof(name_length));
        memcpy(ret_data + length + sizeof(name_length), part.iov_base, part.iov_len);
        length += sizeof(name_length) + part.iov_len;
    }
    return (ssize_t)length;
}

static int unpack_walk(struct gofer_call *call, size_t count, struct gofer_object *ret_objects,
                       struct gofer_walk_result *ret_result)
{
    const struct gofer_walk_many_reply *reply = call->reply.body;
    if (reply->count > count) {
        gofer_call_break(call->client, "malformed reply");
        return -EIO;
    }
    for (uint32_t i = 0; i < reply->count; i++) {
        struct gofer_walk_reply found;
        memcpy(&found, call->reply.tail + i * sizeof(found), sizeof(found));
        ret_objects[i] = (struct gofer_object){.fid = found.fid, .attr = found.attr};
    }
    ret_result->count = reply->count;
    ret_result->error = reply->error;
    ret_result->open_result = reply->error ? 0 : reply->open_result;
    memcpy(ret_result->target, call->reply.tail + reply->count * sizeof(struct gofer_walk_reply),
           reply->target_length);
    ret_result->target[reply->target_length] = '\0';
    ret_result->fd = -1;
    if (call->fd >= 0) {
        ret_result->fd = call->fd;
        call->fd = -1;
    } else if (call->reply.header->has_fd) {
        ret_result->error = -EMFILE;
        ret_result->open_result = 0;
    }
    return 0;
}

int gofer_walk_many(struct gofer_client *client, uint64_t fid, const char *const *names,
                    size_t count, uint32_t open_flags, struct gofer_object *ret_objects,
                    struct gofer_walk_result *ret_result)
{
    if (count == 0 || count > GOFER_WALK_MAX) {
        return -EINVAL;
    }
    uint8_t data[GOFER_WALK_MAX * (GOFER_NAME_MAX + 2)];
    ssize_t length = pack_names(names, count, data);
    if (length < 0) {
        return (int)length;
    }
    struct gofer_walk_many_request request = {
        .fid = fid, .count = (uint32_t)count, .open_flags = open_flags};
    struct iovec tail = {data, (size_t)length};
    struct gofer_call call;
    int error = gofer_call_begin(client, GOFER_OP_walk_many, &request, &tail, 1, &call);
    if (error) {
        return error;
    }
    error = unpack_walk(&call, count, ret_objects, ret_result);
    gofer_call_end(&call);
    return error;
}

int gofer_list(struct gofer_client *client, uint64_t fid, uint64_t cookie,
               struct gofer_listing *ret_listing)
{
    struct gofer_list_request request = {.fid = fid, .cookie = cookie};
    struct gofer_call call;
    int error = gofer_call_begin(client, GOFER_OP_list, &request, NULL, 0, &call);
    if (error) {
        return error;
    }
    const struct gofer_list_reply *reply = call.reply.body;
    uint8_t *data = malloc(call.reply.tail_length + 1);
    if (data) {
        memcpy(data, call.reply.tail, call.reply.tail_length);
        data[call.reply.tail_length] = '\0';
        *ret_listing = (struct gofer_listing){.data = data,
                                              .length = call.reply.tail_length,
                                              .left = reply->count,
                                              .cookie = reply->cookie,
                                              .end = reply->end != 0};
    }
    gofer_call_end(&call);
    return data ? 0 : -ENOMEM;
}

bool gofer_listing_next(struct gofer_listing *listing, struct gofer_dirent *ret_entry)
{
    struct gofer_list_entry entry;
    const char *name;
    size_t start = listing->position;
    if (listing->left == 0 ||
        !wire_list_next(listing->data, listing->length, &listing->position, &entry, &name)) {
        return false;
    }
    listing->left--;
    /* The name moves onto the header, already copied, so that a NUL fits behind it. */
    char *moved = (char *)listing->data + start;
    memmove(moved, name, entry.name_length);
    moved[entry.name_length] = '\0';
    ret_entry->attr = entry.attr;
    ret_entry->cookie = entry.cookie;
    ret_entry->name = moved;
    ret_entry->name_length = entry.name_length;
    return true;
}

void gofer_listing_fini(struct gofer_listing *listing)
{
    free(listing->data);
    *listing = (struct gofer_listing){0};
}

int gofer_getattr(struct gofer_client *client, uint64_t fid, struct gofer_attr *ret_attr)
{
    struct gofer_getattr_request request = {.fid = fid};
    struct gofer_call call;
    int error = gofer_call_begin(client, GOFER_OP_getattr, &request, NULL, 0, &call);
    if (error) {
        return error;
    }
    *ret_attr = ((const struct gofer_getattr_reply *)call.reply.body)->attr;
    gofer_call_end(&call);
    return 0;
}

int gofer_readlink(struct gofer_client *client, uint64_t fid, char *target, size_t size)
{
    struct gofer_readlink_request request = {.fid = fid};
    struct gofer_call call;
    int error = gofer_call_begin(client, GOFER_OP_readlink, &request, NULL, 0, &call);
    if (error) {
        return error;
    }
    if (call.reply.tail_length >= size) {
        error = -ENAMETOOLONG;
    } else {
        memcpy(target, call.reply.tail, call.reply.tail_length);
        target[call.reply.tail_length] = '\0';
    }
    gofer_call_end(&call);
    return error;
}

int gofer_statfs(struct gofer_client *client, uint64_t fid, struct gofer_statfs_reply *ret_statfs)
{
    struct gofer_statfs_request request = {.fid = fid};
    struct gofer_call call;
    int error = gofer_call_begin(client, GOFER_OP_statfs, &request, NULL, 0, &call);
    if (error) {
        return error;
    }
    *ret_statfs = *(const struct gofer_statfs_reply *)call.reply.body;
    gofer_call_end(&call);
    return 0;
}

int gofer_open(struct gofer_client *client, uint64_t fid, uint32_t flags, int *ret_fd,
               uint32_t *ret_result)
{
    struct gofer_open_request request = {.fid = fid, .flags = flags};
    struct gofer_call call;
    int error = gofer_call_begin(client, GOFER_OP_open, &request, NULL, 0, &call);
    if (error) {
        return error;
    }
    uint32_t result = ((const struct gofer_open_reply *)call.reply.body)->result;
    if (call.fd < 0 && call.reply.header->has_fd) {
        error = -EMFILE;
    } else if (call.fd < 0 && result == GOFER_OPEN_FD) {
        gofer_call_break(client, "reply without its descriptor");
        error = -EIO;
    } else {
        *ret_fd = call.fd;
        *ret_result = result;
        call.fd = -1;
    }
    gofer_call_end(&call);
    return error;
}

ssize_t gofer_read(struct gofer_client *client, uint64_t fid, void *data, size_t length,
                   uint64_t offset)
{
    struct gofer_read_request request = {
        .fid = fid, .offset = offset, .length = (uint32_t)min_of(length, (size_t)GOFER_DATA_MAX)};
    struct gofer_call call;
    int error = gofer_call_begin(client, GOFER_OP_read, &request, NULL, 0, &call);
    if (error) {
        return error;
    }
    ssize_t count = (ssize_t)call.reply.tail_length;
    if (call.reply.tail_length > request.length) {
        gofer_call_break(client, "malformed reply");
        count = -EIO;
    } else {
        memcpy(data, call.reply.tail, call.reply.tail_length);
    }
    gofer_call_end(&call);
    return count;
}

int gofer_fsync(struct gofer_client *client, uint64_t fid, bool data_only)
{
    struct gofer_fsync_request request = {.fid = fid, .data_only = data_only};
    struct gofer_call call;
    int error = gofer_call_begin(client, GOFER_OP_fsync, &request, NULL, 0, &call);
    if (!error) {
        gofer_call_end(&call);
    }
    return error;
}

/* The value or list of a reply whose full length is given; size 0 asked for the length only. */
static ssize_t take_value(struct gofer_call *call, uint32_t length, void *value, size_t size)
{
    ssize_t result = (ssize_t)length;
    if (length > GOFER_DATA_MAX || (size > 0 && call->reply.tail_length != length)) {
        gofer_call_break(call->client, "malformed reply");
        result = -EIO;
    } else if (size > 0 && length > size) {
        result = -ERANGE;
    } else if (size > 0) {
        memcpy(value, call->reply.tail, length);
    }
    gofer_call_end(call);
    return result;
}

static int xattr_part(const char *name, struct iovec *ret_part)
{
    size_t length = strlen(name);
    if (length == 0 || length > GOFER_XATTR_NAME_MAX) {
        return -ERANGE;
    }
    *ret_part = (struct iovec){(void *)(uintptr_t)name, length};
    return 0;
}

ssize_t gofer_getxattr(struct gofer_client *client, uint64_t fid, const char *name, void *value,
                       size_t size)
{
    struct iovec part;
    int error = xattr_part(name, &part);
    if (error) {
        return error;
    }
    struct gofer_getxattr_request request = {.fid = fid,
                                             .size = (uint32_t)min_of(size, (size_t)GOFER_DATA_MAX),
                                             .name_length = (uint32_t)part.iov_len};
    struct gofer_call call;
    error = gofer_call_begin(client, GOFER_OP_getxattr, &request, &part, 1, &call);
    if (error) {
        return error;
    }
    uint32_t length = ((const struct gofer_getxattr_reply *)call.reply.body)->length;
    return take_value(&call, length, value, size);
}

ssize_t gofer_listxattr(struct gofer_client *client, uint64_t fid, char *list, size_t size)
{
    struct gofer_listxattr_request request = {
        .fid = fid, .size = (uint32_t)min_of(size, (size_t)GOFER_DATA_MAX)};
    struct gofer_call call;
    int error = gofer_call_begin(client, GOFER_OP_listxattr, &request, NULL, 0, &call);
    if (error) {
        return error;
    }
    uint32_t length = ((const struct gofer_listxattr_reply *)call.reply.body)->length;
    return take_value(&call, length, list, size);
}

int gofer_setxattr(struct gofer_client *client, uint64_t fid, const char *name, const void *value,
                   size_t size, uint32_t flags)
{
    struct iovec parts[2];
    int error = xattr_part(name, &parts[0]);
    if (error) {
        return error;
    }
    if (size > GOFER_DATA_MAX) {
        return -E2BIG;
    }
    parts[1] = (struct iovec){(void *)(uintptr_t)value, size};
    struct gofer_setxattr_request request = {.fid = fid,
                                             .name_length = (uint32_t)parts[0].iov_len,
                                             .value_length = (uint32_t)size,
                                             .flags = flags};
    struct gofer_call call;
    error = gofer_call_begin(client, GOFER_OP_setxattr, &request, parts, 2, &call);
    if (!error) {
        gofer_call_end(&call);
    }
    return error;
}

int gofer_removexattr(struct gofer_client *client, uint64_t fid, const char *name)
{
    struct iovec part;
    int error = xattr_part(name, &part);
    if (error) {
        return error;
    }
    struct gofer_removexattr_request request = {.fid = fid, .name_length = (uint32_t)part.iov_len};
    struct gofer_call call;
    error = gofer_call_begin(client, GOFER_OP_removexattr, &request, &part, 1, &call);
    if (!error) {
        gofer_call_end(&call);
    }
    return error;
}
