#!/usr/bin/python3 -B
"""The command line: statuses, errors in one line, and what each option of run does."""
import os

from harness import case, check, equal, main, one_line, run, stockade, Skip


@case
def statuses():
    equal(run("true").status, 0)
    equal(run("sh", "-c", "exit 7").status, 7)
    equal(run("sh", "-c", "kill -TERM $$").status, 143)
    equal(run("sh", "-c", "kill -SEGV $$").status, 139)
    missing = run("no-such-program-here")
    equal(missing.status, 127)
    one_line(missing)
    equal(run("/no/such/path").status, 127)
    equal(run("/etc/passwd").status, 126)
    equal(run("/etc").status, 126)
    with open("bad", "w") as file:
        file.write("\x7fELF garbage")
    os.chmod("bad", 0o755)
    equal(run("./bad").status, 126)


@case
def bad_command_lines():
    for words in (["run"], ["run", "--"], ["run", "--bogus", "--", "true"], ["frobnicate"], [],
                  ["run", "--memory-limit", "12Q", "--", "true"],
                  ["run", "--memory-limit", "0", "--", "true"],
                  ["run", "--memory-limit", "-5", "--", "true"],
                  ["run", "--time-limit", "soon", "--", "true"],
                  ["run", "--time-limit", "0", "--", "true"],
                  ["run", "--time-limit", "1e99s", "--", "true"],
                  ["run", "--pids-limit", "0", "--", "true"],
                  ["run", "--pids-limit", "9999999999999999999999", "--", "true"],
                  ["run", "--mount", "x", "--", "true"],
                  ["run", "--mount", "/usr:relative", "--", "true"],
                  ["run", "--mount", "/usr:/mnt:bogus", "--", "true"],
                  ["run", "--mount", "/no/such:/mnt", "--", "true"],
                  ["run", "--mount", "/usr:/", "--", "true"],
                  ["run", "--tmpfs", "relative", "--", "true"],
                  ["run", "--tmpfs", "/x:size=", "--", "true"],
                  ["run", "--tmpfs", "/x:mode=1", "--", "true"],
                  ["run", "--hide", "relative", "--", "true"],
                  ["run", "--user", "root", "--", "true"],
                  ["run", "--user", "1:2:3", "--", "true"],
                  ["run", "--env", "=x", "--", "true"],
                  ["run", "--hostname", "x" * 65, "--", "true"],
                  ["run", "--platform", "warp", "--", "true"],
                  ["run", "--rootfs", "/no/such", "--", "true"],
                  ["run", "--rootfs", "/etc/passwd", "--", "true"],
                  ["run", "--policy", "/no/such", "--", "true"],
                  ["run", "--result", "/no/such/dir/r.json", "--", "true"],
                  ["run", "--result", "/tmp", "--", "true"],
                  ["run", "--log", "/no/such/dir/l", "--", "true"],
                  ["run", "--log-level", "loud", "--", "true"],
                  ["run", "--strace=/no/such/dir/s", "--", "true"],
                  ["run", "--save-changes", "/no/such/dir/s", "--", "true"],
                  ["run", "--cwd", "relative", "--", "true"],
                  ["run", "--cwd", "/no/such/dir", "--", "true"],
                  ["run", "--clear-env=x", "--", "true"],
                  ["run", "--mount"], ["doctor", "x"], ["syscalls", "--bogus"]):
        outcome = stockade(*words)
        equal(outcome.status, 125, " ".join(words))
        one_line(outcome)


@case
def malformed_policies():
    for text in ("", "{", "[]", '{"unknown": 1}', '{"rules": 5}', '{"rules": [{"path": "x"}]}',
                 '{"rules": [{"path": "/x", "access": "fly"}]}', "\0\0", "{}garbage"):
        with open("policy.json", "w") as file:
            file.write(text)
        outcome = run("true", options=["--policy", "policy.json"])
        equal(outcome.status, 125, repr(text))
        check("policy" in one_line(outcome), outcome)


@case
def unreadable_rootfs():
    if os.getuid() == 0:
        raise Skip("root reads everything")
    os.mkdir("root", 0)
    outcome = run("true", options=["--rootfs", "root"])
    equal(outcome.status, 125)
    one_line(outcome)


