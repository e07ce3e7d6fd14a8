exec 2>&1
/usr/bin/python3 - <<'END'
import threading, queue, time, concurrent.futures as cf, signal, os
lock, total = threading.Lock(), 0
def work(n):
    global total
    for _ in range(n):
        with lock:
            total += 1
ts = [threading.Thread(target=work, args=(5000,)) for _ in range(8)]
[t.start() for t in ts]; [t.join() for t in ts]
print(total)
q = queue.Queue(3); out = []
def consume():
    while (x := q.get()) is not None:
        out.append(x * x)
t = threading.Thread(target=consume); t.start()
for i in range(50): q.put(i)
q.put(None); t.join(); print(sum(out))
with cf.ThreadPoolExecutor(4) as ex: print(list(ex.map(lambda x: x + 1, range(10))))
ev = threading.Event(); threading.Timer(0.1, ev.set).start(); print(ev.wait(5), ev.is_set())
c = threading.Condition(); state = []
def waiter():
    with c:
        c.wait_for(lambda: state, 5); print("woken", state)
t = threading.Thread(target=waiter); t.start()
with c: state.append(1); c.notify_all()
t.join()
b = threading.Barrier(4); r = []
ts = [threading.Thread(target=lambda: r.append(b.wait(5))) for _ in range(4)]; [t.start() for t in ts]; [t.join() for t in ts]; print(sorted(r))
s = threading.Semaphore(0); print(s.acquire(timeout=0.05))
l = threading.local(); l.x = 1; print(hasattr(l, "x"), threading.active_count())
signal.signal(signal.SIGALRM, lambda *a: print("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.2)
signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM); time.sleep(0.01)
END
