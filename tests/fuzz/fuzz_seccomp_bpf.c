/* fuzz_seccomp_bpf.c: the check of a guest's filter program, and a run of what passed it. */
#include <string.h>

#include "sentry/kernel/seccomp_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seccomp_data call;
    if (size < sizeof(call)) {
        return 0;
    }
    memcpy(&call, data, sizeof(call));
    unsigned count = (unsigned)((size - sizeof(call)) / sizeof(struct sock_filter));
    /* Of exactly that size, so that a step outside is seen. */
    auto_free struct sock_filter *code = malloc(count * sizeof(*code) + 1);
    if (!code) {
        return 0;
    }
    memcpy(code, data + sizeof(call), count * sizeof(*code));
    if (seccomp_bpf_check(code, count) == 0) {
        (void)seccomp_bpf_run(code, count, &call);
    }
    return 0;
}
