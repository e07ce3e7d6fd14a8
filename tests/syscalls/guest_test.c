/*
 * guest_test.c: main() and helpers of the guest test programs; see guest_test.h.
 *
 * The runner itself uses few calls (fork, waitpid, kill, alarm, mkdtemp, chdir, getdents, unlink),
 * so that it works early in the life of a kernel. Exit status of a case: 0 passed, 77 skipped,
 * 99 failed and already reported; anything else is reported by the runner.
 */
#include "tests/syscalls/guest_test.h"

#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>

enum { CASE_SKIPPED = 77, CASE_FAILED = 99 };

static struct guest_case *cases;
static struct guest_case **cases_end = &cases;
static struct guest_helper *helpers;
static const char *case_name = "";
static char self_path[PATH_MAX];
static char base_dir[PATH_MAX - 64];
static bool no_fork;
static pid_t runner_tid;
static sigjmp_buf runner_env;
static volatile sig_atomic_t timed_out;

void guest_register_case(struct guest_case *c)
{
    *cases_end = c;
    cases_end = &c->next;
}

void guest_register_helper(struct guest_helper *h)
{
    h->next = helpers;
    helpers = h;
}

static void report(const char *line)
{
    size_t length = strlen(line);
    while (length > 0) {
        ssize_t n = write(STDOUT_FILENO, line, length);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        line += n;
        length -= (size_t)n;
    }
}

__attribute__((noreturn)) static void end_case(int status)
{
    if (no_fork && syscall(SYS_gettid) == runner_tid) {
        siglongjmp(runner_env, status + 1);
    }
    _exit(status);
}

void guest_fail(const char *file, int line, const char *format, ...)
{
    char text[600];
    char out[800];
    const char *slash = strrchr(file, '/');
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(out, sizeof(out), "FAIL %s %s:%d: %s\n", case_name, slash ? slash + 1 : file, line,
             text);
    report(out);
    end_case(CASE_FAILED);
}

void guest_skip(const char *reason)
{
    char out[400];
    snprintf(out, sizeof(out), "skip %s: %s\n", case_name, reason);
    report(out);
    end_case(CASE_SKIPPED);
}

long guest_check_ok(long result, const char *text, const char *file, int line)
{
    if (result < 0) {
        int error = errno;
        guest_fail(file, line, "%s: %ld, errno %d (%s)", text, result, error, strerror(error));
    }
    return result;
}

void guest_check_eq(long long a, long long b, const char *text, const char *file, int line)
{
    if (a != b) {
        guest_fail(file, line, "%s: %lld (0x%llx) against %lld (0x%llx), errno %d", text, a,
                   (unsigned long long)a, b, (unsigned long long)b, errno);
    }
}

void guest_check_errno(long result, int want, const char *text, const char *file, int line)
{
    int error = errno;
    if (result != -1) {
        guest_fail(file, line, "%s: %ld, wanted errno %d (%s)", text, result, want, strerror(want));
    }
    if (error != want) {
        guest_fail(file, line, "%s: errno %d (%s), wanted %d (%s)", text, error, strerror(error),
                   want, strerror(want));
    }
}

void guest_check_child(pid_t pid, int want_exit, int want_signal, const char *file, int line)
{
    int status = guest_wait(pid);
    if (WIFEXITED(status) && want_exit != WEXITSTATUS(status) &&
        (WEXITSTATUS(status) == CASE_FAILED || WEXITSTATUS(status) == CASE_SKIPPED)) {
        end_case(WEXITSTATUS(status)); /* the child reported it */
    }
    if (want_signal) {
        if (!WIFSIGNALED(status) || WTERMSIG(status) != want_signal) {
            guest_fail(file, line, "child status 0x%x, wanted signal %d", (unsigned)status,
                       want_signal);
        }
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != want_exit) {
        guest_fail(file, line, "child status 0x%x, wanted exit %d", (unsigned)status, want_exit);
    }
}

pid_t guest_fork(void)
{
    return (pid_t)CHECK_OK(fork());
}

