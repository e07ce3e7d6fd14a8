/*
 * stub_process.c: the life of stub processes: the template, its forks, their end.
 *
 * The template is exec'd once, before the sentry confines itself; every other stub is a fork of a
 * stub made by that stub's service thread, with CLONE_PARENT, so all are children of the sentry.
 */
#include "platform/stub/stub.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "platform/host/bpf.h"
#include "platform/host/memory.h"
#include "platform/host/process.h"
#include "platform/host/socket.h"
#include "platform/stub/stub_filter.h"

/* What a new stub process starts with: its pages (the sentry keeps them too) and its socket. */
struct stub_seed {
    int pages;
    int socket;
};

#define HOST_USER_END 0x7ffffffff000ULL
#define PLACE_TRIES   12 /* one in thirty puts the vDSO where the areas are */
#define FIRST_VIEW                                                                                 \
    (STUB_AREAS_OFFSET + STUB_AREA_SIZE) /* all that a process with one thread needs */

/* A stub without a process, and the descriptors its process will get. */
/* Of this process, since the template was started. */
static pid_t own_pid;

static int stub_alloc(struct stub **ret_stub, struct stub_seed *ret_seed)
{
    struct stub *stub = calloc(1, sizeof *stub);
    if (stub == NULL) {
        return -ENOMEM;
    }
    int ends[2];
    int rc = host_socket_pair(ends);
    if (rc != 0) {
        free(stub);
        return rc;
    }
    int pages = host_memfd_create("stockade-pages", FIRST_VIEW);
    if (pages < 0) {
        rc = pages;
        goto no_pages;
    }
    void *view = mmap(NULL, FIRST_VIEW, PROT_READ | PROT_WRITE, MAP_SHARED, pages, 0);
    if (view == MAP_FAILED) {
        rc = -errno;
        goto no_view;
    }
    /* A page that shrinks away would make our own access fault. */
    if (fcntl(pages, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        rc = -errno;
        munmap(view, FIRST_VIEW);
        goto no_view;
    }
    stub->socket = ends[0];
    stub->pages = pages;
    stub->request = view;
    stub->reply = (void *)((char *)view + STUB_PAGE);
    stub->request->parent_pid = (uint32_t)own_pid;
    stub->service_cpu = -1;
    atomic_init(&stub->dead, false);
    mutex_init(&stub->service, RANK_SERVICE);
    *ret_stub = stub;
    *ret_seed = (struct stub_seed){.pages = pages, .socket = ends[1]};
    return 0;

no_view:
    close(pages);
no_pages:
    close(ends[0]);
    close(ends[1]);
    free(stub);
    return rc;
}

void stub_free(struct stub *stub)
{
    if (stub == NULL) {
        return;
    }
    if (stub->pid > 0) {
        mutex_lock(&stub->service);
        if (!stub->reaped) {
            ignore_result(host_kill(stub->pid, SIGKILL));
            ignore_result(host_wait(stub->pid, &stub->status));
        }
        mutex_unlock(&stub->service);
    }
    for (uint32_t slot = 1; slot < stub->area_count; slot++) {
        if (stub->areas[slot].mailbox != NULL) {
            munmap(stub->areas[slot].mailbox, STUB_AREA_SIZE);
        }
    }
    free(stub->areas);
    munmap(stub->request, FIRST_VIEW);
    close(stub->pages);
    close(stub->socket);
    mutex_fini(&stub->service);
    free(stub);
}

bool stub_is_self_inflicted(struct stub *stub)
{
    if (atomic_load(&stub->broken)) {
        return true;
    }
    if (!stub_is_dead(stub)) {
        return false;
    }
    /* Its descriptors are closed, so it is about to be a zombie. */
    mutex_lock(&stub->service);
    if (!stub->reaped && host_wait(stub->pid, &stub->status) == stub->pid) {
        stub->reaped = true;
    }
    int status = stub->reaped ? stub->status : 0;
    mutex_unlock(&stub->service);
    if (WIFEXITED(status)) {
        return true;
    }
    switch (WTERMSIG(status)) {
    case SIGSYS:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
        return true;
    default:
        return false;
    }
}

/* The stub's hello: the kernel vouches for the pid. Waits for it. */
static int receive_hello(struct stub *stub)
{
    pid_t pid;
    int rc = host_socket_receive_pid(stub->socket, &pid);
    if (rc != 0) {
        return rc;
    }
    stub->pid = pid;
    return 0;
}

/*
 * The child of vfork: it shares our memory until execve, so it makes only raw calls and changes no
 * variable of ours. The image's descriptor is above those it needs.
 */
static _Noreturn void exec_stub(int image_fd, const struct stub_seed *seed)
{
    static const struct rlimit no_core = {0, 0};
    static char *const arguments[] = {(char *)(uintptr_t) "stockade-stub", NULL};
    static char *const environment[] = {NULL};
    sigset_t all;

    sigfillset(&all);
    int pages = fcntl(seed->pages, F_DUPFD_CLOEXEC, 10);
    int socket = fcntl(seed->socket, F_DUPFD_CLOEXEC, 10);
    int image = fcntl(image_fd, F_DUPFD_CLOEXEC, 10);
    /* Without address randomisation every try would end alike. */
    personality(PER_LINUX);
    if (pages >= 0 && socket >= 0 && image >= 0 && sigprocmask(SIG_SETMASK, &all, NULL) == 0 &&
        setsid() >= 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && setrlimit(RLIMIT_CORE, &no_core) == 0 &&
        dup2(socket, STUB_FD_SOCKET) >= 0 && dup2(pages, STUB_FD_FIRST) >= 0 &&
        dup2(socket, STUB_FD_FIRST + 1) >= 0 &&
        syscall(SYS_close_range, STUB_FD_FIRST + 2, ~0U, 1U << 2 /* CLOSE_RANGE_CLOEXEC */) == 0) {
        syscall(SYS_execveat, image, "", arguments, environment, AT_EMPTY_PATH);
    }
    _exit(127);
}

static pid_t __attribute__((noinline)) spawn_stub(int image_fd, const struct stub_seed *seed)
{
    pid_t pid = vfork();
    if (pid == 0) {
        exec_stub(image_fd, seed);
    }
    return pid < 0 ? -errno : pid;
}

/* One line of /proc/<pid>/maps of the template. */
struct map_line {
    uint64_t start, end;
    char name[64];
};

static bool parse_map_line(const char *line, struct map_line *ret_map)
{
    ret_map->name[0] = '\0';
    return sscanf(line, "%lx-%lx %*s %*s %*s %*s %63s", &ret_map->start, &ret_map->end,
                  ret_map->name) >= 2;
}

/*
 * Reads where the kernel put the vDSO, and lists what else is mapped above the stub so that it can
 * be unmapped: the stack of execve.
 */
static int read_template_maps(struct stub *stub, struct stub_op *ops, size_t *ret_count)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)stub->pid);
    FILE *maps = fopen(path, "re");
    if (maps == NULL) {
        return -errno;
    }
    char line[512];
    size_t count = 0;
    int rc = 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        struct map_line map;
        if (!parse_map_line(line, &map) || map.start >= HOST_USER_END ||
            map.end <= PLATFORM_GUEST_MIN) {
            continue;
        }
        bool special = map.name[0] == '[' && map.name[1] == 'v';
        if (special && map.end > PLATFORM_GUEST_MAX) {
            rc = -EAGAIN;
            break;
        }
        if (strncmp(map.name, "[vvar", 5) == 0) {
            if (stub->vdso.vvar == 0) {
                stub->vdso.vvar = map.start;
            }
            stub->vdso.vvar_size = map.end - stub->vdso.vvar;
        } else if (strcmp(map.name, "[vdso]") == 0) {
            stub->vdso.vdso = map.start;
            stub->vdso.vdso_size = map.end - map.start;
        } else if (count == STUB_OPS_MAX) {
            rc = -E2BIG;
        } else {
            ops[count++] =
                (struct stub_op){.number = SYS_munmap, .args = {map.start, map.end - map.start}};
        }
    }
    fclose(maps);
    *ret_count = count;
    return rc;
}

