/* Keys of providers: a set is there as a whole or not at all. */
#include "shm/keys.h"
#include "t/unit/scratch.h"

static struct db *db;
static struct arena *arena;

static void
start(void)
{
	const char *words;

	scratch_make();
	cr_assert_eq(db_open(scratch, true, DB_READERS, &db, &words), 0);
	arena = arena_new(4096, (size_t)24 * 1024);
}

static void
stop(void)
{
	arena_free(&arena);
	db_close(&db);
	scratch_drop();
}

TestSuite(keys, .init = start, .fini = stop, .timeout = 20);

/* Key i of a set: told from every other by its text. */
static struct key
make_key(uint64_t set, unsigned i)
{
	char *kid = arena_printf(arena, "k%u.%llu", i, (unsigned long long)set);
	char *der = arena_printf(arena, "der of %s", kid);

	return (struct key){str_from(kid), i + 1, str_from(der)};
}

static void
put_keys(const char *provider, uint64_t set, unsigned first, unsigned count)
{
	cr_assert_eq(db_write_begin(db), 0);
	for (unsigned i = first; i < first + count; i++) {
		struct key key = make_key(set, i);

		keys_put(db, str_from(provider), set, i, &key);
	}
	cr_assert_eq(db_commit(db), 0);
	arena_reset(arena);
}

static int
complete(const char *provider, uint64_t set, unsigned count, uint64_t fetched_ms, bool *ret_changed)
{
	struct keys keys = {.set = set, .fetched_ms = fetched_ms, .count = count};
	int err;

	memset(keys.source, (int)count, sizeof(keys.source));
	cr_assert_eq(db_write_begin(db), 0);
	err = keys_complete(db, str_from(provider), &keys, ret_changed);
	cr_assert_eq(db_commit(db), 0);
	return err;
}

static int
load(const char *provider, struct keys *ret)
{
	int err;

	cr_assert_eq(db_read_begin(db), 0);
	err = keys_load(db, str_from(provider), arena, ret);
	db_read_end(db);
	return err;
}

static bool
is_set(const char *provider, uint64_t set, unsigned count, uint64_t fetched_ms)
{
	struct keys keys;
	bool same = load(provider, &keys) == 0 && keys.set == set && keys.count == count &&
		    keys.fetched_ms == fetched_ms && keys.source[31] == count;

	for (unsigned i = 0; same && i < count; i++) {
		struct key want = make_key(set, i);

		same = str_eq(keys.list[i].kid, want.kid) && str_eq(keys.list[i].der, want.der) &&
		       keys.list[i].algs == want.algs;
	}
	arena_reset(arena);
	return same;
}

static uint64_t
rows(void)
{
	uint64_t n = 0;

	cr_assert_eq(db_entries(db, DB_KEYS, &n), 0);
	return n;
}

Test(keys, a_set_is_seen_when_it_is_whole)
{
	struct keys keys;
	bool changed = false;

	cr_expect_eq(load("okta", &keys), E_NOT_FOUND);
	put_keys("okta", 7, 0, 3);
	cr_expect_eq(load("okta", &keys), E_NOT_FOUND);
	cr_expect_eq(complete("okta", 7, 4, 100, &changed), E_STATE, "the fourth is not there");
	cr_expect_eq(load("okta", &keys), E_NOT_FOUND);
	cr_expect_eq(complete("okta", 7, 3, 100, &changed), 0);
	cr_expect(changed);
	cr_expect(is_set("okta", 7, 3, 100));
	cr_expect_eq(load("okt", &keys), E_NOT_FOUND, "a part of its name");
	cr_expect_eq(load("oktaa", &keys), E_NOT_FOUND);
}

Test(keys, the_old_set_stands_until_the_new_one_is_whole)
{
	bool changed;

	put_keys("okta", 1, 0, 2);
	cr_assert_eq(complete("okta", 1, 2, 100, &changed), 0);
	put_keys("okta", 2, 0, 1); /* begun, and never completed */
	put_keys("okta", UINT64_MAX, 0, 3);
	put_keys("other", 1, 0, 1);
	cr_assert_eq(complete("other", 1, 1, 50, &changed), 0);
	cr_expect(is_set("okta", 1, 2, 100));
	cr_expect_eq(complete("okta", UINT64_MAX, 3, 200, &changed), 0);
	cr_expect(is_set("okta", UINT64_MAX, 3, 200));
	cr_expect(is_set("other", 1, 1, 50), "another provider's stays");
	cr_expect_eq(rows(), 1u + 3 + 1 + 1, "of the others nothing is left");
	cr_expect_eq(complete("okta", 2, 1, 300, &changed), E_STATE);
	cr_expect_eq(complete("okta", 1, 2, 300, &changed), E_STATE);
	cr_expect(is_set("okta", UINT64_MAX, 3, 200));
}

