/*
 * Memory that dies together: one arena per RPC, connection or configuration.
 *
 * An arena hands out zeroed, 16-byte aligned memory from blocks and has a ceiling; when it is
 * reached arena_alloc() returns NULL and arena_failed() stays true (sticky), so that a sequence of
 * allocations is checked once at its end. No free of single pieces. Not thread-safe; any process.
 */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include "lib/str.h"

struct arena;

/* `first`: bytes of the first block (>= 256); `ceiling`: bytes in all. NULL when out of memory. */
struct arena *arena_new(size_t first, size_t ceiling);
void arena_free(struct arena **);
void arena_reset(struct arena *); /* keeps the first block, forgets a failure */

void *arena_alloc(struct arena *, size_t size);		      /* zeroed; NULL at the ceiling */
void *arena_array(struct arena *, size_t count, size_t size); /* overflow-checked */
void *arena_copy(struct arena *, const void *p, size_t n);    /* adds a NUL byte after the copy */
struct str arena_str(struct arena *, struct str s); /* NUL-terminated copy; STR_NONE stays so */
char *arena_printf(struct arena *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
bool arena_failed(const struct arena *);
size_t arena_used(const struct arena *); /* bytes of all blocks, which is what the ceiling limits */
