/*
 * getdents.c: directory reading: completeness, types, deletion on the way, seeking.
 */
#include "tests/syscalls/guest_test.h"

#include <dirent.h>

struct linux_dirent64 {
    uint64_t ino;
    int64_t off;
    unsigned short reclen;
    unsigned char type;
    char name[];
};

TEST_CASE(records)
{
    char buffer[4096];
    int seen = 0;
    guest_write_file("file", "");
    CHECK_OK(mkdir("dir", 0755));
    CHECK_OK(symlink("x", "link"));
    CHECK_OK(mkfifo("fifo", 0644));
    int fd = (int)CHECK_OK(open(".", O_RDONLY | O_DIRECTORY));
    long n = CHECK_OK(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));
    for (long at = 0; at < n;) {
        struct linux_dirent64 *d = (void *)(buffer + at);
        struct stat st;
        CHECK(d->reclen >= 20 && d->reclen % 8 == 0);
        CHECK_OK(lstat(d->name, &st));
        if (strcmp(d->name, "..") != 0) {
            CHECK_EQ(d->ino, st.st_ino);
        }
        CHECK(d->type == DT_UNKNOWN || d->type == (st.st_mode & S_IFMT) >> 12);
        seen++;
        at += d->reclen;
    }
    CHECK_EQ(seen, 6);
    CHECK_EQ(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)), n);
}

TEST_CASE(errors)
{
    char buffer[256];
    guest_write_file("f", "");
    int file = (int)CHECK_OK(open("f", O_RDONLY));
    int dir = (int)CHECK_OK(open(".", O_RDONLY));
    CHECK_ERRNO(syscall(SYS_getdents64, file, buffer, sizeof(buffer)), ENOTDIR);
    CHECK_ERRNO(syscall(SYS_getdents64, 9999, buffer, sizeof(buffer)), EBADF);
    CHECK_ERRNO(syscall(SYS_getdents64, dir, buffer, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_getdents64, dir, guest_bad(), 256), EFAULT);
    CHECK_ERRNO(read(dir, buffer, 1), EISDIR);
}

TEST_CASE_SLOW(five_thousand_while_deleting)
{
    char name[32];
    int count = 0;
    struct dirent *d;
    CHECK_OK(mkdir("d", 0755));
    int dir = (int)CHECK_OK(open("d", O_RDONLY | O_DIRECTORY));
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "entry-%d", i);
        CHECK_OK(close((int)CHECK_OK(openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0644))));
    }
    DIR *stream = opendir("d");
    CHECK(stream);
    while ((d = readdir(stream)) != NULL) {
        if (d->d_name[0] != '.') {
            CHECK_OK(unlinkat(dir, d->d_name, 0));
            count++;
        }
    }
    closedir(stream);
    CHECK_EQ(count, 5000); /* each exactly once although entries vanish meanwhile */
    CHECK_OK(rmdir("d"));
}

TEST_CASE(each_once_while_creating)
{
    char name[32];
    bool seen[300] = {false};
    struct dirent *d;
    CHECK_OK(mkdir("d", 0755));
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "d/%d", i);
        guest_write_file(name, "");
    }
    DIR *stream = opendir("d");
    CHECK(stream);
    for (int i = 0; (d = readdir(stream)) != NULL; i++) {
        if (i < 50) {
            snprintf(name, sizeof(name), "d/new%d", i);
            guest_write_file(name, "");
        }
        if (d->d_name[0] >= '0' && d->d_name[0] <= '9') {
            int number = atoi(d->d_name);
            CHECK(!seen[number]);
            seen[number] = true;
        }
    }
    closedir(stream);
    for (int i = 0; i < 300; i++) {
        CHECK(seen[i]);
    }
}

TEST_CASE(telldir_and_seekdir)
{
    char name[32];
    char names[50][32];
    long positions[50];
    int count = 0;
    struct dirent *d;
    CHECK_OK(mkdir("d", 0755));
    for (int i = 0; i < 48; i++) {
        snprintf(name, sizeof(name), "d/%d", i);
        guest_write_file(name, "");
    }
    DIR *stream = opendir("d");
    CHECK(stream);
    for (;;) {
        long position = telldir(stream);
        d = readdir(stream);
        if (!d) {
            break;
        }
        CHECK(count < 50);
        positions[count] = position;
        snprintf(names[count++], 32, "%.31s", d->d_name);
    }
    CHECK_EQ(count, 50);
    for (int i = 49; i >= 0; i -= 7) {
        seekdir(stream, positions[i]);
        d = readdir(stream);
        CHECK(d && strcmp(d->d_name, names[i]) == 0);
    }
    rewinddir(stream);
    d = readdir(stream);
    CHECK(d && strcmp(d->d_name, names[0]) == 0);
    closedir(stream);
}

TEST_CASE(empty_and_removed_directory)
{
    char buffer[256];
    CHECK_OK(mkdir("d", 0755));
    int fd = (int)CHECK_OK(open("d", O_RDONLY | O_DIRECTORY));
    CHECK(CHECK_OK(syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) >= 48);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_OK(rmdir("d"));
    CHECK_ERRNO(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)), ENOENT);
}
