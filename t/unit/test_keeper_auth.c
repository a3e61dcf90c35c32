/* The keeper as a process: tokens, keys of providers, roll-out, private key files. */
#include <dirent.h>
#include <sys/stat.h>
#include "shm/settings.h"
#include "t/unit/keeper_rig.h"

#define DAY_MS	  (24ull * 3600 * 1000)
#define TOKENS	  400 /* more than a queue that nobody reads takes */
#define SWEPT	  450 /* several steps of the walk */
#define MINUTE_MS 60000u

static struct arena *arena;

static void
make(void)
{
	rig_make();
	arena = arena_new(4096, (size_t)256 * 1024);
}

static void
drop(void)
{
	arena_free(&arena);
	rig_drop();
}

TestSuite(keeper_auth, .init = make, .fini = drop, .timeout = 90);

static uint64_t
generation(enum segment_what what)
{
	return atomic_load(segment_generation(rig.segment, what));
}

/* ---- messages ---- */

static void
put_digest(unsigned n, uint8_t digest[TOKEN_DIGEST])
{
	memset(digest, 0xd1, TOKEN_DIGEST);
	memcpy(digest, &n, sizeof(n));
}

static struct keeper_token
token_message(unsigned n, const char *id)
{
	struct keeper_token m = {.head = {KEEPER_TOKEN, sizeof(m), 80},
				 .type = TOKEN_PERSONAL,
				 .envs_count = 2,
				 .expires_ms = clock_wall_ms() + DAY_MS,
				 .user = "alice",
				 .name = "Alice",
				 .team = "fe",
				 .note = "laptop",
				 .envs = {"dev", "prod"}};

	put_digest(n, m.digest);
	str_copy(m.id, sizeof(m.id), str_from(id));
	return m;
}

static struct keeper_done
make_token(unsigned n, const char *id)
{
	struct keeper_token m = token_message(n, id);

	return rig_ask(&m.head);
}

static struct keeper_token_revoke
revoke_message(const char *id)
{
	struct keeper_token_revoke m = {.head = {KEEPER_TOKEN_REVOKE, sizeof(m), 81}};

	str_copy(m.id, sizeof(m.id), str_from(id));
	return m;
}

static struct keeper_done
revoke_token(const char *id)
{
	struct keeper_token_revoke m = revoke_message(id);

	return rig_ask(&m.head);
}

static void
say_used(int worker, unsigned n)
{
	struct keeper_token_used m = {.head = {KEEPER_TOKEN_USED, sizeof(m), 0}};

	put_digest(n, m.digest);
	cr_assert_eq(msg_send(rig.workers[worker], &m.head), 0);
}

/* Key i of a set is made of its numbers. */
static struct keeper_public_key
key_message(const char *provider, uint64_t set, unsigned i)
{
	struct keeper_public_key m = {.head = {KEEPER_KEY, sizeof(m), 82},
				      .set = set,
				      .index = i,
				      .algs = 1u << i,
				      .kid_len = 2,
				      .der_len = KEYS_DER_MAX};

	str_copy(m.provider, sizeof(m.provider), str_from(provider));
	m.kid[0] = (uint8_t)set;
	m.kid[1] = (uint8_t)i;
	memset(m.der, (int)(set * 16 + i), sizeof(m.der));
	return m;
}

static int
put_key(const char *provider, uint64_t set, unsigned i)
{
	struct keeper_public_key m = key_message(provider, set, i);

	return rig_ask(&m.head).result;
}

static int
complete(const char *provider, uint64_t set, unsigned count)
{
	struct keeper_keys m = {.head = {KEEPER_KEYS, sizeof(m), 83},
				.set = set,
				.fetched_ms = set * 1000,
				.count = count};

	str_copy(m.provider, sizeof(m.provider), str_from(provider));
	memset(m.source, (int)set, sizeof(m.source));
	return rig_ask(&m.head).result;
}

static int
set_rollout(int percent)
{
	struct keeper_rollout m = {.head = {KEEPER_ROLLOUT, sizeof(m), 84}, .percent = percent};

	return rig_ask(&m.head).result;
}

