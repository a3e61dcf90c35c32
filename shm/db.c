/*
 * The store over LMDB: one environment, its tables, one kept read transaction per process.
 *
 * What LMDB wants of us (see its header, "caveats"): an environment is opened after the fork, once
 * per process, and its files are opened by nothing else there; the map changes its size only while
 * no transaction is open; readers of dead processes must be cleared, or they pin old pages for
 * ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include "lib/panic.h"
#include "shm/db.h"

#define DB_MAGIC      0x44622e2eu
#define MAP_MAX	      ((size_t)64 << 30)
#define NO_ROOM_BYTES ((uint64_t)1 << 20) /* less than this free on the disk: it is full */
#define SCHEMA_KEY    STR("schema")
#define TABLES_ALWAYS (DB_SESSIONS + 1) /* those that the first stores had */

size_t db_map_bytes = (size_t)1 << 30;

struct db {
	unsigned magic;
	char *dir;
	bool writer;
	unsigned max_readers;
	MDB_env *env;
	MDB_dbi tables[DB_TABLES];
	bool there[DB_TABLES], all_there; /* not: its writer has not made it yet */
	MDB_txn *read;			  /* kept; reset between reads */
	MDB_txn *write;			  /* NULL outside db_write_begin() .. db_commit() */
	bool reading;
	int read_err, write_err; /* sticky; enum err */
	bool map_full;
};

static const char *const table_names[DB_TABLES] = {
	[DB_META] = "meta",	[DB_REGISTRY] = "registry", [DB_SESSIONS] = "sessions",
	[DB_TOKENS] = "tokens", [DB_KEYS] = "keys",	    [DB_SETTINGS] = "settings",
};

static char words[512];

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
}

static _Noreturn void
on_assert(MDB_env *env, const char *msg)
{
	(void)env;
	panic_assert(msg, "lmdb", 0, "mdb");
}

/* LMDB tells a write cut short by a full disk as EIO. */
static bool
is_disk_full(const struct db *db)
{
	struct statvfs st;

	return statvfs(db->dir, &st) == 0 && (uint64_t)st.f_bavail * st.f_frsize < NO_ROOM_BYTES;
}

static int
to_err(const struct db *db, int rc)
{
	switch (rc) {
	case 0: return 0;
	case MDB_NOTFOUND: return E_NOT_FOUND;
	case MDB_VERSION_MISMATCH: return E_VERSION;
	case MDB_INVALID: return E_SYNTAX;
	case ENOMEM: return E_NOMEM;
	case ENOSPC:
	case EDQUOT: return E_FULL;
	case EIO: return is_disk_full(db) ? E_FULL : E_IO;
	default: return E_IO;
	}
}

/* While it is opened: the library's word for it, where we have no name of our own. */
static int
cannot_open(const struct db *db, int rc)
{
	int err = to_err(db, rc);

	if (err == E_IO)
		say("%s: %s", db->dir, mdb_strerror(rc));
	return err;
}

static MDB_val
to_val(struct str s)
{
	return (MDB_val){.mv_size = s.n, .mv_data = (void *)(uintptr_t)s.p};
}

static struct str
to_str(MDB_val v)
{
	return (struct str){v.mv_data, v.mv_size};
}

/* ---- opening ---- */

static bool
is_empty(MDB_txn *txn)
{
	MDB_dbi main_table;
	MDB_stat st;

	return mdb_dbi_open(txn, NULL, 0, &main_table) == 0 &&
	       mdb_stat(txn, main_table, &st) == 0 && st.ms_entries == 0;
}

static int
check_schema(struct db *db, MDB_txn *txn)
{
	MDB_val key = to_val(SCHEMA_KEY), value;
	uint64_t schema = 0;
	int rc;

	rc = mdb_dbi_open(txn, table_names[DB_META], 0, &db->tables[DB_META]);
	if (rc == 0)
		rc = mdb_get(txn, db->tables[DB_META], &key, &value);
	if (rc == MDB_NOTFOUND)
		return E_NOT_FOUND;
	if (rc != 0)
		return cannot_open(db, rc);
	if (str_u64(to_str(value), UINT32_MAX, &schema) != 0)
		return E_SYNTAX;
	if (schema == DB_SCHEMA)
		return 0;
	say("the store has schema %u, this program knows %u", (unsigned)schema, DB_SCHEMA);
	return E_VERSION;
}

