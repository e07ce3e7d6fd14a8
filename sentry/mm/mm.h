/*
 * mm.h: one guest address space: the table of areas (the truth for /proc/pid/maps, permission
 * checks and error codes) and the calls that make the host agree.
 *
 * mm->lock (RANK_MM) guards the area table and is held across requests to the stub, so table and
 * host never differ. Copies to and from guest memory take no lock. Sources: mmap(2), mremap(2),
 * mprotect(2), brk(2), Linux mm/mmap.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"
#include "platform/base/lock.h"
#include "platform/base/refcount.h"
#include "platform/base/tree.h"
#include "platform/platform.h"
#include "sentry/mm/backing.h"

#define PAGE_SIZE 4096ULL
#define PAGE_MASK (~(PAGE_SIZE - 1))

static inline uint64_t page_round_up(uint64_t value)
{
    return (value + PAGE_SIZE - 1) & PAGE_MASK;
}

enum area_flags {
    AREA_SHARED = 1,
    AREA_NORESERVE = 2,
    AREA_GROWSDOWN = 4,
    AREA_LOCKED = 8,
    AREA_DONTFORK = 16,
    AREA_WIPEONFORK = 32,
    AREA_DONTDUMP = 64,
    AREA_STACK = 128,
    AREA_HEAP = 256,
    AREA_VDSO = 512,
    AREA_VVAR = 1024,
    AREA_SHM = 2048,       /* attached System V segment */
    AREA_POLICY = 7 << 16, /* MPOL_* of mbind(2), shifted; 0: none */
    AREA_SEALED = 4096,    /* mseal: neither unmapped, moved, replaced nor protected anew */
};

struct area {
    RB_ENTRY(area) node;
    struct area *next_garbage;
    uint64_t start, end; /* page-aligned, [start, end) */
    int prot;            /* PROT_READ | PROT_WRITE | PROT_EXEC */
    int max_prot;        /* what mprotect may set: shared maps of read-only files lack PROT_WRITE */
    unsigned flags;
    struct mm_backing *backing; /* reference; NULL: anonymous private */
    uint64_t offset;            /* in backing, bytes */
};

RB_HEAD(area_tree, area);

/*
 * Ranges known to be private, anonymous and writable: the target of most results. Read without a
 * lock by copies, which may run under locks that come after the table's; written under mm->lock,
 * sequence odd meanwhile. Every change of the area table empties it.
 */
#define MM_PLAIN_RANGES 4
struct mm_plain {
    atomic_uint sequence;
    atomic_uint next; /* the slot to be replaced next */
    _Atomic uint64_t start[MM_PLAIN_RANGES], end[MM_PLAIN_RANGES];
    _Atomic uint64_t wanted; /* an address that was not found; 0: none */
};

struct mm {
    struct refcount ref; /* tasks and /proc readers */
    const struct platform_ops *platform;
    struct address_space *space;
    struct mutex lock; /* RANK_MM; the rest is under it unless said */
    struct area_tree areas;
    struct area
        *garbage; /* removed areas, freed by mm_unlock: a backing's last unref takes other locks */
    uint32_t area_count;
    uint64_t mmap_base; /* top-down search starts below it */
    uint64_t brk_start, brk;
    uint64_t start_code, end_code, start_data, end_data;
    uint64_t start_stack, arg_start, arg_end, env_start, env_end;
    _Atomic uint64_t total_bytes, locked_bytes, data_bytes, peak_bytes; /* read without the lock */
    struct mm_backing *exe; /* reference: /proc/pid/exe */
    uint64_t auxv[64];
    uint32_t auxv_count;                                       /* words */
    uint64_t limit_as, limit_data, limit_memlock, limit_stack; /* copies of the rlimits */
    atomic_int dumpable; /* read without the lock; SUID_DUMP_*: 0, 1, 2 */
    unsigned membarrier; /* REGISTER_* commands that were given */
    struct vdso_info vdso;
    uint64_t id; /* unique: futex key of private words */
    struct mm_plain plain;
};

/* Linux's heuristic overcommit: one private writable request of more bytes than this fails
 * (ENOMEM). Set once at boot: the memory of the host. */
extern uint64_t mm_overcommit_limit;

/* A new, clean address space with only the vDSO. */
int mm_new(const struct platform_ops *ops, struct platform *platform,
           struct mm **ret_mm) must_check;
/* Copy-on-write copy for fork. */
int mm_fork(struct mm *mm, struct mm **ret_mm) must_check;
struct mm *mm_ref(struct mm *mm);
struct mm *mm_unref(struct mm *mm);

