/* The keeper as a process: bindings, groups, marks, time, drains, and its own death. */
#include "t/unit/keeper_rig.h"

TestSuite(keeper, .init = rig_make, .fini = rig_drop, .timeout = 90);

#define MANY 1000

Test(keeper, a_binding_is_made_once_and_stands)
{
	struct keeper_bound first, again;
	struct session s;

	rig_start();
	first = rig_bind(0, 1, "alice", 2);
	cr_expect(first.result == 0 && first.state == SESSION_BOUND && first.driver_id == 2);
	cr_assert_eq(rig_look(1, "alice", &s), 0, "answered, so it is on the disk");
	cr_expect_eq(s.created_ms, first.created_ms);
	cr_expect_leq(clock_wall_ms() - s.created_ms, 5000u);
	again = rig_bind(1, 1, "alice", 1);
	cr_expect(again.driver_id == 2 && again.created_ms == first.created_ms);
	cr_expect_eq(rig_bind(0, 1, "bob", 1).driver_id, 1u, "another user is another session");
	cr_expect_eq(rig_bind(0, 2, "alice", 55).result, E_NOT_FOUND, "no such driver");
	cr_expect_eq(rig_bind(0, 1, "alice", 55).driver_id, 2u, "but what stands is told");
	cr_expect(rig_count(0) == 1 && rig_count(1) == 1 && rig_count(2) == 0);
	rig_stop();
}

Test(keeper, of_two_racing_workers_one_wins_and_both_know)
{
	_Alignas(16) char buf[MSG_MAX];
	struct keeper_bound bound[2];

	rig_start();
	for (unsigned n = 0; n < 20; n++) {
		kill(rig.pid, SIGSTOP); /* so that both lie in one batch */
		for (int w = 0; w < 2; w++) {
			struct keeper_bind m = rig_bind_message(n, "u", (uint32_t)w + 1);

			cr_assert_eq(msg_send(rig.workers[w], &m.head), 0);
		}
		kill(rig.pid, SIGCONT);
		for (int w = 0; w < 2; w++)
			memcpy(&bound[w], rig_recv(rig.workers[w], buf), sizeof(bound[w]));
		cr_expect(bound[0].result == 0 && bound[1].result == 0);
		cr_expect_eq(bound[0].driver_id, bound[1].driver_id, "session %u", n);
		cr_expect_eq(bound[0].created_ms, bound[1].created_ms);
	}
	cr_expect_eq(rig_count(0) + rig_count(1), 20u);
	rig_stop();
}

/* Sends what is unanswered as long as the queue takes it, reads what has come; until `enough` are
 * answered. */
static unsigned
bind_many(bool answered[MANY], unsigned have, unsigned enough)
{
	_Alignas(16) char buf[MSG_MAX];
	unsigned next = 0;

	while (have < enough) {
		for (; next < MANY; next++) {
			struct keeper_bind m = rig_bind_message(next, "u", 1 + next % 3);

			if (!answered[next] && msg_send(rig.workers[0], &m.head) != 0)
				break;
		}
		do {
			const struct msg_head *head = rig_recv(rig.workers[0], buf);

			cr_assert(head->type == KEEPER_BOUND && head->id < MANY);
			have += !answered[head->id];
			answered[head->id] = true;
		} while (have < enough &&
			 poll(&(struct pollfd){rig.workers[0], POLLIN, 0}, 1, 0) == 1);
	}
	return have;
}

Test(keeper, a_thousand_bindings_share_their_commits)
{
	static bool answered[MANY];
	uint64_t start_ms, ms;
	size_t commits;

	rig_start();
	commits = rig_commits();
	start_ms = clock_ms();
	cr_assert_eq(bind_many(answered, 0, MANY), (unsigned)MANY);
	ms = clock_ms() - start_ms;
	commits = rig_commits() - commits;
	rig_stop();
	cr_expect_leq(commits, (size_t)MANY / 8, "%zu commits", commits);
	cr_expect_leq(ms, 5000u, "%llu ms", (unsigned long long)ms);
	cr_expect_eq(rig_count(0) + rig_count(1) + rig_count(2), (unsigned)MANY);
}

