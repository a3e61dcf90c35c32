/*
 * proto/plan: the first byte says which method, the rest is a message. What is found does not
 * depend on how the bytes were split, and nothing is left over.
 */
#include "lib/panic.h"
#include "proto/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const enum method_id methods[] = {METHOD_EXECUTE_PLAN, METHOD_ANALYZE_PLAN,
					 METHOD_REATTACH_EXECUTE, METHOD_RELEASE_EXECUTE};
static struct plan_kit kit;

static void
run(const uint8_t *p, size_t n, uint32_t seed, struct arena *a, struct plan_found *ret)
{
	struct plan *plan;

	kit.credit = PLAN_INFLATED;
	plan = plan_new(a, &kit, methods[p[0] & 3], n - 1);
	ASSERT(plan != NULL);
	for (size_t at = 1; at < n;) {
		size_t k = n - at;

		if (seed != 0) {
			seed = seed * 1664525u + 1013904223u;
			k = (seed >> 16 & 0xfff) >> (seed >> 28) | 1;
			k = k < n - at ? k : n - at;
		}
		plan_feed(plan, p + at, k);
		at += k;
	}
	plan_found(plan, ret);
	plan_free(&plan);
	ASSERT(plan == NULL && kit.inflating == 0);
}

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(4096, 1 << 20), *b = arena_new(4096, 1 << 20);
	struct plan_found x, y;

	if (kit.sha256 == NULL)
		kit = (struct plan_kit){EVP_MD_fetch(NULL, "SHA256", NULL), 100, true, 0, 0};
	if (n > 0) {
		run(p, n, 0, a, &x);
		run(p, n, (uint32_t)n * 7 + p[0] + 1, b, &y);
		ASSERT(same(x.kind, y.kind) && same(x.command, y.command));
		ASSERT(str_eq(x.operation, y.operation) && x.compressed == y.compressed);
		ASSERT(x.has_sql == y.has_sql);
		ASSERT(!x.has_sql || (str_eq(x.sql, y.sql) && x.sql_length == y.sql_length &&
				      memcmp(x.sha256, y.sha256, sizeof(x.sha256)) == 0));
		ASSERT(!x.has_sql || x.sql.n <= kit.sql_bytes);
	}
	arena_free(&a);
	arena_free(&b);
	return 0;
}
