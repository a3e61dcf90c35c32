/*
 * Body bytes on their way out of one stream: stored ones (blocks of the pool), then borrowed slices
 * that are valid only until the current callback ends. Sent straight away, borrowed bytes are
 * copied once, into the connection's output; what could not be sent is stored.
 */
#pragma once
#include <stdbool.h>
#include "lib/pool.h"
#include "lib/str.h"

#define BODY_SLICES 8

struct h2_body {
	struct pool_chain stored;
	struct str slices[BODY_SLICES];
	unsigned slices_first, slices_count;
	size_t borrowed; /* bytes in the slices */
};

/* stores everything when there are too many slices */
void body_lend(struct h2_body *, struct str bytes);
void body_store(struct h2_body *);		   /* borrowed bytes become stored ones */
void body_add(struct h2_body *, struct str bytes); /* stored at once */
void body_take(struct h2_body *, struct pool_chain *to, size_t n); /* n <= body_len() */
void body_clear(struct h2_body *);

static inline size_t
body_len(const struct h2_body *b)
{
	return b->stored.len + b->borrowed;
}
