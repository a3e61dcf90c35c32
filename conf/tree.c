/*
 * Walks schema and file side by side. The schema decides where a value goes; what it does not know
 * is an error, with the nearest key as advice.
 */
#include "conf/error.h"
#include "conf/tree.h"
#include "conf/value.h"

struct block {
	const struct schema_row *row; /* NULL: the file */
	struct yaml_node *node;	      /* NULL: absent, only defaults */
	void *base;		      /* the struct of its keys */
	const char *key;
};

static void fill_block(struct loading *, const struct block *);

static void *
field(void *base, size_t at)
{
	return (char *)base + at;
}

static const char *
join(struct loading *l, const char *key, const char *leaf)
{
	const char *joined = arena_printf(l->conf->arena, "%s%s%s", key, key[0] ? "." : "", leaf);

	return joined != NULL ? joined : "";
}

static const char *
numbered(struct loading *l, const char *key, unsigned i)
{
	const char *joined = arena_printf(l->conf->arena, "%s[%u]", key, i);

	return joined != NULL ? joined : "";
}

/* `key:` with nothing behind it, as when all that follows is commented out. */
static bool
is_nothing(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && !node->quoted && node->text.n == 0;
}

static unsigned
count_items(const struct yaml_node *list)
{
	unsigned n = 0;

	for (const struct yaml_node *item = list->items; item != NULL; item = item->next)
		n++;
	return n;
}

/* The default as a node, so that it takes the way of every other value. */
static struct yaml_node *
fallback(struct loading *l, const struct schema_row *row)
{
	struct str rest = str_from(row->fallback);
	struct yaml_node *node = arena_alloc(l->conf->arena, sizeof(*node)), **tail, *item;

	if (node == NULL)
		return NULL;
	node->text = rest;
	if (row->type != SCHEMA_STRS)
		return node;
	node->kind = YAML_LIST;
	tail = &node->items;
	rest = (struct str){rest.p + 1, rest.n - 2}; /* without the brackets */
	while (rest.p != NULL && (item = arena_alloc(l->conf->arena, sizeof(*item))) != NULL) {
		item->text = str_trim(str_cut(rest, ',', &rest));
		*tail = item;
		tail = &item->next;
	}
	return node;
}

static void
fill_map(struct loading *l, const struct block *outer, const struct schema_row *row,
	 struct yaml_node *node, const char *key)
{
	struct block inner = {row, node, field(outer->base, row->at), key};

	if (node == NULL && row->has_at != SCHEMA_NOWHERE)
		return;
	if (row->has_at != SCHEMA_NOWHERE)
		*(bool *)field(outer->base, row->has_at) = true;
	if (node != NULL && row->line_at != SCHEMA_NOWHERE)
		*(unsigned *)field(inner.base, row->line_at) = node->key_line;
	if (node != NULL && inner.base != outer->base)
		loading_place(l, inner.base, row, -1, node, key);
	fill_block(l, &inner);
}

static void
fill_list(struct loading *l, const struct block *outer, const struct schema_row *row,
	  struct yaml_node *node, const char *key)
{
	unsigned count, i = 0;
	struct block inner = {.row = row};
	char *elements;

	if (is_nothing(node))
		return;
	if (node->kind != YAML_LIST) {
		loading_fail_at(l, node, key, "must be a list; begin each item with '- '");
		return;
	}
	count = count_items(node);
	elements = arena_array(l->conf->arena, count, row->size);
	if (elements == NULL)
		return;
	*(void **)field(outer->base, row->at) = elements;
	*(unsigned *)field(outer->base, row->count_at) = count;
	for (inner.node = node->items; inner.node; inner.node = inner.node->next, i++) {
		inner.base = elements + i * row->size;
		inner.key = numbered(l, key, i);
		if (row->line_at != SCHEMA_NOWHERE)
			*(unsigned *)field(inner.base, row->line_at) = inner.node->line;
		loading_place(l, inner.base, row, -1, inner.node, inner.key);
		fill_block(l, &inner);
	}
}

static void
fill_strs(struct loading *l, const struct block *outer, const struct schema_row *row,
	  struct yaml_node *node, const char *key)
{
	unsigned count, i = 0;
	struct str *strs;

