/*
 * The roll-out: lists, turns, and that nobody who is in falls out when the percentage grows.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "policy/rollout.h"
#include "t/unit/world.h"

TestSuite(rollout, .init = world_build, .fini = world_drop);

static struct str
team_name(unsigned i, char buf[16])
{
	snprintf(buf, 16, "team-%u", i);
	return str_from(buf);
}

Test(rollout, whoever_is_in_stays_in)
{
	char buf[16];

	for (unsigned i = 0; i < 2000; i++) {
		struct str team = team_name(i, buf);
		bool was_in = false;

		for (int percent = 0; percent <= 100; percent++) {
			bool in =
				rollout_admits(rollout_judge(&world.conf, percent, team, STR_NONE));

			cr_expect(in || !was_in, "%s fell out at %d", buf, percent);
			cr_expect_eq(in, (int)rollout_turn(team) < percent, "%s", buf);
			was_in = in;
		}
		cr_expect(was_in, "%s is out at 100", buf);
	}
}

Test(rollout, percentages_mean_something)
{
	char buf[16];

	for (int percent = 0; percent <= 100; percent += 10) {
		unsigned in = 0;

		for (unsigned i = 0; i < 10000; i++)
			in += rollout_admits(
				rollout_judge(&world.conf, percent, team_name(i, buf), STR_NONE));
		cr_expect(in + 200 > (unsigned)percent * 100 && in < (unsigned)percent * 100 + 200,
			  "%u of 10000 at %d", in, percent);
	}
}

/* The same on every gateway and in every version: other turns would let teams in and out. */
Test(rollout, turns_never_change)
{
	static const struct {
		const char *team;
		unsigned turn;
	} table[] = {{"fe", 26}, {"ml", 35}, {"feature-engineering", 73}, {"a", 29}, {"", 32}};

	for (size_t i = 0; i < WORLD_COUNT(table); i++)
		cr_expect_eq(rollout_turn(str_from(table[i].team)), table[i].turn, "%s: %u",
			     table[i].team, rollout_turn(str_from(table[i].team)));
}

static struct str one_team[] = {STR("ml"), STR("fe")};
static struct str one_user[] = {STR("ann"), STR("")};

/* one letter per list that names the one who asks: D deny user, d deny team, A allow user, a allow
 * team; at 0, 100 */
static const struct row {
	const char *lists;
	enum rollout_verdict at_none, at_all;
} table[] = {
	{"", ROLLOUT_NOT_YET, ROLLOUT_IN_TURN},
	{"a", ROLLOUT_TEAM_ALLOWED, ROLLOUT_TEAM_ALLOWED},
	{"A", ROLLOUT_USER_ALLOWED, ROLLOUT_USER_ALLOWED},
	{"Aa", ROLLOUT_USER_ALLOWED, ROLLOUT_USER_ALLOWED},
	{"d", ROLLOUT_TEAM_DENIED, ROLLOUT_TEAM_DENIED},
	{"D", ROLLOUT_USER_DENIED, ROLLOUT_USER_DENIED},
	{"Dd", ROLLOUT_USER_DENIED, ROLLOUT_USER_DENIED},
	{"da", ROLLOUT_TEAM_DENIED, ROLLOUT_TEAM_DENIED},
	{"dA", ROLLOUT_TEAM_DENIED, ROLLOUT_TEAM_DENIED},
	{"Da", ROLLOUT_USER_DENIED, ROLLOUT_USER_DENIED},
	{"DA", ROLLOUT_USER_DENIED, ROLLOUT_USER_DENIED},
	{"DdAa", ROLLOUT_USER_DENIED, ROLLOUT_USER_DENIED},
};

static void
set_lists(const char *lists)
{
	const struct conf_names none = {NULL, 0}, users = {one_user, 2}, teams = {one_team, 2};

	world.conf.rollout_deny_users = strchr(lists, 'D') != NULL ? users : none;
	world.conf.rollout_deny_teams = strchr(lists, 'd') != NULL ? teams : none;
	world.conf.rollout_allow_users = strchr(lists, 'A') != NULL ? users : none;
	world.conf.rollout_allow_teams = strchr(lists, 'a') != NULL ? teams : none;
}

Test(rollout, lists)
{
	for (size_t i = 0; i < WORLD_COUNT(table); i++) {
		const struct row *r = &table[i];

		set_lists(r->lists);
		cr_expect_eq(rollout_judge(&world.conf, 0, STR("fe"), STR("ann")), r->at_none,
			     "\"%s\" at 0", r->lists);
		cr_expect_eq(rollout_judge(&world.conf, 100, STR("fe"), STR("ann")), r->at_all,
			     "\"%s\" at 100", r->lists);
		/* none of them is about others, or about nobody */
		cr_expect_eq(rollout_judge(&world.conf, 0, STR("data"), STR("bob")),
			     ROLLOUT_NOT_YET, "\"%s\": another", r->lists);
		cr_expect_eq(rollout_judge(&world.conf, 100, STR("data"), STR_NONE),
			     ROLLOUT_IN_TURN, "\"%s\": nobody", r->lists);
	}
}

Test(rollout, percentage_that_counts)
{
	world.conf.rollout_percent = 30;
	cr_expect_eq(rollout_percent(&world.conf, ROLLOUT_CONFIGURED), 30);
	cr_expect_eq(rollout_percent(&world.conf, 0), 0);
	cr_expect_eq(rollout_percent(&world.conf, 70), 70);
	cr_expect_eq(rollout_percent(&world.conf, 1000), 100);
}

Test(rollout, words)
{
	cr_expect_str_eq(rollout_words(ROLLOUT_TEAM_DENIED, STR("fe"), world.arena),
			 "Spark Connect is not switched on for team \"fe\": please keep to your "
			 "present way of running Spark");
	cr_expect_str_eq(
		rollout_words(ROLLOUT_USER_DENIED, STR("fe"), world.arena),
		"Spark Connect is not switched on for you: please keep to your present way "
		"of running Spark");
	cr_expect_not_null(strstr(rollout_words(ROLLOUT_NOT_YET, STR("fe"), world.arena),
				  "the turn of team \"fe\" has not come yet"));
}
