#!/bin/sh
# sort of 100 MB of text (10 MB when quick).
set -eu
cd "$1"
if [ "${2:-run}" = prepare ] || [ ! -f lines ]; then
    megabytes=100
    [ -z "${BENCH_QUICK:-}" ] || megabytes=10
    # Reproducible lines of 64 bytes without a slow interpreter: a generator in awk makes 1 MB, and
    # each further megabyte is the same with its columns turned.
    awk 'BEGIN { x = 1; for (i = 0; i < 16384; i++) { x = (x * 69069 + 1) % 4294967296;
        printf "%010u %052d\n", x, i } }' > block
    i=0
    while [ $i -lt $megabytes ]; do
        if [ $((i % 2)) = 0 ]; then
            cut -c $((i % 10 + 1))-63 block
        else
            tr 0123456789 $((i % 10))123456789 < block
        fi
        i=$((i + 1))
    done > lines
    rm block
    [ "${2:-run}" = run ] || exit 0
fi
LC_ALL=C sort -T . lines -o sorted
