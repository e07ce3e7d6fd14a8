#include "tests/platform/harness.h"
const struct CMUnitTest memory_tests[1];
const size_t memory_test_count = 0;
const struct CMUnitTest thread_tests[1];
const size_t thread_test_count = 0;
const struct CMUnitTest death_tests[1];
const size_t death_test_count = 0;
const struct CMUnitTest filter_tests[1];
const size_t filter_test_count = 0;
