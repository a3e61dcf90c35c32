/*
 * From wishes to a driver: first the cluster by host, team and environment, then the healthy driver
 * with the fewest sessions per weight. Reads the registry's snapshot and the checker's rows;
 * changes nothing.
 */
#include <stdatomic.h>
#include "lib/hash.h"
#include "proto/wire.h"
#include "policy/router.h"

#define CONFIG_PREFIX "spark.connect.grpc.header."
#define WORDS_MAX     20 /* names in a refusal: words for a person, not a dump */

/* apache/spark base.proto: ConfigRequest.operation, ConfigRequest.Operation.set, Set.pairs,
 * KeyValue */
enum { CONFIG_OPERATION = 3, OPERATION_SET = 1, SET_PAIRS = 1, PAIR_KEY = 1, PAIR_VALUE = 2 };

struct pick {
	const struct router_view *view;
	const struct router_wish *wish;
	struct arena *arena;
	struct router_refusal *refusal;
	uint64_t key;
};

static int
refuse(struct pick *p, enum grpc_code code, const char *words)
{
	*p->refusal = (struct router_refusal){code, words != NULL ? words : "refused"};
	return E_DENIED;
}

static bool
listed(struct str name, const struct str *list, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (str_eq(list[i], name))
			return true;
	return false;
}

/* ---- by host ---- */

static bool
host_matches(struct str pattern, struct str host)
{
	if (!str_starts(pattern, STR("*.")))
		return str_eq_nocase(pattern, host);
	struct str tail = {pattern.p + 1, pattern.n - 1}; /* ".example.com" */
	if (host.n <= tail.n)
		return false;
	struct str end = {host.p + host.n - tail.n, tail.n};
	struct str label = {host.p, host.n - tail.n};
	return str_eq_nocase(end, tail) && memchr(label.p, '.', label.n) == NULL;
}

static struct registry_cluster *
cluster_by_host(const struct registry *r, struct str host)
{
	struct registry_cluster *wild = NULL;

	for (unsigned i = 0; host.n > 0 && i < r->clusters_count; i++)
		for (unsigned k = 0; k < r->clusters[i].hosts_count; k++) {
			struct str pattern = r->clusters[i].hosts[k];

			if (!host_matches(pattern, host))
				continue;
			if (pattern.p[0] != '*')
				return &r->clusters[i];
			if (wild == NULL)
				wild = &r->clusters[i];
		}
	return wild;
}

/* ---- by team and environment ---- */

static bool
serves_team(const struct registry_cluster *c, struct str team)
{
	return c->shared ? listed(team, c->teams, c->teams_count) : str_eq(c->team, team);
}

static bool
is_member(const struct conf_team *team, const struct identity *who)
{
	if (!who->verified)
		return true; /* auth.required: false: everybody may go everywhere */
	for (unsigned i = 0; team != NULL && i < team->groups_count; i++)
		if (listed(team->groups[i], who->groups, who->groups_count))
			return true;
	return false;
}

static bool
team_exists(struct pick *p, struct str team)
{
	const struct registry *r = p->view->registry;

	if (conf_team(p->view->conf, team) != NULL)
		return true;
	for (unsigned i = 0; i < r->clusters_count; i++)
		if (serves_team(&r->clusters[i], team))
			return true;
	return false;
}

/* Visits each team once: those of the configuration, then those that only clusters name. */
static bool
next_team(struct pick *p, unsigned *at, struct str *ret)
{
	const struct conf *conf = p->view->conf;
	const struct registry *r = p->view->registry;

	while (*at < conf->teams_count + r->clusters_count) {
		unsigned i = (*at)++;

		if (i < conf->teams_count) {
			*ret = conf->teams[i].name;
			return true;
		}
		struct str name = r->clusters[i - conf->teams_count].team;
		bool seen = name.n == 0 || conf_team(conf, name) != NULL;
		for (unsigned k = 0; !seen && k < i - conf->teams_count; k++)
			seen = str_eq(r->clusters[k].team, name);
		if (!seen) {
			*ret = name;
			return true;
		}
	}
	return false;
}

/* The teams the identity belongs to; ret_only is set when there is just one. "a, b, c" in the
 * arena. */
static const char *
own_teams(struct pick *p, struct str *ret_only)
{
	const char *words = "";
	unsigned count = 0, at = 0;
	struct str name;

	*ret_only = STR_NONE;
	while (next_team(p, &at, &name)) {
		if (!is_member(conf_team(p->view->conf, name), p->wish->who))
			continue;
		*ret_only = ++count == 1 ? name : STR_NONE;
		if (count <= WORDS_MAX)
			words = arena_printf(p->arena, "%s%s%.*s", words, count > 1 ? ", " : "",
					     STR_ARG(name));
	}
	return count > 0 && words != NULL ? words : "none";
}

