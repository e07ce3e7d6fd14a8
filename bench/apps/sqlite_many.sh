#!/bin/sh
# sqlite3: 500 transactions of one row each (100 when quick).
set -eu
command -v sqlite3 > /dev/null || { echo "sqlite3 is not installed" >&2; exit 77; }
cd "$1"
if [ "${2:-run}" = prepare ] || [ ! -f script.sql ]; then
    rows=500
    [ -z "${BENCH_QUICK:-}" ] || rows=100
    {
        echo 'create table t (id integer primary key, name text);'
        i=0
        while [ $i -lt $rows ]; do
            echo "insert into t values ($i, 'name $i');"
            i=$((i + 1))
        done
    } > script.sql
    [ "${2:-run}" = run ] || exit 0
fi
sqlite3 -init /dev/null base.db < script.sql
