#!/bin/sh
# tidy.sh BUILD_DIR: a few clang-tidy checks that find real mistakes; warnings are errors.
cd "$(dirname "$0")/../.." || exit 2
build=${1:-build}
command -v clang-tidy > /dev/null || { echo "tidy: clang-tidy is not installed; skipped"; exit 77; }
[ -f "$build/compile_commands.json" ] || { echo "tidy: no $build/compile_commands.json"; exit 2; }
checks='-*,bugprone-sizeof-*,bugprone-suspicious-*,-bugprone-suspicious-include,-bugprone-sizeof-expression,bugprone-signed-char-misuse,'
checks=$checks'bugprone-too-small-loop-variable,bugprone-integer-division,bugprone-branch-clone,'
checks=$checks'-bugprone-branch-clone,bugprone-macro-repeated-side-effects,bugprone-undefined-memory-manipulation,'
checks=$checks'bugprone-unused-return-value,cert-flp30-c,misc-redundant-expression'
git ls-files 'platform/*.c' 'gofer/*.c' 'sentry/*.c' 'syscalls/*.c' 'runtime/*.c' |
    xargs -n 8 -P "$(nproc)" clang-tidy -p "$build" --quiet --checks="$checks" --warnings-as-errors='*' \
        --extra-arg=-Wno-unknown-warning-option > "$build/tidy.txt" 2> /dev/null
if grep -E 'error:|warning:' "$build/tidy.txt"; then
    exit 1
fi
echo "tidy: clean"
