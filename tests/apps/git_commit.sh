# needs: git
exec 2>&1
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' GIT_CONFIG_GLOBAL=/dev/null
git init -q -b main r && cd r && git config user.name T && git config user.email t@example.com
for i in $(seq 500); do mkdir -p d$((i % 20)); seq $i > d$((i % 20))/f$i; done
git add . && git commit -q -m first && git rev-parse HEAD; echo more >> d1/f1; git rm -q d2/f2; git mv d3/f3 d3/moved; git status --short | sort; git commit -qam second; git log --oneline --stat | tail -5; git rev-parse HEAD
git checkout -q -b side HEAD~1; echo s > side.txt; git add .; git commit -qm side; git checkout -q main; git merge -q -m merge side; git log --graph --format=%s; git diff HEAD~1 --stat | tail -1
git tag v1; git stash list; echo dirty >> d4/f4; git stash -q; git stash pop -q; git diff --stat; git checkout -q .; cd ..; git clone -q r c; cd c; git log --format=%H -1; git gc -q; git count-objects | cut -d' ' -f1; git fsck 2>&1 | tail -1; git grep -c 499 | wc -l; git blame -s d1/f1 | tail -1; git archive HEAD | tar t | wc -l; git bundle create -q ../b HEAD; git clone -q ../b ../fromb 2>/dev/null; ls ../fromb | wc -l; cd ../r; git worktree add -q ../wt side; ls ../wt | wc -l