Test(keeper, killed_in_the_middle_it_forgets_nothing_it_answered)
{
	static bool answered[MANY];
	unsigned have, lost = 0;

	rig_start();
	have = bind_many(answered, 0, MANY / 3);
	rig_kill();
	for (unsigned i = 0; i < MANY; i++) {
		struct session s;

		if (answered[i])
			lost += rig_look(i, "u", &s) != 0 || s.driver_id != 1 + i % 3;
	}
	cr_expect_eq(lost, 0u, "%u of %u answered ones are gone", lost, have);
	rig_start(); /* on the same channels, in which questions may still lie */
	cr_expect_eq(bind_many(answered, have, MANY), (unsigned)MANY);
	rig_stop();
	cr_expect_eq(rig_count(0), 334u);
	cr_expect_eq(rig_count(1), 333u);
	cr_expect_eq(rig_count(2), 333u);
}

Test(keeper, a_small_map_grows_under_it)
{
	static bool answered[MANY];

	db_map_bytes = 128 * 1024;
	rig_start();
	cr_expect_eq(bind_many(answered, 0, MANY), (unsigned)MANY);
	rig_stop();
	cr_expect_eq(rig_count(0) + rig_count(1) + rig_count(2), (unsigned)MANY);
}

/* ---- notes ---- */

Test(keeper, a_lost_binding_stays_as_a_mark)
{
	struct keeper_bound made, now;
	struct session s;

	rig_start();
	made = rig_bind(0, 1, "u", 1);
	rig_note(KEEPER_LOST, 1, "u", 2, 0);
	rig_note(KEEPER_LOST, 1, "u", 1, made.created_ms + 1);
	rig_note(KEEPER_LOST, 2, "u", 1, 0);
	rig_settle();
	cr_expect_eq(rig_bind(0, 1, "u", 1).state, SESSION_BOUND, "neither driver nor moment fit");
	cr_expect_eq(rig_count(0), 1u);
	rig_note(KEEPER_LOST, 1, "u", 1, made.created_ms);
	rig_settle();
	now = rig_bind(1, 1, "u", 2);
	cr_expect(now.result == 0 && now.state == SESSION_LOST && now.driver_id == 1);
	cr_expect_eq(rig_count(0), 0u);
	rig_note(KEEPER_LOST, 1, "u", 1, 0);
	rig_note(KEEPER_RELEASE, 1, "u", 0, 0);
	rig_note(KEEPER_TOUCH, 1, "u", 0, 0);
	rig_settle();
	cr_assert_eq(rig_look(1, "u", &s), 0);
	cr_expect_eq(s.state, SESSION_LOST, "a mark is moved by time alone");
	cr_expect_eq(s.created_ms, made.created_ms);
	cr_expect_eq(rig_count(0), 0u);
	rig_stop();
}

Test(keeper, a_released_binding_is_gone)
{
	struct session s;

	rig_start();
	rig_bind(0, 1, "u", 1);
	rig_note(KEEPER_RELEASE, 1, "u", 2, 0);
	rig_settle();
	cr_expect_eq(rig_look(1, "u", &s), 0, "bound to another driver");
	rig_note(KEEPER_RELEASE, 1, "u", 1, 0);
	rig_note(KEEPER_RELEASE, 1, "u", 1, 0);
	rig_settle();
	cr_expect_eq(rig_look(1, "u", &s), E_NOT_FOUND);
	cr_expect_eq(rig_count(0), 0u);
	cr_expect_eq(rig_bind(0, 1, "u", 2).driver_id, 2u);
	rig_stop();
}