static const char *
no_team_words(struct pick *p, const char *teams)
{
	const struct conf_names *header = &p->view->conf->header_team;

	if (header->count == 0)
		return "no team given: ask for a host that a cluster lists";
	return arena_printf(p->arena, "no team given: set the header %.*s to one of: %s",
			    STR_ARG(header->names[0]), teams);
}

/* The environments in which clusters serve the team: "prod, dev" in the arena. */
static const char *
envs_of(struct pick *p, struct str team)
{
	const struct registry *r = p->view->registry;
	const char *words = "";
	unsigned count = 0;

	for (unsigned i = 0; i < r->clusters_count; i++) {
		bool wanted = serves_team(&r->clusters[i], team);

		for (unsigned k = 0; wanted && k < i; k++)
			wanted = !serves_team(&r->clusters[k], team) ||
				 !str_eq(r->clusters[k].env, r->clusters[i].env);
		if (wanted && ++count <= WORDS_MAX)
			words = arena_printf(p->arena, "%s%s%.*s", words, count > 1 ? ", " : "",
					     STR_ARG(r->clusters[i].env));
	}
	return count > 0 && words != NULL ? words : "none";
}

static int
no_env(struct pick *p, struct str team)
{
	const struct conf_names *header = &p->view->conf->header_env;

	if (header->count == 0)
		return refuse(p, GRPC_INVALID_ARGUMENT,
			      "no env given: ask for a host that a cluster lists");
	return refuse(p, GRPC_INVALID_ARGUMENT,
		      arena_printf(p->arena, "no env given: set the header %.*s to one of: %s",
				   STR_ARG(header->names[0]), envs_of(p, team)));
}

static int
choose_team(struct pick *p, struct router_choice *c)
{
	const struct router_wish *w = p->wish;
	struct str only;
	const char *teams;

	c->team = w->team.n > 0 ? w->team : w->config_team;
	c->env = w->env.n > 0 ? w->env : w->config_env;
	if (c->env.n == 0)
		c->env = p->view->conf->default_env;
	if (c->team.n == 0) {
		teams = own_teams(p, &only);
		if (only.n == 0)
			return refuse(p, GRPC_INVALID_ARGUMENT, no_team_words(p, teams));
		c->team = only;
	}
	if (!team_exists(p, c->team)) {
		teams = own_teams(p, &only);
		return refuse(p, GRPC_INVALID_ARGUMENT,
			      arena_printf(p->arena, "unknown team \"%.*s\"; yours: %s",
					   STR_ARG(c->team), teams));
	}
	return 0;
}

static int
check_team(struct pick *p, const struct router_choice *c)
{
	const struct conf_team *team = conf_team(p->view->conf, c->team);

	if (!is_member(team, p->wish->who))
		return refuse(
			p, GRPC_PERMISSION_DENIED,
			arena_printf(p->arena, "not a member of team \"%.*s\"", STR_ARG(c->team)));
	if (c->env.n == 0)
		return no_env(p, c->team);
	if (team != NULL && team->envs_count > 0 && !listed(c->env, team->envs, team->envs_count))
		return refuse(p, GRPC_PERMISSION_DENIED,
			      arena_printf(p->arena, "team \"%.*s\" may not use env \"%.*s\"",
					   STR_ARG(c->team), STR_ARG(c->env)));
	return 0;
}

/* ---- drivers ---- */

static bool
usable(const struct pick *p, const struct registry_driver *d)
{
	struct health h;

	return !d->draining && d->id != p->wish->avoid_driver &&
	       health_read(&p->view->health[d->slot], &h) == 0 && h.driver_id == d->id &&
	       h.state == HEALTH_UP && h.address.family != 0;
}

/* Fewest sessions per weight; ties by rendezvous hash, so that all workers agree. */
static struct registry_driver *
best_driver(const struct pick *p, const struct registry_cluster *c)
{
	struct registry_driver *best = NULL;
	uint64_t best_load = 0, best_hash = 0;

	for (unsigned i = 0; i < c->drivers_count; i++) {
		struct registry_driver *d = &c->drivers[i];

		if (!usable(p, d))
			continue;
		uint64_t sessions = atomic_load_explicit(&p->view->driver_sessions[d->slot],
							 memory_order_relaxed);
		uint64_t load = sessions * 1000 / d->weight;
		uint64_t hash = hash_stable(&d->id, sizeof d->id, p->key);
		if (best == NULL || load < best_load || (load == best_load && hash > best_hash)) {
			best = d;
			best_load = load;
			best_hash = hash;
		}
	}
	return best;
}

