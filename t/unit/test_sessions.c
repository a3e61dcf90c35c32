/* Bindings as rows: what is put is read, users are kept apart, damage is passed over. */
#include "lib/clock.h"
#include "shm/sessions.h"
#include "t/unit/scratch.h"

#define MANY	  50000
#define LOOKUPS	  20000
#define LOOKUP_NS 20000 /* with sanitizers on a busy machine; 3 us is the budget without */
#define SLOWNESS  100	/* of valgrind, which says that it is there (t/tools/under-valgrind) */

static struct db *db;

static void
start(void)
{
	const char *words;

	scratch_make();
	cr_assert_eq(db_open(scratch, true, DB_READERS, &db, &words), 0);
}

static void
stop(void)
{
	db_close(&db);
	scratch_drop();
}

TestSuite(sessions, .init = start, .fini = stop, .timeout = 60);

static struct session_key
key(unsigned n, struct str user)
{
	struct session_key k = {.user = user};
	uint64_t mixed = n * 0x9e3779b97f4a7c15ull;

	memcpy(k.id, &mixed, 8);
	memcpy(k.id + 8, &n, 4);
	return k;
}

static void
put(const struct session_key *k, const struct session *s)
{
	cr_assert_eq(db_write_begin(db), 0);
	sessions_put(db, k, s);
	cr_assert_eq(db_commit(db), 0);
}

Test(sessions, rows_come_back_as_they_were)
{
	static char long_user[SESSION_USER_MAX], long_name[SESSION_NAME_MAX];
	const struct str u = {long_user, sizeof(long_user)}, n = {long_name, sizeof(long_name)};
	const struct {
		struct str user;
		struct session s;
	} cases[] = {
		{STR("alice"),
		 {SESSION_BOUND, 7, 1000, 2000, STR("fe-prod"), STR("fe"), STR("prod")}},
		{STR("b"), {SESSION_LOST, UINT32_MAX, UINT64_MAX, 1, STR(""), STR(""), STR("")}},
		{STR("\0\xff/x"), {SESSION_CLOSED, 0, 0, 0, STR(""), STR("t"), STR("")}},
		{u, {SESSION_BOUND, 1, 2, 3, n, n, n}},
	};

	memset(long_user, 'u', sizeof(long_user));
	memset(long_name, 'n', sizeof(long_name));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct session_key k = key(1, cases[i].user);
		const struct session *want = &cases[i].s;
		struct session s;

		put(&k, want);
		cr_assert_eq(db_read_begin(db), 0);
		cr_assert_eq(sessions_get(db, &k, &s), 0, "case %zu", i);
		cr_expect(s.state == want->state && s.driver_id == want->driver_id &&
				  s.created_ms == want->created_ms && s.seen_ms == want->seen_ms &&
				  str_eq(s.cluster, want->cluster) && str_eq(s.team, want->team) &&
				  str_eq(s.env, want->env),
			  "case %zu", i);
		db_read_end(db);
	}
}

Test(sessions, one_id_of_two_users_is_two_sessions)
{
	struct session_key alice = key(5, STR("alice")), bob = key(5, STR("bob"));
	struct session_key al = key(5, STR("al"));
	const struct session a = {.state = SESSION_BOUND, .driver_id = 1};
	const struct session b = {.state = SESSION_BOUND, .driver_id = 2};
	struct session s;

	put(&alice, &a);
	put(&bob, &b);
	cr_assert_eq(db_write_begin(db), 0);
	cr_assert_eq(sessions_write_get(db, &alice, &s), 0);
	cr_expect_eq(s.driver_id, 1u);
	cr_assert_eq(sessions_write_get(db, &bob, &s), 0);
	cr_expect_eq(s.driver_id, 2u);
	cr_expect_eq(sessions_write_get(db, &al, &s), E_NOT_FOUND, "a prefix of a user");
	sessions_del(db, &alice);
	cr_expect_eq(sessions_write_get(db, &alice, &s), E_NOT_FOUND);
	cr_expect_eq(sessions_write_get(db, &bob, &s), 0);
	cr_assert_eq(db_commit(db), 0);
}

