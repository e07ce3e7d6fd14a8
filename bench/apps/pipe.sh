#!/bin/sh
# 1 GB through a pipe between two processes (100 MB when quick), in 64 KB pieces.
set -eu
[ "${2:-run}" = run ] || exit 0
pieces=16384
[ -z "${BENCH_QUICK:-}" ] || pieces=1600
dd if=/dev/zero bs=64k count=$pieces status=none | cat > /dev/null
