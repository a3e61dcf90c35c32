#include "h2/body.h"
#include "lib/panic.h"

void
body_store(struct h2_body *b)
{
	for (unsigned i = b->slices_first; i < b->slices_count; i++)
		pool_append(&b->stored, b->slices[i].p, b->slices[i].n);
	b->slices_first = b->slices_count = 0;
	b->borrowed = 0;
}

void
body_lend(struct h2_body *b, struct str bytes)
{
	if (bytes.n == 0)
		return;
	if (b->slices_count == BODY_SLICES)
		body_store(b);
	b->slices[b->slices_count++] = bytes;
	b->borrowed += bytes.n;
}

void
body_add(struct h2_body *b, struct str bytes)
{
	body_store(b);
	pool_append(&b->stored, bytes.p, bytes.n);
}

static void
take_stored(struct h2_body *b, struct pool_chain *to, size_t n)
{
	while (n > 0) {
		struct pool_block *first = b->stored.first;
		size_t have = first->end - first->start;
		size_t k = n < have ? n : have;

		pool_append(to, first->data + first->start, k);
		pool_drop(&b->stored, k);
		n -= k;
	}
}

void
body_take(struct h2_body *b, struct pool_chain *to, size_t n)
{
	ASSERT(n <= body_len(b));
	size_t k = n < b->stored.len ? n : b->stored.len;

	take_stored(b, to, k);
	n -= k;
	while (n > 0) {
		struct str *s = &b->slices[b->slices_first];

		k = n < s->n ? n : s->n;
		pool_append(to, s->p, k);
		s->p += k;
		s->n -= k;
		b->borrowed -= k;
		n -= k;
		if (s->n == 0 && ++b->slices_first == b->slices_count)
			b->slices_first = b->slices_count = 0;
	}
}

void
body_clear(struct h2_body *b)
{
	pool_clear(&b->stored);
	b->slices_first = b->slices_count = 0;
	b->borrowed = 0;
}
