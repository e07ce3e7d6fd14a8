/*
 * stub_reach.c: see stub_reach.h. A filter's answer depends on where the call is made: all places
 * in the stub's own code are tried, one in guest memory and the three of the vsyscall page.
 */
#include "platform/stub/stub_reach.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/stub/layout.h"
#include "platform/stub/stub_filter.h"
#include "platform/stub/stub_image.h"

#define VSYSCALL_PAGE 0xffffffffff600000ULL
#define VSYSCALL_SIZE 0x400
#define CALL_LENGTH   2

struct filters {
    struct bpf_program first;
    struct stub_request request; /* has the second */
};

static int add_all(const struct sock_fprog *filters, size_t count, struct host_call_set *set)
{
    size_t length;
    const unsigned char *image = stub_image_bytes(&length);
    const Elf64_Ehdr *header = (const void *)image;
    const Elf64_Phdr *segment = (const void *)(image + header->e_phoff); /* the only one */
    const unsigned char *text = image + segment->p_offset;
    int rc = bpf_reach_add(filters, count, STUB_GUEST_MIN, set);
    for (uint64_t i = 0; rc == 0 && i < 3; i++) {
        rc = bpf_reach_add(filters, count, VSYSCALL_PAGE + i * VSYSCALL_SIZE, set);
    }
    /* Wherever a system call could be read from these bytes. */
    for (size_t at = 0; rc == 0 && at + CALL_LENGTH <= segment->p_filesz; at++) {
        const unsigned char *byte = text + at;
        if ((byte[0] == 0x0f && (byte[1] == 0x05 || byte[1] == 0x34)) ||
            (byte[0] == 0xcd && byte[1] == 0x80)) {
            rc = bpf_reach_add(filters, count, STUB_TEXT + at + CALL_LENGTH, set);
        }
    }
    return rc;
}

static int reach(uint32_t foreign_action, bool guest, struct host_call_set *ret_set)
{
    struct filters *filters = calloc(1, sizeof *filters);
    if (filters == NULL) {
        return -ENOMEM;
    }
    int rc = stub_filter_build(&filters->first, foreign_action);
    rc = rc != 0 ? rc : stub_filter_build_guest(&filters->request, foreign_action);
    const struct sock_fprog programs[] = {
        {.len = (unsigned short)filters->first.length, .filter = filters->first.code},
        {.len = (unsigned short)filters->request.filter_length,
         .filter = (struct sock_filter *)filters->request.filter},
    };
    memset(ret_set, 0, sizeof *ret_set);
    rc = rc != 0 ? rc : add_all(programs, guest ? 2 : 1, ret_set);
    free(filters);
    return rc;
}

int stub_reach_service(uint32_t foreign_action, struct host_call_set *ret_set)
{
    return reach(foreign_action, false, ret_set);
}

int stub_reach_guest(uint32_t foreign_action, struct host_call_set *ret_set)
{
    return reach(foreign_action, true, ret_set);
}
