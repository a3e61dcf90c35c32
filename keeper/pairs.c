/*
 * Pairs: each cluster with the teams that may use it.
 */
#include "keeper/pairs.h"

static bool
enter(struct labels *l, struct str team, struct str env)
{
	return labels_is_other(team, env) || labels_add(l, team, env) != 0;
}

bool
pairs_enter(struct labels *l, const struct conf *conf)
{
	bool all = true;

	for (unsigned i = 0; i < conf->clusters_count; i++) {
		const struct conf_cluster *c = &conf->clusters[i];

		if (!c->shared)
			all &= enter(l, c->team, c->env);
		for (unsigned t = 0; c->shared && t < c->teams_count; t++)
			all &= enter(l, c->teams[t], c->env);
	}
	return all;
}
