/*
 * The routing rules as a table over one small world: who asks for what, and which driver it is to
 * be, or which refusal.
 */
#include <criterion/criterion.h>
#include <string.h>
#include "proto/wire.h"
#include "policy/router.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { FE1, FE2, FE_DEV, FE_EAST, SHARED, ML, SOLO, DRIVERS }; /* slots; ids are 101 and on */

/* ---- the world ---- */

static struct str fe_groups[] = {STR("eng-features"), STR("eng-all")};
static struct str fe_envs[] = {STR("dev"), STR("prod"), STR("qa")};
static struct str ml_groups[] = {STR("ml")};
static struct str audit_groups[] = {STR("auditors")};
static struct conf_team teams[] = {
	{.name = STR("fe"),
	 .groups = fe_groups,
	 .groups_count = 2,
	 .envs = fe_envs,
	 .envs_count = 3},
	{.name = STR("ml"), .groups = ml_groups, .groups_count = 1},
	{.name = STR("audit"), .groups = audit_groups, .groups_count = 1}, /* has no cluster */
};
static struct str team_names[] = {STR("x-team"), STR("x-group")};
static struct str env_names[] = {STR("x-env"), STR("x-environment")};

static struct str fe_hosts[] = {STR("fe.example.com")};
static struct str dev_hosts[] = {STR("*.dev.example.com")};
static struct str shared_hosts[] = {STR("shared.example.com")};
static struct str ml_hosts[] = {STR("ml.dev.example.com")};
static struct str solo_hosts[] = {STR("solo.example.com")};
static struct str shared_teams[] = {STR("fe"), STR("ml")};
static struct str solo_teams[] = {STR("data")};

static struct registry_driver drivers[DRIVERS];
static struct registry_cluster clusters[6];
static struct conf conf;
static struct registry registry;
static struct health_row rows[DRIVERS];
static _Atomic uint32_t sessions[DRIVERS];
static struct arena *arena;
static const struct router_view view = {&conf, &registry, rows, sessions};

static void
set_health(unsigned slot, enum health_state state)
{
	struct health h = {.driver_id = 101 + slot,
			   .state = state,
			   .address = {.family = AF_INET, .port = 15002}};

	health_write(&rows[slot], &h);
}

static void
build(void)
{
	static const char *const names[DRIVERS] = {"fe-1",   "fe-2", "fe-dev", "fe-east",
						   "shared", "ml",   "solo"};
	const struct registry_cluster wanted[] = {
		{STR("fe-prod"), STR("fe"), STR("prod"), STR("west"), STR("config"), false, NULL, 0,
		 fe_hosts, 1, &drivers[FE1], 2},
		{STR("fe-dev"), STR("fe"), STR("dev"), STR_NONE, STR("config"), false, NULL, 0,
		 dev_hosts, 1, &drivers[FE_DEV], 1},
		/* another region, and first in the list for the rank to have work */
		{STR("shared"), STR_NONE, STR("prod"), STR("west"), STR("config"), true,
		 shared_teams, 2, shared_hosts, 1, &drivers[SHARED], 1},
		{STR("fe-east"), STR("fe"), STR("prod"), STR("east"), STR("config"), false, NULL, 0,
		 NULL, 0, &drivers[FE_EAST], 1},
		{STR("ml-dev"), STR("ml"), STR("dev"), STR_NONE, STR("config"), false, NULL, 0,
		 ml_hosts, 1, &drivers[ML], 1},
		{STR("solo"), STR_NONE, STR("prod"), STR_NONE, STR("config"), true, solo_teams, 1,
		 solo_hosts, 1, &drivers[SOLO], 1},
	};

	memcpy(clusters, wanted, sizeof clusters);
	for (unsigned i = 0; i < DRIVERS; i++) {
		drivers[i] = (struct registry_driver){
			.id = 101 + i, .slot = i, .name = str_from(names[i]), .weight = 1};
		set_health(i, HEALTH_UP);
	}
	registry = (struct registry){.clusters = clusters, .clusters_count = COUNT(clusters)};
	conf = (struct conf){.region = STR("west"),
			     .default_env = STR("prod"),
			     .teams = teams,
			     .teams_count = COUNT(teams),
			     .header_team = {team_names, 2},
			     .header_env = {env_names, 2}};
	arena = arena_new(4096, 1u << 16);
}

