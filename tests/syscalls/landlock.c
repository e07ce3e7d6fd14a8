/*
 * landlock.c: rules that a task gives itself.
 */
#include "tests/syscalls/guest_test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

enum {
    EXECUTE = 1,
    WRITE_FILE = 2,
    READ_FILE = 4,
    READ_DIR = 8,
    REMOVE_DIR = 16,
    REMOVE_FILE = 32,
    MAKE_DIR = 128,
    MAKE_REG = 256,
    MAKE_FIFO = 1024,
    MAKE_SYM = 4096,
    REFER = 8192,
    TRUNCATE = 16384,
    IOCTL_DEV = 32768,
    ALL_1 = 8191, /* the rights of the first version */
};

struct attr {
    uint64_t fs, net;
};
struct beneath {
    uint64_t rights;
    int32_t fd;
} __attribute__((packed));
struct port {
    uint64_t rights, port;
};

static long create(const struct attr *attr, size_t size, unsigned flags)
{
    return syscall(SYS_landlock_create_ruleset, attr, size, flags);
}

static int version(void)
{
    long abi = create(NULL, 0, 1);
    if (abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) {
        SKIP("no Landlock here");
    }
    return (int)CHECK_OK(abi);
}

static void need(int abi)
{
    if (version() < abi) {
        SKIP("an older Landlock");
    }
}

static int ruleset(uint64_t fs, uint64_t net)
{
    struct attr attr = {fs, net};
    return (int)CHECK_OK(create(&attr, net ? 16 : 8, 0));
}

static long add(int fd, const char *path, uint64_t rights)
{
    struct beneath rule = {rights, (int32_t)CHECK_OK(open(path, O_PATH | O_CLOEXEC))};
    long result = syscall(SYS_landlock_add_rule, fd, 1, &rule, 0);
    int error = errno;
    close(rule.fd);
    errno = error;
    return result;
}

static void restrict_self(int fd)
{
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_OK(syscall(SYS_landlock_restrict_self, fd, 0));
    close(fd);
}

/* a/ with file, sub/ and sub/file; b/ */
static void make_tree(void)
{
    CHECK_OK(mkdir("a", 0777));
    CHECK_OK(mkdir("a/sub", 0777));
    CHECK_OK(mkdir("b", 0777));
    guest_write_file("a/file", "one");
    guest_write_file("a/sub/file", "two");
    guest_write_file("b/file", "three");
}

TEST_CASE(bad_arguments)
{
    struct attr attr = {READ_FILE, 0};
    CHECK(version() >= 1);
    CHECK_ERRNO(create(NULL, 0, 0), EFAULT);
    CHECK_ERRNO(create(NULL, 8, 1), EINVAL);
    CHECK_ERRNO(create(&attr, 0, 1), EINVAL);
    CHECK_ERRNO(create(&attr, 7, 0), EINVAL);
    CHECK_ERRNO(create(&attr, 5000, 0), E2BIG);
    CHECK_ERRNO(create(guest_bad(), 8, 0), EFAULT);
    CHECK_ERRNO(create(&attr, 8, 0x8000), EINVAL);
    attr.fs = 1ULL << 60;
    CHECK_ERRNO(create(&attr, 8, 0), EINVAL);
    attr.fs = 0;
    CHECK_ERRNO(create(&attr, 8, 0), ENOMSG);
    int fd = ruleset(READ_FILE | READ_DIR, 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    struct beneath rule = {READ_FILE, (int32_t)CHECK_OK(open(".", O_PATH))};
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, fd, 1, &rule, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, fd, 99, &rule, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, -1, 1, &rule, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, rule.fd, 1, &rule, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, 0, 1, &rule, 0), EBADFD);
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, fd, 1, guest_bad(), 0), EFAULT);
    rule.rights = 0;
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, fd, 1, &rule, 0), ENOMSG);
    rule.rights = WRITE_FILE;
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, fd, 1, &rule, 0), EINVAL);
    rule = (struct beneath){READ_FILE, -1};
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, fd, 1, &rule, 0), EBADF);
    rule.fd = fd;
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, fd, 1, &rule, 0), EBADFD);
    int ends[2];
    CHECK_OK(pipe(ends));
    rule.fd = ends[0];
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, fd, 1, &rule, 0), EBADFD);
    guest_write_file("plain", "x");
    CHECK_ERRNO(add(fd, "plain", READ_DIR), EINVAL); /* only directories can have that */
    CHECK_OK(add(fd, "plain", READ_FILE));
    CHECK_ERRNO(syscall(SYS_landlock_restrict_self, fd, 0x8000), geteuid() == 0 ? EINVAL : EPERM);
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_ERRNO(syscall(SYS_landlock_restrict_self, -1, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_landlock_restrict_self, 0, 0), EBADFD);
}

