/*
 * What `GET /v1/sessions` is asked for: filters, the size of the page, and the row it starts after.
 * Pure.
 *
 * The cursor is the last row's key in hexadecimal: 16 bytes of session id, then the user's bytes.
 * It stays good when that row has gone meanwhile.
 */
#pragma once
#include <stdbool.h>
#include "lib/str.h"
#include "shm/sessions.h"

#define QUERY_LIMIT  1000 /* rows of a page: the most, and the default */
#define QUERY_CURSOR (2 * (16 + SESSION_USER_MAX) + 1)

struct query {
	struct str user, team; /* STR_NONE: any */
	unsigned limit;
	bool has_after;
	struct session_key after; /* its user points into user_bytes */
	char user_bytes[SESSION_USER_MAX];
};

/* `get` answers the decoded value of a key of the query string, or STR_NONE; its bytes must outlive
 * *ret. E_SYNTAX with constant words for the asker. */
int query_parse(struct str (*get)(void *arg, const char *key), void *arg, struct query *ret,
		const char **ret_words) MUST_CHECK;
bool query_wants(const struct query *, struct str user, struct str team);
const char *query_cursor(const struct session_key *, char buf[QUERY_CURSOR]); /* returns buf */
