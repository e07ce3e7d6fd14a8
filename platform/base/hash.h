/*
 * hash.h: intrusive hash tables. The only file that includes uthash (HASH_ADD, HASH_FIND, …).
 *
 * Allocation failure inside uthash is not fatal: the added element's hh.tbl is NULL afterwards
 * (HASH_NONFATAL_OOM), so test `hash_was_added(element)` after each HASH_ADD.
 */
#pragma once

#define HASH_NONFATAL_OOM            1
#define uthash_nonfatal_oom(element) ((void)(element))
#include <uthash.h>

#define hash_was_added(element) ((element)->hh.tbl != NULL)
