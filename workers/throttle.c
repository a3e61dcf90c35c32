/*
 * Buckets of failures by address: one more for each bad token, one less every THROTTLE_REFILL_MS.
 */
#include <stdlib.h>
#include "lib/hash.h"
#include "lib/panic.h"
#include "workers/throttle.h"

#define SETS 1024u
#define WAYS 4u

struct bucket {
	uint64_t address; /* hash; 0: empty */
	uint64_t last_ms;
	uint64_t debt_ms; /* failures times THROTTLE_REFILL_MS, less the time that has passed */
	uint64_t said_ms; /* 0: not since it became slow */
};

struct throttle {
	uint64_t limit_ms;
	uint64_t next_words_ms;
	struct hash_key key;
	struct bucket buckets[SETS][WAYS];
};

struct throttle *
throttle_new(uint32_t failures)
{
	struct throttle *t = calloc(1, sizeof *t);

	ASSERT(t != NULL);
	hash_key_random(&t->key);
	t->limit_ms = (uint64_t)(failures - 1) * THROTTLE_REFILL_MS; /* the last one passes it */
	return t;
}

void
throttle_free(struct throttle **t)
{
	free(*t);
	*t = NULL;
}

/* A network hands out a /64 to each of its customers, who may use any address of it. */
static uint64_t
hash_address(const struct throttle *t, const struct sock_addr *a)
{
	return hash_sip(&t->key, a->bytes, a->family == AF_INET ? 4 : 8) | 1;
}

static uint64_t
debt_at(const struct bucket *b, uint64_t now_ms)
{
	uint64_t passed = now_ms - b->last_ms;

	return b->debt_ms > passed ? b->debt_ms - passed : 0;
}

static struct bucket *
find(struct throttle *t, uint64_t address, uint64_t now_ms)
{
	struct bucket *set = t->buckets[address / 2 % SETS], *least = &set[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].address == address)
			return &set[i];
		if (debt_at(&set[i], now_ms) < debt_at(least, now_ms))
			least = &set[i];
	}
	*least = (struct bucket){.address = address};
	return least;
}

void
throttle_failed(struct throttle *t, const struct sock_addr *from, uint64_t now_ms)
{
	struct bucket *b = find(t, hash_address(t, from), now_ms);

	b->debt_ms = debt_at(b, now_ms);
	b->last_ms = now_ms;
	if (b->debt_ms <=
	    t->limit_ms) { /* what is above is forgotten as quickly as the limit itself */
		b->debt_ms += THROTTLE_REFILL_MS;
		if (b->debt_ms <= t->limit_ms)
			b->said_ms = 0;
	}
}

/* NULL: not there, or not slow. */
static struct bucket *
find_slow(struct throttle *t, const struct sock_addr *from, uint64_t now_ms)
{
	uint64_t address = hash_address(t, from);
	struct bucket *set = t->buckets[address / 2 % SETS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].address == address)
			return debt_at(&set[i], now_ms) > t->limit_ms ? &set[i] : NULL;
	return NULL;
}

bool
throttle_is_slow(struct throttle *t, const struct sock_addr *from, uint64_t now_ms)
{
	return find_slow(t, from, now_ms) != NULL;
}

bool
throttle_is_news(struct throttle *t, const struct sock_addr *from, uint64_t now_ms)
{
	struct bucket *b = find_slow(t, from, now_ms);

	if (b == NULL || now_ms < t->next_words_ms ||
	    (b->said_ms != 0 && now_ms - b->said_ms < THROTTLE_REPEAT_MS))
		return false;
	t->next_words_ms = now_ms + THROTTLE_WORDS_MS;
	b->said_ms = now_ms;
	return true;
}
