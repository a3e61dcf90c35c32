/*
 * What the router says: refusals in full, and the sentences of a trace.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "policy/words.h"
#include "t/unit/world.h"

TestSuite(router_words, .init = world_build, .fini = world_drop);

static struct str fe_groups[] = {STR("eng-all")};
static struct str both_groups[] = {STR("ml"), STR("eng-all")};
static struct str to_east[] = {STR("east")};
static struct str in_dev[] = {STR("dev")};
static struct str user_1[] = {STR("u1")};
static const struct identity nobody = {.verified = false};
static const struct identity fe = {.verified = true,
				   .user = STR("u1"),
				   .provider = STR("okta"),
				   .groups = fe_groups,
				   .groups_count = 1};
static const struct identity both = {
	.verified = true, .user = STR("u2"), .groups = both_groups, .groups_count = 2};
static const struct identity none = {.verified = true, .user = STR("u3")};
static const struct identity fe_dev = {
	.verified = true, .user = STR("ci"), .team = STR("fe"), .envs = in_dev, .envs_count = 1};
static const struct identity lost = {.verified = true, .user = STR("ci"), .team = STR("gone")};
static const struct identity late = {
	.verified = true, .expired = true, .user = STR("u1"), .team = STR("fe")};

/* ---- refusals ---- */

struct refusal_row {
	const struct identity *who;
	struct router_wish wish;
	enum grpc_code code;
	const char *words;
};

static const struct refusal_row refusals[] = {
	{&fe,
	 {.sni = STR("fe.example.com"), .host = STR("x.dev.example.com")},
	 GRPC_INVALID_ARGUMENT,
	 "the TLS handshake asks for host \"fe.example.com\" of cluster \"fe-prod\", but "
	 ":authority for host \"x.dev.example.com\" of cluster \"fe-dev\": both must mean the same "
	 "cluster"},
	{&fe,
	 {.sni = STR("fe.example.com"), .env = STR("dev")},
	 GRPC_INVALID_ARGUMENT,
	 "host \"fe.example.com\" belongs to cluster \"fe-prod\" of env \"prod\", but the request "
	 "asks for env \"dev\""},
	{&both,
	 {.host = STR("shared.example.com"), .team = STR("data")},
	 GRPC_INVALID_ARGUMENT,
	 "host \"shared.example.com\" belongs to cluster \"shared\", which does not serve team "
	 "\"data\"; of yours it serves: fe, ml"},
	{&fe,
	 {.host = STR("ml.dev.example.com"), .team = STR("fe")},
	 GRPC_INVALID_ARGUMENT,
	 "host \"ml.dev.example.com\" belongs to cluster \"ml-dev\", which does not serve team "
	 "\"fe\"; of yours it serves: none"},
	{&both,
	 {.host = STR("shared.example.com")},
	 GRPC_INVALID_ARGUMENT,
	 "cluster \"shared\" is shared and no team given: set the header x-team to one of: fe, ml"},
	{&none,
	 {.host = STR("shared.example.com")},
	 GRPC_PERMISSION_DENIED,
	 "none of your teams may use cluster \"shared\"; yours: none"},
	{&none,
	 {.env = STR("dev")},
	 GRPC_INVALID_ARGUMENT,
	 "no team given, and you belong to none: ask for a group that one of the gateway's teams "
	 "lists"},
	{&both,
	 {.env = STR("dev")},
	 GRPC_INVALID_ARGUMENT,
	 "no team given: set the header x-team to one of: fe, ml"},
	{&both, {.team = STR("xyz")}, GRPC_INVALID_ARGUMENT, "unknown team \"xyz\"; yours: fe, ml"},
	{&both,
	 {.team = STR("x\r\ny\x80")},
	 GRPC_INVALID_ARGUMENT,
	 "unknown team \"x??y?\"; yours: fe, ml"},
	{&lost,
	 {.env = STR("dev")},
	 GRPC_INVALID_ARGUMENT,
	 "these credentials are for team \"gone\", which this gateway does not know"},
	{&fe,
	 {.team = STR("machine-learning")},
	 GRPC_PERMISSION_DENIED,
	 "not a member of team \"ml\"; yours: fe"},
	{&fe_dev,
	 {.team = STR("ml")},
	 GRPC_PERMISSION_DENIED,
	 "these credentials are for team \"fe\" alone, not for team \"ml\""},
	{&fe,
	 {.env = STR("staging")},
	 GRPC_PERMISSION_DENIED,
	 "team \"fe\" may not use env \"staging\"; ask for one of: prod, dev"},
	{&fe_dev,
	 {.env = STR("live")},
	 GRPC_PERMISSION_DENIED,
	 "these credentials are for env dev alone, not for env \"prod\"; ask for one of: dev"},
	{&fe,
	 {.env = STR("qa")},
	 GRPC_INVALID_ARGUMENT,
	 "team \"fe\" has no cluster for env \"qa\"; ask for one of: prod, dev"},
	{&fe,
	 {.team = STR("fe"), .config_team = STR("machine-learning")},
	 GRPC_INVALID_ARGUMENT,
	 "the team header and the team of the Config call differ: \"fe\" and \"ml\""},
	{&fe,
	 {.env = STR("live"), .config_env = STR("dev")},
	 GRPC_INVALID_ARGUMENT,
	 "the env header and the env of the Config call differ: \"prod\" and \"dev\""},
	{&late, {.team = STR("fe")}, GRPC_UNAUTHENTICATED, "token expired"},
};

