/*
 * msg_queue.c: System V message queues in detail: waiting, limits, copies, permissions.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/ipc.h>
#include <sys/msg.h>

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif
#ifndef MSG_STAT_ANY
#define MSG_STAT_ANY 13
#endif

struct message {
    long type;
    char text[9000];
};
static struct message m;

static int create(void)
{
    return (int)CHECK_OK(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
}

static int put(int id, long type, size_t length, int flags)
{
    m.type = type;
    return msgsnd(id, &m, length, flags);
}

static struct msqid_ds stat_of(int id)
{
    struct msqid_ds ds;
    CHECK_OK(msgctl(id, IPC_STAT, &ds));
    return ds;
}

static void destroy(int id)
{
    CHECK_OK(msgctl(id, IPC_RMID, NULL));
}

TEST_CASE(bad_arguments)
{
    int id = create();
    CHECK_ERRNO(put(id, 0, 1, 0), EINVAL);
    CHECK_ERRNO(put(id, -1, 1, 0), EINVAL);
    CHECK_ERRNO(put(id, 1, 8193, 0), EINVAL);
    CHECK_ERRNO(put(id, 1, (size_t)-1, 0), EINVAL);
    CHECK_ERRNO(put(-1, 1, 1, 0), EINVAL);
    CHECK_ERRNO(msgsnd(id, guest_bad(), 1, 0), EFAULT);
    CHECK_ERRNO(msgrcv(id, &m, (size_t)-1, 0, 0), EINVAL);
    CHECK_ERRNO(msgrcv(-1, &m, 1, 0, 0), EINVAL);
    CHECK_ERRNO(msgrcv(id, &m, 1, 0, MSG_COPY), EINVAL);
    CHECK_ERRNO(msgrcv(id, &m, 1, 0, MSG_COPY | IPC_NOWAIT | MSG_EXCEPT), EINVAL);
    CHECK_ERRNO(msgrcv(id, &m, 1, 0, IPC_NOWAIT), ENOMSG);
    CHECK_OK(put(id, 1, 4, 0));
    CHECK_ERRNO(msgrcv(id, guest_bad(), 4, 0, 0), EFAULT);
    CHECK_EQ(stat_of(id).msg_qnum, 0); /* Linux: it is gone */
    CHECK_ERRNO(msgctl(id, 4711, NULL), EINVAL);
    CHECK_ERRNO(msgctl(id, IPC_STAT, guest_bad()), EFAULT);
    CHECK_ERRNO(msgget(0x70707073, 0), ENOENT);
    destroy(id);
    CHECK_ERRNO(put(id, 1, 1, 0), EINVAL);
}

TEST_CASE(selection)
{
    int id = create();
    static const long types[] = {5, 3, 9, 3, 1};
    for (size_t i = 0; i < 5; i++) {
        m.text[0] = (char)('a' + i);
        CHECK_OK(put(id, types[i], 1, 0));
    }
    struct msqid_ds ds = stat_of(id);
    CHECK_EQ(ds.msg_qnum, 5);
    CHECK_EQ(ds.__msg_cbytes, 5);
    CHECK_EQ(ds.msg_lspid, getpid());
    CHECK_EQ(ds.msg_lrpid, 0);
    CHECK_EQ(msgrcv(id, &m, 8, 3, IPC_NOWAIT), 1);
    CHECK_EQ(m.text[0], 'b');
    CHECK_EQ(msgrcv(id, &m, 8, 5, MSG_EXCEPT | IPC_NOWAIT), 1);
    CHECK_EQ(m.text[0], 'c');
    CHECK_EQ(msgrcv(id, &m, 8, -4, IPC_NOWAIT), 1);
    CHECK_EQ(m.text[0], 'e');
    CHECK_EQ(msgrcv(id, &m, 8, LONG_MIN, IPC_NOWAIT), 1);
    CHECK_EQ(m.text[0], 'd');
    CHECK_ERRNO(msgrcv(id, &m, 8, 5, MSG_EXCEPT | IPC_NOWAIT), ENOMSG);
    CHECK_EQ(msgrcv(id, &m, 8, 0, IPC_NOWAIT), 1);
    CHECK(m.type == 5 && m.text[0] == 'a');
    destroy(id);
}

TEST_CASE(copies)
{
    int id = create();
    CHECK_OK(put(id, 7, 3, 0));
    CHECK_OK(put(id, 8, 2, 0));
    long got = msgrcv(id, &m, 100, 1, MSG_COPY | IPC_NOWAIT);
    if (got < 0 && errno == ENOSYS) {
        destroy(id);
        SKIP("no MSG_COPY here");
    }
    CHECK(got == 2 && m.type == 8);
    CHECK_EQ(msgrcv(id, &m, 100, 0, MSG_COPY | IPC_NOWAIT), 3);
    CHECK_ERRNO(msgrcv(id, &m, 100, 2, MSG_COPY | IPC_NOWAIT), ENOMSG);
    CHECK_ERRNO(msgrcv(id, &m, 2, 0, MSG_COPY | IPC_NOWAIT), E2BIG);
    CHECK_ERRNO(msgrcv(id, &m, 2, 0, MSG_COPY | IPC_NOWAIT | MSG_NOERROR), EINVAL);
    CHECK_EQ(stat_of(id).msg_qnum, 2);
    destroy(id);
}

