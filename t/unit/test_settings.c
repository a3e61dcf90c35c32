/* Settings as rows. */
#include "shm/settings.h"
#include "t/unit/scratch.h"

TestSuite(settings, .init = scratch_make, .fini = scratch_drop, .timeout = 20);

static int
read_rollout(struct db *db, int *ret)
{
	int err;

	cr_assert_eq(db_read_begin(db), 0);
	err = settings_rollout(db, ret);
	db_read_end(db);
	return err;
}

static int
write_rollout(struct db *db, int percent)
{
	cr_assert_eq(db_write_begin(db), 0);
	settings_put_rollout(db, percent);
	return db_commit(db);
}

Test(settings, the_roll_out_is_set_and_unset)
{
	static const int cases[] = {0, 37, 100, SETTINGS_UNSET, SETTINGS_UNSET, 5};
	struct db *db = NULL;
	const char *words;
	int percent = 99;

	cr_assert_eq(db_open(scratch, true, DB_READERS, &db, &words), 0);
	cr_expect(read_rollout(db, &percent) == 0 && percent == SETTINGS_UNSET);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(write_rollout(db, cases[i]), 0);
		cr_expect(read_rollout(db, &percent) == 0 && percent == cases[i], "case %zu", i);
	}
	db_close(&db);
}

Test(settings, damage_is_told)
{
	static const char *const cases[] = {"", "x", "-1", "101", "5 ", "99999999999999999999"};
	struct db *db = NULL;
	const char *words;
	int percent = 42;

	cr_assert_eq(db_open(scratch, true, DB_READERS, &db, &words), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(db_write_begin(db), 0);
		db_put(db, DB_SETTINGS, STR("rollout"), str_from(cases[i]));
		cr_assert_eq(db_commit(db), 0);
		cr_expect_eq(read_rollout(db, &percent), E_SYNTAX, "\"%s\"", cases[i]);
	}
	cr_expect_eq(percent, 42, "untouched");
	db_close(&db);
}