static void
drop(void)
{
	arena_free(&arena);
}

TestSuite(router, .init = build, .fini = drop);

static int
pick(const struct router_wish *w, uint64_t key, struct router_choice *c, struct router_refusal *no)
{
	*c = (struct router_choice){0};
	*no = (struct router_refusal){0};
	return router_pick(&view, w, key, arena, c, no);
}

static const char *
driver_name(const struct router_choice *c)
{
	return c->driver != NULL ? c->driver->name.p : "none";
}

/* ---- which cluster ---- */

struct row {
	const char *about, *group; /* group NULL: not verified */
	const char *host, *team, *env, *config_team, *config_env;
	const char *driver, *booked_team, *booked_env; /* driver NULL: refused */
	enum grpc_code code;
	const char *words;
};

static const struct row table[] = {
	/* by host */
	{"exact host", NULL, "fe.example.com", .driver = "fe-", .booked_team = "fe",
	 .booked_env = "prod"},
	{"case of a host", NULL, "FE.Example.COM", .driver = "fe-", .booked_team = "fe",
	 .booked_env = "prod"},
	{"wildcard", NULL, "a.dev.example.com", .driver = "fe-dev", .booked_team = "fe",
	 .booked_env = "dev"},
	{"exact before wildcard", NULL, "ml.dev.example.com", .driver = "ml", .booked_team = "ml",
	 .booked_env = "dev"},
	{"wildcard stands for one label", NULL, "a.b.dev.example.com", "fe", .driver = "fe-",
	 .booked_team = "fe", .booked_env = "prod"},
	{"wildcard needs a label", NULL, "dev.example.com", "fe", .driver = "fe-",
	 .booked_team = "fe", .booked_env = "prod"},
	{"empty label", NULL, ".dev.example.com", "fe", .driver = "fe-", .booked_team = "fe",
	 .booked_env = "prod"},
	{"host and headers agree", NULL, "fe.example.com", "fe", "prod", .driver = "fe-",
	 .booked_team = "fe", .booked_env = "prod"},
	{"host against team", NULL, "fe.example.com", "ml", .code = GRPC_INVALID_ARGUMENT,
	 .words = "belongs to cluster \"fe-prod\""},
	{"host against env", NULL, "fe.example.com", "fe", "dev", .code = GRPC_INVALID_ARGUMENT,
	 .words = "env \"dev\""},
	{"host against config team", NULL, "fe.example.com", .config_team = "ml",
	 .code = GRPC_INVALID_ARGUMENT, .words = "belongs to cluster"},
	{"host, team header, and another team in the Config call", NULL, "fe.example.com", "fe",
	 .config_team = "ml", .code = GRPC_INVALID_ARGUMENT, .words = "differ"},
	{"host, env header, and another env in the Config call", NULL, "fe.example.com", NULL,
	 "prod", .config_env = "dev", .code = GRPC_INVALID_ARGUMENT, .words = "differ"},
	{"host of a shared cluster with a team", NULL, "shared.example.com", "ml",
	 .driver = "shared", .booked_team = "ml", .booked_env = "prod"},
	{"host of a shared cluster without a team", NULL, "shared.example.com",
	 .code = GRPC_INVALID_ARGUMENT, .words = "team header is needed"},
	{"host of a shared cluster, the only own team", "ml", "shared.example.com",
	 .driver = "shared", .booked_team = "ml", .booked_env = "prod"},
	{"host of a shared cluster with one team", NULL, "solo.example.com", .driver = "solo",
	 .booked_team = "data", .booked_env = "prod"},
	{"host of a shared cluster, a team it does not serve", NULL, "solo.example.com", "fe",
	 .code = GRPC_INVALID_ARGUMENT, .words = "belongs to cluster \"solo\""},
	{"host of another's cluster", "ml", "fe.example.com", .code = GRPC_PERMISSION_DENIED,
	 .words = "not a member of team \"fe\""},
	{"unknown host says nothing", "ml", "gateway.example.com", NULL, "dev", .driver = "ml",
	 .booked_team = "ml", .booked_env = "dev"},

	/* by team and environment */
	{"team, default env", NULL, NULL, "fe", .driver = "fe-", .booked_team = "fe",
	 .booked_env = "prod"},
	{"team and env", NULL, NULL, "fe", "dev", .driver = "fe-dev", .booked_team = "fe",
	 .booked_env = "dev"},
	{"team of the Config call", NULL, .config_team = "fe", .config_env = "dev",
	 .driver = "fe-dev", .booked_team = "fe", .booked_env = "dev"},
	{"headers and Config call agree", NULL, NULL, "fe", "dev", "fe", "dev", .driver = "fe-dev",
	 .booked_team = "fe", .booked_env = "dev"},
	{"headers and Config call differ in team", NULL, NULL, "fe", NULL, "ml",
	 .code = GRPC_INVALID_ARGUMENT, .words = "differ"},
	{"headers and Config call differ in env", NULL, NULL, "fe", "dev", NULL, "prod",
	 .code = GRPC_INVALID_ARGUMENT, .words = "differ"},
	{"shared cluster of a listed team", NULL, NULL, "ml", .driver = "shared",
	 .booked_team = "ml", .booked_env = "prod"},
	{"team that only a shared cluster knows", NULL, NULL, "data", .driver = "solo",
	 .booked_team = "data", .booked_env = "prod"},
	{"unknown team", NULL, NULL, "xyz", .code = GRPC_INVALID_ARGUMENT,
	 .words = "unknown team \"xyz\""},
	{"unknown team: what one could have asked for", "ml", NULL, "xyz",
	 .code = GRPC_INVALID_ARGUMENT, .words = "yours: ml"},
	{"team names have case", NULL, NULL, "FE", .code = GRPC_INVALID_ARGUMENT,
	 .words = "unknown team"},
	{"env that has no cluster", NULL, NULL, "ml", "qa", .code = GRPC_INVALID_ARGUMENT,
	 .words = "no cluster for env \"qa\""},
	{"env that has no cluster: which ones have", NULL, NULL, "ml", "qa",
	 .code = GRPC_INVALID_ARGUMENT, .words = "one of: prod, dev"},
	{"env that the team may not use", "eng-all", NULL, "fe", "staging",
	 .code = GRPC_PERMISSION_DENIED, .words = "may not use env \"staging\""},
	{"env without a cluster, allowed", "eng-all", NULL, "fe", "qa",
	 .code = GRPC_INVALID_ARGUMENT, .words = "no cluster for env \"qa\""},
	{"team without any cluster", "auditors", NULL, "audit", .code = GRPC_INVALID_ARGUMENT,
	 .words = "no cluster"},

	/* by identity */
	{"the only team of a verified user", "ml", NULL, .driver = "shared", .booked_team = "ml",
	 .booked_env = "prod"},
	{"second group of a team", "eng-all", NULL, NULL, "dev", .driver = "fe-dev",
	 .booked_team = "fe", .booked_env = "dev"},
	{"several teams and none said", NULL, NULL, .code = GRPC_INVALID_ARGUMENT,
	 .words = "x-team to one of: fe, ml, audit"},
	{"no team at all", "strangers", NULL, .code = GRPC_INVALID_ARGUMENT,
	 .words = "one of: none"},
	{"member", "eng-features", NULL, "fe", .driver = "fe-", .booked_team = "fe",
	 .booked_env = "prod"},
	{"not a member", "ml", NULL, "fe", .code = GRPC_PERMISSION_DENIED,
	 .words = "not a member of team \"fe\""},
	{"not a member, by the Config call", "ml", NULL, .config_team = "fe",
	 .code = GRPC_PERMISSION_DENIED, .words = "not a member of team \"fe\""},
	{"verified, and the team has no groups", "ml", NULL, "data", .code = GRPC_PERMISSION_DENIED,
	 .words = "not a member of team \"data\""},
};

