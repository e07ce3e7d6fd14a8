# needs: go
# timeout: 300
exec 2>&1
export GOCACHE="$PWD/cache" GOPATH="$PWD/path" GOFLAGS=-mod=mod GO111MODULE=off
cat > n.go <<'END'
package main
import ("fmt"; "io"; "net"; "net/http"; "strings"; "sync"; "time")
func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0"); fmt.Println(err)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b, _ := io.ReadAll(r.Body); fmt.Fprintf(w, "%s %d", r.URL.Path, len(b)) }))
	url := "http://" + l.Addr().String(); r, err := http.Post(url+"/p", "text/plain", strings.NewReader(strings.Repeat("x", 1000000))); b, _ := io.ReadAll(r.Body); fmt.Println(string(b), err)
	var w sync.WaitGroup; var mu sync.Mutex; n := 0; for i := 0; i < 50; i++ { w.Add(1); go func() { defer w.Done(); r, err := http.Get(url + "/g"); if err == nil { io.Copy(io.Discard, r.Body); r.Body.Close(); mu.Lock(); n++; mu.Unlock() } }() }; w.Wait(); fmt.Println(n)
	u, _ := net.ListenPacket("udp", "[::1]:0"); c, _ := net.Dial("udp", u.LocalAddr().String()); c.Write([]byte("gram")); buf := make([]byte, 10); k, _, _ := u.ReadFrom(buf); fmt.Println(string(buf[:k]))
	_, err = net.DialTimeout("tcp", "127.0.0.1:1", time.Second); fmt.Println(err)
	c2, _ := net.Dial("tcp", l.Addr().String()); c2.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); _, err = c2.Read(buf); ne, _ := err.(net.Error); fmt.Println(ne.Timeout())
	ifs, err := net.Interfaces(); for _, i := range ifs { if i.Name == "lo" { fmt.Println(i.Index, i.Flags&net.FlagLoopback != 0, err) } }
}
END
go build -o n n.go && ./n; echo $?
