# needs: psql setpriv
# timeout: 180
exec 2>&1
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
[ -x "$bin/initdb" ] || { echo no server; exit 0; }
as() {
    local run=; [ "$1" = exec ] && { run=exec; shift; }
    if [ "$(id -u)" = 0 ]; then $run setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$PWD" "$@"; else $run "$@"; fi
}
# Directories above the harness's are closed to other users.
d=$(mktemp -d /tmp/pg.XXXXXX) && cd "$d" || exit 1
trap 'cd /; rm -rf "$d"' EXIT
[ "$(id -u)" = 0 ] && chown 65534:65534 .
export PGHOST="$PWD" PGPORT=15432 PGUSER=me PGDATABASE=postgres LC_ALL=C
as "$bin/initdb" -D data -U me -A trust --no-sync > initdb.log 2>&1 && echo initdb || tail -3 initdb.log
start() {
    (as exec "$bin/postgres" -D data -c cluster_name="$(basename "$PWD")" -k "$PWD" -c listen_addresses=127.0.0.1 -p 15432 -c fsync=off > log 2>&1) & server=$!
    for i in $(seq 300); do as "$bin/pg_isready" -q && echo started && return; sleep 0.1; done
    tail -5 log
}
q() { as psql -XAtq "$@"; }
start
q -c 'create table t (id serial primary key, v text); insert into t (v) select md5(g::text) from generate_series(1, 5000) g; create index on t (v)' -c 'select count(*), min(v), max(v) from t' -c "select id from t where v = md5('77')"
q -h 127.0.0.1 -c 'select 1 + 1' -c 'show max_connections'
(q -c "begin; lock t; select pg_sleep(0.5); update t set v = 'locked' where id = 1; commit" > /dev/null) & sleep 0.2; q -c 'select v from t where id = 1 for update'; wait $!
q -c 'listen c' -c "notify c, 'hi'" -c 'select 1' | sed 's/PID [0-9]*/PID/'
as "$bin/pgbench" -i -s 1 -q > /dev/null 2>&1 && as "$bin/pgbench" -c 4 -j 2 -t 50 > bench 2>&1; grep -E '^number of (clients|transactions actually)' bench
q -c 'set max_parallel_workers_per_gather = 2; set min_parallel_table_scan_size = 0; set parallel_setup_cost = 0; select count(*) from pgbench_accounts where bid = 1'
{ kill -9 $server; wait $server; } 2> /dev/null; echo killed
while pgrep -f "postgres: .*$(basename "$PWD")" > /dev/null; do sleep 0.2; done; sleep 1
start
q -c 'select count(*) from t' -c 'select count(*) from pgbench_accounts'
as "$bin/pg_dump" -t t | grep -c '^[0-9]'
kill -INT $server; wait $server; echo stopped $?
