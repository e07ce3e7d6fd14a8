/*
 * proc_maps.c: maps, smaps, and how much of an address space is resident. Linux:
 * fs/proc/task_mmu.c.
 *
 * The areas are copied under the address space's lock and described after it was released: a file's
 * path needs outer locks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "sentry/fs/proc/internal.h"
#include "sentry/kernel/resident.h"
#include "sentry/mm/mm.h"

struct copied_area {
    uint64_t start, end, offset;
    int prot;
    unsigned flags;
    struct mm_backing *backing; /* reference or NULL */
    uint64_t resident;          /* bytes; with wanted residency only */
};

struct copied_areas {
    struct copied_area *items; /* owned */
    uint32_t count;
    uint64_t brk_start, brk;
};

static int copy_areas(struct mm *mm, bool with_resident, struct copied_areas *ret)
{
    memset(ret, 0, sizeof(*ret));
    mm_lock(mm);
    ret->items = calloc(mm->area_count + 1, sizeof(*ret->items));
    if (ret->items == NULL) {
        mm_unlock(mm);
        return -ENOMEM;
    }
    for (struct area *area = mm_find_from_locked(mm, 0);
         area != NULL && ret->count < mm->area_count; area = mm_next_locked(area)) {
        struct copied_area *copy = &ret->items[ret->count++];
        *copy = (struct copied_area){.start = area->start,
                                     .end = area->end,
                                     .offset = area->offset,
                                     .prot = area->prot,
                                     .flags = area->flags,
                                     .backing = area->backing};
        if (area->backing != NULL) {
            area->backing->ops->ref(area->backing);
        }
        if (with_resident) {
            copy->resident = resident_area_locked(mm, area);
        }
    }
    ret->brk_start = mm->brk_start;
    ret->brk = mm->brk;
    mm_unlock(mm);
    return 0;
}

static void drop_areas(struct copied_areas *areas)
{
    for (uint32_t i = 0; i < areas->count; i++) {
        if (areas->items[i].backing != NULL) {
            areas->items[i].backing->ops->unref(areas->items[i].backing);
        }
    }
    free(areas->items);
}

void proc_resident(struct mm *mm, struct proc_resident *ret)
{
    memset(ret, 0, sizeof(*ret));
    mm_lock(mm);
    for (struct area *area = mm_find_from_locked(mm, 0); area != NULL;
         area = mm_next_locked(area)) {
        uint64_t bytes = resident_area_locked(mm, area);
        if ((area->flags & AREA_SHARED) != 0) {
            ret->shared += bytes;
        } else if (area->backing != NULL && (area->prot & PROT_WRITE) == 0) {
            ret->file += bytes;
        } else {
            ret->anonymous += bytes;
        }
    }
    mm_unlock(mm);
}

static const char *special_name(const struct copied_area *area, const struct copied_areas *areas)
{
    if ((area->flags & AREA_VDSO) != 0) {
        return "[vdso]";
    }
    if ((area->flags & AREA_VVAR) != 0) {
        return "[vvar]";
    }
    if (area->backing != NULL) {
        return NULL;
    }
    if ((area->flags & AREA_STACK) != 0) {
        return "[stack]";
    }
    if ((area->flags & AREA_HEAP) != 0 ||
        (area->start < areas->brk && area->end > areas->brk_start &&
         areas->brk > areas->brk_start)) {
        return "[heap]";
    }
    return NULL;
}

/* Linux: show_vma_header_prefix, then the name at column 73. */
static void show_header(struct text *out, const struct copied_area *area,
                        const struct copied_areas *areas)
{
    auto_text struct text path = TEXT_INIT;
    uint64_t dev = 0;
    uint64_t ino = 0;
    if (area->backing != NULL) {
        area->backing->ops->describe(area->backing, &path, &dev, &ino);
    }
    size_t start = out->length;
    text_printf(
        out, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ", (unsigned long long)area->start,
        (unsigned long long)area->end, (area->prot & PROT_READ) != 0 ? 'r' : '-',
        (area->prot & PROT_WRITE) != 0 ? 'w' : '-', (area->prot & PROT_EXEC) != 0 ? 'x' : '-',
        (area->flags & AREA_SHARED) != 0 ? 's' : 'p',
        (unsigned long long)(area->backing != NULL ? area->offset : 0), major(dev), minor(dev),
        (unsigned long long)ino);
    const char *name = special_name(area, areas);
    if (name == NULL && path.length == 0) {
        text_putc(out, '\n');
        return;
    }
    while (out->length - start < 73 && !out->failed) {
        text_putc(out, ' ');
    }
    if (name != NULL) {
        text_puts(out, name);
    } else {
        for (const char *c = text_string(&path); *c != 0; c++) {
            if (*c == '\n') {
                text_puts(out, "\\012"); /* Linux: seq_file_path(m, file, "\n") */
            } else {
                text_putc(out, *c);
            }
        }
    }
    text_putc(out, '\n');
}

int proc_show_maps(struct proc_node *node, struct text *out)
{
    struct mm *mm;
    struct copied_areas areas;
    int result = proc_get_guarded_mm(node, &mm);
    if (result < 0 || mm == NULL) {
        return result;
    }
    result = copy_areas(mm, false, &areas);
    if (result == 0) {
        for (uint32_t i = 0; i < areas.count; i++) {
            show_header(out, &areas.items[i], &areas);
        }
        drop_areas(&areas);
    }
    mm_unref(mm);
    return result;
}