static struct keeper_secret
secret_message(const char *name, const char *text)
{
	struct keeper_secret m = {.head = {KEEPER_SECRET, sizeof(m), 85},
				  .len = (uint32_t)strlen(text)};

	str_copy(m.name, sizeof(m.name), str_from(name));
	memcpy(m.bytes, text, m.len);
	return m;
}

static int
write_secret(const char *name, const char *text)
{
	struct keeper_secret m = secret_message(name, text);

	return rig_ask(&m.head).result;
}

/* ---- what is on the disk ---- */

static int
look(unsigned n, struct token *ret)
{
	struct db *db = rig_db(false);
	uint8_t digest[TOKEN_DIGEST];
	int err;

	put_digest(n, digest);
	cr_assert_eq(db_read_begin(db), 0);
	err = tokens_get(db, digest, arena, ret);
	db_read_end(db);
	db_close(&db);
	return err;
}

/* The number of the current set, 0 when there is none; every key of it is looked at. */
static uint64_t
current_set(const char *provider, unsigned want_count)
{
	struct db *db = rig_db(false);
	struct keys keys = {0};
	int err;

	cr_assert_eq(db_read_begin(db), 0);
	err = keys_load(db, str_from(provider), arena, &keys);
	db_read_end(db);
	db_close(&db);
	if (err == E_NOT_FOUND)
		return 0;
	cr_assert_eq(err, 0);
	cr_expect_eq(keys.count, want_count);
	cr_expect(keys.fetched_ms == keys.set * 1000 && keys.source[5] == keys.set);
	for (unsigned i = 0; i < keys.count; i++) {
		struct keeper_public_key want = key_message(provider, keys.set, i);

		cr_expect_eq(keys.list[i].algs, want.algs);
		cr_expect(str_eq(keys.list[i].kid, (struct str){(char *)want.kid, 2}));
		cr_expect(str_eq(keys.list[i].der, (struct str){(char *)want.der, KEYS_DER_MAX}));
	}
	return keys.set;
}

static int
rollout(void)
{
	struct db *db = rig_db(false);
	int percent = -2;

	cr_assert_eq(db_read_begin(db), 0);
	cr_expect_eq(settings_rollout(db, &percent), 0);
	db_read_end(db);
	db_close(&db);
	return percent;
}

/* ---- tokens ---- */

Test(keeper_auth, a_token_is_made_once)
{
	struct keeper_token m = token_message(1, "first");
	uint64_t before;
	struct keeper_done done;
	struct token t;

	rig_start();
	before = generation(SEGMENT_TOKENS);
	done = make_token(1, "first");
	cr_expect(done.result == 0 && done.count == 1);
	cr_expect_gt(generation(SEGMENT_TOKENS), before);
	cr_assert_eq(look(1, &t), 0, "answered, so it is on the disk");
	cr_expect(t.type == TOKEN_PERSONAL && str_eq(t.id, STR("first")) &&
		  str_eq(t.user, STR("alice")) && str_eq(t.name, STR("Alice")) &&
		  str_eq(t.team, STR("fe")) && str_eq(t.note, STR("laptop")));
	cr_assert_eq(t.envs_count, 2u);
	cr_expect(str_eq(t.envs[0], STR("dev")) && str_eq(t.envs[1], STR("prod")));
	cr_expect_leq(clock_wall_ms() - t.created_ms, 5000u);
	cr_expect_leq(t.expires_ms - m.expires_ms, 5000u);
	cr_expect(t.used_ms == 0 && t.revoked_ms == 0);
	cr_expect_eq(make_token(1, "first").result, 0, "asked again");
	cr_expect_eq(make_token(2, "first").result, E_EXISTS, "another one's id");
	cr_expect_eq(make_token(1, "second").result, E_EXISTS, "another one's digest");
	cr_expect_eq(make_token(2, "second").result, 0);
	m = token_message(3, "least");
	m.type = TOKEN_SERVICE;
	m.envs_count = 0;
	m.expires_ms = 0;
	m.name[0] = m.team[0] = m.note[0] = '\0';
	cr_expect_eq(rig_ask(&m.head).result, 0);
	cr_assert_eq(look(3, &t), 0);
	cr_expect(t.type == TOKEN_SERVICE && t.name.p == NULL && t.team.p == NULL &&
		  t.note.p == NULL && t.envs_count == 0 && t.expires_ms == 0);
	rig_stop();
}