struct mm_map_request {
    uint64_t addr;   /* hint, or exact with MAP_FIXED / MAP_FIXED_NOREPLACE */
    uint64_t length; /* rounded up to pages by mm_map */
    int prot;
    int flags;                  /* MAP_* of mmap(2) */
    unsigned area_flags;        /* AREA_* beyond what flags say */
    struct mm_backing *backing; /* borrowed; NULL: anonymous */
    uint64_t offset;
    struct mm_source source; /* with backing */
    int max_prot;            /* with backing; else all */
};
int mm_map(struct mm *mm, const struct mm_map_request *request, uint64_t *ret_addr) must_check;
int mm_unmap(struct mm *mm, uint64_t addr, uint64_t length) must_check;
/* shmdt(2): unmaps what is left of the System V segment attached at addr. -EINVAL: none. */
int mm_detach(struct mm *mm, uint64_t addr) must_check;
/* mseal(2): the range can only be used as it is from now on. */
int mm_seal(struct mm *mm, uint64_t addr, uint64_t length) must_check;
int mm_protect(struct mm *mm, uint64_t addr, uint64_t length, int prot) must_check;
int mm_remap(struct mm *mm, uint64_t old_addr, uint64_t old_length, uint64_t new_length, int flags,
             uint64_t new_addr, uint64_t *ret_addr) must_check;
int mm_advise(struct mm *mm, uint64_t addr, uint64_t length, int advice) must_check;
int mm_sync(struct mm *mm, uint64_t addr, uint64_t length, int flags) must_check;
int mm_lock_range(struct mm *mm, uint64_t addr, uint64_t length, bool lock) must_check;
int mm_lock_all(struct mm *mm, int flags, bool lock) must_check;
/* Makes the pages of a range resident, as far as they can be (Linux: mm_populate). */
void mm_populate(struct mm *mm, uint64_t addr, uint64_t length);
/* The memory policy of a range; mode 0 takes it away. -EFAULT: not all of it is mapped. */
int mm_set_policy(struct mm *mm, uint64_t addr, uint64_t length, unsigned mode) must_check;
/* -EFAULT: nothing is mapped at addr. */
int mm_get_policy(struct mm *mm, uint64_t addr, unsigned *ret_mode) must_check;
int mm_mincore(struct mm *mm, uint64_t addr, uint64_t length, unsigned char *ret_vec) must_check;
/* RLIMIT_STACK changed: the main stack, which is mapped as a whole, gets that size. Pages above sp
 * stay. */
void mm_set_stack_limit(struct mm *mm, uint64_t limit, uint64_t sp);
uint64_t mm_brk(struct mm *mm, uint64_t addr); /* the new (or unchanged) break */

void mm_lock(struct mm *mm) ACQUIRES(mm->lock);
/* Also frees what was removed while it was held. */
void mm_unlock(struct mm *mm) RELEASES(mm->lock);
/* The area that holds addr, or NULL. Locked. */
struct area *mm_find_locked(struct mm *mm, uint64_t addr);
/* The first area that ends above addr, or NULL. Locked. */
struct area *mm_find_from_locked(struct mm *mm, uint64_t addr);
struct area *mm_next_locked(struct area *area);

/*
 * Copies. All or nothing for the caller: -EFAULT when not every byte could be moved (bytes before
 * the fault may have been written). mm_copy_in_some and mm_copy_out_some give the partial count,
 * or -EFAULT when it is zero.
 */
int mm_copy_in(struct mm *mm, uint64_t addr, void *buffer, size_t length) must_check;
int mm_copy_out(struct mm *mm, uint64_t addr, const void *buffer, size_t length) must_check;
ssize_t mm_copy_in_some(struct mm *mm, uint64_t addr, void *buffer, size_t length) must_check;
ssize_t mm_copy_out_some(struct mm *mm, uint64_t addr, const void *buffer,
                         size_t length) must_check;
/* To be called now and then with no lock held: looks up what copies have missed in mm->plain. */
void mm_learn_plain(struct mm *mm);
static inline bool mm_wants_plain(const struct mm *mm)
{
    return atomic_load_explicit(&mm->plain.wanted, memory_order_relaxed) != 0;
}
/* Writes through page protection, as a debugger does; short at the first page that cannot be. */
ssize_t mm_copy_out_force(struct mm *mm, uint64_t addr, const void *buffer,
                          size_t length) must_check;
/* A NUL-terminated string of at most size-1 bytes. Returns its length, -EFAULT, or -ENAMETOOLONG
 * when there is no NUL within size bytes. */
ssize_t mm_copy_in_string(struct mm *mm, uint64_t addr, char *buffer, size_t size) must_check;

/* Where a word lies for a shared futex: -EFAULT when not mapped readable (or writable). For a
 * shared mapping ret_object is the backing's inode identity and ret_offset the file offset; for a
 * private one ret_object is mm->id with bit 63 set and ret_offset the address. */
int mm_futex_key(struct mm *mm, uint64_t addr, bool write, uint64_t *ret_object,
                 uint64_t *ret_offset) must_check;

/* Anonymous shared memory behind MAP_SHARED|MAP_ANONYMOUS and System V segments: a reference. */
int shared_memory_new(uint64_t size, const char *name, struct mm_backing **ret_backing) must_check;
int shared_memory_fd(struct mm_backing *backing); /* borrowed host fd */
