/*
 * pair.h: two processes at the ends of a channel.
 */
#pragma once

#include <sys/types.h>

struct pair_end {
    int read;
    int write;
};

/* A TCP connection over the loopback. */
void pair_loopback(struct pair_end *ret_near, struct pair_end *ret_far);

/* A child that runs serve(far) and ends; it has closed near. */
pid_t pair_fork(const struct pair_end *near, const struct pair_end *far,
                void (*serve)(const struct pair_end *far));
/* Ends the child. */
void pair_end_child(pid_t child);

/* Measures one byte to the other end and back. Returns main()'s status. */
int pair_pingpong(const char *name, const struct pair_end *near, const struct pair_end *far);
