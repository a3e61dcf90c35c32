/*
 * Who somebody would be (controller/suppose), and pages of tokens (controller/token_page).
 */
#include <criterion/criterion.h>
#include <string.h>
#include "controller/suppose.h"
#include "controller/token_page.h"
#include "t/unit/scratch.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* ---- who ---- */

static struct str eng[] = {{"eng", 3}, {"all", 3}};
static struct str prod[] = {{"prod", 4}};
static struct conf_token listed[] = {
	{.token = {"t", 1}, .user = {"ann", 3}, .groups = eng, .groups_count = 2},
	{.token = {"u", 1}, .user = {"bob", 3}},
};
static struct conf_subject subjects[] = {
	{.match = {"repo:x/*", 8},
	 .user = {"ci", 2},
	 .team = {"eng", 3},
	 .envs = prod,
	 .envs_count = 1},
	{.match = {"ann", 3}, .team = {"other", 5}},
	{.match = {"people:*", 8}},
};
static struct conf_provider providers[] = {
	{.name = {"file", 4}, .type = PROVIDER_STATIC, .tokens = listed, .tokens_count = 2},
	{.name = {"github", 6},
	 .type = PROVIDER_OIDC,
	 .subjects = subjects,
	 .subjects_count = 3,
	 .claim_user = {"sub", 3},
	 .claim_groups = {"groups", 6}},
};

Test(suppose, the_first_that_speaks_counts)
{
	static const struct {
		const char *user, *groups;
		const char *found, *provider, *team; /* who it is then */
		unsigned groups_count, envs_count;
		const char *words;
	} cases[] = {
		{"ann", "a, b,,c", "ann", NULL, NULL, 3, 0, "as stated"},
		{"ann", "", "ann", NULL, NULL, 0, 0, "as stated"},
		{"ann", NULL, "ann", "file", NULL, 2, 0, "eng, all"},
		{"bob", NULL, "bob", "file", NULL, 0, 0, "groups none"},
		{"repo:x/y", NULL, "ci", "github", "eng", 0, 1, "repo:x/*"},
		{"people:z", NULL, "people:z", "github", NULL, 0, 0, "the teams of its groups"},
		{"zoe", NULL, "zoe", NULL, NULL, 0, 0, "--groups"},
	};
	const struct conf conf = {.providers = providers, .providers_count = COUNT_OF(providers)};
	const struct view view = {0}; /* no store: no tokens */

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct arena *arena = arena_new(4096, 1 << 20);
		json_t *lines = json_array();
		struct identity who;
		char *text;

		cr_assert_eq(suppose_identity(&conf, &view, str_from(cases[i].user),
					      str_from(cases[i].groups), arena, &who, lines),
			     0);
		cr_expect(who.verified);
		cr_expect(str_eq(who.user, str_from(cases[i].found)), "case %zu", i);
		cr_expect(str_eq(who.provider, str_from(cases[i].provider)), "case %zu", i);
		cr_expect(str_eq(who.team, str_from(cases[i].team)), "case %zu", i);
		cr_expect_eq(who.groups_count, cases[i].groups_count, "case %zu", i);
		cr_expect_eq(who.envs_count, cases[i].envs_count, "case %zu", i);
		text = json_dumps(lines, 0);
		cr_expect_not_null(strstr(text, cases[i].words), "case %zu: %s", i, text);
		free(text);
		json_decref(lines);
		arena_free(&arena);
	}
}

/* ---- pages of tokens ---- */

struct values {
	const char *user, *team, *all, *limit, *after;
};

static struct str
get_value(void *arg, const char *key)
{
	const struct values *v = arg;

	return str_from(strcmp(key, "user") == 0    ? v->user
			: strcmp(key, "team") == 0  ? v->team
			: strcmp(key, "all") == 0   ? v->all
			: strcmp(key, "limit") == 0 ? v->limit
						    : v->after);
}

#define HEX8  "00ff00ff00ff00ff"
#define HEX32 HEX8 HEX8 HEX8 HEX8

Test(token_query, takes_or_refuses)
{
	static const struct {
		struct values v;
		int err;
	} cases[] = {
		{{.user = NULL}, 0},
		{{.user = "u", .team = "t", .all = "1", .limit = "500", .after = HEX32}, 0},
		{{.all = "0"}, 0},
		{{.all = "yes"}, E_SYNTAX},
		{{.all = ""}, E_SYNTAX},
		{{.limit = "0"}, E_SYNTAX},
		{{.limit = "501"}, E_SYNTAX},
		{{.limit = "x"}, E_SYNTAX},
		{{.after = ""}, E_SYNTAX},
		{{.after = HEX8}, E_SYNTAX},
		{{.after = HEX32 "0"}, E_SYNTAX},
		{{.after = HEX8 HEX8 HEX8 "00FF00ff00ff00ff"}, E_SYNTAX},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct values v = cases[i].v;
		struct token_query q;
		const char *words = NULL;

		cr_expect_eq(token_query_parse(get_value, &v, &q, &words), cases[i].err, "case %zu",
			     i);
		cr_expect(cases[i].err == 0 || words != NULL, "case %zu", i);
	}
}

