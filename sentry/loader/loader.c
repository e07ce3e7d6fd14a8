/* loader.c: interpreters, placement, and the first stack of a program. */
#include "sentry/loader/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "sentry/core/cred.h"
#include "sentry/loader/elf_image.h"
#include "sentry/loader/elf_map.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uio.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/inode.h"
#include "sentry/vfs/path.h"

#define HEAD_SIZE              256 /* Linux: BINPRM_BUF_SIZE */
#define SCRIPT_DEPTH           5
#define PIE_BASE               0x555555554000ULL /* Linux: ELF_ET_DYN_BASE region on x86-64 */
#define ADDR_NO_RANDOMIZE_FLAG 0x0040000U
#define STACK_MAX              (1ULL << 30)
#define STACK_GAP              (1ULL << 20) /* Linux: stack_guard_gap, 256 pages */

void string_list_fini(struct string_list *list)
{
    free(list->data);
    *list = (struct string_list){0};
}

int string_list_add(struct string_list *list, const char *string, size_t length)
{
    size_t need = list->length + length + 1;
    if (need > list->capacity) {
        size_t capacity = max_of(list->capacity * 2, need + 256);
        char *data = realloc(list->data, capacity);
        if (!data) {
            return -ENOMEM;
        }
        list->data = data;
        list->capacity = capacity;
    }
    memcpy(list->data + list->length, string, length);
    list->data[list->length + length] = '\0';
    list->length = need;
    list->count++;
    return 0;
}

/* Replaces argv[0] by the strings of front. */
static int replace_first(struct string_list *argv, const struct string_list *front)
{
    struct string_list merged = {0};
    size_t skip = argv->count > 0 ? strlen(argv->data) + 1 : 0;
    size_t rest = argv->length - skip;
    merged.capacity = front->length + rest + 1;
    merged.data = malloc(merged.capacity);
    if (!merged.data) {
        return -ENOMEM;
    }
    memcpy(merged.data, front->data, front->length);
    if (rest > 0) {
        memcpy(merged.data + front->length, argv->data + skip, rest);
    }
    merged.length = front->length + rest;
    merged.count = front->count + (argv->count > 0 ? argv->count - 1 : 0);
    string_list_fini(argv);
    *argv = merged;
    return 0;
}

/* Splits "#!interpreter [argument]" (Linux: load_script). */
static int parse_script(char *head, size_t length, char **ret_interpreter, char **ret_argument)
{
    char *end = memchr(head, '\n', length);
    if (!end) {
        /* A line longer than the buffer is accepted only when the interpreter's name is whole. */
        char *p = head + 2;
        while (p < head + length && (*p == ' ' || *p == '\t')) {
            p++;
        }
        while (p < head + length && *p != ' ' && *p != '\t' && *p != '\0') {
            p++;
        }
        if (p == head + length && length == HEAD_SIZE) {
            return -ENOEXEC;
        }
        end = head + length;
    }
    *end = '\0';
    while (end > head && (end[-1] == ' ' || end[-1] == '\t')) {
        *--end = '\0';
    }
    char *name = head + 2;
    name += strspn(name, " \t");
    if (*name == '\0') {
        return -ENOEXEC;
    }
    char *argument = strpbrk(name, " \t");
    if (argument) {
        *argument++ = '\0';
        argument += strspn(argument, " \t");
    }
    *ret_interpreter = name;
    *ret_argument = argument && *argument ? argument : NULL;
    return 0;
}

static int open_executable(const char *path, struct file **ret_file)
{
    return vfs_open_exec(NULL, path, WALK_FOLLOW, ret_file);
}

static ssize_t read_head(struct file *file, char head[HEAD_SIZE + 1])
{
    struct uio uio;
    uint64_t pos = 0;
    uio_init_kernel(&uio, head, HEAD_SIZE);
    ssize_t got = file_read(file, &uio, &pos, 0);
    if (got >= 0) {
        head[got] = '\0';
    }
    return got;
}

