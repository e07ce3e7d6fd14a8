/*
 * Patched text at work. Every site of the C library is entered with chosen registers, flags and an
 * unusable stack; then a child maps the patched text over its own C library and makes real calls
 * through it: an entry of the test's own executes them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform/patch/patch.h"
#include "platform/patch/patch_elf.h"
#include "tests/unit/patch_files.h"

extern char **environ;

#define SLOT      0x122000UL
#define SITES_MAX 4096
#define THUNK     16 /* bytes of the test's code per byte of text */

/* --- entering a site with chosen registers ------------------------------------------------- */

struct registers {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, flags;
};

void probe_enter(const struct registers *in, struct registers *out, uint64_t target);
void probe_arrive(void);

__asm__(".pushsection .text\n"
        ".globl probe_enter, probe_arrive\n"
        "probe_enter:\n"
        "  push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "  mov %rsp, probe_stack(%rip)\n"
        "  mov %rsi, probe_out(%rip)\n"
        "  mov %rdx, probe_target(%rip)\n"
        "  push 128(%rdi)\n popfq\n"
        "  mov 0(%rdi), %rax\n mov 8(%rdi), %rbx\n mov 16(%rdi), %rcx\n mov 24(%rdi), %rdx\n"
        "  mov 32(%rdi), %rsi\n mov 48(%rdi), %rbp\n mov 56(%rdi), %rsp\n mov 64(%rdi), %r8\n"
        "  mov 72(%rdi), %r9\n mov 80(%rdi), %r10\n mov 88(%rdi), %r11\n mov 96(%rdi), %r12\n"
        "  mov 104(%rdi), %r13\n mov 112(%rdi), %r14\n mov 120(%rdi), %r15\n"
        "  mov 40(%rdi), %rdi\n"
        "  jmp *probe_target(%rip)\n"
        "probe_arrive:\n"
        "  mov %r15, probe_spare(%rip)\n"
        "  mov probe_out(%rip), %r15\n"
        "  mov %rax, 0(%r15)\n mov %rbx, 8(%r15)\n mov %rcx, 16(%r15)\n mov %rdx, 24(%r15)\n"
        "  mov %rsi, 32(%r15)\n mov %rdi, 40(%r15)\n mov %rbp, 48(%r15)\n mov %rsp, 56(%r15)\n"
        "  mov %r8, 64(%r15)\n mov %r9, 72(%r15)\n mov %r10, 80(%r15)\n mov %r11, 88(%r15)\n"
        "  mov %r12, 96(%r15)\n mov %r13, 104(%r15)\n mov %r14, 112(%r15)\n"
        "  mov probe_spare(%rip), %rax\n mov %rax, 120(%r15)\n"
        "  mov probe_stack(%rip), %rsp\n"
        "  pushfq\n pop 128(%r15)\n"
        "  cld\n"
        "  pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
        "  ret\n"
        ".popsection\n"
        ".pushsection .bss\n .balign 8\n"
        "probe_stack: .zero 8\n probe_out: .zero 8\n probe_target: .zero 8\n"
        "probe_spare: .zero 8\n"
        ".popsection\n");

