/*
 * Twins are found by sorting, so that a file of ten thousand names stays cheap.
 */
#include <stdlib.h>
#include "conf/names.h"

struct names
names_new(struct loading *l, size_t max)
{
	return (struct names){arena_array(l->conf->arena, max, sizeof(struct named)), 0};
}

void
names_add(struct names *names, struct str name, const void *base, int index)
{
	if (names->list == NULL || name.p == NULL)
		return;
	names->list[names->count] = (struct named){name, base, index, names->count};
	names->count++;
}

static int
compare(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order;

	if (x->name.n != y->name.n)
		return x->name.n < y->name.n ? -1 : 1;
	order = memcmp(x->name.p, y->name.p, x->name.n);
	return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

void
names_refuse_twins(struct loading *l, struct names *names, const char *path)
{
	const struct named *first;

	if (names->count < 2)
		return;
	qsort(names->list, names->count, sizeof(*names->list), compare);
	first = &names->list[0];
	for (unsigned i = 1; i < names->count; i++) {
		const struct named *n = &names->list[i];

		if (!str_eq(first->name, n->name))
			first = n;
		else
			loading_fail(l, n->base, path, n->index,
				     "'%.*s' is used twice (first at line %u)", STR_ARG(n->name),
				     loading_line_near(l, first->base, path, first->index));
	}
}

static bool
is_team(const struct conf *c, struct str name)
{
	for (unsigned i = 0; i < c->teams_count; i++)
		if (str_eq(c->teams[i].name, name))
			return true;
	return false;
}

void
names_check_team(struct loading *l, struct str team, const void *base, const char *path, int index)
{
	if (team.p != NULL && l->conf->teams_count > 0 && !is_team(l->conf, team))
		loading_fail(l, base, path, index, "'%.*s' is not listed under teams",
			     STR_ARG(team));
}