static int run_all_or_fail(struct stub *stub, const struct stub_op *ops, size_t count)
{
    int64_t results[STUB_OPS_MAX];
    mutex_lock(&stub->service);
    int rc = stub_call_locked(stub, ops, count, NULL, 0, results);
    mutex_unlock(&stub->service);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (results[i] != 0) {
            rc = results[i] < 0 && results[i] >= -4095 ? (int)results[i] : -EPROTO;
        }
    }
    return rc;
}

/* Linux: struct sigaction of the system call. */
struct kernel_sigaction {
    uint64_t handler, flags, restorer, mask;
};

/*
 * All signals that guest code or the sentry can cause go to one handler, on the thread's alternate
 * stack, with no signal blocked meanwhile: nothing ever returns through rt_sigreturn(2). The kernel
 * wants a restorer all the same. A call that waits for its answer is made again after a signal.
 */
static int install_handlers(struct stub *stub, uint32_t foreign_action)
{
    static const int signals[] = {SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGURG};
    const struct kernel_sigaction action = {
        .handler = STUB_AT_SIGNAL,
        /* SA_NODEFER SA_ONSTACK SA_RESTORER SA_SIGINFO, SA_RESTART */
        .flags = 0x4c000004 | (foreign_action == SECCOMP_RET_USER_NOTIF ? 0x10000000 : 0),
        .restorer = STUB_AT_RESTORER,
    };
    struct stub_op ops[array_size(signals)];
    memcpy(stub->reply->data, &action, sizeof action);
    for (size_t i = 0; i < array_size(signals); i++) {
        ops[i] = (struct stub_op){
            .number = SYS_rt_sigaction,
            .args = {(uint64_t)signals[i], STUB_REPLY + STUB_REPLY_DATA, 0, sizeof(uint64_t)}};
    }
    return run_all_or_fail(stub, ops, array_size(ops));
}

