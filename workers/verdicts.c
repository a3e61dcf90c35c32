/*
 * The table of verified tokens: sets of four places, chosen by the digest's first bytes, which
 * nobody can aim at without knowing a good token.
 */
#include <stdlib.h>
#include "lib/panic.h"
#include "workers/verdicts.h"

#define SETS 1024u
#define WAYS 4u

struct place {
	uint8_t digest[VERDICTS_DIGEST];
	struct identity *who; /* NULL: empty */
	uint64_t used;	      /* the table's count of look-ups at the last hit */
};

struct verdicts {
	uint64_t lookups;
	struct place places[SETS][WAYS];
};

struct verdicts *
verdicts_new(void)
{
	struct verdicts *v = calloc(1, sizeof *v);

	ASSERT(v != NULL);
	return v;
}

void
verdicts_free(struct verdicts **v)
{
	if (*v == NULL)
		return;
	verdicts_drop_all(*v);
	free(*v);
	*v = NULL;
}

static struct place *
set_of(struct verdicts *v, const uint8_t *digest)
{
	return v->places[(digest[0] | (unsigned)digest[1] << 8) % SETS];
}

static struct place *
find(struct verdicts *v, const uint8_t *digest)
{
	struct place *set = set_of(v, digest);

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].who != NULL && memcmp(set[i].digest, digest, VERDICTS_DIGEST) == 0)
			return &set[i];
	return NULL;
}

struct identity *
verdicts_find(struct verdicts *v, const uint8_t digest[VERDICTS_DIGEST])
{
	struct place *p = find(v, digest);

	v->lookups++;
	if (p == NULL)
		return NULL;
	p->used = v->lookups;
	return p->who;
}

static struct place *
place_for(struct verdicts *v, const uint8_t *digest)
{
	struct place *set = set_of(v, digest), *oldest = &set[0], *known = find(v, digest);

	if (known != NULL)
		return known;
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].who == NULL)
			return &set[i];
		if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	return oldest;
}

void
verdicts_put(struct verdicts *v, const uint8_t digest[VERDICTS_DIGEST], struct identity *who)
{
	struct place *p = place_for(v, digest);
	struct identity *before = p->who;

	p->who = identity_ref(who);
	identity_unref(&before);
	memcpy(p->digest, digest, VERDICTS_DIGEST);
	p->used = v->lookups;
}

void
verdicts_drop(struct verdicts *v, const uint8_t digest[VERDICTS_DIGEST])
{
	struct place *p = find(v, digest);

	if (p != NULL)
		identity_unref(&p->who);
}

static void
drop_if(struct verdicts *v, bool (*wanted)(const struct identity *, struct str), struct str id)
{
	for (unsigned i = 0; i < SETS; i++)
		for (unsigned k = 0; k < WAYS; k++) {
			struct place *p = &v->places[i][k];

			if (p->who != NULL && wanted(p->who, id))
				identity_unref(&p->who);
		}
}

static bool
has_id(const struct identity *who, struct str id)
{
	return str_eq(who->token_id, id);
}

static bool
has_any_id(const struct identity *who, struct str id)
{
	(void)id;
	return who->token_id.n > 0;
}

static bool
is_any(const struct identity *who, struct str id)
{
	(void)who, (void)id;
	return true;
}

void
verdicts_drop_id(struct verdicts *v, struct str token_id)
{
	drop_if(v, has_id, token_id);
}

void
verdicts_drop_own(struct verdicts *v)
{
	drop_if(v, has_any_id, STR_NONE);
}

void
verdicts_drop_all(struct verdicts *v)
{
	drop_if(v, is_any, STR_NONE);
}
