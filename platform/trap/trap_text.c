/*
 * trap_text.c: executable pages of files, mapped with their system-call sites rewritten.
 *
 * A private, executable, read-only mapping of a file shows the patched image of its text instead
 * (see platform/patch). The guest sees the original bytes wherever the sentry reads or writes its
 * memory for it, and original addresses in its registers. Pages that it makes writable get their
 * original bytes back first.
 *
 * Looking at a text costs milliseconds the first time, so a mapping starts as a *candidate*, whose
 * calls trap, until trap_promote.c maps its image in its place. A text whose image is in the cache
 * is mapped that way at once.
 *
 * space->change serialises all changes of a space's mappings and may be held across requests to the
 * stub; the table's own lock is for short lookups and changes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "platform/trap/trap_text.h"

#define CACHE_IMAGES 128
#define CACHE_BYTES  (64UL << 20)

struct trap_text {
    struct mutex lock;
    struct text_range *ranges; /* sorted */
    size_t count, room;
    /* Read without the lock, to see that an address is none of ours. */
    _Atomic guest_addr lowest, highest;
    atomic_uint generation; /* changes with the table */
    atomic_bool off;        /* this space maps files as they are: the guest uses the gs base */
};

int trap_text_init(struct platform *platform)
{
    const struct patch_config config = {.entry_slot = STUB_ENTRY_SLOT};
    const struct patch_cache_limits limits = {.images = CACHE_IMAGES, .bytes = CACHE_BYTES};
    uint8_t secret[PATCH_CACHE_SECRET];
    if (getrandom(secret, sizeof secret, 0) != (ssize_t)sizeof secret) {
        return -EIO;
    }
    return patch_cache_new(&config, &limits, secret, &platform->texts);
}

void trap_text_fini(struct platform *platform)
{
    patch_cache_free(platform->texts);
}

static void file_unref(struct text_file *file)
{
    if (file != NULL && refcount_put(&file->ref)) {
        close(file->fd);
        free(file);
    }
}

static void range_ref(const struct text_range *range)
{
    if (range->image != NULL) {
        patch_image_ref(range->image);
    }
    if (range->file != NULL) {
        refcount_get(&range->file->ref);
    }
}

void trap_range_unref(const struct text_range *range)
{
    patch_image_unref(range->image);
    file_unref(range->file);
}

static void update_bounds(struct trap_text *text)
{
    atomic_store(&text->lowest, text->count != 0 ? text->ranges[0].start : UINT64_MAX);
    atomic_store(&text->highest, text->count != 0 ? text->ranges[text->count - 1].end : 0);
    atomic_fetch_add(&text->generation, 1);
}

int trap_text_new(struct address_space *space, struct address_space *parent)
{
    struct trap_text *text = calloc(1, sizeof *text);
    if (text == NULL) {
        return -ENOMEM;
    }
    mutex_init(&text->lock, RANK_PLATFORM);
    int rc = 0;
    if (parent != NULL) {
        struct trap_text *from = parent->text;
        mutex_lock(&from->lock);
        text->off = from->off;
        if (from->count != 0) {
            text->ranges = calloc(from->count, sizeof *text->ranges);
            rc = text->ranges == NULL ? -ENOMEM : 0;
        }
        for (size_t i = 0; rc == 0 && i < from->count; i++) {
            text->ranges[i] = from->ranges[i];
            range_ref(&text->ranges[i]);
            text->count = text->room = i + 1;
        }
        mutex_unlock(&from->lock);
    }
    update_bounds(text);
    space->text = text;
    if (rc != 0) {
        trap_text_free(space);
    }
    return rc;
}

void trap_text_free(struct address_space *space)
{
    struct trap_text *text = space->text;
    if (text == NULL) {
        return;
    }
    for (size_t i = 0; i < text->count; i++) {
        trap_range_unref(&text->ranges[i]);
    }
    free(text->ranges);
    mutex_fini(&text->lock);
    free(text);
    space->text = NULL;
}

static bool may_hit(const struct trap_text *text, guest_addr start, guest_addr end)
{
    return start < atomic_load_explicit(&text->highest, memory_order_relaxed) &&
           end > atomic_load_explicit(&text->lowest, memory_order_relaxed);
}

/* Room for `more` further ranges. */
static int reserve_locked(struct trap_text *text, size_t more)
{
    if (text->count + more <= text->room) {
        return 0;
    }
    size_t room = 2 * text->room + more;
    struct text_range *ranges = realloc(text->ranges, room * sizeof *ranges);
    if (ranges == NULL) {
        return -ENOMEM;
    }
    text->ranges = ranges;
    text->room = room;
    return 0;
}