int guest_wait(pid_t pid)
{
    int status = 0;
    pid_t got;
    do {
        got = waitpid(pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    CHECK_EQ(got, pid);
    return status;
}

long long guest_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000000LL + now.tv_nsec;
}

long long guest_now_ms(void)
{
    return guest_now_ns() / 1000000;
}

void guest_sleep_ms(long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

void guest_write_file(const char *path, const char *text)
{
    int fd = (int)CHECK_OK(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    CHECK_OK(close(fd));
}

size_t guest_read_file(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        FAIL("open %s: errno %d", path, errno);
    }
    size_t used = 0;
    while (used < size - 1) {
        size_t n = (size_t)CHECK_OK(read(fd, buffer + used, size - 1 - used));
        if (n == 0) {
            break;
        }
        used += n;
    }
    buffer[used] = '\0';
    CHECK_OK(close(fd));
    return used;
}

const char *guest_self(void)
{
    return self_path;
}

bool guest_can_switch_user(void)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        bool works = setgroups(0, NULL) == 0 && setresgid(12345, 12345, 12345) == 0 &&
                     setresuid(12345, 12345, 12345) == 0;
        _exit(works ? 0 : 1);
    }
    return guest_wait(pid) == 0;
}

void guest_become_user(void)
{
    CHECK_OK(setgroups(0, NULL));
    CHECK_OK(setresgid(12345, 12345, 12345));
    CHECK_OK(setresuid(12345, 12345, 12345));
}

bool guest_has_cap(int cap)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
    if (syscall(SYS_capget, &header, data) < 0) {
        return false;
    }
    return (data[cap / 32].effective >> (cap % 32) & 1) != 0;
}

void guest_handle(int sig, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    CHECK_OK(sigaction(sig, &action, NULL));
}

void guest_handle_info(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    CHECK_OK(sigaction(sig, &action, NULL));
}

void guest_ticker_start(long interval_ms)
{
    struct itimerval tick = {{0, interval_ms * 1000}, {0, interval_ms * 1000}};
    CHECK_OK(setitimer(ITIMER_REAL, &tick, NULL));
}

void guest_ticker_stop(void)
{
    struct itimerval off = {{0, 0}, {0, 0}};
    CHECK_OK(setitimer(ITIMER_REAL, &off, NULL));
}

void guest_pty(int *ret_master, int *ret_slave)
{
    char name[64];
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0) {
        SKIP("/dev/ptmx cannot be opened here");
    }
    int unlock = 0;
    unsigned number = 0;
    CHECK_OK(ioctl(master, TIOCSPTLCK, &unlock));
    CHECK_OK(ioctl(master, TIOCGPTN, &number));
    snprintf(name, sizeof(name), "/dev/pts/%u", number);
    *ret_slave = (int)CHECK_OK(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
    *ret_master = master;
}

void *guest_bad(void)
{
    static char *volatile address = (char *)16;
    return address;
}

char *guest_page_end(void)
{
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_OK(mprotect(p + 4096, 4096, PROT_NONE));
    return p + 4096;
}

void guest_await_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;
    do {
        n = poll(&p, 1, 5000);
    } while (n < 0 && errno == EINTR);
    CHECK_EQ(n, 1);
}

void guest_signal_fd(int fd)
{
    CHECK_EQ(write(fd, "x", 1), 1);
}

void guest_await_fd(int fd)
{
    char byte;
    ssize_t n;
    do {
        n = read(fd, &byte, 1);
    } while (n < 0 && errno == EINTR);
    CHECK_EQ(n, 1);
}

/* Removes a directory's contents; hostile modes are repaired first. */
static void empty_directory(int parent, const char *name)
{
    fchmodat(parent, name, 0700, 0);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(fd, entry->d_name, 0) < 0) {
            empty_directory(fd, entry->d_name);
            unlinkat(fd, entry->d_name, AT_REMOVEDIR);
        }
    }
    closedir(dir);
}

static void enter_case_dir(void)
{
    if (chdir(base_dir) < 0 || mkdir("case", 0755) < 0 || chdir("case") < 0) {
        report("FAIL cannot make the working directory\n");
        end_case(CASE_FAILED);
    }
}

static void leave_case_dir(void)
{
    if (chdir(base_dir) == 0) {
        empty_directory(AT_FDCWD, "case");
        rmdir("case");
    }
}

static void on_alarm(int sig)
{
    (void)sig;
    timed_out = 1;
}

