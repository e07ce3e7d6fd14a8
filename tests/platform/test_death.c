#include "tests/platform/harness.h"
const struct CMUnitTest death_tests[1];
const size_t death_test_count = 0;
