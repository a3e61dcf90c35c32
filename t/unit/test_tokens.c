/* Tokens as rows: what is put is read, ids lead to them, damage stands for no token. */
#include "lib/clock.h"
#include "shm/sessions.h"
#include "shm/tokens.h"
#include "t/unit/scratch.h"

#define MANY	  1000
#define LOOKUPS	  2000
#define LOOKUP_NS 100000 /* with sanitizers on a busy machine */
#define SLOWNESS  100	 /* of valgrind, which says that it is there (t/tools/under-valgrind) */

static struct db *db;
static struct arena *arena;

static void
start(void)
{
	const char *words;

	scratch_make();
	cr_assert_eq(db_open(scratch, true, DB_READERS, &db, &words), 0);
	arena = arena_new(4096, TOKEN_ROW_ARENA);
}

static void
stop(void)
{
	arena_free(&arena);
	db_close(&db);
	scratch_drop();
}

TestSuite(tokens, .init = start, .fini = stop, .timeout = 60);

static uint8_t *
digest(unsigned n)
{
	static uint8_t digests[4][TOKEN_DIGEST];
	static unsigned turn;
	uint8_t *d = digests[turn++ % 4];
	uint64_t mixed = n * 0x9e3779b97f4a7c15ull;

	memset(d, 0, TOKEN_DIGEST);
	memcpy(d, &mixed, sizeof(mixed));
	memcpy(d + sizeof(mixed), &n, sizeof(n));
	return d;
}

static void
put(unsigned n, const struct token *t)
{
	cr_assert_eq(db_write_begin(db), 0);
	cr_assert_eq(tokens_put(db, digest(n), t), 0);
	cr_assert_eq(db_commit(db), 0);
}

static void
put_raw(struct str key, const char *json)
{
	cr_assert_eq(db_write_begin(db), 0);
	db_put(db, DB_TOKENS, key, str_from(json));
	cr_assert_eq(db_commit(db), 0);
}

static int
get(unsigned n, struct token *ret)
{
	int err;

	cr_assert_eq(db_read_begin(db), 0);
	err = tokens_get(db, digest(n), arena, ret);
	db_read_end(db);
	return err;
}

static bool
is_same(const struct token *a, const struct token *b)
{
	for (unsigned i = 0; i < a->envs_count; i++)
		if (a->envs_count != b->envs_count || !str_eq(a->envs[i], b->envs[i]))
			return false;
	return a->type == b->type && str_eq(a->id, b->id) && str_eq(a->user, b->user) &&
	       str_eq(a->name, b->name) && str_eq(a->team, b->team) && str_eq(a->note, b->note) &&
	       a->envs_count == b->envs_count && a->created_ms == b->created_ms &&
	       a->expires_ms == b->expires_ms && a->used_ms == b->used_ms &&
	       a->revoked_ms == b->revoked_ms;
}

Test(tokens, rows_come_back_as_they_were)
{
	static char user[SESSION_USER_MAX];
	static const struct str envs[] = {{"dev", 3}, {"prod", 4}};
	const struct token cases[] = {
		{TOKEN_PERSONAL, STR("0a1b2c3d4e5f"), STR("alice"), STR("Alice \xe2\x98\x83"),
		 STR("fe"), envs, 2, STR("a \"quoted\" \\ \n note"), 1, 2, 3, 4},
		{TOKEN_SERVICE, STR("x"), STR("system:serviceaccount:a:b"), STR_NONE, STR_NONE,
		 NULL, 0, STR_NONE, 0, 0, 0, 0},
		{TOKEN_PERSONAL,
		 STR("a-23-characters-long-id"),
		 {user, sizeof(user)},
		 STR_NONE,
		 STR_NONE,
		 envs,
		 1,
		 STR_NONE,
		 TOKEN_TIME_MAX,
		 TOKEN_TIME_MAX,
		 TOKEN_TIME_MAX,
		 TOKEN_TIME_MAX},
	};
	struct token t;

	memset(user, '\x01', sizeof(user)); /* the longest when written */
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t found[TOKEN_DIGEST];

		put(i, &cases[i]);
		cr_assert_eq(get(i, &t), 0, "case %u", i);
		cr_expect(is_same(&t, &cases[i]), "case %u", i);
		cr_expect_eq(t.name.p == NULL, cases[i].name.n == 0, "none is none again");
		cr_assert_eq(db_write_begin(db), 0);
		cr_expect_eq(tokens_write_find(db, cases[i].id, found), 0);
		cr_expect_arr_eq(found, digest(i), TOKEN_DIGEST);
		cr_expect_eq(tokens_write_get(db, found, arena, &t), 0);
		cr_expect(is_same(&t, &cases[i]), "case %u", i);
		db_abort(db);
	}
	cr_expect_eq(get(77, &t), E_NOT_FOUND);
}

