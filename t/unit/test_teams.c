/*
 * Teams: other names, members, scopes, environments and regions.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "policy/teams.h"
#include "t/unit/world.h"

TestSuite(teams, .init = world_build, .fini = world_drop);

/* ---- other names ---- */

static const char *const names_table[][2] = {
	{"fe", "fe"},		{"features", "fe"},
	{"feature-eng", "fe"},	{"Features", "Features"},
	{"feature", "feature"}, {"machine-learning", "ml"},
	{"ml", "ml"},		{"live", "live"},
};
static const char *const envs_table[][2] = {
	{"prod", "prod"}, {"production", "prod"}, {"live", "prod"}, {"features", "features"}};

Test(teams, other_names)
{
	for (size_t i = 0; i < WORLD_COUNT(names_table); i++)
		cr_expect(str_eq(teams_name(&world.conf, str_from(names_table[i][0])),
				 str_from(names_table[i][1])),
			  "%s", names_table[i][0]);
	for (size_t i = 0; i < WORLD_COUNT(envs_table); i++)
		cr_expect(str_eq(teams_env(&world.conf, str_from(envs_table[i][0])),
				 str_from(envs_table[i][1])),
			  "%s", envs_table[i][0]);
	cr_expect_null(teams_name(&world.conf, STR_NONE).p);
	cr_expect_eq(teams_env(&world.conf, STR("")).n, 0);
}

/* One step only, so that there is nothing to go round in. */
Test(teams, other_names_make_no_chain)
{
	static struct str to_b[] = {STR("a")}, to_a[] = {STR("b")};
	static struct conf_alias ring[] = {{STR("b"), to_b, 1}, {STR("a"), to_a, 1}};

	world.conf.team_aliases = ring;
	cr_expect(str_eq(teams_name(&world.conf, STR("a")), STR("b")));
	cr_expect(str_eq(teams_name(&world.conf, STR("b")), STR("a")));
}

/* ---- judgements ---- */

static struct str of_fe[] = {STR("other"), STR("eng-features")};
static struct str of_ml[] = {STR("ml")};
static struct str near_fe[] = {STR("eng-feature"), STR("eng-features2"), STR("ENG-FEATURES"),
			       STR("")};
static struct str in_dev[] = {STR("dev")};
static struct str in_staging[] = {STR("staging")};

static const struct identity nobody = {.verified = false};
/* what is said of one who was not verified counts for nothing */
static const struct identity pretender = {
	.verified = false, .team = STR("ml"), .envs = in_dev, .envs_count = 1};
static const struct identity fe = {.verified = true, .groups = of_fe, .groups_count = 2};
static const struct identity ml = {.verified = true, .groups = of_ml, .groups_count = 1};
static const struct identity almost = {.verified = true, .groups = near_fe, .groups_count = 4};
static const struct identity to_fe = {.verified = true, .team = STR("fe")};
static const struct identity to_data = {.verified = true, .team = STR("data")};
static const struct identity to_empty = {
	.verified = true, .team = STR(""), .groups = of_fe, .groups_count = 2};
static const struct identity fe_to_ml = {
	.verified = true, .team = STR("ml"), .groups = of_fe, .groups_count = 2};
static const struct identity fe_dev = {
	.verified = true, .groups = of_fe, .groups_count = 2, .envs = in_dev, .envs_count = 1};
static const struct identity fe_staging = {
	.verified = true, .team = STR("fe"), .envs = in_staging, .envs_count = 1};

