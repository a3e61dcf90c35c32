/*
 * The query string of `GET /v1/sessions`, in the controller: text in, struct query out.
 */
#include "controller/query.h"

#include <string.h>
#include "lib/panic.h"

static int
parse_nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Exactly what query_cursor() writes; an id without a user is no key of the table. */
static int
parse_after(struct str text, struct query *q)
{
	uint8_t bytes[16 + SESSION_USER_MAX];
	size_t n = text.n / 2;

	if (text.n % 2 != 0 || n <= 16 || n > sizeof(bytes))
		return E_SYNTAX;
	for (size_t i = 0; i < n; i++) {
		int high = parse_nibble(text.p[2 * i]), low = parse_nibble(text.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return E_SYNTAX;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(q->after.id, bytes, 16);
	memcpy(q->user_bytes, bytes + 16, n - 16);
	q->after.user = (struct str){q->user_bytes, n - 16};
	q->has_after = true;
	return 0;
}

static int
parse_limit(struct str text, unsigned *ret)
{
	uint64_t limit;

	if (str_u64(text, QUERY_LIMIT, &limit) != 0 || limit == 0)
		return E_SYNTAX;
	*ret = (unsigned)limit;
	return 0;
}

int
query_parse(struct str (*get)(void *arg, const char *key), void *arg, struct query *ret,
	    const char **ret_words)
{
	struct str limit = get(arg, "limit"), after = get(arg, "after");

	*ret = (struct query){
		.user = get(arg, "user"), .team = get(arg, "team"), .limit = QUERY_LIMIT};
	if (ret->user.p != NULL && (ret->user.n == 0 || ret->user.n > SESSION_USER_MAX)) {
		*ret_words = "user: 1 to 256 bytes expected";
		return E_SYNTAX;
	}
	if (ret->team.p != NULL && (ret->team.n == 0 || ret->team.n >= SESSION_NAME_MAX)) {
		*ret_words = "team: 1 to 63 bytes expected";
		return E_SYNTAX;
	}
	if (limit.p != NULL && parse_limit(limit, &ret->limit) != 0) {
		*ret_words = "limit: a number from 1 to 1000 expected";
		return E_SYNTAX;
	}
	if (after.p != NULL && parse_after(after, ret) != 0) {
		*ret_words = "after: not a cursor of an earlier page";
		return E_SYNTAX;
	}
	return 0;
}

bool
query_wants(const struct query *q, struct str user, struct str team)
{
	return (q->user.p == NULL || str_eq(q->user, user)) &&
	       (q->team.p == NULL || str_eq(q->team, team));
}

const char *
query_cursor(const struct session_key *key, char buf[QUERY_CURSOR])
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	ASSERT(key->user.n <= SESSION_USER_MAX);
	for (size_t i = 0; i < 16 + key->user.n; i++) {
		uint8_t byte = i < 16 ? key->id[i] : (uint8_t)key->user.p[i - 16];

		buf[n++] = digits[byte >> 4];
		buf[n++] = digits[byte & 15];
	}
	buf[n] = '\0';
	return buf;
}
