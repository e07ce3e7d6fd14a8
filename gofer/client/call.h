/*
 * call.h: one round trip; shared by the files of gofer/client.
 *
 * gofer_call_begin takes the connection, sends and receives; the caller reads the reply in place
 * and then calls gofer_call_end. Between the two the client's mutex is held.
 */
#pragma once

#include "gofer/client/client.h"
#include "gofer/wire.h"
#include "platform/base/lock.h"

struct gofer_client {
    struct mutex lock; /* RANK_GOFER */
    void (*before_send)(void);

    /* under lock */
    int fd;
    bool broken;
    uint32_t tag;
    uint32_t pending; /* releases not sent */
    uint64_t pending_fids[GOFER_RELEASE_MAX];
    uint8_t *buffer; /* GOFER_MESSAGE_MAX */
};

struct gofer_call {
    struct gofer_client *client;
    struct wire_reply reply;
    int fd; /* came with the reply: the caller takes it by setting -1; -EMFILE: lost */
};

/*
 * body: the fixed request; tail: what follows it, at most 3 parts. On success the reply's error is
 * 0 and the client is locked until gofer_call_end. On failure nothing is locked.
 */
int gofer_call_begin(struct gofer_client *client, uint16_t id, const void *body,
                     const struct iovec *tail, size_t tail_count,
                     struct gofer_call *ret_call) must_check;
void gofer_call_end(struct gofer_call *call);
/* The connection is beyond use. Locked. */
void gofer_call_break(struct gofer_client *client, const char *why);
/* Queues a release under the lock that a call holds. */
void gofer_release_locked(struct gofer_client *client, uint64_t fid);
/* A name as a request's tail; -ENAMETOOLONG and -EINVAL are found before the server would. */
int gofer_name_part(const char *name, struct iovec *ret_part) must_check;
