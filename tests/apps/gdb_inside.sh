# needs: gdb gcc
# timeout: 240
exec 2>&1
cat > p.c <<'END'
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
volatile int counter, stop;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
__attribute__((noinline)) int inner(int x) { pthread_mutex_lock(&lock); counter += x; pthread_mutex_unlock(&lock); return x * 2; }
__attribute__((noinline)) int outer(int x) { int r = inner(x + 1); return r + 1; }
__attribute__((noinline)) void tick(void) { __asm__ volatile(""); }
static void *work(void *a) { outer(10); return a; }
static void handler(int s) { (void)s; counter += 100; }
int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "loop")) { while (!stop) { tick(); usleep(10000); } return 9; }
    if (argc > 1 && !strcmp(argv[1], "crash")) { *(volatile int *)0 = 1; }
    if (argc > 1 && !strcmp(argv[1], "fork")) { if (fork() == 0) { tick(); _exit(4); } return 5; }
    signal(SIGUSR1, handler);
    int r = outer(1);
    raise(SIGUSR1);
    pthread_t t;
    pthread_create(&t, NULL, work, NULL);
    pthread_join(t, NULL);
    double d = 1.5; d *= r; counter++;
    printf("%d %g\n", counter, d);
    return 7;
}
END
gcc -g -O0 p.c -o p -pthread || exit 1
export DEBUGINFOD_URLS=
run() { timeout 60 gdb -q -batch -nx -ex 'set confirm off' -ex 'set width 0' -ex 'set print thread-events off' -ex 'set style enabled off' -ex 'set startup-with-shell off' "$@" 2>&1 | grep -v -E '^(\[Thread debugging|Using host|warning:|\[New |\[Thread 0x|\[Switching|$)|No such file or directory|debuginfod|^\[Detaching' | sed -E 's/0x[0-9a-f]{4,}/ADDR/g; s/LWP [0-9]+/LWP N/g; s/process [0-9]+/process N/g; s/handler \(s=[0-9]+\)/handler (s=N)/; s/Target Id +Frame/Target Id Frame/'; }
echo breakpoints; run -ex 'break inner' -ex run -ex bt -ex 'info registers cs' -ex 'p x' -ex finish -ex c -ex 'p x' -ex delete -ex c ./p
echo steps; run -ex 'break outer' -ex run -ex step -ex next -ex next -ex next -ex 'stepi' -ex 'stepi' -ex 'p counter' -ex up -ex 'p x' -ex kill ./p | grep -v 'pthread_mutex'
echo changes; run -ex 'break outer' -ex run -ex 'set var x = 40' -ex 'p $rip == (long)&outer + 11' -ex 'p outer(2)' -ex 'p $xmm0.v4_int32[0] * 0' -ex 'delete' -ex c ./p | grep -v 'The program being debugged\|GDB\|has left\|Evaluation\|(outer) will be\|be abandoned\|Breakpoint 1, outer (x=2)'
echo watch; run -ex 'handle SIGUSR1 nostop noprint pass' -ex 'break main' -ex run -ex 'watch counter' -ex c -ex c -ex 'p counter' -ex 'delete' -ex c ./p
echo signals; run -ex 'handle SIGUSR1 stop print pass' -ex run -ex 'p counter' -ex 'break handler' -ex c -ex bt\ 2 -ex delete -ex c ./p | grep -v -E '^(#1|[0-9]+\s.*pthread_kill|__|raise)|in __|at \./'
echo threads; run -ex 'handle SIGUSR1 nostop noprint pass' -ex 'break inner if x == 11' -ex run -ex 'info threads' -ex 'thread apply all -q p 1+1' -ex delete -ex c ./p | grep -v -E 'Thread ADDR|clone|futex'
echo crash; run -ex run -ex 'p $_siginfo.si_signo' -ex 'p $_siginfo._sifields._sigfault.si_addr' -ex bt -ex kill --args ./p crash
echo fork; run -ex 'set follow-fork-mode child' -ex 'break tick' -ex run -ex c --args ./p fork
echo catch; run -ex 'handle SIGUSR1 nostop noprint pass' -ex 'catch syscall write' -ex 'catch exec' -ex run -ex c -ex delete -ex c ./p | grep -v -E '__GI___libc_write|libc.so'
./p loop & p=$!; sleep 0.3
echo attach; run -p $p -ex 'break tick' -ex c -ex bt -ex 'set var stop = 1' -ex delete -ex detach | grep -v -E 'nanosleep|usleep|^ADDR|sysdeps|Reading symbols'
wait $p; echo "loop $?"
