# needs: bash
exec 2>&1
declare -A map=([one]=1 [two]=2); for k in $(printf '%s\n' "${!map[@]}" | sort); do echo "$k ${map[$k]}"; done
arr=(a b c d); echo "${arr[@]:1:2} ${#arr[@]} ${arr[-1]}"
s=hello_world; echo "${s^^} ${s/o/0} ${s#*_} ${s%_*} ${#s}"
shopt -s extglob nullglob globstar
mkdir -p g/h/i; touch g/a.txt g/h/b.txt g/h/i/c.md; echo g/**/*.txt; echo g/!(h)
printf '%05d|%-6s|%x|%q\n' 42 ab 255 'a b'
[[ abc123 =~ ([a-z]+)([0-9]+) ]] && echo "${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
f() { local x=$1; (( x <= 1 )) && { echo 1; return; }; echo $(( x * $(f $((x - 1))) )); }; f 7
mapfile -t lines < <(seq 3); echo "${lines[@]}"
read -r -t 0.1 nothing < <(sleep 0.5); echo "read $?"
umask 027; touch u; stat -c %a u
ulimit -n 256; ulimit -n
cd g && pwd | sed 's|.*/||'; cd - > /dev/null
test -x /bin/sh && echo exec; [ -d /proc ] && echo proc
echo $((16#ff)) $((2**40)); echo {1..5} {a..c}
exec 3> out3; echo to3 >&3; exec 3>&-; cat out3
type -t cd; command -v ls > /dev/null && echo found
bash --posix -c 'echo posix'; echo $BASHPID | grep -qE '^[0-9]+$' && echo pid
{ time -p true; } 2>&1 | grep -c real