static void
expect_words(const struct identity *who, struct router_wish w, enum grpc_code code,
	     const char *words)
{
	struct router_choice c;
	struct router_refusal no;

	w.who = who;
	cr_expect_eq(world_pick(&w, 1, &c, &no), E_DENIED, "%s", words);
	cr_expect_eq(no.code, code, "%d: %s", no.code, words);
	cr_expect_str_eq(no.words != NULL ? no.words : "", words);
	arena_reset(world.arena);
}

Test(router_words, refusals)
{
	for (size_t i = 0; i < WORLD_COUNT(refusals); i++)
		expect_words(refusals[i].who, refusals[i].wish, refusals[i].code,
			     refusals[i].words);
}

Test(router_words, refusals_for_regions)
{
	world.teams[T_FE].regions = to_east;
	world.teams[T_FE].regions_count = 1;
	expect_words(&fe, (struct router_wish){.env = STR("dev")}, GRPC_PERMISSION_DENIED,
		     "data of team \"fe\" may go to: east; all clusters of env \"dev\" are "
		     "elsewhere; ask for one of: prod");
	expect_words(&fe, (struct router_wish){.host = STR("fe.example.com")},
		     GRPC_PERMISSION_DENIED,
		     "data of team \"fe\" may go to: east; not to region \"west\"");
	expect_words(&fe, (struct router_wish){.host = STR("a.dev.example.com")},
		     GRPC_PERMISSION_DENIED,
		     "data of team \"fe\" may go to: east; not to region \"west\"");
	world_set_health(FE_EAST, HEALTH_DOWN); /* trouble that passes is no matter of regions */
	expect_words(&fe, (struct router_wish){.team = STR("fe")}, GRPC_UNAVAILABLE,
		     "no healthy driver for team \"fe\", env \"prod\"");
	world.conf.region = STR_NONE;
	expect_words(&fe, (struct router_wish){.host = STR("a.dev.example.com")},
		     GRPC_PERMISSION_DENIED,
		     "data of team \"fe\" may go to: east; not to a cluster whose region nobody "
		     "states");
}

Test(router_words, refusals_of_the_rollout)
{
	struct router_wish w = {.team = STR("fe")};

	world.view.rollout = 0;
	expect_words(&fe, w, GRPC_PERMISSION_DENIED,
		     "Spark Connect is being rolled out team by team, and the turn of team \"fe\" "
		     "has not come yet: please keep to your present way of running Spark until "
		     "then");
	expect_words(&none, w, GRPC_PERMISSION_DENIED, "not a member of team \"fe\"; yours: none");
	world.view.rollout = 100;
	world.conf.rollout_deny_users = (struct conf_names){user_1, 1};
	expect_words(&fe, w, GRPC_PERMISSION_DENIED,
		     "Spark Connect is not switched on for you: please keep to your present way of "
		     "running Spark");
}

