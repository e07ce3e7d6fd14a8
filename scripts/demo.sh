#!/bin/sh
# demo.sh: installs what the build needs (as root), builds, and runs the main job: a Python program inside the
# sandbox that reads a file of the current directory, writes a result file, and prints what it sees.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh
install_packages $BUILD_PACKAGES
cmake -G Ninja -S . -B build -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
ninja -C build stockade
work=$(mktemp -d)
saved=$work/saved
trap 'rm -rf "$work"' EXIT
mkdir "$work/here"
cd "$work/here"
echo "3 4 5" >numbers.txt
cat >program.py <<'END'
import getpass, os, platform, socket
numbers = [int(word) for word in open("numbers.txt").read().split()]
with open("result.txt", "w") as result:
    print(sum(numbers), file=result)
print("sum of numbers.txt:", sum(numbers))
print("kernel:", platform.release(), "host name:", socket.gethostname(), "pid:", os.getpid())
print("files here:", sorted(os.listdir(".")), "in /home:", os.listdir("/home"))
try:
    open("/etc/shadow")
except OSError as error:
    print("/etc/shadow:", error.strerror)
END
"$OLDPWD/build/stockade" run --show-changes --save-changes "$saved" -- /usr/bin/python3 program.py
echo "saved outside: result.txt = $(cat "$saved"/result.txt 2>/dev/null || find "$saved" -name result.txt -exec cat {} +)"
[ ! -e result.txt ] && echo "the directory itself is unchanged"
