exec 2>&1
/usr/bin/python3 - <<'END'
import tempfile, os, shutil, pathlib, stat, fcntl, mmap, glob, json, pickle, zipfile, tarfile, csv, gzip, errno
with tempfile.TemporaryFile() as f: f.write(b"abc"); f.seek(0); print(f.read())
with tempfile.NamedTemporaryFile(dir=".") as f: print(os.path.exists(f.name), oct(os.stat(f.name).st_mode)); n = f.name
print(os.path.exists(n))
with tempfile.TemporaryDirectory() as d:
    p = pathlib.Path(d); (p / "a/b").mkdir(parents=True); (p / "a/b/c.txt").write_text("héllo"); print(sorted(x.name for x in p.rglob("*")))
    shutil.copytree(p / "a", p / "z"); shutil.move(p / "z", p / "y"); print((p / "y/b/c.txt").read_text()); shutil.make_archive(str(p / "arc"), "gztar", p / "a"); print(tarfile.open(p / "arc.tar.gz").getnames())
print(os.path.exists(d)); s = tempfile.SpooledTemporaryFile(10); s.write(b"x" * 100); s.seek(0); print(len(s.read()))
f = open("m", "w+b"); f.truncate(8192); m = mmap.mmap(f.fileno(), 0); m[0:5] = b"hello"; m.flush(); f.seek(0); print(f.read(5)); m.close()
os.symlink("m", "l"); os.link("m", "h"); print(os.readlink("l"), os.stat("h").st_nlink, os.path.samefile("m", "h")); os.utime("m", ns=(10**18 + 123456789, 10**18 + 987654321)); print(os.stat("m").st_mtime_ns)
fd = os.open("lock", os.O_CREAT | os.O_RDWR); fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB); fd2 = os.open("lock", os.O_RDWR)
try: fcntl.flock(fd2, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError as e: print(errno.errorcode[e.errno])
fcntl.lockf(fd, fcntl.LOCK_EX, 10); print(os.get_inheritable(fd), os.isatty(fd)); os.setxattr("m", "user.a", b"v") if 0 else None
os.pwrite(fd, b"xyz", 5); print(os.pread(fd, 10, 0), os.lseek(fd, 0, 2), os.fstat(fd).st_size); os.posix_fallocate(fd, 0, 4096); print(os.fstat(fd).st_size); print(os.sendfile(os.open("o", os.O_CREAT | os.O_RDWR), fd, 0, 100), os.copy_file_range(fd, fd2, 4, 0, 100))
for e, call in ((0, lambda: os.rmdir("m")), (1, lambda: open("none")), (2, lambda: os.mkdir("m")), (3, lambda: os.listdir("m")), (4, lambda: os.open("l", os.O_NOFOLLOW))):
    try: call()
    except OSError as x: print(e, errno.errorcode[x.errno])
print(sorted(x.name for x in os.scandir(".") if x.is_file(follow_symlinks=False))); print(os.umask(0o77), os.access("m", os.W_OK), os.get_terminal_size.__name__); print(len(os.urandom(16)), os.cpu_count() > 0, os.path.realpath("l").endswith("/m"))
END
