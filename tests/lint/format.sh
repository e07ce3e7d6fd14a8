#!/bin/sh
# format.sh: clang-format decides. With --fix it rewrites the files.
cd "$(dirname "$0")/../.." || exit 2
command -v clang-format > /dev/null || { echo "format: clang-format is not installed; skipped"; exit 77; }
files=$(git ls-files -co --exclude-standard '*.c' '*.h' | while read -r f; do [ -f "$f" ] && echo "$f"; done)
if [ "$1" = --fix ]; then
    echo "$files" | xargs clang-format -i
    exit
fi
wrong=$(echo "$files" | xargs -n 1 -P 2 sh -c 'clang-format --dry-run -Werror "$0" 2> /dev/null || echo "$0"')
[ -z "$wrong" ] && { echo "format: clean"; exit 0; }
echo "$wrong" | sed 's/^/not formatted: /'
exit 1