/* Own region before others, own clusters before shared ones. */
static unsigned
rank(const struct pick *p, const struct registry_cluster *c)
{
	bool here = p->view->conf->region.n == 0 || c->region.n == 0 ||
		    str_eq(c->region, p->view->conf->region);

	return (c->shared ? 2 : 0) + (here ? 0 : 1);
}

static int
choose_cluster(struct pick *p, struct router_choice *c)
{
	const struct registry *r = p->view->registry;
	bool any = false;

	for (unsigned want = 0; want < 4; want++)
		for (unsigned i = 0; i < r->clusters_count; i++) {
			struct registry_cluster *cl = &r->clusters[i];

			if (!serves_team(cl, c->team) || !str_eq(cl->env, c->env) ||
			    rank(p, cl) != want)
				continue;
			any = true;
			c->driver = best_driver(p, cl);
			if (c->driver != NULL) {
				c->cluster = cl;
				return 0;
			}
		}
	if (any)
		return refuse(p, GRPC_UNAVAILABLE,
			      arena_printf(p->arena,
					   "no healthy driver for team \"%.*s\", env \"%.*s\"",
					   STR_ARG(c->team), STR_ARG(c->env)));
	return refuse(
		p, GRPC_INVALID_ARGUMENT,
		arena_printf(p->arena,
			     "team \"%.*s\" has no cluster for env \"%.*s\"; ask for one of: %s",
			     STR_ARG(c->team), STR_ARG(c->env), envs_of(p, c->team)));
}

static int
take_host_cluster(struct pick *p, struct registry_cluster *cl, struct router_choice *c)
{
	const struct router_wish *w = p->wish;
	struct str team = w->team.n > 0 ? w->team : w->config_team;
	struct str env = w->env.n > 0 ? w->env : w->config_env;
	struct str only;

	if ((team.n > 0 && !serves_team(cl, team)) || (env.n > 0 && !str_eq(env, cl->env)))
		return refuse(
			p, GRPC_INVALID_ARGUMENT,
			arena_printf(
				p->arena,
				"host \"%.*s\" belongs to cluster \"%.*s\", but the headers ask for"
				" team \"%.*s\", env \"%.*s\"",
				STR_ARG(w->host), STR_ARG(cl->name), STR_ARG(team), STR_ARG(env)));
	c->env = cl->env;
	c->team = cl->shared ? team : cl->team;
	if (c->team.n == 0) {
		(void)own_teams(p, &only);
		c->team = only.n > 0 && serves_team(cl, only) ? only
			  : cl->teams_count == 1	      ? cl->teams[0]
							      : STR_NONE;
	}
	if (c->team.n == 0)
		return refuse(p, GRPC_INVALID_ARGUMENT,
			      "this cluster is shared: a team header is needed");
	if (check_team(p, c) != 0)
		return E_DENIED;
	c->cluster = cl;
	c->driver = best_driver(p, cl);
	if (c->driver == NULL)
		return refuse(p, GRPC_UNAVAILABLE,
			      arena_printf(p->arena, "no healthy driver in cluster \"%.*s\"",
					   STR_ARG(cl->name)));
	return 0;
}

static int
check_agreement(struct pick *p)
{
	const struct router_wish *w = p->wish;

	if (w->team.n > 0 && w->config_team.n > 0 && !str_eq(w->team, w->config_team))
		return refuse(p, GRPC_INVALID_ARGUMENT,
			      "the team header and the team of the Config call differ");
	if (w->env.n > 0 && w->config_env.n > 0 && !str_eq(w->env, w->config_env))
		return refuse(p, GRPC_INVALID_ARGUMENT,
			      "the env header and the env of the Config call differ");
	return 0;
}

int
router_pick(const struct router_view *view, const struct router_wish *wish, uint64_t key,
	    struct arena *arena, struct router_choice *ret, struct router_refusal *ret_refusal)
{
	struct pick p = {view, wish, arena, ret_refusal, key};
	struct router_choice c = {0};
	struct registry_cluster *by_host = cluster_by_host(view->registry, wish->host);
	int rc = check_agreement(&p);

	if (rc != 0)
		return rc;
	if (by_host != NULL) {
		rc = take_host_cluster(&p, by_host, &c);
	} else {
		rc = choose_team(&p, &c);
		if (rc == 0)
			rc = check_team(&p, &c);
		if (rc == 0)
			rc = choose_cluster(&p, &c);
	}
	if (rc == 0)
		*ret = c;
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
