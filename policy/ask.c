/*
 * From a wish to team and environment. Any process; a step of router_pick().
 *
 *	agree_on   headers and the first Config call, aliases resolved
 *	find_host  the host names of TLS and of :authority
 *	at_host    when a cluster lists the host: its team and env
 *	by_team    else what was said, else what the identity leaves no choice about
 */
#include "policy/ask.h"
#include "policy/clusters.h"

/* ---- what was said ---- */

static int
agree_on(struct pick *p, const char *what,
	 struct str (*meant)(const struct conf *, struct str asked), struct str header,
	 struct str config, struct pick_said *ret)
{
	struct str a = meant(p->conf, header), b = meant(p->conf, config);

	if (a.n > 0 && b.n > 0 && !str_eq(a, b))
		return pick_refuse(
			p, GRPC_INVALID_ARGUMENT,
			arena_printf(p->arena,
				     "the %s header and the %s of the Config call differ: "
				     "\"%s\" and \"%s\"",
				     what, what, pick_shown(p, a), pick_shown(p, b)));
	*ret = a.n > 0 ? (struct pick_said){a, header, true} : (struct pick_said){b, config, false};
	return 0;
}

/* "the header x-env or x-environment": which of them it was is forgotten */
static const char *
header_text(struct pick *p, const struct conf_names *names)
{
	const char *text = "the header";

	for (unsigned i = 0; text != NULL && i < names->count; i++)
		text = arena_printf(p->arena, "%s%s%.*s", text, i > 0 ? " or " : " ",
				    STR_ARG(names->names[i]));
	return text != NULL ? text : "a header";
}

static void
trace_said(struct pick *p, const char *what, const struct pick_said *said,
	   const struct conf_names *names)
{
	const char *from = "the session's first Config call", *alias = NULL;

	if (p->trace == NULL)
		return;
	if (said->in_header)
		from = header_text(p, names);
	if (!str_eq(said->name, said->written))
		alias = arena_printf(p->arena, ", where it is called \"%s\"",
				     pick_shown(p, said->written));
	ROUTER_TRACE(p->trace, "%s: \"%s\" from %s%s", what, pick_shown(p, said->name), from,
		     alias != NULL ? alias : "");
}

/* ---- by host ---- */

static struct registry_cluster *
look_up(struct pick *p, const char *what, struct str name)
{
	struct registry_cluster *c = clusters_by_host(p->view->registry, name);

	if (p->trace == NULL || name.n == 0)
		return c;
	if (c != NULL)
		ROUTER_TRACE(p->trace, "host: \"%s\" of %s is listed by cluster \"%.*s\"",
			     pick_shown(p, name), what, STR_ARG(c->name));
	else
		ROUTER_TRACE(p->trace, "host: \"%s\" of %s is listed by no cluster",
			     pick_shown(p, name), what);
	return c;
}

static int
find_host(struct pick *p)
{
	const struct router_wish *w = p->wish;
	struct registry_cluster *by_sni = look_up(p, "the TLS handshake", w->sni);
	struct registry_cluster *by_host = look_up(p, ":authority", w->host);

	if (by_sni != NULL && by_host != NULL && by_sni != by_host)
		return pick_refuse(
			p, GRPC_INVALID_ARGUMENT,
			arena_printf(p->arena,
				     "the TLS handshake asks for host \"%s\" of cluster \"%.*s\", "
				     "but :authority for host \"%s\" of cluster \"%.*s\": both "
				     "must mean the same cluster",
				     pick_shown(p, w->sni), STR_ARG(by_sni->name),
				     pick_shown(p, w->host), STR_ARG(by_host->name)));
	p->at_host = by_host != NULL ? by_host : by_sni;
	p->host = by_host != NULL ? w->host : w->sni;
	return 0;
}

static int
refuse_shared(struct pick *p, const struct words_list *own)
{
	const struct registry_cluster *c = p->at_host;
	struct str header = STR("a team header");

	if (own->count == 0)
		return pick_refuse(p, GRPC_PERMISSION_DENIED,
				   arena_printf(p->arena,
						"none of your teams may use cluster \"%.*s\"; "
						"yours: %s",
						STR_ARG(c->name), pick_own_text(p)));
	if (p->conf->header_team.count > 0)
		header = p->conf->header_team.names[0];
	return pick_refuse(
		p, GRPC_INVALID_ARGUMENT,
		arena_printf(p->arena,
			     "cluster \"%.*s\" is shared and no team given: set %s%.*s to one of: "
			     "%s",
			     STR_ARG(c->name), p->conf->header_team.count > 0 ? "the header " : "",
			     STR_ARG(header), words_text(own, p->arena)));
}

/* No team was asked for: the owner, or of the teams that share the cluster the one of one's own. */
static int
team_of_cluster(struct pick *p)
{
	const struct registry_cluster *c = p->at_host;
	struct words_list own = {.count = 0};

	if (!c->shared) {
		p->choice.team = c->team;
		ROUTER_TRACE(p->trace, "team: \"%.*s\", which owns cluster \"%.*s\"",
			     STR_ARG(c->team), STR_ARG(c->name));
		return 0;
	}
	pick_served_teams(p, c, &own);
	if (own.count != 1)
		return refuse_shared(p, &own);
	p->choice.team = own.names[0];
	ROUTER_TRACE(p->trace, "team: \"%.*s\", the only one of yours that cluster \"%.*s\" serves",
		     STR_ARG(p->choice.team), STR_ARG(c->name));
	return 0;
}

