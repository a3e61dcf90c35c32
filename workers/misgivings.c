/*
 * A table of refusals by session.
 */
#include <stdlib.h>
#include "lib/hash.h"
#include "lib/panic.h"
#include "workers/misgivings.h"

#define PLACES	  256u
#define WORDS_MAX 256u

struct place {
	uint64_t session; /* hash; 0: empty */
	bool team, env;	  /* what was refused */
	enum grpc_code code;
	char words[WORDS_MAX];
};

struct misgivings {
	struct hash_key key;
	unsigned count;
	struct place places[PLACES];
};

struct misgivings *
misgivings_new(void)
{
	struct misgivings *m = calloc(1, sizeof *m);

	ASSERT(m != NULL);
	hash_key_random(&m->key);
	return m;
}

void
misgivings_free(struct misgivings **m)
{
	free(*m);
	*m = NULL;
}

static uint64_t
hash(const struct misgivings *m, const struct session_key *key)
{
	return (hash_sip(&m->key, key->id, sizeof key->id) ^
		hash_sip(&m->key, key->user.p, key->user.n)) |
	       1;
}

void
misgivings_put(struct misgivings *m, const struct session_key *key, const struct router_wish *wish,
	       const struct router_refusal *refusal)
{
	uint64_t session = hash(m, key);
	struct place *p = &m->places[session / 2 % PLACES];

	m->count += p->session == 0;
	p->session = session;
	p->team = wish->config_team.n > 0;
	p->env = wish->config_env.n > 0;
	p->code = refusal->code;
	str_copy(p->words, sizeof p->words, str_from(refusal->words));
}

void
misgivings_drop(struct misgivings *m, const struct session_key *key, const struct router_wish *wish)
{
	uint64_t session = hash(m, key);
	struct place *p = &m->places[session / 2 % PLACES];

	if (p->session != session || (p->team && wish->config_team.n == 0) ||
	    (p->env && wish->config_env.n == 0))
		return;
	p->session = 0;
	m->count--;
}

bool
misgivings_find(const struct misgivings *m, const struct session_key *key,
		struct router_refusal *ret)
{
	if (m->count == 0) /* nearly always */
		return false;
	uint64_t session = hash(m, key);
	const struct place *p = &m->places[session / 2 % PLACES];

	if (p->session != session)
		return false;
	*ret = (struct router_refusal){.code = p->code, .words = p->words};
	return true;
}
