/*
 * server.c: the gofer process from the fork to its end: open the mounts, give up the rest, serve.
 */
#include "gofer/files/server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gofer/files/confine.h"
#include "gofer/files/session.h"

/* The launcher's handlers are not ours; the terminal's signals are the guest's. */
static void reset_signals(void)
{
    static const int ignored[] = {SIGPIPE, SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU};
    sigset_t none;
    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_DFL);
    }
    for (size_t i = 0; i < array_size(ignored); i++) {
        signal(ignored[i], SIG_IGN);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit)) {
            log_info("gofer: cannot raise the limit of open files");
        }
    }
}

/* A look-up with every flag we need: hosts without openat2 cannot be served safely. */
static int check_host(const struct session *session)
{
    int fd;
    for (size_t i = 0; i < session->mount_count; i++) {
        if (session->mounts[i].root->type == S_IFDIR) {
            int error = node_lookup_open(session->mounts[i].root->fd, ".", O_PATH, 0, &fd);
            if (error == -ENOSYS || error == -EPERM) {
                log_error("gofer: this host does not allow openat2(2) (Linux 5.6)");
                return error;
            }
            if (!error) {
                close(fd);
            }
            return 0;
        }
    }
    return 0;
}

static int confine(struct session *session)
{
    const struct gofer_config *config = session->config;
    size_t count = session->mount_count;
    auto_free struct confine_root *roots = calloc(count + 1, sizeof(*roots));
    auto_free int *keep = calloc(count + 4, sizeof(*keep));
    if (!roots || !keep) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        enum gofer_access mode = session->mounts[i].config->mode;
        struct node *root = session->mounts[i].root;
        roots[i] = (struct confine_root){
            .fd = root->fd,
            .directory = root->type == S_IFDIR,
            .writable = mode >= GOFER_ACCESS_NO_DELETE,
            .deletable = mode == GOFER_ACCESS_WRITE,
        };
        keep[i] = root->fd;
    }
    keep[count] = config->connection_fd;
    keep[count + 1] = config->audit_fd;
    keep[count + 2] = config->log.fd;
    keep[count + 3] = session->proc_fd;
    struct confine_config limits = {
        .keep = keep,
        .keep_count = count + 4,
        .roots = roots,
        .root_count = count,
        .writable = session->any_writable,
        .require_landlock = config->require_landlock,
        .connection = config->connection_fd,
        .audit = config->audit_fd,
        .log = config->log.fd,
        .proc_fd = session->proc_fd,
    };
    int error = confine_descriptors(&limits);
    if (!error) {
        error = confine_capabilities(&limits, &session->privileged);
    }
    if (!error && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
        error = -errno;
    }
    if (!error) {
        error = confine_landlock(&limits);
    }
    return error ? error : confine_syscalls(&limits);
}

int gofer_files_run(const struct gofer_config *config)
{
    struct session *session = malloc(sizeof(*session));
    log_configure(&config->log);
    reset_signals();
    /* The sentry runs as the same user: it shall not read or write this memory. */
    if (!session || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || chdir("/")) {
        log_error("gofer: cannot start: %s", strerror(errno));
        free(session);
        return 1;
    }
    umask(0); /* modes are the guest's */
    tzset();  /* libc opens its files now or never */
    raise_file_limit();
    int error = session_init(session, config);
    if (error) {
        free(session);
        return 1;
    }
    error = check_host(session);
    if (!error) {
        error = confine(session);
        if (error) {
            log_error("gofer: cannot confine itself: %s", strerror(-error));
        }
    }
    if (!error) {
        error = session_serve(session);
        if (error) {
            log_error("gofer: connection: %s", strerror(-error));
        }
    }
    session_fini(session);
    free(session);
    return error ? 1 : 0;
}
