/*
 * From wishes to a driver: what is asked for, whether it is open, then the clusters that serve it,
 * then a driver. Reads the registry's snapshot and the checker's rows; changes nothing.
 */
#include "policy/ask.h"
#include "policy/balance.h"
#include "policy/clusters.h"
#include "policy/pick.h"
#include "policy/router.h"
#include "proto/wire.h"

#define CONFIG_PREFIX "spark.connect.grpc.header."

/* apache/spark base.proto: ConfigRequest.operation, ConfigRequest.Operation.set, Set.pairs,
 * KeyValue */
enum { CONFIG_OPERATION = 3, OPERATION_SET = 1, SET_PAIRS = 1, PAIR_KEY = 1, PAIR_VALUE = 2 };

/* ---- is it open? ---- */

static void
trace_who(struct pick *p)
{
	const struct identity *who = p->who;
	struct words_list envs = {.count = 0};

	if (p->trace == NULL)
		return;
	if (!who->verified) {
		ROUTER_TRACE(p->trace, "who: nobody was verified, so every team is open");
		return;
	}
	for (unsigned i = 0; i < who->envs_count; i++)
		words_add(&envs, who->envs[i]);
	ROUTER_TRACE(p->trace, "who: \"%s\"%s%s; teams%s: %s%s%s", pick_shown(p, who->user),
		     who->provider.n > 0 ? " by provider " : "", pick_shown(p, who->provider),
		     who->team.p != NULL ? ", limited by the credentials" : "", pick_own_text(p),
		     who->envs_count > 0 ? "; envs, limited by the credentials: " : "",
		     who->envs_count > 0 ? words_text(&envs, p->arena) : "");
}

static void
trace_member(struct pick *p)
{
	struct str group;

	if (p->trace == NULL)
		return;
	group = teams_group(p->conf, p->who, p->choice.team);
	if (!p->who->verified)
		ROUTER_TRACE(p->trace, "member: as everybody is where nobody must be verified");
	else if (p->who->team.p != NULL)
		ROUTER_TRACE(p->trace, "member: the credentials are for this team");
	else
		ROUTER_TRACE(p->trace, "member: by the group \"%s\"", pick_shown(p, group));
}

static int
no_env(struct pick *p)
{
	const struct conf_names *header = &p->conf->header_env;

	if (header->count == 0)
		return pick_refuse(p, GRPC_INVALID_ARGUMENT,
				   "no env given: ask for a host that a cluster lists");
	return pick_refuse(p, GRPC_INVALID_ARGUMENT,
			   arena_printf(p->arena, "no env given: set the header %.*s to one of: %s",
					STR_ARG(header->names[0]),
					pick_envs_text(p, p->choice.team)));
}

static int
check_team(struct pick *p)
{
	struct str team = p->choice.team, env = p->choice.env;
	enum teams_verdict v = teams_judge(p->conf, p->who, team, env);
	bool about_env = v == TEAMS_ENV || v == TEAMS_ENV_SCOPE;
	const char *words;

	if (env.n == 0 && (v == TEAMS_ALLOWED || about_env))
		return no_env(p);
	if (v == TEAMS_ALLOWED) {
		trace_member(p);
		return 0;
	}
	words = teams_words(v, p->conf, p->who, team, env, STR_NONE, p->arena);
	if (words != NULL && about_env)
		words = arena_printf(p->arena, "%s; ask for one of: %s", words,
				     pick_envs_text(p, team));
	return pick_refuse(p, GRPC_PERMISSION_DENIED, words);
}

static int
check_rollout(struct pick *p)
{
	struct str user = p->who->verified ? p->who->user : STR_NONE, team = p->choice.team;
	int live = p->view->rollout;
	enum rollout_verdict v = rollout_judge(p->conf, live, team, user);

	if (!rollout_admits(v))
		return pick_refuse(p, GRPC_PERMISSION_DENIED, rollout_words(v, team, p->arena));
	if (v == ROLLOUT_IN_TURN)
		ROUTER_TRACE(p->trace, "rollout: at %d percent, and the team's turn was at %u",
			     rollout_percent(p->conf, live), rollout_turn(team) + 1);
	else
		ROUTER_TRACE(p->trace, "rollout: the %s is on a list of those allowed",
			     v == ROLLOUT_USER_ALLOWED ? "user" : "team");
	return 0;
}