static const struct judge_row {
	const struct identity *who;
	const char *team, *env;
	enum teams_verdict wanted;
} judge_table[] = {
	{&nobody, "fe", "prod", TEAMS_ALLOWED},
	{&nobody, "fe", "staging", TEAMS_ENV},
	{&nobody, "ml", "staging", TEAMS_ALLOWED}, /* lists no environments */
	{&nobody, "data", "x", TEAMS_ALLOWED},
	{&pretender, "fe", "prod", TEAMS_ALLOWED},
	{&fe, "fe", "prod", TEAMS_ALLOWED},
	{&fe, "fe", "qa", TEAMS_ALLOWED},
	{&fe, "fe", "staging", TEAMS_ENV},
	{&fe, "fe", "production", TEAMS_ENV}, /* names, not other names */
	{&fe, "fe", "", TEAMS_ENV},
	{&fe, "features", "prod", TEAMS_NOT_MEMBER},
	{&fe, "FE", "prod", TEAMS_NOT_MEMBER},
	{&fe, "ml", "prod", TEAMS_NOT_MEMBER},
	{&fe, "data", "prod", TEAMS_NOT_MEMBER},
	{&fe, "", "prod", TEAMS_NOT_MEMBER},
	{&ml, "ml", "whatever", TEAMS_ALLOWED},
	{&ml, "fe", "staging", TEAMS_NOT_MEMBER}, /* the first thing that is wrong */
	{&almost, "fe", "prod", TEAMS_NOT_MEMBER},
	{&to_fe, "fe", "prod", TEAMS_ALLOWED},
	{&to_fe, "fe", "staging", TEAMS_ENV},
	{&to_fe, "ml", "prod", TEAMS_OTHER_SCOPE},
	{&to_data, "data", "prod", TEAMS_ALLOWED}, /* of clusters alone */
	{&to_data, "fe", "prod", TEAMS_OTHER_SCOPE},
	{&to_empty, "fe", "prod", TEAMS_OTHER_SCOPE},
	{&fe_to_ml, "ml", "prod", TEAMS_ALLOWED},
	{&fe_to_ml, "fe", "prod", TEAMS_OTHER_SCOPE},
	{&fe_dev, "fe", "dev", TEAMS_ALLOWED},
	{&fe_dev, "fe", "prod", TEAMS_ENV_SCOPE},
	{&fe_dev, "fe", "staging", TEAMS_ENV},
	{&fe_staging, "fe", "staging", TEAMS_ENV}, /* a scope adds nothing to the team */
	{&fe_staging, "fe", "dev", TEAMS_ENV_SCOPE},
};

Test(teams, judgements)
{
	for (size_t i = 0; i < WORLD_COUNT(judge_table); i++) {
		const struct judge_row *r = &judge_table[i];
		struct str team = str_from(r->team), env = str_from(r->env);
		enum teams_verdict v = teams_judge(&world.conf, r->who, team, env);

		cr_expect_eq(v, r->wanted, "row %zu: %d, team %s, env %s", i, v, r->team, r->env);
		cr_expect_eq(teams_is_member(&world.conf, r->who, team),
			     v != TEAMS_NOT_MEMBER && v != TEAMS_OTHER_SCOPE, "row %zu", i);
	}
}

Test(teams, group_that_counts)
{
	cr_expect(str_eq(teams_group(&world.conf, &fe, STR("fe")), STR("eng-features")));
	cr_expect_null(teams_group(&world.conf, &fe, STR("ml")).p);
	cr_expect_null(teams_group(&world.conf, &nobody, STR("fe")).p);
	cr_expect_null(teams_group(&world.conf, &fe, STR("data")).p);
}

/* Names of every length that differ in one byte, wherever it is. */
Test(teams, near_names)
{
	char group[41], other[41];

	for (size_t n = 1; n < sizeof group; n++) {
		struct str listed = {group, n}, claimed = {other, n};
		struct identity who = {.verified = true, .groups = &claimed, .groups_count = 1};

		memset(group, 'g', n);
		memset(other, 'g', n);
		world.teams[T_FE].groups = &listed;
		world.teams[T_FE].groups_count = 1;
		cr_expect(teams_is_member(&world.conf, &who, STR("fe")), "%zu bytes", n);
		for (size_t i = 0; i < n; i++) {
			other[i] = 'h';
			cr_expect_not(teams_is_member(&world.conf, &who, STR("fe")),
				      "%zu bytes, other at %zu", n, i);
			other[i] = 'g';
		}
		claimed.n = n - 1;
		cr_expect_not(teams_is_member(&world.conf, &who, STR("fe")), "%zu bytes, less", n);
	}
}

/* A team that no longer lists a group, or is gone, has lost its members. */
Test(teams, members_are_lost)
{
	world.teams[T_FE].groups_count = 0;
	cr_expect_not(teams_is_member(&world.conf, &fe, STR("fe")));
	cr_expect(teams_is_member(&world.conf, &to_fe, STR("fe")));
	world.conf.teams_count = 0;
	cr_expect_not(teams_is_member(&world.conf, &ml, STR("ml")));
}

static const struct own_row {
	const struct identity *who;
	const char *wanted;
} own_table[] = {
	{&nobody, "fe, ml, audit"},
	{&pretender, "fe, ml, audit"},
	{&fe, "fe"},
	{&almost, "none"},
	{&to_fe, "fe"},
	{&to_data, "data"},
	{&fe_to_ml, "ml"},
	{&fe_dev, "fe"},
};

Test(teams, own)
{
	for (size_t i = 0; i < WORLD_COUNT(own_table); i++) {
		struct words_list list = {.count = 0};

		teams_own(&world.conf, own_table[i].who, &list);
		cr_expect_str_eq(words_text(&list, world.arena), own_table[i].wanted);
	}
}

/* ---- regions ---- */

