/*
 * Pairs of team and env: a table that only grows. A row is written first and counted afterwards, so
 * that a keeper killed between leaves no half of one.
 */
#include "lib/names.h"
#include "lib/panic.h"
#include "shm/labels.h"

#define OTHER STR("other")

static unsigned
count_of(const struct labels *l)
{
	unsigned n = atomic_load_explicit(&l->count, memory_order_acquire);

	return n < SEGMENT_PAIRS ? n : SEGMENT_PAIRS - 1;
}

static bool
is(const struct labels_row *r, struct str team, struct str env)
{
	return names_same((struct str){r->team, r->team_len}, team) &&
	       names_same((struct str){r->env, r->env_len}, env);
}

static bool
fits(struct str s)
{
	return s.n > 0 && s.n <= LABELS_NAME;
}

bool
labels_is_other(struct str team, struct str env)
{
	return str_eq(team, OTHER) && str_eq(env, OTHER);
}

unsigned
labels_find(const struct labels *l, struct str team, struct str env)
{
	unsigned n = count_of(l);

	if (!fits(team) || !fits(env))
		return 0;
	for (unsigned i = 1; i <= n; i++)
		if (is(&l->rows[i], team, env))
			return i;
	return 0;
}

unsigned
labels_count(const struct labels *l)
{
	return count_of(l) + 1;
}

void
labels_get(const struct labels *l, unsigned pair, struct str *ret_team, struct str *ret_env)
{
	const struct labels_row *r = &l->rows[pair];

	ASSERT(pair <= count_of(l));
	*ret_team = pair == 0 ? OTHER : (struct str){r->team, r->team_len};
	*ret_env = pair == 0 ? OTHER : (struct str){r->env, r->env_len};
}

unsigned
labels_add(struct labels *l, struct str team, struct str env)
{
	unsigned have = labels_find(l, team, env), n = count_of(l);
	struct labels_row *r = &l->rows[n + 1];

	if (have != 0 || !fits(team) || !fits(env) || labels_is_other(team, env) ||
	    n + 1 >= SEGMENT_PAIRS)
		return have;
	memcpy(r->team, team.p, team.n);
	memcpy(r->env, env.p, env.n);
	r->team_len = (uint8_t)team.n;
	r->env_len = (uint8_t)env.n;
	atomic_store_explicit(&l->count, n + 1, memory_order_release);
	return n + 1;
}
