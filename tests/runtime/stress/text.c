/*
 * text.c: threads that make system calls from mapped text while other threads change the protection
 * of that text, map its pages anew, fork, exec, and interrupt them with signals and timers. Every
 * call must give its result, wherever the engine that runs this rewrote the text meanwhile.
 */
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "tests/runtime/stress/stress.h"

#define CALLERS 4
#define FILES   6
#define PAGE    4096UL

/*
 * Three ways to make a call that a rewriting engine must treat differently: with padding nearby,
 * without, and with the number in a register. The rest is text around them.
 */
__asm__(".pushsection .rodata\n.balign 4096\n"
        ".macro text_filler\n .rept 10\n"
        " mov 8(%rsp), %rdx\n mov %rdx, 16(%rsp)\n lea (%rsi, %rdi), %rcx\n"
        " mov %rcx, 24(%rsp)\n mov %esi, %r8d\n add %r8d, %edx\n"
        ".endr\n.endm\n"
        ".macro text_padding\n .balign 16, 0xcc\n .rept 8\n"
        " mov %rdx, 16(%rsp)\n mov 8(%rsp), %rdx\n mov %rdx, 24(%rsp)\n mov %esi, %edx\n ret\n"
        " .balign 16, 0xcc\n"
        ".endr\n.endm\n"
        ".globl text_start, text_end, text_near, text_far, text_register\n"
        "text_start:\n text_filler\n ret\n text_padding\n text_filler\n"
        "text_near:\n mov $110, %eax\n syscall\n ret\n"
        "text_padding\n text_filler\n text_filler\n"
        "text_far:\n mov $102, %eax\n syscall\n mov %rax, -8(%rsp)\n mov -8(%rsp), %rax\n ret\n"
        "text_filler\n text_filler\n text_filler\n"
        "text_register:\n mov %ebx, %eax\n syscall\n mov %eax, 8(%rsp)\n ret\n"
        "text_filler\n text_filler\n ret\n text_padding\n"
        "text_end:\n"
        ".popsection\n");
extern const unsigned char text_start[], text_end[], text_near[], text_far[], text_register[];

static double stop_at;
static uint64_t base_seed;
static atomic_long calls, changes, signals_seen, forks;
static char *text; /* [text, text + PAGE); under lock: written by who replaces it */
static int files[FILES];
static int file; /* the one mapped now */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static atomic_int tids[CALLERS];
static long parent, user;

/* A call from the text: 0 near, 1 far, 2 by register. */
static long call_text(unsigned way)
{
    static const unsigned char *const functions[] = {text_near, text_far, text_register};
    const char *function = text + (functions[way] - text_start);
    long result;
    __asm__ volatile("sub $256, %%rsp\n call *%[function]\n add $256, %%rsp"
                     : "=a"(result)
                     : [function] "r"(function), "b"(SYS_getppid), "D"(0), "S"(0)
                     : "rcx", "rdx", "r8", "r11", "memory", "cc");
    return result;
}

static void check_call(unsigned way, long expected_parent)
{
    long got = call_text(way);
    long expected = way == 1 ? user : expected_parent;
    if (got != expected) {
        stress_fail("way %u: got %ld instead of %ld", way, got, expected);
    }
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
}

static void on_signal(int signo)
{
    (void)signo;
    atomic_fetch_add(&signals_seen, 1);
}

/* A file with the text and an ELF header that calls the rest of its page unused. */
static int make_file(int index)
{
    char name[64];
    unsigned char content[2 * PAGE] = {0};
    const size_t size = (size_t)(text_end - text_start);
    Elf64_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
                         .e_type = ET_DYN,
                         .e_machine = EM_X86_64,
                         .e_version = 1,
                         .e_phoff = sizeof(Elf64_Ehdr),
                         .e_ehsize = sizeof(Elf64_Ehdr),
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 1};
    Elf64_Phdr segment = {.p_type = PT_LOAD,
                          .p_flags = PF_R | PF_X,
                          .p_offset = PAGE,
                          .p_vaddr = PAGE,
                          .p_filesz = size,
                          .p_memsz = size,
                          .p_align = PAGE};
    memcpy(content, &header, sizeof header);
    memcpy(content + sizeof header, &segment, sizeof segment);
    memcpy(content + PAGE, text_start, size);
    /* Each text differs from the others. */
    content[PAGE] = (unsigned char)(0x48 + index % 2);
    snprintf(name, sizeof name, "/tmp/stress-text-%d-%d", (int)getpid(), index);
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (fd < 0 || write(fd, content, sizeof content) != (ssize_t)sizeof content) {
        stress_fail("cannot write %s", name);
    }
    close(fd);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    unlink(name);
    return fd;
}

static void map_text(char *where, int fd)
{
    char *got = mmap(where, PAGE, PROT_READ | PROT_EXEC,
                     MAP_PRIVATE | (where != NULL ? MAP_FIXED : 0), fd, PAGE);
    if (got == MAP_FAILED || (where != NULL && got != where)) {
        stress_fail("mmap of text");
    }
    text = got;
}

