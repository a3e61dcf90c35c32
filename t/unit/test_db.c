/* The store: transactions, growth, readers that die, files that are not ours. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include "t/unit/db_rig.h"

TestSuite(db, .init = scratch_make, .fini = scratch_drop, .timeout = 60);

Test(db, what_is_committed_is_there_after_reopening)
{
	struct db *db = open_db(true);
	uint64_t n;

	cr_assert_eq(put(db, "a", "1"), 0);
	cr_assert_eq(put(db, "b", "2"), 0);
	cr_assert_eq(db_write_begin(db), 0);
	db_put(db, DB_SESSIONS, STR("c"), STR("3"));
	db_abort(db);
	cr_assert_eq(db_write_begin(db), 0);
	db_del(db, DB_SESSIONS, STR("b"));
	db_del(db, DB_SESSIONS, STR("never there"));
	db_put(db, DB_REGISTRY, STR("a"), STR("other table"));
	cr_assert_eq(db_commit(db), 0);
	db_close(&db);
	cr_expect_null(db);
	for (int writer = 0; writer < 2; writer++) {
		db = open_db(writer);
		cr_expect_str_eq(look(db, "a"), "1");
		cr_expect_str_eq(look(db, "b"), "-");
		cr_expect_str_eq(look(db, "c"), "-");
		cr_assert_eq(db_entries(db, DB_SESSIONS, &n), 0);
		cr_expect_eq(n, 1u);
		db_close(&db);
	}
}

static int
collect(void *arg, struct str key, struct str value)
{
	char *text = arg; /* of 16 bytes */

	snprintf(text + strlen(text), 16 - strlen(text), "%.*s", STR_ARG(key));
	return value.n == 1 && value.p[0] == '!';
}

Test(db, scans_go_in_order_and_stop_when_told)
{
	static const struct {
		const char *from, *want;
	} cases[] = {{"", "abcd"}, {"b", "bcd"}, {"bb", "cd"}, {"d", "d"}, {"e", ""}};
	struct db *db = open_db(true);
	char text[16];

	cr_assert_eq(put(db, "c", "1"), 0);
	cr_assert_eq(put(db, "a", "1"), 0);
	cr_assert_eq(put(db, "e-not", "1"), 0);
	cr_assert_eq(put(db, "d", "!"), 0);
	cr_assert_eq(put(db, "b", "1"), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool last = i == sizeof(cases) / sizeof(cases[0]) - 1;

		text[0] = '\0';
		cr_assert_eq(db_read_begin(db), 0);
		cr_expect_eq(db_scan(db, DB_SESSIONS, str_from(cases[i].from), collect, text), 0);
		db_read_end(db);
		cr_expect_str_eq(text, last ? "e-not" : cases[i].want, "from %s", cases[i].from);
	}
	text[0] = '\0';
	cr_assert_eq(db_read_begin(db), 0);
	cr_expect_eq(db_scan(db, DB_META, STR("t"), collect, text), 0, "nothing there");
	db_read_end(db);
	cr_expect_str_eq(text, "");
	db_close(&db);
}

Test(db, the_first_error_sticks_until_the_commit)
{
	struct db *db = open_db(true);
	char long_key[600] = {0};
	struct str value;

	cr_assert_eq(db_write_begin(db), 0);
	db_put(db, DB_SESSIONS, STR("a"), STR("1"));
	cr_expect_eq(db_write_get(db, DB_SESSIONS, STR("a"), &value), 0, "a get sees the batch");
	db_put(db, DB_SESSIONS, (struct str){long_key, sizeof(long_key)}, STR("too long"));
	db_put(db, DB_SESSIONS, STR("b"), STR("2"));
	cr_expect_eq(db_write_get(db, DB_SESSIONS, STR("a"), &value), E_IO);
	cr_expect_eq(db_commit(db), E_IO);
	cr_expect_str_eq(look(db, "a"), "-");
	cr_expect_eq(put(db, "b", "2"), 0);
	cr_expect_str_eq(look(db, "b"), "2");
	db_close(&db);
}

