#!/bin/sh
# dd in 1 MB blocks: 512 MB written to a file and read back (64 MB when quick).
set -eu
[ "${2:-run}" = run ] || exit 0
cd "$1"
blocks=512
[ -z "${BENCH_QUICK:-}" ] || blocks=64
dd if=/dev/zero of=file bs=1M count=$blocks status=none
dd if=file of=/dev/null bs=1M status=none
