/*
 * The roll-out by team and user. Any process.
 */
#include "lib/hash.h"
#include "policy/rollout.h"
#include "policy/words.h"

#define TURNS 100
#define SEED  0x726f6c6c6f757431u /* another value would deal the turns anew */

static bool
listed(struct str name, const struct conf_names *list)
{
	for (unsigned i = 0; name.n > 0 && i < list->count; i++)
		if (str_eq(list->names[i], name))
			return true;
	return false;
}

unsigned
rollout_turn(struct str team)
{
	return (unsigned)(hash_stable(team.p, team.n, SEED) % TURNS);
}

int
rollout_percent(const struct conf *conf, int live)
{
	int percent = live >= 0 ? live : (int)conf->rollout_percent;

	return percent > TURNS ? TURNS : percent;
}

enum rollout_verdict
rollout_judge(const struct conf *conf, int live, struct str team, struct str user)
{
	if (listed(user, &conf->rollout_deny_users))
		return ROLLOUT_USER_DENIED;
	if (listed(team, &conf->rollout_deny_teams))
		return ROLLOUT_TEAM_DENIED;
	if (listed(user, &conf->rollout_allow_users))
		return ROLLOUT_USER_ALLOWED;
	if (listed(team, &conf->rollout_allow_teams))
		return ROLLOUT_TEAM_ALLOWED;
	return (int)rollout_turn(team) < rollout_percent(conf, live) ? ROLLOUT_IN_TURN
								     : ROLLOUT_NOT_YET;
}

const char *
rollout_words(enum rollout_verdict v, struct str team, struct arena *arena)
{
	switch (v) {
	case ROLLOUT_USER_ALLOWED:
	case ROLLOUT_TEAM_ALLOWED:
	case ROLLOUT_IN_TURN: break;
	case ROLLOUT_USER_DENIED:
		return "Spark Connect is not switched on for you: please keep to your present way "
		       "of running Spark";
	case ROLLOUT_TEAM_DENIED:
		return arena_printf(arena,
				    "Spark Connect is not switched on for team \"%s\": please keep "
				    "to your present way of running Spark",
				    words_shown(team, arena));
	case ROLLOUT_NOT_YET:
		return arena_printf(
			arena,
			"Spark Connect is being rolled out team by team, and the turn of team "
			"\"%s\" has not come yet: please keep to your present way of running "
			"Spark until then",
			words_shown(team, arena));
	}
	return "admitted";
}
