/*
 * memory_access.h: does an instruction write to memory? For page faults whose error code the host
 * does not tell.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/arch/registers.h"

/*
 * The 64-bit instruction at `bytes` (guest bytes: any content, any length up to 15) faulted on an
 * access to addr. True when that access was a write, as well as it can be told from the opcode;
 * read-modify-write counts as a write.
 */
bool arch_access_is_write(const uint8_t *bytes, size_t length, const struct arch_regs *regs,
                          uint64_t addr);