Test(keys, the_current_set_can_be_said_again_and_not_be_changed)
{
	const struct key other = {STR("other"), 1, STR("other")};
	bool changed;

	put_keys("okta", 1, 0, 2);
	cr_assert_eq(complete("okta", 1, 2, 100, &changed), 0);
	put_keys("okta", 1, 0, 2);
	cr_expect_eq(complete("okta", 1, 2, 100, &changed), 0);
	cr_expect_not(changed);
	cr_expect_eq(complete("okta", 1, 2, 900, &changed), 0);
	cr_expect_not(changed, "fetched again, and the same");
	cr_expect(is_set("okta", 1, 2, 900));
	cr_assert_eq(db_write_begin(db), 0);
	keys_put(db, STR("okta"), 1, 0, &other);
	cr_assert_eq(db_commit(db), 0);
	cr_expect(is_set("okta", 1, 2, 900));
	cr_expect_eq(complete("okta", 1, 1, 900, &changed), 0);
	cr_expect(changed, "less than it was");
}

Test(keys, many_half_sets_are_cleared)
{
	bool changed;

	for (uint64_t set = 10; set < 20; set++)
		put_keys("okta", set, 0, KEYS_MAX);
	put_keys("okta", 5, 0, 1);
	cr_expect_eq(rows(), 10u * KEYS_MAX + 1);
	cr_expect_eq(complete("okta", 5, 1, 1, &changed), 0);
	cr_expect_eq(rows(), 2u);
	cr_expect(is_set("okta", 5, 1, 1));
}

Test(keys, largest_smallest_and_none)
{
	static char name[KEYS_PROVIDER_MAX + 1], kid[KEYS_KID_MAX], der[KEYS_DER_MAX];
	const struct key big = {{kid, sizeof(kid)}, UINT32_MAX, {der, sizeof(der)}};
	const struct key small = {STR_NONE, 0, STR("d")};
	struct keys keys;
	bool changed;

	memset(name, 'n', KEYS_PROVIDER_MAX);
	memset(kid, '\0', sizeof(kid));
	memset(der, '\xff', sizeof(der));
	cr_assert_eq(db_write_begin(db), 0);
	for (unsigned i = 0; i < KEYS_MAX - 1; i++)
		keys_put(db, str_from(name), 0, i, &big);
	keys_put(db, str_from(name), 0, KEYS_MAX - 1, &small);
	cr_assert_eq(db_commit(db), 0);
	cr_assert_eq(complete(name, 0, KEYS_MAX, 1, &changed), 0);
	cr_assert_eq(load(name, &keys), 0);
	cr_expect_eq(keys.count, (unsigned)KEYS_MAX);
	cr_expect(str_eq(keys.list[14].kid, big.kid) && str_eq(keys.list[14].der, big.der));
	cr_expect(keys.list[15].kid.p == NULL && str_eq(keys.list[15].der, STR("d")));
	cr_expect_eq(keys.list[0].algs, UINT32_MAX);
	arena_reset(arena);
	cr_expect_eq(complete(name, 1, 0, 2, &changed), 0);
	cr_expect(changed && is_set(name, 1, 0, 2), "a provider without any key");
	cr_expect_eq(rows(), 1u);
}

Test(keys, damaged_rows_are_told)
{
	static const char *const keys_rows[] = {"", "short", "12345678", "1234\x01\x00\x01\x00x"};
	struct keys keys;
	bool changed;

	put_keys("p", 1, 0, 1);
	cr_assert_eq(complete("p", 1, 1, 1, &changed), 0);
	for (size_t i = 0; i < sizeof(keys_rows) / sizeof(keys_rows[0]); i++) {
		cr_assert_eq(db_write_begin(db), 0);
		db_put(db, DB_KEYS, (struct str){"p\0\0\0\0\0\0\0\0\1\0", 11},
		       (struct str){keys_rows[i], i == 3 ? 9 : strlen(keys_rows[i])});
		cr_assert_eq(db_commit(db), 0);
		cr_expect_eq(load("p", &keys), E_SYNTAX, "row %zu", i);
	}
	cr_assert_eq(db_write_begin(db), 0);
	db_del(db, DB_KEYS, (struct str){"p\0\0\0\0\0\0\0\0\1\0", 11});
	cr_assert_eq(db_commit(db), 0);
	cr_expect_eq(load("p", &keys), E_SYNTAX, "a key of the current set is gone");
	cr_assert_eq(db_write_begin(db), 0);
	db_put(db, DB_KEYS, (struct str){"p", 2}, STR("x"));
	cr_assert_eq(db_commit(db), 0);
	cr_expect_eq(load("p", &keys), E_SYNTAX);
	put_keys("p", 2, 0, 1);
	cr_expect_eq(complete("p", 2, 1, 5, &changed), 0, "and written over");
	cr_expect(is_set("p", 2, 1, 5));
}
