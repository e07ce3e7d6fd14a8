/*
 * sys_aio.c: io_setup, io_destroy, io_submit, io_cancel, io_getevents, io_pgetevents. Source: Linux
 * fs/aio.c, io_submit(2).
 *
 * DIFFERS: every request but a poll is done when io_submit returns (Linux: with O_DIRECT only
 * later); a poll's completion is seen, and its eventfd told, by a call that looks for completions.
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "sentry/core/clock.h"
#include "sentry/core/current.h"
#include "sentry/fs/anon/eventfd.h"
#include "sentry/kernel/aio.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "syscalls/blocking.h"
#include "syscalls/lookup.h"
#include "syscalls/signal_mask.h"
#include "syscalls/syscall.h"

#define PAGE_BYTES 4096
#define RWF_KNOWN  0x1fU

static inline void auto_context_helper(struct aio_context **context)
{
    aio_context_unref(*context);
}
#define auto_context __attribute__((cleanup(auto_context_helper)))

/* The page at the context's number stays zero: libaio then takes completions by io_getevents. */
static int map_page(uint64_t *ret_addr)
{
    const struct mm_map_request request = {
        .length = PAGE_BYTES, .prot = PROT_READ | PROT_WRITE, .flags = MAP_PRIVATE | MAP_ANONYMOUS};
    return mm_map(current.mm, &request, ret_addr);
}

long sys_io_setup(struct task *task, const struct syscall_args *args)
{
    uint64_t addr = arg_u64(args, 1), id;
    uint32_t count = arg_uint(args, 0);
    if (copy_in(addr, &id) < 0) {
        return -EFAULT;
    }
    if (id != 0 || count == 0) {
        return -EINVAL;
    }
    if (count > UINT32_MAX / 2 / sizeof(struct aio_event)) {
        return -EINVAL;
    }
    int error = map_page(&id);
    if (error < 0) {
        return error;
    }
    error = aio_context_new(task->process, id, count);
    if (error == 0 && copy_out(addr, &id) < 0) {
        auto_context struct aio_context *context = aio_context_find(task->process, id);
        if (context) {
            aio_context_destroy(context);
        }
        error = -EFAULT;
    }
    if (error < 0) {
        ignore_result(mm_unmap(current.mm, id, PAGE_BYTES));
    }
    return error;
}

long sys_io_destroy(struct task *task, const struct syscall_args *args)
{
    auto_context struct aio_context *context = aio_context_find(task->process, arg_u64(args, 0));
    if (!context || !aio_context_destroy(context)) {
        return -EINVAL;
    }
    ignore_result(mm_unmap(current.mm, context->id, PAGE_BYTES));
    return 0;
}

static void notify(struct file *eventfd)
{
    if (eventfd) {
        eventfd_signal(eventfd);
    }
}

/* --- requests --- */

static int check_file(const struct file *file, bool write)
{
    if ((file->mode & (write ? FILE_WRITE : FILE_READ)) == 0) {
        return -EBADF;
    }
    return S_ISDIR(file->inode->mode) ? -EISDIR : 0;
}

static ssize_t transfer(struct file *file, const struct iocb *iocb, bool write, bool vector)
{
    struct uio uio;
    uint64_t offset = (uint64_t)iocb->aio_offset;
    const uint64_t *pos = file_is_stream(file) ? NULL : &offset;
    int error = check_file(file, write);
    if (error == 0 && ((iocb->aio_rw_flags & ~RWF_KNOWN) != 0)) {
        error = -EOPNOTSUPP;
    }
    if (error == 0 && pos && iocb->aio_offset < 0) {
        error = -EINVAL;
    }
    if (error == 0 && vector) {
        error = uio_init_guest_vector(&uio, current.mm, iocb->aio_buf, iocb->aio_nbytes);
    } else if (error == 0) {
        error = (int64_t)iocb->aio_nbytes < 0                     ? -EINVAL
                : !user_range_ok(iocb->aio_buf, iocb->aio_nbytes) ? -EFAULT
                                                                  : 0;
        uio_init_guest(&uio, current.mm, iocb->aio_buf, iocb->aio_nbytes);
    }
    if (error < 0) {
        return error;
    }
    ssize_t result = write ? blocking_write(file, &uio, pos, (int)iocb->aio_rw_flags)
                           : blocking_read(file, &uio, pos, (int)iocb->aio_rw_flags);
    if (vector) {
        uio_fini(&uio);
    }
    return result;
}

/* What is wrong with a request is told by io_submit; how an operation ended, by its event. */
static bool refuses(ssize_t result)
{
    return result == -EBADF || result == -EISDIR || result == -EINVAL || result == -EFAULT ||
           result == -EOPNOTSUPP || result == -ENOMEM;
}

