/* The keeper as a process: tokens, who is told of their end, their use, and rows that go. */
#include "t/unit/keeper_auth_rig.h"

#define TOKENS	  400 /* more than a queue that nobody reads takes */
#define SWEPT	  450 /* several steps of the walk */
#define MINUTE_MS 60000u

TestSuite(keeper_tokens, .init = rig_make_auth, .fini = rig_drop_auth, .timeout = 90);

static void
say_used(int worker, unsigned n)
{
	struct keeper_token_used m = {.head = {KEEPER_TOKEN_USED, sizeof(m), 0}};

	rig_put_digest(n, m.digest);
	cr_assert_eq(msg_send(rig.workers[worker], &m.head), 0);
}

Test(keeper_tokens, a_token_is_made_once)
{
	struct keeper_token m = rig_token_message(1, "first");
	uint64_t before;
	struct keeper_done done;
	struct token t;

	rig_start();
	before = rig_generation(SEGMENT_TOKENS);
	done = rig_make_token(1, "first");
	cr_expect(done.result == 0 && done.count == 1);
	cr_expect_gt(rig_generation(SEGMENT_TOKENS), before);
	cr_assert_eq(rig_look_token(1, &t), 0, "answered, so it is on the disk");
	cr_expect(t.type == TOKEN_PERSONAL && str_eq(t.id, STR("first")) &&
		  str_eq(t.user, STR("alice")) && str_eq(t.name, STR("Alice")) &&
		  str_eq(t.team, STR("fe")) && str_eq(t.note, STR("laptop")));
	cr_assert_eq(t.envs_count, 2u);
	cr_expect(str_eq(t.envs[0], STR("dev")) && str_eq(t.envs[1], STR("prod")));
	cr_expect_leq(clock_wall_ms() - t.created_ms, 5000u);
	cr_expect_leq(t.expires_ms - m.expires_ms, 5000u);
	cr_expect(t.used_ms == 0 && t.revoked_ms == 0);
	cr_expect_eq(rig_make_token(1, "first").result, 0, "asked again");
	cr_expect_eq(rig_make_token(2, "first").result, E_EXISTS, "another one's id");
	cr_expect_eq(rig_make_token(1, "second").result, E_EXISTS, "another one's digest");
	cr_expect_eq(rig_make_token(2, "second").result, 0);
	m = rig_token_message(3, "least");
	m.type = TOKEN_SERVICE;
	m.envs_count = 0;
	m.expires_ms = 0;
	m.name[0] = m.team[0] = m.note[0] = '\0';
	cr_expect_eq(rig_ask(&m.head).result, 0);
	cr_assert_eq(rig_look_token(3, &t), 0);
	cr_expect(t.type == TOKEN_SERVICE && t.name.p == NULL && t.team.p == NULL &&
		  t.note.p == NULL && t.envs_count == 0 && t.expires_ms == 0);
	rig_stop();
}

Test(keeper_tokens, a_revocation_is_told_to_every_worker)
{
	struct keeper_done done;
	struct token t;
	uint64_t before, revoked_ms;
	unsigned n = 0;

	rig_start();
	rig_make_token(1, "first");
	rig_make_token(2, "second");
	before = rig_generation(SEGMENT_TOKENS);
	done = rig_revoke_token("first");
	cr_expect(done.result == 0 && done.count == 1);
	cr_expect_gt(rig_generation(SEGMENT_TOKENS), before);
	for (int w = 0; w < 2; w++) {
		cr_expect_str_eq(rig_told(w, &n), "first");
		cr_expect_eq(n, 1u);
	}
	cr_assert_eq(rig_look_token(1, &t), 0);
	cr_expect_leq(clock_wall_ms() - t.revoked_ms, 5000u);
	cr_expect(str_eq(t.user, STR("alice")) && t.envs_count == 2, "the rest stays");
	revoked_ms = t.revoked_ms;
	usleep(5000);
	before = rig_generation(SEGMENT_TOKENS);
	cr_expect_eq(rig_revoke_token("first").result, 0, "asked again: told again");
	cr_expect_gt(rig_generation(SEGMENT_TOKENS), before);
	cr_expect_str_eq(rig_told(0, &n), "first");
	cr_expect_str_eq(rig_told(1, &n), "first");
	cr_expect_eq(rig_make_token(1, "first").result, 0, "it is there");
	cr_assert_eq(rig_look_token(1, &t), 0);
	cr_expect_eq(t.revoked_ms, revoked_ms, "and still revoked");
	cr_expect_eq(rig_revoke_token("none").result, E_NOT_FOUND);
	cr_expect_str_eq(rig_told(0, &n), "");
	cr_assert_eq(rig_look_token(2, &t), 0);
	cr_expect_eq(t.revoked_ms, 0u);
	rig_stop();
}

