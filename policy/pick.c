/*
 * Refusals of the router, and the lists in their words. Any process.
 */
#include "policy/clusters.h"
#include "policy/pick.h"

int
pick_refuse(struct pick *p, enum grpc_code code, const char *words)
{
	*p->refusal =
		(struct router_refusal){.code = code, .words = words != NULL ? words : "refused"};
	ROUTER_TRACE(p->trace, "refused: %s", p->refusal->words);
	return E_DENIED;
}

const char *
pick_shown(struct pick *p, struct str s)
{
	return words_shown(s, p->arena);
}

/* Where nobody is verified everybody is a member, of teams that only clusters name, too. */
void
pick_own_teams(struct pick *p, struct words_list *list)
{
	const struct registry *r = p->view->registry;

	teams_own(p->conf, p->who, list);
	for (unsigned i = 0; !p->who->verified && i < r->clusters_count; i++)
		pick_served_teams(p, &r->clusters[i], list);
}

const char *
pick_own_text(struct pick *p)
{
	struct words_list list = {.count = 0};

	pick_own_teams(p, &list);
	return words_text(&list, p->arena);
}

void
pick_served_teams(struct pick *p, const struct registry_cluster *c, struct words_list *list)
{
	const struct str *teams = c->shared ? c->teams : &c->team;
	unsigned count = c->shared ? c->teams_count : 1;

	for (unsigned i = 0; i < count; i++)
		if (teams_is_member(p->conf, p->who, teams[i]))
			words_add(list, teams[i]);
}

const char *
pick_served_text(struct pick *p, const struct registry_cluster *c)
{
	struct words_list list = {.count = 0};

	pick_served_teams(p, c, &list);
	return words_text(&list, p->arena);
}

const char *
pick_envs_text(struct pick *p, struct str team)
{
	const struct registry *r = p->view->registry;
	struct words_list list = {.count = 0};

	for (unsigned i = 0; i < r->clusters_count; i++) {
		const struct registry_cluster *c = &r->clusters[i];

		if (clusters_serves(c, team) &&
		    teams_may_use(p->conf, p->who, team, c->env, c->region) == TEAMS_ALLOWED)
			words_add(&list, c->env);
	}
	return words_text(&list, p->arena);
}
