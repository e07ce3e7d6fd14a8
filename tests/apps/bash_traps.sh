# needs: bash
exec 2>&1
trap 'echo got USR1' USR1
kill -USR1 $$
trap 'echo got TERM' TERM
kill -TERM $$
bash -c 'trap "echo leaving; exit 4" TERM; kill -TERM $$; sleep 5'; echo status $?
bash -c 'kill -KILL $$'; echo status $?
bash -c 'kill -SEGV $$'; echo status $?
bash -c 'trap "echo exit trap" EXIT; exit 9'; echo status $?
bash -c 'trap "" INT; kill -INT $$; echo still here'
bash -c 'trap "echo err at \$?" ERR; false; true'
(trap 'echo chld' CHLD; sleep 0.1 & wait; echo done)
timeout 0.3 sleep 5; echo timeout $?
timeout -s INT 0.3 bash -c 'trap "echo int; exit 7" INT; while :; do sleep 0.05; done'; echo $?
bash -c 'sleep 30 & p=$!; kill $p; wait $p; echo waited $?'