/* Follows one #! line: argv becomes interpreter [argument] script …; *file the interpreter's. */
static int follow_script(struct load_request *request, char *head, size_t length,
                         const char *script, struct file **file, char **ret_name)
{
    char *interpreter;
    char *argument;
    int result = parse_script(head, length, &interpreter, &argument);
    if (result != 0) {
        return result;
    }
    struct string_list front = {0};
    result = string_list_add(&front, interpreter, strlen(interpreter));
    if (result == 0 && argument) {
        result = string_list_add(&front, argument, strlen(argument));
    }
    if (result == 0) {
        result = string_list_add(&front, script, strlen(script));
    }
    if (result == 0) {
        result = replace_first(request->argv, &front);
    }
    string_list_fini(&front);
    if (result != 0) {
        return result;
    }
    struct file *next = NULL;
    result = open_executable(interpreter, &next);
    if (result != 0) {
        return result;
    }
    char *name = strdup(interpreter);
    if (!name) {
        file_unref(next);
        return -ENOMEM;
    }
    file_unref(*file);
    *file = next;
    free(*ret_name);
    *ret_name = name;
    return 0;
}

static int open_interpreter(struct program *program)
{
    const struct elf_image *image = program->header;
    if (image->interpreter[0] == '\0') {
        return 0;
    }
    int result = open_executable(image->interpreter, &program->interpreter);
    if (result != 0) {
        return result;
    }
    char head[HEAD_SIZE + 1];
    ssize_t length = read_head(program->interpreter, head);
    if (length < 0) {
        return (int)length;
    }
    struct elf_image *interpreter = NULL;
    result = elf_image_read(program->interpreter, head, (size_t)length, &interpreter);
    if (result == -ENOEXEC) {
        return -ELIBBAD;
    }
    program->interpreter_header = interpreter;
    return result;
}

int program_open(struct load_request *request, struct program *ret_program)
{
    struct program program = {.file = file_ref(request->file)};
    char *name = strdup(request->path);
    int result = name ? 0 : -ENOMEM;
    for (int depth = 0; result == 0; depth++) {
        char head[HEAD_SIZE + 1];
        ssize_t length = read_head(program.file, head);
        if (length < 0) {
            result = (int)length;
            break;
        }
        if (length >= 2 && head[0] == '#' && head[1] == '!') {
            if (depth >= SCRIPT_DEPTH) {
                result = -ELOOP;
                break;
            }
            result = follow_script(request, head, (size_t)length, name, &program.file, &name);
            continue;
        }
        struct elf_image *image = NULL;
        result = elf_image_read(program.file, head, (size_t)length, &image);
        program.header = image;
        break;
    }
    free(name);
    if (result == 0) {
        result = open_interpreter(&program);
    }
    if (result != 0) {
        program_fini(&program);
        return result;
    }
    *ret_program = program;
    return 0;
}

void program_fini(struct program *program)
{
    if (program->file) {
        file_unref(program->file);
    }
    if (program->interpreter) {
        file_unref(program->interpreter);
    }
    free(program->header);
    free(program->interpreter_header);
    *program = (struct program){0};
}

static uint64_t random_pages(uint64_t pages, const struct load_request *request)
{
    uint64_t random = 0;
    if (request->personality & ADDR_NO_RANDOMIZE_FLAG) {
        return 0;
    }
    ignore_result(getrandom(&random, sizeof(random), 0));
    return random % pages * PAGE_SIZE;
}

/* Address for a position-independent image: p_align of its segments is honoured (Linux:
 * maximum_alignment). */
static uint64_t image_alignment(const struct elf_image *image)
{
    uint64_t alignment = PAGE_SIZE;
    for (uint32_t i = 0; i < image->segment_count; i++) {
        uint64_t align = image->segments[i].p_align;
        if (image->segments[i].p_type == PT_LOAD && align <= 1ULL << 30 &&
            (align & (align - 1)) == 0) {
            alignment = max_of(alignment, align);
        }
    }
    return alignment;
}

static int choose_interpreter_base(struct mm *mm, const struct elf_image *image, uint64_t *ret_base)
{
    struct mm_map_request request = {.length = image->high - image->low,
                                     .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE};
    return mm_map(mm, &request, ret_base);
}

struct stack_builder {
    struct mm *mm;
    uint64_t sp;
};

static int push_bytes(struct stack_builder *stack, const void *data, size_t length)
{
    stack->sp -= length;
    return mm_copy_out(stack->mm, stack->sp, data, length);
}