/* What one calls oneself opens nothing. */
Test(router_words, rollout_by_verified_users_only)
{
	struct identity who = {.verified = false, .user = STR("u1")};
	struct router_wish w = {.team = STR("fe"), .who = &who};
	struct router_choice c;
	struct router_refusal no;

	world.view.rollout = 0;
	world.conf.rollout_allow_users = (struct conf_names){user_1, 1};
	cr_expect_eq(world_pick(&w, 1, &c, &no), E_DENIED);
	who.verified = true;
	who.team = STR("fe");
	cr_expect_eq(world_pick(&w, 1, &c, &no), 0);
}

/* The percentage set live counts, else the configuration's. */
Test(router_words, live_percentage)
{
	struct router_wish w = {.team = STR("fe"), .who = &fe};
	struct router_choice c;
	struct router_refusal no;

	world.conf.rollout_percent = 0;
	cr_expect_eq(world_pick(&w, 1, &c, &no), E_DENIED);
	world.view.rollout = 100;
	cr_expect_eq(world_pick(&w, 1, &c, &no), 0);
	world.conf.rollout_percent = 100;
	world.view.rollout = 0;
	cr_expect_eq(world_pick(&w, 1, &c, &no), E_DENIED);
}

/* A client cannot make a refusal of a long value as long as the value. */
Test(router_words, long_values)
{
	static char long_team[5000];
	struct router_wish w = {.team = {long_team, sizeof long_team}, .who = &fe};
	struct router_choice c;
	struct router_refusal no;

	memset(long_team, 'x', sizeof long_team);
	cr_assert_eq(world_pick(&w, 1, &c, &no), E_DENIED);
	cr_expect_eq(strlen(no.words), strlen("unknown team \"\"; yours: fe") + WORDS_SHOWN);
}

/* ---- traces ---- */

static void
expect_trace(const struct identity *who, struct router_wish w, const char *const *lines)
{
	struct router_trace trace = {.arena = world.arena};
	struct router_choice c;
	struct router_refusal no;
	unsigned i = 0;

	w.who = who;
	w.trace = &trace;
	(void)!world_pick(&w, 1, &c, &no);
	for (; lines[i] != NULL; i++)
		cr_expect_str_eq(i < trace.count ? trace.lines[i] : "(nothing)", lines[i]);
	cr_expect_eq(trace.count, i, "and then: %s", i < trace.count ? trace.lines[i] : "");
	arena_reset(world.arena);
}

Test(router_words, trace_of_a_team)
{
	static const char *const lines[] = {
		"who: \"u1\" by provider okta; teams: fe",
		"host: \"gateway.example.com\" of :authority is listed by no cluster",
		"team: \"fe\" from the header x-team or x-group, where it is called \"features\"",
		"env: \"prod\" from routing.default_env",
		"member: by the group \"eng-all\"",
		"rollout: at 100 percent, and the team's turn was at 27",
		"cluster: \"fe-prod\", because it is the team's own",
		"driver: \"fe-1\" is passed over: it is down",
		"driver: \"fe-2\" is passed over: it is being drained",
		"cluster: \"fe-prod\" is given up: no driver takes sessions",
		"cluster: \"fe-east\", because it is the team's own, in another region",
		"driver: \"fe-east\" of cluster \"fe-east\", the only one that takes sessions",
		NULL};

	world_set_health(FE1, HEALTH_DOWN);
	world.drivers[FE2].draining = true;
	expect_trace(
		&fe,
		(struct router_wish){.team = STR("features"), .host = STR("gateway.example.com")},
		lines);
}