/* The next revocation told to a worker; what else comes is passed over. "" after a while. */
static const char *
told(int worker, unsigned *ret_n)
{
	static _Alignas(16) char buf[MSG_MAX];
	const struct keeper_revoked *m = (const void *)buf;

	while (poll(&(struct pollfd){rig.workers[worker], POLLIN, 0}, 1, 500) == 1) {
		cr_assert_eq(msg_recv(rig.workers[worker], buf, sizeof(buf)), 0);
		if (m->head.type != KEEPER_REVOKED)
			continue;
		cr_assert(MSG_IS(&m->head, keeper_revoked));
		memcpy(ret_n, m->digest, sizeof(*ret_n));
		return m->id;
	}
	return "";
}

Test(keeper_auth, a_revocation_is_told_to_every_worker)
{
	struct keeper_done done;
	struct token t;
	uint64_t before, revoked_ms;
	unsigned n = 0;

	rig_start();
	make_token(1, "first");
	make_token(2, "second");
	before = generation(SEGMENT_TOKENS);
	done = revoke_token("first");
	cr_expect(done.result == 0 && done.count == 1);
	cr_expect_gt(generation(SEGMENT_TOKENS), before);
	for (int w = 0; w < 2; w++) {
		cr_expect_str_eq(told(w, &n), "first");
		cr_expect_eq(n, 1u);
	}
	cr_assert_eq(look(1, &t), 0);
	cr_expect_leq(clock_wall_ms() - t.revoked_ms, 5000u);
	cr_expect(str_eq(t.user, STR("alice")) && t.envs_count == 2, "the rest stays");
	revoked_ms = t.revoked_ms;
	usleep(5000);
	before = generation(SEGMENT_TOKENS);
	cr_expect_eq(revoke_token("first").result, 0, "asked again: told again");
	cr_expect_gt(generation(SEGMENT_TOKENS), before);
	cr_expect_str_eq(told(0, &n), "first");
	cr_expect_str_eq(told(1, &n), "first");
	cr_expect_eq(make_token(1, "first").result, 0, "it is there");
	cr_assert_eq(look(1, &t), 0);
	cr_expect_eq(t.revoked_ms, revoked_ms, "and still revoked");
	cr_expect_eq(revoke_token("none").result, E_NOT_FOUND);
	cr_expect_str_eq(told(0, &n), "");
	cr_assert_eq(look(2, &t), 0);
	cr_expect_eq(t.revoked_ms, 0u);
	rig_stop();
}

Test(keeper_auth, a_worker_that_does_not_read_is_told_when_it_does)
{
	static bool heard[TOKENS];
	unsigned n = 0, count = 0;
	char id[16];

	rig_start();
	for (unsigned i = 0; i < TOKENS; i++) {
		snprintf(id, sizeof(id), "t%u", i);
		cr_assert_eq(make_token(i, id).result, 0);
		cr_assert_eq(revoke_token(id).result, 0);
		cr_assert_str_eq(told(0, &n), id, "the other one hears it at once");
	}
	while (told(1, &n)[0] != '\0') {
		cr_assert(n < TOKENS && !heard[n], "%u twice", n);
		heard[n] = true;
		count++;
	}
	cr_expect_eq(count, (unsigned)TOKENS);
	rig_stop();
}

Test(keeper_auth, killed_after_a_revocation_it_lets_nobody_believe_the_old)
{
	uint64_t before[SEGMENT_WHATS];
	unsigned n = 0;

	rig_start();
	make_token(1, "first");
	cr_expect_eq(revoke_token("first").result, 0);
	rig_kill();
	for (int i = 0; i < SEGMENT_WHATS; i++)
		before[i] = generation((enum segment_what)i);
	rig_start();
	for (int i = 0; i < SEGMENT_WHATS; i++)
		cr_expect_gt(generation((enum segment_what)i), before[i], "a new keeper is news");
	while (told(1, &n)[0] != '\0')
		continue;
	cr_expect_eq(revoke_token("first").result, 0, "whoever got no answer asks again");
	cr_expect_str_eq(told(1, &n), "first");
	rig_stop();
}

