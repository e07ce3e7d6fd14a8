exec 2>&1
/usr/bin/python3 - <<'END'
import subprocess, sys, os, signal, time
print(subprocess.run(["echo", "hi"], capture_output=True, text=True))
print(subprocess.check_output("seq 3 | sort -r", shell=True))
p = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
print(len(p.communicate(b"x" * 1000000)[0]))
p = subprocess.Popen(["sleep", "30"]); p.terminate(); print(p.wait())
try:
    subprocess.run(["sleep", "30"], timeout=0.2)
except subprocess.TimeoutExpired as e:
    print("timeout", round(e.timeout, 1))
try:
    subprocess.run(["/nonexistent"])
except FileNotFoundError as e:
    print(e)
print(subprocess.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 11)"]).returncode)
print(subprocess.run(["sh", "-c", "exit 9"]).returncode, subprocess.getstatusoutput("false"))
r = subprocess.run([sys.executable, "-c", "import os,sys; print(os.getcwd() == sys.argv[1], os.environ['A'], os.getsid(0) == os.getpid())", "/tmp"], cwd="/tmp", env={"A": "b"}, start_new_session=True, capture_output=True, text=True)
print(r.stdout, r.stderr)
r, w = os.pipe()
print(subprocess.run(["sh", "-c", f"echo fd >&{w}"], pass_fds=(w,)).returncode, os.read(r, 10))
procs = [subprocess.Popen([sys.executable, "-c", f"import sys; sys.exit({i})"]) for i in range(6)]
print([p.wait() for p in procs])
def pre(): os.nice(3)
print(subprocess.check_output(["nice"], preexec_fn=pre))
pid = os.fork()
if pid == 0:
    os._exit(21)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(os.spawnlp(os.P_WAIT, "sh", "sh", "-c", "exit 4"))
print(os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", "exit 5"], os.environ), 0)[1] >> 8)
END
