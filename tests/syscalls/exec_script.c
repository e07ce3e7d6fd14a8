/*
 * exec_script.c: #! lines: arguments, spaces, missing and nested interpreters.
 */
#include "tests/syscalls/guest_test.h"

/* The interpreter of the scripts below is this program: argv[1] is then one optional argument and
 * the script's path follows. */
TEST_HELPER(script_runner)
{
    int fd = open("seen", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    for (int i = 1; i < argc; i++) {
        dprintf(fd, "[%s]", argv[i]);
    }
    return 0;
}

static char *no_env[] = {NULL};

static void make_script(const char *name, const char *format, const char *interpreter)
{
    char text[PATH_MAX + 600];
    snprintf(text, sizeof(text), format, interpreter);
    guest_write_file(name, text);
    CHECK_OK(chmod(name, 0755));
}

/* Runs ./name with two arguments; returns exit status or errno of exec. */
static int run(const char *name)
{
    char *args[] = {"ignored", "a b", "c", NULL};
    pid_t pid = guest_fork();
    if (pid == 0) {
        execve(name, args, no_env);
        _exit(errno);
    }
    int status = guest_wait(pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A wrapper is needed because a #! line passes only one argument: --helper would take it. */
static void make_runner(void)
{
    CHECK_OK(symlink(guest_self(), "runner"));
}

TEST_CASE(shell_script)
{
    if (access("/bin/sh", X_OK) < 0) {
        SKIP("no /bin/sh");
    }
    make_script("script", "#!/bin/sh\n[ \"$0 $1 $2 $#\" = './script a b c 2' ] && exit 21\n", "");
    CHECK_EQ(run("./script"), 21);
}

TEST_CASE(one_optional_argument)
{
    if (access("/bin/sh", X_OK) < 0) {
        SKIP("no /bin/sh");
    }
    make_script("script", "#! \t /bin/sh   -eu  \nfalse\nexit 4\n", "");
    CHECK_EQ(run("./script"), 1);
    make_script("script2", "#!/bin/sh -e\ntrue\nexit 4\n", "");
    CHECK_EQ(run("./script2"), 4);
}

TEST_CASE(missing_interpreter)
{
    make_script("script", "#!/nonexistent/interpreter\n", "");
    CHECK_EQ(run("./script"), ENOENT);
    make_script("blank", "#!   \n", "");
    CHECK_EQ(run("./blank"), ENOEXEC);
    make_script("bare", "#!", "");
    /* Linux: the empty name resolves to the working directory. */
    int error = run("./bare");
    CHECK(error == EACCES || error == ENOEXEC);
}

TEST_CASE(interpreter_without_permission)
{
    guest_write_file("interp", "text");
    make_script("script", "#!./interp\n", "");
    CHECK_EQ(run("./script"), EACCES);
    CHECK_OK(mkdir("dir", 0755));
    make_script("script2", "#!./dir\n", "");
    CHECK_EQ(run("./script2"), EACCES);
}

TEST_CASE(no_final_newline)
{
    make_runner();
    make_script("script", "#!./runner --list", "");
    int null = (int)CHECK_OK(open("/dev/null", O_WRONLY));
    int saved = (int)CHECK_OK(dup(1));
    CHECK_OK(dup2(null, 1));
    int result = run("./script");
    CHECK_OK(dup2(saved, 1));
    CHECK_EQ(result, 0);
}

TEST_CASE(nested_interpreters)
{
    if (access("/bin/sh", X_OK) < 0) {
        SKIP("no /bin/sh");
    }
    make_script("s0", "#!/bin/sh\nexit 6\n", "");
    make_script("s1", "#!./s0\n", "");
    make_script("s2", "#!./s1\n", "");
    CHECK_EQ(run("./s2"), 6);
}

TEST_CASE(endless_interpreters)
{
    make_script("self", "#!./self\n", "");
    CHECK_EQ(run("./self"), ELOOP);
}

TEST_CASE(truncated_interpreter_path)
{
    char text[700];
    memset(text, 'x', sizeof(text));
    memcpy(text, "#!/", 3);
    text[sizeof(text) - 2] = '\n';
    text[sizeof(text) - 1] = '\0';
    guest_write_file("script", text);
    CHECK_OK(chmod("script", 0755));
    /* Linux: a path that does not end within the first 256 bytes is no valid #! line. */
    CHECK_EQ(run("./script"), ENOEXEC);
}
