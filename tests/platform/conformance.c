/*
 * conformance.c: what every engine must do. Usage: platform_conformance [--platform NAME] [FILTER]
 */
#include "tests/platform/harness.h"

#include <stdio.h>
#include <string.h>

static int run_group(const char *name, const struct CMUnitTest *tests, size_t count)
{
    printf("# %s: %s\n", engine->name, name);
    return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}

int main(int argc, char **argv)
{
    const char *name = "auto";
    bool victim = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--platform") == 0 && i + 1 < argc) {
            name = argv[++i];
        } else if (strcmp(argv[i], "--victim") == 0) {
            victim = true;
        } else {
            cmocka_set_test_filter(argv[i]);
        }
    }
    if (victim) {
        death_run_victim(name);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    harness_start(name);
    int failed = run_group("events", event_tests, event_test_count);
    failed += run_group("access", access_tests, access_test_count);
    failed += run_group("memory", memory_tests, memory_test_count);
    failed += run_group("threads", thread_tests, thread_test_count);
    failed += run_group("filter", filter_tests, filter_test_count);
    failed += run_group("death", death_tests, death_test_count);
    failed += run_group("storm", storm_tests, storm_test_count);
    failed += run_group("attack", attack_tests, attack_test_count);
    harness_stop();
    return failed != 0;
}
