/* What was run, out of requests as PySpark serializes them (t/fuzz/corpus/plan), split anywhere. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "proto/plan.h"
#include "proto/wire.h"

#define OPERATION "aabbccdd-4455-6677-8899-aabbccddeeff"
#define LONG_HASH "\x1c\x7e\x1e\xa3\xf1\xa4\x51\x42" /* how its SHA-256 begins */
#define LONG_SQL  5019u				     /* bytes of the text in the compressed ones */

static const enum method_id methods[] = {METHOD_EXECUTE_PLAN, METHOD_ANALYZE_PLAN,
					 METHOD_REATTACH_EXECUTE, METHOD_RELEASE_EXECUTE};
static struct plan_kit kit;
static struct arena *arena;
static uint8_t bytes[64 << 10];

static void
make(void)
{
	arena = arena_new(4096, 1 << 20);
	kit = (struct plan_kit){EVP_MD_fetch(NULL, "SHA256", NULL), 2048, true, 0, PLAN_INFLATED};
}

static void
drop(void)
{
	EVP_MD_free(kit.sha256);
	arena_free(&arena);
}

TestSuite(plan, .init = make, .fini = drop, .timeout = 60);

static size_t
load(const char *name)
{
	const char *top = getenv("top_srcdir");
	char path[512];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/t/fuzz/corpus/plan/%s", top != NULL ? top : ".", name);
	f = fopen(path, "rb");
	cr_assert_not_null(f, "%s", path);
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	return n;
}

/* step: bytes at a time. */
static struct plan_found
scan(enum method_id method, const uint8_t *p, size_t n, size_t step)
{
	struct plan *plan = plan_new(arena, &kit, method, n);
	struct plan_found found;

	cr_assert_not_null(plan);
	for (size_t at = 0; at < n; at += step)
		plan_feed(plan, p + at, n - at < step ? n - at : step);
	plan_found(plan, &found);
	plan_free(&plan);
	cr_expect_eq(kit.inflating, 0u);
	return found;
}

static void
expect_text(const char *name, const char *got, const char *want)
{
	cr_expect((got == NULL) == (want == NULL) && (got == NULL || strcmp(got, want) == 0),
		  "%s: %s instead of %s", name, got ? got : "none", want ? want : "none");
}

Test(plan, of_pyspark)
{
	static const struct {
		const char *name, *kind, *command, *sql;
		bool compressed;
	} rows[] = {
		{"sql_35", "command", "sql_command", "select 35", false},
		{"sql_4", "command", "sql_command", "select 4", false},
		{"sql_views", "command", "sql_command", "select v", false},
		{"root_sql", "relation", NULL, "select root", false},
		{"shown", "relation", NULL, "select shown", false},
		{"written", "command", "write_operation", "select written", false},
		{"function", "command", "register_function", NULL, false},
		{"range", "relation", NULL, NULL, false},
		{"explain", "relation", "explain", "select explained", false},
		{"persist", "relation", "persist", "select kept", false},
		{"version", NULL, "spark_version", NULL, false},
		{"reattach", NULL, NULL, NULL, false},
		{"release", NULL, NULL, NULL, false},
		{"z_relation", "relation", NULL, "select 'x", true},
		{"z_command", "command", "sql_command", "select 'x", true},
		{"z_cut", "compressed", NULL, NULL, true},
		{"z_garbage", "compressed", NULL, NULL, true},
		{"z_codec", "compressed", NULL, NULL, true},
		{"z_bomb", "compressed", NULL, NULL, true},
	};
	static const size_t steps[] = {1, 2, 3, 7, 64, 1000, sizeof(bytes)};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = load(rows[i].name);

		for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
			if (strcmp(rows[i].name, "z_bomb") == 0 && steps[k] < 1000)
				continue;
			kit.credit = PLAN_INFLATED + (1 << 20);
			enum method_id method = methods[bytes[0]];
			struct plan_found f = scan(method, bytes + 1, n - 1, steps[k]);
			expect_text(rows[i].name, f.kind, rows[i].kind);
			expect_text(rows[i].name, f.command, rows[i].command);
			cr_expect_eq(f.compressed, rows[i].compressed, "%s", rows[i].name);
			cr_expect_eq(f.has_sql, rows[i].sql != NULL, "%s", rows[i].name);
			if (f.has_sql && rows[i].sql != NULL) {
				cr_expect(str_starts(f.sql, str_from(rows[i].sql)), "%s",
					  rows[i].name);
				cr_expect_eq(f.sql_length,
					     f.compressed ? LONG_SQL : strlen(rows[i].sql));
			}
			if (f.has_sql && f.compressed)
				cr_expect_arr_eq(f.sha256, LONG_HASH, 8);
			if (method != METHOD_ANALYZE_PLAN)
				cr_expect(str_eq(f.operation, STR(OPERATION)), "%s", rows[i].name);
		}
		arena_reset(arena);
	}
}