static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int sig = 1; sig <= 64; sig++) {
        if (sig != SIGKILL && sig != SIGSTOP && sig != 32 && sig != 33) {
            signal(sig, SIG_DFL);
        }
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int run_forked(struct guest_case *c)
{
    timed_out = 0;
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        reset_signals();
        enter_case_dir();
        c->run();
        _exit(0);
    }
    if (pid < 0) {
        guest_fail(__FILE__, __LINE__, "fork: errno %d", errno);
    }
    setpgid(pid, pid);
    alarm(c->seconds);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (timed_out) {
            kill(pid, SIGKILL);
        }
    }
    alarm(0);
    kill(-pid, SIGKILL);
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    leave_case_dir();
    char line[300];
    if (timed_out) {
        snprintf(line, sizeof(line), "FAIL %s: timed out\n", c->name);
        report(line);
        return CASE_FAILED;
    }
    if (WIFSIGNALED(status)) {
        snprintf(line, sizeof(line), "FAIL %s: killed by signal %d\n", c->name, WTERMSIG(status));
        report(line);
        return CASE_FAILED;
    }
    int code = WEXITSTATUS(status);
    if (code != 0 && code != CASE_SKIPPED && code != CASE_FAILED) {
        snprintf(line, sizeof(line), "FAIL %s: exited with %d\n", c->name, code);
        report(line);
        return CASE_FAILED;
    }
    return code;
}

static int run_in_place(struct guest_case *c)
{
    int code = sigsetjmp(runner_env, 1);
    if (code != 0) {
        code--;
    } else {
        enter_case_dir();
        c->run();
    }
    leave_case_dir();
    return code;
}

static bool make_base_dir(const char *parent)
{
    if (!parent || !*parent) {
        return false;
    }
    snprintf(base_dir, sizeof(base_dir), "%s/guest.XXXXXX", parent);
    return mkdtemp(base_dir) != NULL;
}

static bool selected(const struct guest_case *c, int argc, char **argv)
{
    bool any = false;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            any = true;
            if (strcmp(argv[i], c->name) == 0) {
                return true;
            }
        }
    }
    return !any;
}

static int run_helper(const char *name, int argc, char **argv)
{
    case_name = name;
    for (struct guest_helper *h = helpers; h; h = h->next) {
        if (strcmp(h->name, name) == 0) {
            return h->run(argc, argv);
        }
    }
    return 126;
}

static int run_cases(int argc, char **argv)
{
    int passed = 0;
    int failed = 0;
    int skipped = 0;
    char line[200];
    for (struct guest_case *c = cases; c; c = c->next) {
        if (!selected(c, argc, argv)) {
            continue;
        }
        case_name = c->name;
        switch (no_fork ? run_in_place(c) : run_forked(c)) {
        case 0:
            snprintf(line, sizeof(line), "ok %s\n", c->name);
            report(line);
            passed++;
            break;
        case CASE_SKIPPED:
            skipped++;
            break;
        default:
            failed++;
            break;
        }
    }
    snprintf(line, sizeof(line), "%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    report(line);
    return failed > 0 || passed + skipped == 0;
}

int main(int argc, char **argv)
{
    ssize_t length = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
    if (length > 0) {
        self_path[length] = '\0';
    } else {
        snprintf(self_path, sizeof(self_path), "%s", argc > 0 ? argv[0] : "");
    }
    if (argc >= 3 && strcmp(argv[1], "--helper") == 0) {
        return run_helper(argv[2], argc - 2, argv + 2);
    }
    if (argc <= 1 && getenv("GUEST_HELPER")) {
        return run_helper(getenv("GUEST_HELPER"), argc, argv);
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            for (struct guest_case *c = cases; c; c = c->next) {
                report(c->name);
                report("\n");
            }
            return 0;
        }
        if (strcmp(argv[i], "--no-fork") == 0) {
            no_fork = true;
        }
    }
    runner_tid = (pid_t)syscall(SYS_gettid);
    umask(022);
    reset_signals();
    struct sigaction on_timeout = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &on_timeout, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (!make_base_dir(getenv("TMPDIR")) && !make_base_dir("/tmp")) {
        report("FAIL no temporary directory\n0 passed, 1 failed, 0 skipped\n");
        return 1;
    }
    int status = run_cases(argc, argv);
    if (chdir("/") == 0) {
        rmdir(base_dir);
    }
    return status;
}
