/* loop.c: loop(4): a block device over a file: binding, sizes, I/O, detaching. */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest_test.h"

/* A free device over a file of that size; its number. */
static int bind_loop(off_t size, int *ret_file)
{
    char path[32];
    int control = open("/dev/loop-control", O_RDWR);
    if (control < 0) {
        SKIP("no loop devices");
    }
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    CHECK(number >= 0);
    CHECK_OK(close(control));
    snprintf(path, sizeof(path), "/dev/loop%d", number);
    int loop = open(path, O_RDWR);
    if (loop < 0) {
        SKIP("the loop device cannot be opened");
    }
    int file = open("image", O_CREAT | O_RDWR, 0600);
    CHECK(file >= 0);
    CHECK_OK(ftruncate(file, size));
    CHECK_OK(ioctl(loop, LOOP_SET_FD, file));
    *ret_file = file;
    return loop;
}

TEST_CASE(sizes)
{
    unsigned long long bytes = 0;
    unsigned long sectors = 0;
    int sector = 0, file;
    struct stat st;
    int loop = bind_loop(1 << 20 | 100, &file);
    CHECK_OK(fstat(loop, &st));
    CHECK(S_ISBLK(st.st_mode));
    CHECK_OK(ioctl(loop, BLKGETSIZE64, &bytes));
    CHECK_EQ(bytes, 1 << 20);
    CHECK_OK(ioctl(loop, BLKGETSIZE, &sectors));
    CHECK_EQ(sectors, 2048);
    CHECK_OK(ioctl(loop, BLKSSZGET, &sector));
    CHECK_EQ(sector, 512);
    CHECK_EQ(lseek(loop, 0, SEEK_END), 1 << 20);
    CHECK_OK(ftruncate(file, 2 << 20));
    CHECK_OK(ioctl(loop, LOOP_SET_CAPACITY));
    CHECK_OK(ioctl(loop, BLKGETSIZE64, &bytes));
    CHECK_EQ(bytes, 2 << 20);
    CHECK_ERRNO(ioctl(loop, LOOP_SET_FD, file), EBUSY);
    CHECK_OK(ioctl(loop, LOOP_CLR_FD));
    CHECK_ERRNO(ioctl(loop, LOOP_CLR_FD), ENXIO);
}

TEST_CASE(data)
{
    char text[16] = "";
    struct loop_info64 info = {0};
    int file;
    int loop = bind_loop(65536, &file);
    CHECK_EQ(pwrite(loop, "hello", 5, 4096), 5);
    CHECK_OK(fsync(loop));
    CHECK_EQ(pread(file, text, 5, 4096), 5);
    CHECK(memcmp(text, "hello", 5) == 0);
    CHECK_EQ(pread(loop, text, 5, 65536), 0);
    CHECK_ERRNO(pwrite(loop, "x", 1, 65536), ENOSPC);
    CHECK_OK(ioctl(loop, LOOP_GET_STATUS64, &info));
    info.lo_offset = 4096;
    info.lo_sizelimit = 8192;
    strcpy((char *)info.lo_file_name, "image");
    CHECK_OK(ioctl(loop, LOOP_SET_STATUS64, &info));
    CHECK_OK(fsync(loop));
    memset(text, 0, sizeof(text));
    CHECK_EQ(pread(loop, text, 5, 0), 5);
    CHECK(memcmp(text, "hello", 5) == 0);
    CHECK_EQ(lseek(loop, 0, SEEK_END), 8192);
    memset(&info, 0, sizeof(info));
    CHECK_OK(ioctl(loop, LOOP_GET_STATUS64, &info));
    CHECK_EQ(info.lo_offset, 4096);
    CHECK(strcmp((char *)info.lo_file_name, "image") == 0);
    CHECK_OK(ioctl(loop, LOOP_CLR_FD));
    CHECK_ERRNO(ioctl(loop, LOOP_GET_STATUS64, &info), ENXIO);
}

TEST_CASE(refused)
{
    int file;
    int loop = bind_loop(65536, &file);
    CHECK_OK(ioctl(loop, LOOP_CLR_FD));
    CHECK_ERRNO(ioctl(loop, LOOP_SET_FD, -1), EBADF);
    CHECK_ERRNO(ioctl(loop, LOOP_SET_FD, file), EBUSY); /* until the last close */
    CHECK_ERRNO(ioctl(loop, LOOP_SET_CAPACITY), ENXIO);
    CHECK_OK(close(loop));
    loop = bind_loop(65536, &file);
    CHECK_OK(ioctl(loop, LOOP_CLR_FD));
}

TEST_CASE(told_by_sysfs)
{
    char path[64], text[64];
    struct loop_info64 info = {0};
    int file;
    int loop = bind_loop(65536, &file);
    CHECK_OK(ioctl(loop, LOOP_GET_STATUS64, &info));
    snprintf(path, sizeof(path), "/sys/block/loop%u/size", info.lo_number);
    if (access(path, F_OK) != 0) {
        SKIP("no /sys/block");
    }
    guest_read_file(path, text, sizeof(text));
    CHECK(strcmp(text, "128\n") == 0);
    snprintf(path, sizeof(path), "/sys/block/loop%u/loop/offset", info.lo_number);
    guest_read_file(path, text, sizeof(text));
    CHECK(strcmp(text, "0\n") == 0);
    CHECK_OK(ioctl(loop, LOOP_CLR_FD));
    CHECK_OK(close(loop));
}
