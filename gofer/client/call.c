/*
 * call.c: the client's connection: round trips, loss of the server, batched releases.
 *
 * The server is trusted more than the guest but less than ourselves: a malformed reply breaks the
 * connection for good, and every later call fails with -EIO at once.
 */
#include "gofer/client/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/log.h"

_Thread_local struct gofer_process gofer_process;

int gofer_client_new(int fd, struct gofer_client **ret_client)
{
    struct gofer_client *client = calloc(1, sizeof(*client));
    uint8_t *buffer = malloc(GOFER_MESSAGE_MAX);
    if (!client || !buffer) {
        free(client);
        free(buffer);
        return -ENOMEM;
    }
    client->fd = fd;
    client->buffer = buffer;
    mutex_init(&client->lock, RANK_GOFER);
    *ret_client = client;
    return 0;
}

void gofer_client_free(struct gofer_client *client)
{
    if (!client) {
        return;
    }
    if (client->fd >= 0) {
        close(client->fd);
    }
    mutex_fini(&client->lock);
    free(client->buffer);
    free(client);
}

bool gofer_client_broken(struct gofer_client *client)
{
    mutex_lock(&client->lock);
    bool broken = client->broken;
    mutex_unlock(&client->lock);
    return broken;
}

void gofer_call_break(struct gofer_client *client, const char *why)
{
    if (!client->broken) {
        client->broken = true;
        log_notice("gofer: %s; host files are gone", why); /* the launcher reports the end */
        close(client->fd);
        client->fd = -1;
    }
}

void gofer_client_on_send(struct gofer_client *client, void (*before_send)(void))
{
    client->before_send = before_send;
}

/* Sends one request. Locked. */
static int send_locked(struct gofer_client *client, const struct wire_row *row, const void *body,
                       const struct iovec *tail, size_t tail_count)
{
    struct gofer_request_header header = {
        .id = row->id, .tag = ++client->tag, .pid = gofer_process.pid};
    memcpy(header.comm, gofer_process.comm, sizeof(header.comm) - 1);
    struct iovec parts[5];
    parts[0] = (struct iovec){&header, sizeof(header)};
    parts[1] = (struct iovec){(void *)(uintptr_t)body, row->request_size};
    size_t length = sizeof(header) + row->request_size;
    size_t count = 2;
    for (size_t i = 0; i < tail_count; i++) {
        parts[count++] = tail[i];
        length += tail[i].iov_len;
    }
    header.length = (uint32_t)length;
    if (client->before_send != NULL) {
        client->before_send();
    }
    int error = wire_send(client->fd, parts, count, -1);
    if (error) {
        gofer_call_break(client, "cannot reach the gofer process");
        return -EIO;
    }
    return 0;
}

static int flush_locked(struct gofer_client *client)
{
    if (client->pending == 0 || client->broken) {
        client->pending = 0;
        return 0;
    }
    struct gofer_release_request request = {.count = client->pending};
    struct iovec tail = {client->pending_fids, client->pending * sizeof(uint64_t)};
    client->pending = 0;
    return send_locked(client, wire_row(GOFER_OP_release), &request, &tail, 1);
}

void gofer_release_locked(struct gofer_client *client, uint64_t fid)
{
    if (fid == 0 || client->broken) {
        return;
    }
    client->pending_fids[client->pending++] = fid;
    if (client->pending == GOFER_RELEASE_MAX) {
        ignore_result(flush_locked(client));
    }
}

void gofer_release(struct gofer_client *client, uint64_t fid)
{
    mutex_lock(&client->lock);
    gofer_release_locked(client, fid);
    mutex_unlock(&client->lock);
}

void gofer_flush(struct gofer_client *client)
{
    mutex_lock(&client->lock);
    ignore_result(flush_locked(client));
    mutex_unlock(&client->lock);
}

static int receive_locked(struct gofer_client *client, const struct wire_row *row,
                          struct gofer_call *call)
{
    ssize_t length = wire_receive(client->fd, client->buffer, GOFER_MESSAGE_MAX, &call->fd);
    if (length <= 0) {
        call->fd = -1;
        gofer_call_break(client, "the gofer process ended");
        return -EIO;
    }
    if (wire_reply_decode(client->buffer, (size_t)length, row, client->tag, &call->reply)) {
        gofer_call_break(client, "malformed reply");
        return -EIO;
    }
    return call->reply.header->error;
}

int gofer_call_begin(struct gofer_client *client, uint16_t id, const void *body,
                     const struct iovec *tail, size_t tail_count, struct gofer_call *ret_call)
{
    const struct wire_row *row = wire_row(id);
    *ret_call = (struct gofer_call){.client = client, .fd = -1};
    mutex_lock(&client->lock);
    int error = client->broken ? -EIO : send_locked(client, row, body, tail, tail_count);
    if (!error) {
        error = receive_locked(client, row, ret_call);
    }
    if (error) {
        gofer_call_end(ret_call);
    }
    return error;
}

void gofer_call_end(struct gofer_call *call)
{
    if (call->fd >= 0) {
        close(call->fd);
        call->fd = -1;
    }
    mutex_unlock(&call->client->lock);
}

int gofer_name_part(const char *name, struct iovec *ret_part)
{
    size_t length = strlen(name);
    if (length > GOFER_NAME_MAX) {
        return -ENAMETOOLONG;
    }
    if (!wire_name_valid(name, length)) {
        return -EINVAL;
    }
    *ret_part = (struct iovec){(void *)(uintptr_t)name, length};
    return 0;
}