Test(keeper_tokens, a_worker_that_does_not_read_is_told_when_it_does)
{
	static bool heard[TOKENS];
	unsigned n = 0, count = 0;
	char id[16];

	rig_start();
	for (unsigned i = 0; i < TOKENS; i++) {
		snprintf(id, sizeof(id), "t%u", i);
		cr_assert_eq(rig_make_token(i, id).result, 0);
		cr_assert_eq(rig_revoke_token(id).result, 0);
		cr_assert_str_eq(rig_told(0, &n), id, "the other one hears it at once");
	}
	while (rig_told(1, &n)[0] != '\0') {
		cr_assert(n < TOKENS && !heard[n], "%u twice", n);
		heard[n] = true;
		count++;
	}
	cr_expect_eq(count, (unsigned)TOKENS);
	rig_stop();
}

Test(keeper_tokens, killed_after_a_revocation_it_lets_nobody_believe_the_old)
{
	uint64_t before[SEGMENT_WHATS];
	unsigned n = 0;

	rig_start();
	rig_make_token(1, "first");
	cr_expect_eq(rig_revoke_token("first").result, 0);
	rig_kill();
	for (int i = 0; i < SEGMENT_WHATS; i++)
		before[i] = rig_generation((enum segment_what)i);
	rig_start();
	for (int i = 0; i < SEGMENT_WHATS; i++)
		cr_expect_gt(rig_generation((enum segment_what)i), before[i],
			     "a new keeper is news");
	while (rig_told(1, &n)[0] != '\0')
		continue;
	cr_expect_eq(rig_revoke_token("first").result, 0, "whoever got no answer asks again");
	cr_expect_str_eq(rig_told(1, &n), "first");
	rig_stop();
}

Test(keeper_tokens, uses_are_written_to_the_minute_and_together)
{
	struct token t[3] = {0};
	uint64_t before, start_ms, first_ms;
	size_t commits;

	rig_start();
	for (unsigned i = 0; i < 3; i++)
		rig_make_token(i, (const char *[]){"a", "b", "c"}[i]);
	rig_revoke_token("c");
	before = rig_generation(SEGMENT_TOKENS);
	commits = rig_commits();
	start_ms = clock_ms();
	for (unsigned i = 0; i < 200; i++)
		say_used((int)i % 2, i % 4); /* 2 is revoked, 3 there never was */
	while (clock_ms() - start_ms < ANSWER_MS && (t[0].used_ms == 0 || t[1].used_ms == 0)) {
		usleep(10 * 1000);
		for (unsigned i = 0; i < 3; i++)
			cr_assert_eq(rig_look_token(i, &t[i]), 0);
		arena_reset(rig_arena);
	}
	cr_expect_geq(clock_ms() - start_ms, 500u, "they wait for others");
	cr_expect_leq(clock_wall_ms() - t[0].used_ms, 5000u);
	cr_expect_leq(clock_wall_ms() - t[1].used_ms, 5000u);
	cr_expect_eq(t[2].used_ms, 0u);
	cr_expect_eq(rig_commits(), commits + 1);
	cr_expect_eq(rig_generation(SEGMENT_TOKENS), before, "nobody needs to look again");
	first_ms = t[0].used_ms;
	say_used(1, 0);
	usleep(1500 * 1000);
	cr_assert_eq(rig_look_token(0, &t[0]), 0);
	cr_expect_eq(t[0].used_ms, first_ms, "within the minute");
	rig_stop();
}