static int
open_tables(struct db *db, MDB_txn *txn, unsigned flags)
{
	db->all_there = true;
	for (int i = 0; i < DB_TABLES; i++) {
		int rc = mdb_dbi_open(txn, table_names[i], flags, &db->tables[i]);

		db->there[i] = rc == 0;
		if (rc == MDB_NOTFOUND && i >= TABLES_ALWAYS)
			db->all_there = false;
		else if (rc != 0)
			return cannot_open(db, rc);
	}
	return 0;
}

static int
make_tables(struct db *db, MDB_txn *txn)
{
	char text[16];
	MDB_val key = to_val(SCHEMA_KEY), value;
	int err = open_tables(db, txn, MDB_CREATE);

	if (err != 0)
		return err;
	snprintf(text, sizeof(text), "%u", DB_SCHEMA);
	value = to_val(str_from(text));
	return to_err(db, mdb_put(txn, db->tables[DB_META], &key, &value, 0));
}

/* A store without our mark is ours to make only if nothing at all is in it. */
static int
enter_tables(struct db *db)
{
	MDB_txn *txn;
	int err, rc;

	rc = mdb_txn_begin(db->env, NULL, db->writer ? 0 : MDB_RDONLY, &txn);
	if (rc == MDB_READERS_FULL && db_reader_check(db) > 0)
		rc = mdb_txn_begin(db->env, NULL, db->writer ? 0 : MDB_RDONLY, &txn);
	if (rc != 0)
		return to_err(db, rc);
	err = check_schema(db, txn);
	if (err == E_NOT_FOUND && db->writer)
		err = is_empty(txn) ? make_tables(db, txn) : E_SYNTAX;
	else if (err == 0)
		err = open_tables(db, txn, db->writer ? MDB_CREATE : 0);
	if (err != 0) {
		mdb_txn_abort(txn);
		return err;
	}
	return to_err(db, mdb_txn_commit(txn)); /* also of a reader: it keeps the table handles */
}

static int
open_env(struct db *db)
{
	unsigned flags = MDB_NOTLS | (db->writer ? 0 : MDB_RDONLY);
	mdb_filehandle_t fd;
	int rc = mdb_env_create(&db->env);

	if (rc != 0)
		return to_err(db, rc);
	mdb_env_set_assert(db->env, on_assert);
	rc = mdb_env_set_maxdbs(db->env, DB_TABLES);
	if (rc == 0 && db->max_readers > 0)
		rc = mdb_env_set_maxreaders(db->env, db->max_readers);
	if (rc == 0 && db->writer)
		rc = mdb_env_set_mapsize(db->env, db_map_bytes);
	if (rc == 0)
		rc = mdb_env_open(db->env, db->dir, flags, 0600);
	if (rc == ENOENT && !db->writer)
		return E_NOT_FOUND;
	if (rc != 0) {
		say("%s: %s", db->dir, mdb_strerror(rc));
		return to_err(db, rc);
	}
	if (mdb_env_get_fd(db->env, &fd) == 0)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	db_reader_check(db);
	return enter_tables(db);
}

static void
close_env(struct db *db)
{
	if (db->read != NULL)
		mdb_txn_abort(db->read);
	if (db->env != NULL)
		mdb_env_close(db->env);
	db->read = NULL;
	db->env = NULL;
}

int
db_open(const char *dir, bool writer, unsigned max_readers, struct db **ret, const char **ret_words)
{
	struct db *db = calloc(1, sizeof(*db));
	int err;

	words[0] = '\0';
	if (ret_words != NULL)
		*ret_words = words;
	if (db == NULL)
		return E_NOMEM;
	db->magic = DB_MAGIC;
	db->writer = writer;
	db->max_readers = max_readers;
	db->dir = strdup(dir);
	err = db->dir == NULL ? E_NOMEM : open_env(db);
	if (err != 0) {
		if (words[0] == '\0')
			say("%s: %s", dir,
			    err == E_SYNTAX ? "not a store of this program" : err_text(err));
		db_close(&db);
		return err;
	}
	*ret = db;
	return 0;
}

