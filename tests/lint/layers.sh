#!/bin/sh
# layers.sh: who may include whom. Each row: a folder, then the folders that its files may include
# besides itself. The longest matching folder counts. Prints every include that breaks a row.
cd "$(dirname "$0")/../.." || exit 2
python3 - <<'END'
import os, re, sys
BASE = ["platform/base"]
ARCH = BASE + ["platform/arch"]
PLATFORM = ARCH + ["platform/platform.h"]
CORE = BASE + ["sentry/abi", "sentry/core"]
MM = CORE + ["sentry/mm"] + PLATFORM
VFS = MM + ["sentry/vfs"]
KERNEL = VFS + ["sentry/net", "sentry/loader", "sentry/kernel"]
FS = KERNEL + ["sentry/fs", "gofer/client", "gofer/protocol.h"]
CALLS = FS + ["syscalls"]
MAY = {
    "platform/base": [],
    "platform/arch": BASE,
    "platform/host": BASE,
    "platform": ARCH + ["platform"],
    "gofer": BASE,
    "gofer/client": BASE + ["gofer"],
    "gofer/files": BASE + ["gofer", "platform/host"],
    "sentry/abi": BASE,
    "sentry/core": BASE + ["sentry/abi"],
    "sentry/mm": CORE + PLATFORM,
    "sentry/vfs": MM,
    "sentry/net": VFS,
    "sentry/loader": VFS,
    "sentry/kernel": VFS + ["sentry/net", "sentry/loader"],
    "sentry/fs": FS,
    "syscalls": FS,
    "sentry/boot": CALLS + ["platform"],
    "runtime": BASE + ["platform/platform.h", "platform/host", "gofer/files", "gofer/protocol.h",
                       "sentry/boot", "syscalls/support.h"],
}
bad = 0
files = []
for top in ("platform", "gofer", "sentry", "syscalls", "runtime"):
    for folder, _, names in os.walk(top):
        files += [os.path.join(folder, n) for n in names if n.endswith((".c", ".h", ".def"))]
def within(path, folder):
    return path == folder or path.startswith(folder + "/")
for path in sorted(files):
    rows = [r for r in MAY if within(path, r)]
    if not rows:
        print(f"{path}: no row in tests/lint/layers.sh"); bad += 1
        continue
    row = max(rows, key=len)
    for number, line in enumerate(open(path), 1):
        found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not found:
            continue
        target = found[1]
        if not os.path.exists(target):
            if not os.path.exists(os.path.join("build/generated", target)) and "/" not in target:
                print(f"{path}:{number}: include \"{target}\" from the repository root"); bad += 1
            continue
        if within(target, row) or any(within(target, a) for a in MAY[row]):
            continue
        print(f"{path}:{number}: {row} may not include {target}"); bad += 1
print(f"layers: {len(files)} files, {bad} wrong")
sys.exit(1 if bad else 0)
END
