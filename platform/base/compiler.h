/*
 * compiler.h: attributes and small macros used everywhere.
 *
 * must_check marks every fallible function; a deliberate drop is written ignore_result(f()).
 * auto_free frees a heap pointer when it leaves scope.
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>

#define must_check        __attribute__((warn_unused_result))
#define maybe_unused      __attribute__((unused))
#define printf_like(f, a) __attribute__((format(printf, f, a)))

#define ignore_result(expr)                                                                        \
    do {                                                                                           \
        __auto_type ignored_result_ = (expr);                                                      \
        (void)ignored_result_;                                                                     \
    } while (0)

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define array_size(a) (sizeof(a) / sizeof((a)[0]))

#define unique_name_join(a, b)   a##b
#define unique_name_expand(a, b) unique_name_join(a, b)
#define unique_name(prefix)      unique_name_expand(prefix, __COUNTER__)

#define min_of_named(a, b, x, y)                                                                   \
    ({                                                                                             \
        __auto_type x = (a);                                                                       \
        __auto_type y = (b);                                                                       \
        x < y ? x : y;                                                                             \
    })
#define max_of_named(a, b, x, y)                                                                   \
    ({                                                                                             \
        __auto_type x = (a);                                                                       \
        __auto_type y = (b);                                                                       \
        x > y ? x : y;                                                                             \
    })
#define min_of(a, b) min_of_named(a, b, unique_name(min_a_), unique_name(min_b_))
#define max_of(a, b) max_of_named(a, b, unique_name(max_a_), unique_name(max_b_))

static inline void auto_free_helper(void *pointer)
{
    free(*(void **)pointer);
}
#define auto_free __attribute__((cleanup(auto_free_helper)))

/* 1 under a sanitizer, whose run-time makes host calls and uses stack of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif
/* The stack of a thread that needs this many bytes: instrumented frames are several times larger.
 */
#define thread_stack_size(bytes) (UNDER_SANITIZER ? 6UL * (bytes) : (bytes)*1UL)

/* Clang's thread-safety analysis; nothing under gcc. */
#if defined(__clang__)
#define thread_annotation(x) __attribute__((x))
#else
#define thread_annotation(x)
#endif
#define REQUIRES(...)             thread_annotation(requires_capability(__VA_ARGS__))
#define ACQUIRES(...)             thread_annotation(acquire_capability(__VA_ARGS__))
#define RELEASES(...)             thread_annotation(release_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS thread_annotation(no_thread_safety_analysis)
