/*
 * dnotify.c: fcntl F_NOTIFY: a signal when something happens in a directory.
 */
#include "tests/syscalls/guest_test.h"

#include <poll.h>
#include <signal.h>

static int dir;
static volatile int count;
static volatile int last_fd, last_code;
static volatile long last_band;

static void on_signal(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    count++;
    last_fd = info->si_fd;
    last_code = info->si_code;
    last_band = info->si_band;
}

static void setup(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    CHECK_OK(sigaction(SIGRTMIN, &action, NULL));
    CHECK_OK(sigaction(SIGIO, &action, NULL));
    CHECK_OK(mkdir("d", 0755));
    CHECK_OK(mkdir("e", 0755));
    dir = (int)CHECK_OK(open("d", O_RDONLY | O_DIRECTORY));
    CHECK_OK(fcntl(dir, F_SETSIG, SIGRTMIN));
    count = 0;
}

static void expect(int wanted)
{
    int got = count;
    count = 0;
    CHECK_EQ(got, wanted);
}

static void make(const char *path)
{
    close((int)CHECK_OK(open(path, O_CREAT | O_WRONLY, 0644)));
}

TEST_CASE(one_shot)
{
    setup();
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_CREATE));
    make("e/other");
    expect(0);
    make("d/a");
    expect(1);
    CHECK_EQ(last_fd, dir);
    CHECK_EQ(last_code, POLL_MSG);
    CHECK_EQ(last_band, POLLIN | POLLRDNORM | POLLMSG);
    make("d/b");
    expect(0); /* once */
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_CREATE));
    CHECK_OK(mkdir("d/c", 0700));
    expect(1);
}

TEST_CASE(kinds)
{
    char byte = 'x';
    setup();
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_CREATE | DN_MULTISHOT));
    make("d/a");
    make("d/a"); /* exists */
    CHECK_OK(symlink("a", "d/s"));
    CHECK_OK(link("d/a", "d/l"));
    CHECK_OK(unlink("d/s"));
    expect(3);
    CHECK_OK(fcntl(dir, F_NOTIFY, 0));
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_DELETE | DN_MULTISHOT));
    CHECK_OK(unlink("d/l"));
    CHECK_OK(mkdir("d/x", 0700));
    CHECK_OK(rmdir("d/x"));
    expect(2);
    CHECK_OK(fcntl(dir, F_NOTIFY, 0));
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_MODIFY | DN_MULTISHOT));
    int fd = (int)CHECK_OK(open("d/a", O_RDWR));
    CHECK_OK(write(fd, &byte, 1));
    CHECK_OK(ftruncate(fd, 0));
    expect(2);
    CHECK_OK(write(fd, &byte, 1));
    expect(1);
    CHECK_OK(fcntl(dir, F_NOTIFY, 0));
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_ACCESS | DN_MULTISHOT));
    CHECK_OK(pread(fd, &byte, 1, 0));
    expect(1);
    CHECK_OK(fcntl(dir, F_NOTIFY, 0));
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_ATTRIB | DN_MULTISHOT));
    CHECK_OK(fchmod(fd, 0600));
    CHECK_OK(utimensat(AT_FDCWD, "d/a", NULL, 0));
    expect(2);
    CHECK_OK(chmod("d", 0700)); /* the directory itself */
    expect(1);
    CHECK_OK(close(fd));
    expect(0);
}

TEST_CASE(renames)
{
    setup();
    make("d/a");
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_RENAME | DN_MULTISHOT));
    CHECK_OK(rename("d/a", "d/b"));
    expect(1);
    CHECK_OK(rename("d/b", "e/b"));
    CHECK_OK(rename("e/b", "d/b"));
    expect(0); /* within the directory only */
    CHECK_OK(fcntl(dir, F_NOTIFY, 0));
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_CREATE | DN_MULTISHOT));
    CHECK_OK(rename("d/b", "e/b"));
    expect(0);
    CHECK_OK(rename("e/b", "d/b"));
    expect(1);
    CHECK_OK(rename("d/b", "d/c"));
    expect(1);
    CHECK_OK(fcntl(dir, F_NOTIFY, 0));
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_DELETE | DN_MULTISHOT));
    CHECK_OK(rename("d/c", "e/b"));
    expect(1);
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_RENAME | DN_CREATE | DN_MULTISHOT));
    make("d/m");
    expect(1);
    CHECK_OK(rename("d/m", "d/n"));
    expect(3);
}

TEST_CASE(who_and_what)
{
    setup();
    CHECK_OK(fcntl(dir, F_SETSIG, 0));
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_CREATE));
    CHECK_EQ(fcntl(dir, F_GETOWN), getpid()); /* nobody else was named */
    last_fd = -1;
    make("d/a");
    expect(1); /* SIGIO */
    int file = (int)CHECK_OK(open("d/a", O_RDONLY));
    CHECK_ERRNO(fcntl(file, F_NOTIFY, DN_CREATE), ENOTDIR);
    CHECK_OK(fcntl(file, F_NOTIFY, 0));
    CHECK_OK(fcntl(file, F_NOTIFY, DN_MULTISHOT));
    CHECK_OK(close(file));
    int path = (int)CHECK_OK(open("d", O_PATH));
    CHECK_ERRNO(fcntl(path, F_NOTIFY, DN_CREATE), EBADF);
    int other = (int)CHECK_OK(open("d", O_RDONLY));
    CHECK_OK(fcntl(other, F_SETOWN, getppid()));
    CHECK_OK(fcntl(other, F_NOTIFY, DN_CREATE));
    CHECK_EQ(fcntl(other, F_GETOWN), getppid()); /* somebody else was named */
    CHECK_OK(close(other));
}

TEST_CASE(closing)
{
    setup();
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_CREATE | DN_MULTISHOT));
    int copy = (int)CHECK_OK(dup(dir));
    make("d/a");
    expect(1);
    CHECK_OK(close(copy)); /* any descriptor of the file, as with POSIX locks */
    make("d/b");
    expect(0);
    CHECK_OK(fcntl(dir, F_NOTIFY, DN_CREATE | DN_MULTISHOT));
    pid_t child = (pid_t)CHECK_OK(fork());
    if (child == 0) {
        close(dir);
        close(open("d/c", O_CREAT | O_WRONLY, 0644));
        _exit(count);
    }
    int status;
    CHECK_EQ(CHECK_OK(waitpid(child, &status, 0)), child);
    CHECK_EQ(WEXITSTATUS(status), 0);
    expect(1); /* the child's close is the child's, and the parent hears of what it did */
    int second = (int)CHECK_OK(open("d", O_RDONLY));
    CHECK_OK(fcntl(second, F_SETSIG, SIGRTMIN));
    CHECK_OK(fcntl(second, F_NOTIFY, DN_DELETE));
    CHECK_OK(fcntl(second, F_NOTIFY, DN_CREATE)); /* added, not replaced */
    CHECK_OK(unlink("d/c"));
    expect(1);
    make("d/c");
    expect(1); /* the second was spent; the first speaks */
    CHECK_OK(close(dir));
    CHECK_OK(close(second));
    make("d/e");
    expect(0);
}