/* How long a row takes to change by a note that nobody asks after. */
static uint64_t
wait_for_change(unsigned n, const struct session *from)
{
	uint64_t start_ms = clock_ms(), ms = 0;
	struct session s = *from;

	while (ms < ANSWER_MS && rig_look(n, "u", &s) == 0 && s.seen_ms == from->seen_ms &&
	       s.state == from->state) {
		usleep(2000);
		ms = clock_ms() - start_ms;
	}
	return ms;
}

Test(keeper, touches_may_wait_a_second_and_losses_may_not)
{
	struct session s;
	uint64_t ms;

	rig_start();
	rig_bind(0, 1, "u", 1);
	usleep(5000);
	cr_assert_eq(rig_look(1, "u", &s), 0);
	rig_note(KEEPER_TOUCH, 1, "u", 0, 0);
	ms = wait_for_change(1, &s);
	cr_expect(ms >= 500 && ms <= 3000, "touched after %llu ms", (unsigned long long)ms);
	cr_assert_eq(rig_look(1, "u", &s), 0);
	rig_note(KEEPER_LOST, 1, "u", 1, 0);
	ms = wait_for_change(1, &s);
	cr_expect_leq(ms, 400u, "lost after %llu ms", (unsigned long long)ms);
	rig_stop();
}

Test(keeper, what_waits_is_committed_before_it_leaves)
{
	struct session before, after;

	rig_start();
	rig_bind(0, 1, "u", 1);
	cr_assert_eq(rig_look(1, "u", &before), 0);
	usleep(5000);
	rig_note(KEEPER_TOUCH, 1, "u", 0, 0);
	usleep(100 * 1000);
	rig_stop();
	cr_assert_eq(rig_look(1, "u", &after), 0);
	cr_expect_gt(after.seen_ms, before.seen_ms);
	cr_expect_eq(after.created_ms, before.created_ms);
}

/* ---- time ---- */

Test(keeper, idle_bindings_expire_and_used_ones_do_not)
{
	struct session s;

	rig.conf.session_idle_timeout_ms = 1800;
	rig_start();
	rig_bind(0, 1, "u", 1);
	rig_bind(0, 2, "u", 1);
	for (int i = 0; i < 20; i++) { /* 4 s */
		usleep(200 * 1000);
		rig_note(KEEPER_TOUCH, 2, "u", 0, 0);
	}
	cr_expect_eq(rig_look(1, "u", &s), E_NOT_FOUND);
	cr_expect_eq(rig_look(2, "u", &s), 0);
	cr_expect_eq(rig_count(0), 1u);
	rig_stop();
}

static void
put_row(struct db *db, unsigned n, enum session_state state, uint32_t driver, uint64_t age_ms)
{
	struct keeper_key k = rig_key(n, "u");
	struct session_key key = {.user = STR("u")};
	const struct session s = {.state = state,
				  .driver_id = driver,
				  .created_ms = clock_wall_ms() - age_ms,
				  .seen_ms = clock_wall_ms() - age_ms};

	memcpy(key.id, k.id, sizeof(key.id));
	sessions_put(db, &key, &s);
}