/* ---- by hand ---- */

static uint8_t space[8][8192];

static struct str
len(unsigned i, uint32_t number, struct str inner)
{
	uint8_t *end = wire_put_len(space[i], space[i] + sizeof(space[i]), number, inner);

	cr_assert_not_null(end);
	return (struct str){(char *)space[i], (size_t)(end - space[i])};
}

static struct str
join(unsigned i, struct str a, struct str b)
{
	memcpy(space[i], a.p, a.n);
	memcpy(space[i] + a.n, b.p, b.n);
	return (struct str){(char *)space[i], a.n + b.n};
}

static struct plan_found
of_plan(struct str plan)
{
	static uint8_t request[8192];
	uint8_t *end = wire_put_len(request, request + sizeof(request), 3, plan);

	return scan(METHOD_EXECUTE_PLAN, request, (size_t)(end - request), 5);
}

Test(plan, the_last_of_two_counts)
{
	struct str a = len(0, 1, len(1, 10, len(2, 1, STR("select 1"))));
	struct str b = len(3, 1, len(4, 10, len(5, 1, STR("drop table t"))));
	struct plan_found f = of_plan(join(6, a, b));

	cr_expect(f.has_sql && str_eq(f.sql, STR("drop table t")));
	f = of_plan(join(6, a, len(3, 2, len(4, 1, STR("")))));
	expect_text("command behind a root", f.kind, "command");
	expect_text("command behind a root", f.command, "register_function");
	cr_expect_not(f.has_sql);
	f = of_plan(join(6, a, len(3, 1, STR(""))));
	cr_expect(f.has_sql && str_eq(f.sql, STR("select 1")), "merged: the text stands");
	f = of_plan(join(6, a, len(3, 1, len(4, 15, STR("")))));
	cr_expect_not(f.has_sql, "merged, and the other relation counts");
}

Test(plan, input_goes_before_text)
{
	struct str text = len(0, 1, STR("old")),
		   input = len(1, 6, len(2, 10, len(3, 1, STR("new"))));
	struct plan_found f = of_plan(len(4, 2, len(5, 5, join(6, text, input))));

	cr_expect(f.has_sql && str_eq(f.sql, STR("new")));
	f = of_plan(len(4, 2, len(5, 5, join(6, input, text))));
	cr_expect(f.has_sql && str_eq(f.sql, STR("new")));
}

Test(plan, what_cannot_be_read)
{
	struct plan_found f = of_plan(len(0, 1, STR("\x0b\x0c"))); /* a group */

	expect_text("group", f.kind, "malformed");
	f = of_plan(len(0, 1, STR("\x52\x7f")));
	expect_text("outruns", f.kind, "malformed");
	struct str deep = STR("");
	for (unsigned i = 0; i < 400; i++) { /* limit of limit of ... */
		static uint8_t two[2][8192];
		uint8_t *end = wire_put_len(two[0], two[0] + 8192, 1, deep);

		deep = (struct str){(char *)two[0], (size_t)(end - two[0])};
		end = wire_put_len(two[1], two[1] + 8192, 8, deep);
		deep = (struct str){(char *)two[1], (size_t)(end - two[1])};
	}
	f = of_plan(len(0, 1, deep));
	expect_text("deep", f.kind, "relation");
}

Test(plan, sql_is_cut_between_characters)
{
	struct plan_found f;

	for (kit.sql_bytes = 0; kit.sql_bytes <= 8; kit.sql_bytes++) {
		f = of_plan(len(0, 1, len(1, 10, len(2, 1, STR("a\xc3\xa9\xf0\x9f\x98\x80z")))));
		size_t want[] = {0, 1, 1, 3, 3, 3, 3, 7, 8};
		cr_expect(f.has_sql && f.sql.n == want[kit.sql_bytes], "%zu: %zu", kit.sql_bytes,
			  f.sql.n);
		cr_expect_eq(f.sql_length, 8u);
	}
	kit.sql = false;
	f = of_plan(len(0, 1, len(1, 10, len(2, 1, STR("x")))));
	cr_expect_not(f.has_sql);
	expect_text("kind all the same", f.kind, "relation");
}

