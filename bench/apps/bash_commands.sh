#!/bin/sh
# bash running 200 commands: 120 programs, 40 subshells, 40 pipelines of two.
set -eu
[ "${2:-run}" = run ] || exit 0
cd "$1"
exec bash -c '
for i in {1..120}; do /bin/true; done
for i in {1..40}; do (x=$i); done
for i in {1..40}; do echo $i | cat > out; done
[ "$(cat out)" = 40 ]'