static void *run_caller(void *argument)
{
    size_t index = (size_t)argument;
    struct stress_random random;
    stress_seed(&random, base_seed + index);
    atomic_store(&tids[index], (int)syscall(SYS_gettid));
    while (stress_now() < stop_at) {
        pthread_rwlock_rdlock(&lock);
        unsigned way = stress_below(&random, 3);
        for (unsigned i = 0; i < 200; i++) {
            check_call((way + i / 64) % 3, parent);
        }
        pthread_rwlock_unlock(&lock);
    }
    atomic_store(&tids[index], 0);
    return NULL;
}

/* Changes that callers in the text must not notice. */
static void change_in_place(struct stress_random *random)
{
    pthread_rwlock_rdlock(&lock);
    switch (stress_below(random, 3)) {
    case 0:
        if (mprotect(text, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) != 0 ||
            mprotect(text, PAGE, PROT_READ | PROT_EXEC) != 0) {
            stress_fail("mprotect");
        }
        break;
    case 1:
        map_text(text, files[file]);
        break;
    default:
        if (madvise(text, PAGE, MADV_DONTNEED) != 0) {
            stress_fail("madvise");
        }
        break;
    }
    pthread_rwlock_unlock(&lock);
}

static void *run_changer(void *argument)
{
    struct stress_random random;
    stress_seed(&random, base_seed + 100 + (size_t)argument);
    while (stress_now() < stop_at) {
        if (stress_below(&random, 8) == 0) {
            pthread_rwlock_wrlock(&lock);
            file = (int)stress_below(&random, FILES);
            if (munmap(text, PAGE) != 0) {
                stress_fail("munmap");
            }
            map_text(NULL, files[file]);
            pthread_rwlock_unlock(&lock);
        } else {
            change_in_place(&random);
        }
        atomic_fetch_add(&changes, 1);
        usleep(stress_below(&random, 2000));
    }
    return NULL;
}

static void *run_forker(void *argument)
{
    struct stress_random random;
    stress_seed(&random, base_seed + 200 + (size_t)argument);
    while (stress_now() < stop_at) {
        pthread_rwlock_rdlock(&lock);
        int code = (int)stress_below(&random, 200);
        char number[16];
        snprintf(number, sizeof number, "%d", code);
        pid_t self = getpid();
        bool exec = stress_below(&random, 3) == 0;
        pid_t pid = exec ? vfork() : fork();
        if (pid == 0) {
            if (exec) {
                execl("/proc/self/exe", "text", "exit", number, (char *)NULL);
                _exit(250);
            }
            for (unsigned i = 0; i < 300; i++) {
                check_call(i % 3, self);
            }
            if (mprotect(text, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
                _exit(251);
            }
            check_call(0, self);
            _exit(code);
        }
        pthread_rwlock_unlock(&lock);
        int status = 0;
        pid_t got;
        do {
            got = waitpid(pid, &status, 0);
        } while (got < 0 && errno == EINTR);
        if (got != pid || !WIFEXITED(status) || WEXITSTATUS(status) != code) {
            stress_fail("wait: pid %d got %d status 0x%x wanted %d", pid, got, status, code);
        }
        atomic_fetch_add(&forks, 1);
    }
    return NULL;
}

static void *run_signaller(void *argument)
{
    struct stress_random random;
    stress_seed(&random, base_seed + 300 + (size_t)argument);
    while (stress_now() < stop_at) {
        int tid = atomic_load(&tids[stress_below(&random, CALLERS)]);
        if (tid != 0) {
            syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
        }
        usleep(stress_below(&random, 300));
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "exit") == 0) {
        return atoi(argv[2]);
    }
    double seconds = argc > 1 ? atoi(argv[1]) : 3;
    base_seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)getpid();
    parent = getppid();
    user = (long)getuid();
    for (int i = 0; i < FILES; i++) {
        files[i] = make_file(i);
    }
    map_text(NULL, files[0]);
    usleep(2100000); /* an engine may leave files alone that were written a moment ago */
    map_text(text, files[0]);
    stop_at = stress_now() + seconds;

    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    const struct itimerval timer = {{0, 1500}, {0, 1500}};
    setitimer(ITIMER_REAL, &timer, NULL);

    pthread_t threads[CALLERS + 4];
    void *(*const others[])(void *) = {run_changer, run_changer, run_forker, run_signaller};
    for (size_t i = 0; i < CALLERS + 4; i++) {
        void *(*run)(void *) = i < CALLERS ? run_caller : others[i - CALLERS];
        if (pthread_create(&threads[i], NULL, run, (void *)i) != 0) {
            stress_fail("pthread_create");
        }
    }
    for (size_t i = 0; i < CALLERS + 4; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("text: %ld calls, %ld changes, %ld forks, %ld signals\n", atomic_load(&calls),
           atomic_load(&changes), atomic_load(&forks), atomic_load(&signals_seen));
    return 0;
}
