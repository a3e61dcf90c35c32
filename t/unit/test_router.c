/*
 * The routing rules as a table over one small world: who asks for what, and which driver it is to
 * be, or which refusal.
 */
#include <criterion/criterion.h>
#include <string.h>
#include "t/unit/world.h"

TestSuite(router, .init = world_build, .fini = world_drop);

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
	 .code = GRPC_INVALID_ARGUMENT,
	 .words = "is shared and no team given: set the header x-team to one of: fe, ml"},
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
	 .words = "x-team to one of: fe, ml, audit, data"},
	{"no team at all", "strangers", NULL, .code = GRPC_INVALID_ARGUMENT,
	 .words = "you belong to none"},
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
	struct router_wish w = {.host = str_from(r->host),
				.team = str_from(r->team),
				.env = str_from(r->env),
				.config_team = str_from(r->config_team),
				.config_env = str_from(r->config_env),
				.who = &who};
	struct router_choice c;
	struct router_refusal no;
	int rc = world_pick(&w, 1, &c, &no);

	if (r->driver == NULL) {
		cr_expect(rc == E_DENIED && no.code == r->code &&
				  strstr(no.words, r->words) != NULL,
			  "%s: rc %d, code %d, %s", r->about, rc, no.code,
			  no.words != NULL ? no.words : world_driver_name(&c));
		return;
	}
	cr_expect(rc == 0 && str_starts(c.driver->name, str_from(r->driver)),
		  "%s: rc %d, driver %s, %s", r->about, rc, world_driver_name(&c),
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
	for (size_t i = 0; i < WORLD_COUNT(table); i++) {
		check_row(&table[i]);
		arena_reset(world.arena);
	}
}

Test(router, single_team_of_everybody)
{
	struct identity who = {0};
	struct router_wish w = {.who = &who};
	struct router_choice c;
	struct router_refusal no;

	world.conf.teams_count = 1;
	world.registry.clusters_count = 2; /* all of team fe */
	cr_assert_eq(world_pick(&w, 1, &c, &no), 0, "%s", no.words);
	cr_expect(str_eq(c.team, STR("fe")));
}

Test(router, no_words_about_headers_that_are_not_configured)
{
	struct identity who = {0};
	struct router_wish w = {.who = &who};
	struct router_choice c;
	struct router_refusal no;

	world.conf.header_team.count = 0;
	cr_assert_eq(world_pick(&w, 1, &c, &no), E_DENIED);
	cr_expect_str_eq(no.words, "no team given: ask for a host that a cluster lists");
}

Test(router, no_default_env)
{
	struct identity who = {0};
	struct router_wish w = {.team = STR("fe"), .who = &who};
	struct router_choice c;
	struct router_refusal no;

	world.conf.default_env = STR_NONE;
	cr_assert_eq(world_pick(&w, 1, &c, &no), E_DENIED);
	cr_expect_eq(no.code, GRPC_INVALID_ARGUMENT);
	cr_expect(strstr(no.words, "no env given") != NULL && strstr(no.words, "x-env") != NULL &&
			  strstr(no.words, "prod, dev") != NULL,
		  "%s", no.words);
	world.conf.header_env.count = 0;
	cr_assert_eq(world_pick(&w, 1, &c, &no), E_DENIED);
	cr_expect_str_eq(no.words, "no env given: ask for a host that a cluster lists");
}

/* The environment is asked for of members only. */
Test(router, no_default_env_for_strangers)
{
	struct identity who = {.verified = true};
	struct router_wish w = {.team = STR("fe"), .who = &who};
	struct router_choice c;
	struct router_refusal no;

	world.conf.default_env = STR_NONE;
	cr_assert_eq(world_pick(&w, 1, &c, &no), E_DENIED);
	cr_expect_eq(no.code, GRPC_PERMISSION_DENIED);
}

/* A default that is an alias is resolved like any other. */
Test(router, default_env_by_another_name)
{
	struct identity who = {0};
	struct router_wish w = {.team = STR("fe"), .who = &who};
	struct router_choice c;
	struct router_refusal no;

	world.conf.default_env = STR("production");
	cr_assert_eq(world_pick(&w, 1, &c, &no), 0, "%s", no.words);
	cr_expect(str_eq(c.env, STR("prod")));
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

	int rc = world_pick(&w, key, &c, &no);
	cr_expect(rc == 0 || no.code == GRPC_UNAVAILABLE, "code %d", no.code);
	return rc == 0 ? c.driver->name.p : "none";
}

Test(router, fewest_sessions)
{
	world.sessions[FE1] = 5;
	world.sessions[FE2] = 4;
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2");
	world.sessions[FE1] = 3;
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-1");
}

Test(router, sessions_per_weight)
{
	world.drivers[FE1].weight = 4;
	world.sessions[FE1] = 11;
	world.sessions[FE2] = 3;
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-1");
	world.sessions[FE1] = 13;
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2");
	world.drivers[FE1].weight = 1000;
	world.sessions[FE1] = UINT32_MAX;
	world.sessions[FE2] = UINT32_MAX / 1000;
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
	struct health nowhere = {.driver_id = WORLD_ID(FE1), .state = HEALTH_UP};

	world.sessions[FE2] = 1000; /* fe-1 is the one to be taken */
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-1");
	cr_expect_str_eq(driver_of_fe("prod", 1, WORLD_ID(FE1)), "fe-2", "to be avoided");
	world.drivers[FE1].draining = true;
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2", "draining");
	world.drivers[FE1].draining = false;
	world_set_health(FE1, HEALTH_DOWN);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2", "down");
	world_set_health(FE1, HEALTH_UNKNOWN);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2", "not probed yet");
	health_write(&world.rows[FE1], &stale);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2", "a row about another driver");
	health_write(&world.rows[FE1], &nowhere);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-2", "no address");
	world_set_health(FE1, HEALTH_UP);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-1", "well again");
}

/* Own region, other region, shared; then nothing. */
Test(router, next_best_cluster)
{
	world.sessions[FE1] = world.sessions[FE2] = world.sessions[FE_EAST] = 1000;
	cr_expect(strcmp(driver_of_fe("prod", 1, 0), "fe-1") == 0 ||
		  strcmp(driver_of_fe("prod", 1, 0), "fe-2") == 0);
	world_set_health(FE1, HEALTH_DOWN);
	world_set_health(FE2, HEALTH_DOWN);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-east");
	world_set_health(FE_EAST, HEALTH_DOWN);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "shared");
	world_set_health(SHARED, HEALTH_DOWN);
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "none");
	cr_expect_str_eq(driver_of_fe("dev", 1, 0), "fe-dev");
}

Test(router, home_region)
{
	world.conf.region = STR("east");
	cr_expect_str_eq(driver_of_fe("prod", 1, 0), "fe-east");
	world.conf.region = STR_NONE; /* no region of our own: the order of the configuration */
	cr_expect(driver_of_fe("prod", 1, 0)[3] != 'e');
}

Test(router, host_has_no_second_choice)
{
	struct identity who = {0};
	struct router_wish w = {.host = STR("fe.example.com"), .who = &who};
	struct router_choice c;
	struct router_refusal no;

	world_set_health(FE1, HEALTH_DOWN);
	world_set_health(FE2, HEALTH_DOWN);
	cr_assert_eq(world_pick(&w, 1, &c, &no), E_DENIED);
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

	while (arena_alloc(world.arena, 4096) != NULL)
		;
	cr_assert_eq(world_pick(&w, 1, &c, &no), E_DENIED);
	cr_expect_eq(no.code, GRPC_INVALID_ARGUMENT);
	cr_expect_str_eq(no.words, "refused");
}
