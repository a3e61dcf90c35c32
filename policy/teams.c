/*
 * Teams: from groups and scopes to what is open. Any process; nothing here keeps anything.
 */
#include "lib/names.h"
#include "policy/teams.h"

static bool
listed(struct str name, const struct str *list, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (names_same(list[i], name))
			return true;
	return false;
}

static const struct conf_team *
find(const struct conf *conf, struct str name)
{
	for (unsigned i = 0; i < conf->teams_count; i++)
		if (names_same(conf->teams[i].name, name))
			return &conf->teams[i];
	return NULL;
}

/* ---- other names ---- */

static struct str
meant(const struct conf_alias *aliases, unsigned count, struct str asked)
{
	for (unsigned i = 0; asked.n > 0 && i < count; i++)
		if (listed(asked, aliases[i].aliases, aliases[i].aliases_count))
			return aliases[i].name;
	return asked;
}

struct str
teams_name(const struct conf *conf, struct str asked)
{
	return meant(conf->team_aliases, conf->team_aliases_count, asked);
}

struct str
teams_env(const struct conf *conf, struct str asked)
{
	return meant(conf->env_aliases, conf->env_aliases_count, asked);
}

/* ---- members ---- */

/* An empty scope is a scope: it fits no team. */
static bool
is_scoped(const struct identity *who)
{
	return who->team.p != NULL;
}

static const struct str *
shared_group(const struct conf_team *team, const struct identity *who)
{
	for (unsigned i = 0; team != NULL && i < team->groups_count; i++)
		if (listed(team->groups[i], who->groups, who->groups_count))
			return &team->groups[i];
	return NULL;
}

/* team: of the configuration, or NULL when only clusters know its name */
static bool
belongs(const struct conf_team *team, struct str name, const struct identity *who)
{
	if (!who->verified)
		return true;
	if (is_scoped(who))
		return str_eq(who->team, name);
	return shared_group(team, who) != NULL;
}

bool
teams_is_member(const struct conf *conf, const struct identity *who, struct str team)
{
	return belongs(find(conf, team), team, who);
}

struct str
teams_group(const struct conf *conf, const struct identity *who, struct str team)
{
	const struct str *group = shared_group(find(conf, team), who);

	return group != NULL ? *group : STR_NONE;
}

void
teams_own(const struct conf *conf, const struct identity *who, struct words_list *list)
{
	if (who->verified && is_scoped(who)) {
		words_add(list, who->team);
		return;
	}
	for (unsigned i = 0; i < conf->teams_count; i++)
		if (belongs(&conf->teams[i], conf->teams[i].name, who))
			words_add(list, conf->teams[i].name);
}

/* ---- judgements ---- */

static enum teams_verdict
judge(const struct conf_team *team, struct str name, const struct identity *who, struct str env)
{
	if (!belongs(team, name, who))
		return is_scoped(who) ? TEAMS_OTHER_SCOPE : TEAMS_NOT_MEMBER;
	if (team != NULL && team->envs_count > 0 && !listed(env, team->envs, team->envs_count))
		return TEAMS_ENV;
	if (who->verified && who->envs_count > 0 && !listed(env, who->envs, who->envs_count))
		return TEAMS_ENV_SCOPE;
	return TEAMS_ALLOWED;
}

static bool
keeps_to(const struct conf *conf, const struct conf_team *team, struct str region)
{
	if (team == NULL || team->regions_count == 0)
		return true;
	return listed(region.n > 0 ? region : conf->region, team->regions, team->regions_count);
}

enum teams_verdict
teams_judge(const struct conf *conf, const struct identity *who, struct str team, struct str env)
{
	return judge(find(conf, team), team, who, env);
}

bool
teams_keeps_to(const struct conf *conf, struct str team, struct str region)
{
	return keeps_to(conf, find(conf, team), region);
}

enum teams_verdict
teams_may_use(const struct conf *conf, const struct identity *who, struct str team, struct str env,
	      struct str region)
{
	const struct conf_team *of_conf = find(conf, team);
	enum teams_verdict v = judge(of_conf, team, who, env);

	return v == TEAMS_ALLOWED && !keeps_to(conf, of_conf, region) ? TEAMS_REGION : v;
}

/* ---- words ---- */

static const char *
list_text(const struct str *names, unsigned count, struct arena *arena)
{
	struct words_list list = {.count = 0};

	for (unsigned i = 0; i < count; i++)
		words_add(&list, names[i]);
	return words_text(&list, arena);
}

static const char *
own_text(const struct conf *conf, const struct identity *who, struct arena *arena)
{
	struct words_list list = {.count = 0};

	teams_own(conf, who, &list);
	return words_text(&list, arena);
}

const char *
teams_regions(const struct conf *conf, struct str team, struct arena *arena)
{
	const struct conf_team *t = find(conf, team);

	return t != NULL ? list_text(t->regions, t->regions_count, arena) : "none";
}

static const char *
region_words(const struct conf *conf, struct str team, struct str region, struct arena *arena)
{
	const char *regions = teams_regions(conf, team, arena);
	struct str real = region.n > 0 ? region : conf->region;

	if (real.n == 0)
		return arena_printf(arena,
				    "data of team \"%s\" may go to: %s; not to a cluster whose "
				    "region nobody states",
				    words_shown(team, arena), regions);
	return arena_printf(arena, "data of team \"%s\" may go to: %s; not to region \"%s\"",
			    words_shown(team, arena), regions, words_shown(real, arena));
}

const char *
teams_words(enum teams_verdict v, const struct conf *conf, const struct identity *who,
	    struct str team, struct str env, struct str region, struct arena *arena)
{
	const char *name = words_shown(team, arena);

	switch (v) {
	case TEAMS_ALLOWED: break;
	case TEAMS_NOT_MEMBER:
		return arena_printf(arena, "not a member of team \"%s\"; yours: %s", name,
				    own_text(conf, who, arena));
	case TEAMS_OTHER_SCOPE:
		return arena_printf(arena,
				    "these credentials are for team \"%s\" alone, not for team "
				    "\"%s\"",
				    words_shown(who->team, arena), name);
	case TEAMS_ENV:
		return arena_printf(arena, "team \"%s\" may not use env \"%s\"", name,
				    words_shown(env, arena));
	case TEAMS_ENV_SCOPE:
		return arena_printf(
			arena, "these credentials are for env %s alone, not for env \"%s\"",
			list_text(who->envs, who->envs_count, arena), words_shown(env, arena));
	case TEAMS_REGION: return region_words(conf, team, region, arena);
	}
	return "allowed";
}