Test(keeper_auth, uses_are_written_to_the_minute_and_together)
{
	struct token t[3] = {0};
	uint64_t before, start_ms, first_ms;
	size_t commits;

	rig_start();
	for (unsigned i = 0; i < 3; i++)
		make_token(i, (const char *[]){"a", "b", "c"}[i]);
	revoke_token("c");
	before = generation(SEGMENT_TOKENS);
	commits = rig_commits();
	start_ms = clock_ms();
	for (unsigned i = 0; i < 200; i++)
		say_used((int)i % 2, i % 4); /* 2 is revoked, 3 there never was */
	while (clock_ms() - start_ms < ANSWER_MS && (t[0].used_ms == 0 || t[1].used_ms == 0)) {
		usleep(10 * 1000);
		for (unsigned i = 0; i < 3; i++)
			cr_assert_eq(look(i, &t[i]), 0);
		arena_reset(arena);
	}
	cr_expect_geq(clock_ms() - start_ms, 500u, "they wait for others");
	cr_expect_leq(clock_wall_ms() - t[0].used_ms, 5000u);
	cr_expect_leq(clock_wall_ms() - t[1].used_ms, 5000u);
	cr_expect_eq(t[2].used_ms, 0u);
	cr_expect_eq(rig_commits(), commits + 1);
	cr_expect_eq(generation(SEGMENT_TOKENS), before, "nobody needs to look again");
	first_ms = t[0].used_ms;
	say_used(1, 0);
	usleep(1500 * 1000);
	cr_assert_eq(look(0, &t[0]), 0);
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
	put_digest(n, digest);
	cr_assert_eq(tokens_put(db, digest, &t), 0);
}

Test(keeper_auth, what_was_used_long_ago_or_by_a_clock_gone_wrong_is_written_again)
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
	cr_expect(look(1, &t) == 0 && t.used_ms >= now);
	cr_expect(look(2, &t) == 0 && t.used_ms >= now && t.used_ms < now + MINUTE_MS);
	cr_expect(look(3, &t) == 0 && t.used_ms == now - MINUTE_MS / 2);
}

Test(keeper_auth, rows_of_tokens_long_over_go)
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
		cr_expect_eq(look(i, &t), cases[i].want, "case %u", i);
	put_digest(1, digest);
	cr_expect_eq(make_token(1, "row0").result, E_EXISTS);
	cr_expect_eq(make_token(1000, "row0").result, 0, "an id is free again");
	rig_stop();
}

/* ---- keys ---- */

Test(keeper_auth, keys_become_current_together)
{
	uint64_t before;

	rig_start();
	before = generation(SEGMENT_KEYS);
	for (unsigned i = 0; i < 3; i++)
		cr_expect_eq(put_key("okta", 1, i), 0);
	cr_expect_eq(generation(SEGMENT_KEYS), before);
	cr_expect_eq(current_set("okta", 0), 0u);
	cr_expect_eq(complete("okta", 1, 4), E_STATE);
	cr_expect_eq(generation(SEGMENT_KEYS), before);
	cr_expect_eq(complete("okta", 1, 3), 0);
	cr_expect_gt(generation(SEGMENT_KEYS), before);
	cr_expect_eq(current_set("okta", 3), 1u);
	before = generation(SEGMENT_KEYS);
	cr_expect_eq(complete("okta", 1, 3), 0, "asked again");
	cr_expect_eq(generation(SEGMENT_KEYS), before);
	rig_stop();
}

