/*
 * harness.c: engine set-up and guest spaces for the conformance tests.
 */
#include "tests/platform/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct platform_ops *engine;
struct platform *platform;

void harness_start(const char *name)
{
    char reason[128] = "";
    engine = platform_find(name);
    if (engine == NULL) {
        fprintf(stderr, "no engine '%s'\n", name);
        exit(1);
    }
    int rc = engine->probe(reason, sizeof reason);
    if (rc != 0) {
        fprintf(stderr, "%s does not work here: %s (%d)\n", engine->name, reason, rc);
        exit(77);
    }
    struct platform_config config = {.stub_image_fd = -1, .silence_limit_ms = 2000};
    rc = engine->init(&config, &platform);
    if (rc != 0) {
        fprintf(stderr, "%s: init: %s\n", engine->name, strerror(-rc));
        exit(1);
    }
}

void harness_stop(void)
{
    engine->fini(platform);
    platform = NULL;
}

void guest_map(struct address_space *space, guest_addr addr, uint64_t length, int prot)
{
    assert_int_equal(
        engine->space_map(space, addr, length, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 0);
}

struct address_space *guest_space(const unsigned char *code, size_t length)
{
    struct address_space *space;
    assert_int_equal(engine->space_new(platform, &space), 0);
    guest_map(space, CODE_ADDR, 4 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    guest_map(space, DATA_ADDR, DATA_SIZE, PROT_READ | PROT_WRITE);
    guest_map(space, STACK_ADDR, STACK_SIZE, PROT_READ | PROT_WRITE);
    assert_int_equal(engine->copy_out(space, CODE_ADDR, code, length), (ssize_t)length);
    return space;
}

struct platform_thread *guest_thread(struct address_space *space, struct arch_regs *ret_regs)
{
    struct platform_thread *thread;
    assert_int_equal(engine->thread_new(space, &thread), 0);
    arch_regs_init(ret_regs, CODE_ADDR, STACK_ADDR + STACK_SIZE - 64);
    return thread;
}

void guest_run(struct platform_thread *thread, struct arch_regs *regs,
               enum platform_event_kind kind, struct platform_event *ret_event)
{
    for (int i = 0; i < 100; i++) {
        int rc = engine->thread_run(thread, regs, ret_event);
        assert_int_equal(rc, 0);
        if (ret_event->kind == kind) {
            return;
        }
        if (ret_event->kind != PLATFORM_EVENT_INTERRUPTED) {
            print_error("event %d, wanted %d: rip %lx rax %lx signal %d code %d addr %lx\n",
                        (int)ret_event->kind, (int)kind, regs->rip, regs->rax,
                        ret_event->fault.signo, ret_event->fault.code, ret_event->fault.addr);
            fail();
        }
    }
    fail_msg("interrupted for ever");
}

void guest_run_to_call(struct platform_thread *thread, struct arch_regs *regs, uint64_t number)
{
    struct platform_event event;
    guest_run(thread, regs, PLATFORM_EVENT_SYSCALL, &event);
    assert_int_equal(regs->rax, number);
}

void guest_complete(struct platform_thread *thread, struct arch_regs *regs)
{
    if (engine->thread_complete != NULL) {
        assert_int_equal(engine->thread_complete(thread, regs), 0);
    }
}

uint64_t guest_read64(struct address_space *space, guest_addr addr)
{
    uint64_t value = 0;
    assert_int_equal(engine->copy_in(space, addr, &value, sizeof value), sizeof value);
    return value;
}

void guest_write64(struct address_space *space, guest_addr addr, uint64_t value)
{
    assert_int_equal(engine->copy_out(space, addr, &value, sizeof value), sizeof value);
}
