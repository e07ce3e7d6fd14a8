# needs: bash script
exec 2>&1
set -m
sleep 0.2 & sleep 0.4 &
jobs | sed 's/ *$//'
wait %1; echo first $?
wait; echo all $?
(exit 3) & wait -n; echo wait-n $?
for i in 3 1 2; do (sleep 0.$i; exit $i) & done
wait -n; echo $?; wait -n; echo $?; wait -n; echo $?
sleep 10 & kill -STOP %%; sleep 0.2; jobs | grep -o Stopped; kill -CONT %%; sleep 0.1; jobs | grep -o Running
kill %%; wait %% 2> /dev/null; echo killed $?
wait -n -p which $(sleep 0.1 & echo) ; echo done
