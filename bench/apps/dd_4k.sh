#!/bin/sh
# dd in 4 KB blocks: 80 MB written to a file and read back (8 MB when quick).
set -eu
[ "${2:-run}" = run ] || exit 0
cd "$1"
blocks=20000
[ -z "${BENCH_QUICK:-}" ] || blocks=2000
dd if=/dev/zero of=file bs=4k count=$blocks status=none
dd if=file of=/dev/null bs=4k status=none
