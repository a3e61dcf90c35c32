/*
 * A small tree from libyaml's event API, with the line and column of every key and value.
 *
 * Refused with words and position: anchors, aliases, tags, keys that are no scalars, duplicate keys
 * (naming the first one's line), NUL bytes, depth above 16, more than 10,000 values, a second
 * document, more than 1 MiB, bad UTF-8, syntax. Reading goes no further than the first syntax
 * error; a duplicate key is noted and reading goes on.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "lib/arena.h"
#include "lib/str.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	unsigned line, column;	 /* from 1 */
	struct str text;	 /* scalars; NUL-terminated */
	bool quoted;		 /* scalars: 'x' or "x" */
	struct yaml_node *items; /* lists and maps: first child */
	struct yaml_node *next;	 /* next sibling */
	struct str key;		 /* in a map */
	unsigned key_line, key_column;
	bool used; /* for the loader: a key nobody asked for is an error */
};

struct yaml_error {
	unsigned line, column;
	const char *words; /* in the arena */
	struct yaml_error *next;
};

/* *ret_root is NULL for an empty document. On E_SYNTAX/E_LIMIT *ret_errors says what; both live in
 * the arena. */
int yaml_parse(struct arena *, struct str text, struct yaml_node **ret_root,
	       struct yaml_error **ret_errors) MUST_CHECK;
struct yaml_node *yaml_get(struct yaml_node *map,
			   const char *key); /* NULL when absent or not a map */
/* At most 60 bytes of a key or value, control bytes as '?', for the words of an error. "" when the
 * arena is full. */
const char *yaml_shown(struct arena *, struct str s);