/* The page with the slot, which leads to target. */
static void set_slot(uint64_t target)
{
    static void *page;
    if (!page) {
        page = mmap((void *)SLOT, 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        assert_ptr_equal(page, (void *)SLOT);
    }
    *(uint64_t *)SLOT = target;
}

static struct patch_image *image_of(const struct patch_file *file)
{
    const struct patch_config config = {.entry_slot = SLOT};
    struct patch_image *image = NULL;
    size_t tail = patch_elf_tail(file->map, 4096, file->offset, file->length);
    assert_int_equal(patch_build(&config, file->text, file->length, tail, &image), 0);
    assert_true(patch_image_site_count(image) == 0 ||
                patch_image_memfd(image, file->text, file->length) >= 0);
    return image;
}

static void probe_site(const struct patch_site *site, const uint8_t *text, uint64_t stack,
                       uint64_t flags)
{
    struct registers in, out = {0};
    uint64_t *values = &in.rax;
    for (uint64_t i = 0; i < sizeof(in) / 8; i++) {
        values[i] = (i + 1) * 0x0123456789abcdefULL;
    }
    in.rsp = stack;
    in.flags = flags;
    probe_enter(&in, &out, (uint64_t)(uintptr_t)text + site->start);
    if (site->shape == PATCH_SHAPE_MOVE) {
        uint32_t number;
        uint8_t original[5];
        memcpy(original, text + site->trampoline, 5);
        memcpy(&number, original + 1, 4);
        in.rax = number;
    }
    in.rcx = (uint64_t)(uintptr_t)text + site->offset + 2;
    if (site->shape == PATCH_SHAPE_FORWARD) {
        in.rcx = (uint64_t)(uintptr_t)text + site->trampoline + 14;
    }
    out.flags &= ~0x202ULL;
    in.flags &= ~0x202ULL;
    assert_memory_equal(&in, &out, sizeof(in));
}

static void test_registers(void **state)
{
    (void)state;
    uint8_t *stack = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(stack != MAP_FAILED);
    set_slot((uint64_t)(uintptr_t)probe_arrive);
    for (size_t i = 0; i < array_size(patch_files); i++) {
        struct patch_file file;
        if (patch_file_open(patch_files[i], &file) != 0) {
            continue;
        }
        struct patch_image *image = image_of(&file);
        size_t count = patch_image_site_count(image);
        uint8_t *text = MAP_FAILED;
        if (count != 0) {
            text = mmap(NULL, file.length, PROT_READ | PROT_EXEC, MAP_PRIVATE,
                        patch_image_fd(image), 0);
            assert_true(text != MAP_FAILED);
        }
        for (size_t s = 0; s < count; s++) {
            probe_site(patch_image_site(image, s), text, (uint64_t)(uintptr_t)stack + 4096, 0x8d5);
            probe_site(patch_image_site(image, s), text, (uint64_t)(uintptr_t)stack + 4099, 0x400);
        }
        if (count != 0) {
            printf("%-52s %4zu sites entered\n", patch_files[i], count);
            munmap(text, file.length);
        }
        patch_image_unref(image);
        patch_file_close(&file);
    }
    munmap(stack, 8192);
}

/* --- a process on a patched C library -------------------------------------------------------- */

struct library {
    const char *path;
    uint64_t text; /* address of the executable segment's first page */
};

static int find_library(struct dl_phdr_info *info, size_t size, void *context)
{
    struct library *library = context;
    (void)size;
    if (!strstr(info->dlpi_name, "/libc.so.6")) {
        return 0;
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0) {
            library->path = info->dlpi_name;
            library->text = (info->dlpi_addr + segment->p_vaddr) & ~4095ULL;
        }
    }
    return 1;
}

static uint8_t *hits; /* per site; shared with children */

static void put_bytes(uint8_t **at, const char *bytes, size_t count, const void *operand,
                      size_t operand_size)
{
    memcpy(*at, bytes, count);
    memcpy(*at + count, operand, operand_size);
    *at += count + operand_size;
}

/*
 * The entry and, for each address that rcx can have, `movb $1, hit; syscall; jmp back`. The entry
 * finds it by the place of rcx in the text: with rcx and r11 alone, and without changing flags.
 */
