/*
 * proc_fd.c: /proc/self/fd and fdinfo.
 */
#include "tests/syscalls/guest_test.h"

#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static char path[64];
static char target[PATH_MAX];

static const char *link_of(int fd)
{
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    memset(target, 0, sizeof(target));
    CHECK_OK(readlink(path, target, sizeof(target) - 1));
    return target;
}

TEST_CASE(targets)
{
    int pair[2];
    char cwd[PATH_MAX];
    char want[PATH_MAX + 16];
    guest_write_file("f", "x");
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK(getcwd(cwd, sizeof(cwd)));
    snprintf(want, sizeof(want), "%s/f", cwd);
    CHECK(strcmp(link_of(fd), want) == 0);
    CHECK_OK(rename("f", "g"));
    snprintf(want, sizeof(want), "%s/g", cwd);
    CHECK(strcmp(link_of(fd), want) == 0);
    CHECK_OK(unlink("g"));
    snprintf(want, sizeof(want), "%s/g (deleted)", cwd);
    CHECK(strcmp(link_of(fd), want) == 0);
    CHECK_OK(pipe(pair));
    CHECK(strncmp(link_of(pair[0]), "pipe:[", 6) == 0);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK(strncmp(link_of(pair[0]), "socket:[", 8) == 0);
    CHECK(strcmp(link_of((int)CHECK_OK(eventfd(0, 0))), "anon_inode:[eventfd]") == 0);
    CHECK(strcmp(link_of((int)CHECK_OK(open("/dev/null", O_RDWR))), "/dev/null") == 0);
}

TEST_CASE(listing)
{
    bool found = false;
    int fd = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir);
    struct dirent *d;
    while ((d = readdir(dir)) != NULL) {
        if (d->d_name[0] != '.') {
            CHECK(fcntl(atoi(d->d_name), F_GETFD) >= 0);
            found |= atoi(d->d_name) == fd;
        }
    }
    closedir(dir);
    CHECK(found);
    CHECK_ERRNO(readlink("/proc/self/fd/9999", target, 10), ENOENT);
}

TEST_CASE(opening_reopens)
{
    char byte = 0;
    guest_write_file("f", "abc");
    int fd = (int)CHECK_OK(open("f", O_RDONLY));
    CHECK_EQ(lseek(fd, 2, SEEK_SET), 2);
    link_of(fd);
    int again = (int)CHECK_OK(open(path, O_RDWR)); /* other mode, own offset */
    CHECK_EQ(read(again, &byte, 1), 1);
    CHECK_EQ(byte, 'a');
    CHECK_EQ(write(again, "B", 1), 1);
    CHECK_OK(unlink("f"));
    CHECK_OK(open(path, O_RDONLY));
    int ends[2];
    CHECK_OK(pipe(ends));
    link_of(ends[0]);
    int writer = (int)CHECK_OK(open(path, O_WRONLY)); /* the other end of the same pipe */
    CHECK_EQ(write(writer, "p", 1), 1);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    link_of(ends[0]);
    CHECK_ERRNO(open(path, O_RDWR), ENXIO);
}

TEST_CASE(directories_through_links)
{
    CHECK_OK(mkdir("d", 0755));
    guest_write_file("d/inside", "");
    int fd = (int)CHECK_OK(open("d", O_RDONLY | O_DIRECTORY));
    snprintf(path, sizeof(path), "/proc/self/fd/%d/inside", fd);
    CHECK_OK(access(path, F_OK));
    snprintf(path, sizeof(path), "/proc/self/fd/%d/../d/inside", fd);
    CHECK_OK(access(path, F_OK));
}

TEST_CASE(fdinfo)
{
    char text[1024];
    guest_write_file("f", "abcdef");
    int fd = (int)CHECK_OK(open("f", O_RDWR | O_APPEND | O_CLOEXEC));
    CHECK_EQ(lseek(fd, 4, SEEK_SET), 4);
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    guest_read_file(path, text, sizeof(text));
    CHECK(strstr(text, "pos:\t4\n"));
    char *flags = strstr(text, "flags:\t");
    CHECK(flags);
    CHECK_EQ(strtol(flags + 7, NULL, 8) & (O_ACCMODE | O_APPEND | O_CLOEXEC),
             O_RDWR | O_APPEND | O_CLOEXEC);
}
