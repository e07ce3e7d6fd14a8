#include "tests/platform/harness.h"
const struct CMUnitTest filter_tests[1];
const size_t filter_test_count = 0;
