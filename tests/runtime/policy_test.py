#!/usr/bin/python3 -B
"""The policy as a user meets it: errors, audit lines, and links that point outside."""
import json
import os

from harness import case, check, equal, main, run


def audit(path="audit.json"):
    return [json.loads(line) for line in open(path)] if os.path.exists(path) else []


def errno_of(script_path, options, op="open"):
    script = {"open": f"open({script_path!r}).read()",
              "write": f"open({script_path!r}, 'w').write('x')"}[op]
    outcome = run("/usr/bin/python3", "-c", "import errno\n"
                  f"try:\n    {script}; print('ok')\n"
                  "except OSError as e: print(errno.errorcode[e.errno])\n", options=options)
    return outcome.out.strip(), outcome


@case
def demonstration():
    os.mkdir("tree")
    for name in ("hidden", "denied", "plain"):
        with open(f"tree/{name}", "w") as file:
            file.write(name)
    with open("policy.json", "w") as file:
        json.dump({"version": 1, "rules": [{"path": "/data/hidden", "access": "hide", "reason": "not yours"},
                             {"path": "/data/denied", "access": "deny", "reason": "ask first"}]},
                  file)
    options = ["--mount", "tree:/data:ro", "--policy", "policy.json", "--audit", "audit.json"]
    for path, op, want in (("/data/hidden", "open", "ENOENT"), ("/data/denied", "open", "EACCES"),
                           ("/data/plain", "write", "EROFS"), ("/data/plain", "open", "ok")):
        if os.path.exists("audit.json"):
            os.unlink("audit.json")
        got, outcome = errno_of(path, options, op)
        equal(got, want, f"{path}: {outcome!r}")
        lines = [event for event in audit() if event.get("path") == path]
        if want == "ok":
            equal(lines, [])
        else:
            check(lines, f"an audit line for {path}: {audit()}")
            check(lines[-1]["comm"].startswith("python3") and lines[-1]["pid"] > 0, lines[-1])
            if want != "EROFS":
                equal(lines[-1]["rule"], path)
                check(lines[-1]["reason"] in ("not yours", "ask first"), lines[-1])


@case
def refusals_in_the_result():
    with open("policy.json", "w") as file:
        json.dump({"version": 1, "rules": [{"path": os.getcwd() + "/secret", "access": "deny",
                              "reason": "credentials"}]}, file)
    with open("secret", "w") as file:
        file.write("x")
    outcome = run("cat", "secret", options=["--policy", "policy.json"], result=True)
    equal(outcome.status, 1)
    refusals = [r for r in outcome.result["refusals"] if r["path"].endswith("/secret")]
    check(refusals and refusals[0]["reason"] == "credentials"
          and refusals[0]["errno"] == "EACCES", outcome.result["refusals"])


@case
def default_secrets():
    for path in ("/etc/shadow", "/etc/gshadow"):
        got, outcome = errno_of(path, [])
        equal(got, "ENOENT", repr(outcome))
    outcome = run("ls", "-A", "/home", "/root")
    check(".ssh" not in outcome.out, outcome)


@case
def system_directories_are_read_only():
    for path in ("/usr/x", "/etc/x"):
        got, outcome = errno_of(path, [], "write")
        check(got in ("EROFS", "EACCES"), repr(outcome))


@case
def links_resolve_in_guest_terms():
    os.mkdir("outside")
    with open("outside/secret", "w") as file:
        file.write("host secret")
    os.mkdir("tree")
    os.symlink(os.path.abspath("outside/secret"), "tree/absolute")
    os.symlink("../outside/secret", "tree/relative")
    os.symlink("/etc/passwd", "tree/guest")
    os.symlink("../../../../../../../../../etc/hostname", "tree/climb")
    options = ["--mount", "tree:/data:rw", "--cwd", "/tmp",
               "--hide", os.getcwd() + "/outside"]
    for name in ("absolute", "relative"):
        got, outcome = errno_of(f"/data/{name}", options)
        equal(got, "ENOENT", repr(outcome))
    equal(errno_of("/data/guest", options)[0], "ok")
    # Written through the link: in the guest's own /tmp, never in the host's.
    os.symlink("/tmp/made-by-guest-test", "tree/write")
    got, outcome = errno_of("/data/write", options, "write")
    equal(got, "ok", repr(outcome))
    check(not os.path.exists("/tmp/made-by-guest-test"), "the host file was made")


@case
def empty_policy_and_default():
    with open("policy.json", "w") as file:
        json.dump({"version": 1, "default": "hide", "rules": [
            {"path": "/usr", "access": "read"}, {"path": "/bin", "access": "read"},
            {"path": "/lib", "access": "read"}, {"path": "/lib64", "access": "read"}]}, file)
    with open("x", "w") as file:
        file.write("x")
    outcome = run("/usr/bin/cat", "x", "/etc/passwd", options=["--policy", "policy.json"])
    equal(outcome.status, 1)
    equal(outcome.out, "")


main()