static void insert_locked(struct trap_text *text, size_t at, const struct text_range *range)
{
    memmove(&text->ranges[at + 1], &text->ranges[at], (text->count - at) * sizeof *range);
    text->ranges[at] = *range;
    text->count++;
}

/* Divides the range that goes on at `at`, if there is one. */
static void split_locked(struct trap_text *text, guest_addr at)
{
    for (size_t i = 0; i < text->count; i++) {
        struct text_range *range = &text->ranges[i];
        if (range->start < at && at < range->end) {
            struct text_range behind = *range;
            range_ref(&behind);
            behind.offset += at - behind.start;
            behind.start = at;
            range->end = at;
            insert_locked(text, i + 1, &behind);
            return;
        }
    }
}

/* Takes [start, end) out of the table, or with `mark` notes it as restored. With two ranges of room
 * reserved this cannot fail. */
static void forget_locked(struct trap_text *text, guest_addr start, guest_addr end, bool mark)
{
    split_locked(text, start);
    split_locked(text, end);
    for (size_t i = 0; i < text->count;) {
        struct text_range *range = &text->ranges[i];
        if (range->end <= start || range->start >= end) {
            i++;
        } else if (mark && range->image != NULL) {
            range->restored = true;
            i++;
        } else {
            trap_range_unref(range);
            text->count--;
            memmove(range, range + 1, (text->count - i) * sizeof *range);
        }
    }
    update_bounds(text);
}

int trap_text_forget(struct address_space *space, guest_addr start, guest_addr end, bool mark)
{
    struct trap_text *text = space->text;
    mutex_lock(&text->lock);
    int rc = reserve_locked(text, 2);
    if (rc == 0) {
        forget_locked(text, start, end, mark);
    }
    mutex_unlock(&text->lock);
    return rc;
}

/* The references of the range go to the table. */
int trap_text_add_range(struct address_space *space, const struct text_range *range)
{
    struct trap_text *text = space->text;
    mutex_lock(&text->lock);
    int rc = reserve_locked(text, 1);
    if (rc == 0) {
        size_t at = 0;
        while (at < text->count && text->ranges[at].start < range->start) {
            at++;
        }
        insert_locked(text, at, range);
        update_bounds(text);
    }
    mutex_unlock(&text->lock);
    return rc;
}

static int new_candidate(int fd, const struct patch_file_key *key, struct text_file **ret_file)
{
    struct text_file *file = malloc(sizeof *file);
    if (file == NULL) {
        return -ENOMEM;
    }
    file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (file->fd < 0) {
        int rc = -errno;
        free(file);
        return rc;
    }
    refcount_init(&file->ref);
    file->key = *key;
    *ret_file = file;
    return 0;
}

/* The range that holds addr or, failing that, the next one before end; a reference to its image. */
bool trap_text_next_range(struct address_space *space, guest_addr addr, guest_addr end,
                          struct text_range *ret_range)
{
    struct trap_text *text = space->text;
    bool found = false;
    mutex_lock(&text->lock);
    for (size_t i = 0; i < text->count && !found; i++) {
        if (text->ranges[i].end > addr && text->ranges[i].start < end) {
            *ret_range = text->ranges[i];
            range_ref(ret_range);
            found = true;
        }
    }
    mutex_unlock(&text->lock);
    return found;
}

static bool is_rewritten(const struct text_range *range)
{
    return range->image != NULL && !range->restored;
}

/* Puts the original bytes back into [start, end) of one range. */
static int restore_range(struct address_space *space, const struct text_range *range,
                         guest_addr start, guest_addr end)
{
    if (range->image == NULL) {
        return 0;
    }
    uint64_t from = range->offset + (start - range->start);
    const uint64_t stop = range->offset + (end - range->start);
    uint64_t offset;
    size_t length;
    uint8_t page[STUB_PAGE];
    while (patch_image_next_edit(range->image, from, &offset, &length) && offset < stop) {
        /* Whole pages: an edit may be cut by the end of the range. */
        uint64_t at = max_of(offset, from) & ~(uint64_t)(STUB_PAGE - 1);
        at = max_of(at, from);
        guest_addr addr = range->start + (at - range->offset);
        size_t count = min_of(stop - at, STUB_PAGE - at % STUB_PAGE);
        ssize_t got = stub_copy_in(space->stub, addr, page, count);
        if (got > 0) {
            patch_image_restore(range->image, at, page, (size_t)got);
            got = stub_copy_out_force(space->stub, addr, page, (size_t)got, range->prot);
        }
        if (got == PLATFORM_DEAD) {
            return PLATFORM_DEAD;
        }
        from = at + count;
    }
    return 0;
}

