/*
 * Slices of bytes (not NUL-terminated, not owned) and the small parsers that configuration, headers
 * and commands share. A struct str with p == NULL means "absent"; p != NULL and n == 0 means
 * "empty".
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "lib/err.h"

struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE     ((struct str){NULL, 0})
#define STR_ARG(s)   (int)(s).n, (s).p ? (s).p : "" /* for "%.*s" */

static inline struct str
str_from(const char *z)
{
	return (struct str){z, z ? strlen(z) : 0};
}

static inline bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s); /* without blanks and tabs at both ends */

/* Splits at the first `sep`: *rest becomes what follows (p == NULL when there was none). */
struct str str_cut(struct str s, char sep, struct str *rest);

/* Copies and NUL-terminates, cutting what does not fit; size >= 1. Returns buf. */
char *str_copy(char *buf, size_t size, struct str s);

/* Decimal without sign or blanks; E_SYNTAX, or E_LIMIT above max. */
int str_u64(struct str s, uint64_t max, uint64_t *ret) MUST_CHECK;

/* "250ms" "5s" "2m" "1h" "7d" to milliseconds; a bare "0" is allowed. E_SYNTAX, E_LIMIT. */
int str_duration_ms(struct str s, uint64_t *ret) MUST_CHECK;

/* "512" "64KiB" "128MiB" "1GiB" to bytes. E_SYNTAX, E_LIMIT. */
int str_size(struct str s, uint64_t *ret) MUST_CHECK;

/* The reverse, shortest exact form ("2h", "90s", "64KiB"). Return buf. */
const char *str_put_duration(uint64_t ms, char *buf, size_t size);
const char *str_put_size(uint64_t bytes, char *buf, size_t size);

/* Bytes of the first character, or 0: it is malformed, NUL, or there is none. */
size_t str_utf8_char(struct str s);
size_t str_utf8_step(struct str s); /* the same, but a byte that begins none is passed over alone: 1 */
/* As str_utf8_char(), of one that may be shown to people as it is: 0 also for what moves a cursor, ends a line or turns
 * the direction of writing (C0, DEL, C1, U+2028 and its like), which would let a text pose as another. */
size_t str_shown_char(struct str s);
/* RFC 3629 UTF-8 without NUL. */
bool str_is_utf8(struct str s);