Test(plan, credit_and_room_are_kept_to)
{
	size_t n = load("z_relation");
	struct plan_found f;

	kit.credit = 100;
	f = scan(METHOD_EXECUTE_PLAN, bytes + 1, n - 1, n);
	expect_text("no credit", f.kind, "compressed");
	kit.credit = 6000;
	f = scan(METHOD_EXECUTE_PLAN, bytes + 1, n - 1, n);
	expect_text("credit", f.kind, "relation");
	cr_expect_lt(kit.credit, 1000u);
	kit.credit = 1 << 20;
	struct plan *open[PLAN_AT_ONCE];
	for (unsigned i = 0; i < PLAN_AT_ONCE; i++) {
		open[i] = plan_new(arena, &kit, METHOD_EXECUTE_PLAN, n - 1);
		plan_feed(open[i], bytes + 1, 95);
	}
	cr_expect_eq(kit.inflating, (unsigned)PLAN_AT_ONCE);
	struct plan *fifth = plan_new(arena, &kit, METHOD_EXECUTE_PLAN, n - 1);
	plan_feed(fifth, bytes + 1, n - 1);
	plan_found(fifth, &f);
	expect_text("one too many", f.kind, "compressed");
	plan_free(&fifth);
	for (unsigned i = 0; i < PLAN_AT_ONCE; i++)
		plan_free(&open[i]);
	cr_expect_eq(kit.inflating, 0u);
}

Test(plan, one_sender_leaves_room_for_others)
{
	size_t n = load("z_relation");
	struct plan_quota mine = {.credit = 1 << 20}, poor = {.credit = 100};
	struct plan *plans[PLAN_AT_ONCE / 2 + 2];
	struct plan_found f;

	kit.credit = 1 << 20;
	for (unsigned i = 0; i < PLAN_AT_ONCE / 2 + 2; i++) {
		plans[i] = plan_new(arena, &kit, METHOD_EXECUTE_PLAN, n - 1);
		plan_set_quota(plans[i], i <= PLAN_AT_ONCE / 2 ? &mine : NULL);
		plan_feed(plans[i], bytes + 1, 95);
	}
	cr_expect_eq(mine.inflating, PLAN_AT_ONCE / 2u);
	cr_expect_eq(kit.inflating, PLAN_AT_ONCE / 2u + 1, "the other's is among them");
	for (unsigned i = 0; i < PLAN_AT_ONCE / 2 + 2; i++) {
		plan_feed(plans[i], bytes + 1 + 95, n - 1 - 95);
		plan_found(plans[i], &f);
		expect_text("kind", f.kind, i == PLAN_AT_ONCE / 2 ? "compressed" : "relation");
		plan_free(&plans[i]);
	}
	cr_expect_eq(mine.inflating + kit.inflating, 0u);
	cr_expect_lt(mine.credit, (1u << 20) - 8000u);
	plans[0] = plan_new(arena, &kit, METHOD_EXECUTE_PLAN, n - 1);
	plan_set_quota(plans[0], &poor);
	plan_feed(plans[0], bytes + 1, n - 1);
	plan_found(plans[0], &f);
	expect_text("it has spent its own", f.kind, "compressed");
	plan_free(&plans[0]);
	cr_expect_eq(poor.inflating, 0u);
}

Test(plan, data_given_again_and_again_takes_no_more_room)
{
	size_t n = load("z_relation") - 1, times = 3000;
	struct plan *plan = plan_new(arena, &kit, METHOD_EXECUTE_PLAN, n * times);
	struct plan_found f;

	kit.credit = UINT64_MAX;
	for (size_t i = 0; i < times; i++)
		plan_feed(plan, bytes + 1, n);
	plan_found(plan, &f);
	expect_text("kind", f.kind, "relation");
	cr_expect(f.has_sql && f.sql_length == LONG_SQL && f.sql.n == kit.sql_bytes, "%zu",
		  f.sql.n);
	cr_expect_not(arena_failed(arena));
	plan_free(&plan);
}