Test(sessions, too_long_a_name_is_our_bug, .signal = SIGABRT)
{
	static char name[SESSION_NAME_MAX + 1];
	const struct session s = {.state = SESSION_BOUND, .team = {name, sizeof(name)}};
	struct session_key k = key(1, STR("u"));

	put(&k, &s);
}

struct seen {
	unsigned count, limit;
	char users[64];
};

static int
note(void *arg, const struct session_key *k, const struct session *s)
{
	struct seen *seen = arg;
	size_t n = strlen(seen->users);

	(void)s;
	snprintf(seen->users + n, sizeof(seen->users) - n, "%.*s ", STR_ARG(k->user));
	return ++seen->count == seen->limit;
}

Test(sessions, scans_start_where_told_and_pass_over_damage)
{
	static const char *const rows[] = {"", "short", "\x09 a state that is none .....",
					   "\x01\xff strings longer than the row"};
	const struct session good = {.state = SESSION_BOUND};
	const char *const users[] = {"a", "c", "e"};
	struct seen seen = {.limit = 99};
	struct session_key k;
	struct session s;

	for (int i = 0; i < 3; i++) {
		k = key(0, str_from(users[i]));
		put(&k, &good);
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char raw[17] = {0};

		raw[16] = (char)('a' + 2 * (int)i + 1); /* b d f h */
		cr_assert_eq(db_write_begin(db), 0);
		db_put(db, DB_SESSIONS, (struct str){raw, 17}, str_from(rows[i]));
		cr_assert_eq(db_commit(db), 0);
	}
	cr_assert_eq(db_read_begin(db), 0);
	k = key(0, STR("b"));
	cr_expect_eq(sessions_get(db, &k, &s), E_SYNTAX);
	cr_expect_eq(sessions_scan(db, NULL, note, &seen), 0);
	cr_expect_str_eq(seen.users, "a c e ");
	seen = (struct seen){.limit = 1};
	cr_expect_eq(sessions_scan(db, &k, note, &seen), 0);
	cr_expect_str_eq(seen.users, "c ", "from b, one only");
	k = key(0, STR_NONE);
	seen = (struct seen){.limit = 2};
	cr_expect_eq(sessions_scan(db, &k, note, &seen), 0);
	cr_expect_str_eq(seen.users, "a c ", "any user of this id");
	db_read_end(db);
}

Test(sessions, looking_up_is_cheap)
{
	const struct session row = {SESSION_BOUND, 1, 1, 1, STR("fe-prod"), STR("fe"), STR("prod")};
	uint64_t budget_ns = LOOKUP_NS * (getenv("UNDER_VALGRIND") != NULL ? SLOWNESS : 1);
	uint64_t start_ns, each_ns, found = 0;

	cr_assert_eq(db_write_begin(db), 0);
	for (unsigned i = 0; i < MANY; i++) {
		struct session_key k = key(i, STR("user@example"));

		sessions_put(db, &k, &row);
	}
	cr_assert_eq(db_commit(db), 0);
	start_ns = clock_ns();
	for (unsigned i = 0; i < LOOKUPS; i++) {
		struct session_key k = key(i * 7919u % MANY, STR("user@example"));
		struct session s;

		cr_assert_eq(db_read_begin(db), 0);
		found += sessions_get(db, &k, &s) == 0;
		db_read_end(db);
	}
	cr_expect_eq(found, (uint64_t)LOOKUPS);
	each_ns = (clock_ns() - start_ns) / LOOKUPS;
	cr_expect_lt(each_ns, budget_ns, "%llu ns", (unsigned long long)each_ns);
}

Test(sessions, names_of_states)
{
	cr_expect_str_eq(sessions_state_name(SESSION_BOUND), "bound");
	cr_expect_str_eq(sessions_state_name(SESSION_LOST), "lost");
	cr_expect_str_eq(sessions_state_name(SESSION_CLOSED), "closed");
	cr_expect_str_eq(sessions_state_name(0), "invalid");
}
