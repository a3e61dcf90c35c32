/*
 * Tokens that were verified: SHA-256 digest -> identity, so that a token's signature is checked once
 * per worker and not once per RPC. The token itself is not kept.
 *
 * One per worker; a fixed table (4096 places), in which a newcomer takes the place of the one that
 * was not used for longest among four. What is in it is dropped by token id (revoked), all of the
 * gateway's own tokens at once (the store has changed), or altogether (keys have changed).
 */
#pragma once
#include <stdint.h>
#include "policy/identity.h"

#define VERDICTS_DIGEST 32

struct verdicts;

struct verdicts *verdicts_new(void); /* aborts when out of memory */
void verdicts_free(struct verdicts **);

/* The cached identity (the reference stays the table's), or NULL. */
struct identity *verdicts_find(struct verdicts *, const uint8_t digest[VERDICTS_DIGEST]);
/* Takes a reference of its own; replaces what stands under the same digest. */
void verdicts_put(struct verdicts *, const uint8_t digest[VERDICTS_DIGEST], struct identity *);
void verdicts_drop(struct verdicts *, const uint8_t digest[VERDICTS_DIGEST]);
void verdicts_drop_id(struct verdicts *, struct str token_id);
void verdicts_drop_own(struct verdicts *); /* every one with a token id */
void verdicts_drop_all(struct verdicts *);
