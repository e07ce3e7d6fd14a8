# needs: awk sed
exec 2>&1
seq 20 | sed -n '/5/,/9/p'; printf 'a,b\nc,d\n' | sed -E 's/(.),(.)/\2-\1/'; seq 5 | sed '2d;4i\
inserted'; echo x > f; sed -i 's/x/yy/' f; cat f; sed -i.bak s/yy/z/ f; cat f f.bak
seq 100 | awk '{ s += $1 } END { print s, NR }'; printf 'k1 3\nk2 5\nk1 4\n' | awk '{ t[$1] += $2 } END { for (k in t) print k, t[k] }' | sort
awk 'BEGIN { "echo sub" | getline x; print x; print toupper("abc"), length("four"), substr("hello", 2, 3); printf "%.3f\n", 22/7; system("echo sys") }'
seq 200000 | sort -R | sort -n | md5sum; seq 300000 | sort -S 1M -T . -r | head -2; printf 'b 2\na 10\nc 1\n' | sort -k2n; printf '1.10\n1.9\n' | sort -V; sort -u <(seq 3) <(seq 3)
