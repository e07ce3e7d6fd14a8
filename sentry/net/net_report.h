/*
 * net_report.h: what /proc/net tells of the sandbox's sockets. Appends to text; -ENOMEM.
 */
#pragma once

#include "platform/base/compiler.h"

struct text;

/* /proc/net/{tcp,tcp6,udp,udp6,udplite,udplite6}, with the head line. */
int net_report_inet(struct text *text, int domain, int protocol) must_check;
int net_report_unix(struct text *text) must_check;
int net_report_sockstat(struct text *text, int domain) must_check;
