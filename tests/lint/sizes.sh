#!/bin/sh
# sizes.sh: files of at most 800 lines, functions of at most 100, lines of at most 100 columns.
cd "$(dirname "$0")/../.." || exit 2
python3 - <<'END'
import os, re, sys
bad = count = 0
for top in ("platform", "gofer", "sentry", "syscalls", "runtime", "tests", "bench"):
    for folder, _, names in os.walk(top):
        for name in names:
            if not name.endswith((".c", ".h")):
                continue
            path = os.path.join(folder, name)
            lines = open(path, encoding="utf-8").read().split("\n")
            count += 1
            if len(lines) > 801:
                print(f"{path}: {len(lines) - 1} lines"); bad += 1
            start = None
            for number, line in enumerate(lines, 1):
                if len(line) > 100:
                    print(f"{path}:{number}: {len(line)} columns"); bad += 1
                if line == "{":
                    start = number
                elif line == "}" and start:
                    if number - start > 101:
                        print(f"{path}:{start}: a function of {number - start - 1} lines"); bad += 1
                    start = None
print(f"sizes: {count} files, {bad} wrong")
sys.exit(1 if bad else 0)
END