Test(keeper_auth, killed_between_the_keys_of_a_set_it_keeps_the_old_one)
{
	struct keeper_public_key m = key_message("okta", 3, 0);
	_Alignas(16) char buf[MSG_MAX];

	rig_start();
	for (unsigned i = 0; i < 2; i++)
		cr_expect_eq(put_key("okta", 1, i), 0);
	cr_expect_eq(complete("okta", 1, 2), 0);
	for (unsigned i = 0; i < 2; i++)
		cr_expect_eq(put_key("okta", 2, i), 0);
	rig_kill();
	cr_expect_eq(current_set("okta", 2), 1u);
	rig_start();
	cr_expect_eq(current_set("okta", 2), 1u);
	cr_expect_eq(complete("okta", 2, 3), E_STATE, "the third was never said");
	cr_expect_eq(current_set("okta", 2), 1u);
	cr_expect_eq(put_key("okta", 2, 2), 0);
	cr_expect_eq(complete("okta", 2, 3), 0, "what was answered stayed");
	cr_expect_eq(current_set("okta", 3), 2u);
	kill(rig.pid, SIGSTOP);
	cr_assert_eq(msg_send(rig.controller, &m.head), 0);
	rig_kill();
	rig_start();
	cr_expect_eq(rig_recv(rig.controller, buf)->id, m.head.id, "its successor answers");
	cr_expect_eq(complete("okta", 3, 1), 0);
	cr_expect_eq(current_set("okta", 1), 3u);
	rig_stop();
}

/* ---- settings ---- */

Test(keeper_auth, the_roll_out_outlives_the_keeper)
{
	uint64_t before;

	rig_start();
	cr_expect_eq(rollout(), SETTINGS_UNSET);
	before = generation(SEGMENT_SETTINGS);
	cr_expect_eq(set_rollout(37), 0);
	cr_expect_gt(generation(SEGMENT_SETTINGS), before);
	cr_expect_eq(rollout(), 37);
	rig_kill();
	rig_start();
	cr_expect_eq(rollout(), 37);
	cr_expect_eq(set_rollout(0), 0);
	cr_expect_eq(rollout(), 0);
	cr_expect_eq(set_rollout(SETTINGS_UNSET), 0);
	cr_expect_eq(rollout(), SETTINGS_UNSET);
	rig_stop();
}

/* ---- private keys ---- */

/* Its text; "" when there is none. */
static const char *
read_secret(const char *name)
{
	static char text[KEEPER_SECRET_MAX + 1];
	char path[48];
	struct stat st;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "keys/%.40s", name);
	fd = open(scratch_path(path), O_RDONLY | O_NOFOLLOW);
	if (fd < 0)
		return "";
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600u);
	n = read(fd, text, sizeof(text) - 1);
	cr_assert_geq(n, 0);
	text[n] = '\0';
	close(fd);
	return text;
}

static mode_t
folder_mode(void)
{
	struct stat st;

	cr_assert_eq(stat(scratch_path("keys"), &st), 0);
	return st.st_mode & 07777;
}

static unsigned
files_in_folder(void)
{
	DIR *dir = opendir(scratch_path("keys"));
	unsigned n = 0;

	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	return n;
}

Test(keeper_auth, a_private_key_is_a_closed_file)
{
	static char big[KEEPER_SECRET_MAX + 1];

	umask(0);
	rig_start();
	cr_expect_eq(write_secret("service-2026.pem", "private"), 0);
	cr_expect_eq(folder_mode(), 0700u);
	cr_expect_str_eq(read_secret("service-2026.pem"), "private");
	cr_assert_eq(chmod(scratch_path("keys"), 0777), 0);
	cr_assert_eq(chmod(scratch_path("keys/service-2026.pem"), 0666), 0);
	memset(big, 'k', KEEPER_SECRET_MAX);
	cr_expect_eq(write_secret("service-2026.pem", big), 0, "replaced");
	cr_expect_eq(folder_mode(), 0700u, "closed again");
	cr_expect_str_eq(read_secret("service-2026.pem"), big);
	cr_expect_eq(write_secret("b", "2"), 0);
	cr_expect_eq(files_in_folder(), 2u, "no temporary one stays");
	cr_expect_eq(write_secret("b", ""), 0, "removed");
	cr_expect_eq(write_secret("b", ""), 0, "and it is gone");
	cr_expect_eq(files_in_folder(), 1u);
	rig_stop();
}

