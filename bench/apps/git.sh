#!/bin/sh
# git: init, one commit of 500 files, status, log.
set -eu
command -v git > /dev/null || { echo "git is not installed" >&2; exit 77; }
cd "$1"
if [ "${2:-run}" = prepare ] || [ ! -d tree ]; then
    mkdir tree
    i=0
    while [ $i -lt 500 ]; do
        [ $i -ge 25 ] || mkdir "tree/d$i"
        echo "file $i of the commit" > "tree/d$((i % 25))/f$i"
        i=$((i + 1))
    done
    [ "${2:-run}" = run ] || exit 0
fi
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null HOME="$1"
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
cd tree
git init -q
git add .
git commit -q -m one
[ -z "$(git status --porcelain)" ]
[ "$(git log --oneline | wc -l)" = 1 ]
