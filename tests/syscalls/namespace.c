/* namespace.c: /proc/self/ns: ioctl_ns(2), setns(2) to where one is. */
#include <linux/nsfs.h>
#include <sys/ioctl.h>

#include "guest_test.h"

static int open_ns(const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
    return (int)CHECK_OK(open(path, O_RDONLY));
}

TEST_CASE(kinds)
{
    static const struct {
        const char *name;
        int flag;
    } kinds[] = {{"mnt", CLONE_NEWNS},  {"uts", CLONE_NEWUTS}, {"ipc", CLONE_NEWIPC},
                 {"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET}, {"user", CLONE_NEWUSER}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        int fd = open_ns(kinds[i].name);
        CHECK_EQ(ioctl(fd, NS_GET_NSTYPE), kinds[i].flag);
        CHECK_OK(close(fd));
    }
}

TEST_CASE(owners_and_parents)
{
    uid_t uid;
    CHECK_ERRNO(ioctl(open_ns("uts"), NS_GET_PARENT), EINVAL);
    CHECK_ERRNO(ioctl(open_ns("uts"), NS_GET_OWNER_UID, &uid), EINVAL);
    CHECK_OK(ioctl(open_ns("user"), NS_GET_OWNER_UID, &uid));
    CHECK_ERRNO(ioctl(open_ns("user"), NS_GET_OWNER_UID, guest_bad()), EFAULT);
    CHECK_ERRNO(ioctl(open_ns("uts"), 0xb7ff), ENOTTY);
}

TEST_CASE(setns_errors)
{
    int uts = open_ns("uts");
    int file = (int)CHECK_OK(open("f", O_CREAT | O_RDWR, 0600));
    CHECK_ERRNO(setns(-1, 0), EBADF);
    CHECK_ERRNO(setns(file, 0), EINVAL);
    CHECK_ERRNO(setns(uts, CLONE_NEWNET), EINVAL);
    CHECK_ERRNO(setns(open_ns("user"), 0), EINVAL);
    if (geteuid() == 0) {
        CHECK_OK(setresuid(65534, 65534, 65534));
    }
    CHECK_ERRNO(setns(uts, CLONE_NEWUTS), EPERM);
}

TEST_CASE(setns_to_own)
{
    int uts = open_ns("uts");
    if (setns(uts, CLONE_NEWUTS) != 0) {
        CHECK_EQ(errno, EPERM);
        SKIP("no right to");
    }
    CHECK_OK(setns(uts, 0));
}
