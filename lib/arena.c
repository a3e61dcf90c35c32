/*
 * The arena: blocks in a list, the newest in front, each twice as large as the one before up to 64
 * KiB. The struct arena itself lives in the first block, so that a small arena is one malloc. Any
 * process.
 *
 * Under AddressSanitizer the part of a block that is not handed out is poisoned.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/arena.h"
#include "lib/panic.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define ARENA_MAGIC 0x4172656eu
#define ALIGN	    ((size_t)16)
#define FIRST_MIN   ((size_t)256)
#define BLOCK_MAX   ((size_t)64 * 1024)
#define SUM_MAX	    (SIZE_MAX / 4) /* sums of two sizes below it never overflow */
#define ROUND(n)    (((n) + ALIGN - 1) & ~(ALIGN - 1))

struct block {
	struct block *next;
	size_t size; /* of the whole block, this head included */
};

struct arena {
	unsigned magic;
	bool failed;
	struct block *blocks; /* newest first; the last one is the block this struct lives in */
	size_t at;	      /* offset of the free bytes in the newest block */
	size_t total;	      /* bytes of all blocks */
	size_t ceiling;
};

#define BLOCK_HEAD ROUND(sizeof(struct block))
#define FIRST_HEAD (BLOCK_HEAD + ROUND(sizeof(struct arena)))

struct arena *
arena_new(size_t first, size_t ceiling)
{
	struct block *b;
	struct arena *a;

	ASSERT(first >= FIRST_MIN && first < SUM_MAX && ceiling >= first);
	b = malloc(first);
	if (b == NULL)
		return NULL;
	*b = (struct block){.size = first};
	a = (struct arena *)((char *)b + BLOCK_HEAD);
	*a = (struct arena){
		.magic = ARENA_MAGIC,
		.blocks = b,
		.at = FIRST_HEAD,
		.total = first,
		.ceiling = ceiling < SUM_MAX ? ceiling : SUM_MAX,
	};
	POISON((char *)b + FIRST_HEAD, first - FIRST_HEAD);
	return a;
}

static void
free_block(struct block *b)
{
	UNPOISON(b, b->size);
	free(b);
}

static void
free_later_blocks(struct arena *a)
{
	struct block *b;

	while ((b = a->blocks)->next != NULL) {
		a->blocks = b->next;
		a->total -= b->size;
		free_block(b);
	}
}

void
arena_free(struct arena **arena)
{
	struct arena *a = *arena;

	if (a == NULL)
		return;
	CHECK_MAGIC(a, ARENA_MAGIC);
	*arena = NULL;
	free_later_blocks(a);
	a->magic = 0;
	free_block(a->blocks);
}

void
arena_reset(struct arena *a)
{
	CHECK_MAGIC(a, ARENA_MAGIC);
	free_later_blocks(a);
	a->at = FIRST_HEAD;
	a->failed = false;
	POISON((char *)a->blocks + FIRST_HEAD, a->blocks->size - FIRST_HEAD);
}

/* A new front block with room for `need` bytes; rather a small one than one above the ceiling. */
static bool
grow(struct arena *a, size_t need)
{
	size_t size = a->blocks->size * 2, left = a->ceiling - a->total;
	struct block *b;

	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	if (size < need + BLOCK_HEAD)
		size = need + BLOCK_HEAD;
	if (size > left)
		size = left;
	if (size < BLOCK_HEAD || size - BLOCK_HEAD < need)
		return false;
	b = malloc(size);
	if (b == NULL)
		return false;
	*b = (struct block){.next = a->blocks, .size = size};
	POISON((char *)b + BLOCK_HEAD, size - BLOCK_HEAD);
	a->blocks = b;
	a->at = BLOCK_HEAD;
	a->total += size;
	return true;
}

static bool
fits(const struct arena *a, size_t need)
{
	return a->at <= a->blocks->size && a->blocks->size - a->at >= need;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	void *p;

	CHECK_MAGIC(a, ARENA_MAGIC);
	if (a->failed)
		return NULL;
	if (size > a->ceiling || (!fits(a, size) && !grow(a, size))) {
		a->failed = true;
		return NULL;
	}
	p = (char *)a->blocks + a->at;
	a->at += ROUND(size > 0 ? size : 1);
	UNPOISON(p, size);
	memset(p, 0, size);
	return p;
}

void *
arena_array(struct arena *a, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		bytes = SIZE_MAX; /* never fits */
	return arena_alloc(a, bytes);
}

void *
arena_copy(struct arena *a, const void *p, size_t n)
{
	char *copy = arena_alloc(a, n < SIZE_MAX ? n + 1 : n);

	if (copy != NULL && n > 0)
		memcpy(copy, p, n);
	return copy;
}

struct str
arena_str(struct arena *a, struct str s)
{
	char *copy;

	if (s.p == NULL)
		return STR_NONE;
	copy = arena_copy(a, s.p, s.n);
	return copy != NULL ? (struct str){copy, s.n} : STR_NONE;
}

char *
arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	char *text;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	ASSERT(n >= 0);
	text = arena_alloc(a, (size_t)n + 1);
	if (text != NULL)
		vsnprintf(text, (size_t)n + 1, fmt, ap);
	return text;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return text;
}

bool
arena_failed(const struct arena *a)
{
	return a->failed;
}

size_t
arena_used(const struct arena *a)
{
	return a->total;
}
