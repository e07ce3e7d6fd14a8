/*
 * ipc_shm.c: System V shared memory. A segment's bytes are an unnamed in-memory file; attaching
 * maps it. shm_table.lock ranks after the area table's, because areas that come and go are counted
 * under that. Linux: ipc/shm.c.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "platform/base/text.h"
#include "sentry/core/cred.h"
#include "sentry/core/current.h"
#include "sentry/kernel/ipc_table.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"

#define MODE_DEST   01000U /* SHM_DEST: goes with the last detach */
#define MODE_LOCKED 02000U

struct segment {
    struct ipc_object object;
    struct refcount ref; /* the table and each area have one */
    struct mm_backing backing;
    struct file *file; /* reference; fixed */
    char name[24];     /* as /proc/pid/maps shows it */
    uint64_t size, ino;
    uint64_t attached; /* areas, and attaches in progress */
    int64_t attach_time, detach_time;
    int creator, last;
};

static struct ipc_table shm_table = IPC_TABLE_INIT(RANK_SHM, shm_mni, shm_next_id);
static uint64_t total_pages; /* under shm_table.lock */

int (*ipc_segment_file)(uint64_t size, struct file **ret_file);

static struct segment *segment_of(struct mm_backing *backing)
{
    return container_of(backing, struct segment, backing);
}

static struct segment *find_locked(int id)
{
    struct ipc_object *object = ipc_find_locked(&shm_table, id);
    return object ? container_of(object, struct segment, object) : NULL;
}

static uint64_t pages_of(const struct segment *segment)
{
    return page_round_up(segment->size) / PAGE_SIZE;
}

static void segment_ref(struct mm_backing *backing)
{
    refcount_get(&segment_of(backing)->ref);
}

/* Never called under shm_table.lock. */
static void segment_unref(struct mm_backing *backing)
{
    struct segment *segment = segment_of(backing);
    if (refcount_put(&segment->ref)) {
        file_unref(segment->file);
        free(segment);
    }
}

/* Out of the table: the caller then drops the table's reference. */
static void destroy_locked(struct segment *segment)
{
    total_pages -= pages_of(segment);
    ipc_remove_locked(&shm_table, &segment->object);
}

/* One attach less; removed and unattached segments go. */
static void put_attached(struct segment *segment)
{
    mutex_lock(&shm_table.lock);
    segment->attached--;
    bool gone =
        segment->attached == 0 && (segment->object.mode & MODE_DEST) && !segment->object.removed;
    if (gone) {
        destroy_locked(segment);
    }
    mutex_unlock(&shm_table.lock);
    if (gone) {
        segment_unref(&segment->backing);
    }
}

/* Linux: shm_open and shm_close. */
static void segment_mapped(struct mm_backing *backing, int delta)
{
    struct segment *segment = segment_of(backing);
    mutex_lock(&shm_table.lock);
    segment->last = current.tgid;
    if (delta > 0) {
        segment->attached++;
        segment->attach_time = ipc_now();
    } else {
        segment->detach_time = ipc_now();
    }
    mutex_unlock(&shm_table.lock);
    if (delta < 0) {
        put_attached(segment);
    }
}

static void segment_shared_write(struct mm_backing *backing, int delta)
{
    struct mm_backing *file = &segment_of(backing)->file->backing;
    if (file->ops->shared_write) {
        file->ops->shared_write(file, delta);
    }
}

static void segment_describe(struct mm_backing *backing, struct text *path, uint64_t *ret_dev,
                             uint64_t *ret_ino)
{
    struct segment *segment = segment_of(backing);
    if (path) {
        text_puts(path, segment->name);
    }
    *ret_dev = 1; /* makedev(0, 1): Linux's kernel-internal tmpfs mount */
    *ret_ino = segment->ino;
}

static int segment_source(struct mm_backing *backing, uint64_t offset, uint64_t length, int prot,
                          struct mm_source *ret_source)
{
    return file_mmap(segment_of(backing)->file, offset, length, prot, MAP_SHARED, ret_source);
}

static const struct mm_backing_ops segment_ops = {
    .source = segment_source,
    .ref = segment_ref,
    .unref = segment_unref,
    .mapped = segment_mapped,
    .shared_write = segment_shared_write,
    .describe = segment_describe,
};

