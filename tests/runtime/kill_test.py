#!/usr/bin/python3 -B
"""Kills one of our processes at a random moment, many times: nothing may be left behind.

The seed is printed; STOCKADE_SEED repeats a run, STOCKADE_KILLS sets the number of runs.
"""
import os
import random
import signal
import subprocess
import tempfile
import time

import harness
from harness import case, check, equal, main

SEED = int(os.environ.get("STOCKADE_SEED", random.randrange(1 << 30)))
RUNS = int(os.environ.get("STOCKADE_KILLS", "200"))

WORKLOADS = (
    "while :; do (echo x > f$RANDOM; ls > /dev/null) ; done",
    "for i in 1 2 3 4; do (while :; do :; done) & done; wait",
    "sleep 60 & sleep 60 & wait",
    "while :; do cat /usr/bin/env > copy; rm copy; done",
    "yes | while read x; do echo $x > /dev/null; done",
)


def leftovers():
    """What a sandbox could leave: mounts, abstract and named sockets, files in /tmp and here."""
    with open("/proc/self/mounts") as file:
        mounts = file.readlines()
    with open("/proc/net/unix") as file:
        sockets = sorted(line.split()[7] for line in file if len(line.split()) > 7)
    return (mounts, [s for s in sockets if "stockade" in s],
            sorted(f for f in os.listdir("/tmp") if f.startswith(("stockade", ".stockade"))
                   and not f.startswith(("stockade-test-", "stockade-test.", "stockade-app-",
                                         "stockade-result-", "stockade-guests-"))),
            sorted(os.listdir(".")))


@case
def killed_at_random_moments():
    chance = random.Random(SEED)
    print(f"     seed {SEED}, {RUNS} runs", flush=True)
    with open("precious", "w") as file:
        file.write("host data")
    victims = {"launcher": 0, "sentry": 0, "gofer": 0, "stub": 0}
    for number in range(RUNS):
        before = leftovers()
        process = subprocess.Popen(
            [harness.STOCKADE, "run", "--platform", harness.ENGINE, "--", "bash", "-c",
             chance.choice(WORKLOADS) + "; echo > precious"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(chance.random() ** 2 * 0.6)
        pids = harness.tree(process.pid)
        roles = {}
        for pid, start in pids:
            roles.setdefault(role(pid, process.pid), []).append(pid)
        who = chance.choice(sorted(roles))
        victim = chance.choice(roles[who])
        victims[who] = victims.get(who, 0) + 1
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass
        # What was born between the look and the kill.
        pids = list(set(pids + harness.tree(process.pid)))
        try:
            _, err = process.communicate(timeout=4)
        except subprocess.TimeoutExpired:
            process.kill()
            _, err = process.communicate()
            # A stub that runs nothing, such as that of process 1, is not missed.
            check(who == "stub", f"run {number}: still running after the {who} was killed")
            who = "launcher"
        check(harness.wait_gone(pids), f"run {number}: processes are left after the {who} died")
        if who == "launcher":
            equal(process.returncode, -9, f"run {number}")
        else:
            check(process.returncode == 125, f"run {number}: {who} killed, status "
                  f"{process.returncode}, {err!r}")
            lines = [line for line in err.decode().split("\n") if line.startswith("stockade:")
                     and not line.startswith("stockade: sentry:")]
            check(len(lines) <= 1, f"run {number}: {err!r}")
        for got, want in zip(leftovers(), before):
            left = sorted(set(got) ^ set(want))
            check(not left, f"run {number} ({who}): came or went: {left}")
        equal(open("precious").read(), "host data")
    print("     " + ", ".join(f"{k} {v}" for k, v in sorted(victims.items())), flush=True)


def role(pid, launcher):
    if pid == launcher:
        return "launcher"
    try:
        with open(f"/proc/{pid}/comm") as file:
            name = file.read().strip()
    except OSError:
        return "stub"
    if name.startswith("stockade-sent"):
        return "sentry"
    if name.startswith("stockade-gof"):
        return "gofer"
    return "stub"


main()