Test(keeper_auth, names_lead_out_of_no_folder)
{
	static const char *const names[] = {"",	      ".", "..",  ".a",	 "../a", "a/b",
					    "/tmp/a", "A", "a b", "a\n", "a_b",	 "\xc3\xa4"};

	rig_start();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct keeper_secret m = secret_message(names[i], "x");

		cr_assert_eq(msg_send(rig.controller, &m.head), 0);
	}
	cr_expect_eq(write_secret("good", "x"), 0, "the first one that is answered");
	cr_expect_eq(files_in_folder(), 1u);
	rig_stop();
}

Test(keeper_auth, a_folder_that_is_not_ours_is_not_used)
{
	rig_start();
	cr_assert_eq(mkdir(scratch_path("elsewhere"), 0700), 0);
	cr_assert_eq(symlink("elsewhere", scratch_path("keys")), 0);
	cr_expect_eq(write_secret("a", "x"), E_DENIED);
	cr_assert_eq(unlink(scratch_path("keys")), 0);
	cr_assert_eq(rename(scratch_path("elsewhere"), scratch_path("keys")), 0);
	cr_assert_eq(symlink("../victim", scratch_path("keys/a")), 0);
	cr_expect_eq(write_secret("a", "x"), 0);
	cr_expect_str_eq(read_secret("a"), "x", "a file of its own");
	cr_expect_neq(access(scratch_path("victim"), F_OK), 0);
	if (geteuid() == 0) {
		cr_assert_eq(chown(scratch_path("keys"), 65534, 65534), 0);
		cr_expect_eq(write_secret("b", "x"), E_DENIED, "another user's");
	}
	rig_stop();
}

/* ---- trouble ---- */

Test(keeper_auth, on_a_full_disk_nothing_is_half_done)
{
	unsigned n = 0;
	uint64_t before;
	struct token t;
	int fd;

	rig_small_disk();
	rig_start();
	cr_expect_eq(make_token(1, "first").result, 0);
	cr_expect_eq(write_secret("key", "old"), 0);
	fd = rig_fill_disk();
	for (unsigned i = 10; i < 2000 && put_key("big", 1, i % KEYS_MAX) == 0; i++)
		cr_assert(rig_bind(0, i, "u", 2).result == 0 || i > 10);
	cr_expect(rig_wait_for_ok(0));
	before = generation(SEGMENT_TOKENS);
	cr_expect_eq(make_token(2, "second").result, E_FULL);
	cr_expect_eq(revoke_token("first").result, E_FULL);
	cr_expect_eq(set_rollout(10), E_FULL);
	cr_expect_eq(put_key("okta", 1, 0), E_FULL);
	cr_expect_eq(write_secret("key", "new"), E_FULL);
	cr_expect_str_eq(read_secret("key"), "old");
	cr_expect_eq(files_in_folder(), 1u);
	cr_expect_str_eq(told(0, &n), "", "what is not on the disk is told to nobody");
	cr_expect_eq(generation(SEGMENT_TOKENS), before);
	cr_assert_eq(look(1, &t), 0, "reading goes on");
	cr_expect_eq(t.revoked_ms, 0u);
	cr_assert_eq(ftruncate(fd, 0), 0);
	close(fd);
	cr_expect(rig_wait_for_ok(1));
	cr_expect_eq(revoke_token("first").result, 0);
	cr_expect_str_eq(told(0, &n), "first");
	cr_expect_eq(write_secret("key", "new"), 0);
	cr_expect_str_eq(read_secret("key"), "new");
	rig_stop();
	umount2(scratch, MNT_DETACH);
}

/* To the keeper as it is, shorter, and longer by four bytes: all dropped. */
static void
send_misshapen(int fd, const struct msg_head *head)
{
	_Alignas(16) char buf[MSG_MAX] = {0};
	struct msg_head *copy = (void *)buf;

	memcpy(buf, head, head->size);
	copy->size = (uint16_t)(head->size - 4);
	cr_assert_eq(msg_send(fd, copy), 0);
	copy->size = (uint16_t)(head->size + 4);
	cr_assert_eq(msg_send(fd, copy), 0);
}

