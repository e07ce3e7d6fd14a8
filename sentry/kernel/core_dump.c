/*
 * core_dump.c: see core_dump.h. DIFFERS: only the dying thread's registers are in it, and the other
 * threads run on while it is written; pages that were never touched or are swapped out are holes.
 */
#include "sentry/kernel/core_dump.h"

#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <time.h>

#undef PAGE_SIZE /* of <sys/user.h>; mm.h has its own */
#undef PAGE_MASK

#include "platform/base/text.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/path.h"

#define SEGMENTS_MAX 60000 /* e_phnum has 16 bits */
#define CHUNK_PAGES  256
#define NOTE_SIGINFO 0x53494749
#define NOTE_XSTATE  0x202
#define XCR0_OFFSET  464 /* in the legacy area's unused bytes, as Linux has it */

static char pattern[CORE_PATTERN_MAX] = "core"; /* under RANK_KERNEL */

int core_pattern_set(const char *text)
{
    size_t length = strcspn(text, "\n");
    if (length >= sizeof(pattern) || text[0] == '|' || text[0] == '@') {
        return -EINVAL;
    }
    mutex_lock(&kernel_lock);
    memcpy(pattern, text, length);
    pattern[length] = '\0';
    mutex_unlock(&kernel_lock);
    return 0;
}

void core_pattern_get(char ret[CORE_PATTERN_MAX])
{
    mutex_lock(&kernel_lock);
    memcpy(ret, pattern, sizeof(pattern));
    mutex_unlock(&kernel_lock);
}

/* --- where it goes --- */

/* A name must not lead out of its directory (Linux: cn_esc_printf). */
static void append_escaped(struct text *name, const char *text)
{
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0) {
        text_putc(name, '!');
        text++;
    }
    for (; *text != '\0'; text++) {
        text_putc(name, *text == '/' ? '!' : *text);
    }
}

static void expand(struct task *task, int signo, struct text *name)
{
    char format[CORE_PATTERN_MAX], host[65];
    core_pattern_get(format);
    for (const char *p = format; *p != '\0'; p++) {
        if (*p != '%' || p[1] == '\0') {
            text_putc(name, *p);
            continue;
        }
        switch (*++p) {
        case '%':
            text_putc(name, '%');
            break;
        case 'p':
        case 'P':
            text_printf(name, "%d", task->process->tgid);
            break;
        case 'i':
        case 'I':
            text_printf(name, "%d", task->tid);
            break;
        case 'u':
            text_printf(name, "%u", task->cred->uid);
            break;
        case 'g':
            text_printf(name, "%u", task->cred->gid);
            break;
        case 's':
            text_printf(name, "%d", signo);
            break;
        case 't':
            text_printf(name, "%lld", (long long)time(NULL));
            break;
        case 'h':
            kernel_get_hostname(host);
            append_escaped(name, host);
            break;
        case 'e':
            append_escaped(name, task->comm);
            break;
        default:
            break;
        }
    }
}

/* Linux: do_coredump: a regular file of the caller's own, with one name. */
static struct file *open_file(struct task *task, int signo)
{
    auto_text struct text name = TEXT_INIT;
    const struct open_request request = {.flags = O_CREAT | O_RDWR | O_NOFOLLOW | O_LARGEFILE,
                                         .mode = 0600};
    struct file *file;
    expand(task, signo, &name);
    if (name.failed || vfs_open(NULL, text_string(&name), &request, &file) != 0) {
        return NULL;
    }
    struct inode *inode = file->inode;
    if (!S_ISREG(inode->mode) || inode->nlink != 1 || inode->uid != task->cred->fsuid ||
        file_truncate(file, 0) != 0) {
        return file_unref(file);
    }
    return file;
}

/* --- what goes there --- */

struct segment {
    uint64_t start, end, size; /* size: what of it is in the file */
    int prot;
};

struct dump {
    struct task *task;
    struct file *file;
    uint64_t position, limit;
    struct segment *segments;
    size_t count;
    struct text notes;
};

static bool write_bytes(struct dump *dump, const void *data, size_t length)
{
    struct uio uio;
    if (length > dump->limit - min_of(dump->limit, dump->position)) {
        return false;
    }
    uio_init_kernel(&uio, (void *)(uintptr_t)data, length);
    ssize_t count = file_write(dump->file, &uio, &dump->position, 0);
    dump->position += length;
    return count == (ssize_t)length;
}

