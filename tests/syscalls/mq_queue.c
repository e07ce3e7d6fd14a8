/*
 * mq_queue.c: POSIX message queues: names, attributes, sending, receiving, waiting.
 */
#include "tests/syscalls/guest_test.h"

#include <mqueue.h>
#include <poll.h>
#include <dirent.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statfs.h>

static char name[64];
static char text[16384];

/* A queue of this case's own, by name. */
static mqd_t create(int flags, const struct mq_attr *attr)
{
    snprintf(name, sizeof(name), "/guest-%d", getpid());
    mq_unlink(name);
    return (mqd_t)CHECK_OK(mq_open(name, O_CREAT | O_EXCL | flags, 0600, attr));
}

static mqd_t create_small(int flags)
{
    struct mq_attr attr = {.mq_maxmsg = 3, .mq_msgsize = 16};
    return create(flags, &attr);
}

static struct timespec soon(long ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

TEST_CASE(names)
{
    char longest[300] = "/";
    memset(longest + 1, 'n', 255);
    mqd_t q = (mqd_t)CHECK_OK(mq_open(longest, O_CREAT | O_RDWR, 0600, NULL));
    CHECK_OK(mq_unlink(longest));
    CHECK_OK(mq_close(q));
    longest[256] = 'n';
    CHECK_ERRNO(mq_open(longest, O_CREAT | O_RDWR, 0600, NULL), ENAMETOOLONG);
    CHECK_ERRNO(mq_open("/a/b", O_CREAT | O_RDWR, 0600, NULL), EACCES);
    CHECK_ERRNO(syscall(SYS_mq_open, "", O_CREAT | O_RDWR, 0600, NULL), ENOENT);
    CHECK_ERRNO(syscall(SYS_mq_open, "..", O_CREAT | O_RDWR, 0600, NULL), EACCES);
    CHECK_ERRNO(syscall(SYS_mq_open, guest_bad(), O_CREAT | O_RDWR, 0600, NULL), EFAULT);
    CHECK_ERRNO(mq_open("/guest-none", O_RDWR), ENOENT);
    CHECK_ERRNO(mq_unlink("/guest-none"), ENOENT);
    q = create(O_RDWR, NULL);
    CHECK_ERRNO(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL), EEXIST);
    CHECK_ERRNO(mq_open(name, O_RDWR | O_WRONLY), EINVAL);
    mqd_t again = (mqd_t)CHECK_OK(mq_open(name, O_RDONLY));
    CHECK_EQ(fcntl(again, F_GETFD), FD_CLOEXEC);
    CHECK_OK(mq_send(q, "abc", 3, 0));
    CHECK_OK(mq_unlink(name));
    CHECK_ERRNO(mq_open(name, O_RDWR), ENOENT);
    CHECK_EQ(mq_receive(again, text, sizeof(text), NULL), 3); /* unlinked, not gone */
}