Test(keeper_auth, messages_of_another_size_or_of_the_wrong_side_are_dropped)
{
	struct keeper_token token = token_message(1, "a");
	struct keeper_token_revoke revoke = revoke_message("first");
	struct keeper_token_used used = {.head = {KEEPER_TOKEN_USED, sizeof(used), 0}};
	struct keeper_public_key key = key_message("okta", 1, 0);
	struct keeper_keys keys = {.head = {KEEPER_KEYS, sizeof(keys), 1}, .provider = "okta"};
	struct keeper_rollout rolled = {.head = {KEEPER_ROLLOUT, sizeof(rolled), 1}};
	struct keeper_secret secret = secret_message("a", "x");
	const struct msg_head *all[] = {&token.head, &revoke.head, &key.head,
					&keys.head,  &rolled.head, &secret.head};

	rig_start();
	cr_expect_eq(make_token(7, "first").result, 0);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		send_misshapen(rig.controller, all[i]);
		cr_assert_eq(msg_send(rig.workers[0], all[i]), 0); /* not a worker's business */
	}
	send_misshapen(rig.workers[0], &used.head);
	cr_assert_eq(msg_send(rig.controller, &used.head), 0); /* not the controller's */
	rig_settle();
	cr_expect_eq(make_token(2, "good").result, 0, "the first one that is answered");
	cr_expect_eq(rollout(), SETTINGS_UNSET);
	cr_expect_eq(current_set("okta", 0), 0u);
	cr_expect_str_eq(read_secret("a"), "");
	rig_stop();
}

Test(keeper_auth, messages_that_say_nonsense_are_dropped)
{
	struct keeper_token token[12];
	struct keeper_token_revoke revoke = revoke_message("A");
	struct keeper_public_key key[4];
	struct keeper_keys keys[2];
	struct keeper_rollout rolled[2];
	struct keeper_secret secret = secret_message("a", "x");
	struct token t;

	for (size_t i = 0; i < 12; i++)
		token[i] = token_message(1, "a");
	token[0].type = 0;
	token[1].envs_count = TOKEN_ENVS_MAX + 1;
	token[2].expires_ms = TOKEN_TIME_MAX + 1;
	token[3].id[0] = '\0';
	token[4].user[0] = '\0';
	memset(token[5].user, 'u', SESSION_USER_MAX + 1);
	memset(token[6].note, 'n', sizeof(token[6].note)); /* does not end */
	token[7].name[0] = '\xff';
	token[8].envs[1][0] = '\0';
	memset(token[9].envs[1], 'e', sizeof(token[9].envs[1]));
	memset(token[10].id, 'i', sizeof(token[10].id));
	token[11].team[0] = '\xc0';
	for (size_t i = 0; i < 4; i++)
		key[i] = key_message("okta", 1, 0);
	key[0].index = KEYS_MAX;
	key[1].kid_len = KEYS_KID_MAX + 1;
	key[2].der_len = 0;
	key[3].provider[0] = '\0';
	keys[0] = (struct keeper_keys){.head = {KEEPER_KEYS, sizeof(keys[0]), 1}};
	keys[1] = keys[0];
	keys[1].provider[0] = 'p';
	keys[1].count = KEYS_MAX + 1;
	rolled[0] = (struct keeper_rollout){{KEEPER_ROLLOUT, sizeof(rolled[0]), 1}, 101};
	rolled[1] = (struct keeper_rollout){{KEEPER_ROLLOUT, sizeof(rolled[0]), 1}, -2};
	secret.len = KEEPER_SECRET_MAX + 1;
	rig_start();
	for (size_t i = 0; i < 12; i++)
		cr_assert_eq(msg_send(rig.controller, &token[i].head), 0);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(msg_send(rig.controller, &key[i].head), 0);
	for (size_t i = 0; i < 2; i++) {
		cr_assert_eq(msg_send(rig.controller, &keys[i].head), 0);
		cr_assert_eq(msg_send(rig.controller, &rolled[i].head), 0);
	}
	cr_assert_eq(msg_send(rig.controller, &revoke.head), 0);
	cr_assert_eq(msg_send(rig.controller, &secret.head), 0);
	cr_expect_eq(make_token(2, "good").result, 0, "the first one that is answered");
	cr_expect_eq(look(1, &t), E_NOT_FOUND);
	rig_stop();
}
