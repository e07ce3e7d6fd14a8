/* socket_arguments.h: socket addresses and descriptors as arguments of calls. */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"

struct file;
struct socket_address;
struct syscall_args;
struct task;

/* -EINVAL: length is negative or above 128; -EFAULT. Length 0 reads nothing. */
int copy_in_sockaddr(uint64_t addr, int length, struct socket_address *ret_name) must_check;
/* Writes as much as *length_addr allows, and the full length there. -EFAULT, -EINVAL. */
int copy_out_sockaddr(const struct socket_address *name, uint64_t addr,
                      uint64_t length_addr) must_check;
/* The socket of argument 0, a reference; NULL with *ret_error -EBADF or -ENOTSOCK. */
struct file *arg_socket(struct task *task, const struct syscall_args *args, int *ret_error);
