#!/bin/sh
# node start-up: an engine that does nothing.
set -eu
[ "${2:-run}" = run ] || exit 0
command -v node > /dev/null || { echo "node is not installed" >&2; exit 77; }
cd "$1"
exec node -e 0