TEST_CASE(attributes)
{
    struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 32};
    struct mq_attr got;
    mqd_t q = create(O_RDWR, &attr);
    CHECK_OK(mq_unlink(name));
    CHECK_OK(mq_getattr(q, &got));
    CHECK(got.mq_maxmsg == 4 && got.mq_msgsize == 32 && got.mq_curmsgs == 0 && got.mq_flags == 0);
    CHECK_OK(mq_send(q, "1", 1, 0));
    attr = (struct mq_attr){.mq_flags = O_NONBLOCK, .mq_maxmsg = 77};
    CHECK_OK(mq_setattr(q, &attr, &got));
    CHECK(got.mq_curmsgs == 1 && got.mq_flags == 0);
    CHECK_OK(mq_getattr(q, &got));
    CHECK(got.mq_maxmsg == 4 && got.mq_flags == O_NONBLOCK);
    CHECK(fcntl(q, F_GETFL) & O_NONBLOCK);
    attr.mq_flags = O_APPEND;
    CHECK_ERRNO(mq_setattr(q, &attr, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_mq_getsetattr, -1, NULL, &got), EBADF);
    CHECK_ERRNO(syscall(SYS_mq_getsetattr, 0, NULL, &got), EBADF);
    CHECK_ERRNO(syscall(SYS_mq_getsetattr, q, NULL, guest_bad()), EFAULT);
    CHECK_ERRNO(syscall(SYS_mq_getsetattr, q, guest_bad(), NULL), EFAULT);
    struct mq_attr bad[] = {{.mq_maxmsg = 0, .mq_msgsize = 1},
                            {.mq_maxmsg = -1, .mq_msgsize = 1},
                            {.mq_maxmsg = 1, .mq_msgsize = 0},
                            {.mq_maxmsg = 65537, .mq_msgsize = 1},
                            {.mq_maxmsg = 1, .mq_msgsize = 16 * 1024 * 1024 + 1}};
    for (size_t i = 0; i < 5; i++) {
        CHECK_ERRNO(mq_open("/guest-bad", O_CREAT | O_RDWR, 0600, &bad[i]), EINVAL);
    }
    if (geteuid() != 0) {
        attr = (struct mq_attr){.mq_maxmsg = 11, .mq_msgsize = 1};
        CHECK_ERRNO(mq_open("/guest-bad", O_CREAT | O_RDWR, 0600, &attr), EINVAL);
    }
}

TEST_CASE(priorities)
{
    unsigned priority = 99;
    mqd_t q = create(O_RDWR, NULL);
    CHECK_OK(mq_unlink(name));
    CHECK_OK(mq_send(q, "a1", 2, 1));
    CHECK_OK(mq_send(q, "b5", 2, 5));
    CHECK_OK(mq_send(q, "c5", 2, 5));
    CHECK_OK(mq_send(q, "d0", 2, 0));
    CHECK_OK(mq_send(q, "", 0, 32767));
    CHECK_ERRNO(mq_send(q, "e", 1, 32768), EINVAL);
    CHECK_EQ(mq_receive(q, text, sizeof(text), &priority), 0);
    CHECK_EQ(priority, 32767);
    static const char *const order[] = {"b5", "c5", "a1", "d0"};
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(mq_receive(q, text, sizeof(text), &priority), 2);
        CHECK(memcmp(text, order[i], 2) == 0 && priority == (unsigned)(order[i][1] - '0'));
    }
}

TEST_CASE(errors)
{
    mqd_t q = create_small(O_RDWR | O_NONBLOCK);
    mqd_t reader = (mqd_t)CHECK_OK(mq_open(name, O_RDONLY));
    mqd_t writer = (mqd_t)CHECK_OK(mq_open(name, O_WRONLY));
    CHECK_OK(mq_unlink(name));
    CHECK_ERRNO(mq_receive(q, text, 16, NULL), EAGAIN);
    CHECK_ERRNO(mq_receive(q, text, 15, NULL), EMSGSIZE);
    CHECK_ERRNO(mq_send(q, text, 17, 0), EMSGSIZE);
    CHECK_ERRNO(mq_send(reader, text, 1, 0), EBADF);
    CHECK_ERRNO(mq_receive(writer, text, 16, NULL), EBADF);
    CHECK_ERRNO(mq_send(0, text, 1, 0), EBADF);
    CHECK_ERRNO(mq_send(-1, text, 1, 0), EBADF);
    CHECK_ERRNO(mq_send(q, guest_bad(), 1, 0), EFAULT);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(mq_send(q, text, 16, 0));
    }
    CHECK_ERRNO(mq_send(q, text, 1, 0), EAGAIN);
    CHECK_ERRNO(mq_receive(q, guest_bad(), 16, NULL), EFAULT);
    CHECK_EQ(mq_receive(q, text, 16, NULL), 16); /* the one before is gone */
    struct timespec bad = {1, 1000000000};
    CHECK_ERRNO(mq_timedsend(q, text, 1, 0, &bad), EINVAL);
    bad = (struct timespec){-1, 0};
    CHECK_ERRNO(mq_timedreceive(q, text, 16, NULL, &bad), EINVAL);
    CHECK_ERRNO(mq_timedreceive(q, text, 16, NULL, guest_bad()), EFAULT);
}