Test(db, reads_do_not_nest, .signal = SIGABRT)
{
	struct db *db = open_db(true);

	cr_assert_eq(db_read_begin(db), 0);
	(void)!db_read_begin(db);
}

Test(db, there_is_no_store_before_the_keeper)
{
	struct db *db = NULL;
	const char *words;

	cr_expect_eq(db_open(scratch, false, 0, &db, &words), E_NOT_FOUND);
	cr_expect_null(db);
	cr_expect_eq(db_open(scratch_path("no such folder"), true, 0, &db, &words), E_IO);
	cr_expect_neq(strstr(words, "no such folder"), NULL, "%s", words);
}

/* ---- two processes ---- */

struct step {
	int to_child[2], to_parent[2];
};

static void
signal_step(int fd)
{
	cr_assert_eq(write(fd, "x", 1), 1);
}

static void
await_step(int fd)
{
	char c;

	cr_assert_eq(read(fd, &c, 1), 1);
}

/* The child, once it has come to its first step. No store may be open here. */
static pid_t
fork_stepwise(struct step *step, int (*child)(struct step *))
{
	pid_t pid;

	cr_assert(pipe(step->to_child) == 0 && pipe(step->to_parent) == 0);
	pid = fork();
	if (pid == 0)
		_exit(child(step));
	await_step(step->to_parent[0]);
	return pid;
}

static int
put_many(struct db *db, unsigned count, unsigned *ret_again)
{
	static char big[16 * 1024];
	int err;

	memset(big, 'v', sizeof(big));
	*ret_again = 0;
	do {
		cr_assert_eq(db_write_begin(db), 0);
		for (unsigned i = 0; i < count; i++) {
			char key[16];

			snprintf(key, sizeof(key), "%06u", i);
			db_put(db, DB_SESSIONS, str_from(key), (struct str){big, sizeof(big)});
		}
		err = db_commit(db);
	} while (err == E_AGAIN && ++*ret_again < 20);
	return err;
}

static int
read_before_and_after(struct step *step)
{
	struct db *db = open_db(false);
	struct str value;

	if (strcmp(look(db, "small"), "1") != 0)
		return 1;
	signal_step(step->to_parent[1]);
	await_step(step->to_child[0]);
	if (db_read_begin(db) != 0)
		return 2;
	if (db_get(db, DB_SESSIONS, STR("000299"), &value) != 0 || value.n != 16 * 1024 ||
	    value.p[value.n - 1] != 'v')
		return 3;
	db_read_end(db);
	db_close(&db);
	return 0;
}

Test(db, a_full_map_grows_and_readers_follow)
{
	struct step step;
	struct db *db;
	unsigned again;
	pid_t pid;

	db_map_bytes = 256 * 1024;
	db = open_db(true);
	cr_assert_eq(put(db, "small", "1"), 0);
	db_close(&db);
	pid = fork_stepwise(&step, read_before_and_after);
	db = open_db(true);
	cr_assert_eq(put_many(db, 300, &again), 0); /* 4.7 MiB */
	cr_expect_geq(again, 4u, "256 KiB had to double %u times", again);
	signal_step(step.to_child[1]);
	cr_expect_eq(scratch_wait(pid), 0);
	cr_expect_str_eq(look(db, "small"), "1");
	db_close(&db);
	db = open_db(true); /* with a configured size below what is in use */
	cr_expect_str_eq(look(db, "small"), "1");
	cr_expect_eq(put_many(db, 600, &again), 0);
	db_close(&db);
}

static int
write_before_and_after(struct step *step)
{
	struct db *db = open_db(true);

	if (put(db, "mine", "1") != 0)
		return 1;
	signal_step(step->to_parent[1]);
	await_step(step->to_child[0]);
	if (put(db, "mine", "2") != 0)
		return 2;
	if (strcmp(look(db, "mine"), "2") != 0 || strcmp(look(db, "small"), "1") != 0)
		return 3;
	db_close(&db);
	return 0;
}