static struct view view;

static void
make_tokens(unsigned count)
{
	static const struct str envs[] = {{"prod", 4}};
	struct db *db;
	const char *words;

	cr_assert_eq(db_open(scratch, true, 0, &db, &words), 0);
	cr_assert_eq(db_write_begin(db), 0);
	for (unsigned i = 0; i < count; i++) {
		uint8_t digest[TOKEN_DIGEST] = {(uint8_t)(i >> 8), (uint8_t)i};
		char id[TOKEN_ID + 1];
		const struct token t = {
			.type = i % 2 ? TOKEN_SERVICE : TOKEN_PERSONAL,
			.id = {id, (size_t)snprintf(id, sizeof(id), "t%u", i)},
			.user = i % 2 ? STR("odd") : STR("even"),
			.team = STR("eng"),
			.envs = envs,
			.envs_count = 1,
			.created_ms = 1,
			.expires_ms = i % 4 < 2 ? 0 : 1000, /* half of them are over */
			.revoked_ms = i % 8 == 0 ? 5 : 0,
		};

		cr_assert_eq(tokens_put(db, digest, &t), 0);
	}
	cr_assert_eq(db_commit(db), 0);
	db_close(&db);
	view.state_dir = scratch;
	cr_assert_eq(view_open_store(&view, &words), 0);
}

/* Follows the pages; answers the rows in all. */
static unsigned
walk(struct values v, unsigned *ret_pages)
{
	char after[2 * TOKEN_DIGEST + 1], last[2 * TOKEN_DIGEST + 1] = "";
	unsigned rows = 0;

	for (*ret_pages = 1;; ++*ret_pages) {
		struct token_query q;
		const char *words, *next;
		json_t *page;

		cr_assert_eq(token_query_parse(get_value, &v, &q, &words), 0);
		cr_assert_eq(token_page(&view, &q, &page), 0);
		rows += (unsigned)json_array_size(json_object_get(page, "rows"));
		next = json_string_value(json_object_get(page, "next"));
		if (next != NULL)
			snprintf(after, sizeof(after), "%s", next);
		json_decref(page);
		if (next == NULL)
			return rows;
		cr_assert_gt(strcmp(after, last), 0);
		memcpy(last, after, sizeof(last));
		v.after = after;
	}
}

TestSuite(token_page, .init = scratch_make, .fini = scratch_drop, .timeout = 60);

Test(token_page, shows_every_token_once)
{
	static const struct {
		struct values v;
		unsigned rows, pages;
	} cases[] = {
		{{.all = "1"}, 1200, 3},
		{{.all = "1", .limit = "400"}, 1200, 3},
		{{.all = "1", .user = "odd"}, 600, 2},
		{{.user = NULL}, 450, 1},
		{{.user = "even"}, 150, 1},
		{{.user = "nobody"}, 0, 1},
		{{.team = "other", .all = "1"}, 0, 1},
	};
	unsigned pages;

	make_tokens(1200);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		cr_expect_eq(walk(cases[i].v, &pages), cases[i].rows, "case %zu", i);
		cr_expect_eq(pages, cases[i].pages, "case %zu: %u pages", i, pages);
	}
	view_close(&view);
}

Test(token_page, a_row_tells_all_but_the_token)
{
	const struct token_query q = {.limit = 10, .all = true};
	json_t *page, *row;
	char *text;

	make_tokens(1);
	cr_assert_eq(token_page(&view, &q, &page), 0);
	row = json_array_get(json_object_get(page, "rows"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(row, "id")), "t0");
	cr_expect_str_eq(json_string_value(json_object_get(row, "type")), "personal");
	cr_expect_str_eq(json_string_value(json_object_get(row, "state")), "revoked");
	cr_expect_eq(json_array_size(json_object_get(row, "envs")), 1);
	text = json_dumps(row, 0);
	cr_expect_null(strstr(text, "00000000")); /* nor its digest */
	free(text);
	json_decref(page);
	view_close(&view);
}

Test(token_page, an_identity_by_its_token)
{
	const struct conf conf = {.auth_required = true};
	struct arena *arena = arena_new(4096, 1 << 20);
	json_t *lines = json_array();
	struct identity who;

	make_tokens(8);
	cr_assert_eq(suppose_identity(&conf, &view, STR("odd"), STR_NONE, arena, &who, lines), 0);
	cr_expect(str_eq(who.team, STR("eng")));
	cr_expect(who.envs_count == 1 && str_eq(who.envs[0], STR("prod")));
	cr_expect(str_eq(who.token_id, STR("t1")));
	cr_expect_eq(json_array_size(lines), 2);
	json_decref(lines);
	arena_free(&arena);
	view_close(&view);
}

Test(token_page, needs_the_store)
{
	const struct view none = {0};
	const struct token_query q = {.limit = 1};
	json_t *page;

	cr_expect_eq(token_page(&none, &q, &page), E_STATE);
}
