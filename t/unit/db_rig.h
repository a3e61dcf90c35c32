/*
 * For tests of the store: it stands in the folder of scratch.h; put() and look() are whole
 * transactions on the table of sessions.
 */
#pragma once
#include "shm/db.h"
#include "t/unit/scratch.h"

static inline struct db *
open_db(bool writer)
{
	struct db *db = NULL;
	const char *words = NULL;
	int err = db_open(scratch, writer, writer ? DB_READERS : 0, &db, &words);

	cr_assert_eq(err, 0, "%d: %s", err, words);
	return db;
}

static inline int
put(struct db *db, const char *key, const char *value)
{
	int err = db_write_begin(db);

	if (err != 0)
		return err;
	db_put(db, DB_SESSIONS, str_from(key), str_from(value));
	return db_commit(db);
}

/* "value", or "-" when absent, or "E" on an error. */
static inline const char *
look(struct db *db, const char *key)
{
	static char text[64];
	struct str value;
	int err = db_read_begin(db);

	if (err == 0)
		err = db_get(db, DB_SESSIONS, str_from(key), &value);
	if (err == 0)
		str_copy(text, sizeof(text), value);
	db_read_end(db);
	return err == 0 ? text : err == E_NOT_FOUND ? "-" : "E";
}