static struct str to_europe[] = {STR("eu-west-1"), STR("eu-central-1")};
static struct str to_west[] = {STR("west")};

static const struct region_row {
	struct str *regions;
	unsigned count;
	const char *home, *of_cluster; /* NULL: nobody states it */
	bool wanted;
} region_table[] = {
	{NULL, 0, "west", "east", true}, /* no list: everywhere */
	{NULL, 0, NULL, NULL, true},
	{to_europe, 2, "eu-west-1", "eu-west-1", true},
	{to_europe, 2, "west", "eu-central-1", true},
	{to_europe, 2, "eu-west-1", "west", false},
	{to_europe, 2, "west", "eu-west-10", false},
	{to_europe, 2, "west", "EU-WEST-1", false},
	{to_europe, 2, "eu-west-1", NULL, true}, /* where the gateway is */
	{to_europe, 2, "west", NULL, false},
	{to_europe, 2, NULL, NULL, false}, /* nobody knows where it is */
	{to_europe, 2, NULL, "eu-west-1", true},
	{to_west, 1, "east", "west", true},
};

Test(teams, regions)
{
	for (size_t i = 0; i < WORLD_COUNT(region_table); i++) {
		const struct region_row *r = &region_table[i];
		struct str region = str_from(r->of_cluster);

		world.teams[T_FE].regions = r->regions;
		world.teams[T_FE].regions_count = r->count;
		world.conf.region = str_from(r->home);
		cr_expect_eq(teams_keeps_to(&world.conf, STR("fe"), region), r->wanted, "row %zu",
			     i);
		cr_expect_eq(teams_may_use(&world.conf, &fe, STR("fe"), STR("prod"), region),
			     r->wanted ? TEAMS_ALLOWED : TEAMS_REGION, "row %zu", i);
		cr_expect_eq(teams_may_use(&world.conf, &nobody, STR("fe"), STR("prod"), region),
			     r->wanted ? TEAMS_ALLOWED : TEAMS_REGION, "row %zu", i);
		cr_expect_eq(teams_may_use(&world.conf, &ml, STR("fe"), STR("prod"), region),
			     TEAMS_NOT_MEMBER, "row %zu", i);
		cr_expect(teams_keeps_to(&world.conf, STR("ml"), region), "another team's");
		cr_expect(teams_keeps_to(&world.conf, STR("data"), region), "no team's");
	}
}

/* ---- words ---- */

static void
expect_words(enum teams_verdict v, const struct identity *who, const char *team, const char *env,
	     const char *region, const char *wanted)
{
	cr_expect_str_eq(teams_words(v, &world.conf, who, str_from(team), str_from(env),
				     str_from(region), world.arena),
			 wanted);
}

Test(teams, words)
{
	expect_words(TEAMS_NOT_MEMBER, &fe, "ml", "prod", NULL,
		     "not a member of team \"ml\"; yours: fe");
	expect_words(TEAMS_OTHER_SCOPE, &fe_to_ml, "fe", "prod", NULL,
		     "these credentials are for team \"ml\" alone, not for team \"fe\"");
	expect_words(TEAMS_ENV, &fe, "fe", "staging", NULL,
		     "team \"fe\" may not use env \"staging\"");
	expect_words(TEAMS_ENV_SCOPE, &fe_dev, "fe", "prod", NULL,
		     "these credentials are for env dev alone, not for env \"prod\"");
	world.teams[T_FE].regions = to_europe;
	world.teams[T_FE].regions_count = 2;
	expect_words(TEAMS_REGION, &fe, "fe", "prod", "east",
		     "data of team \"fe\" may go to: eu-west-1, eu-central-1; not to region "
		     "\"east\"");
	expect_words(TEAMS_REGION, &fe, "fe", "prod", NULL,
		     "data of team \"fe\" may go to: eu-west-1, eu-central-1; not to region "
		     "\"west\"");
}

/* A list for a person, not a dump of the configuration. */
Test(teams, words_about_many_teams)
{
	static struct conf_team many[100];
	static char names[100][8];
	const char *words;

	for (unsigned i = 0; i < 100; i++) {
		snprintf(names[i], sizeof names[i], "t%02u", i);
		many[i] = (struct conf_team){
			.name = str_from(names[i]), .groups = of_fe, .groups_count = 2};
	}
	world.conf.teams = many;
	world.conf.teams_count = 100;
	words = teams_words(TEAMS_NOT_MEMBER, &world.conf, &fe, STR("x"), STR("prod"), STR_NONE,
			    world.arena);
	cr_expect(strstr(words, "t19, ...") != NULL && strstr(words, "t20") == NULL, "%s", words);
}