static int segment_new(int key, uint64_t size, struct segment **ret_segment)
{
    struct segment *segment = calloc(1, sizeof(*segment));
    if (!segment) {
        return -ENOMEM;
    }
    int result = ipc_segment_file(size, &segment->file);
    if (result != 0) {
        free(segment);
        return result;
    }
    refcount_init(&segment->ref);
    segment->backing.ops = &segment_ops;
    segment->size = size;
    segment->creator = current.tgid;
    snprintf(segment->name, sizeof(segment->name), "/SYSV%08x (deleted)", (unsigned)key);
    *ret_segment = segment;
    return 0;
}

static int check_new(uint64_t size, int flags)
{
    if (size == 0 || size > atomic_load(&ipc_limits.shm_max)) {
        return -EINVAL;
    }
    uint64_t pages = size / PAGE_SIZE + (size % PAGE_SIZE != 0);
    uint64_t all = atomic_load(&ipc_limits.shm_all);
    if (pages > all || total_pages > all - pages) {
        return -ENOSPC;
    }
    if (flags & SHM_HUGETLB) {
        return -EINVAL; /* as a kernel without CONFIG_HUGETLBFS */
    }
    bool reserves = !(flags & SHM_NORESERVE);
    return size > PLATFORM_GUEST_MAX || (reserves && size > mm_overcommit_limit) ? -ENOMEM : 0;
}

/* The identifier of the segment with the key, an error, or 0 and a null *ret_found: make it. */
static int get_present_locked(int key, uint64_t size, int flags, bool *ret_found)
{
    int error = 0;
    struct ipc_object *object = ipc_by_key_locked(&shm_table, key, flags, &error);
    *ret_found = object != NULL;
    if (!object) {
        return error;
    }
    if (size > container_of(object, struct segment, object)->size) {
        return -EINVAL;
    }
    error = ipc_permission(object, flags);
    return error != 0 ? error : object->id;
}

int ipc_shm_get(int key, uint64_t size, int flags)
{
    bool found = false;
    struct segment *segment = NULL;
    mutex_lock(&shm_table.lock);
    int result = get_present_locked(key, size, flags, &found);
    if (!found && result == 0) {
        result = check_new(size, flags);
    }
    mutex_unlock(&shm_table.lock);
    if (found || result != 0) {
        return result;
    }
    result = segment_new(key, size, &segment);
    if (result != 0) {
        return result;
    }
    mutex_lock(&shm_table.lock); /* another may have been faster */
    result = get_present_locked(key, size, flags, &found);
    if (!found && result == 0) {
        result = check_new(size, flags);
    }
    if (!found && result == 0) {
        result = ipc_add_locked(&shm_table, &segment->object, key, flags);
        if (result >= 0) {
            segment->ino = (uint64_t)result;
            total_pages += pages_of(segment);
            segment = NULL;
        }
    }
    mutex_unlock(&shm_table.lock);
    if (segment) {
        segment_unref(&segment->backing);
    }
    return result;
}

/* Checks address and flags, without the segment. Linux: do_shmat. */
static int check_attach(uint64_t *addr, int flags)
{
    if (*addr & ~PAGE_MASK) {
        if (!(flags & SHM_RND)) {
            return -EINVAL;
        }
        *addr &= PAGE_MASK;
        if (*addr == 0 && (flags & SHM_REMAP)) {
            return -EINVAL;
        }
        return 0;
    }
    return *addr == 0 && (flags & SHM_REMAP) ? -EINVAL : 0;
}

static int map_segment(struct segment *segment, uint64_t addr, int flags, uint64_t *ret_addr)
{
    int prot =
        PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) | (flags & SHM_EXEC ? PROT_EXEC : 0);
    struct mm_map_request request = {
        .addr = addr,
        .length = segment->size,
        .prot = prot,
        .flags = MAP_SHARED,
        .area_flags = AREA_SHM,
        .backing = &segment->backing,
        .max_prot = PROT_READ | PROT_EXEC | (flags & SHM_RDONLY ? 0 : PROT_WRITE),
    };
    if (addr != 0) {
        request.flags |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
        if (segment->size > PLATFORM_GUEST_MAX || addr + segment->size < addr) {
            return -EINVAL;
        }
    }
    int result = file_mmap(segment->file, 0, segment->size, prot, request.flags, &request.source);
    if (result == 0) {
        result = mm_map(current.mm, &request, ret_addr);
    }
    return result == -EEXIST ? -EINVAL : result;
}

