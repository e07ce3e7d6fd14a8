#!/usr/bin/python3
"""What a container leaves: Docker's default system-call profile, and Yama's scope 3, simulated.

The trap engine must start, run programs, and copy memory there, as root and as an ordinary user.
"""
import os
import shutil
import subprocess
import sys
import tempfile

import harness
from harness import Skip, case, check, equal

SCRIPT = ("import os, subprocess, threading, sys\n"
          "threads = [threading.Thread(target=os.getppid) for _ in range(8)]\n"
          "[t.start() for t in threads]; [t.join() for t in threads]\n"
          "open('/tmp/x', 'wb').write(bytes(range(256)) * 8000)\n"
          "assert open('/tmp/x', 'rb').read() == bytes(range(256)) * 8000\n"
          "print(subprocess.check_output(['echo', 'from', 'a', 'child']).decode(), end='')\n")


def helper():
    path = os.path.join(os.path.dirname(harness.STOCKADE), "tests", "runtime", "confined")
    if not os.path.exists(path):
        raise Skip("the helper 'confined' is not built beside stockade")
    return path


def confined(options, user, *command, engine="trap"):
    """stockade run under the filter, as user (None: as we are), from a place that user can read."""
    with tempfile.TemporaryDirectory(prefix="stockade-confined-") as copy:
        os.chmod(copy, 0o755)
        words = []
        for source in (helper(), harness.STOCKADE):
            shutil.copy(source, copy)
            os.chmod(os.path.join(copy, os.path.basename(source)), 0o755)
        if user is not None:
            if os.geteuid() != 0:
                raise Skip("only root can become another user")
            if not shutil.which("setpriv"):
                raise Skip("setpriv is not installed")
            words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
                     "--inh-caps=-all"]
        words += [os.path.join(copy, "confined"), *options, os.path.join(copy, "stockade"), "run",
                  "--platform", engine, "--", *command]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, cwd="/",
                              timeout=60)
        if done.returncode == 77:
            raise Skip("filters cannot be installed here")
        return harness.Outcome(done.returncode, done.stdout.decode(), done.stderr.decode(), 0, None)


def runs(options, user):
    outcome = confined(options, user, "true")
    equal(outcome.status, 0, f"true: {outcome!r}")
    equal(outcome.err, "", "standard error")
    outcome = confined(options, user, "sh", "-c", "echo $((6 * 7)); ls /usr | head -1 | wc -l; exit 3")
    equal((outcome.status, outcome.out), (3, "42\n1\n"), f"sh: {outcome!r}")
    outcome = confined(options, user, "python3", "-c", SCRIPT)
    equal((outcome.status, outcome.out), (0, "from a child\n"), f"python3: {outcome!r}")


@case
def docker_profile():
    runs([], None)


@case
def docker_profile_ordinary_user():
    runs([], 65534)


@case
def docker_profile_and_yama():
    runs(["--no-ptrace"], None)


@case
def docker_profile_and_yama_ordinary_user():
    runs(["--no-ptrace"], 65534)


@case
def auto_without_ptrace():
    """The best engine that works here is chosen, and it is not one that needs ptrace."""
    outcome = confined(["--no-ptrace"], None, "true", engine="auto")
    equal(outcome.status, 0, repr(outcome))
    outcome = confined(["--no-ptrace"], None, "true", engine="ptrace")
    check(outcome.status == 125 and "ptrace" in outcome.err, repr(outcome))


@case
def unotify_under_a_filter():
    """A filter around us that refuses calls outranks the engine's: it says so and does not start."""
    outcome = confined([], None, "true", engine="unotify")
    check(outcome.status == 125 and "filter" in outcome.err, repr(outcome))


if __name__ == "__main__":
    sys.exit(harness.main())