TEST_CASE(reading_and_writing)
{
    make_tree();
    version();
    int fd = ruleset(READ_FILE | READ_DIR | WRITE_FILE, 0);
    CHECK_OK(add(fd, "a", READ_FILE | READ_DIR));
    CHECK_OK(add(fd, "a/sub", WRITE_FILE));
    int before = (int)CHECK_OK(open("b/file", O_RDWR));
    restrict_self(fd);
    CHECK_OK(open("a/file", O_RDONLY));
    CHECK_ERRNO(open("a/file", O_WRONLY), EACCES);
    CHECK_ERRNO(open("a/file", O_RDWR), EACCES);
    CHECK_OK(open("a/sub/file", O_RDWR)); /* both rules grant */
    CHECK_OK(open("a", O_RDONLY | O_DIRECTORY));
    CHECK_ERRNO(open("b", O_RDONLY | O_DIRECTORY), EACCES);
    CHECK_ERRNO(open("b/file", O_RDONLY), EACCES);
    CHECK_ERRNO(open("/", O_RDONLY), EACCES);
    CHECK_OK(open("b/file", O_PATH));
    struct stat st;
    CHECK_OK(stat("b/file", &st));
    CHECK_OK(chmod("b/file", 0600));
    CHECK_OK(ftruncate(before, 1)); /* opened before */
    CHECK_EQ(write(before, "x", 1), 1);
    CHECK_OK(mkdir("b/new", 0777)); /* not handled */
    CHECK_OK(close(CHECK_OK(memfd_create("free", 0))));
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_ERRNO(open("b/file", O_RDONLY), EACCES); /* inherited */
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(making_and_removing)
{
    make_tree();
    version();
    int fd = ruleset(ALL_1, 0);
    CHECK_OK(add(fd, "a", READ_FILE | WRITE_FILE | MAKE_REG | MAKE_DIR | REMOVE_FILE));
    restrict_self(fd);
    CHECK_OK(close(CHECK_OK(open("a/new", O_CREAT | O_RDWR, 0600))));
    CHECK_ERRNO(open("b/new", O_CREAT | O_RDWR, 0600), EACCES);
    CHECK_OK(mkdir("a/dir", 0777));
    CHECK_ERRNO(mkdir("b/dir", 0777), EACCES);
    CHECK_ERRNO(rmdir("a/dir"), EACCES);
    CHECK_OK(unlink("a/new"));
    CHECK_ERRNO(unlink("b/file"), EACCES);
    CHECK_ERRNO(symlink("x", "a/link"), EACCES);
    CHECK_ERRNO(mkfifo("a/fifo", 0600), EACCES);
    CHECK_OK(mknod("a/regular", S_IFREG | 0600, 0));
    CHECK_OK(link("a/file", "a/other"));
    CHECK_OK(rename("a/file", "a/renamed"));
    CHECK_ERRNO(rename("a/renamed", "b/renamed"), EACCES);
    CHECK_ERRNO(link("a/renamed", "b/renamed"), EACCES);
    CHECK_ERRNO(rename("a/renamed", "a/sub/renamed"), EXDEV); /* without REFER */
    CHECK_ERRNO(unlink("a/none"), ENOENT);
    CHECK_ERRNO(mkdir("a/sub", 0777), EEXIST);
}

TEST_CASE(moving)
{
    need(2);
    make_tree();
    CHECK_OK(mkdir("c", 0777));
    int fd = ruleset(REFER | READ_FILE | MAKE_REG | REMOVE_FILE, 0);
    CHECK_OK(add(fd, "a", REFER | READ_FILE | MAKE_REG | REMOVE_FILE));
    CHECK_OK(add(fd, "b", REFER | READ_FILE | MAKE_REG | REMOVE_FILE));
    CHECK_OK(add(fd, "c", REFER | MAKE_REG | REMOVE_FILE));
    restrict_self(fd);
    CHECK_OK(rename("a/file", "b/moved"));
    CHECK_OK(link("b/moved", "a/linked"));
    CHECK_OK(rename("b/moved", "c/moved"));           /* loses READ_FILE */
    CHECK_ERRNO(rename("c/moved", "a/moved"), EXDEV); /* would gain it */
    CHECK_ERRNO(link("c/moved", "a/moved"), EXDEV);
    CHECK_ERRNO(open("c/moved", O_RDONLY), EACCES);
    CHECK_OK(open("a/linked", O_RDONLY));
}

TEST_CASE(layers)
{
    make_tree();
    version();
    int fd = ruleset(READ_FILE, 0);
    CHECK_OK(add(fd, "a", READ_FILE));
    CHECK_OK(add(fd, "b", READ_FILE));
    restrict_self(fd);
    CHECK_OK(open("b/file", O_RDONLY));
    fd = ruleset(READ_FILE | WRITE_FILE, 0);
    CHECK_OK(add(fd, "a", READ_FILE | WRITE_FILE));
    restrict_self(fd);
    CHECK_OK(open("a/file", O_RDWR));
    CHECK_ERRNO(open("b/file", O_RDONLY), EACCES);
    CHECK_ERRNO(open("b/file", O_WRONLY), EACCES);
    for (int i = 2; i < 16; i++) {
        fd = ruleset(EXECUTE, 0);
        restrict_self(fd);
    }
    fd = ruleset(EXECUTE, 0);
    CHECK_ERRNO(syscall(SYS_landlock_restrict_self, fd, 0), E2BIG);
}

TEST_CASE(executing)
{
    version();
    make_tree();
    pid_t pid = guest_fork();
    if (pid == 0) {
        int fd = ruleset(EXECUTE, 0);
        CHECK_OK(add(fd, guest_self(), EXECUTE));
        restrict_self(fd);
        execl("/bin/true", "true", (char *)NULL);
        CHECK_EQ(errno, EACCES);
        execl(guest_self(), guest_self(), "--helper", "there", (char *)NULL);
        _exit(9);
    }
    CHECK_CHILD_EXIT(pid, 5);
}

TEST_HELPER(there)
{
    return open("/bin/true", O_RDONLY) >= 0 ? 5 : 6;
}

TEST_CASE(truncating)
{
    need(3);
    make_tree();
    int fd = ruleset(TRUNCATE | WRITE_FILE, 0);
    CHECK_OK(add(fd, "a", TRUNCATE | WRITE_FILE));
    CHECK_OK(add(fd, "b", WRITE_FILE));
    restrict_self(fd);
    CHECK_OK(truncate("a/file", 1));
    CHECK_ERRNO(truncate("b/file", 1), EACCES);
    CHECK_OK(close(CHECK_OK(open("a/file", O_WRONLY | O_TRUNC))));
    CHECK_ERRNO(open("b/file", O_WRONLY | O_TRUNC), EACCES);
    fd = (int)CHECK_OK(open("b/file", O_WRONLY));
    CHECK_ERRNO(ftruncate(fd, 1), EACCES);
    fd = (int)CHECK_OK(open("a/file", O_WRONLY));
    CHECK_OK(ftruncate(fd, 1));
}

TEST_CASE(devices)
{
    int n;
    need(5);
    int fd = ruleset(IOCTL_DEV, 0);
    int before = (int)CHECK_OK(open("/dev/zero", O_RDONLY));
    restrict_self(fd);
    CHECK_ERRNO(ioctl(before, FIONREAD, &n), ENOTTY);
    fd = (int)CHECK_OK(open("/dev/zero", O_RDONLY));
    CHECK_ERRNO(ioctl(fd, FIONREAD, &n), EACCES);
    CHECK_OK(ioctl(fd, FIOCLEX));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

TEST_CASE(ports)
{
    need(4);
    struct sockaddr_in any = loopback(0);
    socklen_t length = sizeof(any);
    int listener = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
    CHECK_OK(bind(listener, (struct sockaddr *)&any, length));
    CHECK_OK(listen(listener, 4));
    CHECK_OK(getsockname(listener, (struct sockaddr *)&any, &length));
    uint16_t port = ntohs(any.sin_port);
    int fd = ruleset(0, 3);
    struct port rule = {2, port};
    CHECK_OK(syscall(SYS_landlock_add_rule, fd, 2, &rule, 0));
    rule.port = 65536;
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, fd, 2, &rule, 0), EINVAL);
    rule = (struct port){4, 1};
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, fd, 2, &rule, 0), EINVAL);
    rule = (struct port){0, 1};
    CHECK_ERRNO(syscall(SYS_landlock_add_rule, fd, 2, &rule, 0), ENOMSG);
    restrict_self(fd);
    int s = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM, 0));
    struct sockaddr_in to = loopback((uint16_t)(port + 1));
    CHECK_ERRNO(connect(s, (struct sockaddr *)&to, sizeof(to)), EACCES);
    CHECK_ERRNO(bind(s, (struct sockaddr *)&to, sizeof(to)), EACCES);
    to = loopback(port);
    CHECK_OK(connect(s, (struct sockaddr *)&to, sizeof(to)));
    s = (int)CHECK_OK(socket(AF_INET, SOCK_DGRAM, 0)); /* UDP is free */
    to = loopback(0);
    CHECK_OK(bind(s, (struct sockaddr *)&to, sizeof(to)));
}