static uint8_t *make_thunks(const struct patch_image *image, uint64_t text, size_t length)
{
    size_t size = 4096 + SITES_MAX + length * THUNK;
    uint8_t *area = MAP_FAILED;
    for (uint64_t down = 1; down < 16 && area == MAP_FAILED; down++) {
        area = mmap((void *)(uintptr_t)((text - down * (64UL << 20)) & ~4095UL), size,
                    PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    }
    if (area == MAP_FAILED) {
        return NULL;
    }
    uint8_t *at = area;
    uint8_t *thunks = area + 4096 + SITES_MAX;
    uint64_t minus_text = -text;
    hits = area + 4096;
    put_bytes(&at, "\x49\xbb", 2, &minus_text, 8); /* movabs $-text, %r11 */
    put_bytes(&at, "\x4a\x8d\x0c\x19", 4, "", 0);  /* lea (%rcx, %r11), %rcx */
    put_bytes(&at, "\x48\x8d\x0c\x09", 4, "", 0);  /* lea (%rcx, %rcx), %rcx */
    put_bytes(&at, "\x49\xbb", 2, &(uint64_t){(uint64_t)(uintptr_t)thunks}, 8);
    put_bytes(&at, "\x4d\x8d\x1c\xcb", 4, "", 0); /* lea (%r11, %rcx, 8), %r11 */
    put_bytes(&at, "\x41\xff\xe3", 3, "", 0);     /* jmp *%r11 */
    for (size_t i = 0; i < patch_image_site_count(image); i++) {
        const struct patch_site *site = patch_image_site(image, i);
        size_t back = site->shape == PATCH_SHAPE_FORWARD ? site->trampoline + 14 : site->offset + 2;
        at = thunks + back * THUNK;
        int32_t relative = (int32_t)(hits + i - (at + 7));
        put_bytes(&at, "\xc6\x05", 2, &relative, 4); /* movb $1, hits[i] */
        put_bytes(&at, "\x01\x0f\x05\xe9", 4, "", 0);
        relative = (int32_t)((int64_t)(text + back) - (int64_t)(uintptr_t)(at + 4));
        put_bytes(&at, "", 0, &relative, 4);
    }
    if (mprotect(thunks, size - 4096 - SITES_MAX, PROT_READ | PROT_EXEC) != 0 ||
        mprotect(area, 4096, PROT_READ | PROT_EXEC) != 0) {
        return NULL;
    }
    return area;
}

#define must(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "patched: line %d: %s: %s\n", __LINE__, #condition, strerror(errno));  \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void use_files(void)
{
    int pipes[2];
    char buffer[64] = "";
    must(pipe(pipes) == 0);
    must(write(pipes[1], "hello", 5) == 5);
    must(read(pipes[0], buffer, sizeof(buffer)) == 5 && memcmp(buffer, "hello", 5) == 0);
    must(lseek(pipes[0], 0, SEEK_SET) == -1 && errno == ESPIPE);
    must(dup2(pipes[0], 60) == 60 && close(60) == 0);
    must(close(pipes[0]) == 0 && close(pipes[1]) == 0 && close(pipes[1]) == -1 && errno == EBADF);
    FILE *file = fopen("/proc/self/status", "r");
    must(file != NULL && fgets(buffer, sizeof(buffer), file) && memcmp(buffer, "Name:", 5) == 0);
    must(fclose(file) == 0);
    must(open("/nowhere/at/all", O_RDONLY) == -1 && errno == ENOENT);
    must(getrandom(buffer, 16, 0) == 16);
    must(syscall(SYS_getppid) == getppid());
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(page != MAP_FAILED && mprotect(page, 4096, PROT_READ) == 0 && munmap(page, 4096) == 0);
    struct epoll_event event = {0};
    int epoll = epoll_create1(0);
    must(epoll >= 0 && epoll_wait(epoll, &event, 1, 1) == 0 && close(epoll) == 0);
    must(poll(NULL, 0, 1) == 0);
}

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals += getppid() > 0;
}