Test(keeper, old_marks_go_and_young_ones_stay)
{
	struct db *db = rig_db(true);
	struct session s;

	cr_assert_eq(db_write_begin(db), 0);
	put_row(db, 1, SESSION_LOST, 1, SESSION_MARK_MS + 5000);
	put_row(db, 2, SESSION_CLOSED, 1, SESSION_MARK_MS + 5000);
	put_row(db, 3, SESSION_LOST, 1, SESSION_MARK_MS - 60000);
	put_row(db, 4, SESSION_BOUND, 1, SESSION_MARK_MS + 5000);
	put_row(db, 5, SESSION_CLOSED, 1, SESSION_MARK_MS + 5000);
	for (unsigned i = 0; i < 3000; i++) /* several steps of the walk */
		put_row(db, 100 + i, SESSION_LOST, 1, SESSION_MARK_MS + 5000);
	cr_assert_eq(db_commit(db), 0);
	db_close(&db);
	rig_start();
	cr_expect_eq(rig_count(0), 1u, "marks do not count");
	cr_expect_eq(rig_bind(0, 5, "u", 2).state, SESSION_BOUND, "an old mark is as good as none");
	for (int i = 0; i < 40 && rig_look(100 + 2999, "u", &s) == 0; i++)
		usleep(100 * 1000);
	usleep(1500 * 1000);
	cr_expect_eq(rig_look(1, "u", &s), E_NOT_FOUND);
	cr_expect_eq(rig_look(2, "u", &s), E_NOT_FOUND);
	cr_expect_eq(rig_look(3, "u", &s), 0);
	cr_expect_eq(rig_look(4, "u", &s), 0, "bound ones have the idle time-out");
	cr_expect_eq(rig_look(5, "u", &s), 0);
	for (unsigned i = 0; i < 3000; i += 100)
		cr_expect_eq(rig_look(100 + i, "u", &s), E_NOT_FOUND, "%u", i);
	rig_stop();
}

/* ---- the controller ---- */

static unsigned
count_closed(int worker, unsigned n)
{
	_Alignas(16) char buf[MSG_MAX];
	const struct keeper_closed *m = (const void *)buf;
	unsigned count = 0;

	while (poll(&(struct pollfd){rig.workers[worker], POLLIN, 0}, 1, 200) == 1) {
		cr_assert_eq(msg_recv(rig.workers[worker], buf, sizeof(buf)), 0);
		cr_assert(m->head.type == KEEPER_CLOSED && MSG_IS(&m->head, keeper_closed));
		cr_expect(memcmp(m->key.id, &n, sizeof(n)) == 0 && m->key.user_len > 0);
		count++;
	}
	return count;
}

Test(keeper, closing_marks_and_tells_every_worker)
{
	struct keeper_done done;

	rig_start();
	rig_bind(0, 1, "alice", 1);
	rig_bind(0, 1, "bob", 2);
	rig_bind(0, 2, "alice", 1);
	rig_bind(0, 3, "alice", 1);
	done = rig_close(1, "");
	cr_expect(done.result == 0 && done.count == 2, "%d %u", done.result, done.count);
	cr_expect_eq(count_closed(0, 1), 2u);
	cr_expect_eq(count_closed(1, 1), 2u);
	cr_expect_eq(rig_bind(0, 1, "alice", 1).state, SESSION_CLOSED);
	cr_expect_eq(rig_bind(1, 1, "bob", 1).state, SESSION_CLOSED);
	cr_expect_eq(rig_bind(0, 2, "alice", 1).state, SESSION_BOUND);
	cr_expect(rig_count(0) == 2 && rig_count(1) == 0);
	done = rig_close(1, "");
	cr_expect(done.result == 0 && done.count == 2, "asked again: the same answer");
	cr_expect_eq(rig_count(0), 2u);
	cr_expect_eq(count_closed(0, 1) + count_closed(1, 1), 4u);
	done = rig_close(2, "alice");
	cr_expect(done.result == 0 && done.count == 1);
	cr_expect_eq(count_closed(0, 2), 1u);
	cr_expect_eq(rig_close(3, "bob").result, E_NOT_FOUND);
	cr_expect_eq(rig_close(4, "").result, E_NOT_FOUND);
	rig_stop();
}

static bool
is_draining(uint32_t id)
{
	struct db *db = rig_db(false);
	struct registry *r;
	const char *words;
	bool draining;

	cr_assert_eq(registry_load(db, 1, &r, &words), 0);
	draining = registry_driver(r, id)->draining;
	registry_unref(&r);
	db_close(&db);
	return draining;
}

