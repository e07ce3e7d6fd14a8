/*
 * tty.h: terminals of the sandbox: pseudo-terminal pairs, /dev/pts, /dev/tty, the console.
 *
 * Every terminal is a pair: a slave with the line discipline and a master that stands for the
 * hardware. The sandbox's console is a pair whose master the sentry itself pumps to the host.
 * Sources: tty(4), pty(7), termios(3), ioctl_tty(2), Linux
 * drivers/tty/{n_tty,pty,tty_jobctrl,tty_io}.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/base/compiler.h"

struct file;
struct super;
struct tty;
struct winsize;

#define PTY_SLAVE_MAJOR 136
#define PTY_MAX         4096

/* Registers with the kernel (job control, session leaders that exit). At boot. */
void tty_init(void);

/* A devpts instance; all show the same terminals. */
int devpts_new(struct super **ret_super) must_check;

/* Open functions of device nodes; file's mode and flags are set, ops and private_data are filled.
 */
int tty_open_current(struct file *file) must_check; /* /dev/tty. ENXIO: no controlling terminal */
int tty_open_console(struct file *file) must_check; /* /dev/console. ENXIO: none */
int pty_open_master(struct file *file) must_check;  /* /dev/ptmx. ENOSPC: PTY_MAX */
int pty_open_slave(struct file *file, unsigned index) must_check; /* ENXIO, EIO while locked */

/*
 * The console: makes pair 0 and starts two threads that move bytes from in_fd to its input and from
 * its output to out_fd (either may be -1; both stay the caller's). ret_file: an open slave for
 * descriptors 0 to 2. The launcher has put the real terminal into raw mode. After devpts is
 * mounted.
 */
int console_start(int in_fd, int out_fd, const struct winsize *size,
                  struct file **ret_file) must_check;
/* Makes the console (an open slave file of it) the terminal of the calling task's session, which it
 * leads. -EPERM, -ENXIO. */
int console_attach(struct file *file) must_check;
/* The real terminal has a new size: SIGWINCH to the foreground. */
void tty_console_resize(const struct winsize *size);
/* Waits until everything written to the console is on out_fd, at most about timeout_ms. */
void console_drain(unsigned timeout_ms);
