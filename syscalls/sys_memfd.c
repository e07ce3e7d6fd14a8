/* sys_memfd.c: memfd_create. Source: Linux mm/memfd.c; memfd_create(2). */
#include <sys/mman.h>

#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/vfs/file.h"
#include "syscalls/lookup.h"
#include "syscalls/syscall.h"

#define NAME_SIZE        250 /* with the NUL: NAME_MAX - strlen("memfd:") + 1 */
#define FLAG_NOEXEC_SEAL 8U
#define FLAG_EXEC        16U
#define FLAGS_KNOWN      (MFD_CLOEXEC | MFD_ALLOW_SEALING | FLAG_NOEXEC_SEAL | FLAG_EXEC)
#define FLAGS_SIZE       (63U << 26) /* MFD_HUGE_SHIFT */

long sys_memfd_create(struct task *task, const struct syscall_args *args)
{
    char name[NAME_SIZE];
    unsigned flags = arg_uint(args, 1);
    struct file *file;
    /* As a kernel without pools of huge pages: no size of them is there. */
    if ((flags & MFD_HUGETLB) != 0 && (flags & ~(MFD_HUGETLB | FLAGS_KNOWN | FLAGS_SIZE)) == 0) {
        return -ENODEV;
    }
    if ((flags & ~FLAGS_KNOWN) != 0 ||
        (flags & (FLAG_NOEXEC_SEAL | FLAG_EXEC)) == (FLAG_NOEXEC_SEAL | FLAG_EXEC)) {
        return -EINVAL;
    }
    ssize_t length = mm_copy_in_string(current.mm, arg_u64(args, 0), name, sizeof(name));
    if (length < 0) {
        return length == -ENAMETOOLONG ? -EINVAL : (long)length;
    }
    unsigned how = (flags & MFD_ALLOW_SEALING) != 0 ? TMPFS_MEMFD_ALLOW_SEALING : 0U;
    how |= (flags & FLAG_NOEXEC_SEAL) != 0 ? TMPFS_MEMFD_NOEXEC_SEAL : 0U;
    int error = tmpfs_new_memfd(name, how, &file);
    return error < 0 ? error : install_file(task, file, (flags & MFD_CLOEXEC) != 0);
}