static void
put_row(struct db *db, unsigned n, enum token_type type, uint64_t expires_ms, uint64_t used_ms,
	uint64_t revoked_ms)
{
	uint8_t digest[TOKEN_DIGEST];
	char id[16];
	struct token t = {.type = type,
			  .user = STR("u"),
			  .created_ms = 1,
			  .expires_ms = expires_ms,
			  .used_ms = used_ms,
			  .revoked_ms = revoked_ms};

	snprintf(id, sizeof(id), "row%u", n);
	t.id = str_from(id);
	rig_put_digest(n, digest);
	cr_assert_eq(tokens_put(db, digest, &t), 0);
}

Test(keeper_tokens, what_was_used_long_ago_or_by_a_clock_gone_wrong_is_written_again)
{
	struct db *db = rig_db(true);
	uint64_t now = clock_wall_ms();
	struct token t;

	cr_assert_eq(db_write_begin(db), 0);
	put_row(db, 1, TOKEN_PERSONAL, 0, now - MINUTE_MS - 1, 0);
	put_row(db, 2, TOKEN_PERSONAL, 0, now + DAY_MS, 0);
	put_row(db, 3, TOKEN_PERSONAL, 0, now - MINUTE_MS / 2, 0);
	cr_assert_eq(db_commit(db), 0);
	db_close(&db);
	rig_start();
	for (unsigned i = 1; i <= 3; i++)
		say_used(0, i);
	usleep(100 * 1000);
	rig_stop(); /* what waits is committed */
	cr_expect(rig_look_token(1, &t) == 0 && t.used_ms >= now);
	cr_expect(rig_look_token(2, &t) == 0 && t.used_ms >= now && t.used_ms < now + MINUTE_MS);
	cr_expect(rig_look_token(3, &t) == 0 && t.used_ms == now - MINUTE_MS / 2);
}

Test(keeper_tokens, rows_of_tokens_long_over_go)
{
	const uint64_t now = clock_wall_ms(), old = now - 31 * DAY_MS, young = now - 29 * DAY_MS;
	const struct {
		enum token_type type;
		uint64_t expires_ms, revoked_ms;
		int want;
	} cases[] = {
		{TOKEN_PERSONAL, old, 0, E_NOT_FOUND},
		{TOKEN_PERSONAL, young, 0, 0},
		{TOKEN_PERSONAL, 0, 0, 0},
		{TOKEN_PERSONAL, now + DAY_MS, 0, 0},
		{TOKEN_PERSONAL, 0, old, E_NOT_FOUND},
		{TOKEN_PERSONAL, now + DAY_MS, old, E_NOT_FOUND},
		{TOKEN_PERSONAL, old, young, E_NOT_FOUND}, /* revoked when it was over */
		{TOKEN_PERSONAL, 0, young, 0},
		{TOKEN_SERVICE, old, 0, E_NOT_FOUND},
		{TOKEN_SERVICE, now + DAY_MS, old, 0}, /* else it would be good again */
		{TOKEN_SERVICE, 0, old, 0},
		{TOKEN_SERVICE, young, old, 0},
	};
	const unsigned n = sizeof(cases) / sizeof(cases[0]);
	struct db *db = rig_db(true);
	uint8_t digest[TOKEN_DIGEST];
	uint64_t entries = 0;
	struct token t;

	cr_assert_eq(db_write_begin(db), 0);
	for (unsigned i = 0; i < n; i++)
		put_row(db, i, cases[i].type, cases[i].expires_ms, 0, cases[i].revoked_ms);
	for (unsigned i = 0; i < SWEPT; i++)
		put_row(db, 1000 + i, TOKEN_PERSONAL, old, 0, 0);
	cr_assert_eq(db_commit(db), 0);
	db_close(&db);
	rig_start();
	for (int i = 0; i < 100 && entries != 2 * 7; i++) {
		usleep(100 * 1000);
		db = rig_db(false);
		cr_assert_eq(db_entries(db, DB_TOKENS, &entries), 0);
		db_close(&db);
	}
	cr_expect_eq(entries, 2u * 7, "rows and ids");
	for (unsigned i = 0; i < n; i++)
		cr_expect_eq(rig_look_token(i, &t), cases[i].want, "case %u", i);
	rig_put_digest(1, digest);
	cr_expect_eq(rig_make_token(1, "row0").result, E_EXISTS);
	cr_expect_eq(rig_make_token(1000, "row0").result, 0, "an id is free again");
	rig_stop();
}
