# timeout: 240
exec 2>&1
cat > mp.py <<'END'
import multiprocessing as mp, sys, os
def sq(x): return x * x
def put(q, n): q.put((n, os.getpid() != mp.parent_process().pid))
def add(v, a, n):
    for _ in range(n):
        with v.get_lock(): v.value += 1
    a[n % 4] = n
def echo(c):
    while (m := c.recv()) is not None: c.send(m * 2)
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        ctx = mp.get_context(method)
        with ctx.Pool(3) as pool: print(method, pool.map(sq, range(10)), pool.apply_async(sq, (7,)).get(30))
        q = ctx.Queue(); ps = [ctx.Process(target=put, args=(q, i)) for i in range(3)]; [p.start() for p in ps]
        print(sorted(q.get(timeout=30) for _ in ps)); [p.join() for p in ps]; print([p.exitcode for p in ps])
        v, a = ctx.Value("i", 0), ctx.Array("i", 4); ps = [ctx.Process(target=add, args=(v, a, 200)) for _ in range(3)]
        [p.start() for p in ps]; [p.join() for p in ps]; print(v.value, list(a))
        c, d = ctx.Pipe(); p = ctx.Process(target=echo, args=(d,)); p.start(); c.send("ab"); print(c.recv()); c.send(None); p.join()
        p = ctx.Process(target=sq, args=("x",)); l = ctx.Lock(); print(l.acquire(timeout=1), l.acquire(timeout=0.05)); l.release()
    from multiprocessing import shared_memory
    s = shared_memory.SharedMemory(create=True, size=4096); s.buf[:3] = b"abc"; t = shared_memory.SharedMemory(s.name); print(bytes(t.buf[:3])); t.close(); s.close(); s.unlink()
    import concurrent.futures as cf
    with cf.ProcessPoolExecutor(2) as ex: print(list(ex.map(sq, range(5))))
END
/usr/bin/python3 mp.py 2>/dev/null
