#!/usr/bin/python3 -B
"""Limits: whatever the guest does, the sandbox ends by its limit, says why, and leaves nothing."""
import os
import signal
import subprocess
import time

import harness
from harness import case, check, equal, main, one_line, run


def limit_names(outcome):
    return [entry["limit"] for entry in outcome.result["limits_hit"]]


def python(script):
    return ["/usr/bin/python3", "-c", script]


@case
def wall_time():
    outcome = run("sleep", "30", options=["--time-limit", "500ms"], result=True)
    equal(outcome.status, 124)
    check(outcome.seconds < 4, outcome.seconds)
    equal(limit_names(outcome), ["time"])
    check("time limit of 500ms exceeded" in one_line(outcome), outcome)


@case
def wall_time_of_a_stubborn_program():
    outcome = run("bash", "-c", "trap '' TERM INT HUP; while :; do :; done",
                  options=["--time-limit", "500ms"])
    equal(outcome.status, 124)
    check(outcome.seconds < 4, outcome.seconds)


@case
def cpu_time():
    outcome = run("sh", "-c", "while :; do :; done", options=["--cpu-limit", "500ms"], result=True)
    equal(outcome.status, 137)
    equal(limit_names(outcome), ["cpu"])
    check("CPU time limit" in one_line(outcome), outcome)
    equal(run("sleep", "1", options=["--cpu-limit", "500ms"]).status, 0)


@case
def cpu_time_of_many_children():
    outcome = run("bash", "-c", "while :; do (:) ; done", options=["--cpu-limit", "1s"],
                  timeout=40)
    equal(outcome.status, 137)


@case
def memory_allocation():
    script = "x = []\nfor i in range(1000): x.append(bytearray(b'x') * (10 << 20))\n"
    outcome = run(*python(script), options=["--memory-limit", "300M"], result=True)
    check(outcome.status in (137, 1), outcome)
    if outcome.status == 137:
        equal(limit_names(outcome), ["memory"])
        check("memory limit of 300M exceeded" in one_line(outcome), outcome)
    else:
        check("MemoryError" in outcome.err, outcome)
    check(outcome.result["peak_memory_bytes"] < 1 << 30, outcome.result)


@case
def memory_of_forked_children_is_shared():
    script = ("import os, time\nx = bytearray(b'x') * (100 << 20)\n"
              "for i in range(6):\n"
              "    if os.fork() == 0: time.sleep(1); os._exit(0)\n"
              "for i in range(6): os.wait()\nprint('done')")
    outcome = run(*python(script), options=["--memory-limit", "400M"])
    equal(outcome.out, "done\n", repr(outcome))


@case
def fork_bomb():
    outcome = run("bash", "-c", "f() { f | f & }; f; sleep 30",
                  options=["--pids-limit", "100", "--time-limit", "3s"], result=True, timeout=30)
    equal(outcome.status, 124, repr(outcome))
    check("pids" in limit_names(outcome), outcome.result)
    check(outcome.result["peak_tasks"] <= 101, outcome.result)


@case
def pids_limit_gives_eagain():
    script = ("import os, errno, time\nn = 0\n"
              "try:\n"
              "    while True:\n"
              "        if os.fork() == 0: time.sleep(20); os._exit(0)\n"
              "        n += 1\n"
              "except OSError as e: print(errno.errorcode[e.errno], 10 < n <= 20)\n")
    outcome = run(*python(script), options=["--pids-limit", "20"], timeout=30)
    equal(outcome.out, "EAGAIN True\n", repr(outcome))
    check(outcome.seconds < 15, "the sleeping children end with the first process")


@case
def endless_writer():
    outcome = run("yes", options=["--output-limit", "1M"], result=True)
    equal(outcome.status, 137, repr(outcome)[:500])
    equal(limit_names(outcome), ["output"])
    # The write that crosses the limit is let through.
    check(len(outcome.out) <= (1 << 20) + 65536, len(outcome.out))
    check(len(outcome.out) >= 1 << 19, len(outcome.out))