TEST_CASE(timeouts)
{
    mqd_t q = create_small(O_RDWR);
    CHECK_OK(mq_unlink(name));
    struct timespec t = soon(40);
    long long begin = guest_now_ms();
    CHECK_ERRNO(mq_timedreceive(q, text, 16, NULL, &t), ETIMEDOUT);
    CHECK(guest_now_ms() - begin >= 35);
    t = (struct timespec){0, 0};
    CHECK_OK(mq_timedsend(q, text, 1, 0, &t)); /* there is room: no waiting */
    CHECK_OK(mq_send(q, text, 1, 0));
    CHECK_OK(mq_send(q, text, 1, 0));
    CHECK_ERRNO(mq_timedsend(q, text, 1, 0, &t), ETIMEDOUT);
    t = soon(40);
    CHECK_ERRNO(mq_timedsend(q, text, 1, 0, &t), ETIMEDOUT);
}

TEST_CASE(waiting)
{
    mqd_t q = create_small(O_RDWR);
    CHECK_OK(mq_unlink(name));
    pid_t pid = guest_fork();
    if (pid == 0) {
        unsigned priority;
        CHECK_EQ(mq_receive(q, text, 16, &priority), 5);
        CHECK(memcmp(text, "hello", 5) == 0 && priority == 3);
        _exit(0);
    }
    guest_sleep_ms(20);
    CHECK_OK(mq_send(q, "hello", 5, 3));
    CHECK_CHILD_OK(pid);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(mq_send(q, "full", 4, 1));
    }
    pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(mq_send(q, "first", 5, 9));
        _exit(0);
    }
    guest_sleep_ms(20);
    CHECK_EQ(mq_receive(q, text, 16, NULL), 4);
    CHECK_CHILD_OK(pid);
    CHECK_EQ(mq_receive(q, text, 16, NULL), 5);
}

static void nothing(int sig)
{
    (void)sig;
}

TEST_CASE(signals)
{
    mqd_t q = create_small(O_RDWR);
    CHECK_OK(mq_unlink(name));
    guest_handle(SIGALRM, nothing, 0);
    guest_ticker_start(20);
    CHECK_ERRNO(mq_receive(q, text, 16, NULL), EINTR);
    guest_ticker_stop();
    guest_handle(SIGALRM, nothing, SA_RESTART);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(150);
        CHECK_OK(mq_send(q, "x", 1, 0));
        _exit(0);
    }
    guest_ticker_start(20);
    CHECK_EQ(mq_receive(q, text, 16, NULL), 1);
    guest_ticker_stop();
    CHECK_CHILD_OK(pid);
}

TEST_CASE(readiness)
{
    mqd_t q = create_small(O_RDWR);
    CHECK_OK(mq_unlink(name));
    struct pollfd p = {.fd = q, .events = POLLIN | POLLOUT};
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLOUT);
    CHECK_OK(mq_send(q, "x", 1, 0));
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN | POLLOUT);
    CHECK_OK(mq_send(q, "x", 1, 0));
    CHECK_OK(mq_send(q, "x", 1, 0));
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN);
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_sleep_ms(20);
        CHECK_EQ(mq_receive(q, text, 16, NULL), 1);
        _exit(0);
    }
    p.events = POLLOUT;
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_CHILD_OK(pid);
}

