/*
 * proc_system.c: /proc outside the process directories.
 */
#include "tests/syscalls/guest_test.h"

#include <ctype.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static char text[1 << 17];

TEST_CASE(meminfo)
{
    guest_read_file("/proc/meminfo", text, sizeof(text));
    long total = 0;
    CHECK_EQ(sscanf(text, "MemTotal: %ld kB", &total), 1);
    CHECK(total > 1000);
    CHECK(strstr(text, "MemFree:") && strstr(text, "MemAvailable:"));
}

TEST_CASE(cpuinfo)
{
    guest_read_file("/proc/cpuinfo", text, sizeof(text));
    CHECK(strncmp(text, "processor", 9) == 0);
    CHECK(strstr(text, "model name") && strstr(text, "flags"));
}

TEST_CASE(stat_and_uptime)
{
    double up;
    double idle;
    guest_read_file("/proc/stat", text, sizeof(text));
    CHECK(strncmp(text, "cpu ", 4) == 0);
    CHECK(strstr(text, "\nbtime "));
    guest_read_file("/proc/uptime", text, sizeof(text));
    CHECK_EQ(sscanf(text, "%lf %lf", &up, &idle), 2);
    struct timespec boot;
    CHECK_OK(clock_gettime(CLOCK_BOOTTIME, &boot));
    CHECK(up <= (double)boot.tv_sec + 2 && up >= (double)boot.tv_sec - 2);
}

TEST_CASE(version_and_loadavg)
{
    struct utsname u;
    double load[3];
    CHECK_OK(uname(&u));
    guest_read_file("/proc/version", text, sizeof(text));
    CHECK(strncmp(text, "Linux version ", 14) == 0);
    CHECK(strstr(text, u.release));
    guest_read_file("/proc/loadavg", text, sizeof(text));
    CHECK_EQ(sscanf(text, "%lf %lf %lf", &load[0], &load[1], &load[2]), 3);
}

TEST_CASE(filesystems_and_mounts)
{
    guest_read_file("/proc/filesystems", text, sizeof(text));
    CHECK(strstr(text, "proc\n"));
    guest_read_file("/proc/mounts", text, sizeof(text));
    CHECK(strstr(text, " /proc proc ")); /* a chroot need not have a mount at "/" */
    guest_read_file("/proc/self/mountinfo", text, sizeof(text));
    CHECK(strstr(text, " / /proc "));
    CHECK(strstr(text, " - proc "));
}

TEST_CASE(sysctls)
{
    struct utsname u;
    CHECK_OK(uname(&u));
    guest_read_file("/proc/sys/kernel/osrelease", text, sizeof(text));
    text[strcspn(text, "\n")] = '\0';
    CHECK(strcmp(text, u.release) == 0);
    guest_read_file("/proc/sys/kernel/hostname", text, sizeof(text));
    text[strcspn(text, "\n")] = '\0';
    CHECK(strcmp(text, u.nodename) == 0);
    guest_read_file("/proc/sys/kernel/ostype", text, sizeof(text));
    CHECK(strcmp(text, "Linux\n") == 0);
    guest_read_file("/proc/sys/kernel/pid_max", text, sizeof(text));
    CHECK(atol(text) >= 300);
    guest_read_file("/proc/sys/kernel/random/boot_id", text, sizeof(text));
    CHECK_EQ(strlen(text), 37);
    guest_read_file("/proc/sys/fs/nr_open", text, sizeof(text));
    CHECK(atol(text) >= 1024);
    guest_read_file("/proc/sys/vm/overcommit_memory", text, sizeof(text));
    CHECK(isdigit((unsigned char)text[0]));
}

TEST_CASE(random_uuid_changes)
{
    char first[64];
    guest_read_file("/proc/sys/kernel/random/uuid", first, sizeof(first));
    guest_read_file("/proc/sys/kernel/random/uuid", text, sizeof(text));
    CHECK_EQ(strlen(first), 37);
    CHECK(strcmp(first, text) != 0);
    CHECK_EQ(first[14], '4');
}

TEST_CASE(nothing_can_be_created)
{
    CHECK(open("/proc/new-file", O_WRONLY | O_CREAT, 0644) < 0);
    CHECK(mkdir("/proc/new-dir", 0755) < 0);
    CHECK(unlink("/proc/meminfo") < 0);
    CHECK(rename("/proc/meminfo", "/proc/x") < 0);
    struct stat st;
    CHECK_OK(stat("/proc/meminfo", &st));
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(st.st_size, 0);
    CHECK_EQ(st.st_mode & 0777, 0444);
}