/* Do sites outside [start, end) of the range need bytes inside it, or the other way round? */
static bool divides(const struct text_range *range, guest_addr start, guest_addr end)
{
    return is_rewritten(range) &&
           patch_image_divided(range->image, range->offset + (start - range->start),
                               range->offset + (end - range->start));
}

/*
 * Takes [addr, addr + length) out of the table. What stays must not depend on what goes, so a range
 * whose patches cross the boundary gets all its original bytes back; with `restore` so does the
 * part in question, which is only marked.
 */
static int withdraw(struct address_space *space, guest_addr addr, uint64_t length, bool restore)
{
    struct trap_text *text = space->text;
    const guest_addr end = addr + length;
    struct text_range range;
    bool stopped = false;
    int rc = 0;
    if (!may_hit(text, addr, end)) {
        return 0;
    }
    for (guest_addr at = addr;
         rc == 0 && at < end && trap_text_next_range(space, at, end, &range);) {
        guest_addr start = max_of(range.start, addr);
        guest_addr stop = min_of(range.end, end);
        at = range.end;
        bool divided = (start != range.start || stop != range.end) && divides(&range, start, stop);
        if (!stopped && is_rewritten(&range) && (divided || restore)) {
            trap_stop_begin(space);
            stopped = true;
        }
        if (divided) {
            rc = restore_range(space, &range, range.start, range.end);
            if (rc == 0) {
                rc = trap_text_forget(space, range.start, range.end, true);
            }
        } else if (restore && is_rewritten(&range)) {
            rc = restore_range(space, &range, start, stop);
        }
        trap_range_unref(&range);
    }
    rc = rc != 0 ? rc : trap_text_forget(space, addr, end, restore);
    if (stopped) {
        trap_stop_end(space);
    }
    return rc;
}

int trap_text_clear(struct address_space *space, guest_addr addr, uint64_t length)
{
    return withdraw(space, addr, length, false);
}

/* Is anything in [addr, addr + length) rewritten? */
static bool has_rewritten(struct address_space *space, guest_addr addr, uint64_t length)
{
    struct trap_text *text = space->text;
    bool found = false;
    if (!may_hit(text, addr, addr + length)) {
        return false;
    }
    mutex_lock(&text->lock);
    for (size_t i = 0; i < text->count && !found; i++) {
        const struct text_range *range = &text->ranges[i];
        found = is_rewritten(range) && range->end > addr && range->start < addr + length;
    }
    mutex_unlock(&text->lock);
    return found;
}

/* Maps the range's image, or the file. The range's reference goes to the table. */
static int map_range(struct address_space *space, struct text_range *range, int prot, int flags,
                     int fd, uint64_t offset)
{
    const uint64_t length = range->end - range->start;
    int rc = trap_text_clear(space, range->start, length);
    if (rc == 0 && range->image != NULL) {
        rc = stub_map(space->stub, range->start, length, prot, flags, patch_image_fd(range->image),
                      0);
    } else if (rc == 0) {
        rc = stub_map(space->stub, range->start, length, prot, flags, fd, offset);
    }
    if (rc == 0 && (range->image != NULL || range->file != NULL)) {
        rc = trap_text_add_range(space, range);
    } else {
        trap_range_unref(range);
        return rc;
    }
    if (rc != 0) {
        trap_range_unref(range);
    }
    return rc;
}

int trap_text_map(struct address_space *space, guest_addr addr, uint64_t length, int prot,
                  int flags, int fd, uint64_t offset)
{
    struct patch_file_key key;
    bool settled;
    struct text_range range = {.start = addr, .end = addr + length, .prot = prot};
    bool is_text = fd >= 0 && (prot & PROT_EXEC) != 0 && (prot & PROT_WRITE) == 0 &&
                   (flags & MAP_PRIVATE) != 0 && (flags & MAP_ANONYMOUS) == 0 && !space->text->off;
    if (is_text && trap_text_key(fd, offset, length, &key, &settled)) {
        if (!settled || patch_cache_find(space->platform->texts, &key, &range.image) != 0) {
            range.image = NULL;
            /* Without memory it goes on trapping. */
            ignore_result(new_candidate(fd, &key, &range.file));
        } else if (patch_image_fd(range.image) < 0) {
            range.image = patch_image_unref(range.image); /* nothing to rewrite */
        }
    }
    /* A program may map the same text over itself while it runs there. */
    bool stop = range.image != NULL || has_rewritten(space, addr, length);
    if (stop) {
        trap_stop_begin(space);
    }
    int rc = map_range(space, &range, prot, flags, fd, offset);
    if (stop) {
        trap_stop_end(space);
    }
    return rc;
}

