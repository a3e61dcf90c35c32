/*
 * The growing buffer. One byte more than `cap` is always allocated, for the NUL of buf_cstr(). Any
 * process.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/buf.h"
#include "lib/panic.h"

#define CAP_MIN 256

void
buf_init(struct buf *b, size_t ceiling)
{
	ASSERT(ceiling < SIZE_MAX / 2);
	*b = (struct buf){.ceiling = ceiling};
}

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){.ceiling = b->ceiling};
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

static bool
reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap > 0 ? b->cap : CAP_MIN;
	uint8_t *p;

	if (n > b->ceiling - b->len)
		return false;
	if (b->p != NULL && n <= b->cap - b->len)
		return true;
	while (cap < b->len + n)
		cap *= 2;
	if (cap > b->ceiling)
		cap = b->ceiling;
	p = realloc(b->p, cap + 1);
	if (p == NULL)
		return false;
	b->p = p;
	b->cap = cap;
	return true;
}

uint8_t *
buf_room(struct buf *b, size_t n)
{
	if (!b->failed && !reserve(b, n))
		b->failed = true;
	return b->failed ? NULL : b->p + b->len;
}

void
buf_grew(struct buf *b, size_t n)
{
	ASSERT(n <= b->cap - b->len);
	b->len += n;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	uint8_t *room = buf_room(b, n);

	if (room == NULL || n == 0)
		return;
	memcpy(room, p, n);
	b->len += n;
}

void
buf_add_str(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.n);
}

void
buf_add_byte(struct buf *b, uint8_t byte)
{
	buf_add(b, &byte, 1);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	uint8_t *room;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	ASSERT(n >= 0);
	room = buf_room(b, (size_t)n);
	if (room == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf((char *)room, (size_t)n + 1, fmt, ap); /* its NUL goes into the spare byte */
	va_end(ap);
	b->len += (size_t)n;
}

void
buf_drop(struct buf *b, size_t n)
{
	ASSERT(n <= b->len);
	b->len -= n;
	if (n > 0 && b->len > 0)
		memmove(b->p, b->p + n, b->len);
}

bool
buf_failed(const struct buf *b)
{
	return b->failed;
}

struct str
buf_str(const struct buf *b)
{
	if (b->failed || b->p == NULL)
		return STR("");
	return (struct str){(const char *)b->p, b->len};
}

const char *
buf_cstr(struct buf *b)
{
	if (b->failed || b->p == NULL)
		return "";
	b->p[b->len] = '\0';
	return (const char *)b->p;
}