static void
check_row(const struct row *r)
{
	struct str group = str_from(r->group);
	struct identity who = {.verified = r->group != NULL,
			       .user = STR("u1"),
			       .groups = &group,
			       .groups_count = r->group != NULL};
	struct router_wish w = {str_from(r->host),
				str_from(r->team),
				str_from(r->env),
				str_from(r->config_team),
				str_from(r->config_env),
				&who,
				0};
	struct router_choice c;
	struct router_refusal no;
	int rc = pick(&w, 1, &c, &no);

	if (r->driver == NULL) {
		cr_expect(rc == E_DENIED && no.code == r->code &&
				  strstr(no.words, r->words) != NULL,
			  "%s: rc %d, code %d, %s", r->about, rc, no.code,
			  no.words != NULL ? no.words : driver_name(&c));
		return;
	}
	cr_expect(rc == 0 && str_starts(c.driver->name, str_from(r->driver)),
		  "%s: rc %d, driver %s, %s", r->about, rc, driver_name(&c),
		  no.words != NULL ? no.words : "");
	cr_expect(rc != 0 || (str_eq(c.team, str_from(r->booked_team)) &&
			      str_eq(c.env, str_from(r->booked_env))),
		  "%s: team %.*s, env %.*s", r->about, STR_ARG(c.team), STR_ARG(c.env));
	cr_expect(rc != 0 || (c.driver >= c.cluster->drivers &&
			      c.driver < c.cluster->drivers + c.cluster->drivers_count),
		  "%s: the driver is not of the cluster", r->about);
}

