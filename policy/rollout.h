/*
 * The roll-out of Spark Connect: which teams' turn has come. New sessions ask; running ones are
 * left alone.
 *
 * A deny list beats an allow list, and both beat the percentage. Each team has a turn from 0 to 99,
 * made from its name alone, and is in when the percentage is above it: the same on every gateway,
 * and whoever is in at some percentage is in at every higher one.
 *
 * Pure. Users are the verified ones; STR_NONE when nobody was verified.
 */
#pragma once
#include "conf/conf.h"

#define ROLLOUT_CONFIGURED (-1) /* no percentage was set live: the configuration's counts */

enum rollout_verdict { /* those who are in come first */
	ROLLOUT_USER_ALLOWED,
	ROLLOUT_TEAM_ALLOWED,
	ROLLOUT_IN_TURN,
	ROLLOUT_USER_DENIED,
	ROLLOUT_TEAM_DENIED,
	ROLLOUT_NOT_YET,
};

/* live: the percentage set by `sparkgwctl rollout set`, or ROLLOUT_CONFIGURED */
enum rollout_verdict rollout_judge(const struct conf *, int live, struct str team, struct str user);
static inline bool
rollout_admits(enum rollout_verdict v)
{
	return v <= ROLLOUT_IN_TURN;
}
int rollout_percent(const struct conf *, int live); /* that counts: 0 to 100 */
unsigned rollout_turn(struct str team);		    /* 0 to 99 */
/* One friendly sentence for those who are out; its status is PERMISSION_DENIED, which no client
 * tries again. NULL: no memory. */
const char *rollout_words(enum rollout_verdict, struct str team, struct arena *);
