# needs: pg_ctlcluster psql setpriv
# timeout: 180
# PostgreSQL: System V shared memory and semaphores, many processes, loopback TCP, restart after a crash.
exec 2>&1
umask 022
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
d=$(mktemp -d /tmp/postgres.XXXXXX) && chmod 777 "$d" && cd "$d" || exit 1
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; else "$@"; fi; }
export PATH=$bin:$PATH PGHOST=127.0.0.1 PGPORT=15433 PGUSER=me PGDATABASE=postgres HOME=$PWD PGTZ=UTC
as initdb -D db -U me --no-sync --auth=trust > initdb.log || { cat initdb.log; exit 1; }
echo initdb done
start() { as pg_ctl -D db -w -t 60 -l server.log -o "-p $PGPORT -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c shared_memory_type=$1 -c dynamic_shared_memory_type=$2 -c fsync=off" start > start.log 2>&1 && echo started "$1" "$2" || { cat start.log server.log; exit 1; }; }
q() { as psql -X -q -A -t -c "$1"; }
start sysv sysv
q "create table t(a int primary key, b text); insert into t select i, 'row ' || i from generate_series(1, 5000) i"
q "select count(*), sum(a), max(b) from t"
q "begin; update t set b = 'changed' where a = 7; rollback"
q "select b from t where a = 7"
q "set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0; select count(*) from t where b like '%9%'"
as pgbench -i -q -s 1 > pgbench.log 2>&1 && echo initialised
as pgbench -n -c 4 -j 2 -t 50 > pgbench.log 2>&1; grep -o 'actually processed: .*' pgbench.log
q "select count(*) from pgbench_history"
kill -9 "$(head -1 db/postmaster.pid)"; sleep 1
as pg_ctl -D db -m immediate -w stop > /dev/null 2>&1
start mmap posix
q "select count(*), sum(a) from t"
q "select count(*) from pgbench_history"
as pg_ctl -D db -w stop > /dev/null && echo stopped
cd / && rm -rf "$d"
