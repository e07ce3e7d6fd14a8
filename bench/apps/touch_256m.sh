#!/bin/sh
# Touching every page of 256 MB of memory, once.
set -eu
[ "${2:-run}" = run ] || exit 0
command -v /usr/bin/python3 > /dev/null || { echo "python3 is not installed" >&2; exit 77; }
exec /usr/bin/python3 -c '
area = bytearray(256 << 20)
area[::4096] = b"x" * (len(area) // 4096)'
