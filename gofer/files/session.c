/*
 * session.c: a connection's state from the opened mounts on, and the loop that answers its
 * messages.
 *
 * One message at a time. The client may be hostile: what does not decode is answered with EBADMSG,
 * and a message without a header ends the connection.
 */
#include "gofer/files/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DEFAULT_FIDS     (1u << 20)
#define DEFAULT_OPEN     8192u
#define OTHER_OPEN_FILES 64u /* roots apart */

typedef int answer_function(struct session *session, const struct wire_request *request,
                            void *reply, struct answer *answer);

static answer_function *find_answer(uint16_t id)
{
    switch (id) {
#define GOFER_MESSAGE(number, name, permission, tail)                                              \
    case number:                                                                                   \
        return answer_##name;
#include "gofer/protocol.def"
#undef GOFER_MESSAGE
    default:
        return NULL;
    }
}

/* A node is about to go: files it had open, and the space of a removed file, go with it. */
static void node_goes(void *context, struct node *node)
{
    struct session *session = context;
    struct statx stat;
    object_forget(session, node);
    if (node->credit && node->fd >= 0 && node_fd_stat(node->fd, &stat) == 0 &&
        stat.stx_nlink == 0) {
        quota_give_bytes(session, node->verdict.quotas, stat.stx_size);
    }
}

static uint32_t open_limit(const struct gofer_config *config)
{
    struct rlimit limit;
    if (config->max_open) {
        return config->max_open;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit)) {
        return NODE_OPEN_MIN;
    }
    uint64_t other = OTHER_OPEN_FILES + config->mount_count;
    uint64_t room = limit.rlim_cur > other ? (limit.rlim_cur - other) / 2 : 0;
    /* Half for look-ups, half for objects whose names are gone. */
    return (uint32_t)max_of(min_of(room, (uint64_t)DEFAULT_OPEN), (uint64_t)NODE_OPEN_MIN);
}

