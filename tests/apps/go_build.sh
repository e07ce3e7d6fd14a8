# needs: go
# timeout: 600
# stockade: --memory-limit none
exec 2>&1
export GOCACHE=$PWD/cache GOPATH=$PWD/gopath GOFLAGS=-mod=mod GOTOOLCHAIN=local GO111MODULE=on GOTELEMETRY=off
mkdir m && cd m && cat > main.go <<'END'
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strings"
	"sync"
	"time"
)

func main() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var out []string
	for i := 0; i < 50; i++ {
		wg.Add(1)
		go func(n int) { defer wg.Done(); time.Sleep(time.Millisecond); mu.Lock(); out = append(out, fmt.Sprint(n)); mu.Unlock() }(i)
	}
	wg.Wait()
	sort.Strings(out)
	fmt.Println(len(out), out[0], fmt.Sprintf("%x", sha256.Sum256([]byte("abc")))[:16])
	b, err := exec.Command("echo", "from child").Output()
	fmt.Println(strings.TrimSpace(string(b)), err)
	_, err = os.Open("/nonexistent")
	fmt.Println(err)
	defer func() { fmt.Println("recovered", recover()); os.Exit(3) }()
	var p *int
	fmt.Println(*p)
}
END
go mod init example.com/m > /dev/null 2>&1; go build -o m . && ./m; echo $?; go vet . ; gofmt -l .