@case
def help_texts():
    for words in (["help"], ["--help"], ["run", "--help"], ["doctor", "--help"],
                  ["syscalls", "--help"], ["version"], ["--version"]):
        outcome = stockade(*words)
        equal(outcome.status, 0)
        check(outcome.out and not outcome.err, words)


@case
def doctor_and_syscalls():
    import json
    equal(stockade("doctor").status, 0)
    check(json.loads(stockade("doctor", "--json").out)["usable"], "usable")
    text = stockade("syscalls")
    equal(text.status, 0)
    check("openat" in text.out, "openat in the list")
    calls = json.loads(stockade("syscalls", "--json").out)
    check(len(calls if isinstance(calls, list) else calls["syscalls"]) > 300, "the JSON list")


@case
def environment():
    os.environ["SECRET_TOKEN"] = "hunter2"
    plain = run("env")
    check("hunter2" not in plain.out and "PATH=" in plain.out and "HOME=" in plain.out, plain)
    equal(run("/usr/bin/env", options=["--clear-env"]).out, "")
    equal(run("/usr/bin/env", options=["--clear-env", "--env", "A=b", "--env", "A=c"]).out, "A=c\n")
    check("SECRET_TOKEN=hunter2" in run("env", options=["--env", "SECRET_TOKEN"]).out, "passed")


@case
def identity():
    here = run("sh", "-c", "id -u; id -g")
    equal(here.out.split(), [str(os.getuid()), str(os.getgid())])
    equal(run("sh", "-c", "id -u; id -g", options=["--user", "1234:99"]).out.split(),
          ["1234", "99"])
    equal(run("hostname").out.strip(), "stockade")
    equal(run("hostname", options=["--hostname", "box"]).out.strip(), "box")
    equal(run("getent", "hosts", "box", options=["--hostname", "box"]).out.split(),
          ["127.0.1.1", "box"])
    equal(run("cat", "/etc/hostname", options=["--hostname", "box"]).out, "box\n")
    check("No such file" in run("cat", "/etc/hosts", options=["--hide", "/etc/hosts"]).err,
          "hidden /etc/hosts")


@case
def current_directory():
    with open("data.txt", "w") as file:
        file.write("from the host\n")
    outcome = run("sh", "-c", "pwd; cat data.txt; echo changed > data.txt; cat data.txt; "
                  "echo new > new.txt; rm data.txt; ls")
    equal(outcome.out.split("\n")[:4], [os.getcwd(), "from the host", "changed", "new.txt"])
    equal(open("data.txt").read(), "from the host\n")
    equal(os.listdir("."), ["data.txt"])
    equal(run("pwd", options=["--cwd", "/tmp"]).out, "/tmp\n")


@case
def changes_are_shown_and_saved():
    with open("old.txt", "w") as file:
        file.write("old\n")
    with open("gone.txt", "w") as file:
        file.write("gone\n")
    os.mkdir("out")
    script = ("echo more >> old.txt; rm gone.txt; mkdir -p d/e; echo deep > d/e/f; "
              "ln -s f d/e/l; chmod 750 d/e/f; head -c 100000 /dev/zero > zeros")
    outcome = run("sh", "-c", script, options=["--show-changes", "--save-changes", "out"],
                  result=True)
    equal(outcome.status, 0, repr(outcome))
    here = os.getcwd()
    for line in (f"M {here}/old.txt", f"D {here}/gone.txt", f"A {here}/d/e/f"):
        check(line in outcome.err.split("\n"), f"{line} in {outcome.err}")
    saved = "out" + here
    equal(open(f"{saved}/old.txt").read(), "old\nmore\n")
    equal(open(f"{saved}/d/e/f").read(), "deep\n")
    equal(os.stat(f"{saved}/d/e/f").st_mode & 0o777, 0o750)
    equal(os.readlink(f"{saved}/d/e/l"), "f")
    equal(os.path.getsize(f"{saved}/zeros"), 100000)
    check(f"{here}/gone.txt" in open("out/.stockade-deleted").read(), "deletions")
    kinds = {c["path"]: c["kind"] for c in outcome.result["changes"]}
    equal(kinds.get(f"{here}/old.txt"), "modified")
    equal(kinds.get(f"{here}/gone.txt"), "deleted")
    equal(open("old.txt").read(), "old\n")


