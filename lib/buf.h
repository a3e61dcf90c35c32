/*
 * A growing byte buffer with a ceiling and a sticky failure: after the first append that does not
 * fit it ignores all others, and buf_failed() is asked once at the end. Owned by whoever called
 * buf_init().
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/str.h"

struct buf {
	uint8_t *p;
	size_t len;
	size_t cap;
	size_t ceiling;
	bool failed;
};

void buf_init(struct buf *, size_t ceiling);
void buf_free(struct buf *);  /* leaves it empty and usable */
void buf_clear(struct buf *); /* keeps the memory, forgets a failure */

void buf_add(struct buf *, const void *p, size_t n);
void buf_add_str(struct buf *, struct str s);
void buf_add_byte(struct buf *, uint8_t byte);
void buf_printf(struct buf *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint8_t *buf_room(struct buf *, size_t n); /* n writable bytes after len, or NULL (failed) */
void buf_grew(struct buf *, size_t n);	   /* that many of them were written */
void buf_drop(struct buf *, size_t n);	   /* forgets the first n bytes */
bool buf_failed(const struct buf *);
struct str buf_str(const struct buf *); /* empty when failed */
const char *buf_cstr(struct buf *);	/* NUL-terminated view; "" when failed */