TEST_CASE(mounts)
{
    version();
    CHECK_OK(mkdir("m", 0777));
    restrict_self(ruleset(READ_FILE, 0));
    CHECK_ERRNO(mount("none", "m", "tmpfs", 0, NULL), EPERM);
    CHECK_ERRNO(umount("/"), EPERM);
}

TEST_CASE(only_one_thread)
{
    version();
    make_tree();
    int fd = ruleset(READ_FILE, 0);
    pid_t pid = guest_fork();
    if (pid == 0) {
        restrict_self(fd);
        CHECK_ERRNO(open("a/file", O_RDONLY), EACCES);
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_OK(open("a/file", O_RDONLY));
}

static void scope(uint64_t scoped)
{
    uint64_t attr[3] = {0, 0, scoped};
    restrict_self((int)CHECK_OK(create((struct attr *)attr, sizeof(attr), 0)));
}

TEST_CASE(signals_within)
{
    need(6);
    pid_t outside = guest_fork();
    if (outside == 0) {
        pause();
        _exit(0);
    }
    pid_t pid = guest_fork();
    if (pid == 0) {
        scope(2);
        CHECK_ERRNO(kill(outside, 0), EPERM);
        CHECK_ERRNO(kill(getppid(), SIGTERM), EPERM);
        pid_t child = guest_fork();
        if (child == 0) {
            pause();
            _exit(0);
        }
        CHECK_OK(kill(child, SIGKILL));
        CHECK_CHILD_SIGNAL(child, SIGKILL);
        CHECK_OK(kill(getpid(), 0));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
    CHECK_OK(kill(outside, SIGKILL));
    CHECK_CHILD_SIGNAL(outside, SIGKILL);
}

TEST_CASE(abstract_sockets_within)
{
    need(6);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length = snprintf(name.sun_path + 1, 64, "guest-landlock-%d", getpid());
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    int s = (int)CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    CHECK_OK(bind(s, (struct sockaddr *)&name, size));
    pid_t pid = guest_fork();
    if (pid == 0) {
        scope(1);
        int own = (int)CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
        CHECK_ERRNO(connect(own, (struct sockaddr *)&name, size), EPERM);
        CHECK_ERRNO(sendto(own, "x", 1, 0, (struct sockaddr *)&name, size), EPERM);
        name.sun_path[1] = 'G';
        int other = (int)CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
        CHECK_OK(bind(other, (struct sockaddr *)&name, size));
        CHECK_OK(connect(own, (struct sockaddr *)&name, size));
        _exit(0);
    }
    CHECK_CHILD_OK(pid);
}

TEST_CASE(list_of_modules)
{
    uint64_t ids[64];
    uint32_t size = sizeof(ids);
    long count = syscall(461 /* lsm_list_modules */, ids, &size, 0);
    if (count < 0 && errno == ENOSYS) {
        SKIP("no lsm_list_modules here");
    }
    CHECK_OK(count);
    CHECK_EQ(size, (unsigned)count * 8);
    CHECK(count > 0 && ids[0] >= 100);
    size = 1;
    CHECK_ERRNO(syscall(461, ids, &size, 0), E2BIG);
    CHECK_EQ(size, (unsigned)count * 8);
    CHECK_ERRNO(syscall(461, ids, &size, 1), EINVAL);
    CHECK_ERRNO(syscall(461, ids, NULL, 0), EFAULT);
    CHECK_ERRNO(syscall(461, NULL, &size, 0), EFAULT);
}
