#!/usr/bin/python3 -B
"""What is left of the host's system calls to each process and thread, as its filter really says."""
import json

from harness import case, check, equal, main, stockade

LIMITS = {"guest": 5, "guest-unotify": 5, "sentry": 45, "sentry-unotify": 45, "gofer": 40}
# Nobody gains a program, a process, a name or a peer.
NEVER = {"execve", "execveat", "fork", "vfork", "clone3", "connect", "bind", "listen", "accept",
         "accept4", "socket", "bpf", "mount", "umount2", "setns", "unshare", "pivot_root", "chroot",
         "init_module", "finit_module", "kexec_load", "io_uring_setup", "userfaultfd", "keyctl",
         "perf_event_open", "setuid", "setresuid", "process_madvise", "pidfd_getfd"}
OPENING = {"open", "openat", "openat2", "open_by_handle_at", "creat", "memfd_secret"}


def kinds():
    result = stockade("doctor", "--host-calls", "--json")
    equal(result.status, 0)
    return json.loads(result.out)


@case
def counts():
    for name, kind in kinds().items():
        equal(kind["count"], len(kind["calls"]))
        check(0 < kind["count"] <= LIMITS.get(name, 70), f"{name} has {kind['count']}")
    check(LIMITS.keys() <= kinds().keys(), "a kind is missing")


@case
def never():
    for name, kind in kinds().items():
        calls = {call["name"] for call in kind["calls"]}
        equal(calls & NEVER, set())
        if name.startswith(("guest", "service", "sentry")):
            equal(calls & OPENING, set())
        if name.startswith("guest"):
            check(all(call["checked"] for call in kind["calls"]), name)


@case
def text():
    result = stockade("doctor", "--host-calls")
    equal(result.status, 0)
    for name, kind in kinds().items():
        check(f"{name}: {kind['count']}, " in result.out, name)


main()
