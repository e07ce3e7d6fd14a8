/*
 * netlink_route.h: what NETLINK_ROUTE tells of the sandbox's only interface.
 */
#pragma once

#include <linux/netlink.h>
#include <stdint.h>

#include "platform/base/text.h"

/* Appends the answer to one request, whose body of length bytes is hostile. */
void netlink_route_answer(struct text *text, const struct nlmsghdr *request,
                          const unsigned char *body, uint32_t length, uint32_t port_id);
/* The same for NETLINK_SOCK_DIAG, as a kernel without the modules for it answers: programs then
 * read /proc/net. */
void netlink_diag_answer(struct text *text, const struct nlmsghdr *request,
                         const unsigned char *body, uint32_t length, uint32_t port_id);
