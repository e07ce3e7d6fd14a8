#!/usr/bin/python3
"""Signals from outside at the stubs of a running sandbox: no call is lost and none is made twice.

Whoever may signal the stubs can stop them and wake them from their calls; the guest must not notice.
"""
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time

import harness
from harness import case, check, equal

COUNT = 3000
SCRIPT = (f"i=0; while [ $i -lt {COUNT} ]; do echo $i; i=$((i+1)); done;"
          "for k in 1 2 3 4 5 6; do /bin/echo x$k | cat; done")
WANT = "".join(f"{i}\n" for i in range(COUNT)) + "".join(f"x{k}\n" for k in range(1, 7))
SYS_tgkill = 234
LIBC = ctypes.CDLL(None)


def engines():
    layers = json.loads(harness.stockade("doctor", "--json").out)["layers"]
    detail = next(layer["detail"] for layer in layers if layer["name"] == "engines")
    return [part.split()[0] for part in detail.split(",") if "not here" not in part]


def descendants(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as children:
                for child in children.read().split():
                    found += [int(child)] + descendants(child)
    except OSError:
        pass
    return found


def stubs(pid):
    for process in descendants(pid):
        try:
            with open(f"/proc/{process}/comm") as name:
                if name.read() == "stockade-stub\n":
                    yield process
        except OSError:
            pass


def send(process, signo):
    """To the process when it is to stop or go on, else to each of its threads that runs guest code."""
    try:
        if signo in (signal.SIGSTOP, signal.SIGCONT):
            os.kill(process, signo)
            return
        for task in os.listdir(f"/proc/{process}/task"):
            if int(task) != process:
                LIBC.syscall(SYS_tgkill, process, int(task), int(signo))
    except OSError:
        pass


def storm(engine, signals):
    child = subprocess.Popen([harness.STOCKADE, "run", "--platform", engine, "--", "sh", "-c", SCRIPT],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
    output = []
    reader = threading.Thread(target=lambda: output.extend(child.communicate()))
    reader.start()
    sent = 0
    limit = time.monotonic() + 30
    while reader.is_alive() and time.monotonic() < limit:
        for process in list(stubs(child.pid)):
            for signo in signals:
                send(process, signo)
                sent += 1
    if reader.is_alive():
        child.kill()
    reader.join()
    what = f"{engine}, {sent} signals"
    equal((child.returncode, output[1]), (0, b""), what)
    check(output[0].decode() == WANT, f"{what}: {len(output[0])} bytes instead of {len(WANT)}")


@case
def stops():
    for engine in engines():
        storm(engine, [signal.SIGSTOP, signal.SIGCONT])


@case
def interrupts():
    for engine in engines():
        storm(engine, [signal.SIGURG])


@case
def faults():
    """As faults look, but sent by somebody."""
    for engine in engines():
        storm(engine, [signal.SIGSEGV, signal.SIGTRAP, signal.SIGFPE, signal.SIGBUS])


if __name__ == "__main__":
    sys.exit(harness.main())