@case
def full_tmpfs():
    outcome = run("sh", "-c", "cat /dev/zero > /tmp/full; echo status $?; ls -s /tmp/full | "
                  "cut -d' ' -f1; rm /tmp/full; echo again > /tmp/x && echo fits",
                  options=["--tmpfs-limit", "4M"], result=True)
    check("status 1" in outcome.out and "fits" in outcome.out, outcome)
    check("tmpfs" in limit_names(outcome), outcome.result)
    check("No space left" in outcome.err, outcome)


@case
def tmpfs_filled_through_a_mapping():
    script = ("import mmap, os, time\n"
              "f = os.open('/tmp/big', os.O_RDWR | os.O_CREAT)\nos.ftruncate(f, 256 << 20)\n"
              "m = mmap.mmap(f, 256 << 20)\n"
              "for i in range(0, 256 << 20, 4096): m[i] = 1\n"
              "time.sleep(20); print('survived')")
    outcome = run("python3", "-c", script, options=["--tmpfs-limit", "16M"], result=True)
    check(outcome.status == 137 and "survived" not in outcome.out, outcome)
    check("tmpfs" in limit_names(outcome), outcome.result)


@case
def open_files_limit():
    script = ("import os, errno\nfds = []\n"
              "try:\n    while True: fds.append(os.open('/dev/null', 0))\n"
              "except OSError as e: print(errno.errorcode[e.errno], len(fds) < 50)\n")
    equal(run(*python(script), options=["--open-files-limit", "50"]).out, "EMFILE True\n")


@case
def grandchild_holds_stdout():
    outcome = run("sh", "-c", "(trap '' HUP TERM; sleep 60) & echo started; exit 6", timeout=20)
    equal((outcome.status, outcome.out), (6, "started\n"))
    check(outcome.seconds < 5, outcome.seconds)


@case
def daemon_ends_with_the_first_process():
    outcome = run("sh", "-c", "setsid sh -c 'setsid sleep 60 &' & sleep 0.2; exit 0", timeout=20)
    equal(outcome.status, 0)
    check(outcome.seconds < 5, outcome.seconds)


@case
def closed_output():
    process = subprocess.Popen([harness.STOCKADE, "run", "--platform", harness.ENGINE, "--", "yes"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.read(10)
    process.stdout.close()
    equal(process.wait(10), 141)


def signalled(signo, script, after=0.7):
    process = subprocess.Popen([harness.STOCKADE, "run", "--platform", harness.ENGINE, "--",
                                "bash", "-c", script], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    time.sleep(after)
    pids = harness.tree(process.pid)
    process.send_signal(signo)
    out, err = process.communicate(timeout=15)
    check(harness.wait_gone(pids), "processes are left")
    return process.returncode, out.decode(), err.decode()


@case
def meminfo_tells_what_is_used():
    script = ("import time\n"
              "def used():\n"
              "    rows = dict(line.split()[:2] for line in open('/proc/meminfo'))\n"
              "    return (int(rows['MemTotal:']) - int(rows['MemAvailable:'])) >> 10\n"
              "start = used()\nblock = bytearray(200 << 20)\nend = time.time() + 10\n"
              "while used() < start + 190 and time.time() < end: time.sleep(0.1)\n"
              "print(used() - start)")
    grown = int(run("python3", "-c", script).out)
    check(190 <= grown <= 260, f"{grown} MB")


@case
def forwarded_signals():
    for name in ("INT", "TERM", "HUP", "QUIT", "USR1"):
        number = getattr(signal, "SIG" + name)
        status, out, err = signalled(
            number, f"trap 'echo caught {name}; exit 9' {name}; while :; do sleep 0.05; done")
        equal((status, out), (9, f"caught {name}\n"), err)


@case
def deadly_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        status, _, err = signalled(number, "exec sleep 60")
        equal(status, 128 + number, err)


@case
def second_term_kills():
    process = subprocess.Popen([harness.STOCKADE, "run", "--platform", harness.ENGINE, "--",
                                "bash", "-c", "trap '' TERM; while :; do sleep 0.05; done"],
                               stdin=subprocess.DEVNULL)
    time.sleep(0.7)
    process.terminate()
    time.sleep(0.3)
    equal(process.poll(), None)
    process.terminate()
    equal(process.wait(10), 143)


main()
