/*
 * run.c: `stockade run`: options, view, launcher, reports, exit status.
 */
#include "runtime/run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/launcher.h"
#include "runtime/options.h"
#include "runtime/process.h"
#include "runtime/report.h"
#include "runtime/view.h"

static int finish(const struct run_options *options, struct report *report, int dir_fd,
                  const char *name)
{
    if (options->show_changes) {
        report_show_changes(report);
    }
    int status = report_status(report);
    if (dir_fd >= 0) {
        int error = report_result_write(report, dir_fd, name);
        if (error != 0) {
            report_error("--result: cannot write %s: %s", options->result_file, strerror(-error));
            status = STATUS_FAILED;
        }
        close(dir_fd);
    }
    return status;
}

int command_run(int argc, char **argv)
{
    static struct run_options options; /* their strings live as long as the process */
    static struct view view;
    struct report report = {0};
    int dir_fd = -1;
    const char *name = NULL;
    int error = run_options_parse(argc, argv, &options);
    if (error > 0) {
        return 0;
    }
    if (error < 0 || process_open_standard() != 0) {
        return STATUS_FAILED;
    }
    if (!options.user_given) {
        options.uid = options.rootfs != NULL ? 0 : getuid();
        options.gid = options.rootfs != NULL ? 0 : getgid();
        options.user_given = options.rootfs != NULL;
    }
    if (options.result_file != NULL) {
        error = report_result_prepare(options.result_file, &dir_fd, &name);
        if (error != 0) {
            report_error("--result: cannot write %s: %s", options.result_file, strerror(-error));
            return STATUS_FAILED;
        }
    }
    if (view_build(&options, &view) != 0) {
        return STATUS_FAILED;
    }
    launcher_run(&options, &view, &report);
    int status = finish(&options, &report, dir_fd, name);
    report_fini(&report);
    return status;
}
