# needs: busybox
exec 2>&1
busybox sh -c 'echo shell $((6 * 7)); for i in 1 2 3; do echo line $i; done | busybox tac'
busybox sh -c 'set -- a b c; while [ $# -gt 0 ]; do echo $1; shift; done; exit 3'; echo status $?
busybox sh -c 'x=$(busybox printf "%s-%s" left right); echo $x; cat <<END
here $x
END'
busybox sh -c 'trap "echo bye" EXIT; (exit 5); echo sub $?; kill -0 $$ && echo alive'
busybox mkdir -p d/e && busybox touch d/e/f && busybox find d | busybox sort
busybox echo hello | busybox sed s/l/L/g | busybox md5sum