/* Interrupted, restarted, and with calls in the handler. */
static void use_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    const struct itimerval soon = {.it_value = {.tv_usec = 20000}};
    struct timespec wait = {.tv_sec = 5}, left;
    int pipes[2];
    char byte;
    must(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
    must(clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, &left) == EINTR && left.tv_sec == 4);
    must(signals == 1);
    action.sa_flags = SA_RESTART;
    must(sigaction(SIGALRM, &action, NULL) == 0 && pipe(pipes) == 0);
    must(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        usleep(60000);
        must(write(pipes[1], "x", 1) == 1);
        _exit(0);
    }
    must(read(pipes[0], &byte, 1) == 1 && byte == 'x' && signals == 2);
    must(waitpid(child, NULL, 0) == child);
    /* Stopped in a sleep: it goes on by restart_syscall. */
    child = fork();
    must(child >= 0);
    if (child == 0) {
        struct timespec nap = {.tv_nsec = 60000000};
        _exit(nanosleep(&nap, NULL) == 0 ? 7 : 8);
    }
    usleep(20000);
    int status;
    must(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
    must(WIFSTOPPED(status) && kill(child, SIGCONT) == 0);
    must(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    must(raise(SIGALRM) == 0 && signals == 3);
    signal(SIGALRM, SIG_DFL);
    alarm(60);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static int turns;

static void *take_turns(void *context)
{
    int parity = context != NULL;
    for (int i = 0; i < 300; i++) {
        pthread_mutex_lock(&lock);
        while (turns % 2 != parity) {
            pthread_cond_wait(&turn, &lock);
        }
        turns++;
        pthread_cond_broadcast(&turn);
        pthread_mutex_unlock(&lock);
    }
    return context;
}

static void *sleep_long(void *context)
{
    sleep(100);
    return context;
}

static void use_threads(void)
{
    pthread_t threads[4];
    void *result;
    for (size_t i = 0; i < 4; i++) {
        must(pthread_create(&threads[i], NULL, take_turns, i % 2 ? &turns : NULL) == 0);
    }
    for (size_t i = 0; i < 4; i++) {
        must(pthread_join(threads[i], &result) == 0);
    }
    must(turns == 1200);
    must(pthread_create(&threads[0], NULL, sleep_long, NULL) == 0);
    must(pthread_cancel(threads[0]) == 0 && pthread_join(threads[0], &result) == 0);
    must(result == PTHREAD_CANCELED);
}

static void use_processes(void)
{
    char *const arguments[] = {(char *)"sh", (char *)"-c", (char *)"exit 5", NULL};
    pid_t child;
    int status;
    must(posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ) == 0);
    must(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 5);
    child = vfork();
    must(child >= 0);
    if (child == 0) {
        execv("/bin/sh", arguments);
        _exit(99);
    }
    must(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 5);
    must(WEXITSTATUS(system("exit 3")) == 3);
    FILE *file = popen("echo out", "r");
    char line[16] = "";
    must(file && fgets(line, sizeof(line), file) && strcmp(line, "out\n") == 0);
    must(pclose(file) == 0);
}

static int live(const struct patch_image *image, uint64_t text, size_t length)
{
    uint8_t *entry = make_thunks(image, text, length);
    must(entry != NULL);
    set_slot((uint64_t)(uintptr_t)entry);
    int image_fd = patch_image_fd(image);
    register long flags __asm__("r10") = MAP_PRIVATE | MAP_FIXED;
    register long fd __asm__("r8") = image_fd;
    register long offset __asm__("r9") = 0;
    long rc = SYS_mmap;
    __asm__ volatile("syscall"
                     : "+a"(rc)
                     : "D"(text), "S"(length), "d"(PROT_READ | PROT_EXEC), "r"(flags), "r"(fd),
                       "r"(offset)
                     : "rcx", "r11", "memory");
    must((uint64_t)rc == text);
    use_files();
    use_signals();
    use_threads();
    use_processes();
    return 0;
}

static void test_libc(void **state)
{
    (void)state;
    struct library library = {0};
    struct patch_file file;
    dl_iterate_phdr(find_library, &library);
#if defined(__SANITIZE_THREAD__)
    skip(); /* it delivers signals late */
#endif
    if (!library.path || patch_file_open(library.path, &file) != 0) {
        skip();
        return;
    }
    struct patch_image *image = image_of(&file);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        int rc = live(image, library.text, file.length);
        size_t count[PATCH_SHAPE_COUNT] = {0};
        for (size_t i = 0; i < patch_image_site_count(image); i++) {
            count[patch_image_site(image, i)->shape] += hits[i];
        }
        must(write(pipes[1], count, sizeof(count)) == (ssize_t)sizeof(count));
        _exit(rc);
    }
    int status;
    size_t count[PATCH_SHAPE_COUNT] = {0};
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(read(pipes[0], count, sizeof(count)), sizeof(count));
    printf("sites executed: %zu hole, %zu move, %zu forward\n", count[PATCH_SHAPE_HOLE],
           count[PATCH_SHAPE_MOVE], count[PATCH_SHAPE_FORWARD]);
    assert_true(count[PATCH_SHAPE_HOLE] >= 25);
    close(pipes[0]);
    close(pipes[1]);
    patch_image_unref(image);
    patch_file_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_libc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
