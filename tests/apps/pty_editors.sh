# needs: vi less
exec 2>&1
cat > drive.py <<'END'
import os, pty, select, sys, time, struct, fcntl, termios
def drive(argv, steps, rows=24, cols=80):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"; os.environ.pop("LESS", None)
        os.execvp(argv[0], argv)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    seen = b""
    def drain(t):
        nonlocal seen
        end = time.time() + t
        while time.time() < end:
            if select.select([fd], [], [], 0.05)[0]:
                try: d = os.read(fd, 65536)
                except OSError: return
                if not d: return
                seen += d
    drain(0.8)
    for s in steps: os.write(fd, s); drain(0.4)
    drain(0.3); _, st = os.waitpid(pid, 0)
    return seen, os.waitstatus_to_exitcode(st)
open("f.txt", "w").write("one\ntwo\n")
s, st = drive(["vi", "f.txt"], [b"Goinserted line\x1b", b"ggdd", b":wq\r"]); print("vi", st, repr(open("f.txt").read()))
open("long.txt", "w").write("".join(f"line {i}\n" for i in range(500)))
s, st = drive(["less", "long.txt"], [b" ", b"G", b"/line 25$\r", b"q"]); print("less", st, b"line 499" in s, b"line 3" in s)
s, st = drive(["sh", "-i"], [b"echo $((1+1))x\r", b"cat\r", b"typed\r", b"\x03", b"echo after\r", b"sleep 50\r", b"\x1a", b"jobs\r", b"kill -9 %1\r", b"exit 5\r", b"exit 5\r"]); print("sh", st, b"2x" in s, s.count(b"typed") >= 2, b"after" in s, b"topped" in s)
s, st = drive(["stty", "size"], [], 33, 99); print("stty", st, s.strip() in (b"33 99", b"24 80", b"0 0"))
s, st = drive(["python3", "-c", "import getpass; print(len(getpass.getpass('pw: ')))"], [b"secret\r"]); print("getpass", st, b"secret" in s, b"6" in s)
s, st = drive(["bash", "-c", "read -n 1 -s k; echo key=$k; read -t 1 x; echo $?"], [b"z"]); print("bash", st, b"key=z" in s)
END
/usr/bin/python3 drive.py