Test(router, rules)
{
	for (size_t i = 0; i < COUNT(table); i++) {
		check_row(&table[i]);
		arena_reset(arena);
	}
}

Test(router, single_team_of_everybody)
{
	struct identity who = {0};
	struct router_wish w = {.who = &who};
	struct router_choice c;
	struct router_refusal no;

	conf.teams_count = 1;
	registry.clusters_count = 2; /* all of team fe */
	cr_assert_eq(pick(&w, 1, &c, &no), 0, "%s", no.words);
	cr_expect(str_eq(c.team, STR("fe")));
}

Test(router, no_words_about_headers_that_are_not_configured)
{
	struct identity who = {0};
	struct router_wish w = {.who = &who};
	struct router_choice c;
	struct router_refusal no;

	conf.header_team.count = 0;
	cr_assert_eq(pick(&w, 1, &c, &no), E_DENIED);
	cr_expect_str_eq(no.words, "no team given: ask for a host that a cluster lists");
}

Test(router, no_default_env)
{
	struct identity who = {0};
	struct router_wish w = {.team = STR("fe"), .who = &who};
	struct router_choice c;
	struct router_refusal no;

	conf.default_env = STR_NONE;
	cr_assert_eq(pick(&w, 1, &c, &no), E_DENIED);
	cr_expect_eq(no.code, GRPC_INVALID_ARGUMENT);
	cr_expect(strstr(no.words, "no env given") != NULL && strstr(no.words, "x-env") != NULL &&
			  strstr(no.words, "prod, dev") != NULL,
		  "%s", no.words);
}

/* ---- which driver ---- */

static const char *
driver_of_fe(const char *env, uint64_t key, uint32_t avoid)
{
	struct identity who = {0};
	struct router_wish w = {
		.team = STR("fe"), .env = str_from(env), .who = &who, .avoid_driver = avoid};
	struct router_choice c;
	struct router_refusal no;

	int rc = pick(&w, key, &c, &no);
	cr_expect(rc == 0 || no.code == GRPC_UNAVAILABLE, "code %d", no.code);
	return rc == 0 ? c.driver->name.p : "none";
}

Test(router, fewest_sessions)
{
	sessions[FE1] = 5;
	sessions[FE2] = 4;
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2");
	sessions[FE1] = 3;
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-1");
}

Test(router, sessions_per_weight)
{
	drivers[FE1].weight = 4;
	sessions[FE1] = 11;
	sessions[FE2] = 3;
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-1");
	sessions[FE1] = 13;
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2");
	drivers[FE1].weight = 1000;
	sessions[FE1] = UINT32_MAX;
	sessions[FE2] = UINT32_MAX / 1000;
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2");
}

Test(router, ties_spread_and_stay)
{
	unsigned first = 0;

	for (uint64_t key = 0; key < 400; key++) {
		const char *name = driver_of_fe("prod", key * 0x9E3779B97F4A7C15u, 0);
		const char *again = driver_of_fe("prod", key * 0x9E3779B97F4A7C15u, 0);

		cr_expect_str_eq(name, again);
		first += strcmp(name, "fe-1") == 0;
	}
	cr_expect(first > 150 && first < 250, "%u of 400", first);
}

