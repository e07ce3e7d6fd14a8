#!/bin/sh
# 20,000 small files (2,000 when quick): create and write, stat, read, delete.
set -eu
[ "${2:-run}" = run ] || exit 0
command -v /usr/bin/python3 > /dev/null || { echo "python3 is not installed" >&2; exit 77; }
cd "$1"
count=20000
[ -z "${BENCH_QUICK:-}" ] || count=2000
exec /usr/bin/python3 - "$count" <<'END'
import os, sys

names = ["d%d/f%d" % (i % 20, i) for i in range(int(sys.argv[1]))]
for i in range(20):
    os.mkdir("d%d" % i)
for name in names:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(fd, b"x" * 200)
    os.close(fd)
for name in names:
    assert os.stat(name).st_size == 200
for name in names:
    fd = os.open(name, os.O_RDONLY)
    assert len(os.read(fd, 4096)) == 200
    os.close(fd)
for name in names:
    os.unlink(name)
END
