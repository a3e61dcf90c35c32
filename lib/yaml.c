/*
 * YAML text into a small tree. libyaml parses; this file takes its events one by one, so that what
 * we refuse is refused before it costs anything (libyaml itself has no limit of depth and takes
 * quadratic time in it). Any process; pure over bytes; everything handed out lives in the caller's
 * arena.
 */
#include <stdlib.h>
#include <yaml.h>
#include "lib/err.h"
#include "lib/panic.h"
#include "lib/yaml.h"

#define DEPTH_MAX  16
#define VALUES_MAX 10000
#define TEXT_MAX   ((size_t)1 << 20)
#define SHOWN_MAX  60 /* bytes of a key or value in an error */

/* A list or map that has begun and not yet ended. */
struct frame {
	struct yaml_node *node;
	struct yaml_node **tail; /* where the next child goes */
	size_t children;
	bool has_key; /* in a map: the key was read, its value comes next */
	struct str key;
	yaml_mark_t key_mark;
};

struct reading {
	struct arena *arena;
	struct frame stack[DEPTH_MAX];
	unsigned depth;
	struct yaml_node *root;
	unsigned documents, values;
	struct yaml_error *errors, **errors_tail;
	bool done;
	int err; /* sticky; E_SYNTAX from a duplicate key does not end the reading */
};

const char *
yaml_shown(struct arena *arena, struct str s)
{
	size_t n = s.n < SHOWN_MAX ? s.n : SHOWN_MAX;
	char *copy;

	while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--; /* not in the middle of a character */
	copy = arena_alloc(arena, n + sizeof("..."));
	if (copy == NULL)
		return "";
	for (size_t i = 0; i < n; i++)
		copy[i] = (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i];
	if (n < s.n)
		memcpy(copy + n, "...", 3);
	return copy;
}

static void
note(struct reading *r, size_t line, size_t column, const char *words)
{
	struct yaml_error *e = arena_alloc(r->arena, sizeof(*e));

	if (e == NULL || words == NULL) {
		r->err = E_NOMEM;
		return;
	}
	*e = (struct yaml_error){(unsigned)line, (unsigned)column, words, NULL};
	*r->errors_tail = e;
	r->errors_tail = &e->next;
}

/* The error that ends the reading. */
static void
fail(struct reading *r, int err, yaml_mark_t mark, const char *words)
{
	r->err = err;
	r->done = true;
	note(r, mark.line + 1, mark.column + 1, words);
}

