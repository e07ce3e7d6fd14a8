/* internal.h: the parts of the boot, in the order in which boot.c calls them. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/boot/config.h"
#include "sentry/vfs/path.h"

struct super;
struct task;
struct file;

/* Mounts everything of config->mounts. On failure text says what. */
int boot_mounts(const struct sentry_config *config, char *text, size_t text_size) must_check;
/* Registers what a guest may mount. */
int boot_filesystems(void) must_check;
/* What devtmpfs is: borrowed; NULL before /dev is mounted. */
struct super *boot_devices(void);
/* Calls fn for every change under the cow mounts; see boot_report. */
void boot_send_changes(const struct sentry_config *config);
/* True when the gofer has gone: what the guest did since then proves nothing. */
bool boot_gofer_lost(void);
/* True when some cow mount exists. */
bool boot_has_changes(void);

/* Init and the first task with memory, descriptors, credentials; its program is loaded. *ret_failed
 * tells that the program could not be run (as opposed to the sandbox). */
int boot_first_task(const struct sentry_config *config, struct task **ret_task, bool *ret_failed,
                    char *text, size_t text_size) must_check;

/* The guest's standard streams: descriptors 0, 1, 2 of table. */
struct fd_table;
int boot_streams(const struct sentry_config *config, struct fd_table *table) must_check;

/* What happens at the end: sends EXITED, changes, statistics, DONE; ends the process. */
_Noreturn void boot_finish(const struct sentry_config *config, int wait_status);
/* Answers the launcher until the connection ends. The sentry's main thread. */
_Noreturn void boot_serve_control(const struct sentry_config *config);
void boot_report_init(const struct sentry_config *config);
/* The first process has exited, or the sandbox must end: lets the main thread finish. Any thread.
 */
void boot_request_finish(int wait_status);
/* Tells the launcher of a limit, once per name. */
void boot_limit_hit(const char *name, const char *detail, bool fatal);
/* Ends the sandbox when mapped in-memory files are larger than allowed. */
void boot_check_tmpfs(void);

/* The guest's terminal, when the launcher has one. */
/* *ret_file: an open slave of it (a reference), or NULL. The caller is the session's leader. */
int boot_console_start(const struct sentry_config *config, struct file **ret_file) must_check;
void boot_console_resize(const struct winsize *window);
void boot_console_drain(void);
