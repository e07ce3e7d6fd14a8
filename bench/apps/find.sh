#!/bin/sh
# find over /usr/share, with a stat of every file (/usr/share/doc when quick).
set -eu
[ "${2:-run}" = run ] || exit 0
tree=/usr/share
[ -z "${BENCH_QUICK:-}" ] || tree=/usr/share/doc
find "$tree" -type f -size +100000k > "$1/found"
