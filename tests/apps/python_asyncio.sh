exec 2>&1
/usr/bin/python3 - <<'END'
import asyncio, os, signal, sys, socket
async def server():
    async def handle(r, w):
        while line := await r.readline():
            w.write(line.upper()); await w.drain()
        w.close()
    s = await asyncio.start_unix_server(handle, "s.sock")
    async def client(n):
        r, w = await asyncio.open_unix_connection("s.sock")
        out = []
        for i in range(20):
            w.write(f"msg {n} {i}\n".encode()); out.append(await r.readline())
        w.close(); await w.wait_closed()
        return out[-1]
    print(await asyncio.gather(*(client(n) for n in range(10))))
    s.close(); await s.wait_closed()
async def procs():
    p = await asyncio.create_subprocess_exec("sort", "-r", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    print(await p.communicate(b"a\nb\nc\n"), p.returncode)
    ps = [await asyncio.create_subprocess_shell(f"exit {i}") for i in range(4)]
    print([await p.wait() for p in ps])
async def timing():
    loop = asyncio.get_running_loop(); got = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, got.set); os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(got.wait(), 5); print("signal")
    try: await asyncio.wait_for(asyncio.sleep(10), 0.05)
    except asyncio.TimeoutError: print("timeout")
    print(await loop.run_in_executor(None, sum, range(100)), await asyncio.to_thread(lambda: 5))
    q = asyncio.Queue()
    async def prod():
        for i in range(5): await q.put(i); await asyncio.sleep(0)
        await q.put(None)
    t = asyncio.create_task(prod()); out = []
    while (x := await q.get()) is not None: out.append(x)
    print(out)
    a, b = socket.socketpair(); a.setblocking(False); b.setblocking(False)
    await loop.sock_sendall(a, b"z" * 300000) if False else None
    f = asyncio.ensure_future(loop.sock_recv(b, 10)); await asyncio.sleep(0.01); await loop.sock_sendall(a, b"ping"); print(await f); a.close(); b.close()
for f in (server, procs, timing): asyncio.run(f())
END
