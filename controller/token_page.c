/*
 * Pages of the tokens' table, in the controller: rows of the store come in, JSON goes out.
 */
#include "controller/token_page.h"

#include "lib/clock.h"

#define STEP_ROWS 500u /* looked at in one read transaction */
#define STEPS	  20u  /* of one answer */
#define CURSOR	  (2 * TOKEN_DIGEST + 1)

struct page {
	const struct token_query *query;
	json_t *rows;
	uint64_t now_ms;
	unsigned seen; /* in this transaction */
	bool more, has_last;
	uint8_t last[TOKEN_DIGEST];
};

static int
parse_nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
parse_cursor(struct str text, uint8_t ret[TOKEN_DIGEST])
{
	if (text.n != CURSOR - 1)
		return E_SYNTAX;
	for (size_t i = 0; i < TOKEN_DIGEST; i++) {
		int high = parse_nibble(text.p[2 * i]), low = parse_nibble(text.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return E_SYNTAX;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int
token_query_parse(struct str (*get)(void *arg, const char *key), void *arg, struct token_query *ret,
		  const char **ret_words)
{
	struct str limit = get(arg, "limit"), after = get(arg, "after"), all = get(arg, "all");
	uint64_t n = TOKEN_PAGE_LIMIT;

	*ret = (struct token_query){
		.user = get(arg, "user"), .team = get(arg, "team"), .has_after = after.p != NULL};
	*ret_words = "all: 1 or 0 expected";
	if (all.p != NULL && !str_eq(all, STR("1")) && !str_eq(all, STR("0")))
		return E_SYNTAX;
	*ret_words = "limit: a number from 1 to 500 expected";
	if (limit.p != NULL && (str_u64(limit, TOKEN_PAGE_LIMIT, &n) != 0 || n == 0))
		return E_SYNTAX;
	*ret_words = "after: not a cursor of an earlier page";
	if (after.p != NULL && parse_cursor(after, ret->after) != 0)
		return E_SYNTAX;
	ret->all = str_eq(all, STR("1"));
	ret->limit = (unsigned)n;
	return 0;
}

static const char *
state_of(const struct token *t, uint64_t now_ms)
{
	if (t->revoked_ms != 0)
		return "revoked";
	return t->expires_ms != 0 && t->expires_ms <= now_ms ? "expired" : "active";
}

static json_t *
show(const struct token *t, uint64_t now_ms)
{
	json_t *envs = json_array();

	for (unsigned i = 0; i < t->envs_count; i++)
		json_array_append_new(envs, view_text(t->envs[i]));
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:s, s:I, s:I, s:I, s:I}", "id",
			 view_text(t->id), "type", tokens_type_name(t->type), "user",
			 view_text(t->user), "team", view_text(t->team), "envs", envs, "note",
			 view_text(t->note), "state", state_of(t, now_ms), "created_ms",
			 (json_int_t)t->created_ms, "expires_ms", (json_int_t)t->expires_ms,
			 "used_ms", (json_int_t)t->used_ms, "revoked_ms",
			 (json_int_t)t->revoked_ms);
}

static bool
is_wanted(const struct page *p, const struct token *t)
{
	const struct token_query *q = p->query;

	return (q->user.p == NULL || str_eq(q->user, t->user)) &&
	       (q->team.p == NULL || str_eq(q->team, t->team)) &&
	       (q->all || strcmp(state_of(t, p->now_ms), "active") == 0);
}

static int
visit(void *arg, const uint8_t digest[TOKEN_DIGEST], const struct token *t)
{
	struct page *p = arg;

	if (p->has_last && memcmp(p->last, digest, TOKEN_DIGEST) == 0)
		return 0;
	if (p->seen == STEP_ROWS || json_array_size(p->rows) == p->query->limit) {
		p->more = true;
		return 1;
	}
	p->seen++;
	memcpy(p->last, digest, TOKEN_DIGEST);
	p->has_last = true;
	if (is_wanted(p, t))
		json_array_append_new(p->rows, show(t, p->now_ms));
	return 0;
}

static int
step(struct page *p, struct db *db)
{
	int err = db_read_begin(db);

	if (err == 0) {
		p->seen = 0;
		p->more = false;
		err = tokens_scan(db, p->has_last ? p->last : NULL, visit, p);
	}
	db_read_end(db);
	return err;
}

static json_t *
show_cursor(const struct page *p)
{
	char text[CURSOR];

	if (!p->more)
		return json_null();
	for (size_t i = 0; i < TOKEN_DIGEST; i++)
		snprintf(text + 2 * i, 3, "%02x", p->last[i]);
	return json_string(text);
}

int
token_page(const struct view *v, const struct token_query *q, json_t **ret)
{
	struct page p = {.query = q, .now_ms = clock_wall_ms(), .has_last = q->has_after};
	int err = v->db != NULL ? 0 : E_STATE;

	if (err != 0)
		return err;
	p.rows = json_array();
	memcpy(p.last, q->after, TOKEN_DIGEST);
	for (unsigned i = 0; err == 0 && i < STEPS; i++) {
		err = step(&p, v->db);
		if (!p.more || json_array_size(p.rows) == q->limit)
			break;
	}
	if (err != 0) {
		json_decref(p.rows);
		return err;
	}
	*ret = view_wrap(p.rows);
	json_object_set_new(*ret, "next", show_cursor(&p));
	return 0;
}