/* Names the process and installs the filter. No guest code has run yet, so what lies in the shared
 * pages is still ours; the area of a first thread, which the template never has, holds the program.
 */
static int confine_template(struct stub *stub, uint32_t foreign_action)
{
    static const char name[16] = "stockade-stub";
    struct {
        struct sock_fprog header;
        char name[16];
        struct bpf_program program;
    } *view = (void *)((char *)stub->request + STUB_AREAS_OFFSET);
    _Static_assert(sizeof *view <= STUB_AREA_SIZE, "the program fits into an area");

    int rc = stub_filter_build(&view->program, foreign_action);
    if (rc != 0) {
        return rc;
    }
    view->header = (struct sock_fprog){
        .len = (unsigned short)view->program.length,
        .filter = (void *)(STUB_AREAS + offsetof(typeof(*view), program.code)),
    };
    memcpy(view->name, name, sizeof name);
    const struct stub_op map = {.number = SYS_mmap,
                                .args = {STUB_AREAS, STUB_AREA_SIZE, PROT_READ,
                                         MAP_SHARED | MAP_FIXED, STUB_FD_PAGES, STUB_AREAS_OFFSET}};
    const struct stub_op ops[] = {
        {.number = SYS_prctl, .args = {PR_SET_NAME, STUB_AREAS + offsetof(typeof(*view), name)}},
        {.number = SYS_seccomp, .args = {SECCOMP_SET_MODE_FILTER, 0, STUB_AREAS}},
        {.number = SYS_munmap, .args = {STUB_AREAS, STUB_AREA_SIZE}},
    };
    int64_t result;
    mutex_lock(&stub->service);
    rc = stub_call_locked(stub, &map, 1, NULL, 0, &result);
    mutex_unlock(&stub->service);
    if (rc == 0 && (uint64_t)result != STUB_AREAS) {
        rc = -ENOMEM;
    }
    return rc != 0 ? rc : run_all_or_fail(stub, ops, array_size(ops));
}

