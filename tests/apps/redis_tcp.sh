# needs: redis-server redis-cli redis-benchmark
# timeout: 180
exec 2>&1
redis-server --port 16379 --bind 127.0.0.1 ::1 --save '' --appendonly yes --dir . --daemonize no > log 2>&1 & p=$!
for i in $(seq 100); do redis-cli -p 16379 ping > /dev/null 2>&1 && break; sleep 0.1; done
r() { redis-cli -p 16379 "$@"; }
r set a 1; r incr a; r get a; r rpush l 1 2 3; r lrange l 0 -1; redis-cli -h ::1 -p 16379 get a; seq 2000 | sed 's/.*/SET k& v&/' | redis-cli -p 16379 --pipe | tail -1; r dbsize
(sleep 0.3; r rpush q item > /dev/null) & r blpop q 5; (sleep 0.3; r publish ch hello > /dev/null; sleep 0.2; r client kill type pubsub > /dev/null) & timeout 5 redis-cli -p 16379 subscribe ch < /dev/null | head -6
redis-benchmark -p 16379 -c 20 -n 2000 -q -t set,get,lpush > bench.out; tr '\r' '\n' < bench.out | grep -c 'requests per second'
r debug sleep 0; r client no-evict on; r info clients | grep -c '^connected_clients'; r shutdown nosave; wait $p; echo stopped $?
