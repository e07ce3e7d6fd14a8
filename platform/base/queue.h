/* queue.h: intrusive lists. The only file that includes libbsd's sys/queue.h (TAILQ_*, LIST_*). */
#pragma once

#include <bsd/sys/queue.h>
