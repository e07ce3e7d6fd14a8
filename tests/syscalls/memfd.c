/*
 * memfd.c: memfd_create, seals, and /proc/self/fd names.
 */
#include "tests/syscalls/guest_test.h"

#include <linux/memfd.h>
#include <sys/mman.h>

static int create(unsigned flags)
{
    return (int)CHECK_OK(memfd_create("thing", flags));
}

TEST_CASE(like_a_file)
{
    struct stat st;
    char buffer[16];
    char path[64];
    char target[64] = "";
    int fd = create(MFD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_OK(fstat(fd, &st));
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(st.st_size, 0);
    CHECK_EQ(st.st_mode & 0777, 0777);
    CHECK_EQ(write(fd, "hello", 5), 5);
    CHECK_EQ(pread(fd, buffer, 16, 0), 5);
    CHECK_OK(ftruncate(fd, 100));
    CHECK_EQ(lseek(fd, 0, SEEK_END), 100);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK_OK(readlink(path, target, sizeof(target) - 1));
    CHECK(strncmp(target, "/memfd:thing", 12) == 0);
    int again = (int)CHECK_OK(open(path, O_RDWR));
    CHECK_EQ(read(again, buffer, 5), 5);
}

TEST_CASE(mapped)
{
    int fd = create(0);
    CHECK_OK(ftruncate(fd, 8192));
    char *one = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *two = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(one != MAP_FAILED && two != MAP_FAILED);
    one[5000] = 'k';
    CHECK_EQ(two[5000], 'k');
    char byte = 0;
    CHECK_EQ(pread(fd, &byte, 1, 5000), 1);
    CHECK_EQ(byte, 'k');
    CHECK_EQ(pwrite(fd, "w", 1, 5001), 1);
    CHECK_EQ(two[5001], 'w');
}

TEST_CASE(size_seals)
{
    int fd = create(MFD_ALLOW_SEALING);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
    CHECK_EQ(write(fd, "12345678", 8), 8);
    CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    CHECK_ERRNO(ftruncate(fd, 4), EPERM);
    CHECK_OK(ftruncate(fd, 16));
    CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    CHECK_ERRNO(ftruncate(fd, 32), EPERM);
    CHECK_ERRNO(pwrite(fd, "x", 1, 16), EPERM);
    CHECK_EQ(pwrite(fd, "x", 1, 15), 1);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
}

TEST_CASE(write_seal)
{
    int fd = create(MFD_ALLOW_SEALING);
    CHECK_OK(ftruncate(fd, 4096));
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    CHECK_OK(munmap(map, 4096));
    CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    CHECK_ERRNO(write(fd, "x", 1), EPERM);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
    map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    CHECK(mprotect(map, 4096, PROT_READ | PROT_WRITE) < 0);
    map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(map != MAP_FAILED);
    map[0] = 1;
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), EPERM);
}

TEST_CASE(future_write_seal)
{
    int fd = create(MFD_ALLOW_SEALING);
    CHECK_OK(ftruncate(fd, 4096));
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    if (fcntl(fd, F_ADD_SEALS, 0x0010) < 0) {
        SKIP("no F_SEAL_FUTURE_WRITE");
    }
    map[0] = 'a';
    CHECK_ERRNO(write(fd, "x", 1), EPERM);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
}

TEST_CASE(sealing_the_seals)
{
    int fd = create(MFD_ALLOW_SEALING);
    CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    int plain = create(0);
    CHECK_EQ(fcntl(plain, F_GET_SEALS), F_SEAL_SEAL);
    CHECK_ERRNO(fcntl(plain, F_ADD_SEALS, F_SEAL_GROW), EPERM);
}

TEST_CASE(errors)
{
    char name[300];
    memset(name, 'n', sizeof(name));
    name[249] = '\0';
    CHECK_OK(memfd_create(name, 0));
    name[249] = 'n';
    name[250] = '\0';
    CHECK_ERRNO(memfd_create(name, 0), EINVAL);
    CHECK_ERRNO(memfd_create("x", 0x8000), EINVAL);
    CHECK_ERRNO(syscall(SYS_memfd_create, guest_bad(), 0), EFAULT);
    int fd = create(MFD_ALLOW_SEALING);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, 0x10000), EINVAL);
    guest_write_file("f", "");
    int file = (int)CHECK_OK(open("f", O_RDWR));
    int result = fcntl(file, F_GET_SEALS);
    CHECK(result >= 0 || errno == EINVAL);
    int ro = (int)CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_ERRNO(fcntl(ro, F_GET_SEALS), EINVAL);
}

TEST_HELPER(exit_nine)
{
    return 9;
}

TEST_CASE(executable)
{
    static char block[65536];
    char *args[] = {"x", "--helper", "exit_nine", NULL};
    char *env[] = {NULL};
    int fd = create(MFD_CLOEXEC);
    int in = (int)CHECK_OK(open(guest_self(), O_RDONLY));
    ssize_t n;
    while ((n = CHECK_OK(read(in, block, sizeof(block)))) > 0) {
        CHECK_EQ(write(fd, block, (size_t)n), n);
    }
    pid_t pid = guest_fork();
    if (pid == 0) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        int ro = open(path, O_RDONLY | O_CLOEXEC);
        close(fd);
        fexecve(ro, args, env);
        _exit(126);
    }
    CHECK_OK(close(fd));
    CHECK_CHILD_EXIT(pid, 9);
}
