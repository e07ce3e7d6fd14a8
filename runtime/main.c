/*
 * main.c: the stockade command: picks the subcommand.
 */
#include <stdio.h>
#include <string.h>

#include "platform/base/compiler.h"
#include "runtime/options.h"
#include "runtime/run.h"

#ifndef STOCKADE_VERSION
#define STOCKADE_VERSION "0.1"
#endif

static int command_version(int argc maybe_unused, char **argv maybe_unused);
static int command_help(int argc maybe_unused, char **argv maybe_unused);

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"run", command_run, "run a program in a fresh sandbox"},
    {"doctor", command_doctor, "say which layers of protection this host gives"},
    {"syscalls", command_syscalls, "list the supported system calls"},
    {"version", command_version, "print the version"},
    {"help", command_help, "print this list"},
};

static int command_version(int argc maybe_unused, char **argv maybe_unused)
{
    printf("stockade %s\n", STOCKADE_VERSION);
    return 0;
}

static int command_help(int argc maybe_unused, char **argv maybe_unused)
{
    printf("usage: stockade COMMAND [options]\n\n"
           "Runs untrusted Linux programs on a kernel of its own, in user space.\n\n");
    for (size_t i = 0; i < array_size(commands); i++) {
        printf("  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    printf("\nstockade COMMAND --help explains a command.\n"
           "Example: stockade run --time-limit 10s -- python3 script.py\n");
    return 0;
}

static const char *alias_of(const char *name)
{
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        return "help";
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        return "version";
    }
    return name;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        report_error("no command given; try stockade help");
        return STATUS_FAILED;
    }
    const char *name = alias_of(argv[1]);
    for (size_t i = 0; i < array_size(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    report_error("unknown command '%s'; try stockade help", argv[1]);
    return STATUS_FAILED;
}
