/*
 * syscalls_command.c: `stockade syscalls`: the support list of the one table of calls.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runtime/options.h"
#include "runtime/run.h"
#include "syscalls/support.h"

int command_syscalls(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    bool json = false;
    int id;
    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (id == 'h') {
            puts("usage: stockade syscalls [--json]\n\n"
                 "Lists every Linux system call: number, name, how far it is supported, and what\n"
                 "is missing.");
            return 0;
        }
        if (id != 'j') {
            report_error("syscalls: unknown option %s; see stockade syscalls --help",
                         argv[optind - 1]);
            return STATUS_FAILED;
        }
        json = true;
    }
    if (optind < argc) {
        report_error("syscalls: unexpected argument '%s'", argv[optind]);
        return STATUS_FAILED;
    }
    int error = syscalls_print_support(stdout, json);
    if (error != 0 || fflush(stdout) != 0) {
        report_error("syscalls: cannot write: %s", strerror(error != 0 ? -error : errno));
        return STATUS_FAILED;
    }
    return 0;
}