/* What takes a driver out of the choice. */
Test(router, unusable_drivers)
{
	struct health stale = {.driver_id = 99, .state = HEALTH_UP, .address = {.family = AF_INET}};
	struct health nowhere = {.driver_id = 101 + FE1, .state = HEALTH_UP};

	sessions[FE2] = 1000; /* fe-1 is the one to be taken */
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-1");
	cr_expect_str_eq(driver_of_fe("prod", 1, 101 + FE1), "fe-2", "to be avoided");
	drivers[FE1].draining = true;
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2", "draining");
	drivers[FE1].draining = false;
	set_health(FE1, HEALTH_DOWN);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2", "down");
	set_health(FE1, HEALTH_UNKNOWN);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2", "not probed yet");
	health_write(&rows[FE1], &stale);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2", "a row about another driver");
	health_write(&rows[FE1], &nowhere);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2", "no address");
	set_health(FE1, HEALTH_UP);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-1", "well again");
}

/* Own region, other region, shared; then nothing. */
Test(router, next_best_cluster)
{
	sessions[FE1] = sessions[FE2] = sessions[FE_EAST] = 1000;
	cr_expect(strcmp(driver_of_fe("prod", 1, 0), "fe-1") == 0 ||
		  strcmp(driver_of_fe("prod", 1, 0), "fe-2") == 0);
	set_health(FE1, HEALTH_DOWN);
	set_health(FE2, HEALTH_DOWN);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-east");
	set_health(FE_EAST, HEALTH_DOWN);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "shared");
	set_health(SHARED, HEALTH_DOWN);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "none");
	cr_expect_str_eq(driver_of_fe("dev", 1, 0), "fe-dev");
}

Test(router, home_region)
{
	conf.region = STR("east");
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-east");
	conf.region = STR_NONE; /* no region of our own: the order of the configuration */
	cr_expect(driver_of_fe("prod", 1, 0)[3] != 'e');
}

Test(router, host_has_no_second_choice)
{
	struct identity who = {0};
	struct router_wish w = {.host = STR("fe.example.com"), .who = &who};
	struct router_choice c;
	struct router_refusal no;

	set_health(FE1, HEALTH_DOWN);
	set_health(FE2, HEALTH_DOWN);
	cr_assert_eq(pick(&w, 1, &c, &no), E_DENIED);
	cr_expect_eq(no.code, GRPC_UNAVAILABLE);
	cr_expect_str_eq(no.words, "no healthy driver in cluster \"fe-prod\"");
}

/* An arena that is used up costs the words, nothing else. */
Test(router, no_memory_for_words)
{
	struct identity who = {0};
	struct router_wish w = {.team = STR("xyz"), .who = &who};
	struct router_choice c;
	struct router_refusal no;

	while (arena_alloc(arena, 4096) != NULL)
		;
	cr_assert_eq(pick(&w, 1, &c, &no), E_DENIED);
	cr_expect_eq(no.code, GRPC_INVALID_ARGUMENT);
	cr_expect_str_eq(no.words, "refused");
}

/* ---- the first Config call ---- */

struct message {
	uint8_t bytes[1024];
	size_t n;
};

static void
put(struct message *m, uint32_t field, struct str bytes)
{
	uint8_t *end = wire_put_len(m->bytes + m->n, m->bytes + sizeof m->bytes, field, bytes);

	cr_assert(end != NULL);
	m->n = (size_t)(end - m->bytes);
}

static struct str
text(const struct message *m)
{
	return (struct str){(const char *)m->bytes, m->n};
}

