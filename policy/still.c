/*
 * Running sessions under today's rules. Any process.
 */
#include "policy/clusters.h"
#include "policy/still.h"

static bool
allowed(const struct conf *conf, const struct identity *who, struct str team,
	const struct registry_cluster *c, enum teams_verdict *ret)
{
	*ret = teams_may_use(conf, who, team, c->env, c->region);
	return *ret == TEAMS_ALLOWED && clusters_serves(c, team);
}

static const char *
words(enum teams_verdict v, const struct conf *conf, const struct identity *who, struct str team,
      const struct registry_cluster *c, struct arena *arena)
{
	const char *text;

	if (v != TEAMS_ALLOWED)
		text = teams_words(v, conf, who, team, c->env, c->region, arena);
	else
		text = arena_printf(arena, "cluster \"%.*s\" does not serve team \"%s\" any more",
				    STR_ARG(c->name), words_shown(team, arena));
	return text != NULL ? text : "refused";
}

int
still_allowed(const struct conf *conf, const struct identity *who, struct str team,
	      const struct registry_cluster *c, struct arena *arena, const char **ret_words)
{
	enum teams_verdict v;
	struct str renamed;

	if (allowed(conf, who, team, c, &v))
		return 0;
	/* a team that got another name, its old one kept as an alias */
	renamed = teams_name(conf, team);
	if (!str_eq(renamed, team) && allowed(conf, who, renamed, c, &v))
		return 0;
	*ret_words = words(v, conf, who, renamed, c, arena);
	return E_DENIED;
}