int trap_text_restore(struct address_space *space, guest_addr addr, uint64_t length)
{
    return withdraw(space, addr, length, true);
}

int trap_text_restore_all(struct address_space *space)
{
    space->text->off = true;
    return trap_text_restore(space, PLATFORM_GUEST_MIN, PLATFORM_GUEST_MAX - PLATFORM_GUEST_MIN);
}

int trap_text_drop(struct address_space *space, guest_addr addr, uint64_t length)
{
    const guest_addr end = addr + length;
    struct text_range range;
    bool stopped = false;
    if (!may_hit(space->text, addr, end)) {
        return stub_advise(space->stub, addr, length, MADV_DONTNEED);
    }
    for (guest_addr at = addr;
         !stopped && at < end && trap_text_next_range(space, at, end, &range);) {
        stopped = range.restored;
        at = range.end;
        trap_range_unref(&range);
    }
    if (stopped) {
        trap_stop_begin(space);
    }
    int rc = stub_advise(space->stub, addr, length, MADV_DONTNEED);
    for (guest_addr at = addr;
         stopped && rc == 0 && at < end && trap_text_next_range(space, at, end, &range);) {
        if (range.restored) {
            rc = restore_range(space, &range, max_of(range.start, addr), min_of(range.end, end));
        }
        at = range.end;
        trap_range_unref(&range);
    }
    if (stopped) {
        trap_stop_end(space);
    }
    return rc;
}

int trap_text_protect(struct address_space *space, guest_addr addr, uint64_t length, int prot)
{
    struct trap_text *text = space->text;
    if (!may_hit(text, addr, addr + length)) {
        return 0;
    }
    if ((prot & PROT_WRITE) != 0) {
        return trap_text_restore(space, addr, length);
    }
    mutex_lock(&text->lock);
    for (size_t i = 0; i < text->count; i++) {
        struct text_range *range = &text->ranges[i];
        /* What only a part has does not matter but for going back to it: the next write decides. */
        if (range->start >= addr && range->end <= addr + length) {
            range->prot = prot;
        }
    }
    mutex_unlock(&text->lock);
    return 0;
}

void trap_text_show(struct address_space *space, guest_addr addr, void *buffer, size_t length)
{
    struct trap_text *text = space->text;
    const guest_addr end = addr + length;
    struct text_range range;
    if (!may_hit(text, addr, end)) {
        return;
    }
    for (guest_addr at = addr; at < end && trap_text_next_range(space, at, end, &range);) {
        guest_addr start = max_of(range.start, at);
        guest_addr stop = min_of(range.end, end);
        if (is_rewritten(&range)) {
            patch_image_restore(range.image, range.offset + (start - range.start),
                                (char *)buffer + (start - addr), (size_t)(stop - start));
        }
        trap_range_unref(&range);
        at = stop;
    }
}

guest_addr trap_text_locate(struct address_space *space, guest_addr rip)
{
    struct text_range range;
    uint64_t offset;
    guest_addr shown = rip;
    if (may_hit(space->text, rip, rip + 1) && trap_text_next_range(space, rip, rip + 1, &range)) {
        if (is_rewritten(&range) &&
            patch_image_locate(range.image, range.offset + (rip - range.start), &offset)) {
            shown = range.start + (offset - range.offset);
        }
        trap_range_unref(&range);
    }
    return shown;
}

guest_addr trap_text_enter(struct address_space *space, guest_addr rip)
{
    struct text_range range;
    uint64_t offset;
    guest_addr real = rip;
    if (may_hit(space->text, rip, rip + 1) && trap_text_next_range(space, rip, rip + 1, &range)) {
        if (is_rewritten(&range) &&
            patch_image_enter(range.image, range.offset + (rip - range.start), &offset)) {
            real = range.start + (offset - range.offset);
        }
        trap_range_unref(&range);
    }
    return real;
}

unsigned int trap_text_generation(struct address_space *space)
{
    return atomic_load(&space->text->generation);
}

bool trap_text_is_off(struct address_space *space)
{
    return atomic_load_explicit(&space->text->off, memory_order_relaxed);
}

guest_addr trap_text_locate_call(struct platform_thread *thread, guest_addr rip)
{
    unsigned int generation = atomic_load(&thread->space->text->generation);
    struct trap_place *place = &thread->places[(rip ^ rip >> 8) % array_size(thread->places)];
    if (place->raw != rip || place->generation != generation) {
        *place = (struct trap_place){
            .raw = rip, .shown = trap_text_locate(thread->space, rip), .generation = generation};
    }
    return place->shown;
}
