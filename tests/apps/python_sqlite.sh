exec 2>&1
/usr/bin/python3 - <<'END'
import sqlite3, os, multiprocessing as mp
def add(n):
    c = sqlite3.connect("t.db", timeout=30)
    for i in range(30):
        with c: c.execute("insert into t(k, v) values (?, ?)", (n, i))
    c.close()
c = sqlite3.connect("t.db"); c.execute("create table t(id integer primary key, k int, v int)"); c.commit()
with c: c.executemany("insert into t(k, v) values (?, ?)", ((0, i) for i in range(2000)))
try:
    with c: c.execute("insert into t(k, v) values (9, 9)"); raise RuntimeError
except RuntimeError: pass
print(c.execute("select count(*), sum(v) from t").fetchone())
ps = [mp.Process(target=add, args=(n,)) for n in (1, 2, 3)]; [p.start() for p in ps]; [p.join() for p in ps]
print(c.execute("select k, count(*) from t group by k order by k").fetchall())
print(c.execute("pragma journal_mode=wal").fetchone())
with c: c.execute("create index i on t(k, v)"); c.execute("delete from t where v % 2")
print(c.execute("select count(*) from t").fetchone(), c.execute("pragma integrity_check").fetchone()); c.execute("vacuum"); c.close()
d = sqlite3.connect(":memory:"); d.execute("create table x(a)"); d.executemany("insert into x values (?)", [(i,) for i in range(10)]); print(d.execute("select avg(a) from x").fetchone())
with sqlite3.connect("copy.db") as b: sqlite3.connect("t.db").backup(b); print(b.execute("select count(*) from t").fetchone())
END
