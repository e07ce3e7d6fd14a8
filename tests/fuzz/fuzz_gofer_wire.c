/*
 * fuzz_gofer_wire.c: message decoding on both sides, and a whole session that answers the bytes of
 * a hostile client about an empty temporary directory.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gofer/files/session.h"
#include "gofer/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct session *session;
static char root[] = "/tmp/fuzz-gofer-XXXXXX";

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_root(void)
{
    nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* A directory of which nothing is missed, whatever the bytes make of it. */
static void start(void)
{
    static struct gofer_mount_config mount = {.guest_path = "/work", .mode = GOFER_ACCESS_WRITE};
    static struct gofer_config config = {
        .mounts = &mount, .mount_count = 1, .audit_fd = -1, .connection_fd = -1, .max_fids = 4096};
    static struct policy_error error;
    struct policy *policy = policy_new();
    if (!policy || !mkdtemp(root) ||
        policy_add_rule(policy, "/work/**/a", GOFER_ACCESS_HIDE, NULL, &error) ||
        policy_add_rule(policy, "/work/b", GOFER_ACCESS_READ, NULL, &error) ||
        policy_add_quota(policy, "/work", 65536, 64, &error)) {
        abort();
    }
    atexit(remove_root);
    mount.host_path = root;
    config.policy = policy;
    config.log = (struct log_config){.fd = -1};
    session = malloc(sizeof(*session));
    if (!session || session_init(session, &config)) {
        abort();
    }
}

static void decode(const uint8_t *data, size_t size)
{
    struct wire_request request;
    struct wire_reply reply;
    void *copy = malloc(size + 8);
    if (!copy) {
        return;
    }
    memcpy(copy, data, size);
    ignore_result(wire_request_decode(copy, size, &request));
    for (size_t i = 0; wire_row_at(i); i++) {
        uint32_t tag = 0;
        if (size >= 12) {
            memcpy(&tag, data + 8, sizeof(tag));
        }
        if (wire_reply_decode(copy, size, wire_row_at(i), tag, &reply) == 0 &&
            wire_row_at(i)->id == GOFER_OP_list && reply.body) {
            struct gofer_list_entry entry;
            const char *name;
            size_t position = 0;
            while (wire_list_next(reply.tail, reply.tail_length, &position, &entry, &name)) {
            }
        }
    }
    free(copy);
}

/* The input is a row of requests: a length byte pair, then the bytes. Lengths in headers are made
 * right, so that the fuzzer gets past them often. */
static void converse(const uint8_t *data, size_t size)
{
    while (size >= 2) {
        size_t length = min_of((size_t)(data[0] | (data[1] & 0x0f) << 8), size - 2);
        memcpy(session->request_buffer, data + 2, length);
        data += 2 + length;
        size -= 2 + length;
        uint32_t announced = (uint32_t)length;
        if (length >= sizeof(struct gofer_request_header)) {
            memcpy(session->request_buffer, &announced, sizeof(announced));
            memset(session->request_buffer + 6, 0, 2);
        }
        int fd = -1;
        ssize_t reply = session_answer(session, length, &fd);
        if (fd >= 0) {
            close(fd);
        }
        if (reply > GOFER_MESSAGE_MAX) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!session) {
        start();
    }
    if (size > 0 && data[0] & 1) {
        converse(data + 1, size - 1);
    } else if (size > 0) {
        decode(data + 1, size - 1);
    }
    return 0;
}