static int open_mount(struct session *session, uint32_t index)
{
    const struct gofer_mount_config *config = &session->config->mounts[index];
    struct session_mount *mount = &session->mounts[index];
    struct statx stat;
    uint32_t device;
    if (config->guest_path[0] != '/' || config->mode < GOFER_ACCESS_READ ||
        config->mode > GOFER_ACCESS_WRITE) {
        return -EINVAL;
    }
    mount->config = config;
    mount->state = calloc(policy_state_size(session->policy) + 1, sizeof(uint64_t));
    if (!mount->state) {
        return -ENOMEM;
    }
    policy_state_path(session->policy, config->guest_path, mount->state);
    int fd = open(config->host_path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int error = node_fd_stat(fd, &stat);
    if (!error && !S_ISDIR(stat.stx_mode) && !S_ISREG(stat.stx_mode)) {
        error = -ENOTDIR;
    }
    if (!error) {
        uint64_t dev = makedev(stat.stx_dev_major, stat.stx_dev_minor);
        error = object_device(session, dev, fd, "", &device);
    }
    if (!error && session->devices[device].kernel_fs) {
        error = -EACCES;
    }
    if (!error) {
        error = nodes_add_root(&session->nodes, index, fd, &stat, &mount->root);
    }
    if (error) {
        close(fd);
        return error;
    }
    if (config->mode >= GOFER_ACCESS_NO_DELETE) {
        session->any_writable = true;
        if (policy_quota_touches(session->policy, mount->state)) {
            mount->flags |= GOFER_MOUNT_QUOTA;
        }
    }
    mount->flags |= config->exclusive ? GOFER_MOUNT_EXCLUSIVE : 0;
    return 0;
}

static int allocate(struct session *session)
{
    size_t words = policy_state_size(session->policy) + 1;
    session->mounts = calloc(session->mount_count + 1, sizeof(session->mounts[0]));
    session->dir_state = calloc(words, sizeof(uint64_t));
    session->name_state = calloc(words, sizeof(uint64_t));
    session->old_name_state = calloc(words, sizeof(uint64_t));
    session->new_name_state = calloc(words, sizeof(uint64_t));
    session->request_buffer = malloc(GOFER_MESSAGE_MAX);
    session->reply_buffer = malloc(GOFER_MESSAGE_MAX);
    return session->mounts && session->dir_state && session->name_state &&
                   session->old_name_state && session->new_name_state && session->request_buffer &&
                   session->reply_buffer
               ? 0
               : -ENOMEM;
}

/* Says which hide and deny rules do not reach everywhere; a few lines at most. */
static void warn_overruled(const struct policy *policy)
{
    unsigned said = 0;
    for (size_t i = 0; i < policy->rule_count; i++) {
        for (size_t j = 0; j < policy->rule_count && said < 8; j++) {
            if (policy_rule_overruled(policy, i, j)) {
                log_warning(
                    "policy: \"%s\" does not %s anything beneath \"%s\", whose rule is more "
                    "specific",
                    policy->rules[i].pattern.text, policy_access_name(policy->rules[i].access),
                    policy->rules[j].pattern.text);
                said++;
            }
        }
    }
}

int session_init(struct session *session, const struct gofer_config *config)
{
    static const struct policy no_policy = {.default_access = GOFER_ACCESS_WRITE};
    memset(session, 0, sizeof(*session));
    session->config = config;
    session->policy = config->policy ? config->policy : &no_policy;
    session->mount_count = config->mount_count;
    session->connection = config->connection_fd;
    audit_init(&session->audit, config->audit_fd, session->policy->audit_all);
    nodes_init(&session->nodes, config->max_fids ? config->max_fids : DEFAULT_FIDS,
               open_limit(config));
    session->nodes.on_free = node_goes;
    session->nodes.context = session;
    session->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    warn_overruled(session->policy);
    int error = allocate(session);
    for (uint32_t i = 0; !error && i < session->mount_count; i++) {
        error = open_mount(session, i);
        if (error) {
            log_error("gofer: cannot open %s: %s", config->mounts[i].host_path, strerror(-error));
        }
    }
    if (error) {
        session_fini(session);
    }
    return error;
}

void session_fini(struct session *session)
{
    audit_finish(&session->audit);
    for (size_t i = 0; i < SESSION_STREAMS; i++) {
        if (session->streams[i].fid) {
            close(session->streams[i].fd);
        }
        free(session->streams[i].buffer);
    }
    for (size_t i = 0; i < SESSION_FILES; i++) {
        if (session->files[i].fid) {
            close(session->files[i].fd);
        }
    }
    nodes_fini(&session->nodes);
    for (size_t i = 0; session->mounts && i < session->mount_count; i++) {
        free(session->mounts[i].state);
    }
    if (session->proc_fd >= 0) {
        close(session->proc_fd);
    }
    free(session->mounts);
    free(session->devices);
    free(session->dir_state);
    free(session->name_state);
    free(session->old_name_state);
    free(session->new_name_state);
    free(session->request_buffer);
    free(session->reply_buffer);
}

/* Without a writable mount no changing message gets as far as its answer. */
static int refuse_change(struct session *session, const struct wire_request *request)
{
    /* Each of these requests begins with the fid. */
    struct node *node = nodes_get(&session->nodes, *(const uint64_t *)request->body);
    if (!node) {
        return -EBADF;
    }
    int error = access_require(session, node, ACCESS_WRITE);
    return error ? error : -EROFS;
}

static int answer_request(struct session *session, const struct wire_request *request, void *reply,
                          struct answer *answer)
{
    session->request = request;
    session->subject = NULL;
    session->subject_name[0] = '\0';
    session->audited = false;
    int error;
    if (request->row->permission != GOFER_READ && !session->any_writable) {
        error = refuse_change(session, request);
    } else {
        error = find_answer(request->row->id)(session, request, reply, answer);
    }
    if (request->row->id != GOFER_OP_release) {
        access_audit_done(session, error);
    }
    nodes_unhold_all(&session->nodes);
    return error;
}

ssize_t session_answer(struct session *session, size_t request_length, int *ret_fd)
{
    struct wire_request request;
    struct gofer_reply_header *header = (void *)session->reply_buffer;
    struct answer answer = {.fd = -1};
    int error = wire_request_decode(session->request_buffer, request_length, &request);
    if (!request.header) {
        return -EBADMSG;
    }
    *header = (struct gofer_reply_header){.id = request.header->id, .tag = request.header->tag};
    size_t length = sizeof(*header);
    if (!error) {
        uint8_t *reply = session->reply_buffer + length;
        memset(reply, 0, request.row->reply_size);
        answer.tail = reply + request.row->reply_size;
        answer.tail_capacity = GOFER_MESSAGE_MAX - length - request.row->reply_size;
        error = answer_request(session, &request, reply, &answer);
        if (request.row->id == GOFER_OP_release) {
            return 0;
        }
        if (!error) {
            length += request.row->reply_size + answer.tail_length;
        }
    }
    if (error && answer.fd >= 0) {
        close(answer.fd);
        answer.fd = -1;
    }
    header->error = error;
    header->has_fd = answer.fd >= 0;
    header->length = (uint32_t)length;
    *ret_fd = answer.fd;
    return (ssize_t)length;
}

int session_serve(struct session *session)
{
    for (;;) {
        ssize_t length =
            wire_receive(session->connection, session->request_buffer, GOFER_MESSAGE_MAX, NULL);
        if (length == 0 || length == -ECONNRESET) {
            return 0;
        }
        if (length == -EMSGSIZE) {
            length = GOFER_MESSAGE_MAX; /* its header will not agree */
        }
        if (length < 0) {
            return (int)length;
        }
        int fd = -1;
        ssize_t reply = session_answer(session, (size_t)length, &fd);
        if (reply < 0) {
            log_error("gofer: a message without a header: ending");
            return (int)reply;
        }
        if (reply == 0) {
            continue;
        }
        struct iovec part = {session->reply_buffer, (size_t)reply};
        int error = wire_send(session->connection, &part, 1, fd);
        if (fd >= 0) {
            close(fd);
        }
        if (error) {
            return error == -EPIPE || error == -ECONNRESET ? 0 : error;
        }
    }
}
