/*
 * shared_memory.c: anonymous memory that several address spaces share: a host memfd that only the
 * sentry owns, mapped MAP_SHARED into the stubs.
 */
#include "sentry/mm/mm.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/base/text.h"

struct shared_memory {
    struct mm_backing backing;
    struct refcount ref;
    int fd;
    uint64_t ino;
    const char *name;
};

#define SHARED_MEMORY_DEV 1 /* makedev(0, 1): Linux's kernel-internal tmpfs mount */

/* Below are the numbers of System V segments, which have the same device. */
static atomic_ullong next_ino = 1ULL << 31;

static struct shared_memory *from_backing(struct mm_backing *backing)
{
    return container_of(backing, struct shared_memory, backing);
}

static void shared_memory_ref(struct mm_backing *backing)
{
    refcount_get(&from_backing(backing)->ref);
}

static void shared_memory_unref(struct mm_backing *backing)
{
    struct shared_memory *memory = from_backing(backing);
    if (refcount_put(&memory->ref)) {
        close(memory->fd);
        free(memory);
    }
}

static void shared_memory_describe(struct mm_backing *backing, struct text *path, uint64_t *ret_dev,
                                   uint64_t *ret_ino)
{
    struct shared_memory *memory = from_backing(backing);
    if (path) {
        text_puts(path, memory->name);
    }
    *ret_dev = SHARED_MEMORY_DEV;
    *ret_ino = memory->ino;
}

static int shared_memory_source(struct mm_backing *backing, uint64_t offset, uint64_t length,
                                int prot, struct mm_source *ret_source)
{
    (void)length;
    (void)prot;
    *ret_source = (struct mm_source){.fd = from_backing(backing)->fd, .offset = offset};
    return 0;
}

static const struct mm_backing_ops shared_memory_ops = {
    .source = shared_memory_source,
    .ref = shared_memory_ref,
    .unref = shared_memory_unref,
    .describe = shared_memory_describe,
};

int shared_memory_new(uint64_t size, const char *name, struct mm_backing **ret_backing)
{
    struct shared_memory *memory = calloc(1, sizeof(*memory));
    if (!memory) {
        return -ENOMEM;
    }
    memory->fd = memfd_create("guest-shared", MFD_CLOEXEC);
    if (memory->fd < 0 || ftruncate(memory->fd, (off_t)size) != 0) {
        int error = errno;
        if (memory->fd >= 0) {
            close(memory->fd);
        }
        free(memory);
        return error == EMFILE || error == ENFILE ? -ENOMEM : -error;
    }
    refcount_init(&memory->ref);
    memory->backing.ops = &shared_memory_ops;
    memory->ino = atomic_fetch_add(&next_ino, 1);
    memory->name = name;
    *ret_backing = &memory->backing;
    return 0;
}

int shared_memory_fd(struct mm_backing *backing)
{
    return from_backing(backing)->fd;
}