Test(keeper, a_drain_outlives_the_keeper)
{
	_Atomic uint64_t *generation = segment_registry_generation(rig.segment);
	struct keeper_done done;
	uint64_t before;

	rig_start();
	before = atomic_load(generation);
	cr_expect_neq(before, 0u);
	done = rig_drain("two", true);
	cr_expect(done.result == 0 && done.count == 2);
	cr_expect_gt(atomic_load(generation), before);
	cr_expect(is_draining(2) && !is_draining(1));
	cr_expect_eq(rig_drain("one", true).result, E_EXISTS, "two clusters have it");
	cr_expect_eq(rig_drain("zz", true).result, E_NOT_FOUND);
	rig_stop();
	before = atomic_load(generation);
	rig_start();
	cr_expect_gt(atomic_load(generation), before, "a new keeper is news");
	cr_expect(is_draining(2));
	cr_expect_eq(rig_drain("a/two", false).result, 0);
	cr_expect_not(is_draining(2));
	cr_expect_eq(rig_bind(0, 1, "u", 2).result, 0);
	cr_expect_eq(rig_count(1), 1u);
	rig_stop();
}

Test(keeper, ids_stay_when_the_configuration_changes)
{
	struct conf_driver changed[] = {{STR("new"), STR("h9:1"), 1}, {STR("two"), STR("h2:1"), 5}};
	struct session s;

	rig_start();
	rig_bind(0, 1, "u", 1);
	rig_bind(0, 2, "u", 2);
	rig_bind(0, 3, "u", 2);
	rig_stop();
	rig.clusters[0].drivers = changed;
	rig_start();
	cr_expect_eq(rig_bind(0, 4, "u", 1).result, E_NOT_FOUND, "a/one is gone");
	cr_expect_eq(rig_bind(0, 4, "u", 2).result, 0, "a/two is still 2");
	cr_expect_eq(rig_bind(0, 5, "u", 4).result, 0, "a/new is 4");
	cr_expect_eq(rig_look(1, "u", &s), 0, "bindings to a/one stay until lost or expired");
	cr_expect_eq(rig_count(0), 0u, "but nobody counts them");
	cr_expect_eq(rig_count(1), 3u, "counted again at the start");
	cr_expect_eq(rig_count(3), 1u);
	rig_note(KEEPER_LOST, 1, "u", 1, 0);
	rig_settle();
	cr_expect_eq(rig_bind(0, 1, "u", 2).state, SESSION_LOST);
	rig_stop();
}

/* ---- trouble ---- */

Test(keeper, what_another_keeper_bound_is_never_counted_below_nothing)
{
	struct db *db;

	rig_start();
	db = rig_db(true); /* of the binary that is being replaced */
	cr_assert_eq(db_write_begin(db), 0);
	put_row(db, 1, SESSION_BOUND, 1, 0);
	cr_assert_eq(db_commit(db), 0);
	db_close(&db);
	rig_note(KEEPER_RELEASE, 1, "u", 1, 0);
	rig_settle();
	cr_expect_eq(rig_count(0), 0u);
	cr_expect_eq(rig_bind(0, 2, "u", 1).result, 0);
	cr_expect_eq(rig_count(0), 1u);
	rig_stop();
}