/* ---- the cluster ---- */

static struct registry_driver *
driver_of(struct pick *p, const struct registry_cluster *c)
{
	const struct router_view *v = p->view;
	struct balance b = {v->health, v->driver_sessions, p->key, p->wish->avoid_driver, p->trace};

	return balance_pick(&b, c);
}

static int
at_host(struct pick *p)
{
	struct registry_cluster *c = p->at_host;
	struct str team = p->choice.team;

	if (!teams_keeps_to(p->conf, team, c->region))
		return pick_refuse(p, GRPC_PERMISSION_DENIED,
				   teams_words(TEAMS_REGION, p->conf, p->who, team, c->env,
					       c->region, p->arena));
	ROUTER_TRACE(p->trace, "cluster: \"%.*s\", because it lists host \"%s\"", STR_ARG(c->name),
		     pick_shown(p, p->host));
	p->choice.cluster = c;
	p->choice.driver = driver_of(p, c);
	if (p->choice.driver == NULL)
		return pick_refuse(p, GRPC_UNAVAILABLE,
				   arena_printf(p->arena, "no healthy driver in cluster \"%.*s\"",
						STR_ARG(c->name)));
	return 0;
}

/* Own region before others, own clusters before shared ones. */
static unsigned
rank(const struct pick *p, const struct registry_cluster *c)
{
	struct str here = p->conf->region;
	bool near = here.n == 0 || c->region.n == 0 || str_eq(c->region, here);

	return (c->shared ? 2 : 0) + (near ? 0 : 1);
}

static bool
take(struct pick *p, struct registry_cluster *c)
{
	static const char *const why[] = {"the team's own", "the team's own, in another region",
					  "shared with the team",
					  "shared with the team, in another region"};

	ROUTER_DETAIL(p->trace, "cluster: \"%.*s\", because it is %s", STR_ARG(c->name),
		      why[rank(p, c)]);
	p->choice.cluster = c;
	p->choice.driver = driver_of(p, c);
	if (p->choice.driver == NULL)
		ROUTER_DETAIL(p->trace, "cluster: \"%.*s\" is given up: no driver takes sessions",
			      STR_ARG(c->name));
	return p->choice.driver != NULL;
}

static bool
is_candidate(const struct pick *p, const struct registry_cluster *c)
{
	return clusters_serves(c, p->choice.team) && str_eq(c->env, p->choice.env);
}

static int
no_cluster(struct pick *p, unsigned open, unsigned closed)
{
	const char *team = pick_shown(p, p->choice.team), *env = pick_shown(p, p->choice.env);

	if (open > 0)
		return pick_refuse(p, GRPC_UNAVAILABLE,
				   arena_printf(p->arena,
						"no healthy driver for team \"%s\", env \"%s\"",
						team, env));
	if (closed > 0)
		return pick_refuse(
			p, GRPC_PERMISSION_DENIED,
			arena_printf(p->arena,
				     "data of team \"%s\" may go to: %s; all clusters of env "
				     "\"%s\" are elsewhere; ask for one of: %s",
				     team, teams_regions(p->conf, p->choice.team, p->arena), env,
				     pick_envs_text(p, p->choice.team)));
	return pick_refuse(
		p, GRPC_INVALID_ARGUMENT,
		arena_printf(p->arena,
			     "team \"%s\" has no cluster for env \"%s\"; ask for one of: %s", team,
			     env, pick_envs_text(p, p->choice.team)));
}

