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
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "platform/host/bpf.h"
#include "platform/host/memory.h"
#include "platform/host/process.h"
#include "platform/host/socket.h"
#include "platform/stub/stub_filter.h"

/* What a new stub process starts with: its pages and its socket. */
struct stub_seed {
    int pages;
    int socket;
};

/* A stub without a process, and the descriptors its process will get. */
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
    int pages = host_memfd_create("stockade-pages", 2 * STUB_PAGE);
    if (pages < 0) {
        rc = pages;
        goto no_pages;
    }
    void *view = mmap(NULL, 2 * STUB_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, pages, 0);
    if (view == MAP_FAILED) {
        rc = -errno;
        goto no_view;
    }
    /* A page that shrinks away would make our own access fault. */
    if (fcntl(pages, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        rc = -errno;
        munmap(view, 2 * STUB_PAGE);
        goto no_view;
    }
    stub->socket = ends[0];
    stub->request = view;
    stub->reply = (void *)((char *)view + STUB_PAGE);
    stub->request->parent_pid = (uint32_t)getpid();
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

static void seed_close(const struct stub_seed *seed)
{
    close(seed->pages);
    close(seed->socket);
}

void stub_free(struct stub *stub)
{
    if (stub == NULL) {
        return;
    }
    if (stub->pid > 0) {
        int status;
        stub_kill(stub);
        ignore_result(host_wait(stub->pid, &status));
    }
    munmap(stub->request, 2 * STUB_PAGE);
    close(stub->socket);
    mutex_fini(&stub->service);
    free(stub);
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
        if (!parse_map_line(line, &map) || map.start >= PLATFORM_GUEST_MAX ||
            map.end <= PLATFORM_GUEST_MIN) {
            continue;
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

/* Names the process and installs the filter. No guest code has run yet, so what lies in the reply
 * page is still ours. */
static int confine_template(struct stub *stub, uint32_t foreign_action)
{
    struct bpf_program *program = calloc(1, sizeof *program);
    if (program == NULL) {
        return -ENOMEM;
    }
    int rc = stub_filter_build(program, foreign_action);
    size_t size = program->length * sizeof program->code[0];
    unsigned char *view = stub->reply->data;
    uint64_t data = STUB_REPLY + STUB_REPLY_DATA;
    struct sock_fprog header = {
        .len = (unsigned short)program->length,
        .filter = (void *)(uintptr_t)(data + sizeof header),
    };
    static const char name[16] = "stockade-stub";
    if (rc == 0 && size + sizeof header + sizeof name > sizeof stub->reply->data) {
        rc = -E2BIG;
    }
    if (rc == 0) {
        memcpy(view, &header, sizeof header);
        memcpy(view + sizeof header, program->code, size);
        memcpy(view + sizeof header + size, name, sizeof name);
        const struct stub_op ops[] = {
            {.number = SYS_prctl, .args = {PR_SET_NAME, data + sizeof header + size}},
            {.number = SYS_seccomp, .args = {SECCOMP_SET_MODE_FILTER, 0, data}},
        };
        rc = run_all_or_fail(stub, ops, array_size(ops));
    }
    free(program);
    return rc;
}

int stub_start_template(int image_fd, uint32_t foreign_action, struct stub **ret_stub)
{
    struct stub *stub;
    struct stub_seed seed;
    int rc = stub_alloc(&stub, &seed);
    if (rc != 0) {
        return rc;
    }
    pid_t pid = spawn_stub(image_fd, &seed);
    seed_close(&seed);
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
    seed_close(&seed);

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
