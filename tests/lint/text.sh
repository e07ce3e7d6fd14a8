#!/bin/sh
# text.sh: no unfinished marks, no commented-out code, no tabs or trailing blanks, no paths of one machine.
cd "$(dirname "$0")/../.." || exit 2
bad=0
list() { git ls-files -co --exclude-standard "$@" | while read -r f; do [ -f "$f" ] && echo "$f"; done; }
check() { # TEXT PATTERN FILES...
    what=$1 pattern=$2; shift 2
    found=$(list "$@" | grep -v '^tests/lint/text.sh$' | xargs grep -nE "$pattern" 2> /dev/null)
    if [ -n "$found" ]; then
        echo "$found" | sed "s|^|$what: |"
        bad=1
    fi
}
check 'unfinished' '\b(TODO|FIXME|XXX|HACK)\b' '*.c' '*.h' '*.def' '*.sh' '*.md' '*.txt'
check 'tab' "$(printf '\t')" '*.c' '*.h' '*.def'
check 'trailing blank' ' +$' '*.c' '*.h' '*.def' '*.sh' '*.md' 'CMakeLists.txt'
check 'line comment' '^ *// ' '*.c' '*.h'
check 'machine path' '/work/(main|shared)' '*'
check 'struct typedef' '^typedef struct' '*.h' '*.c'
for f in $(list 'platform/*.[ch]' 'gofer/*.[ch]' 'sentry/*.[ch]' 'syscalls/*.[ch]' 'runtime/*.[ch]'); do
    head -1 "$f" | grep -q '^/\*' || { echo "no file head: $f"; bad=1; }
    case $f in *.h) grep -qE '^#(pragma once|ifndef)' "$f" || { echo "no #pragma once: $f"; bad=1; } ;; esac
done
[ $bad = 0 ] && echo "text: clean"
exit $bad