/* libyaml gives no line for a byte that is no UTF-8, only its offset. */
static yaml_mark_t
mark_of_offset(struct str text, size_t offset)
{
	yaml_mark_t mark = {.index = offset};

	for (size_t i = 0; i < offset && i < text.n; i++) {
		mark.column++;
		if (text.p[i] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

static void
fail_syntax(struct reading *r, const yaml_parser_t *parser, struct str text)
{
	const char *words = parser->problem ? parser->problem : "not understood";
	yaml_mark_t mark = parser->problem_mark;

	if (parser->error == YAML_MEMORY_ERROR) {
		r->err = E_NOMEM;
		return;
	}
	if (parser->error == YAML_READER_ERROR)
		mark = mark_of_offset(text, parser->problem_offset);
	if (parser->context != NULL)
		words = arena_printf(r->arena, "%s (%s)", words, parser->context);
	else
		words = arena_copy(r->arena, words, strlen(words));
	fail(r, E_SYNTAX, mark, words);
}

/* Puts a new value where the reading stands: into the open list or map, or as the root. */
static struct yaml_node *
attach(struct reading *r, enum yaml_kind kind, yaml_mark_t mark)
{
	struct frame *f = r->depth > 0 ? &r->stack[r->depth - 1] : NULL;
	struct yaml_node *node;

	if (++r->values > VALUES_MAX) {
		fail(r, E_LIMIT, mark, "more than 10000 values");
		return NULL;
	}
	node = arena_alloc(r->arena, sizeof(*node));
	if (node == NULL) {
		r->err = E_NOMEM;
		r->done = true;
		return NULL;
	}
	node->kind = kind;
	node->line = (unsigned)mark.line + 1;
	node->column = (unsigned)mark.column + 1;
	if (f == NULL) {
		r->root = node;
		return node;
	}
	if (f->has_key) {
		node->key = f->key;
		node->key_line = (unsigned)f->key_mark.line + 1;
		node->key_column = (unsigned)f->key_mark.column + 1;
		f->has_key = false;
	}
	*f->tail = node;
	f->tail = &node->next;
	f->children++;
	return node;
}

static bool
wants_key(const struct reading *r)
{
	const struct frame *f = r->depth > 0 ? &r->stack[r->depth - 1] : NULL;

	return f != NULL && f->node->kind == YAML_MAP && !f->has_key;
}

static void
take_scalar(struct reading *r, const yaml_event_t *event)
{
	const char *p = (const char *)event->data.scalar.value;
	size_t n = event->data.scalar.length;
	struct str text = arena_str(r->arena, (struct str){p, n});
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	struct yaml_node *node;
	struct frame *f;

	if (memchr(p, '\0', n) != NULL) {
		fail(r, E_SYNTAX, event->start_mark, "a NUL byte in a value");
	} else if (plain && !event->data.scalar.plain_implicit) {
		fail(r, E_SYNTAX, event->start_mark, "tags are not allowed");
	} else if (wants_key(r)) {
		f = &r->stack[r->depth - 1];
		f->has_key = true;
		f->key = text;
		f->key_mark = event->start_mark;
	} else if ((node = attach(r, YAML_SCALAR, event->start_mark)) != NULL) {
		node->text = text;
		node->quoted = !plain;
	}
}

static void
take_start(struct reading *r, const yaml_event_t *event, enum yaml_kind kind)
{
	struct yaml_node *node;

	if (wants_key(r)) {
		fail(r, E_SYNTAX, event->start_mark, "a key must be a single word");
		return;
	}
	if (r->depth == DEPTH_MAX) {
		fail(r, E_LIMIT, event->start_mark, "nested more than 16 deep");
		return;
	}
	node = attach(r, kind, event->start_mark);
	if (node != NULL)
		r->stack[r->depth++] = (struct frame){.node = node, .tail = &node->items};
}

static int
compare_keys(const void *a, const void *b)
{
	const struct yaml_node *x = *(struct yaml_node *const *)a,
			       *y = *(struct yaml_node *const *)b;
	int order;

	if (x->key.n != y->key.n)
		return x->key.n < y->key.n ? -1 : 1;
	order = memcmp(x->key.p, y->key.p, x->key.n);
	if (order != 0)
		return order;
	if (x->key_line != y->key_line)
		return x->key_line < y->key_line ? -1 : 1;
	return (x->key_column > y->key_column) - (x->key_column < y->key_column);
}

/* Sorted rather than compared pairwise, so that a map of thousands of keys costs little. */
static void
note_duplicates(struct reading *r, const struct frame *f)
{
	struct yaml_node **sorted = arena_array(r->arena, f->children, sizeof(struct yaml_node *));
	const struct yaml_node *first, *node;

	if (sorted == NULL) {
		r->err = E_NOMEM;
		return;
	}
	for (size_t i = 0; i < f->children; i++)
		sorted[i] = i == 0 ? f->node->items : sorted[i - 1]->next;
	qsort(sorted, f->children, sizeof(struct yaml_node *), compare_keys);
	first = sorted[0];
	for (size_t i = 1; i < f->children; i++) {
		node = sorted[i];
		if (!str_eq(first->key, node->key)) {
			first = node;
			continue;
		}
		r->err = E_SYNTAX;
		note(r, node->key_line, node->key_column,
		     arena_printf(r->arena, "duplicate key '%s' (first at line %u)",
				  yaml_shown(r->arena, node->key), first->key_line));
	}
}

static void
take_end(struct reading *r)
{
	struct frame *f = &r->stack[--r->depth];

	if (f->node->kind == YAML_MAP && f->children > 1)
		note_duplicates(r, f);
}

static void
take(struct reading *r, const yaml_event_t *event)
{
	const void *anchor = NULL, *tag = NULL;

	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (anchor != NULL) {
		fail(r, E_SYNTAX, event->start_mark, "anchors are not allowed");
		return;
	}
	if (tag != NULL) {
		fail(r, E_SYNTAX, event->start_mark, "tags are not allowed");
		return;
	}
	switch (event->type) {
	case YAML_SCALAR_EVENT: take_scalar(r, event); break;
	case YAML_SEQUENCE_START_EVENT: take_start(r, event, YAML_LIST); break;
	case YAML_MAPPING_START_EVENT: take_start(r, event, YAML_MAP); break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT: take_end(r); break;
	case YAML_ALIAS_EVENT:
		fail(r, E_SYNTAX, event->start_mark, "aliases are not allowed");
		break;
	case YAML_DOCUMENT_START_EVENT:
		if (++r->documents > 1)
			fail(r, E_SYNTAX, event->start_mark, "a second document is not allowed");
		break;
	case YAML_STREAM_END_EVENT: r->done = true; break;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT: break;
	}
}

/* Some editors begin a file with a byte order mark. libyaml skips it, but takes it for a character
 * of the first line, whose key is then further in than all others. */
static struct str
without_bom(struct str text)
{
	return str_starts(text, STR("\xef\xbb\xbf")) ? (struct str){text.p + 3, text.n - 3} : text;
}

int
yaml_parse(struct arena *arena, struct str text, struct yaml_node **ret_root,
	   struct yaml_error **ret_errors)
{
	struct reading r = {.arena = arena};
	yaml_parser_t parser;
	yaml_event_t event;

	r.errors_tail = &r.errors;
	text = without_bom(text);
	if (text.n > TEXT_MAX) {
		fail(&r, E_LIMIT, (yaml_mark_t){0}, "larger than 1 MiB");
		goto out;
	}
	if (!yaml_parser_initialize(&parser))
		return E_NOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)(text.n > 0 ? text.p : ""),
				     text.n);
	while (!r.done && !arena_failed(arena)) {
		if (!yaml_parser_parse(&parser, &event)) {
			fail_syntax(&r, &parser, text);
			break;
		}
		take(&r, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
out:
	if (arena_failed(arena))
		r.err = E_NOMEM;
	*ret_errors = r.errors;
	if (r.err == 0)
		*ret_root = r.root;
	return r.err;
}

struct yaml_node *
yaml_get(struct yaml_node *map, const char *key)
{
	struct str wanted = str_from(key);

	if (map == NULL || map->kind != YAML_MAP)
		return NULL;
	for (struct yaml_node *n = map->items; n != NULL; n = n->next)
		if (str_eq(n->key, wanted))
			return n;
	return NULL;
}
