# needs: strace
exec 2>&1
# Threads, children, signals, failures, filters by name, attaching, counting.
mkdir d; : > d/one; : > d/two
strace -f -o log ls d; echo "ls $?"; grep -c '^[0-9]* *execve("/.*ls", \["ls", "d"\]' log; grep -c 'getdents64.*= 0$' log; tail -1 log | sed 's/^[0-9 ]*//'
strace -o log -e trace=openat cat /nonexistent; echo "cat $?"; grep nonexistent log
strace -c -o log ls d > /dev/null; grep -c -E 'total$' log; awk '$NF == "execve" {print $4, $NF}' log
strace -f -o log sh -c 'sh -c "exit 3"; true & wait'; echo "sh $?"; grep -c 'exited with 3' log; grep -c 'exited with 0' log; grep -c SIGCHLD log
strace -o log -e trace=none -e signal=all sh -c 'trap "echo caught" USR1; kill -USR1 $$; kill -TERM $$'; echo "signals $?"; sed -E 's/si_(pid|uid)=[0-9]+/si_\1=N/g' log
strace -qq -e inject=getcwd:error=EPERM -e trace=none -o log /bin/pwd -P; echo "inject $?"
strace -qq -o log -e trace=getppid -e inject=getppid:retval=77 sh -c 'echo $PPID'; grep -c INJECTED log
sleep 30 & p=$!; sleep 0.2; strace -q -o log -p $p & s=$!; sleep 0.6; grep -E '^(State|TracerPid)' /proc/$p/status | grep -c "$s"; kill -INT $s; wait $s; echo "detached $?"; grep -c nanosleep log; grep TracerPid /proc/$p/status; kill $p; wait $p; echo "sleep $?"
strace -y -e trace=read -o log cat d/one; grep -c '<.*/d/one>' log
strace -f --seccomp-bpf -e trace=execve -o log sh -c 'ls d > /dev/null'; echo "filter $?"; grep -c '= 0$' log
strace -o log -tt -T true; grep -c -E '^[0-9:.]+ .*<[0-9.]+>$' log | grep -cv '^0$'
