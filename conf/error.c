/*
 * The list of errors: sorted by place, with a bound, so that a file full of nonsense stays cheap.
 */
#include "conf/error.h"

static unsigned
count(const struct conf_error *list)
{
	unsigned n = 0;

	for (; list != NULL; list = list->next)
		n++;
	return n;
}

bool
error_room(const struct conf_error *list)
{
	return count(list) <= ERROR_MAX;
}

static bool
before(const struct conf_error *a, const struct conf_error *b)
{
	return a->line != b->line ? a->line < b->line : a->column < b->column;
}

static void
insert(struct conf_error **list, struct conf_error *e)
{
	while (*list != NULL && !before(e, *list))
		list = &(*list)->next;
	e->next = *list;
	*list = e;
}

void
error_put(struct conf *c, struct conf_error **list, unsigned line, unsigned column, const char *key,
	  const char *fmt, va_list ap)
{
	unsigned n = count(*list);
	struct conf_error *e;

	if (!error_room(*list))
		return;
	e = arena_alloc(c->arena, sizeof(*e));
	if (e == NULL)
		return; /* the arena remembers; the load ends with E_NOMEM */
	if (n == ERROR_MAX) {
		*e = (struct conf_error){.key = "", .words = "more errors than are shown here"};
	} else {
		e->line = line;
		e->column = column;
		e->key = arena_copy(c->arena, key, strlen(key));
		e->words = arena_vprintf(c->arena, fmt, ap);
		if (e->key == NULL || e->words == NULL)
			return;
	}
	insert(list, e);
}
