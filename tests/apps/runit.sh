# needs: runsvdir sv
exec 2>&1
mkdir -p sd/a; printf '#!/bin/sh\necho start >> %s/a.log\nexec sleep 1000\n' "$PWD" > sd/a/run; chmod +x sd/a/run
runsvdir sd & p=$!; for i in $(seq 50); do sv status "$PWD/sd/a" 2> /dev/null | grep -q '^run' && break; sleep 0.1; done
sv status "$PWD/sd/a" | sed 's/(pid [0-9]*) [0-9]*s/(pid)/; s,/.*/,,'; kill "$(cat sd/a/supervise/pid)"; sleep 1.5; cat a.log; sv -v down "$PWD/sd/a" > /dev/null; sv status "$PWD/sd/a" | cut -d: -f1; sv -v up "$PWD/sd/a" | cut -d: -f1,2; kill -HUP $p; wait $p; echo $?; sleep 0.3; pgrep -f "sleep 1000" > /dev/null || echo gone