static int map_stack(struct mm *mm, const struct load_request *request, bool executable,
                     uint64_t *ret_top)
{
    uint64_t size = max_of(request->stack_limit, (uint64_t)(256 << 10));
    size = min_of(size, (uint64_t)STACK_MAX) & PAGE_MASK;
    size = page_round_up(max_of(size, request->argv->length + request->envp->length + (128 << 10)));
    uint64_t top = mm->vdso.vvar > (1ULL << 46) ? mm->vdso.vvar : PLATFORM_GUEST_MAX;
    top = (top - PAGE_SIZE - random_pages(1 << 10, request)) & PAGE_MASK;
    struct mm_map_request map = {.addr = top - size,
                                 .length = size,
                                 .prot = PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0),
                                 .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
                                 .area_flags = AREA_STACK};
    uint64_t addr;
    int result = mm_map(mm, &map, &addr);
    if (result != 0) {
        return result;
    }
    mm_lock(mm);
    mm->mmap_base = min_of(mm->mmap_base, addr - STACK_GAP);
    mm_unlock(mm);
    *ret_top = top;
    return 0;
}

struct auxv_builder {
    uint64_t words[64];
    uint32_t count;
};

static void add_auxv(struct auxv_builder *auxv, uint64_t type, uint64_t value)
{
    auxv->words[auxv->count++] = type;
    auxv->words[auxv->count++] = value;
}

static void fill_auxv(struct auxv_builder *auxv, const struct load_request *request,
                      const struct program *program, struct mm *mm,
                      const struct elf_placement *main_place, uint64_t interpreter_bias,
                      uint64_t random_addr, uint64_t name_addr, uint64_t platform_addr)
{
    const struct elf_image *image = program->header;
    if (mm->vdso.vdso != 0) {
        add_auxv(auxv, AT_SYSINFO_EHDR, mm->vdso.vdso);
    }
    add_auxv(auxv, AT_MINSIGSTKSZ, getauxval(AT_MINSIGSTKSZ));
    add_auxv(auxv, AT_HWCAP, getauxval(AT_HWCAP));
    add_auxv(auxv, AT_PAGESZ, PAGE_SIZE);
    add_auxv(auxv, AT_CLKTCK, 100);
    add_auxv(auxv, AT_PHDR, main_place->headers);
    add_auxv(auxv, AT_PHENT, sizeof(Elf64_Phdr));
    add_auxv(auxv, AT_PHNUM, image->segment_count);
    add_auxv(auxv, AT_BASE, interpreter_bias);
    add_auxv(auxv, AT_FLAGS, 0);
    add_auxv(auxv, AT_ENTRY, main_place->entry);
    add_auxv(auxv, AT_UID, request->cred->uid);
    add_auxv(auxv, AT_EUID, request->cred->euid);
    add_auxv(auxv, AT_GID, request->cred->gid);
    add_auxv(auxv, AT_EGID, request->cred->egid);
    add_auxv(auxv, AT_SECURE, request->secure);
    add_auxv(auxv, AT_RANDOM, random_addr);
    /* DIFFERS: the gs base belongs to the engine that rewrites call sites until the guest asks for
     * it by arch_prctl(2), so programs are not told that they may load it themselves (FSGSBASE). */
    add_auxv(auxv, AT_HWCAP2, getauxval(AT_HWCAP2) & ~2UL);
    add_auxv(auxv, AT_EXECFN, name_addr);
    add_auxv(auxv, AT_PLATFORM, platform_addr);
    add_auxv(auxv, AT_NULL, 0);
}

/* Writes argc, argv pointers, envp pointers and the auxiliary vector; sp ends at argc. */
static int push_vectors(struct stack_builder *stack, const struct load_request *request,
                        uint64_t argv_addr, uint64_t envp_addr, const struct auxv_builder *auxv)
{
    const struct string_list *lists[] = {request->argv, request->envp};
    uint64_t addrs[] = {argv_addr, envp_addr};
    size_t words = 1 + request->argv->count + 1 + request->envp->count + 1 + auxv->count;
    auto_free uint64_t *vector = malloc(words * sizeof(*vector));
    if (!vector) {
        return -ENOMEM;
    }
    size_t at = 0;
    vector[at++] = request->argv->count;
    for (size_t i = 0; i < array_size(lists); i++) {
        const char *string = lists[i]->data;
        for (uint32_t n = 0; n < lists[i]->count; n++) {
            vector[at++] = addrs[i] + (uint64_t)(string - lists[i]->data);
            string += strlen(string) + 1;
        }
        vector[at++] = 0;
    }
    memcpy(vector + at, auxv->words, auxv->count * sizeof(uint64_t));
    stack->sp = (stack->sp - words * sizeof(*vector)) & ~15ULL;
    return mm_copy_out(stack->mm, stack->sp, vector, words * sizeof(*vector));
}