/* ConfigRequest as spark.conf.set() sends it; `in`: the field of the operation (1 is Set). */
static struct message
config_request(uint32_t in, const char *const (*pairs)[2], size_t count)
{
	struct message set = {.n = 0}, operation = {.n = 0}, request = {.n = 0};

	for (size_t i = 0; i < count; i++) {
		struct message pair = {.n = 0};

		put(&pair, 1, str_from(pairs[i][0]));
		if (pairs[i][1] != NULL)
			put(&pair, 2, str_from(pairs[i][1]));
		put(&set, 1, text(&pair));
	}
	put(&operation, in, text(&set));
	put(&request, 1, STR("8b4cd4a2-ec10-4a3a-b5a6-5b7ba6fa5d2e"));
	put(&request, 2, STR("\n\002u1"));
	put(&request, 3, text(&operation));
	put(&request, 4, STR("_SPARK_CONNECT_PYTHON"));
	return request;
}

#define PREFIX "spark.connect.grpc.header."

struct pairs_row {
	const char *about;
	const char *const pairs[4][2];
	const char *team, *env;
};

static const struct pairs_row pairs_table[] = {
	{"both", {{PREFIX "x-team", "fe"}, {PREFIX "x-env", "dev"}}, "fe", "dev"},
	{"none", {{"spark.sql.shuffle.partitions", "10"}}, NULL, NULL},
	{"another header", {{PREFIX "x-other", "fe"}}, NULL, NULL},
	{"prefix only", {{PREFIX, "fe"}}, NULL, NULL},
	{"not the prefix", {{"x-team", "fe"}, {"spark.connect.x-team", "fe"}}, NULL, NULL},
	{"case of a header name", {{PREFIX "X-Team", "fe"}}, "fe", NULL},
	{"second name", {{PREFIX "x-group", "fe"}}, "fe", NULL},
	{"first name before second",
	 {{PREFIX "x-team", "fe"}, {PREFIX "x-group", "ml"}},
	 "fe",
	 NULL},
	{"first name before second, whatever the order",
	 {{PREFIX "x-group", "ml"}, {PREFIX "x-team", "fe"}},
	 "fe",
	 NULL},
	{"set twice: the last one stands",
	 {{PREFIX "x-team", "ml"}, {PREFIX "x-team", "fe"}},
	 "fe",
	 NULL},
	{"key without a value", {{PREFIX "x-team", NULL}}, NULL, NULL},
	{"among others",
	 {{"spark.app.name", "a"}, {PREFIX "x-environment", "qa"}, {"spark.x", "y"}},
	 NULL,
	 "qa"},
};

Test(router, config_pairs)
{
	for (size_t i = 0; i < COUNT(pairs_table); i++) {
		const struct pairs_row *r = &pairs_table[i];
		struct router_wish w = {0};
		size_t count = 0;

		while (count < 4 && r->pairs[count][0] != NULL)
			count++;
		struct message m = config_request(1, r->pairs, count);
		router_config_pairs(&conf, text(&m), &w);
		cr_expect(str_eq(w.config_team, str_from(r->team)), "%s: team %.*s", r->about,
			  STR_ARG(w.config_team));
		cr_expect(str_eq(w.config_env, str_from(r->env)), "%s: env %.*s", r->about,
			  STR_ARG(w.config_env));
	}
}

Test(router, config_other_operations)
{
	static const char *const pairs[][2] = {{PREFIX "x-team", "fe"}};

	for (uint32_t in = 2; in <= 7; in++) { /* Get, GetWithDefault … IsModifiable */
		struct message m = config_request(in, pairs, 1);
		struct router_wish w = {0};

		router_config_pairs(&conf, text(&m), &w);
		cr_expect_null(w.config_team.p, "operation %u", in);
	}
}

/* Cut anywhere: no more than less is found, and nothing outside the bytes is touched. */
Test(router, config_cut_short)
{
	static const char *const pairs[][2] = {{PREFIX "x-team", "fe"}, {PREFIX "x-env", "dev"}};
	struct message m = config_request(1, pairs, 2);

	for (size_t n = 0; n < m.n; n++) {
		uint8_t *copy = malloc(n + (n == 0));
		struct router_wish w = {0};

		memcpy(copy, m.bytes, n);
		router_config_pairs(&conf, (struct str){(const char *)copy, n}, &w);
		cr_expect(w.config_team.n == 0 || str_eq(w.config_team, STR("fe")), "at %zu", n);
		free(copy);
	}
	struct router_wish w = {0};
	router_config_pairs(&conf, STR_NONE, &w);
	cr_expect_null(w.config_team.p);
}
