# needs: memcached python3
# timeout: 60
exec 2>&1
u=; [ "$(id -u)" = 0 ] && u='-u nobody'
memcached $u -l 127.0.0.1 -p 21211 -U 0 -m 16 -t 4 & p=$!
sleep 0.5
python3 - <<'END'
import socket, threading
def talk(n, out):
    s = socket.create_connection(("127.0.0.1", 21211)); f = s.makefile("rwb")
    good = 0
    for i in range(300):
        v = (b"%d:%d" % (n, i)) * 20
        f.write(b"set k%d-%d 0 0 %d\r\n%s\r\n" % (n, i, len(v), v)); f.flush()
        assert f.readline() == b"STORED\r\n"
        f.write(b"get k%d-%d\r\n" % (n, i)); f.flush()
        f.readline(); good += f.readline().rstrip() == v; f.readline()
    f.write(b"incr missing 1\r\n"); f.flush(); out[n] = (good, f.readline())
out = {}
threads = [threading.Thread(target=talk, args=(n, out)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(out.items()))
s = socket.create_connection(("127.0.0.1", 21211)); s.sendall(b"stats\r\n")
text = b""
while not text.endswith(b"END\r\n"):
    text += s.recv(4096)
print([l for l in text.decode().splitlines() if l.split()[1:2] and l.split()[1] in ("cmd_set", "get_hits", "curr_items", "threads")])
END
kill $p; wait $p; echo $?
