# needs: nginx ab curl
# timeout: 120
exec 2>&1
mkdir -p root logs tmp; echo hello > root/index.html; seq 20000 > root/big.txt
cat > conf <<END
worker_processes 2; daemon off; pid $PWD/pid; error_log $PWD/logs/error;
events { worker_connections 256; }
http { access_log $PWD/logs/access; client_body_temp_path $PWD/tmp; proxy_temp_path $PWD/tmp; fastcgi_temp_path $PWD/tmp; uwsgi_temp_path $PWD/tmp; scgi_temp_path $PWD/tmp;
  sendfile on; tcp_nopush on; gzip on; gzip_types text/plain; types { text/html html; text/plain txt; }
  server { listen 127.0.0.1:18080 reuseport; listen [::1]:18080; root $PWD/root; location /down { return 503; } location /p/ { proxy_pass http://127.0.0.1:18080/; } } }
END
[ "$(id -u)" = 0 ] && sed -i '1i user root;' conf
nginx -t -c "$PWD/conf" -p "$PWD" 2>&1 | sed "s,$PWD,,g" | tail -1
nginx -c "$PWD/conf" -p "$PWD" & p=$!
for i in $(seq 50); do curl -s -o /dev/null http://127.0.0.1:18080/ && break; sleep 0.1; done
curl -s http://127.0.0.1:18080/; curl -s 'http://[::1]:18080/'; curl -s http://127.0.0.1:18080/big.txt | cksum; curl -s --compressed http://127.0.0.1:18080/big.txt | cksum
curl -s -r 10-19 http://127.0.0.1:18080/big.txt | od -c | head -1; curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1:18080/down http://127.0.0.1:18080/none; curl -s http://127.0.0.1:18080/p/
ab -q -n 2000 -c 20 http://127.0.0.1:18080/ > ab 2>&1; grep -E '^(Complete|Failed|Non-2xx)' ab
ab -q -k -n 2000 -c 20 http://127.0.0.1:18080/ > ab 2>&1; grep -E '^(Complete|Failed|Keep-Alive|Non-2xx)' ab
kill -HUP $p; sleep 0.7; curl -s http://127.0.0.1:18080/; kill -USR1 $p; sleep 0.3; curl -s http://127.0.0.1:18080/; kill -QUIT $p; wait $p; echo stopped $?; grep -c . logs/access > /dev/null && echo logged