int ipc_shm_attach(int id, uint64_t addr, int flags, uint64_t *ret_addr)
{
    int result = check_attach(&addr, flags);
    if (result != 0) {
        return result;
    }
    int mode = 0444 | (flags & SHM_RDONLY ? 0 : 0222) | (flags & SHM_EXEC ? 0111 : 0);
    mutex_lock(&shm_table.lock);
    struct segment *segment = find_locked(id);
    result = segment ? ipc_permission(&segment->object, mode) : -EINVAL;
    if (result == 0) {
        segment->attached++; /* it stays for as long as this takes */
        refcount_get(&segment->ref);
    }
    mutex_unlock(&shm_table.lock);
    if (result != 0) {
        return result;
    }
    result = map_segment(segment, addr, flags, ret_addr);
    put_attached(segment);
    segment_unref(&segment->backing);
    return result;
}

int ipc_shm_detach(uint64_t addr)
{
    return addr & ~PAGE_MASK ? -EINVAL : mm_detach(current.mm, addr);
}

int ipc_shm_stat(int id, int cmd, struct shmid_ds *ret_ds)
{
    memset(ret_ds, 0, sizeof(*ret_ds));
    mutex_lock(&shm_table.lock);
    struct ipc_object *object = ipc_find_for_stat_locked(&shm_table, id, cmd != IPC_STAT);
    int result = object ? 0 : -EINVAL;
    if (object && cmd != SHM_STAT_ANY) {
        result = ipc_permission(object, 0444);
    }
    if (result == 0) {
        const struct segment *segment = container_of(object, struct segment, object);
        ipc_get_perm(object, &ret_ds->shm_perm);
        ret_ds->shm_segsz = segment->size;
        ret_ds->shm_atime = segment->attach_time;
        ret_ds->shm_dtime = segment->detach_time;
        ret_ds->shm_ctime = object->changed;
        ret_ds->shm_cpid = segment->creator;
        ret_ds->shm_lpid = segment->last;
        ret_ds->shm_nattch = segment->attached;
        result = cmd == IPC_STAT ? 0 : object->id;
    }
    mutex_unlock(&shm_table.lock);
    return result;
}

int ipc_shm_set(int id, const struct shmid_ds *ds)
{
    mutex_lock(&shm_table.lock);
    struct segment *segment = find_locked(id);
    int result = segment ? ipc_owner_check(&segment->object) : -EINVAL;
    if (result == 0) {
        result = ipc_set_perm(&segment->object, &ds->shm_perm);
    }
    mutex_unlock(&shm_table.lock);
    return result;
}

int ipc_shm_remove(int id)
{
    bool gone = false;
    mutex_lock(&shm_table.lock);
    struct segment *segment = find_locked(id);
    int result = segment ? ipc_owner_check(&segment->object) : -EINVAL;
    if (result == 0 && segment->attached > 0) {
        segment->object.mode |= MODE_DEST;
        ipc_drop_key_locked(&shm_table, &segment->object);
    } else if (result == 0) {
        destroy_locked(segment);
        gone = true;
    }
    mutex_unlock(&shm_table.lock);
    if (gone) {
        segment_unref(&segment->backing);
    }
    return result;
}

/* Bytes of the locked segments that uid owns. */
static uint64_t locked_bytes_locked(uint32_t uid)
{
    uint64_t bytes = 0;
    for (int i = 0; i < shm_table.capacity; i++) {
        const struct ipc_object *object = shm_table.slots[i];
        if (object && (object->mode & MODE_LOCKED) && object->uid == uid) {
            bytes += page_round_up(container_of(object, struct segment, object)->size);
        }
    }
    return bytes;
}