/* How much of an area is dumped (Linux: vma_dump_size with the usual filter, 0x33). */
static uint64_t size_of(const struct area *area)
{
    bool shared = (area->flags & AREA_SHARED) != 0;
    if (area->flags & (AREA_DONTDUMP | AREA_VVAR)) {
        return 0;
    }
    if (area->flags & AREA_VDSO || !area->backing || (area->flags & AREA_SHM) ||
        (!shared && (area->prot & PROT_WRITE) != 0)) {
        return area->end - area->start;
    }
    return !shared && area->offset == 0 && (area->prot & PROT_READ) != 0 ? PAGE_SIZE : 0;
}

static bool collect_segments(struct dump *dump)
{
    struct mm *mm = dump->task->mm;
    const struct area *area;
    size_t count = 0;
    mm_lock(mm);
    dump->segments = calloc(mm->area_count + 1, sizeof(*dump->segments));
    if (dump->segments) {
        for (area = mm_find_from_locked(mm, 0); area; area = mm_find_from_locked(mm, area->end)) {
            dump->segments[count++] =
                (struct segment){area->start, area->end, size_of(area), area->prot};
        }
    }
    mm_unlock(mm);
    dump->count = count;
    return dump->segments && count <= SEGMENTS_MAX;
}

static void append_note(struct text *notes, const char *name, unsigned type, const void *data,
                        size_t length)
{
    static const char zeroes[8];
    const Elf64_Nhdr header = {(Elf64_Word)strlen(name) + 1, (Elf64_Word)length, type};
    text_append(notes, &header, sizeof(header));
    text_append(notes, name, header.n_namesz);
    text_append(notes, zeroes, -header.n_namesz & 3);
    text_append(notes, data, length);
    text_append(notes, zeroes, -length & 3);
}

static void append_status(struct dump *dump, int signo)
{
    struct task *task = dump->task;
    struct process *process = task->process;
    struct elf_prstatus status = {.pr_fpvalid = 1};
    static_assert(sizeof(status.pr_reg) == sizeof(struct arch_regs), "the order of user_regs");
    mutex_lock(&kernel_lock);
    status.pr_info.si_signo = status.pr_cursig = (short)signo;
    status.pr_sigpend = task->pending.set;
    status.pr_sighold = task->signal_mask;
    status.pr_pid = task->tid;
    status.pr_ppid = process->parent ? process->parent->tgid : 0;
    status.pr_pgrp = process->pgid;
    status.pr_sid = process->session ? process->session->sid : 0;
    mutex_unlock(&kernel_lock);
    task_complete_registers(task);
    memcpy(&status.pr_reg, &task->regs, sizeof(status.pr_reg));
    append_note(&dump->notes, "CORE", NT_PRSTATUS, &status, sizeof(status));
}

static void append_program(struct dump *dump)
{
    struct task *task = dump->task;
    struct mm *mm = task->mm;
    struct elf_prpsinfo info = {.pr_sname = 'R', .pr_nice = (char)task->process->nice};
    info.pr_uid = task->cred->uid;
    info.pr_gid = task->cred->gid;
    info.pr_pid = task->process->tgid;
    info.pr_pgrp = task->process->pgid;
    memcpy(info.pr_fname, task->comm, sizeof(info.pr_fname));
    size_t length = min_of(mm->arg_end - mm->arg_start, sizeof(info.pr_psargs) - 1);
    if (mm_copy_in(mm, mm->arg_start, info.pr_psargs, length) == 0) {
        for (size_t i = 0; i + 1 < length; i++) {
            info.pr_psargs[i] = info.pr_psargs[i] == '\0' ? ' ' : info.pr_psargs[i];
        }
    }
    append_note(&dump->notes, "CORE", NT_PRPSINFO, &info, sizeof(info));
}

static void append_state(struct dump *dump)
{
    size_t size = arch_xstate_size();
    char *state = calloc(1, size);
    if (state &&
        kernel.platform_ops->thread_get_xstate(dump->task->platform_thread, state, size) >= 512) {
        uint64_t features = arch_xstate_features();
        append_note(&dump->notes, "CORE", NT_FPREGSET, state, 512);
        memcpy(state + XCR0_OFFSET, &features, sizeof(features));
        append_note(&dump->notes, "LINUX", NOTE_XSTATE, state, size);
    }
    free(state);
}