TEST_CASE(full_queue)
{
    int id = create();
    CHECK_OK(put(id, 1, 8192, 0));
    CHECK_OK(put(id, 1, 8192, 0));
    CHECK_ERRNO(put(id, 1, 1, IPC_NOWAIT), EAGAIN);
    CHECK_OK(put(id, 1, 0, IPC_NOWAIT)); /* an empty one takes no bytes */
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(put(id, 2, 4, 0));
        _exit(0);
    }
    guest_sleep_ms(20);
    CHECK_EQ(stat_of(id).msg_qnum, 3);
    CHECK_EQ(msgrcv(id, &m, 8192, 0, 0), 8192);
    CHECK_CHILD_OK(pid);
    CHECK_EQ(stat_of(id).msg_qnum, 3);
    CHECK_EQ(stat_of(id).msg_lspid, pid);
    destroy(id);
}

TEST_CASE(waiting_receiver)
{
    int id = create();
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(msgrcv(id, &m, 10, 4, 0), 5);
        CHECK(m.type == 4 && memcmp(m.text, "hello", 5) == 0);
        CHECK_ERRNO(msgrcv(id, &m, 2, 4, 0), E2BIG);
        CHECK_EQ(msgrcv(id, &m, 2, 4, MSG_NOERROR), 2);
        _exit(0);
    }
    guest_sleep_ms(20);
    memcpy(m.text, "hello", 5);
    CHECK_OK(put(id, 3, 5, 0));
    CHECK_OK(put(id, 4, 5, 0));
    guest_sleep_ms(20);
    CHECK_OK(put(id, 4, 5, 0));
    CHECK_CHILD_OK(pid);
    CHECK_EQ(stat_of(id).msg_qnum, 1);
    destroy(id);
}

TEST_CASE(removal_ends_waits)
{
    int id = create();
    pid_t receiver = guest_fork();
    if (receiver == 0) {
        CHECK_ERRNO(msgrcv(id, &m, 10, 4, 0), EIDRM);
        _exit(0);
    }
    CHECK_OK(put(id, 1, 8192, 0));
    CHECK_OK(put(id, 1, 8192, 0));
    pid_t sender = guest_fork();
    if (sender == 0) {
        CHECK_ERRNO(put(id, 1, 1, 0), EIDRM);
        _exit(0);
    }
    guest_sleep_ms(30);
    destroy(id);
    CHECK_CHILD_OK(receiver);
    CHECK_CHILD_OK(sender);
}

static void nothing(int sig)
{
    (void)sig;
}

TEST_CASE(signals_end_waits)
{
    int id = create();
    guest_handle(SIGALRM, nothing, SA_RESTART);
    guest_ticker_start(20);
    CHECK_ERRNO(msgrcv(id, &m, 10, 0, 0), EINTR); /* a handler ends it, whatever SA_RESTART says */
    CHECK_OK(put(id, 1, 8192, 0));
    CHECK_OK(put(id, 1, 8192, 0));
    CHECK_ERRNO(put(id, 1, 1, 0), EINTR);
    guest_ticker_stop();
    destroy(id);
}

TEST_CASE(set_and_info)
{
    static char text[1 << 20]; /* the host may have many queues */
    char line[64];
    struct msginfo info;
    int id = create();
    struct msqid_ds ds = stat_of(id);
    CHECK_EQ(ds.msg_qbytes, 16384);
    ds.msg_qbytes = 10;
    ds.msg_perm.mode = 0640;
    CHECK_OK(msgctl(id, IPC_SET, &ds));
    CHECK_OK(put(id, 1, 10, IPC_NOWAIT));
    CHECK_ERRNO(put(id, 1, 1, IPC_NOWAIT), EAGAIN);
    ds.msg_qbytes = 16385;
    if (geteuid() != 0) {
        CHECK_ERRNO(msgctl(id, IPC_SET, &ds), EPERM);
    }
    CHECK(CHECK_OK(msgctl(0, IPC_INFO, (struct msqid_ds *)&info)) >= (id & 32767));
    CHECK(info.msgmax > 0 && info.msgmnb > 0 && info.msgmni > 0 && info.msgssz == 16);
    CHECK_OK(msgctl(0, MSG_INFO, (struct msqid_ds *)&info));
    CHECK(info.msgpool >= 1 && info.msgmap >= 1 && info.msgtql >= 10);
    CHECK_EQ(msgctl(id & 32767, MSG_STAT, &ds), id);
    CHECK_EQ(msgctl(id & 32767, MSG_STAT_ANY, &ds), id);
    CHECK_EQ(ds.msg_perm.mode, 0640);
    guest_read_file("/proc/sysvipc/msg", text, sizeof(text));
    snprintf(line, sizeof(line), "%10d %10d  %4o  %10lu %10lu %5d %5d", 0, id, 0640, 10UL, 1UL,
             getpid(), 0);
    CHECK(strstr(text, line) != NULL);
    destroy(id);
}

TEST_CASE(permissions_of_others)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot become another user");
    }
    int id = (int)CHECK_OK(msgget(IPC_PRIVATE, IPC_CREAT | 0602));
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct msqid_ds ds;
        guest_become_user();
        CHECK_OK(put(id, 1, 1, 0));
        CHECK_ERRNO(msgrcv(id, &m, 1, 0, 0), EACCES);
        CHECK_ERRNO(msgctl(id, IPC_STAT, &ds), EACCES);
        CHECK_ERRNO(msgctl(id, IPC_RMID, NULL), EPERM);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    destroy(id);
}
