/*
 * Places of values, and errors that name them. The places are looked through only when something is
 * wrong.
 */
#include "conf/error.h"
#include "conf/loading.h"
#include "lib/panic.h"

struct loading_place {
	const void *base;
	const struct schema_row *row;
	int index;
	unsigned line, column;
	const char *key;
	struct loading_place *next;
};

void
loading_place(struct loading *l, const void *base, const struct schema_row *row, int index,
	      const struct yaml_node *node, const char *key)
{
	struct loading_place *p = arena_alloc(l->conf->arena, sizeof(*p));

	if (p == NULL)
		return;
	p->base = base;
	p->row = row;
	p->index = index;
	p->line = p->column = 1;
	if (node != NULL && node->kind != YAML_SCALAR && node->key_line > 0) {
		p->line = node->key_line; /* a block begins with its key */
		p->column = node->key_column;
	} else if (node != NULL) {
		p->line = node->line;
		p->column = node->column;
	}
	p->key = key;
	p->next = l->places;
	l->places = p;
}

void
loading_fail_at(struct loading *l, const struct yaml_node *node, const char *key, const char *fmt,
		...)
{
	va_list ap;

	va_start(ap, fmt);
	error_put(l->conf, &l->errors, node->line, node->column, key, fmt, ap);
	va_end(ap);
}

static const struct loading_place *
find(const struct loading *l, const void *base, const struct schema_row *row, int index)
{
	for (const struct loading_place *p = l->places; p != NULL; p = p->next)
		if (p->base == base && p->row == row && p->index == index)
			return p;
	return NULL;
}

/* The place of the innermost block that would have held the absent key, and the key's words below
 * it. */
static const struct loading_place *
find_block(const struct loading *l, const void *base, const char *path, const char **ret_rest)
{
	const struct loading_place *best = NULL;

	for (const struct loading_place *p = l->places; p != NULL; p = p->next) {
		const char *rest = p->base == base ? schema_below(p->row, path) : NULL;

		if (rest != NULL && (best == NULL || strlen(rest) < strlen(*ret_rest))) {
			best = p;
			*ret_rest = rest;
		}
	}
	return best;
}

void
loading_fail(struct loading *l, const void *base, const char *path, int index, const char *fmt, ...)
{
	const struct schema_row *row = schema_find(path);
	const struct loading_place *p;
	const char *key, *rest = "";
	va_list ap;

	ASSERT(row != NULL);
	if (!error_room(l->errors))
		return;
	p = find(l, base, row, index);
	if (p == NULL)
		p = find_block(l, base, path, &rest);
	if (p == NULL) { /* the arena was full when it should have been remembered */
		ASSERT(arena_failed(l->conf->arena));
		return;
	}
	key = arena_printf(l->conf->arena, "%s%s%s", p->key, p->key[0] && rest[0] ? "." : "", rest);
	if (key == NULL)
		return;
	va_start(ap, fmt);
	error_put(l->conf, &l->errors, p->line, p->column, key, fmt, ap);
	va_end(ap);
}

unsigned
loading_line(const struct loading *l, const void *base, const char *path, int index)
{
	const struct loading_place *p;

	if (!error_room(l->errors))
		return 0;
	p = find(l, base, schema_find(path), index);
	return p != NULL ? p->line : 0;
}

unsigned
loading_line_near(const struct loading *l, const void *base, const char *path, int index)
{
	unsigned line = loading_line(l, base, path, index);
	const struct loading_place *block;
	const char *rest;

	if (line > 0 || !error_room(l->errors))
		return line;
	block = find_block(l, base, path, &rest);
	return block != NULL ? block->line : 0;
}
