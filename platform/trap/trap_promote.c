/*
 * trap_promote.c: which texts are rewritten, and when.
 *
 * Looking at a text costs as much as some thousand trapped calls, once for a sandbox: a mapping
 * whose calls have trapped often gets the image of its text. A site that the image left alone for
 * want of evidence has proved itself once it is executed: when it keeps trapping it is added, by a
 * newer image that is mapped in the place of the older.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include "platform/patch/patch_elf.h"
#include "platform/trap/trap_text.h"

#define TEXT_MAX    (8UL << 20) /* longer texts are left as they are */
#define HEADER_MAX  4096
#define SETTLED_S   2 /* younger ones too */
#define CALL_LENGTH 2

/* Reads the text of a mapping, as far as the file goes. *ret_text is the caller's. */
static int read_text(int fd, uint64_t offset, uint64_t length, uint8_t **ret_text,
                     size_t *ret_length)
{
    uint8_t *text = malloc(length);
    size_t done = 0;
    if (text == NULL) {
        return -ENOMEM;
    }
    while (done < length) {
        const struct iovec rest = {text + done, length - done};
        ssize_t count = preadv2(fd, &rest, 1, (off_t)(offset + done), 0);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            break;
        }
        done += (size_t)count;
    }
    *ret_text = text;
    *ret_length = done;
    return 0;
}

bool trap_text_key(int fd, uint64_t offset, uint64_t length, struct patch_file_key *ret_key,
                   bool *ret_settled)
{
    struct stat status;
    struct timespec now;
    if (length > TEXT_MAX || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return false;
    }
    memset(ret_key, 0, sizeof *ret_key);
    *ret_key = (struct patch_file_key){
        .device = status.st_dev,
        .inode = status.st_ino,
        .size = (uint64_t)status.st_size,
        .mtime_ns = (uint64_t)status.st_mtim.tv_sec * 1000000000 + (uint64_t)status.st_mtim.tv_nsec,
        .ctime_ns = (uint64_t)status.st_ctim.tv_sec * 1000000000 + (uint64_t)status.st_ctim.tv_nsec,
        .offset = offset,
        .length = length,
    };
    /* A file that is being written may change again without its times showing it. */
    clock_gettime(CLOCK_REALTIME, &now);
    *ret_settled = status.st_ctim.tv_sec + SETTLED_S <= now.tv_sec;
    return true;
}

/* The image of a file's text, with the site at offset if it would have none without. */
static int build_image(struct patch_cache *cache, const struct text_file *file, uint64_t offset,
                       uint64_t number, struct patch_image **ret_image)
{
    const struct patch_file_key *key = &file->key;
    struct patch_image *image;
    uint8_t header[HEADER_MAX];
    uint8_t *text;
    size_t size;
    int rc = read_text(file->fd, key->offset, key->length, &text, &size);
    if (rc != 0) {
        return rc;
    }
    const struct iovec start = {header, sizeof header};
    ssize_t header_size = preadv2(file->fd, &start, 1, 0, 0);
    size_t tail = header_size > 0 && size == key->length
                      ? patch_elf_tail(header, (size_t)header_size, key->offset, key->length)
                      : 0;
    rc = patch_cache_get(cache, key, text, size, tail, &image);
    if (rc == 0 && patch_image_fd(image) < 0) {
        rc = patch_cache_extend(cache, image, text, size, offset, number, ret_image);
        patch_image_unref(image);
    } else if (rc == 0) {
        *ret_image = image;
    }
    free(text);
    return rc;
}

/* Maps the image, whose reference goes to the table, in the place of the range. */
static int map_image(struct address_space *space, const struct text_range *range,
                     struct patch_image *image)
{
    const struct text_range patched = {
        .start = range->start, .end = range->end, .prot = range->prot, .image = image};
    trap_stop_begin(space);
    int rc = stub_map(space->stub, range->start, range->end - range->start, range->prot,
                      MAP_PRIVATE, patch_image_fd(image), 0);
    rc = rc != 0 ? rc : trap_text_forget(space, range->start, range->end, false);
    rc = rc != 0 ? rc : trap_text_add_range(space, &patched);
    trap_stop_end(space);
    if (rc != 0) {
        patch_image_unref(image);
    }
    return rc;
}

/* A candidate's first image. */
static int first_image(struct address_space *space, const struct text_range *range, guest_addr rip,
                       uint64_t number)
{
    const struct text_file *file = range->file;
    struct patch_file_key key;
    struct patch_image *image;
    bool settled;
    if (!trap_text_key(file->fd, file->key.offset, file->key.length, &key, &settled) || !settled ||
        memcmp(&key, &file->key, sizeof key) != 0) {
        return -EINVAL;
    }
    int rc =
        build_image(space->platform->texts, file, rip - CALL_LENGTH - range->start, number, &image);
    return rc != 0 ? rc : map_image(space, range, image);
}

/* One site more, which made the call at rip. The text is in the guest's own memory. */
static int further_site(struct address_space *space, const struct text_range *range, guest_addr rip,
                        uint64_t number)
{
    const size_t length = patch_image_length(range->image);
    const uint64_t offset = rip - CALL_LENGTH - range->start;
    struct patch_image *image;
    if (patch_image_find(range->image, offset) != NULL) {
        return -EEXIST; /* the guest jumped to the instruction itself, or single-steps */
    }
    uint8_t *text = malloc(length);
    if (text == NULL) {
        return -ENOMEM;
    }
    ssize_t count = stub_copy_in(space->stub, range->start, text, length);
    int rc = count < 0 ? (int)count : -EFAULT;
    if (count == (ssize_t)length) {
        patch_image_restore(range->image, 0, text, length);
        rc = patch_cache_extend(space->platform->texts, range->image, text, length, offset, number,
                                &image);
    }
    free(text);
    return rc != 0 ? rc : map_image(space, range, image);
}

int trap_text_promote(struct address_space *space, guest_addr rip, uint64_t number)
{
    struct text_range range;
    int rc = -ENOENT;
    mutex_lock(&space->change);
    if (trap_text_next_range(space, rip, rip + 1, &range) && range.start + CALL_LENGTH <= rip) {
        /* A part of a mapping would have to know what the rest is needed for: it goes on trapping.
         */
        const uint64_t length = range.end - range.start;
        if (range.file != NULL && length == range.file->key.length) {
            rc = first_image(space, &range, rip, number);
        } else if (range.image != NULL && !range.restored && range.offset == 0 &&
                   length >= patch_image_length(range.image)) {
            rc = further_site(space, &range, rip, number);
        }
        trap_range_unref(&range);
    }
    mutex_unlock(&space->change);
    return rc;
}