/* While one binary replaces another there are two keepers. */
Test(db, another_writer_follows_a_map_that_grew)
{
	struct step step;
	struct db *db;
	unsigned again;
	pid_t pid;

	db_map_bytes = 256 * 1024;
	pid = fork_stepwise(&step, write_before_and_after);
	db = open_db(true);
	cr_assert_eq(put(db, "small", "1"), 0);
	cr_assert_eq(put_many(db, 300, &again), 0); /* 4.7 MiB */
	signal_step(step.to_child[1]);
	cr_expect_eq(scratch_wait(pid), 0);
	cr_expect_str_eq(look(db, "mine"), "2");
	db_close(&db);
}

static void
hold_a_read(int fd)
{
	struct db *db = open_db(false);

	cr_assert_eq(db_read_begin(db), 0);
	signal_step(fd);
	pause();
}

Test(db, a_killed_reader_is_cleared)
{
	struct db *db = open_db(true);
	int fds[2];
	pid_t pid;

	db_close(&db);
	cr_assert_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		hold_a_read(fds[1]);
		_exit(1);
	}
	await_step(fds[0]);
	db = open_db(true);
	cr_expect_eq(db_reader_check(db), 0, "it still lives");
	kill(pid, SIGKILL);
	cr_assert_eq(scratch_wait(pid), 128 + SIGKILL);
	cr_expect_eq(db_reader_check(db), 1);
	cr_expect_eq(db_reader_check(db), 0);
	db_close(&db);
}

Test(db, a_killed_writer_leaves_what_it_had_committed)
{
	struct db *db;
	int fds[2];
	pid_t pid;

	cr_assert_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		db = open_db(true);
		cr_assert_eq(put(db, "done", "1"), 0);
		cr_assert_eq(db_write_begin(db), 0);
		db_put(db, DB_SESSIONS, STR("half"), STR("1"));
		signal_step(fds[1]);
		pause();
	}
	await_step(fds[0]);
	kill(pid, SIGKILL);
	cr_assert_eq(scratch_wait(pid), 128 + SIGKILL);
	db = open_db(true);
	cr_expect_eq(put(db, "next", "1"), 0);
	cr_expect_str_eq(look(db, "done"), "1");
	cr_expect_str_eq(look(db, "half"), "-");
	db_close(&db);
}

/* ---- other people's files ---- */

static void
put_foreign(const char *table, const char *key, const char *value)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val k = {strlen(key), (void *)(uintptr_t)key};
	MDB_val v = {strlen(value), (void *)(uintptr_t)value};

	cr_assert_eq(mdb_env_create(&env), 0);
	cr_assert_eq(mdb_env_set_maxdbs(env, 8), 0);
	cr_assert_eq(mdb_env_open(env, scratch, 0, 0600), 0);
	cr_assert_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
	cr_assert_eq(mdb_dbi_open(txn, table, MDB_CREATE, &dbi), 0);
	cr_assert_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
	cr_assert_eq(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void
expect_refused(bool writer, int want, const char *word)
{
	struct db *db = NULL;
	const char *words = "";
	struct stat before, after;

	cr_assert_eq(stat(scratch_path("data.mdb"), &before), 0);
	cr_expect_eq(db_open(scratch, writer, 0, &db, &words), want, "writer %d", writer);
	cr_expect_neq(strstr(words, word), NULL, "\"%s\" without \"%s\"", words, word);
	cr_expect_null(db);
	cr_assert_eq(stat(scratch_path("data.mdb"), &after), 0);
	cr_expect_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec, "it was written to");
	cr_expect_eq(before.st_size, after.st_size);
}

Test(db, a_store_of_another_schema_is_left_alone)
{
	struct db *db = open_db(true);

	db_close(&db);
	put_foreign("meta", "schema", "2");
	expect_refused(true, E_VERSION, "schema 2");
	expect_refused(false, E_VERSION, "schema 2");
	put_foreign("meta", "schema", "x");
	expect_refused(true, E_SYNTAX, "not a store");
}

Test(db, somebody_elses_store_is_left_alone)
{
	put_foreign("things", "a", "b");
	expect_refused(true, E_SYNTAX, "not a store");
}

