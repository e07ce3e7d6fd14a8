#!/usr/bin/python3 -B
"""An interactive session on a pty: sizes, job control, Ctrl-C, Ctrl-Z, and the terminal afterwards."""
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

import harness
from harness import case, check, equal, main


class Session:
    def __init__(self, *command, options=()):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(harness.STOCKADE, [harness.STOCKADE, "run", "--platform", harness.ENGINE,
                                        *options, "--", *command])
        self.seen = b""
        self.resize(30, 90)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.02)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    return
                if not data:
                    return
                self.seen += data

    def expect(self, text, seconds=10):
        end = time.monotonic() + seconds
        while text not in self.seen:
            check(time.monotonic() < end, f"no {text!r} in {self.seen[-500:]!r}")
            self.read(0.05)
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def type(self, data):
        os.write(self.fd, data)

    def wait(self):
        self.read(0.2)
        end = time.monotonic() + 10
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            check(time.monotonic() < end, f"still running; seen {self.seen[-300:]!r}")
            self.read(0.05)


@case
def shell_with_job_control():
    s = Session("bash", "--norc", "-i", options=["--env", "PS1=ready> "])
    s.expect(b"ready> ")
    s.type(b"tty; stty size\r")
    s.expect(b"/dev/pts/")
    s.expect(b"30 90")
    s.expect(b"ready> ")
    s.type(b"sleep 100\r")
    s.read(0.5)
    s.type(b"\x03")
    s.expect(b"ready> ")
    s.type(b"echo status $?\r")
    s.expect(b"status 130")
    s.type(b"sleep 100\r")
    s.read(0.5)
    s.type(b"\x1a")
    s.expect(b"Stopped")
    s.type(b"bg; jobs\r")
    s.expect(b"Running")
    s.type(b"kill %1; wait; cat\r")
    s.read(0.5)
    s.type(b"typed line\r")
    s.expect(b"typed line")
    s.expect(b"typed line")
    s.type(b"\x04")
    s.expect(b"ready> ")
    s.type(b"exit 5\r")
    equal(s.wait(), 5)


@case
def window_size_changes():
    s = Session("bash", "--norc", "-c", "trap 'stty size' WINCH; echo up; "
                "for i in $(seq 100); do sleep 0.05; done")
    s.expect(b"up")
    s.resize(41, 123)
    s.expect(b"41 123")
    s.type(b"\x03")
    equal(s.wait(), 130)


@case
def settings_are_restored():
    s = Session("true")
    before = termios.tcgetattr(s.fd)[:4]
    equal(s.wait(), 0)
    for signo in (signal.SIGTERM, signal.SIGKILL):
        pass
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)
        os.execv(harness.STOCKADE, [harness.STOCKADE, "run", "--platform", harness.ENGINE, "--",
                                    "sh", "-c", "stty raw -echo; echo set; sleep 20"])
    end = time.monotonic() + 10
    seen = b""
    while b"set" not in seen and time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 1000)
    check(b"set" in seen, "started")
    check(termios.tcgetattr(slave) != before, "raw while it runs")
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    equal(termios.tcgetattr(slave), before, "settings")


@case
def password_prompts_and_raw_programs():
    s = Session("/usr/bin/python3", "-c", "import getpass; print(len(getpass.getpass('pw: ')))")
    s.expect(b"pw: ")
    s.type(b"secret\r")
    s.expect(b"6")
    check(b"secret" not in s.seen, "echoed")
    equal(s.wait(), 0)


@case
def interrupt_without_a_pty_of_its_own():
    # Standard output is no terminal: Ctrl-C reaches the launcher, and through it the whole group.
    pid, fd = pty.fork()
    if pid == 0:
        os.dup2(os.open("output", os.O_CREAT | os.O_WRONLY, 0o644), 1)
        os.execv(harness.STOCKADE, [harness.STOCKADE, "run", "--platform", harness.ENGINE, "--",
                                    "sh", "-c", "echo up; sleep 60; echo not reached"])
    end = time.monotonic() + 10
    while not os.path.exists("output") or open("output").read() != "up\n":
        check(time.monotonic() < end, "started")
        time.sleep(0.05)
    time.sleep(0.2)
    os.write(fd, b"\x03")
    end = time.monotonic() + 10
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        check(time.monotonic() < end, "still running after Ctrl-C")
        time.sleep(0.05)
    equal(os.waitstatus_to_exitcode(status), 130)
    equal(open("output").read(), "up\n")


main()
