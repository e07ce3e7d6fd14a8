# needs: curl
exec 2>&1
mkdir www; printf 'a page\n' > www/page.txt; head -c 3000000 /dev/zero > www/big
/usr/bin/python3 -m http.server -b 127.0.0.1 -d www 18123 > log 2>&1 & p=$!
for i in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:18123/ && break; sleep 0.1; done
curl -s http://127.0.0.1:18123/page.txt; curl -s -o big http://localhost:18123/big; cmp big www/big && echo same
curl -s -o /dev/null -w '%{http_code} %{remote_ip}\n' http://127.0.0.1:18123/none; curl -s -o /dev/null http://127.0.0.1:9; echo refused $?
for i in 1 2 3 4 5 6; do curl -s http://127.0.0.1:18123/page.txt > out$i & done; wait %2 %3 %4 %5 %6 %7 2> /dev/null; cat out1 out6; kill $p; wait $p; echo ended $?
