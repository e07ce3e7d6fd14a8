exec 2>&1
/usr/bin/python3 - <<'END'
import socket, os, array, select, struct, threading, errno
a, b = socket.socketpair(); a.sendall(b"hi"); print(b.recv(10)); a.shutdown(socket.SHUT_WR); print(b.recv(1)); a.close(); b.close()
s = socket.socket(socket.AF_UNIX); s.bind("u.sock"); s.listen(5)
def client():
    c = socket.socket(socket.AF_UNIX); c.connect("u.sock"); f = open("/etc/hostname") if os.path.exists("/etc/hostname") else open("/etc/passwd")
    socket.send_fds(c, [b"fd"], [f.fileno()]); print(c.recv(100)); c.close()
t = threading.Thread(target=client); t.start(); c, _ = s.accept(); m, fds, _, _ = socket.recv_fds(c, 10, 4); print(m, len(fds), len(os.read(fds[0], 5)) > 0)
print(struct.unpack("3i", c.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1] == os.getuid()); c.sendall(b"thanks"); t.join()
d1, d2 = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); d1.send(b"one"); d1.send(b"two"); print(d2.recv(10), d2.recv(10))
q1, q2 = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET); q1.send(b"abc"); print(q2.recv(2), q2.getsockname())
x = socket.socket(socket.AF_UNIX); x.bind("\0abstract-name"); x.listen(); y = socket.socket(socket.AF_UNIX); y.connect("\0abstract-name"); print(x.accept()[1], y.getpeername())
for fam, addr in ((socket.AF_UNIX, "nope.sock"),):
    try: socket.socket(fam).connect(addr)
    except OSError as e: print(errno.errorcode[e.errno])
p = select.poll(); p.register(q1, select.POLLIN); print(p.poll(10)); q2.send(b"z"); print([e for _, e in p.poll(1000)]); e = select.epoll(); e.register(q1.fileno(), select.EPOLLIN | select.EPOLLET); print(len(e.poll(1)), len(e.poll(0.01)))
END
