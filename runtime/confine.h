/* confine.h: what the launcher gives up once its children run. */
#pragma once

/*
 * From here on the launcher gains no privileges and makes no host call but those that watching,
 * saving and reporting need: no exec, fork, socket, ptrace, mount or bpf. Landlock is not used
 * here: a process inside a Landlock domain may not read the memory figures of processes outside of
 * it. Does nothing where the host has no seccomp.
 */
void confine_launcher(void);