@case
def mounts():
    for name in ("ro", "rw", "cow", "nd"):
        os.mkdir(name)
        with open(f"{name}/file", "w") as file:
            file.write(name)
    options = []
    for name, mode in (("ro", "ro"), ("rw", "rw"), ("cow", "cow"), ("nd", "no-delete")):
        options += ["--mount", f"{name}:/m/{name}:{mode}"]
    outcome = run("sh", "-c", "cd /m; for d in ro rw cow nd; do cat $d/file; echo; "
                  "echo x > $d/new && echo made $d; rm -f $d/file && echo removed $d; done",
                  options=options)
    made = [line for line in outcome.out.split("\n") if line.startswith(("made", "removed"))]
    equal(made, ["made rw", "removed rw", "made cow", "removed cow", "made nd"], repr(outcome))
    equal(sorted(os.listdir("ro")), ["file"])
    equal(sorted(os.listdir("rw")), ["new"])
    equal(sorted(os.listdir("cow")), ["file"])
    equal(sorted(os.listdir("nd")), ["file", "new"])
    check("Read-only file system" in outcome.err, outcome)


@case
def file_mount_tmpfs_hide():
    with open("one", "w") as file:
        file.write("single\n")
    equal(run("cat", "/opt/one", options=["--mount", "one:/opt/one"]).out, "single\n")
    full = run("sh", "-c", "head -c 3000000 /dev/zero > /scratch/f; echo $?",
               options=["--tmpfs", "/scratch:size=1M"])
    equal(full.out, "1\n", repr(full))
    hidden = run("sh", "-c", "cat one; ls", options=["--hide", os.getcwd() + "/one"])
    equal(hidden.out, "")
    check("No such file" in hidden.err, hidden)


@case
def rootfs():
    os.makedirs("root/bin")
    import shutil
    shutil.copy("/bin/busybox", "root/bin/busybox")
    outcome = run("/bin/busybox", "sh", "-c", "/bin/busybox ls /; /bin/busybox id -u; "
                  "/bin/busybox touch /new", options=["--rootfs", "root"])
    equal(outcome.status, 0, repr(outcome))
    check("usr" not in outcome.out.split(), outcome)
    check("0" in outcome.out.split(), "user 0")
    equal(sorted(os.listdir("root")), ["bin"])


@case
def streams():
    equal(run("cat", stdin=b"in and out").out, "in and out")
    big = b"x" * 3000000
    equal(len(run("cat", stdin=big).out), len(big))
    outcome = run("sh", "-c", "echo out; echo err >&2")
    equal((outcome.out, outcome.err), ("out\n", "err\n"))


@case
def tracing():
    outcome = run("cat", "/etc/passwd", options=["--strace=trace.txt"])
    equal(outcome.status, 0)
    check("openat(" in open("trace.txt").read(), "openat in the trace")
    check("exit_group(0)" in run("true", options=["--strace"]).err, "trace on standard error")
    equal(run("true", options=["--log", "log.txt", "--log-level", "debug"]).status, 0)


@case
def network_is_absent():
    script = ("import socket, errno\n"
              "for fam, addr in ((socket.AF_INET, ('127.0.0.1', 80)), "
              "(socket.AF_INET, ('8.8.8.8', 53)), (socket.AF_INET6, ('::1', 80))):\n"
              "    try:\n"
              "        socket.create_connection if 0 else socket.socket(fam).connect(addr)\n"
              "        print('connected')\n"
              "    except OSError as e: print(errno.errorcode[e.errno])\n")
    outcome = run("/usr/bin/python3", "-c", script, timeout=20)
    check("connected" not in outcome.out and outcome.status == 0, outcome)
    equal(len(outcome.out.split()), 3)


@case
def result_file():
    outcome = run("sh", "-c", "exit 3", result=True)
    equal(outcome.result["exit"], {"code": 3, "signal": None})
    equal(outcome.result["status"], 3)
    equal(outcome.result["limits_hit"], [])
    equal(outcome.result["error"], None)
    killed = run("sh", "-c", "kill -9 $$", result=True)
    equal(killed.result["exit"]["signal"], 9)
    missing = run("no-such-program", result=True)
    equal(missing.result["exit"], None)
    check(missing.result["error"], "an error text")
    busy = run("sh", "-c", "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done", result=True)
    check(busy.result["cpu_ms"] > 0 and busy.result["peak_memory_bytes"] > 0, busy.result)


main()