static int submit_poll(struct aio_context *context, struct file *file, struct file *eventfd,
                       const struct iocb *iocb, uint64_t object)
{
    if (iocb->aio_buf > UINT16_MAX || iocb->aio_offset != 0 || iocb->aio_nbytes != 0 ||
        iocb->aio_rw_flags != 0) {
        return -EINVAL;
    }
    uint32_t events = (uint32_t)iocb->aio_buf | EPOLLERR | EPOLLHUP;
    uint32_t ready = file_poll(file) & events;
    if (ready != 0) {
        const struct aio_event event = {iocb->aio_data, object, ready, 0};
        aio_complete(context, &event);
        notify(eventfd);
        return 0;
    }
    struct aio_poll *poll = calloc(1, sizeof(*poll));
    if (!poll) {
        return -EAGAIN;
    }
    poll->file = file_ref(file);
    poll->notify = eventfd ? file_ref(eventfd) : NULL;
    poll->events = events;
    poll->data = iocb->aio_data;
    poll->object = object;
    aio_add_poll(context, poll);
    return 0;
}

static int run_request(struct aio_context *context, struct file *file, struct file *eventfd,
                       const struct iocb *iocb, uint64_t object)
{
    ssize_t result;
    switch (iocb->aio_lio_opcode) {
    case IOCB_CMD_PREAD:
    case IOCB_CMD_PWRITE:
        result = transfer(file, iocb, iocb->aio_lio_opcode == IOCB_CMD_PWRITE, false);
        break;
    case IOCB_CMD_PREADV:
    case IOCB_CMD_PWRITEV:
        result = transfer(file, iocb, iocb->aio_lio_opcode == IOCB_CMD_PWRITEV, true);
        break;
    case IOCB_CMD_FSYNC:
    case IOCB_CMD_FDSYNC:
        if (iocb->aio_buf != 0 || iocb->aio_offset != 0 || iocb->aio_nbytes != 0 ||
            iocb->aio_rw_flags != 0) {
            return -EINVAL;
        }
        result = file_sync(file, iocb->aio_lio_opcode == IOCB_CMD_FDSYNC);
        break;
    case 5: /* IOCB_CMD_POLL */
        return submit_poll(context, file, eventfd, iocb, object);
    default:
        return -EINVAL;
    }
    if (refuses(result)) {
        return (int)result;
    }
    if (result == -ERESTARTSYS) {
        result = -EINTR;
    }
    const struct aio_event event = {iocb->aio_data, object, result, 0};
    aio_complete(context, &event);
    notify(eventfd);
    return 0;
}

static int submit_one(struct task *task, struct aio_context *context, uint64_t addr)
{
    struct iocb iocb;
    const uint32_t key = 0; /* Linux: KIOCB_KEY */
    if (copy_in(addr, &iocb) < 0) {
        return -EFAULT;
    }
    if (iocb.aio_reserved2 != 0) {
        return -EINVAL;
    }
    if (!aio_has_room(context)) {
        return -EAGAIN;
    }
    auto_file struct file *file = fd_get_io(task->fds, (int)iocb.aio_fildes);
    if (!file) {
        return -EBADF;
    }
    auto_file struct file *eventfd = NULL;
    if ((iocb.aio_flags & IOCB_FLAG_RESFD) != 0) {
        eventfd = fd_get_io(task->fds, (int)iocb.aio_resfd);
        if (!eventfd) {
            return -EBADF;
        }
        if (!file_is_eventfd(eventfd)) {
            return -EINVAL;
        }
    }
    if (mm_copy_out(current.mm, addr + offsetof(struct iocb, aio_key), &key, sizeof(key)) < 0) {
        return -EFAULT;
    }
    return run_request(context, file, eventfd, &iocb, addr);
}

long sys_io_submit(struct task *task, const struct syscall_args *args)
{
    int64_t count = arg_s64(args, 1);
    uint64_t list = arg_u64(args, 2);
    if (count < 0) {
        return -EINVAL;
    }
    auto_context struct aio_context *context = aio_context_find(task->process, arg_u64(args, 0));
    if (!context) {
        return -EINVAL;
    }
    int error = 0;
    int64_t done = 0;
    count = min_of(count, (int64_t)context->capacity);
    while (done < count && error == 0) {
        uint64_t addr;
        error = copy_in(list + (uint64_t)done * 8, &addr) < 0 ? -EFAULT
                                                              : submit_one(task, context, addr);
        done += error == 0;
    }
    return done > 0 ? done : error;
}

long sys_io_cancel(struct task *task, const struct syscall_args *args)
{
    uint64_t object = arg_u64(args, 1);
    uint32_t key, ready;
    if (mm_copy_in(current.mm, object + offsetof(struct iocb, aio_key), &key, sizeof(key)) < 0) {
        return -EFAULT;
    }
    if (key != 0) {
        return -EINVAL;
    }
    auto_context struct aio_context *context = aio_context_find(task->process, arg_u64(args, 0));
    struct aio_poll *poll = context && object != 0 ? aio_take_poll(context, object, &ready) : NULL;
    if (!poll) {
        return -EINVAL;
    }
    const struct aio_event event = {poll->data, poll->object, 0, 0};
    aio_complete(context, &event);
    notify(poll->notify);
    aio_poll_free(poll);
    return -EINPROGRESS; /* Linux: the event tells of the end */
}

/* --- completions --- */

