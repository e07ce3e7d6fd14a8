# timeout: 240
exec 2>&1
/usr/bin/python3 - <<'END'
import os
os.mkdir("d")
for i in range(20000): os.close(os.open(f"d/f{i:06}", os.O_CREAT | os.O_WRONLY))
names = os.listdir("d"); print(len(names), len(set(names)), min(names), max(names))
print(sum(1 for e in os.scandir("d") if e.is_file()))
for i in range(0, 20000, 2): os.unlink(f"d/f{i:06}")
print(len(os.listdir("d")))
f = open("sparse", "wb"); f.seek(5 << 30); f.write(b"end"); f.close(); print(os.stat("sparse").st_size, os.stat("sparse").st_blocks < 100000)
with open("sparse", "rb") as f: f.seek(-3, 2); print(f.read()); print(os.lseek(f.fileno(), 0, os.SEEK_DATA) > 0)
p = "p"
for i in range(60): os.mkdir(p); p += "/q"
print(os.path.isdir(os.path.dirname(p))); print(len(os.listdir("/usr/bin")) > 100)
END
