exec 2>&1
mkdir -p t/{a,b,c}/{x,y}; for d in t/*/*; do echo "content of $d" > $d/file.txt; echo '#' > $d/n.c; done
find t -type f -name '*.txt' | sort; find t -type d | wc -l; find t -name '*.c' -exec wc -c {} + | tail -1
find t -maxdepth 1 -mindepth 1 | sort; find t -newer t/a/x/n.c | wc -l | grep -c .; find t -size -2 -type f -printf '%f %s\n' | sort | uniq -c
find t -name n.c -delete; find t -name n.c | wc -l; find t -print0 | xargs -0 ls -d | wc -l; find t -type f | xargs -P 2 -n 1 cat | sort
grep -r content t | sort; grep -c a t/a/x/file.txt; grep -rl 'b/y' t; grep -E 'a|b' -o t/a/x/file.txt; grep -v content t/a/x/file.txt; echo $?
grep -n of t/b/x/file.txt; echo abcd | grep -P 'b(?=c)' -o; grep -i CONTENT -h -r t | wc -l; seq 100000 | grep -c 7
find /usr/bin -maxdepth 1 -name 'ls' ; find /etc -maxdepth 1 -name passwd -type f