int ipc_shm_lock(int id, bool lock)
{
    uint64_t limit = task_limit(RLIMIT_MEMLOCK);
    bool powerful = capable(CAP_IPC_LOCK);
    mutex_lock(&shm_table.lock);
    struct segment *segment = find_locked(id);
    int result = segment ? 0 : -EINVAL;
    if (segment && !powerful) {
        uint32_t euid = current.cred->euid;
        bool owner = euid == segment->object.uid || euid == segment->object.cuid;
        result = !owner || (lock && limit == 0) ? -EPERM : 0;
    }
    if (result == 0 && lock && !(segment->object.mode & MODE_LOCKED)) {
        uint64_t others = powerful ? 0 : locked_bytes_locked(segment->object.uid);
        uint64_t bytes = page_round_up(segment->size);
        if (!powerful && (bytes > limit || others > limit - bytes)) {
            result = -ENOMEM;
        } else {
            segment->object.mode |= MODE_LOCKED;
        }
    } else if (result == 0 && !lock) {
        segment->object.mode &= ~MODE_LOCKED;
    }
    mutex_unlock(&shm_table.lock);
    return result;
}

int ipc_shm_limits(struct shminfo *ret_info)
{
    *ret_info = (struct shminfo){.shmmax = atomic_load(&ipc_limits.shm_max),
                                 .shmmin = 1,
                                 .shmmni = atomic_load(&ipc_limits.shm_mni),
                                 .shmseg = atomic_load(&ipc_limits.shm_mni),
                                 .shmall = atomic_load(&ipc_limits.shm_all)};
    mutex_lock(&shm_table.lock);
    int highest = ipc_highest_locked(&shm_table);
    mutex_unlock(&shm_table.lock);
    return highest;
}

/* References of all segments: files are asked for their pages without the lock. */
static int snapshot(struct segment ***ret_segments, int *ret_count, int *ret_highest)
{
    int count = 0;
    mutex_lock(&shm_table.lock);
    struct segment **segments = calloc((size_t)shm_table.in_use + 1, sizeof(struct segment *));
    for (int i = 0; segments && i < shm_table.capacity; i++) {
        if (shm_table.slots[i]) {
            segments[count] = container_of(shm_table.slots[i], struct segment, object);
            refcount_get(&segments[count++]->ref);
        }
    }
    *ret_highest = ipc_highest_locked(&shm_table);
    mutex_unlock(&shm_table.lock);
    *ret_segments = segments;
    *ret_count = count;
    return segments ? 0 : -ENOMEM;
}

static uint64_t resident_bytes(struct segment *segment)
{
    struct inode_attr attr;
    return inode_getattr(segment->file->inode, &attr) == 0 ? attr.blocks * 512 : 0;
}

int ipc_shm_usage(struct shm_info *ret_info)
{
    struct segment **segments;
    int count;
    int highest;
    int result = snapshot(&segments, &count, &highest);
    if (result != 0) {
        return result;
    }
    memset(ret_info, 0, sizeof(*ret_info));
    for (int i = 0; i < count; i++) {
        ret_info->used_ids++;
        ret_info->shm_tot += pages_of(segments[i]);
        ret_info->shm_rss += resident_bytes(segments[i]) / PAGE_SIZE;
        segment_unref(&segments[i]->backing);
    }
    free(segments);
    return highest;
}

static void show_one(struct text *out, struct segment *segment, uint64_t resident)
{
    const struct ipc_object *o = &segment->object;
    mutex_lock(&shm_table.lock);
    text_printf(out,
                "%10d %10d  %4o %21llu %5d %5d  %5llu %5u %5u %5u %5u %10lld %10lld %10lld %21llu "
                "%21u\n",
                o->key, o->id, o->mode, (unsigned long long)segment->size, segment->creator,
                segment->last, (unsigned long long)segment->attached, o->uid, o->gid, o->cuid,
                o->cgid, (long long)segment->attach_time, (long long)segment->detach_time,
                (long long)o->changed, (unsigned long long)resident, 0U);
    mutex_unlock(&shm_table.lock);
}

int ipc_shm_show(struct text *out)
{
    struct segment **segments;
    int count;
    int highest;
    int result = snapshot(&segments, &count, &highest);
    if (result != 0) {
        return result;
    }
    text_puts(out, "       key      shmid perms                  size  cpid  lpid nattch   uid   "
                   "gid  cuid  cgid      atime      dtime      ctime                   rss         "
                   "         swap\n");
    for (int i = 0; i < count; i++) {
        show_one(out, segments[i], resident_bytes(segments[i]));
        segment_unref(&segments[i]->backing);
    }
    free(segments);
    return 0;
}
