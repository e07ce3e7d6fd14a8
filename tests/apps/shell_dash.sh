# needs: dash
exec 2>&1
dash -c 'i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); done; echo $i; x=`echo sub`; echo $x; f() { return 4; }; f; echo $?; case abc in a*) echo match;; esac; set -e; (false; echo not) || echo or; ulimit -c 0; exec 4< /etc/passwd; read l <&4; echo ${l%%:*}; wait; times > /dev/null; cd /usr/../usr/bin; pwd'
dash -c 'for i in 1 2 3 4 5; do (exit $i) & done; wait; echo done'; dash -c 'echo $0 $# "$@"' name a 'b c'; printf 'echo from script\nexit 2\n' > s; chmod +x s; ./s; dash s; echo $?; printf '#!/usr/bin/env dash\necho env $1\n' > e; chmod +x e; ./e arg; echo '#!./none' > bad; chmod +x bad; ./bad; echo $?; ./nonexist; echo $?; touch noexec; ./noexec; echo $?; ./ ; echo $?
