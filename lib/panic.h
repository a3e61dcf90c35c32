/*
 * The ways to die: ASSERT (our own bug; always compiled in) and fatal() (bad
 * surroundings at start).
 *
 * panic_init() makes every death by assertion or by SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT leave
 * one line on standard error ("obituary: worker 2: assertion failed: ... at file:line"), then the
 * signal's default action. Async-signal-safe; allocates nothing.
 */
#pragma once
#include <stdarg.h>

#define ASSERT(cond)                                                       \
	do {                                                               \
		if (__builtin_expect(!(cond), 0))                          \
			panic_assert(#cond, __FILE__, __LINE__, __func__); \
	} while (0)

/* The first line of every callback: turn void * into a checked type. */
#define CHECK_MAGIC(ptr, value) ASSERT((ptr) != NULL && (ptr)->magic == (value))

/* Names this process in its obituary ("worker 2"); at most 31 bytes. Call again after fork. */
void panic_init(const char *who);

_Noreturn void panic_assert(const char *cond, const char *file, int line, const char *func);

/* "sparkgwd: <words>" on standard error, exit status 1. The words give advice. Only at start-up. */
_Noreturn void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
