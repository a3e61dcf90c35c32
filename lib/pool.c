/*
 * The free list of blocks, and chains made of them. At most FREE_MAX blocks wait here; the rest
 * goes back to malloc, so that a burst does not stay in the worker's memory for ever.
 */
#include <stdlib.h>
#include <string.h>
#include "lib/panic.h"
#include "lib/pool.h"

#define FREE_MAX 32

static struct pool_block *free_list;
static size_t free_count, in_use;

struct pool_block *
pool_get(void)
{
	struct pool_block *b = free_list;

	if (b != NULL) {
		free_list = b->next;
		free_count--;
	} else {
		b = malloc(sizeof *b);
		ASSERT(b != NULL);
	}
	b->next = NULL;
	b->start = b->end = 0;
	in_use++;
	return b;
}

void
pool_put(struct pool_block *b)
{
	ASSERT(in_use > 0);
	in_use--;
	if (free_count >= FREE_MAX) {
		free(b);
		return;
	}
	b->next = free_list;
	free_list = b;
	free_count++;
}

size_t
pool_in_use(void)
{
	return in_use;
}

void
pool_trim(void)
{
	while (free_list != NULL) {
		struct pool_block *b = free_list;

		free_list = b->next;
		free(b);
	}
	free_count = 0;
}

static void
add_block(struct pool_chain *c)
{
	struct pool_block *b = pool_get();

	if (c->last != NULL)
		c->last->next = b;
	else
		c->first = b;
	c->last = b;
}

void
pool_append(struct pool_chain *c, const void *p, size_t n)
{
	const uint8_t *from = p;

	c->len += n;
	while (n > 0) {
		if (c->last == NULL || c->last->end == POOL_BLOCK)
			add_block(c);
		size_t room = POOL_BLOCK - c->last->end;
		size_t k = n < room ? n : room;
		memcpy(c->last->data + c->last->end, from, k);
		c->last->end += (uint32_t)k;
		from += k;
		n -= k;
	}
}

void
pool_drop(struct pool_chain *c, size_t n)
{
	ASSERT(n <= c->len);
	c->len -= n;
	while (n > 0) {
		struct pool_block *b = c->first;
		size_t k = b->end - b->start;

		if (n < k) {
			b->start += (uint32_t)n;
			return;
		}
		n -= k;
		c->first = b->next;
		if (c->first == NULL)
			c->last = NULL;
		pool_put(b);
	}
}

void
pool_take(struct pool_chain *c, void *to, size_t n)
{
	uint8_t *out = to;

	ASSERT(n <= c->len);
	while (n > 0) {
		struct pool_block *b = c->first;
		size_t have = b->end - b->start;
		size_t k = n < have ? n : have;

		memcpy(out, b->data + b->start, k);
		out += k;
		n -= k;
		pool_drop(c, k);
	}
}

void
pool_clear(struct pool_chain *c)
{
	while (c->first != NULL) {
		struct pool_block *b = c->first;

		c->first = b->next;
		pool_put(b);
	}
	c->last = NULL;
	c->len = 0;
}