static int
contradict(struct pick *p)
{
	const struct registry_cluster *c = p->at_host;
	struct str team = p->team.name, env = p->env.name;

	if (team.n > 0 && !clusters_serves(c, team))
		return pick_refuse(
			p, GRPC_INVALID_ARGUMENT,
			arena_printf(p->arena,
				     "host \"%s\" belongs to cluster \"%.*s\", which does not "
				     "serve team \"%s\"; of yours it serves: %s",
				     pick_shown(p, p->host), STR_ARG(c->name), pick_shown(p, team),
				     pick_served_text(p, c)));
	if (env.n > 0 && !str_eq(env, c->env))
		return pick_refuse(
			p, GRPC_INVALID_ARGUMENT,
			arena_printf(p->arena,
				     "host \"%s\" belongs to cluster \"%.*s\" of env \"%.*s\", but "
				     "the request asks for env \"%s\"",
				     pick_shown(p, p->host), STR_ARG(c->name), STR_ARG(c->env),
				     pick_shown(p, env)));
	return 0;
}

static int
at_host(struct pick *p)
{
	struct registry_cluster *c = p->at_host;

	if (contradict(p) != 0)
		return E_DENIED;
	p->choice.env = c->env;
	if (p->team.name.n > 0) {
		p->choice.team = p->team.name;
		trace_said(p, "team", &p->team, &p->conf->header_team);
	} else if (team_of_cluster(p) != 0) {
		return E_DENIED;
	}
	ROUTER_TRACE(p->trace, "env: \"%.*s\", which is that of cluster \"%.*s\"", STR_ARG(c->env),
		     STR_ARG(c->name));
	return 0;
}

/* ---- by team and environment ---- */

static bool
team_exists(struct pick *p, struct str team)
{
	const struct registry *r = p->view->registry;

	if (conf_team(p->conf, team) != NULL)
		return true;
	for (unsigned i = 0; i < r->clusters_count; i++)
		if (clusters_serves(&r->clusters[i], team))
			return true;
	return false;
}

static int
no_team(struct pick *p, const struct words_list *own)
{
	const struct conf_names *header = &p->conf->header_team;
	const char *words;

	if (own->count == 0)
		words = "no team given, and you belong to none: ask for a group that one of the "
			"gateway's teams lists";
	else if (header->count == 0)
		words = "no team given: ask for a host that a cluster lists";
	else
		words = arena_printf(p->arena, "no team given: set the header %.*s to one of: %s",
				     STR_ARG(header->names[0]), words_text(own, p->arena));
	return pick_refuse(p, GRPC_INVALID_ARGUMENT, words);
}

static int
no_such_team(struct pick *p, struct str team)
{
	if (p->who->verified && str_eq(p->who->team, team))
		return pick_refuse(p, GRPC_INVALID_ARGUMENT,
				   arena_printf(p->arena,
						"these credentials are for team \"%s\", which "
						"this gateway does not know",
						pick_shown(p, team)));
	return pick_refuse(p, GRPC_INVALID_ARGUMENT,
			   arena_printf(p->arena, "unknown team \"%s\"; yours: %s",
					pick_shown(p, team), pick_own_text(p)));
}

static int
choose_team(struct pick *p)
{
	struct words_list own = {.count = 0};

	if (p->team.name.n > 0) {
		p->choice.team = p->team.name;
		trace_said(p, "team", &p->team, &p->conf->header_team);
	} else {
		pick_own_teams(p, &own);
		if (own.count != 1)
			return no_team(p, &own);
		p->choice.team = own.names[0];
		ROUTER_TRACE(p->trace, "team: \"%s\", which is your only one",
			     pick_shown(p, p->choice.team));
	}
	return team_exists(p, p->choice.team) ? 0 : no_such_team(p, p->choice.team);
}

static void
choose_env(struct pick *p)
{
	const struct identity *who = p->who;

	if (p->env.name.n > 0) {
		p->choice.env = p->env.name;
		trace_said(p, "env", &p->env, &p->conf->header_env);
	} else if (who->verified && who->envs_count == 1) {
		p->choice.env = who->envs[0];
		ROUTER_TRACE(p->trace, "env: \"%s\", the only one that the credentials are for",
			     pick_shown(p, p->choice.env));
	} else if (p->conf->default_env.n > 0) {
		p->choice.env = teams_env(p->conf, p->conf->default_env);
		ROUTER_TRACE(p->trace, "env: \"%.*s\" from routing.default_env",
			     STR_ARG(p->choice.env));
	}
}

int
ask_team_and_env(struct pick *p)
{
	const struct router_wish *w = p->wish;

	if (agree_on(p, "team", teams_name, w->team, w->config_team, &p->team) != 0 ||
	    agree_on(p, "env", teams_env, w->env, w->config_env, &p->env) != 0 || find_host(p) != 0)
		return E_DENIED;
	if (p->at_host != NULL)
		return at_host(p);
	if (choose_team(p) != 0)
		return E_DENIED;
	choose_env(p);
	return 0;
}
