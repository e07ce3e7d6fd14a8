/*
 * idle.c: says that it runs, then sleeps for ever: the guest of the memory and idle-CPU rows.
 */
#include <unistd.h>

int main(void)
{
    static const char line[] = "idle 1\n";
    if (write(1, line, sizeof(line) - 1) < 0) {
        return 1;
    }
    for (;;) {
        pause();
    }
}
