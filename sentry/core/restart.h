/*
 * restart.h: results that mean "interrupted by a signal". They never reach the guest: the signal
 * code turns them into -EINTR or a restarted call. Values and meaning: Linux include/linux/errno.h.
 */
#pragma once

#define ERESTARTSYS           512 /* restart if the handler has SA_RESTART or there is none */
#define ERESTARTNOINTR        513 /* always restart */
#define ERESTARTNOHAND        514 /* restart only if no handler runs */
#define ERESTART_RESTARTBLOCK 516 /* restart through restart_syscall(2) if no handler runs */