void
db_close(struct db **ret)
{
	struct db *db = *ret;

	if (db == NULL)
		return;
	CHECK_MAGIC(db, DB_MAGIC);
	ASSERT(!db->reading && db->write == NULL);
	*ret = NULL;
	close_env(db);
	free(db->dir);
	db->magic = 0;
	free(db);
}

/* ---- reading ---- */

/* The store was older than this program when it was opened, and its writer had not come yet. A
 * transaction of its own: the handles stay only if it is committed. */
static void
look_for_tables(struct db *db)
{
	MDB_txn *txn;
	int err;

	if (db->all_there || db->env == NULL || mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn) != 0)
		return;
	err = open_tables(db, txn, 0);
	if (err == 0)
		err = to_err(db, mdb_txn_commit(txn));
	else
		mdb_txn_abort(txn);
	if (err == 0)
		return;
	for (int i = TABLES_ALWAYS; i < DB_TABLES; i++)
		db->there[i] = false;
	db->all_there = false;
}

static int
renew(struct db *db)
{
	if (db->env == NULL) /* it broke and could not be opened again; the next write tries */
		return EIO;
	if (db->read != NULL)
		return mdb_txn_renew(db->read);
	return mdb_txn_begin(db->env, NULL, MDB_RDONLY, &db->read);
}

int
db_read_begin(struct db *db)
{
	int rc;

	CHECK_MAGIC(db, DB_MAGIC);
	ASSERT(!db->reading);
	db->reading = true;
	look_for_tables(db);
	rc = renew(db);
	if (rc == MDB_MAP_RESIZED) {
		rc = mdb_env_set_mapsize(db->env, 0); /* what the writer made it */
		if (rc == 0)
			rc = renew(db);
	} else if (rc == MDB_READERS_FULL && db_reader_check(db) > 0) {
		rc = renew(db);
	}
	db->read_err = rc == MDB_READERS_FULL ? E_FULL : to_err(db, rc);
	return db->read_err;
}

void
db_read_end(struct db *db)
{
	CHECK_MAGIC(db, DB_MAGIC);
	ASSERT(db->reading);
	db->reading = false;
	if (db->read_err == 0)
		mdb_txn_reset(db->read);
}

static int
get(struct db *db, MDB_txn *txn, enum db_table table, struct str key, struct str *ret)
{
	MDB_val k = to_val(key), v;
	int rc = db->there[table] ? mdb_get(txn, db->tables[table], &k, &v) : MDB_NOTFOUND;

	if (rc == 0)
		*ret = to_str(v);
	return to_err(db, rc);
}

static int
scan(struct db *db, MDB_txn *txn, enum db_table table, struct str from,
     int (*visit)(void *arg, struct str key, struct str value), void *arg)
{
	MDB_val k = to_val(from), v;
	MDB_cursor *cursor;
	int rc;

	if (!db->there[table])
		return 0;
	rc = mdb_cursor_open(txn, db->tables[table], &cursor);
	if (rc != 0)
		return to_err(db, rc);
	rc = mdb_cursor_get(cursor, &k, &v, from.n > 0 ? MDB_SET_RANGE : MDB_FIRST);
	while (rc == 0 && visit(arg, to_str(k), to_str(v)) == 0)
		rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : to_err(db, rc);
}

int
db_get(struct db *db, enum db_table table, struct str key, struct str *ret)
{
	CHECK_MAGIC(db, DB_MAGIC);
	ASSERT(db->reading);
	return db->read_err != 0 ? db->read_err : get(db, db->read, table, key, ret);
}

int
db_scan(struct db *db, enum db_table table, struct str from,
	int (*visit)(void *arg, struct str key, struct str value), void *arg)
{
	CHECK_MAGIC(db, DB_MAGIC);
	ASSERT(db->reading);
	return db->read_err != 0 ? db->read_err : scan(db, db->read, table, from, visit, arg);
}

/* ---- writing ---- */

/* After a failed write of its root page LMDB refuses everything until it is opened anew. */
static int
reopen(struct db *db)
{
	int err;

	close_env(db);
	err = open_env(db);
	if (err != 0)
		close_env(db);
	return err;
}

