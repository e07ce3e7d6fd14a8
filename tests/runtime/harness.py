"""Shared by the runtime tests: cases, and checks that nothing of a sandbox is left."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

STOCKADE = "build/stockade"
ENGINE = "auto"
CASES = []
# A directory of PATH that this user may not search would turn "not found" into EACCES.
os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"


class Skip(Exception):
    pass


def case(function):
    CASES.append(function)
    return function


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def equal(got, want, text=""):
    if got != want:
        raise AssertionError(f"{text or 'value'}: got {got!r}, want {want!r}")


class Outcome:
    def __init__(self, status, out, err, seconds, result):
        self.status, self.out, self.err = status, out, err
        self.seconds, self.result = seconds, result

    def __repr__(self):
        return f"status {self.status}, out {self.out[-300:]!r}, err {self.err[-600:]!r}"


def run(*command, options=(), stdin=None, timeout=60, result=False, cwd=None, env=None):
    """Runs stockade run OPTIONS -- COMMAND; with result=True reads the --result file too."""
    words = [STOCKADE, "run", "--platform", ENGINE, *options]
    path = None
    if result:
        handle, path = tempfile.mkstemp(prefix="stockade-result-")
        os.close(handle)
        words += ["--result", path]
    start = time.monotonic()
    try:
        done = subprocess.run(words + ["--", *command], input=stdin, cwd=cwd, env=env,
                              stdin=subprocess.DEVNULL if stdin is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
        parsed = None
        if path and os.path.getsize(path):
            with open(path) as file:
                parsed = json.load(file)
        return Outcome(done.returncode, done.stdout.decode(errors="replace"),
                       done.stderr.decode(errors="replace"), time.monotonic() - start, parsed)
    finally:
        if path:
            os.unlink(path)


def stockade(*words, timeout=60):
    done = subprocess.run([STOCKADE, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout)
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode(), 0, None)


def one_line(outcome):
    lines = [line for line in outcome.err.split("\n") if line]
    check(len(lines) == 1, f"one error line expected: {outcome!r}")
    check(lines[0].startswith("stockade: "), f"error line: {lines[0]!r}")
    return lines[0]


def processes(marker):
    """Processes whose environment or command line names the marker, and their descendants."""
    found = {}
    parents = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as file:
                text = file.read()
            with open(f"/proc/{name}/cmdline", "rb") as file:
                command = file.read()
        except OSError:
            continue
        state, parent = text.rsplit(")", 1)[1].split()[:2]
        parents[int(name)] = int(parent)
        if marker.encode() in command:
            found[int(name)] = (state, command)
    grown = True
    while grown:
        grown = False
        for pid, parent in parents.items():
            if parent in found and pid not in found:
                found[pid] = ("?", b"")
                grown = True
    return found


def wait_gone(pids, seconds=5):
    """True when none of the (pid, start time) pairs is alive any more."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not [p for p in pids if p[1] is not None and start_time(p[0]) == p[1]]:
            return True
        time.sleep(0.01)
    return False


def start_time(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return None if fields[0] in "ZX" else int(fields[19])
    except OSError:
        return None


def tree(root):
    """Every process below and with root, as (pid, start time)."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parents[int(name)] = int(file.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass
    found = [root]
    for pid in found:
        found += [p for p, parent in parents.items() if parent == pid and p not in found]
    return [(p, start_time(p)) for p in found]


def arguments():
    """--stockade PATH and --engine NAME; what is left are words to choose cases by."""
    global STOCKADE, ENGINE
    parser = argparse.ArgumentParser()
    parser.add_argument("--stockade", default="build/stockade")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    STOCKADE, ENGINE = os.path.abspath(options.stockade), options.engine
    return options.words


def main():
    wanted = arguments()
    passed = failed = skipped = 0
    for function in CASES:
        name = function.__name__
        if wanted and not any(w in name for w in wanted):
            continue
        directory = tempfile.mkdtemp(prefix="stockade-test-")
        os.chmod(directory, 0o755)
        os.chdir(directory)
        try:
            function()
            passed += 1
            print(f"ok   {name}", flush=True)
        except Skip as reason:
            skipped += 1
            print(f"skip {name}: {reason}", flush=True)
        except Exception as error:
            failed += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            print(f"FAIL {name}: {type(error).__name__}: {error} ({where.name}:{where.lineno})",
                  flush=True)
        finally:
            os.chdir("/")
            shutil.rmtree(directory, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)
