# needs: bash
exec 2>&1
seq 1 1000 | sort -rn | head -5 | tac
set -o pipefail
false | true; echo "pipefail $?"
seq 5 | while read -r n; do echo "n=$n"; done
echo "${PIPESTATUS[@]}"
seq 100000 | head -1
yes | head -3
{ echo out; echo err >&2; } 2>&1 | sort
exec 5<>fifo.txt; echo through >&5; cat fifo.txt
diff <(seq 3) <(seq 4)
tee >(wc -l) < <(seq 10) > /dev/null; wait; sleep 0.2
mkfifo p; (echo via fifo > p &) ; cat p
coproc CO { read -r x; echo "got $x"; }; echo hello >&"${CO[1]}"; read -r y <&"${CO[0]}"; echo "$y"
