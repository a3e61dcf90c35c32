/*
 * Running sessions under rules that change below them.
 */
#include <criterion/criterion.h>
#include <string.h>
#include "policy/still.h"
#include "t/unit/world.h"

TestSuite(still, .init = world_build, .fini = world_drop);

static struct str of_fe[] = {STR("eng-all")};
static struct str of_ml[] = {STR("ml")};
static struct str in_dev[] = {STR("dev")};
static struct str to_east[] = {STR("east")};
static const struct identity nobody = {.verified = false};
static const struct identity fe = {.verified = true, .groups = of_fe, .groups_count = 1};
static const struct identity ml = {.verified = true, .groups = of_ml, .groups_count = 1};
static const struct identity to_fe_dev = {
	.verified = true, .team = STR("fe"), .envs = in_dev, .envs_count = 1};

/* wanted: the refusal; NULL: allowed */
static void
expect(const struct identity *who, const char *team, unsigned cluster, const char *wanted)
{
	const char *words = "allowed";
	int rc = still_allowed(&world.conf, who, str_from(team), &world.clusters[cluster],
			       world.arena, &words);

	cr_expect_eq(rc, wanted != NULL ? E_DENIED : 0, "team %s, cluster %u: %s", team, cluster,
		     words);
	cr_expect_str_eq(words, wanted != NULL ? wanted : "allowed");
}

Test(still, nothing_has_changed)
{
	expect(&fe, "fe", C_FE_PROD, NULL);
	expect(&fe, "fe", C_FE_DEV, NULL);
	expect(&fe, "fe", C_FE_EAST, NULL);
	expect(&fe, "fe", C_SHARED, NULL);
	expect(&ml, "ml", C_SHARED, NULL);
	expect(&ml, "ml", C_ML_DEV, NULL);
	expect(&nobody, "fe", C_FE_PROD, NULL);
	expect(&nobody, "data", C_SOLO, NULL);
	expect(&to_fe_dev, "fe", C_FE_DEV, NULL);
}

Test(still, another_person)
{
	expect(&ml, "fe", C_FE_PROD, "not a member of team \"fe\"; yours: ml");
	expect(&to_fe_dev, "fe", C_FE_PROD,
	       "these credentials are for env dev alone, not for env \"prod\"");
	expect(&to_fe_dev, "ml", C_ML_DEV,
	       "these credentials are for team \"fe\" alone, not for team \"ml\"");
}

Test(still, out_of_the_team)
{
	world.teams[T_FE].groups_count = 1; /* eng-features stays */
	expect(&fe, "fe", C_FE_PROD, "not a member of team \"fe\"; yours: none");
	world.conf.teams_count = 0;
	expect(&ml, "ml", C_ML_DEV, "not a member of team \"ml\"; yours: none");
	expect(&nobody, "fe", C_FE_PROD, NULL);
}

Test(still, env_taken_away)
{
	world.teams[T_FE].envs_count = 1; /* dev */
	expect(&fe, "fe", C_FE_DEV, NULL);
	expect(&fe, "fe", C_FE_PROD, "team \"fe\" may not use env \"prod\"");
	expect(&nobody, "fe", C_FE_PROD, "team \"fe\" may not use env \"prod\"");
}

/* What the cluster is now counts. */
Test(still, another_env_of_the_cluster)
{
	world.clusters[C_FE_DEV].env = STR("staging");
	expect(&fe, "fe", C_FE_DEV, "team \"fe\" may not use env \"staging\"");
	world.clusters[C_FE_DEV].env = STR("qa");
	expect(&fe, "fe", C_FE_DEV, NULL);
	expect(&to_fe_dev, "fe", C_FE_DEV,
	       "these credentials are for env dev alone, not for env \"qa\"");
}

Test(still, region_taken_away)
{
	world.teams[T_FE].regions = to_east;
	world.teams[T_FE].regions_count = 1;
	expect(&fe, "fe", C_FE_EAST, NULL);
	expect(&fe, "fe", C_FE_PROD, "data of team \"fe\" may go to: east; not to region \"west\"");
	expect(&fe, "fe", C_FE_DEV, "data of team \"fe\" may go to: east; not to region \"west\"");
	expect(&ml, "ml", C_SHARED, NULL);
}

Test(still, cluster_given_to_others)
{
	world.clusters[C_FE_PROD].team = STR("ml");
	expect(&fe, "fe", C_FE_PROD, "cluster \"fe-prod\" does not serve team \"fe\" any more");
	expect(&nobody, "fe", C_FE_PROD, "cluster \"fe-prod\" does not serve team \"fe\" any more");
	world.clusters[C_SHARED].teams_count = 1; /* fe stays */
	expect(&fe, "fe", C_SHARED, NULL);
	expect(&ml, "ml", C_SHARED, "cluster \"shared\" does not serve team \"ml\" any more");
}

/* A team that got another name keeps its sessions when the old one is an alias of the new. */
Test(still, team_renamed)
{
	static struct str was[] = {STR("fe")};
	static struct conf_alias aliases[] = {{STR("features"), was, 1}};

	world.teams[T_FE].name = STR("features");
	world.clusters[C_FE_PROD].team = STR("features");
	expect(&fe, "fe", C_FE_PROD, "not a member of team \"fe\"; yours: features");
	world.conf.team_aliases = aliases;
	world.conf.team_aliases_count = 1;
	expect(&fe, "fe", C_FE_PROD, NULL);
	expect(&ml, "fe", C_FE_PROD, "not a member of team \"features\"; yours: ml");
	expect(&fe, "fe", C_FE_EAST,
	       "cluster \"fe-east\" does not serve team \"features\" any more");
}

/* The roll-out is about new sessions. */
Test(still, rollout_is_not_asked)
{
	static struct str denied[] = {STR("fe")};

	world.conf.rollout_percent = 0;
	world.conf.rollout_deny_teams = (struct conf_names){denied, 1};
	expect(&fe, "fe", C_FE_PROD, NULL);
}

Test(still, no_memory_for_words)
{
	const char *words = NULL;

	while (arena_alloc(world.arena, 4096) != NULL)
		;
	cr_expect_eq(still_allowed(&world.conf, &ml, STR("fe"), &world.clusters[C_FE_PROD],
				   world.arena, &words),
		     E_DENIED);
	cr_expect_str_eq(words, "refused");
}