/* Execs a stub and learns what is mapped in it. -EAGAIN: the vDSO lies among the areas. */
static int exec_template(int image_fd, struct stub **ret_stub)
{
    struct stub *stub;
    struct stub_seed seed;
    int rc = stub_alloc(&stub, &seed);
    if (rc != 0) {
        return rc;
    }
    pid_t pid = spawn_stub(image_fd, &seed);
    close(seed.socket);
    if (pid < 0) {
        stub_free(stub);
        return pid;
    }
    rc = receive_hello(stub);
    if (rc != 0 || stub->pid != pid) {
        log_error("the stub process did not start");
        stub->pid = pid;
        stub_free(stub);
        return rc != 0 ? rc : -EPROTO;
    }
    struct stub_op ops[STUB_OPS_MAX];
    size_t count = 0;
    rc = read_template_maps(stub, ops, &count);
    if (rc == 0) {
        rc = run_all_or_fail(stub, ops, count);
    }
    if (rc != 0) {
        stub_free(stub);
        return rc;
    }
    *ret_stub = stub;
    return 0;
}

int stub_start_template(int image_fd, uint32_t foreign_action, struct stub **ret_stub)
{
    struct stub *stub;
    int rc = -EAGAIN;
    own_pid = getpid();
    for (int i = 0; rc == -EAGAIN && i < PLACE_TRIES; i++) {
        rc = exec_template(image_fd, &stub);
    }
    if (rc != 0) {
        return rc;
    }
    rc = stub_filter_build_guest(stub->request, foreign_action);
    if (rc == 0 && foreign_action != SECCOMP_RET_KILL_PROCESS) {
        rc = install_handlers(stub, foreign_action);
    }
    if (rc == 0) {
        rc = confine_template(stub, foreign_action);
    }
    if (rc != 0) {
        stub_free(stub);
        return rc;
    }
    *ret_stub = stub;
    return 0;
}

int stub_fork(struct stub *parent, struct stub **ret_stub)
{
    struct stub *stub;
    struct stub_seed seed;
    int rc = stub_alloc(&stub, &seed);
    if (rc != 0) {
        return rc;
    }
    stub->vdso = parent->vdso;
    memcpy(&stub->request->filter_length, &parent->request->filter_length,
           sizeof *stub->request - STUB_REQUEST_FILTER);
    int fds[] = {seed.pages, seed.socket};
    int64_t results[4] = {0};

    mutex_lock(&parent->service);
    const struct stub_op ops[] = {
        stub_op_receive(parent, array_size(fds)),
        {.number = SYS_clone, .args = {STUB_CLONE_PROCESS}, .child = STUB_CHILD_PROCESS},
        {.number = SYS_close, .args = {STUB_FD_FIRST}},
        {.number = SYS_close, .args = {STUB_FD_FIRST + 1}},
    };
    rc = stub_call_locked(parent, ops, array_size(ops), fds, array_size(fds), results);
    stub->service_cpu = parent->service_cpu; /* affinity is inherited */
    mutex_unlock(&parent->service);
    close(seed.socket);

    /* What the parent says of the clone can be forged; the socket cannot: it gives the hello of a
     * new process, or ends when there is none. */
    int hello = receive_hello(stub);
    if (rc == 0 && hello != 0) {
        rc = results[1] == -EAGAIN || results[1] == -ENOMEM ? (int)results[1] : PLATFORM_DEAD;
    }
    if (rc != 0) {
        stub_free(stub);
        return rc;
    }
    *ret_stub = stub;
    return 0;
}