/* The candidates that the team's regions leave, counted; the others are counted and passed over. */
static unsigned
count_open(struct pick *p, unsigned *ret_closed)
{
	const struct registry *r = p->view->registry;
	unsigned open = 0, closed = 0;

	for (unsigned i = 0; i < r->clusters_count; i++) {
		const struct registry_cluster *c = &r->clusters[i];

		if (!is_candidate(p, c))
			continue;
		if (teams_keeps_to(p->conf, p->choice.team, c->region)) {
			open++;
			continue;
		}
		closed++;
		ROUTER_DETAIL(p->trace,
			      "cluster: \"%.*s\" is passed over: the team's data may not go to "
			      "region \"%.*s\"",
			      STR_ARG(c->name), STR_ARG(c->region));
	}
	*ret_closed = closed;
	return open;
}

static int
choose_cluster(struct pick *p)
{
	const struct registry *r = p->view->registry;
	unsigned closed, open = count_open(p, &closed);

	for (unsigned want = 0; open > 0 && want < 4; want++)
		for (unsigned i = 0; i < r->clusters_count; i++) {
			struct registry_cluster *c = &r->clusters[i];

			if (is_candidate(p, c) && rank(p, c) == want &&
			    teams_keeps_to(p->conf, p->choice.team, c->region) && take(p, c))
				return 0;
		}
	return no_cluster(p, open, closed);
}

int
router_pick(const struct router_view *view, const struct router_wish *wish, uint64_t key,
	    struct arena *arena, struct router_choice *ret, struct router_refusal *ret_refusal)
{
	struct pick p = {.view = view,
			 .conf = view->conf,
			 .wish = wish,
			 .who = wish->who,
			 .arena = arena,
			 .key = key,
			 .trace = wish->trace,
			 .refusal = ret_refusal};
	int rc;

	trace_who(&p);
	if (p.who->expired)
		return pick_refuse(&p, GRPC_UNAUTHENTICATED, "token expired");
	rc = ask_team_and_env(&p);
	if (rc == 0)
		rc = check_team(&p);
	if (rc == 0)
		rc = check_rollout(&p);
	if (rc == 0)
		rc = p.at_host != NULL ? at_host(&p) : choose_cluster(&p);
	if (rc == 0) {
		*ret = p.choice;
	} else if (ret_refusal->code == GRPC_UNAVAILABLE) { /* allowed, but nothing is there */
		ret_refusal->team = p.choice.team;
		ret_refusal->env = p.choice.env;
	}
	return rc;
}

/* ---- the first Config call ---- */

/* The first LEN field `number` of a message; STR_NONE when there is none. */
static struct str
inner(struct str message, uint32_t number)
{
	struct wire_cursor c = {(const uint8_t *)message.p, NULL};
	struct wire_field f;

	if (message.n == 0)
		return STR_NONE;
	c.end = c.p + message.n;
	while (wire_next(&c, &f) == 1)
		if (f.number == number && f.type == WIRE_LEN)
			return f.bytes;
	return STR_NONE;
}

/* The value that a Set gives to the header; of several the last one, as Spark takes it. */
static struct str
pair_value(struct str set, struct str header)
{
	struct wire_cursor c = {(const uint8_t *)set.p, (const uint8_t *)set.p + set.n};
	struct str prefix = STR(CONFIG_PREFIX), value = STR_NONE;
	struct wire_field f;

	while (wire_next(&c, &f) == 1) {
		if (f.number != SET_PAIRS || f.type != WIRE_LEN)
			continue;
		struct str key = inner(f.bytes, PAIR_KEY);
		if (str_starts(key, prefix) &&
		    str_eq_nocase((struct str){key.p + prefix.n, key.n - prefix.n}, header))
			value = inner(f.bytes, PAIR_VALUE);
	}
	return value;
}

/* Names stand in the order of preference. */
static struct str
first_given(const struct conf_names *names, struct str set)
{
	struct str value = STR_NONE;

	for (unsigned i = 0; i < names->count && value.n == 0; i++)
		value = pair_value(set, names->names[i]);
	return value;
}

void
router_config_pairs(const struct conf *conf, struct str message, struct router_wish *w)
{
	struct str set = inner(inner(message, CONFIG_OPERATION), OPERATION_SET);

	if (set.n == 0)
		return;
	w->config_team = first_given(&conf->header_team, set);
	w->config_env = first_given(&conf->header_env, set);
}
