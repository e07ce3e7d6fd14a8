/*
 * loader.h: from a file to a program in memory: #! lines, ELF segments, stack, auxiliary vector.
 * Sources: execve(2), elf(5), Linux fs/binfmt_elf.c, fs/binfmt_script.c.
 *
 * Every byte of the file is hostile. A failure before the new address space is committed leaves the
 * caller's process as it was.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "platform/arch/registers.h"
#include "platform/base/compiler.h"
#include "sentry/vfs/path.h"

struct mm;
struct cred;
struct file;
struct text;

/* Argument and environment strings: count of NUL-terminated strings packed one after another. */
struct string_list {
    char *data; /* owned */
    size_t length, capacity;
    uint32_t count;
};

void string_list_fini(struct string_list *list);
int string_list_add(struct string_list *list, const char *string, size_t length) must_check;

struct load_request {
    struct file *file;        /* the program, opened for execution; borrowed */
    const char *path;         /* as given: AT_EXECFN, and the script's argument */
    struct string_list *argv; /* changed for scripts */
    const struct string_list *envp;
    uint64_t stack_limit;    /* RLIMIT_STACK soft */
    const struct cred *cred; /* of the new program: AT_UID … */
    bool secure;             /* AT_SECURE */
    uint32_t personality;
};

/* What the file turned out to be, once interpreters are resolved. */
struct program {
    struct file *file;        /* reference: the ELF file that runs */
    struct file *interpreter; /* reference or NULL */
    void *header;             /* struct elf_image of file */
    void *interpreter_header;
};

/* Reads headers, follows #! (up to 5 levels, Linux: ELOOP) and PT_INTERP. Nothing is mapped yet.
 * -ENOEXEC, -ELIBBAD, -EACCES, -ENOENT of an interpreter, … */
int program_open(struct load_request *request, struct program *ret_program) must_check;
void program_fini(struct program *program);

/* Maps the program into a clean mm and makes its stack. *ret_regs are the first registers. */
int program_load(const struct load_request *request, const struct program *program, struct mm *mm,
                 struct arch_regs *ret_regs) must_check;
