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
	unsigned waiting; /* forgotten with the address: those who then leave are no more of it */
};

struct throttle {
	uint64_t limit_ms;
	uint64_t next_words_ms;
	unsigned waiting; /* of all addresses */
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
look_up(struct throttle *t, uint64_t address)
{
	struct bucket *set = t->buckets[address / 2 % SETS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].address == address)
			return &set[i];
	return NULL;
}

static struct bucket *
find(struct throttle *t, uint64_t address, uint64_t now_ms)
{
	struct bucket *set = t->buckets[address / 2 % SETS], *least = &set[0],
		      *b = look_up(t, address);

	if (b != NULL)
		return b;
	for (unsigned i = 1; i < WAYS; i++)
		if (debt_at(&set[i], now_ms) < debt_at(least, now_ms))
			least = &set[i];
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
	struct bucket *b = look_up(t, hash_address(t, from));

	return b != NULL && debt_at(b, now_ms) > t->limit_ms ? b : NULL;
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

bool
throttle_enter(struct throttle *t, const struct sock_addr *from, enum throttle_standing standing)
{
	static const struct {
		unsigned all, address;
	} room[] = {
		[THROTTLE_SUSPECT] = {THROTTLE_PLACES / 2, THROTTLE_PLACES / 4},
		[THROTTLE_NEW] = {THROTTLE_PLACES, THROTTLE_PLACES * 3 / 4},
		[THROTTLE_PROVEN] = {THROTTLE_PLACES * 3 / 2, THROTTLE_PLACES * 3 / 2},
	};
	struct bucket *b = look_up(t, hash_address(t, from));

	if (t->waiting >= room[standing].all || (b != NULL && b->waiting >= room[standing].address))
		return false;
	t->waiting++;
	if (b != NULL)
		b->waiting++;
	return true;
}

void
throttle_leave(struct throttle *t, const struct sock_addr *from)
{
	struct bucket *b = look_up(t, hash_address(t, from));

	ASSERT(t->waiting > 0);
	t->waiting--;
	if (b != NULL && b->waiting > 0)
		b->waiting--;
}