struct totals {
    uint64_t size, rss, shared, private_clean, private_dirty, shared_clean, anonymous, locked;
};

static void add_area(struct totals *totals, const struct copied_area *area)
{
    bool written = area->backing == NULL || (area->prot & PROT_WRITE) != 0;
    totals->size += area->end - area->start;
    totals->rss += area->resident;
    if ((area->flags & AREA_SHARED) != 0) {
        totals->shared_clean += area->resident;
    } else if (written) {
        totals->private_dirty += area->resident;
        totals->anonymous += area->resident;
    } else {
        totals->private_clean += area->resident;
    }
    totals->locked += (area->flags & AREA_LOCKED) != 0 ? area->resident : 0;
}

static void show_line(struct text *out, const char *name, uint64_t bytes)
{
    text_printf(out, "%-16s%8llu kB\n", name, (unsigned long long)(bytes / 1024));
}

static void show_totals(struct text *out, const struct totals *t, bool rollup)
{
    show_line(out, "Rss:", t->rss);
    show_line(out, "Pss:", t->rss);
    show_line(out, "Pss_Dirty:", t->private_dirty);
    if (rollup) {
        show_line(out, "Pss_Anon:", t->anonymous);
        show_line(out, "Pss_File:", t->private_clean);
        show_line(out, "Pss_Shmem:", t->shared_clean);
    }
    show_line(out, "Shared_Clean:", t->shared_clean);
    show_line(out, "Shared_Dirty:", 0);
    show_line(out, "Private_Clean:", t->private_clean);
    show_line(out, "Private_Dirty:", t->private_dirty);
    show_line(out, "Referenced:", t->rss);
    show_line(out, "Anonymous:", t->anonymous);
    show_line(out, "LazyFree:", 0);
    show_line(out, "AnonHugePages:", 0);
    show_line(out, "ShmemPmdMapped:", 0);
    show_line(out, "FilePmdMapped:", 0);
    show_line(out, "Shared_Hugetlb:", 0);
    show_line(out, "Private_Hugetlb:", 0);
    show_line(out, "Swap:", 0);
    show_line(out, "SwapPss:", 0);
    show_line(out, "Locked:", t->locked);
}

static void show_flags(struct text *out, const struct copied_area *area)
{
    text_puts(out, "VmFlags: ");
    text_puts(out, (area->prot & PROT_READ) != 0 ? "rd " : "");
    text_puts(out, (area->prot & PROT_WRITE) != 0 ? "wr " : "");
    text_puts(out, (area->prot & PROT_EXEC) != 0 ? "ex " : "");
    text_puts(out, (area->flags & AREA_SHARED) != 0 ? "sh " : "");
    text_puts(out, "mr mw me ");
    text_puts(out, (area->flags & AREA_GROWSDOWN) != 0 ? "gd " : "");
    text_puts(out, (area->flags & AREA_LOCKED) != 0 ? "lo " : "");
    text_puts(out, (area->flags & AREA_DONTFORK) != 0 ? "dc " : "");
    text_puts(out, (area->flags & AREA_NORESERVE) != 0 ? "nr " : "");
    text_puts(out, (area->flags & AREA_WIPEONFORK) != 0 ? "wf " : "");
    text_puts(out, (area->flags & AREA_DONTDUMP) != 0 ? "dd " : "");
    text_puts(out, (area->flags & AREA_SEALED) != 0 ? "sl " : "");
    text_putc(out, '\n');
}

static int show_smaps(struct proc_node *node, struct text *out, bool rollup)
{
    struct mm *mm;
    struct copied_areas areas;
    int result = proc_get_guarded_mm(node, &mm);
    if (result < 0 || mm == NULL) {
        return result < 0 ? result : rollup ? -ESRCH : 0;
    }
    result = copy_areas(mm, true, &areas);
    mm_unref(mm);
    if (result < 0) {
        return result;
    }
    struct totals all = {0};
    for (uint32_t i = 0; i < areas.count; i++) {
        const struct copied_area *area = &areas.items[i];
        struct totals one = {0};
        add_area(rollup ? &all : &one, area);
        if (!rollup) {
            show_header(out, area, &areas);
            show_line(out, "Size:", area->end - area->start);
            show_line(out, "KernelPageSize:", PAGE_SIZE);
            show_line(out, "MMUPageSize:", PAGE_SIZE);
            show_totals(out, &one, false);
            text_puts(out, "THPeligible:           0\n");
            show_flags(out, area);
        }
    }
    if (rollup && areas.count > 0) {
        text_printf(out, "%08llx-%08llx ---p 00000000 00:00 0 ",
                    (unsigned long long)areas.items[0].start,
                    (unsigned long long)areas.items[areas.count - 1].end);
        while (out->length < 73 && !out->failed) {
            text_putc(out, ' ');
        }
        text_puts(out, "[rollup]\n");
        show_totals(out, &all, true);
    }
    drop_areas(&areas);
    return 0;
}

int proc_show_smaps(struct proc_node *node, struct text *out)
{
    return show_smaps(node, out, false);
}

int proc_show_smaps_rollup(struct proc_node *node, struct text *out)
{
    return show_smaps(node, out, true);
}
