/*
 * process.h: host calls on processes and threads: signals, waiting, CPU time, CPU placement.
 *
 * All return negative errno on failure. Pids of our own children stay valid until they are reaped.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/base/compiler.h"

pid_t host_gettid(void);
/* signo 0 only checks that the thread exists in that process. */
int host_tgkill(pid_t pid, pid_t tid, int signo) must_check;
int host_kill(pid_t pid, int signo) must_check;
/* waitpid(pid, …, __WALL), restarted after signals of our own. Returns the pid. */
pid_t host_wait(pid_t pid, int *ret_status) must_check;
int host_pidfd_open(pid_t pid) must_check;

/* CLOCK_MONOTONIC. */
uint64_t host_monotonic_ns(void);
/* CPU time of a whole other process in nanoseconds. */
int host_process_cpu_time(pid_t pid, uint64_t *ret_user_ns, uint64_t *ret_system_ns) must_check;

/* Affinity of a thread (0: the caller); masks are host masks of mask_size bytes. */
int host_get_affinity(pid_t tid, void *mask, size_t mask_size) must_check;
int host_set_affinity(pid_t tid, const void *mask, size_t mask_size) must_check;
