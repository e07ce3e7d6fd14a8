# needs: s6-svscan s6-svc s6-svstat
exec 2>&1
mkdir -p scan/a scan/b; printf '#!/bin/sh\necho start >> %s/a.log\nexec sleep 1000\n' "$PWD" > scan/a/run; printf '#!/bin/sh\nexit 3\n' > scan/b/run; printf '#!/bin/sh\necho "finish $1" >> %s/b.log\nexit 125\n' "$PWD" > scan/b/finish; chmod +x scan/*/run scan/b/finish
s6-svscan scan & p=$!; for i in $(seq 50); do s6-svstat scan/a > /dev/null 2>&1 && break; sleep 0.1; done; sleep 0.5
s6-svstat -o up,wantedup scan/a; cat a.log; kill "$(s6-svstat -o pid scan/a)"; sleep 1.5; s6-svstat -o up scan/a; cat a.log; cat b.log; s6-svstat -o up scan/b
s6-svc -d scan/a; s6-svwait -d -t 3000 scan/a && echo down; s6-svc -u scan/a; s6-svwait -u -t 3000 scan/a && echo up; s6-svscanctl -t scan; wait $p; echo $?
