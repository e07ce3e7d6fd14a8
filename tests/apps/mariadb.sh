# needs: mariadbd mariadb-install-db mariadb setpriv
# timeout: 180
exec 2>&1
as() {
    local run=; [ "$1" = exec ] && { run=exec; shift; }
    if [ "$(id -u)" = 0 ]; then $run setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$PWD" "$@"; else $run "$@"; fi
}
# Directories above the harness's are closed to other users.
d=$(mktemp -d /tmp/maria.XXXXXX) && cd "$d" || exit 1
trap 'cd /; rm -rf "$d"' EXIT
[ "$(id -u)" = 0 ] && chown 65534:65534 .
as mariadb-install-db --no-defaults --datadir="$PWD/data" --skip-test-db --auth-root-authentication-method=normal > install.log 2>&1 && echo installed || tail -5 install.log
start() {
    (as exec mariadbd --no-defaults --datadir="$PWD/data" --socket="$PWD/s" --port=13306 --bind-address=127.0.0.1 --innodb-buffer-pool-size=32M --log-error="$PWD/log" > out 2>&1) & server=$!
    for i in $(seq 300); do as mariadb --no-defaults -S "$PWD/s" -u root -e 'select 1' > /dev/null 2>&1 && echo started && return; sleep 0.1; done
    tail -5 log
}
q() { as mariadb --no-defaults -S "$PWD/s" -u root -N -B -e "$@"; }
start
q 'create database d; use d; create table t (id int auto_increment primary key, v varchar(64), key (v)) engine=innodb; insert into t (v) select md5(seq) from seq_1_to_5000; select count(*), min(v), max(v) from t; create table m (a int) engine=aria; insert into m values (1), (2); select sum(a) from m'
as mariadb --no-defaults -h 127.0.0.1 -P 13306 --protocol=tcp -u root -N -B -e 'select 6 * 7'
for i in 1 2 3 4; do (for j in $(seq 25); do echo "update d.t set v = concat(v, 'x') where id = $i;"; done | as mariadb --no-defaults -S "$PWD/s" -u root) & pids="$pids $!"; done; wait $pids
q 'select id, length(v) from d.t where id < 6'
q 'begin; delete from d.t; rollback; select count(*) from d.t'
{ kill -9 $server; wait $server; } 2> /dev/null; echo killed
start
q 'select count(*), sum(length(v)) from d.t; check table d.t'
as mariadb-admin --no-defaults -S "$PWD/s" -u root shutdown; wait $server; echo stopped $?
