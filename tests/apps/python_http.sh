exec 2>&1
/usr/bin/python3 - <<'END'
import http.server, threading, urllib.request, urllib.error, os, socket, json
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def do_GET(self):
        if self.path == "/missing": self.send_error(404); return
        body = (self.path * 1000).encode(); self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"])); body = json.dumps({"got": len(data), "sum": sum(data)}).encode()
        self.send_response(201); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    class S(http.server.ThreadingHTTPServer): address_family = family
    s = S((host, 0), H); t = threading.Thread(target=s.serve_forever); t.start(); name = f"[{host}]" if ":" in host else host; url = f"http://{name}:{s.server_address[1]}"
    r = urllib.request.urlopen(url + "/hello"); print(r.status, len(r.read()))
    try: urllib.request.urlopen(url + "/missing")
    except urllib.error.HTTPError as e: print(e.code)
    r = urllib.request.urlopen(url + "/post", data=bytes(range(256)) * 4000); print(r.status, r.read())
    def many(i): results[i] = len(urllib.request.urlopen(url + f"/{i:03}").read())
    results = {}; ts = [threading.Thread(target=many, args=(i,)) for i in range(20)]; [x.start() for x in ts]; [x.join() for x in ts]; print(sorted(results.items())[:3], len(results))
    s.shutdown(); s.server_close(); t.join()
    try: urllib.request.urlopen(url + "/gone", timeout=5)
    except urllib.error.URLError as e: print(type(e.reason).__name__)
print({i[4][0] for i in socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM, family=socket.AF_INET)})
END