static int build_stack(const struct load_request *request, const struct program *program,
                       struct mm *mm, const struct elf_placement *main_place,
                       uint64_t interpreter_bias, uint64_t top, uint64_t *ret_sp)
{
    struct stack_builder stack = {.mm = mm, .sp = top - 8};
    unsigned char random[16];
    ignore_result(getrandom(random, sizeof(random), 0));
    int result = push_bytes(&stack, request->path, strlen(request->path) + 1);
    uint64_t name_addr = stack.sp;
    if (result == 0) {
        result = push_bytes(&stack, request->envp->data ? request->envp->data : "",
                            request->envp->length);
    }
    uint64_t envp_addr = stack.sp;
    if (result == 0) {
        result = push_bytes(&stack, request->argv->data, request->argv->length);
    }
    uint64_t argv_addr = stack.sp;
    stack.sp -= random_pages(2, request) / 2 & ~15ULL;
    if (result == 0) {
        result = push_bytes(&stack, "x86_64", 7);
    }
    uint64_t platform_addr = stack.sp;
    if (result == 0) {
        result = push_bytes(&stack, random, sizeof(random));
    }
    uint64_t random_addr = stack.sp;
    struct auxv_builder auxv = {.count = 0};
    fill_auxv(&auxv, request, program, mm, main_place, interpreter_bias, random_addr, name_addr,
              platform_addr);
    if (result == 0) {
        result = push_vectors(&stack, request, argv_addr, envp_addr, &auxv);
    }
    if (result != 0) {
        return result == -EFAULT ? -E2BIG : result;
    }
    mm_lock(mm);
    mm->arg_start = argv_addr;
    mm->arg_end = argv_addr + request->argv->length;
    mm->env_start = envp_addr;
    mm->env_end = envp_addr + request->envp->length;
    mm->start_stack = stack.sp;
    memcpy(mm->auxv, auxv.words, auxv.count * sizeof(uint64_t));
    mm->auxv_count = auxv.count;
    mm_unlock(mm);
    *ret_sp = stack.sp;
    return 0;
}

static int map_main(const struct load_request *request, const struct program *program,
                    struct mm *mm, struct elf_placement *ret_place)
{
    const struct elf_image *image = program->header;
    uint64_t bias = 0;
    if (image->position_independent) {
        uint64_t base;
        if (program->interpreter) {
            base = PIE_BASE + random_pages(1ULL << 28, request);
            uint64_t alignment = image_alignment(image);
            base = base / alignment * alignment;
        } else {
            /* Static PIE, or the dynamic linker run as a program: among the mappings. */
            int result = choose_interpreter_base(mm, image, &base);
            if (result != 0) {
                return result;
            }
            ignore_result(mm_unmap(mm, base, image->high - image->low));
        }
        bias = base - image->low;
    }
    return elf_map(mm, program->file, image, bias, ret_place);
}

static int map_interpreter(const struct program *program, struct mm *mm,
                           struct elf_placement *ret_place)
{
    const struct elf_image *image = program->interpreter_header;
    uint64_t bias = 0;
    if (image->position_independent) {
        uint64_t base;
        int result = choose_interpreter_base(mm, image, &base);
        if (result != 0) {
            return result;
        }
        ignore_result(mm_unmap(mm, base, image->high - image->low));
        bias = base - image->low;
    }
    return elf_map(mm, program->interpreter, image, bias, ret_place);
}

int program_load(const struct load_request *request, const struct program *program, struct mm *mm,
                 struct arch_regs *ret_regs)
{
    const struct elf_image *image = program->header;
    struct elf_placement main_place;
    struct elf_placement interpreter_place = {0};
    uint64_t top;
    int result = map_stack(mm, request, image->executable_stack, &top);
    if (result == 0) {
        result = map_main(request, program, mm, &main_place);
    }
    if (result == 0 && program->interpreter) {
        result = map_interpreter(program, mm, &interpreter_place);
    }
    if (result != 0) {
        return result;
    }
    mm_lock(mm);
    mm->start_code = main_place.start_code;
    mm->end_code = main_place.end_code;
    mm->start_data = main_place.start_data;
    mm->end_data = main_place.end_data;
    mm->brk_start = mm->brk = page_round_up(main_place.end) + random_pages(1 << 13, request);
    program->file->backing.ops->ref(&program->file->backing);
    mm->exe = &program->file->backing;
    mm_unlock(mm);
    uint64_t sp;
    result = build_stack(request, program, mm, &main_place, interpreter_place.bias, top, &sp);
    if (result != 0) {
        return result;
    }
    arch_regs_init(ret_regs, program->interpreter ? interpreter_place.entry : main_place.entry, sp);
    return 0;
}
