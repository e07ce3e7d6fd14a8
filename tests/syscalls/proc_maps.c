/*
 * proc_maps.c: /proc/self/maps, smaps and mem.
 */
#include "tests/syscalls/guest_test.h"

#include <sys/mman.h>

static char text[1 << 18];

/* Finds the line whose range holds the address; returns false if there is none. */
static bool find(const void *address, char *ret_permissions, unsigned long *ret_start,
                 unsigned long *ret_end, char *ret_rest)
{
    guest_read_file("/proc/self/maps", text, sizeof(text));
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        unsigned long start;
        unsigned long end;
        unsigned long offset;
        char permissions[8];
        char rest[PATH_MAX] = "";
        CHECK(sscanf(line, "%lx-%lx %4s %lx %*x:%*x %*u%*[ ]%4095[^\n]", &start, &end, permissions,
                     &offset, rest) >= 4);
        if ((uintptr_t)address >= start && (uintptr_t)address < end) {
            strcpy(ret_permissions, permissions);
            *ret_start = start;
            *ret_end = end;
            strcpy(ret_rest, rest);
            return true;
        }
    }
    return false;
}

static char permissions[8];
static char rest[PATH_MAX];
static unsigned long start;
static unsigned long end;

TEST_CASE(anonymous_and_protections)
{
    char *p = mmap(NULL, 5 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_OK(mprotect(p + 4096, 4096, PROT_READ));
    CHECK_OK(mprotect(p + 8192, 4096, PROT_READ | PROT_WRITE));
    CHECK_OK(mprotect(p + 12288, 4096, PROT_READ | PROT_EXEC));
    const char *want[5] = {"---p", "r--p", "rw-p", "r-xp", "---p"};
    for (int i = 0; i < 5; i++) {
        CHECK(find(p + i * 4096, permissions, &start, &end, rest));
        CHECK(strcmp(permissions, want[i]) == 0);
    }
    CHECK(find(p + 8192, permissions, &start, &end, rest));
    CHECK(start == (uintptr_t)p + 8192 && end == (uintptr_t)p + 12288);
    CHECK_OK(munmap(p, 5 * 4096));
    CHECK(!find(p + 8192, permissions, &start, &end, rest));
}

TEST_CASE(neighbours_merge)
{
    char *p = mmap(NULL, 4 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    for (int i = 1; i < 3; i++) {
        CHECK_OK(mprotect(p + i * 4096, 4096, PROT_READ | PROT_WRITE));
    }
    CHECK(find(p + 4096, permissions, &start, &end, rest));
    CHECK(start == (uintptr_t)p + 4096 && end == (uintptr_t)p + 3 * 4096);
}

TEST_CASE(files_and_sharing)
{
    guest_write_file("mapped-file", "x");
    int fd = (int)CHECK_OK(open("mapped-file", O_RDWR));
    char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK(find(p, permissions, &start, &end, rest));
    CHECK(strcmp(permissions, "r--s") == 0);
    CHECK(strlen(rest) > 12 && strcmp(rest + strlen(rest) - 12, "/mapped-file") == 0);
    CHECK_OK(unlink("mapped-file"));
    CHECK(find(p, permissions, &start, &end, rest));
    CHECK(strstr(rest, "/mapped-file (deleted)"));
}

TEST_CASE(own_parts)
{
    int local;
    CHECK(find((void *)(uintptr_t)&find, permissions, &start, &end, rest));
    CHECK(strcmp(permissions, "r-xp") == 0);
    CHECK(strcmp(rest, guest_self()) == 0);
    CHECK(find(&local, permissions, &start, &end, rest));
    CHECK(strcmp(rest, "[stack]") == 0);
    CHECK(find(sbrk(4096), permissions, &start, &end, rest));
    CHECK(strcmp(rest, "[heap]") == 0);
    CHECK(find(permissions, permissions, &start, &end, rest));
}

TEST_CASE(sorted_and_disjoint)
{
    unsigned long last = 0;
    guest_read_file("/proc/self/maps", text, sizeof(text));
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        CHECK_EQ(sscanf(line, "%lx-%lx", &start, &end), 2);
        CHECK(start >= last && start < end && start % 4096 == 0 && end % 4096 == 0);
        last = end;
    }
}

TEST_CASE(smaps_shows_resident_pages)
{
    if (access("/proc/self/smaps", R_OK) < 0) {
        SKIP("no smaps");
    }
    guest_read_file("/proc/self/smaps", text, sizeof(text));
    CHECK(strstr(text, "\nSize:"));
    CHECK(strstr(text, "\nRss:"));
}

TEST_CASE(mem_file)
{
    static char word[8] = "content";
    char buffer[8] = "";
    int fd = open("/proc/self/mem", O_RDWR);
    if (fd < 0) {
        SKIP("/proc/self/mem cannot be opened");
    }
    CHECK_EQ(pread(fd, buffer, 8, (off_t)(uintptr_t)word), 8);
    CHECK(strcmp(buffer, "content") == 0);
    CHECK_EQ(pwrite(fd, "C", 1, (off_t)(uintptr_t)word), 1);
    CHECK_EQ(word[0], 'C');
    CHECK_ERRNO(pread(fd, buffer, 8, (off_t)(uintptr_t)guest_bad()), EIO);
}
