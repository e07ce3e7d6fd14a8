# needs: python3
# needs-python: requests
# timeout: 60
exec 2>&1
mkdir www; echo hello > www/a.txt; seq 100000 > www/big
python3 -m http.server --bind 127.0.0.1 --directory www 18888 > log 2>&1 & p=$!; sleep 0.7
python3 - <<'END'
import requests, concurrent.futures
s = requests.Session(); u = "http://127.0.0.1:18888/"
for i in range(30):
    try: s.get(u); break
    except requests.ConnectionError: import time; time.sleep(0.2)
r = s.get(u + "a.txt"); print(r.status_code, r.text.strip(), r.headers["Content-Length"])
print(len(s.get(u + "big").content), s.get(u + "none").status_code, s.head(u + "big").headers["Content-Length"])
with concurrent.futures.ThreadPoolExecutor(8) as e: print(sum(len(x.content) for x in e.map(lambda i: requests.get(u + "big"), range(24))))
try: requests.get("http://127.0.0.1:18889/", timeout=2)
except requests.ConnectionError as e: print("refused" in str(e))
try: requests.get("http://name.invalid/", timeout=5)
except requests.RequestException as e: print(type(e).__name__)
END
kill $p; wait $p 2> /dev/null; echo $?
