/*
 * stub_call.c: requests to a stub's service thread.
 *
 * The reply page is writable by the guest. A forged reply makes the sentry go on too early, which
 * harms only that guest: the service thread ends the process when a list changes under it, and a
 * result is compared with what it must be or taken as an error number.
 */
#include "platform/stub/stub.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "platform/host/memory.h"
#include "platform/host/process.h"
#include "platform/host/socket.h"
#include "platform/placement.h"
#include "platform/stub/stub_filter.h"

#define PROBE_INTERVAL_NS 20000000
#define PROBE_EVERY       64 /* wake-ups without a reply */

bool stub_is_dead(struct stub *stub)
{
    if (atomic_load(&stub->dead)) {
        return true;
    }
    /* The descriptors of a process are closed before it can be waited for, so this sees a death
     * that wait(2) hides while traced threads of the process are not reaped. */
    if (host_socket_hung_up(stub->socket)) {
        atomic_store(&stub->dead, true);
        return true;
    }
    return false;
}

void stub_kill(struct stub *stub)
{
    /* A dead process may have been reaped, and its pid be another's. */
    if (!stub_is_dead(stub)) {
        atomic_store(&stub->broken, true);
        atomic_store(&stub->dead, true);
        ignore_result(host_kill(stub->pid, SIGKILL));
    }
}

/*
 * Waits until the service thread has finished request `sequence`. A reply word that the guest
 * keeps overwriting must not hold us: a service thread that sleeps on the request word (so that a
 * wake finds it) while that word has the new value has finished.
 */
static int wait_reply(struct stub *stub, uint32_t sequence)
{
    unsigned int rounds = 0;
    for (;;) {
        uint32_t seen = atomic_load(&stub->reply->sequence);
        if (seen == sequence) {
            return 0;
        }
        int rc = host_futex_wait(&stub->reply->sequence, seen, PROBE_INTERVAL_NS);
        if (rc == -ETIMEDOUT || ++rounds % PROBE_EVERY == 0) {
            if (stub_is_dead(stub)) {
                return PLATFORM_DEAD;
            }
            bool idle = host_futex_wake(&stub->request->sequence, 1) == 1;
            if (idle && atomic_load(&stub->reply->sequence) != sequence) {
                stub_kill(stub);
                return PLATFORM_DEAD;
            }
        }
    }
}

int stub_call_locked(struct stub *stub, const struct stub_op *ops, size_t count, const int *fds,
                     size_t fd_count, int64_t *ret_results)
{
    mutex_assert_held(&stub->service);
    if (atomic_load(&stub->dead)) {
        return PLATFORM_DEAD;
    }
    if (fd_count != 0) {
        int rc = host_socket_send_fds(stub->socket, fds, fd_count);
        if (rc == -EPIPE || rc == -ECONNRESET) {
            atomic_store(&stub->dead, true);
            return PLATFORM_DEAD;
        }
        if (rc != 0) {
            return rc;
        }
    }
    placement_follow(stub->pid, &stub->service_cpu);
    struct stub_request *request = stub->request;
    atomic_store(&request->sequence, stub->sequence + 1);
    request->count = (uint32_t)count;
    memcpy(request->ops, ops, count * sizeof *ops);
    stub->sequence += 2;
    atomic_store(&request->sequence, stub->sequence);
    host_futex_wake(&request->sequence, 1);
    int rc = wait_reply(stub, stub->sequence);
    if (rc != 0) {
        return rc;
    }
    /* A guest that spoils the message header makes recvmsg(2) fail and leave the message: the next
     * mapping would get this one's file. */
    if (fd_count != 0 && !host_socket_drained(stub->socket)) {
        stub_kill(stub);
        return PLATFORM_DEAD;
    }
    for (size_t i = 0; i < count; i++) {
        ret_results[i] = *(volatile int64_t *)&stub->reply->results[i];
    }
    return 0;
}

/* The header and all that it points to lie in the reply page: recvmsg(2) writes to it. The guest
 * may change it; then its own next mapping fails, or it loses its new thread. */
struct message_area {
    struct msghdr header;
    struct iovec data;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * HOST_SEND_FDS_MAX)];
    char byte;
};

static struct message_area prepare_message(size_t fd_count)
{
    uint64_t base = STUB_REPLY + STUB_REPLY_DATA;
    return (struct message_area){
        .header =
            {
                .msg_iov = (void *)(uintptr_t)(base + offsetof(struct message_area, data)),
                .msg_iovlen = 1,
                .msg_control = (void *)(uintptr_t)(base + offsetof(struct message_area, control)),
                .msg_controllen = CMSG_SPACE(sizeof(int) * fd_count),
            },
        .data = {.iov_base = (void *)(uintptr_t)(base + offsetof(struct message_area, byte)),
                 .iov_len = 1},
    };
}

struct stub_op stub_op_receive(struct stub *stub, size_t fd_count)
{
    struct message_area message = prepare_message(fd_count);
    memcpy(stub->reply->data, &message, sizeof message);
    return (struct stub_op){.number = SYS_recvmsg,
                            .args = {STUB_FD_SOCKET, STUB_REPLY + STUB_REPLY_DATA, MSG_DONTWAIT}};
}

struct stub_op stub_op_send(struct stub *stub)
{
    struct message_area message = prepare_message(1);
    const struct cmsghdr header = {
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    const int fd = STUB_FD_FIRST;
    memcpy(message.control, &header, sizeof header);
    memcpy((char *)message.control + CMSG_LEN(0), &fd, sizeof fd);
    memcpy(stub->reply->data, &message, sizeof message);
    return (struct stub_op){
        .number = SYS_sendmsg,
        .args = {STUB_FD_SOCKET, STUB_REPLY + STUB_REPLY_DATA, MSG_DONTWAIT | MSG_NOSIGNAL}};
}

int stub_new_thread(struct stub *stub, pid_t *ret_tid)
{
    struct stub_op op = {
        .number = SYS_clone, .args = {STUB_CLONE_THREAD}, .child = STUB_CHILD_THREAD};
    int64_t result;
    mutex_lock(&stub->service);
    int rc = stub_call_locked(stub, &op, 1, NULL, 0, &result);
    mutex_unlock(&stub->service);
    if (rc != 0) {
        return rc;
    }
    if (result == -EAGAIN || result == -ENOMEM) {
        return (int)result;
    }
    if (result <= 0 || result > INT32_MAX || result == stub->pid ||
        host_tgkill(stub->pid, (pid_t)result, 0) != 0) {
        stub_kill(stub);
        return PLATFORM_DEAD;
    }
    *ret_tid = (pid_t)result;
    return 0;
}
