/*
 * Time. Every timer and deadline uses the monotonic clock; the wall clock is for stamps that people
 * or other machines read (logs, bindings, tokens).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "lib/str.h"

uint64_t clock_ns(void);      /* monotonic, nanoseconds */
uint64_t clock_ms(void);      /* monotonic, milliseconds */
uint64_t clock_wall_ms(void); /* since 1970-01-01 UTC, milliseconds */

/* "2026-11-22T10:11:12.345Z" (RFC 3339, UTC). size >= 25. Returns buf. */
const char *clock_stamp(uint64_t wall_ms, char *buf, size_t size);
/* The reverse; the fraction may have any number of digits, or be missing. E_SYNTAX. */
int clock_parse(struct str stamp, uint64_t *ret_wall_ms) MUST_CHECK;