int
db_write_begin(struct db *db)
{
	int rc, err;

	CHECK_MAGIC(db, DB_MAGIC);
	ASSERT(db->writer && db->write == NULL && !db->reading);
	if (db->env == NULL && (err = reopen(db)) != 0)
		return err;
	rc = mdb_txn_begin(db->env, NULL, 0, &db->write);
	if (rc == MDB_PANIC) {
		err = reopen(db);
		if (err != 0)
			return err;
		rc = mdb_txn_begin(db->env, NULL, 0, &db->write);
	}
	if (rc == MDB_MAP_RESIZED) { /* by another keeper, while a binary is replaced */
		rc = mdb_env_set_mapsize(db->env, 0);
		if (rc == 0)
			rc = mdb_txn_begin(db->env, NULL, 0, &db->write);
	}
	if (rc != 0)
		db->write = NULL;
	db->write_err = 0;
	db->map_full = false;
	return to_err(db, rc);
}

static void
note(struct db *db, int rc)
{
	if (rc == 0)
		return;
	db->map_full = rc == MDB_MAP_FULL;
	db->write_err = db->map_full ? E_AGAIN : to_err(db, rc);
}

void
db_put(struct db *db, enum db_table table, struct str key, struct str value)
{
	MDB_val k = to_val(key), v = to_val(value);

	CHECK_MAGIC(db, DB_MAGIC);
	ASSERT(db->write != NULL && key.n > 0);
	if (db->write_err == 0)
		note(db, mdb_put(db->write, db->tables[table], &k, &v, 0));
}

void
db_del(struct db *db, enum db_table table, struct str key)
{
	MDB_val k = to_val(key);
	int rc;

	CHECK_MAGIC(db, DB_MAGIC);
	ASSERT(db->write != NULL && key.n > 0);
	if (db->write_err != 0)
		return;
	rc = mdb_del(db->write, db->tables[table], &k, NULL);
	note(db, rc == MDB_NOTFOUND ? 0 : rc);
}

int
db_write_get(struct db *db, enum db_table table, struct str key, struct str *ret)
{
	CHECK_MAGIC(db, DB_MAGIC);
	ASSERT(db->write != NULL);
	return db->write_err != 0 ? db->write_err : get(db, db->write, table, key, ret);
}

int
db_write_scan(struct db *db, enum db_table table, struct str from,
	      int (*visit)(void *arg, struct str key, struct str value), void *arg)
{
	CHECK_MAGIC(db, DB_MAGIC);
	ASSERT(db->write != NULL);
	return db->write_err != 0 ? db->write_err : scan(db, db->write, table, from, visit, arg);
}

static int
grow(struct db *db)
{
	MDB_envinfo info;

	mdb_env_info(db->env, &info);
	if (info.me_mapsize >= MAP_MAX || mdb_env_set_mapsize(db->env, info.me_mapsize * 2) != 0)
		return E_FULL;
	return E_AGAIN;
}

int
db_commit(struct db *db)
{
	int rc;

	CHECK_MAGIC(db, DB_MAGIC);
	ASSERT(db->write != NULL && !db->reading);
	if (db->write_err == 0) {
		rc = mdb_txn_commit(db->write); /* also when it fails, the transaction is gone */
		db->write = NULL;
		note(db, rc);
	} else {
		db_abort(db);
	}
	return db->map_full ? grow(db) : db->write_err;
}

void
db_abort(struct db *db)
{
	CHECK_MAGIC(db, DB_MAGIC);
	ASSERT(db->write != NULL);
	mdb_txn_abort(db->write);
	db->write = NULL;
}

/* ---- about the whole ---- */

int
db_reader_check(struct db *db)
{
	int dead = 0;

	CHECK_MAGIC(db, DB_MAGIC);
	return db->env != NULL && mdb_reader_check(db->env, &dead) == 0 ? dead : 0;
}

static int
count(struct db *db, MDB_txn *txn, enum db_table table, uint64_t *ret)
{
	MDB_stat st = {0};
	int rc = db->there[table] ? mdb_stat(txn, db->tables[table], &st) : 0;

	if (rc == 0)
		*ret = st.ms_entries;
	return to_err(db, rc);
}

int
db_entries(struct db *db, enum db_table table, uint64_t *ret)
{
	int err;

	CHECK_MAGIC(db, DB_MAGIC);
	if (db->write != NULL)
		return count(db, db->write, table, ret);
	err = db_read_begin(db);
	if (err == 0)
		err = count(db, db->read, table, ret);
	db_read_end(db);
	return err;
}