TEST_CASE(as_a_file)
{
    struct stat st;
    mqd_t q = create_small(O_RDWR);
    CHECK_OK(mq_unlink(name));
    CHECK_OK(fstat(q, &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0600);
    CHECK_EQ(st.st_size, 80);
    CHECK_OK(mq_send(q, "12345", 5, 0));
    CHECK_EQ(read(q, text, 200), 60);
    text[60] = 0;
    CHECK(strcmp(text, "QSIZE:5          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n") == 0);
    CHECK_EQ(read(q, text, 200), 0);
    CHECK_ERRNO(write(q, "x", 1), EINVAL);
}

TEST_CASE(no_descriptor_left)
{
    struct rlimit old;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &old));
    struct rlimit none = {0, old.rlim_max};
    snprintf(name, sizeof(name), "/guest-%d", getpid());
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &none));
    CHECK_ERRNO(mq_open(name, O_CREAT | O_RDWR, 0600, NULL), EMFILE);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &old));
    CHECK_ERRNO(mq_open(name, O_RDWR), ENOENT); /* nothing was made */
}

TEST_CASE(limit_of_bytes)
{
    struct rlimit limit = {5000, 5000};
    struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = 512};
    CHECK_OK(setrlimit(RLIMIT_MSGQUEUE, &limit));
    CHECK_ERRNO(mq_open("/guest-much", O_CREAT | O_RDWR, 0600, &attr), EMFILE);
}

TEST_CASE(permissions)
{
    if (!guest_can_switch_user()) {
        SKIP("cannot become another user");
    }
    umask(0);
    snprintf(name, sizeof(name), "/guest-%d", getpid());
    mqd_t q = (mqd_t)CHECK_OK(mq_open(name, O_CREAT | O_RDWR, 0604, NULL));
    pid_t pid = guest_fork();
    if (pid == 0) {
        guest_become_user();
        CHECK_OK(mq_open(name, O_RDONLY));
        CHECK_ERRNO(mq_open(name, O_RDWR), EACCES);
        CHECK_ERRNO(syscall(SYS_mq_unlink, name + 1), EPERM);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_OK(mq_unlink(name));
    CHECK_OK(mq_close(q));
}

/* A directory of queues: /dev/mqueue where that is one, else a mount of our own. */
static const char *mounted(void)
{
    struct statfs fs;
    if (statfs("/dev/mqueue", &fs) == 0 && fs.f_type == 0x19800202) {
        return "/dev/mqueue";
    }
    CHECK_OK(mkdir("queues", 0777));
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "queues", "mqueue", 0, NULL) != 0) {
        SKIP("no mount of queues here");
    }
    return "queues";
}

TEST_CASE(as_files_of_a_directory)
{
    char path[300];
    struct stat st;
    const char *dir = mounted();
    mqd_t q = create(O_RDWR, NULL);
    CHECK_OK(mq_send(q, "12345", 5, 0));
    snprintf(path, sizeof(path), "%s%s", dir, name);
    CHECK_OK(stat(path, &st));
    CHECK_EQ(st.st_size, 80);
    CHECK(guest_read_file(path, text, 200) == 60);
    CHECK(strncmp(text, "QSIZE:5 ", 8) == 0);
    DIR *d = opendir(dir);
    CHECK(d != NULL);
    bool found = false;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        found = found || strcmp(e->d_name, name + 1) == 0;
    }
    closedir(d);
    CHECK(found);
    CHECK_OK(unlink(path));
    CHECK_ERRNO(mq_open(name, O_RDWR), ENOENT);
    CHECK_ERRNO(stat(path, &st), ENOENT);
    CHECK_OK(close(CHECK_OK(open(path, O_CREAT | O_RDWR, 0600))));
    q = (mqd_t)CHECK_OK(mq_open(name, O_RDWR));
    struct mq_attr attr;
    CHECK_OK(mq_getattr(q, &attr));
    CHECK_EQ(attr.mq_maxmsg, 10);
    CHECK_OK(mq_unlink(name));
    CHECK_ERRNO(stat(path, &st), ENOENT);
    CHECK(mkdir(path, 0777) < 0);
}
