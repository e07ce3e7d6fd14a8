#!/bin/sh
# tar of /usr/include through a pipe (/usr/include/linux when quick).
set -eu
[ "${2:-run}" = run ] || exit 0
[ -d /usr/include/linux ] || { echo "no /usr/include/linux" >&2; exit 77; }
tree=usr/include
[ -z "${BENCH_QUICK:-}" ] || tree=usr/include/linux
tar -C / -cf - "$tree" | cat > /dev/null