Test(keeper, nonsense_is_dropped)
{
	struct keeper_bind bind = rig_bind_message(1, "u", 1);
	struct keeper_close close_it = {.head = {KEEPER_CLOSE, sizeof(close_it), 1},
					.key = rig_key(1, "u")};
	struct keeper_note note = {.head = {KEEPER_TOUCH, sizeof(note) - 8, 1},
				   .key = rig_key(1, "u")};

	rig_start();
	rig_bind(0, 1, "u", 1);
	memset(bind.team, 'x', sizeof(bind.team)); /* does not end */
	cr_assert_eq(msg_send(rig.workers[0], &bind.head), 0);
	bind = rig_bind_message(1, "", 1); /* nobody */
	cr_assert_eq(msg_send(rig.workers[0], &bind.head), 0);
	bind = rig_bind_message(1, "u", 1);
	bind.key.user_len = SESSION_USER_MAX + 1;
	cr_assert_eq(msg_send(rig.workers[0], &bind.head), 0);
	bind.head.type = 0x7fff;
	cr_assert_eq(msg_send(rig.workers[0], &bind.head), 0);
	cr_assert_eq(msg_send(rig.workers[0], &note.head), 0);
	cr_assert_eq(msg_send(rig.workers[0], &close_it.head), 0); /* not a worker's business */
	bind = rig_bind_message(1, "u", 1);
	cr_assert_eq(msg_send(rig.controller, &bind.head), 0); /* not the controller's */
	cr_expect_eq(rig_bind(0, 1, "u", 1).state, SESSION_BOUND);
	cr_expect_eq(rig_close(1, "u").count, 1u);
	rig_stop();
}

Test(keeper, a_full_disk_is_told_and_outlived)
{
	struct session s;
	int fd;

	rig_small_disk();
	rig_start();
	cr_expect_eq(rig_bind(0, 1, "u", 1).result, 0);
	cr_expect(rig_wait_for_ok(1));
	fd = rig_fill_disk();
	for (unsigned n = 10; n < 2000 && rig_bind(0, n, "u", 2).result == 0; n++)
		continue;
	cr_expect(rig_wait_for_ok(0));
	cr_expect_eq(rig_bind(1, 5000, "u", 1).result, E_FULL);
	cr_expect_eq(rig_close(1, "u").result, E_FULL);
	cr_expect_eq(rig_look(1, "u", &s), 0, "reading goes on");
	rig_note(KEEPER_LOST, 1, "u", 1, 0);
	usleep(1200 * 1000);
	cr_assert_eq(ftruncate(fd, 0), 0);
	close(fd);
	cr_expect(rig_wait_for_ok(1), "it finds out by itself");
	cr_assert_eq(rig_look(1, "u", &s), 0);
	cr_expect_eq(s.state, SESSION_LOST, "a loss waits for better times");
	cr_expect_eq(rig_bind(1, 5000, "u", 1).result, 0);
	cr_expect_eq(rig_count(0), 1u);
	rig_stop();
	umount2(scratch, MNT_DETACH);
}

Test(keeper, its_row_beats_and_is_cleared)
{
	struct procs_row *row = &segment_procs(rig.segment)[4];
	uint64_t beat_ms;

	rig_start();
	usleep(50 * 1000);
	cr_expect_eq(atomic_load(&row->pid), (uint32_t)rig.pid);
	cr_expect_eq(atomic_load(&row->state), PROC_READY);
	cr_expect_eq(atomic_load(&row->generation), 3u);
	beat_ms = atomic_load(&row->beat_ms);
	kill(rig.pid, SIGTERM); /* the leash speaks for the supervisor */
	kill(rig.pid, SIGINT);
	usleep(1300 * 1000);
	cr_expect_gt(atomic_load(&row->beat_ms), beat_ms);
	rig_say(LEASH_REOPEN);
	rig_say(LEASH_GO);
	rig_stop();
	cr_expect_eq(atomic_load(&row->pid), 0u);
}

Test(keeper, without_a_leash_it_dies)
{
	rig_start();
	sock_close(&rig.leash);
	cr_expect_eq(rig_end(), 1);
}

Test(keeper, a_store_of_another_version_is_useless)
{
	struct db *db = rig_db(true);

	cr_assert_eq(db_write_begin(db), 0);
	db_put(db, DB_META, STR("schema"), STR("99"));
	cr_assert_eq(db_commit(db), 0);
	db_close(&db);
	rig_fork();
	cr_expect_eq(rig_end(), 2);
}

Test(keeper, without_a_folder_it_tries_again)
{
	rig.conf.state_dir = STR("/nonexistent/sparkgw");
	rig_fork();
	cr_expect_eq(rig_end(), 1);
}
