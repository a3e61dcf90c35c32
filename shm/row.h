/*
 * Rows of the store that are JSON: their members read into plain types, and printed from them.
 *
 * What is handed out lives in the given arena; memory that runs out shows in arena_failed().
 */
#pragma once
#include <jansson.h>
#include <stdint.h>
#include "lib/arena.h"
#include "lib/str.h"

json_t *row_load(struct str json); /* an object, to be given back by json_decref(); NULL: no row */
/* STR_NONE: no such member, or it is something else. */
struct str row_str(struct arena *, const json_t *, const char *name);
/* E_SYNTAX: no such member, or not a number between. */
int row_u64(const json_t *, const char *name, uint64_t least, uint64_t most,
	    uint64_t *ret) MUST_CHECK;
/* The texts of a list; what is none is passed over. */
struct str *row_list(struct arena *, const json_t *, const char *name, unsigned *ret_count);

/* NULL: not UTF-8, or out of memory; json_pack() with "o" then is NULL too. */
json_t *row_of_str(struct str);
json_t *row_of_list(const struct str *items, unsigned count);
/* Canonical: equal objects give equal text. Gives the object back. STR_NONE: it is NULL, or the
 * arena's ceiling. */
struct str row_print(struct arena *, json_t *);