static void finish_polls(struct aio_context *context)
{
    struct aio_poll *poll;
    uint32_t ready;
    while ((poll = aio_take_poll(context, 0, &ready)) != NULL) {
        const struct aio_event event = {poll->data, poll->object, ready, 0};
        aio_complete(context, &event);
        notify(poll->notify);
        aio_poll_free(poll);
    }
}

struct fetch {
    struct aio_context *context;
    uint64_t addr;
    int64_t wanted, done;
};

/* Moves completions to the guest; 0 or -EFAULT. */
static int fetch_some(struct fetch *fetch)
{
    struct aio_event event;
    finish_polls(fetch->context);
    while (fetch->done < fetch->wanted && aio_take(fetch->context, &event)) {
        if (copy_out(fetch->addr + (uint64_t)fetch->done * sizeof(event), &event) < 0) {
            return -EFAULT;
        }
        fetch->done++;
    }
    return 0;
}

/* Queues the caller with everything that may bring a completion. */
struct waits {
    struct wait_entry own;
    struct wait_entry *entries;
    struct file **files;
    uint32_t count;
};

static int waits_begin(struct task *task, struct aio_context *context, struct waits *waits)
{
    const struct aio_poll *poll;
    waits->own =
        (struct wait_entry){.events = EPOLLIN, .wake = wait_wake_sleeper, .owner = &task->sleeper};
    waits->count = 0;
    waits->entries = calloc(context->capacity, sizeof(*waits->entries));
    waits->files = calloc(context->capacity, sizeof(*waits->files));
    if (!waits->entries || !waits->files) {
        free(waits->entries);
        free(waits->files);
        return -ENOMEM;
    }
    mutex_lock(&context->lock);
    TAILQ_FOREACH (poll, &context->polls, link) {
        waits->entries[waits->count] = (struct wait_entry){
            .events = poll->events, .wake = wait_wake_sleeper, .owner = &task->sleeper};
        waits->files[waits->count++] = file_ref(poll->file);
    }
    mutex_unlock(&context->lock);
    wait_queue_add(&context->queue, &waits->own);
    for (uint32_t i = 0; i < waits->count; i++) {
        struct wait_queue *queue = file_wait_queue(waits->files[i]);
        if (queue) {
            wait_queue_add(queue, &waits->entries[i]);
        }
    }
    return 0;
}

static void waits_end(struct waits *waits)
{
    wait_queue_remove(&waits->own);
    for (uint32_t i = 0; i < waits->count; i++) {
        wait_queue_remove(&waits->entries[i]);
        file_unref(waits->files[i]);
    }
    free(waits->entries);
    free(waits->files);
}

static bool is_dead(struct aio_context *context)
{
    mutex_lock(&context->lock);
    bool dead = context->dead;
    mutex_unlock(&context->lock);
    return dead;
}

static long fetch_events(struct task *task, struct fetch *fetch, int64_t least, uint64_t deadline)
{
    int error = fetch_some(fetch);
    while (error == 0 && fetch->done < least && deadline != 0 && !is_dead(fetch->context)) {
        struct waits waits;
        task_sleep_prepare();
        error = waits_begin(task, fetch->context, &waits);
        if (error < 0) {
            break;
        }
        int64_t before = fetch->done;
        int slept = 0;
        error = fetch_some(fetch);
        if (error == 0 && fetch->done == before && !is_dead(fetch->context)) {
            slept = task_sleep(deadline);
        }
        waits_end(&waits);
        if (error == 0 && slept < 0) {
            error = fetch_some(fetch);
            return fetch->done > 0 ? fetch->done : slept == -ETIMEDOUT ? error : -EINTR;
        }
    }
    return fetch->done > 0 ? fetch->done : error;
}

static long get_events(struct task *task, const struct syscall_args *args)
{
    int64_t least = arg_s64(args, 1), most = arg_s64(args, 2);
    uint64_t timeout, deadline = SLEEP_FOREVER;
    if (arg_u64(args, 4) != 0) {
        struct timespec value;
        if (copy_in(arg_u64(args, 4), &value) < 0) {
            return -EFAULT;
        }
        /* Linux: what is no proper time counts as none left */
        int error = copy_in_timespec_ns(arg_u64(args, 4), &timeout);
        deadline = error < 0 || timeout == 0 ? 0 : ns_add(clock_monotonic_ns(), timeout);
    }
    auto_context struct aio_context *context = aio_context_find(task->process, arg_u64(args, 0));
    if (!context || least < 0 || most < 0 || least > most) {
        return -EINVAL;
    }
    struct fetch fetch = {context, arg_u64(args, 3), most, 0};
    return fetch_events(task, &fetch, least, deadline);
}

long sys_io_getevents(struct task *task, const struct syscall_args *args)
{
    return get_events(task, args);
}

long sys_io_pgetevents(struct task *task, const struct syscall_args *args)
{
    struct {
        uint64_t set, size;
    } mask = {0, 0};
    if (arg_u64(args, 5) != 0 && copy_in(arg_u64(args, 5), &mask) < 0) {
        return -EFAULT;
    }
    int error = temporary_mask_begin(task, mask.set, mask.size);
    if (error < 0) {
        return error;
    }
    long result = get_events(task, args);
    temporary_mask_end(task, result == -EINTR);
    return result;
}
