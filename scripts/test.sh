#!/bin/bash
# test.sh: installs what the tests need (as root), builds, and runs all of them. The closing line is
# 'N passed, N failed, N skipped'; the exit status is 0 only when nothing failed.
#
#   scripts/test.sh [--quick]      --quick leaves out the sanitizer builds, fuzzing and clang-tidy
set -u
cd "$(dirname "$0")/.."
. scripts/packages.sh
quick=no
[ "${1:-}" = --quick ] && quick=yes
install_packages $BUILD_PACKAGES $TEST_PACKAGES || exit 1
passed=0
failed=0
skipped=0
failures=""
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
start=$(date +%s)

# part NAME COMMAND...: runs a part. Its last line 'N passed, N failed[, N skipped]' is added up; a part
# without such a line counts as one test.
part() {
    local name=$1 log status counts
    shift
    log=$logs/$(echo "$name" | tr -c 'a-zA-Z0-9\n' _)
    echo "== $name ($(($(date +%s) - start)) s)"
    "$@" >"$log" 2>&1 </dev/null
    status=$?
    counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1)
    if [ -n "$counts" ]; then
        set -- $(echo "$counts" | tr -c '0-9\n' ' ')
        passed=$((passed + $1))
        failed=$((failed + $2))
        skipped=$((skipped + ${3:-0}))
        [ "$status" != 0 ] && [ "$2" = 0 ] && failed=$((failed + 1))
    elif [ "$status" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
    if [ "$status" = 0 ]; then
        grep -E '^skip ' "$log" | head -40
        [ -n "$counts" ] && echo "   $counts"
    else
        failures="$failures $name;"
        tail -60 "$log"
        echo "   FAILED: $name (status $status)"
    fi
    return 0
}
skip() {
    echo "skip $1: $2"
    skipped=$((skipped + 1))
}
# ctest with a closing line of our form.
run_ctest() {
    local out
    out=$(mktemp)
    ctest --test-dir "$1" --output-on-failure -j2 -E '^(native|inside)\.' "${@:2}" | tee "$out"
    local status=${PIPESTATUS[0]}
    local total bad
    total=$(grep -oE 'out of [0-9]+' "$out" | tail -1 | grep -oE '[0-9]+')
    bad=$(grep -oE '[0-9]+ tests? failed' "$out" | tail -1 | grep -oE '^[0-9]+')
    rm -f "$out"
    echo "$((${total:-0} - ${bad:-0})) passed, ${bad:-0} failed"
    return "$status"
}
configure() {
    cmake -G Ninja -S . -B "$1" "${@:2}" >/dev/null && ninja -C "$1"
}
# The product and the fuzz targets; guest programs are gcc's.
build_clang() {
    cmake -G Ninja -S . -B build-clang -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug >/dev/null &&
        ninja -C build-clang stockade fuzz_gofer_wire fuzz_policy fuzz_patch fuzz_seccomp_bpf
}
# as_user COMMAND...: as an ordinary user without capabilities; binaries and guests must be readable.
as_user() {
    setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all env HOME=/tmp "$@"
}

part "build" configure build -DCMAKE_BUILD_TYPE=RelWithDebInfo
part "build with lock checks" configure build-debug -DCMAKE_BUILD_TYPE=Debug -DSTOCKADE_DEBUG_LOCKS=ON
if [ ! -x build/stockade ] || [ ! -x build-debug/stockade ]; then
    echo "$passed passed, $((failed + 1)) failed, $skipped skipped"
    exit 1
fi
guests=$PWD/build/tests/syscalls
part "lint: layers" sh tests/lint/layers.sh
part "lint: sizes" sh tests/lint/sizes.sh
part "lint: text" sh tests/lint/text.sh
part "lint: format" sh tests/lint/format.sh
part "unit, platform, gofer tests" run_ctest build-debug
part "guests natively" tests/guests --dir "$guests"
engines=$(build/stockade doctor --json | python3 -c '
import json, re, sys
detail = next(l["detail"] for l in json.load(sys.stdin)["layers"] if l["name"] == "engines")
print(*[name for name, missing in re.findall(r"(?:^|, )([a-z]+)( \(not here)?", detail) if not missing])' 2>/dev/null || echo ptrace)
for engine in $engines; do
    part "guests inside, $engine" tests/guests --dir "$guests" --stockade build-debug/stockade --engine "$engine"
    part "guests inside, $engine, one CPU" taskset -c 0 tests/guests --dir "$guests" --stockade build/stockade \
        --engine "$engine"
done
if [ "$(id -u)" = 0 ]; then
    # An ordinary user may not be able to reach this directory: a copy in /tmp can be read by all.
    copy=$(mktemp -d /tmp/stockade-test.XXXXXX)
    chmod 755 "$copy"
    cp -r "$guests" "$copy/guests"
    mkdir "$copy/tests"
    cp tests/guests tests/known_gaps "$copy/tests"
    cp build/stockade "$copy"
    chmod -R a+rX "$copy"
    part "guests natively, ordinary user" as_user "$copy/tests/guests" --dir "$copy/guests"
    for engine in $engines; do
        part "guests inside, $engine, ordinary user" as_user "$copy/tests/guests" --dir "$copy/guests" \
            --stockade "$copy/stockade" --engine "$engine"
    done
    rm -rf "$copy"
else
    skip "guests as root" "not root"
fi
part "programs" tests/apps/run --stockade "$PWD/build/stockade" --engine "$(echo $engines | tr ' ' ,)"
for test in tests/runtime/*; do
    [ -f "$test" ] && [ -x "$test" ] && part "runtime: $(basename "$test")" "$test" --stockade "$PWD/build/stockade"
done
part "CPython's tests" tests/cpython/run --stockade "$PWD/build/stockade" test_os test_posix test_select \
    test_epoll test_mmap test_fcntl test_pty test_tempfile test_shutil test_pathlib
if [ "$quick" = no ]; then
    part "build with ASan and UBSan" configure build-asan -DCMAKE_BUILD_TYPE=Debug \
        -DSTOCKADE_DEBUG_LOCKS=ON -DSTOCKADE_SANITIZE=address,undefined
    part "unit tests, ASan and UBSan" run_ctest build-asan -R '^(unit|gofer)'
    part "guests inside, ASan and UBSan" tests/guests --dir "$guests" --stockade build-asan/stockade
    if command -v clang >/dev/null; then
        part "build with clang, and fuzz targets" build_clang
        for fuzzer in $(find build-clang/tests/fuzz -maxdepth 1 -type f -perm -u+x 2>/dev/null); do
            part "fuzz: $(basename "$fuzzer")" "$fuzzer" -max_total_time=10 -verbosity=0
        done
        part "lint: tidy" sh tests/lint/tidy.sh
    else
        skip "clang build" "clang is not installed"
    fi
fi
echo "time: $(($(date +%s) - start)) s"
[ -n "$failures" ] && echo "failed parts:$failures"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