Test(db, a_damaged_store_is_refused_in_the_words_of_the_library)
{
	static const char zeros[4096];
	struct db *db = open_db(true);
	struct stat st;
	int fd;

	cr_assert_eq(put(db, "a", "1"), 0);
	db_close(&db);
	fd = open(scratch_path("data.mdb"), O_RDWR | O_CLOEXEC);
	cr_assert_eq(fstat(fd, &st), 0);
	for (off_t at = 2 * (off_t)sizeof(zeros); at < st.st_size; at += (off_t)sizeof(zeros))
		cr_assert_eq(pwrite(fd, zeros, sizeof(zeros), at), (ssize_t)sizeof(zeros));
	close(fd);
	expect_refused(true, E_IO, "MDB_");
	expect_refused(false, E_IO, "MDB_");
}

Test(db, a_file_of_something_else_is_left_alone)
{
	int fd = open(scratch_path("data.mdb"), O_WRONLY | O_CREAT, 0600);
	char junk[8192];

	memset(junk, 'j', sizeof(junk));
	cr_assert_eq(write(fd, junk, sizeof(junk)), (ssize_t)sizeof(junk));
	close(fd);
	expect_refused(true, E_SYNTAX, scratch);
	expect_refused(false, E_SYNTAX, scratch);
}

/* ---- a store of an earlier version ---- */

static void
make_old_store(void)
{
	put_foreign("meta", "schema", "1");
	put_foreign("registry", "x", "1");
	put_foreign("sessions", "old", "kept");
}

static int
collect_nothing(void *arg, struct str key, struct str value)
{
	(void)key;
	(void)value;
	*(int *)arg += 1;
	return 0;
}

/* What stands under "a" there: its value's length, 0 when nothing. */
static size_t
look_in_table(struct db *db, enum db_table table)
{
	struct str value = STR_NONE;
	uint64_t entries = 99;
	int err, seen = 0;

	cr_assert_eq(db_read_begin(db), 0);
	err = db_get(db, table, STR("a"), &value);
	cr_expect(err == 0 || err == E_NOT_FOUND);
	cr_expect_eq(db_scan(db, table, STR_NONE, collect_nothing, &seen), 0);
	db_read_end(db);
	cr_expect_eq(db_entries(db, table, &entries), 0);
	cr_expect_eq((int)entries, seen, "table %d", (int)table);
	cr_expect_eq(seen, err == 0, "table %d", (int)table);
	return value.n;
}

static int
read_an_old_store(struct step *step)
{
	struct db *db = open_db(false);
	int wrong = 0;

	for (enum db_table t = DB_TOKENS; t <= DB_SETTINGS; t++)
		wrong += look_in_table(db, t) != 0;
	wrong += strcmp(look(db, "old"), "kept") != 0;
	signal_step(step->to_parent[1]);
	await_step(step->to_child[0]);
	for (enum db_table t = DB_TOKENS; t <= DB_SETTINGS; t++)
		wrong += look_in_table(db, t) != t;
	wrong += strcmp(look(db, "old"), "kept") != 0;
	db_close(&db);
	return wrong;
}

Test(db, tables_that_are_not_made_yet_are_empty_until_they_are)
{
	struct step step;
	struct db *db;
	pid_t pid;

	make_old_store();
	pid = fork_stepwise(&step, read_an_old_store);
	db = open_db(true);
	cr_expect_str_eq(look(db, "old"), "kept");
	cr_assert_eq(db_write_begin(db), 0);
	for (enum db_table t = DB_TOKENS; t <= DB_SETTINGS; t++)
		db_put(db, t, STR("a"), (struct str){"xxxxxxxx", t});
	cr_assert_eq(db_commit(db), 0);
	signal_step(step.to_child[1]);
	cr_expect_eq(scratch_wait(pid), 0);
	db_close(&db);
}

Test(db, a_store_without_its_first_tables_is_not_ours)
{
	put_foreign("meta", "schema", "1");
	expect_refused(false, E_NOT_FOUND, "");
}