	if (is_nothing(node))
		return;
	if (node->kind != YAML_LIST) {
		loading_fail_at(l, node, key, "must be a list, such as [a, b]");
		return;
	}
	count = count_items(node);
	strs = arena_array(l->conf->arena, count, sizeof(*strs));
	if (strs == NULL)
		return;
	*(struct str **)field(outer->base, row->at) = strs;
	*(unsigned *)field(outer->base, row->count_at) = count;
	for (const struct yaml_node *item = node->items; item; item = item->next, i++) {
		const char *item_key = numbered(l, key, i);

		loading_place(l, outer->base, row, (int)i, item, item_key);
		value_set(l, row, row->item, item, item_key, &strs[i]);
	}
}

/* What the block says that it is, for a row that only some types have. STR_NONE: nothing that is
 * known, so that nothing can be said about the row. */
static struct str
type_of(const struct block *b, const struct schema_row *row)
{
	const struct schema_row *type = schema_type_row(row);
	const struct yaml_node *node = yaml_get(b->node, schema_leaf(type));

	return node != NULL && schema_word(type->words, node->text) >= 0 ? node->text : STR_NONE;
}

static void
refuse_misplaced(struct loading *l, const struct schema_row *row, struct yaml_node *node,
		 const char *key, struct str type)
{
	const struct yaml_node at = {.line = node->key_line, .column = node->key_column};
	struct str second, first = str_cut(str_from(row->types), ' ', &second);

	node->used = true;
	loading_fail_at(l, &at, key, "is only for type %.*s%s%.*s, not for %.*s", STR_ARG(first),
			second.p != NULL ? " or " : "", STR_ARG(second), STR_ARG(type));
}

static void
refuse_missing(struct loading *l, const struct block *b, const struct schema_row *row,
	       struct str type)
{
	if (row->types == NULL)
		loading_fail(l, b->base, row->path, -1, "is missing: %s", row->help);
	else if (type.p != NULL)
		loading_fail(l, b->base, row->path, -1, "is missing, and type %.*s needs it: %s",
			     STR_ARG(type), row->help);
}

static void
fill_row(struct loading *l, const struct block *b, const struct schema_row *row)
{
	struct yaml_node *node = yaml_get(b->node, schema_leaf(row));
	struct str type = row->types != NULL ? type_of(b, row) : STR_NONE;
	const char *key = join(l, b->key, schema_leaf(row));

	if (type.p != NULL && schema_word(row->types, type) < 0) {
		if (node != NULL)
			refuse_misplaced(l, row, node, key, type);
		return;
	}
	if (node != NULL) {
		node->used = true;
		loading_place(l, b->base, row, -1, node, key);
	} else if (row->required) {
		refuse_missing(l, b, row, type);
		return;
	} else if (row->fallback != NULL) {
		node = fallback(l, row);
	}
	if (row->type == SCHEMA_MAP)
		fill_map(l, b, row, node, key);
	else if (node == NULL)
		return;
	else if (row->type == SCHEMA_LIST)
		fill_list(l, b, row, node, key);
	else if (row->type == SCHEMA_STRS)
		fill_strs(l, b, row, node, key);
	else
		value_set(l, row, row->type, node, key, field(b->base, row->at));
}

static void
refuse_unknown(struct loading *l, const struct block *b, const struct yaml_node *node)
{
	const struct yaml_node at = {.line = node->key_line, .column = node->key_column};
	const char *shown, *nearest;

	if (!error_room(l->errors))
		return;
	shown = join(l, b->key, yaml_shown(l->conf->arena, node->key));
	nearest = schema_nearest(b->row, node->key);
	if (nearest != NULL)
		loading_fail_at(l, &at, shown, "unknown key; did you mean '%s'?", nearest);
	else
		loading_fail_at(l, &at, shown, "unknown key");
}

static void
fill_block(struct loading *l, const struct block *b)
{
	const struct schema_row *row;

	if (b->node != NULL && b->node->kind != YAML_MAP && !is_nothing(b->node)) {
		loading_fail_at(l, b->node, b->key, "must be a block of keys");
		return;
	}
	for (row = schema_next(b->row, NULL); row != NULL; row = schema_next(b->row, row))
		fill_row(l, b, row);
	for (struct yaml_node *n = b->node ? b->node->items : NULL; n != NULL; n = n->next)
		if (!n->used)
			refuse_unknown(l, b, n);
}

void
tree_fill(struct loading *l, struct yaml_node *root)
{
	const struct block file = {NULL, root, l->conf, ""};

	loading_place(l, l->conf, NULL, -1, NULL, "");
	fill_block(l, &file);
}
