/*
 * Teams: their other names, who belongs to them, and which environments and regions are open to
 * whom. These rules are written here and nowhere else: the router asks for new sessions, still.h
 * for the new plans of running ones.
 *
 * Names in identities and in the configuration are the teams' own; their other names
 * (routing.team_aliases) are understood only in what clients ask for, by teams_name() and
 * teams_env().
 *
 * An identity that is not verified exists only where auth.required is false: it belongs to every
 * team, and no more is asked of it than of the team.
 *
 * Pure. A judgement allocates nothing and costs 60 to 150 ns with 50 teams and 20 groups, and grows
 * with both; words are made for refusals only.
 */
#pragma once
#include "conf/conf.h"
#include "policy/identity.h"
#include "policy/words.h"

/* The team or environment that is meant; what is nobody's other name stays as it is. */
struct str teams_name(const struct conf *, struct str asked);
struct str teams_env(const struct conf *, struct str asked);

enum teams_verdict {
	TEAMS_ALLOWED,
	TEAMS_NOT_MEMBER,
	TEAMS_OTHER_SCOPE, /* the credentials are for another team */
	TEAMS_ENV,	   /* not open to the team */
	TEAMS_ENV_SCOPE,   /* not open to the credentials */
	TEAMS_REGION,	   /* the team's data may not go there */
};

bool teams_is_member(const struct conf *, const struct identity *, struct str team);
/* The group that makes a verified identity a member; STR_NONE: none does. */
struct str teams_group(const struct conf *, const struct identity *, struct str team);
/* Adds the teams of the configuration that the identity belongs to. */
void teams_own(const struct conf *, const struct identity *, struct words_list *);

/* May the identity work for this team in this environment? */
enum teams_verdict teams_judge(const struct conf *, const struct identity *, struct str team,
			       struct str env);
/* May the team's data go to a cluster of this region? One that states none is where the gateway is;
 * a place that nobody states is not among those that a team lists. */
bool teams_keeps_to(const struct conf *, struct str team, struct str region);
/* Both questions at once. */
enum teams_verdict teams_may_use(const struct conf *, const struct identity *, struct str team,
				 struct str env, struct str region);
/* Why not, in one sentence; every such refusal is PERMISSION_DENIED. NULL: no memory. */
const char *teams_words(enum teams_verdict, const struct conf *, const struct identity *,
			struct str team, struct str env, struct str region, struct arena *);
/* "eu-west-1, eu-central-1": what the team lists. */
const char *teams_regions(const struct conf *, struct str team, struct arena *);