static bool make_notes(struct dump *dump, const siginfo_t *info)
{
    struct mm *mm = dump->task->mm;
    append_status(dump, info->si_signo);
    append_program(dump);
    append_note(&dump->notes, "CORE", NOTE_SIGINFO, info, sizeof(*info));
    append_note(&dump->notes, "CORE", NT_AUXV, mm->auxv, mm->auxv_count * sizeof(uint64_t));
    append_state(dump);
    return !dump->notes.failed;
}

static bool write_headers(struct dump *dump, uint64_t data)
{
    Elf64_Ehdr header = {.e_type = ET_CORE,
                         .e_machine = EM_X86_64,
                         .e_version = EV_CURRENT,
                         .e_phoff = sizeof(Elf64_Ehdr),
                         .e_ehsize = sizeof(Elf64_Ehdr),
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = (Elf64_Half)(dump->count + 1)};
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    bool good = write_bytes(dump, &header, sizeof(header));
    const Elf64_Phdr note = {.p_type = PT_NOTE,
                             .p_offset = sizeof(header) + (dump->count + 1) * sizeof(note),
                             .p_filesz = dump->notes.length,
                             .p_align = 4};
    good = good && write_bytes(dump, &note, sizeof(note));
    for (size_t i = 0; i < dump->count && good; i++) {
        const struct segment *segment = &dump->segments[i];
        const unsigned flags = ((segment->prot & PROT_READ) != 0 ? PF_R : 0U) |
                               ((segment->prot & PROT_WRITE) != 0 ? PF_W : 0U) |
                               ((segment->prot & PROT_EXEC) != 0 ? PF_X : 0U);
        const Elf64_Phdr load = {.p_type = PT_LOAD,
                                 .p_flags = flags,
                                 .p_offset = data,
                                 .p_vaddr = segment->start,
                                 .p_filesz = segment->size,
                                 .p_memsz = segment->end - segment->start,
                                 .p_align = PAGE_SIZE};
        good = write_bytes(dump, &load, sizeof(load));
        data += segment->size;
    }
    return good && write_bytes(dump, text_string(&dump->notes), dump->notes.length);
}

/* The pages of [start, start + length) that are there; the others stay holes. */
static bool write_chunk(struct dump *dump, uint64_t start, uint64_t length)
{
    unsigned char resident[CHUNK_PAGES];
    struct mm *mm = dump->task->mm;
    if (mm_mincore(mm, start, length, resident) != 0) {
        memset(resident, 1, sizeof(resident));
    }
    for (uint64_t at = 0; at < length; at += PAGE_SIZE) {
        char page[PAGE_SIZE];
        if ((resident[at / PAGE_SIZE] & 1) != 0 &&
            mm_copy_in(mm, start + at, page, sizeof(page)) == 0) {
            if (!write_bytes(dump, page, sizeof(page))) {
                return false;
            }
        } else {
            dump->position += PAGE_SIZE;
        }
    }
    return true;
}

static bool write_segments(struct dump *dump)
{
    for (size_t i = 0; i < dump->count; i++) {
        const struct segment *segment = &dump->segments[i];
        for (uint64_t done = 0; done < segment->size;) {
            uint64_t length = min_of(segment->size - done, (uint64_t)CHUNK_PAGES * PAGE_SIZE);
            if (dump->position >= dump->limit || atomic_load(&dump->task->exiting) ||
                !write_chunk(dump, segment->start + done, length)) {
                return false;
            }
            done += length;
        }
    }
    return true;
}

bool core_dump(struct task *task, const siginfo_t *info)
{
    struct dump dump = {.task = task, .notes = TEXT_INIT};
    mutex_lock(&kernel_lock);
    dump.limit = task->process->limits[RLIMIT_CORE].rlim_cur;
    mutex_unlock(&kernel_lock);
    if (dump.limit < PAGE_SIZE || !task->mm || atomic_load(&task->mm->dumpable) != 1) {
        return false;
    }
    task_complete_registers(task);
    bool good = collect_segments(&dump) && make_notes(&dump, info);
    dump.file = good ? open_file(task, info->si_signo) : NULL;
    if (dump.file) {
        uint64_t headers =
            sizeof(Elf64_Ehdr) + (dump.count + 1) * sizeof(Elf64_Phdr) + dump.notes.length;
        uint64_t data = page_round_up(headers);
        if (write_headers(&dump, data)) {
            dump.position = data;
            if (write_segments(&dump)) { /* a hole at the end belongs to it */
                ignore_result(file_truncate(dump.file, dump.position));
            }
        }
        file_unref(dump.file);
    }
    free(dump.segments);
    text_fini(&dump.notes);
    return dump.file != NULL;
}
