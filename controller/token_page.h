/*
 * The tokens that the gateway gave out, a page at a time: a bounded number of rows in each read
 * transaction and in each answer.
 */
#pragma once
#include "controller/view.h"
#include "shm/tokens.h"

#define TOKEN_PAGE_LIMIT 500 /* rows of a page: the most, and the default */

struct token_query {
	struct str user, team; /* STR_NONE: any */
	bool all;	       /* also those that are over */
	bool has_after;
	unsigned limit;
	uint8_t after[TOKEN_DIGEST];
};

/* Of a query string, as query_parse(): user, team, all=1, limit, after. E_SYNTAX with constant
 * words for the asker. */
int token_query_parse(struct str (*get)(void *arg, const char *key), void *arg,
		      struct token_query *ret, const char **ret_words) MUST_CHECK;

/* {"now_ms":..., "rows":[...], "next":"cursor" or null}. A page may be short and still not be the
 * last. E_STATE: no store yet; else what it answered. */
int token_page(const struct view *, const struct token_query *, json_t **ret) MUST_CHECK;
