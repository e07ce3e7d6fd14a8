# needs: make gcc
exec 2>&1
for i in $(seq 12); do echo "int f$i(void) { return $i; }" > f$i.c; done
{ for i in $(seq 12); do echo "int f$i(void);"; done; echo '#include <stdio.h>'; echo 'int main(void) { int s = 0;'; for i in $(seq 12); do echo "s += f$i();"; done; echo 'printf("%d\n", s); }'; } > main.c
printf 'OBJS = $(patsubst %%.c,%%.o,$(sort $(wildcard *.c)))\nprog: $(OBJS)\n\t@gcc -o $@ $^ && echo linked\n%%.o: %%.c\n\t@gcc -c -o $@ $<\nclean:\n\t@rm -f *.o prog\n.PHONY: clean\n' > Makefile
make -j2; ./prog; make -j2; sleep 0.02; touch f3.c; make -j2; make clean; ls *.o 2>/dev/null | wc -l; printf 'all: a b c\na b c:\n\t@sleep 0.1; echo $@ > $@\n' > M2; make -j3 -f M2; cat a b c; printf 'x:\n\t@exit 3\n' > M3; make -f M3 > /dev/null 2>&1; echo $?
