/*
 * patch_files.h: executable segments of programs that a Debian system has, for the tests of
 * platform/patch. Files that are not there are skipped.
 */
#pragma once

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/compiler.h"

static const char *const patch_files[] = {
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "/usr/bin/busybox",
    "/lib/x86_64-linux-musl/libc.so",
    "/usr/lib/go-1.19/bin/gofmt",
    "/usr/local/go/bin/gofmt",
    "/usr/local/go/bin/go",
    "/usr/bin/python3.11",
    "/usr/bin/git",
    "/usr/bin/node",
    "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
    "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so",
    "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
    "/usr/lib/x86_64-linux-gnu/libm.so.6",
};

struct patch_file {
    uint8_t *map;
    size_t size;
    const uint8_t *text; /* the largest executable segment, from its page's start */
    size_t offset;       /* of text in the file */
    size_t code, length; /* without and with the rest of its last page */
};

static inline int patch_file_open(const char *path, struct patch_file *ret_file)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, &info) != 0 || info.st_size < 64) {
        close(fd);
        return -1;
    }
    struct patch_file file = {.size = ((size_t)info.st_size + 4095) & ~(size_t)4095};
    file.map = mmap(NULL, file.size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (file.map == MAP_FAILED) {
        return -1;
    }
    const Elf64_Ehdr *header = (const void *)file.map;
    const Elf64_Phdr *segments = (const void *)(file.map + header->e_phoff);
    for (int i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD && (segments[i].p_flags & PF_X) != 0 &&
            segments[i].p_filesz > file.code) {
            file.offset = segments[i].p_offset & ~(size_t)4095;
            file.code = segments[i].p_filesz + (segments[i].p_offset & 4095);
            file.length = (file.code + 4095) & ~(size_t)4095;
        }
    }
    file.text = file.map + file.offset;
    *ret_file = file;
    return 0;
}

static inline void patch_file_close(struct patch_file *file)
{
    munmap(file->map, file->size);
}
