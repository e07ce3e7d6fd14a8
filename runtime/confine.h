/* confine.h: what the launcher gives up once its children run. */
#pragma once

#include "platform/base/compiler.h"

/*
 * From here on the launcher gains no privileges and makes no host call but those that watching,
 * saving and reporting need: no exec, fork, socket, ptrace, mount or bpf. Landlock is not used
 * here: a process inside a Landlock domain may not read the memory figures of processes outside of
 * it. Does nothing where the host has no seccomp.
 */
void confine_launcher(void);
/* Writes that filter to fd as struct sock_filter instead. */
int confine_launcher_export(int fd) must_check;
