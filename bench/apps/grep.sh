#!/bin/sh
# grep -r for a word over Python's library (asyncio alone when quick).
set -eu
[ "${2:-run}" = run ] || exit 0
for tree in /usr/lib/python3.*; do :; done
[ -d "$tree" ] || { echo "no /usr/lib/python3.* to search" >&2; exit 77; }
[ -z "${BENCH_QUICK:-}" ] || tree=$tree/asyncio
LC_ALL=C grep -r import_module_or_none_at_all "$tree" > "$1/found" || [ $? = 1 ]
