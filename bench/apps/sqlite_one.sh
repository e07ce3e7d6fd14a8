#!/bin/sh
# sqlite3: 50,000 rows (5,000 when quick) in one transaction, an index, a query.
set -eu
[ "${2:-run}" = run ] || exit 0
command -v sqlite3 > /dev/null || { echo "sqlite3 is not installed" >&2; exit 77; }
cd "$1"
rows=50000
[ -z "${BENCH_QUICK:-}" ] || rows=5000
sqlite3 -init /dev/null base.db > out <<END
create table t (id integer primary key, name text, value real);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < $rows)
    insert into t select i, 'name ' || (i * 7919 % 10007), i * 0.5 from n;
commit;
create index t_name on t (name);
select count(*) from t where name like 'name 1%';
END
[ -s out ]
