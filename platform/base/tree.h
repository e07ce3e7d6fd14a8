/* tree.h: intrusive red-black trees. The only file that includes libbsd's sys/tree.h (RB_*). */
#pragma once

#include <bsd/sys/tree.h>