Test(router_words, trace_of_a_host)
{
	static const char *const lines[] = {
		"who: \"ci\"; teams, limited by the credentials: fe; envs, limited by the "
		"credentials: dev",
		"host: \"a.dev.example.com\" of the TLS handshake is listed by cluster \"fe-dev\"",
		"team: \"fe\", which owns cluster \"fe-dev\"",
		"env: \"dev\", which is that of cluster \"fe-dev\"",
		"member: the credentials are for this team",
		"rollout: the team is on a list of those allowed",
		"cluster: \"fe-dev\", because it lists host \"a.dev.example.com\"",
		"driver: \"fe-dev\" of cluster \"fe-dev\", the only one that takes sessions",
		NULL};
	static struct str allowed[] = {STR("fe")};

	world.conf.rollout_allow_teams = (struct conf_names){allowed, 1};
	expect_trace(&fe_dev, (struct router_wish){.sni = STR("a.dev.example.com")}, lines);
}

Test(router_words, trace_of_a_choice)
{
	static const char *const lines[] = {
		"who: nobody was verified, so every team is open",
		"team: \"fe\" from the session's first Config call",
		"env: \"prod\" from the header x-env or x-environment, where it is called \"live\"",
		"member: as everybody is where nobody must be verified",
		"rollout: at 100 percent, and the team's turn was at 27",
		"cluster: \"fe-east\" is passed over: the team's data may not go to region "
		"\"east\"",
		"cluster: \"fe-prod\", because it is the team's own",
		"driver: \"fe-2\" of cluster \"fe-prod\", of 2 the one with the fewest sessions "
		"per "
		"weight: 6/2",
		NULL};
	static struct str to_west[] = {STR("west")};

	world.teams[T_FE].regions = to_west;
	world.teams[T_FE].regions_count = 1;
	world.sessions[FE1] = 4;
	world.sessions[FE2] = 6;
	world.drivers[FE2].weight = 2;
	expect_trace(&nobody, (struct router_wish){.config_team = STR("fe"), .env = STR("live")},
		     lines);
}

Test(router_words, trace_of_a_refusal)
{
	static const char *const lines[] = {"who: \"u1\" by provider okta; teams: fe",
					    "team: \"fe\", which is your only one",
					    "env: \"qa\" from the header x-env or x-environment",
					    "member: by the group \"eng-all\"",
					    "rollout: at 100 percent, and the team's turn was at "
					    "27",
					    "refused: team \"fe\" has no cluster for env \"qa\"; "
					    "ask for one of: prod, dev",
					    NULL};

	expect_trace(&fe, (struct router_wish){.env = STR("qa")}, lines);
}

Test(router_words, trace_of_a_tie)
{
	struct router_trace trace = {.arena = world.arena};
	struct router_wish w = {.host = STR("fe.example.com"), .who = &fe, .trace = &trace};
	struct router_choice c;
	struct router_refusal no;

	world.sessions[FE1] = world.sessions[FE2] = 3;
	cr_assert_eq(world_pick(&w, 1, &c, &no), 0);
	cr_expect(strstr(trace.lines[trace.count - 1],
			 "fewest sessions per weight: 3/1; the session's key decided a tie") !=
			  NULL,
		  "%s", trace.lines[trace.count - 1]);
}

/* However much is passed over, the decisions have room. */
Test(router_words, trace_is_bounded)
{
	static struct registry_driver many[200];
	struct router_trace trace = {.arena = world.arena};
	struct router_wish w = {.team = STR("fe"), .who = &fe, .trace = &trace};
	struct router_choice c;
	struct router_refusal no;

	for (unsigned i = 0; i < 200; i++)
		many[i] = (struct registry_driver){
			.id = 1000 + i, .name = STR("many"), .weight = 1, .draining = true};
	world.clusters[C_FE_PROD].drivers = many;
	world.clusters[C_FE_PROD].drivers_count = 200;
	cr_assert_eq(world_pick(&w, 1, &c, &no), 0);
	cr_expect_leq(trace.count, ROUTER_TRACE_MAX);
	cr_expect_geq(trace.left_out, 150);
	cr_expect_str_eq(trace.lines[trace.count - 1],
			 "driver: \"fe-east\" of cluster \"fe-east\", the only one that takes "
			 "sessions");
}