Test(tokens, a_row_and_its_id_go_together)
{
	const struct token t = {
		.type = TOKEN_PERSONAL, .id = STR("one"), .user = STR("u"), .created_ms = 1};
	uint8_t found[TOKEN_DIGEST];
	struct token seen;
	uint64_t n;

	put(1, &t);
	cr_assert_eq(db_write_begin(db), 0);
	cr_expect_eq(tokens_write_find(db, STR("on"), found), E_NOT_FOUND);
	cr_expect_eq(tokens_write_find(db, STR("one1"), found), E_NOT_FOUND);
	tokens_del(db, digest(1), STR("one"));
	cr_expect_eq(tokens_write_find(db, STR("one"), found), E_NOT_FOUND);
	cr_expect_eq(tokens_write_get(db, digest(1), arena, &seen), E_NOT_FOUND);
	cr_assert_eq(db_commit(db), 0);
	cr_assert_eq(db_entries(db, DB_TOKENS, &n), 0);
	cr_expect_eq(n, 0u);
}

Test(tokens, what_is_not_utf8_is_not_written)
{
	const struct token cases[] = {
		{.type = TOKEN_PERSONAL, .id = STR("a"), .user = STR("\xff")},
		{.type = TOKEN_PERSONAL, .id = STR("a"), .user = STR("u"), .note = STR("\xc3")},
		{.type = TOKEN_PERSONAL,
		 .id = STR("a"),
		 .user = STR("u"),
		 .envs = &STR("\xed\xa0\x80"),
		 .envs_count = 1},
	};

	cr_assert_eq(db_write_begin(db), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(tokens_put(db, digest(1), &cases[i]), E_SYNTAX, "case %zu", i);
	db_abort(db);
}

#define ROW(members)                                                                       \
	"{\"id\":\"a\",\"type\":\"personal\",\"user\":\"u\",\"created_ms\":1,\"used_ms\":" \
	"0," members "}"
#define TIMES "\"expires_ms\":5,\"revoked_ms\":0"

Test(tokens, a_damaged_row_is_no_token)
{
	static const struct {
		const char *json;
		int want;
	} cases[] = {
		{ROW("\"envs\":[\"dev\"]," TIMES), 0},
		{ROW("\"envs\":[],\"later\":{}," TIMES), 0},
		{"", E_SYNTAX},
		{"[]", E_SYNTAX},
		{"{\"id\":\"a\"", E_SYNTAX},
		{ROW(TIMES), E_SYNTAX},			/* no list: all of the team? */
		{ROW("\"envs\":[7]," TIMES), E_SYNTAX}, /* likewise */
		{ROW("\"envs\":\"dev\"," TIMES), E_SYNTAX},
		{ROW("\"envs\":[],\"expires_ms\":5"), E_SYNTAX}, /* revoked or not? */
		{ROW("\"envs\":[],\"revoked_ms\":0"), E_SYNTAX},
		{ROW("\"envs\":[],\"expires_ms\":\"5\",\"revoked_ms\":0"), E_SYNTAX},
		{ROW("\"envs\":[],\"expires_ms\":-5,\"revoked_ms\":0"), E_SYNTAX},
		{ROW("\"envs\":[],\"expires_ms\":5.0,\"revoked_ms\":0"), E_SYNTAX},
		{ROW("\"envs\":[],\"user\":\"root\"," TIMES), E_SYNTAX}, /* twice */
		{"{\"id\":\"A\",\"type\":\"personal\",\"user\":\"u\",\"created_ms\":1,\"used_ms\":"
		 "0,"
		 "\"envs\":[]," TIMES "}",
		 E_SYNTAX},
		{"{\"id\":\"a\",\"type\":\"other\",\"user\":\"u\",\"created_ms\":1,\"used_ms\":0,"
		 "\"envs\":[]," TIMES "}",
		 E_SYNTAX},
		{"{\"id\":\"a\",\"type\":\"personal\",\"user\":\"\",\"created_ms\":1,\"used_ms\":0,"
		 "\"envs\":[]," TIMES "}",
		 E_SYNTAX},
	};
	struct token t;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_raw((struct str){(const char *)digest(1), TOKEN_DIGEST}, cases[i].json);
		cr_expect_eq(get(1, &t), cases[i].want, "case %zu: %s", i, cases[i].json);
	}
}

