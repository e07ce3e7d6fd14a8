/*
 * sysv_msg.c: System V message queues, and POSIX ones where they exist.
 */
#include "tests/syscalls/guest_test.h"

#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>

struct message {
    long type;
    char text[64];
};

static int create(void)
{
    int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    if (id < 0 && (errno == ENOSYS || errno == ENOSPC || errno == EPERM)) {
        SKIP("no System V message queues here");
    }
    return (int)CHECK_OK(id);
}

static void body(int id)
{
    struct message m;
    for (long type = 1; type <= 3; type++) {
        m.type = type;
        snprintf(m.text, sizeof(m.text), "type%ld", type);
        CHECK_OK(msgsnd(id, &m, 6, 0));
    }
    CHECK_EQ(msgrcv(id, &m, sizeof(m.text), 2, 0), 6); /* that type */
    CHECK(m.type == 2 && memcmp(m.text, "type2", 6) == 0);
    CHECK_EQ(msgrcv(id, &m, sizeof(m.text), -3, 0), 6); /* the lowest up to 3 */
    CHECK_EQ(m.type, 1);
    CHECK_ERRNO(msgrcv(id, &m, 3, 0, 0), E2BIG);
    CHECK_EQ(msgrcv(id, &m, 3, 0, MSG_NOERROR), 3);
    CHECK_EQ(m.type, 3);
    CHECK_ERRNO(msgrcv(id, &m, sizeof(m.text), 0, IPC_NOWAIT), ENOMSG);
    m.type = 0;
    CHECK_ERRNO(msgsnd(id, &m, 1, 0), EINVAL);
    struct msqid_ds ds;
    CHECK_OK(msgctl(id, IPC_STAT, &ds));
    CHECK_EQ(ds.msg_qnum, 0);
    CHECK_EQ(ds.msg_lspid, getpid());
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(20);
        m.type = 7;
        CHECK_OK(msgsnd(id, &m, 4, 0));
        _exit(0);
    }
    CHECK_EQ(msgrcv(id, &m, sizeof(m.text), 7, 0), 4);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(types_sizes_and_waiting)
{
    int id = create();
    pid_t pid = guest_fork();
    if (pid == 0) {
        body(id);
        _exit(0);
    }
    int status = guest_wait(pid);
    CHECK_OK(msgctl(id, IPC_RMID, NULL));
    CHECK_EQ(status, 0);
}

TEST_CASE(removal_wakes)
{
    int id = create();
    pid_t pid = guest_fork();
    if (pid == 0) {
        struct message m;
        ssize_t n = msgrcv(id, &m, sizeof(m.text), 0, 0);
        _exit(n < 0 && (errno == EIDRM || errno == EINVAL) ? 0 : 1);
    }
    guest_sleep_ms(30);
    CHECK_OK(msgctl(id, IPC_RMID, NULL));
    CHECK_CHILD_OK(pid);
    CHECK_ERRNO(msgctl(id, IPC_RMID, NULL), EINVAL);
}

TEST_CASE(posix_priorities)
{
    char name[64];
    char text[64];
    unsigned priority = 99;
    struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 64};
    snprintf(name, sizeof(name), "/guest-test-%d", getpid());
    mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attributes);
    if (q < 0) {
        SKIP("no POSIX message queues here");
    }
    CHECK_OK(mq_unlink(name));
    CHECK_OK(mq_send(q, "low", 3, 1));
    CHECK_OK(mq_send(q, "high", 4, 9));
    CHECK_OK(mq_send(q, "low2", 4, 1));
    CHECK_EQ(mq_receive(q, text, sizeof(text), &priority), 4);
    CHECK_EQ(priority, 9);
    CHECK_EQ(mq_receive(q, text, sizeof(text), &priority), 3);
    CHECK_EQ(mq_receive(q, text, sizeof(text), NULL), 4);
    CHECK_ERRNO(mq_receive(q, text, sizeof(text), NULL), EAGAIN);
    CHECK_ERRNO(mq_receive(q, text, 10, NULL), EMSGSIZE);
    CHECK_ERRNO(mq_send(q, text, 65, 0), EMSGSIZE);
    for (int i = 0; i < 4; i++) {
        CHECK_OK(mq_send(q, "x", 1, 0));
    }
    CHECK_ERRNO(mq_send(q, "x", 1, 0), EAGAIN);
    CHECK_OK(mq_close(q));
}
