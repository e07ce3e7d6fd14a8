/*
 * readdir.c: opening, reading and closing a directory of 1000 names.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/micro/micro.h"

enum { NAMES = 1000 };

static uint64_t listings(uint64_t n)
{
    uint64_t start = micro_now();
    for (uint64_t i = 0; i < n; i++) {
        DIR *dir = opendir("readdir");
        if (dir == NULL) {
            micro_fail("opendir");
        }
        int seen = 0;
        while (readdir(dir) != NULL) {
            seen++;
        }
        closedir(dir);
        if (seen != NAMES + 2) {
            micro_fail("names are missing");
        }
    }
    return micro_now() - start;
}

int main(void)
{
    if (mkdir("readdir", 0755) != 0 || chdir("readdir") != 0) {
        micro_fail("mkdir");
    }
    char name[32];
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "file-%04d", i);
        close(micro_make_file(name, 0));
    }
    if (chdir("..") != 0) {
        micro_fail("chdir");
    }
    int status = micro_report("readdir", listings, 1);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "readdir/file-%04d", i);
        unlink(name);
    }
    rmdir("readdir");
    return status;
}
