/*
 * The gateway's own tokens as rows: JSON by digest, and a digest by id. A row that does not say
 * exactly what its token may do stands for no token at all.
 */
#include "lib/panic.h"
#include "shm/row.h"
#include "shm/sessions.h"
#include "shm/tokens.h"

#define ID_PREFIX   "id:"
#define ARENA_FIRST 4096

_Static_assert(sizeof(ID_PREFIX) - 1 + TOKEN_ID_MAX - 1 < TOKEN_DIGEST,
	       "the key of an id is told from a digest by its length");

struct visitor {
	int (*visit)(void *arg, const uint8_t digest[TOKEN_DIGEST], const struct token *);
	void *arg;
	struct arena *arena;
};

const char *
tokens_type_name(unsigned type)
{
	switch (type) {
	case TOKEN_PERSONAL: return "personal";
	case TOKEN_SERVICE: return "service";
	default: return "invalid";
	}
}

void
tokens_id(const uint8_t random[TOKEN_ID], char ret[TOKEN_ID + 1])
{
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

	for (unsigned i = 0; i < TOKEN_ID; i++)
		ret[i] = digits[random[i] % 32];
	ret[TOKEN_ID] = '\0';
}

bool
tokens_is_id(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'a' && s.p[i] <= 'z') &&
		    s.p[i] != '-')
			return false;
	return s.n > 0 && s.n < TOKEN_ID_MAX;
}

static struct str
to_key(const uint8_t digest[TOKEN_DIGEST])
{
	return (struct str){(const char *)digest, TOKEN_DIGEST};
}

static struct str
put_id_key(struct str id, char buf[TOKEN_DIGEST])
{
	ASSERT(tokens_is_id(id));
	snprintf(buf, TOKEN_DIGEST, ID_PREFIX "%.*s", STR_ARG(id));
	return str_from(buf);
}

/* ---- a row ---- */

static struct str
get_text(struct arena *a, const json_t *o, const char *name)
{
	struct str s = row_str(a, o, name);

	return s.n > 0 ? s : STR_NONE;
}

static enum token_type
get_type(struct arena *a, const json_t *o)
{
	struct str name = row_str(a, o, "type");

	return str_eq(name, STR("personal"))  ? TOKEN_PERSONAL
	       : str_eq(name, STR("service")) ? TOKEN_SERVICE
					      : 0;
}

/* Fewer environments would be none at all, which means all of the team. */
static int
get_envs(struct arena *a, const json_t *o, struct token *t)
{
	const json_t *list = json_object_get(o, "envs");

	t->envs = row_list(a, o, "envs", &t->envs_count);
	return json_is_array(list) && t->envs_count == json_array_size(list) ? 0 : E_SYNTAX;
}

static int
get_times(const json_t *o, struct token *t)
{
	const struct {
		const char *name;
		uint64_t *ret;
	} times[] = {{"created_ms", &t->created_ms},
		     {"expires_ms", &t->expires_ms},
		     {"used_ms", &t->used_ms},
		     {"revoked_ms", &t->revoked_ms}};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (row_u64(o, times[i].name, 0, TOKEN_TIME_MAX, times[i].ret) != 0)
			return E_SYNTAX;
	return 0;
}

static int
parse(struct str json, struct arena *a, struct token *ret)
{
	json_t *o = row_load(json);
	struct token t;
	int err;

	if (o == NULL)
		return E_SYNTAX;
	t = (struct token){
		.type = get_type(a, o),
		.id = get_text(a, o, "id"),
		.user = get_text(a, o, "user"),
		.name = get_text(a, o, "name"),
		.team = get_text(a, o, "team"),
		.note = get_text(a, o, "note"),
	};
	err = get_envs(a, o, &t);
	if (err == 0)
		err = get_times(o, &t);
	json_decref(o);
	if (arena_failed(a))
		return E_NOMEM;
	if (err != 0 || t.type == 0 || !tokens_is_id(t.id) || t.user.n == 0 ||
	    t.user.n > SESSION_USER_MAX)
		return E_SYNTAX;
	*ret = t;
	return 0;
}

static char *
print(const struct token *t)
{
	json_t *o = json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I}", "id",
			      row_of_str(t->id), "type", tokens_type_name(t->type), "user",
			      row_of_str(t->user), "name", row_of_str(t->name), "team",
			      row_of_str(t->team), "envs", row_of_list(t->envs, t->envs_count),
			      "note", row_of_str(t->note), "created_ms", (json_int_t)t->created_ms,
			      "expires_ms", (json_int_t)t->expires_ms, "used_ms",
			      (json_int_t)t->used_ms, "revoked_ms", (json_int_t)t->revoked_ms);
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	return text;
}

/* ---- reading ---- */

int
tokens_get(struct db *db, const uint8_t digest[TOKEN_DIGEST], struct arena *arena,
	   struct token *ret)
{
	struct str value;
	int err = db_get(db, DB_TOKENS, to_key(digest), &value);

	return err != 0 ? err : parse(value, arena, ret);
}

int
tokens_write_get(struct db *db, const uint8_t digest[TOKEN_DIGEST], struct arena *arena,
		 struct token *ret)
{
	struct str value;
	int err = db_write_get(db, DB_TOKENS, to_key(digest), &value);

	return err != 0 ? err : parse(value, arena, ret);
}

static int
visit_row(void *arg, struct str key, struct str value)
{
	const struct visitor *v = arg;
	uint8_t digest[TOKEN_DIGEST];
	struct token t;

	if (key.n != TOKEN_DIGEST)
		return 0;
	arena_reset(v->arena);
	if (parse(value, v->arena, &t) != 0)
		return 0;
	memcpy(digest, key.p, TOKEN_DIGEST);
	return v->visit(v->arg, digest, &t);
}

int
tokens_scan(struct db *db, const uint8_t from[TOKEN_DIGEST],
	    int (*visit)(void *arg, const uint8_t digest[TOKEN_DIGEST], const struct token *),
	    void *arg)
{
	struct visitor v = {visit, arg, arena_new(ARENA_FIRST, TOKEN_ROW_ARENA)};
	int err;

	if (v.arena == NULL)
		return E_NOMEM;
	err = db_scan(db, DB_TOKENS, from != NULL ? to_key(from) : STR_NONE, visit_row, &v);
	arena_free(&v.arena);
	return err;
}

/* ---- writing ---- */

int
tokens_write_find(struct db *db, struct str id, uint8_t ret_digest[TOKEN_DIGEST])
{
	char buf[TOKEN_DIGEST];
	struct str value;
	int err = db_write_get(db, DB_TOKENS, put_id_key(id, buf), &value);

	if (err != 0)
		return err;
	if (value.n != TOKEN_DIGEST)
		return E_SYNTAX;
	memcpy(ret_digest, value.p, TOKEN_DIGEST);
	return 0;
}

int
tokens_put(struct db *db, const uint8_t digest[TOKEN_DIGEST], const struct token *t)
{
	char buf[TOKEN_DIGEST];
	char *text = print(t);

	if (text == NULL)
		return E_SYNTAX;
	db_put(db, DB_TOKENS, to_key(digest), str_from(text));
	db_put(db, DB_TOKENS, put_id_key(t->id, buf), to_key(digest));
	free(text);
	return 0;
}

void
tokens_del(struct db *db, const uint8_t digest[TOKEN_DIGEST], struct str id)
{
	char buf[TOKEN_DIGEST];

	db_del(db, DB_TOKENS, to_key(digest));
	db_del(db, DB_TOKENS, put_id_key(id, buf));
}
