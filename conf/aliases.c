/*
 * A word is either a real name, which teams and clusters bear, or an alias of one name; so that no
 * alias hides a team from those who call it by its name, and none leads to another alias.
 */
#include "conf/aliases.h"
#include "conf/names.h"

struct kind {
	const char *what, *name_path, *aliases_path;
	const struct conf_alias *list;
	unsigned count;
	bool (*is_real)(const struct conf *, struct str name);
};

static bool
listed(struct str name, const struct str *list, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (str_eq(list[i], name))
			return true;
	return false;
}

static bool
is_team(const struct conf *c, struct str name)
{
	for (unsigned i = 0; i < c->teams_count; i++)
		if (str_eq(c->teams[i].name, name))
			return true;
	for (unsigned i = 0; i < c->clusters_count; i++)
		if (str_eq(c->clusters[i].team, name) ||
		    listed(name, c->clusters[i].teams, c->clusters[i].teams_count))
			return true;
	return false;
}

static bool
is_env(const struct conf *c, struct str name)
{
	if (str_eq(c->default_env, name))
		return true;
	for (unsigned i = 0; i < c->teams_count; i++)
		if (listed(name, c->teams[i].envs, c->teams[i].envs_count))
			return true;
	for (unsigned i = 0; i < c->clusters_count; i++)
		if (str_eq(c->clusters[i].env, name))
			return true;
	return false;
}

static bool
is_named(const struct kind *k, struct str name)
{
	for (unsigned i = 0; i < k->count; i++)
		if (str_eq(k->list[i].name, name))
			return true;
	return false;
}

static void
check_words(struct loading *l, const struct kind *k, const struct conf_alias *a)
{
	if (a->aliases_count == 0 && loading_line(l, a, k->aliases_path, -1) > 0)
		loading_fail(l, a, k->aliases_path, -1, "needs at least one word");
	for (unsigned i = 0; i < a->aliases_count; i++) {
		struct str word = a->aliases[i];

		if (word.p == NULL || str_eq(word, a->name))
			continue;
		if (k->is_real(l->conf, word) || is_named(k, word))
			loading_fail(l, a, k->aliases_path, (int)i,
				     "'%.*s' is the name of another %s", STR_ARG(word), k->what);
	}
}

static void
check_kind(struct loading *l, const struct kind *k)
{
	struct names names = names_new(l, k->count), words;
	size_t count = 0;

	for (unsigned i = 0; i < k->count; i++)
		count += k->list[i].aliases_count;
	words = names_new(l, count);
	for (unsigned i = 0; i < k->count; i++) {
		const struct conf_alias *a = &k->list[i];

		names_add(&names, a->name, a, -1);
		for (unsigned n = 0; n < a->aliases_count; n++)
			names_add(&words, a->aliases[n], a, (int)n);
		check_words(l, k, a);
	}
	names_refuse_twins(l, &names, k->name_path);
	names_refuse_twins(l, &words, k->aliases_path);
}

void
aliases_check(struct loading *l)
{
	const struct conf *c = l->conf;
	const struct kind teams = {
		"team",		 "routing.team_aliases[].name", "routing.team_aliases[].aliases",
		c->team_aliases, c->team_aliases_count,		is_team};
	const struct kind envs = {
		"environment",	"routing.env_aliases[].name", "routing.env_aliases[].aliases",
		c->env_aliases, c->env_aliases_count,	      is_env};

	check_kind(l, &teams);
	check_kind(l, &envs);
	for (unsigned i = 0; i < teams.count; i++)
		names_check_team(l, teams.list[i].name, &teams.list[i], teams.name_path, -1);
}