Test(tokens, a_small_arena_is_told)
{
	struct arena *small = arena_new(256, 256);
	const struct token t = {
		.type = TOKEN_PERSONAL,
		.id = STR("a"),
		.user = STR("0123456789012345678901234567890123456789"),
		.note = STR("012345678901234567890123456789012345678901234567890123456789"
			    "012345678901234567890123456789012345678901234567890123456789"
			    "012345678901234567890123456789012345678901234567890123")};
	struct token seen;

	put(1, &t);
	cr_assert_eq(db_read_begin(db), 0);
	cr_expect_eq(tokens_get(db, digest(1), small, &seen), E_NOMEM);
	db_read_end(db);
	arena_free(&small);
}

struct seen {
	unsigned count, limit, wrong;
	uint8_t last[TOKEN_DIGEST];
};

static int
note(void *arg, const uint8_t d[TOKEN_DIGEST], const struct token *t)
{
	struct seen *seen = arg;

	seen->wrong += seen->count > 0 && memcmp(seen->last, d, TOKEN_DIGEST) >= 0;
	seen->wrong += !str_eq(t->user, STR("u")) || t->envs_count != 1;
	memcpy(seen->last, d, TOKEN_DIGEST);
	return ++seen->count == seen->limit;
}

static void
put_many(unsigned count)
{
	cr_assert_eq(db_write_begin(db), 0);
	for (unsigned i = 0; i < count; i++) {
		char id[16];
		struct token t = {.type = TOKEN_PERSONAL,
				  .user = STR("u"),
				  .envs = &STR("prod"),
				  .envs_count = 1,
				  .created_ms = i};

		snprintf(id, sizeof(id), "id%u", i);
		t.id = str_from(id);
		cr_assert_eq(tokens_put(db, digest(i), &t), 0);
	}
	cr_assert_eq(db_commit(db), 0);
}

Test(tokens, a_scan_in_steps_sees_each_once)
{
	struct seen all = {.limit = MANY + 1}, part = {.limit = 10};
	unsigned sum = 0, steps = 0;
	const uint8_t *from = NULL;
	uint8_t next[TOKEN_DIGEST];

	put_many(MANY);
	put_raw(STR("id:no digest"), "x");
	put_raw(STR("damaged; of thirty-two bytes ..."), "x");
	cr_assert_eq(db_read_begin(db), 0);
	cr_expect_eq(tokens_scan(db, NULL, note, &all), 0);
	cr_expect(all.count == MANY && all.wrong == 0);
	do { /* each from the last one of the step before, which comes again */
		part.count = 0;
		cr_expect_eq(tokens_scan(db, from, note, &part), 0);
		sum += part.count - (from != NULL);
		memcpy(next, part.last, sizeof(next));
		from = next;
		steps++;
	} while (part.count == part.limit && steps < MANY);
	db_read_end(db);
	cr_expect_eq(sum, (unsigned)MANY);
	cr_expect_eq(part.wrong, 0u);
}

Test(tokens, looking_one_up_is_cheap)
{
	uint64_t budget_ns = LOOKUP_NS * (getenv("UNDER_VALGRIND") != NULL ? SLOWNESS : 1);
	uint64_t start_ns, each_ns;
	struct token t;

	put_many(MANY);
	start_ns = clock_ns();
	for (unsigned i = 0; i < LOOKUPS; i++) {
		arena_reset(arena);
		cr_assert_eq(get(i * 7919u % MANY, &t), 0);
	}
	each_ns = (clock_ns() - start_ns) / LOOKUPS;
	cr_expect_lt(each_ns, budget_ns, "%llu ns", (unsigned long long)each_ns);
}

Test(tokens, ids)
{
	uint8_t random[TOKEN_ID] = {0, 31, 32, 255, 10, 17, 18, 19, 20, 21, 22, 23};
	char id[TOKEN_ID + 1];

	tokens_id(random, id);
	cr_expect_str_eq(id, "0z0zahjkmnpq");
	cr_expect(tokens_is_id(str_from(id)));
	cr_expect(tokens_is_id(STR("a")) && tokens_is_id(STR("a-23-characters-long-id")));
	cr_expect_not(tokens_is_id(STR("")) || tokens_is_id(STR("a_b")) || tokens_is_id(STR("A")) ||
		      tokens_is_id(STR("a/b")) || tokens_is_id(STR("a 24-characters-long-id.")));
	cr_expect_str_eq(tokens_type_name(TOKEN_PERSONAL), "personal");
	cr_expect_str_eq(tokens_type_name(TOKEN_SERVICE), "service");
	cr_expect_str_eq(tokens_type_name(0), "invalid");
}
