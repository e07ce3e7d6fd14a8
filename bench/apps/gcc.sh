#!/bin/sh
# gcc -O1 -c of 1000 lines of C.
set -eu
command -v gcc > /dev/null || { echo "gcc is not installed" >&2; exit 77; }
cd "$1"
if [ "${2:-run}" = prepare ] || [ ! -f source.c ]; then
    {
        echo '#include <stdio.h>'
        echo '#include <stdlib.h>'
        echo '#include <string.h>'
        i=0
        while [ $i -lt 100 ]; do
            echo "int work$i(int a, const char *text)"
            echo '{'
            echo '    int sum = (int)strlen(text);'
            echo "    for (int i = 0; i < a; i++) {"
            echo "        sum += i * $i + (sum >> 3);"
            echo '    }'
            echo '    char line[64];'
            echo '    snprintf(line, sizeof(line), "%d", sum);'
            echo '    return atoi(line);'
            echo '}'
            i=$((i + 1))
        done
    } > source.c
    [ "${2:-run}" = run ] || exit 0
fi
export TMPDIR="$1"
gcc -O1 -c source.c -o source.o
