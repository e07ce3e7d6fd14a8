# needs: gcc
exec 2>&1
# The leak checker attaches to its own process with ptrace(2), which sandboxes do not have.
export ASAN_OPTIONS=detect_leaks=0
cat > a.c <<'END'
#include <math.h>
#include <stdio.h>
#include <pthread.h>
static void *work(void *p) { *(double *)p = sqrt(*(double *)p); return NULL; }
int main(int argc, char **argv) { double d[3] = {4, 9, 16}; pthread_t t[3]; for (int i = 0; i < 3; i++) pthread_create(&t[i], NULL, work, &d[i]); for (int i = 0; i < 3; i++) pthread_join(t[i], NULL); printf("%g %g %g %d\n", d[0], d[1], d[2], argc); return 3; }
END
for opt in -O0 -O2 '-O3 -flto' '-g -static' '-fsanitize=address'; do gcc $opt a.c -o a -lm -pthread && ./a x; echo "$opt $?"; done
gcc -shared -fPIC -o liby.so -x c - <<< 'int y(void) { return 77; }'; gcc -x c - -o b -L. -ly -Wl,-rpath,'$ORIGIN' <<< 'int y(void); int main(void) { return y(); }'; ./b; echo $?
gcc -x c -c - <<< 'int main(void) { return undeclared; }' 2>&1 | grep -c error; gcc -S -O2 -x c -o - - <<< 'int f(int x) { return x * 2; }' | grep -c ret; ar rc l.a /dev/null; objdump -d a | grep -c main | grep -cv '^0$'; strip a; ./a > /dev/null; echo $?; file_size=$(stat -c %s a); test $file_size -gt 1000 && echo big
