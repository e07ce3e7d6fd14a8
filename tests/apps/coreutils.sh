exec 2>&1
seq 10 > n; wc n; head -3 n; tail -2 n; sort -rn n | uniq | cut -c1 | paste -sd,
cp n m && cmp n m && echo same; mv m k; ln k hard; ln -s k soft; readlink soft; stat -c '%h %s %F' hard
mkdir -p a/b/c; touch a/b/c/f; cp -a a z; find z | sort; rm -r z; ls -A a
chmod 640 k; stat -c %a k; chmod u+s k; stat -c %A k
du --apparent-size -b k; truncate -s 1M big; stat -c %s big; dd if=/dev/zero of=z bs=4k count=4 2>/dev/null; stat -c %s z
md5sum n; sha256sum n; base64 n; od -c n | head -2; tr a-z A-Z <<< abc; expr 3 + 4; factor 360
date -u -d @0 +%F; env -i A=1 env; printf '%s\n' b a | sort; comm -12 <(seq 5) <(seq 3 8); join <(printf '1 a\n2 b\n') <(printf '1 x\n2 y\n')
split -l 3 n part; ls part*; cat part*; nl n | head -2; fold -w 2 <<< abcdef; tac n | head -1; shuf -i 1-5 | sort | paste -sd' '
mktemp -d -p . tXXXXXX | grep -c t; test -e k && echo yes; basename /a/b.c .c; dirname /a/b; realpath --relative-to=/usr /usr/bin
touch -d '2001-02-03 04:05:06' old; stat -c %Y old; ls -l --time-style=+%s old | awk '{print $6}'
install -m 755 n inst; stat -c %a inst; rmdir a/b/c 2>&1; mkdir x; rmdir x; id -u | grep -c .; nproc | grep -cE '^[0-9]+$'
timeout 1 true; echo $?; nice -n 5 true; stdbuf -oL echo buffered; tsort <<< 'a b b c'; numfmt --to=iec 1048576; sync; csplit -s n 4 && cat xx00
echo a > 'sp ace'; ls 'sp ace'; unlink 'sp ace'; chown "$(id -u)" n && echo chowned; mkfifo ff; stat -c %F ff; df . > /dev/null && echo df; tee t1 < n | wc -l
