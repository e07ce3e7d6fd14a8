# needs: redis-server redis-cli
exec 2>&1
redis-server --port 0 --unixsocket "$PWD/r.sock" --save '' --appendonly yes --dir . --daemonize no > log 2>&1 & p=$!
for i in $(seq 50); do redis-cli -s r.sock ping > /dev/null 2>&1 && break; sleep 0.1; done
r() { redis-cli -s r.sock "$@"; }
r set a 1; r incr a; r get a; r lpush l x y z; r lrange l 0 -1; r hset h f v; r hgetall h; seq 1000 | sed 's/.*/SET k& v&/' | redis-cli -s r.sock --pipe | tail -1; r dbsize; r eval 'return redis.call("get", "k7")' 0; (sleep 0.3; r rpush q item > /dev/null) & r blpop q 5; r expire a 1; sleep 1.2; r exists a; r bgrewriteaof > /dev/null; sleep 0.5; r shutdown nosave; wait $p; echo stopped $?
