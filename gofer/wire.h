/*
 * wire.h: messages as bytes: checks of everything a peer may have got wrong, and the socket calls.
 *
 * Decoding never allocates and never reads outside the buffer. What decodes has a known row, exact
 * lengths and well-formed names; meaning (fids, flags, policy) is for the answers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "gofer/protocol.h"
#include "platform/base/compiler.h"

struct wire_row {
    const char *name;
    uint16_t id;
    uint8_t permission; /* enum gofer_message_permission */
    uint32_t request_size, reply_size, tail_max;
};

/* NULL: no such message. */
const struct wire_row *wire_row(uint16_t id);
/* The rows in protocol order, for tests. */
const struct wire_row *wire_row_at(size_t position);

struct wire_request {
    const struct wire_row *row;
    const struct gofer_request_header *header;
    const void *body; /* row->request_size bytes, aligned to 8 */
    const uint8_t *tail;
    size_t tail_length;
};

/*
 * buffer is aligned to 8. -EBADMSG: not a well-formed request; ret_request->header is then set when
 * at least a header was there, else NULL. The tail was checked against the lengths in the body.
 */
int wire_request_decode(const void *buffer, size_t length,
                        struct wire_request *ret_request) must_check;

struct wire_reply {
    const struct gofer_reply_header *header;
    const void *body; /* only when header->error is 0 */
    const uint8_t *tail;
    size_t tail_length;
};

/* Checks a reply to the request (id, tag). -EBADMSG: nonsense. */
int wire_reply_decode(const void *buffer, size_t length, const struct wire_row *row, uint32_t tag,
                      struct wire_reply *ret_reply) must_check;

/* One component: 1 to GOFER_NAME_MAX bytes, no '/', no NUL, not "." or "..". */
bool wire_name_valid(const void *name, size_t length);

/* The next of walk_many's names; false at the end or at a malformed one. */
bool wire_names_next(const uint8_t **position, const uint8_t *end, const uint8_t **ret_name,
                     size_t *ret_length);

/* The next entry of a list reply's tail; false when it does not fit. The name lies in the tail. */
bool wire_list_next(const uint8_t *data, size_t length, size_t *position,
                    struct gofer_list_entry *ret_entry, const char **ret_name);
size_t wire_list_entry_size(size_t name_length);

/* One message, with fd (or -1). 0 or negative errno; -EPIPE when the peer is gone. */
int wire_send(int socket, const struct iovec *parts, size_t count, int fd) must_check;
/*
 * One message of at most size bytes. Returns its length, 0 at the end of the connection, -EMSGSIZE
 * for a longer one (consumed). ret_fd NULL: descriptors are not accepted. *ret_fd: -1: none came;
 * -EMFILE: one came but the descriptor table had no room for it.
 */
ssize_t wire_receive(int socket, void *buffer, size_t size, int *ret_fd) must_check;
