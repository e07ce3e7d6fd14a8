/*
 * uname.c: uname, sysinfo, host name, personality.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/personality.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static struct utsname u;

TEST_CASE(names)
{
    CHECK_OK(uname(&u));
    CHECK(strcmp(u.sysname, "Linux") == 0);
    CHECK(strcmp(u.machine, "x86_64") == 0);
    CHECK(atoi(u.release) >= 3);
    CHECK(strchr(u.release, '.'));
    CHECK(u.nodename[0] && u.version[0]);
    CHECK_ERRNO(syscall(SYS_uname, guest_bad()), EFAULT);
}

TEST_CASE(host_name)
{
    char name[65];
    CHECK_OK(uname(&u));
    CHECK_OK(gethostname(name, sizeof(name)));
    CHECK(strcmp(name, u.nodename) == 0);
    CHECK(sethostname(name, 65) < 0 && (errno == EINVAL || errno == EPERM));
    if (!guest_has_cap(21 /* CAP_SYS_ADMIN */)) {
        CHECK_ERRNO(sethostname("x", 1), EPERM);
        CHECK_ERRNO(setdomainname("x", 1), EPERM);
    }
}

TEST_CASE(system_information)
{
    struct sysinfo info;
    CHECK_OK(sysinfo(&info));
    CHECK(info.totalram > 0 && info.freeram <= info.totalram);
    CHECK(info.mem_unit >= 1);
    CHECK(info.uptime >= 0 && info.procs >= 1);
    CHECK_ERRNO(syscall(SYS_sysinfo, guest_bad()), EFAULT);
    struct timespec boot;
    CHECK_OK(clock_gettime(CLOCK_BOOTTIME, &boot));
    CHECK(labs(boot.tv_sec - info.uptime) <= 2);
}

TEST_CASE(personality_query_and_change)
{
    int old = personality(0xffffffff);
    CHECK(old >= 0);
    CHECK_EQ(personality(0xffffffff), old);
    if (personality((unsigned long)old | ADDR_NO_RANDOMIZE) < 0) {
        SKIP("personality cannot be changed here");
    }
    CHECK_EQ(personality(0xffffffff), old | ADDR_NO_RANDOMIZE);
    pid_t pid = guest_fork();
    if (pid == 0) {
        _exit(personality(0xffffffff) == (old | ADDR_NO_RANDOMIZE) ? 0 : 1);
    }
    CHECK_CHILD_OK(pid);
}
