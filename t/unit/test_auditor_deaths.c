/*
 * The keeper with audit on, as a process: what workers put into the segment is in the file once,
 * whoever is killed.
 */
#include "shm/leftover.h"
#include "t/unit/auditor_rig.h"

TestSuite(auditor_deaths, .init = rig_make_audited, .fini = rig_drop, .timeout = 120);

static unsigned
count_open(unsigned row)
{
	const struct open_row *open = segment_open(rig.segment, row);
	unsigned n = 0;

	for (unsigned i = 0; i < OPEN_SLOTS; i++)
		n += (atomic_load(&open->slots[i].word) & 3) == OPEN_STATE_OPEN;
	return n;
}

/* Of all RPCs begun each is in the file once, or one of those that were lost; or was begun by a
 * worker that had not yet written its number down (at most one per death). */
static void
expect_balance(uint64_t deaths)
{
	uint64_t missing = 0, twice = 0;

	rig_tally_all();
	for (uint64_t n = 1; n <= atomic_load(&shared->begun); n++) {
		missing += seen[n] == 0;
		twice += seen[n] > 1;
	}
	cr_expect_eq(twice, 0u, "%llu are there twice", (unsigned long long)twice);
	cr_expect(missing <= tally.lost + deaths, "%llu are missing, %llu lost, %llu deaths",
		  (unsigned long long)missing, (unsigned long long)tally.lost,
		  (unsigned long long)deaths);
	cr_expect_eq(rig_requests(), tally.rpcs + tally.lost,
		     "%llu counted, %llu recorded, %llu lost", (unsigned long long)rig_requests(),
		     (unsigned long long)tally.rpcs, (unsigned long long)tally.lost);
	rig_verify_all();
}

Test(auditor_deaths, books_balance_whoever_is_killed)
{
	enum { WORKERS = 3, DEATHS = 60 };
	pid_t pids[WORKERS];
	uint64_t deaths = 0;

	seen = calloc(NUMBERS_MAX, 1);
	srandom(3);
	rig.conf.audit.max_bytes = 256 << 10;
	rig_start();
	for (unsigned i = 0; i < WORKERS; i++)
		pids[i] = rig_fork_worker(5 + i, 50, 500);
	for (int i = 0; i < DEATHS; i++) {
		unsigned w = (unsigned)random() % WORKERS;

		usleep((useconds_t)random() % 40000);
		if (random() % 2 == 0) {
			rig_kill();
			rig_fork();
			continue;
		}
		kill(pids[w], SIGKILL);
		scratch_wait(pids[w]);
		deaths++;
		if (random() % 3 == 0) /* sometimes the row stays empty for a while */
			usleep(300 * 1000);
		pids[w] = rig_fork_worker(5 + w, 50, 500);
	}
	atomic_store(&shared->halt, true);
	for (unsigned i = 0; i < WORKERS; i++)
		cr_expect_eq(scratch_wait(pids[i]), 0);
	for (int i = 0; i < 500 && !leftover_is_empty(rig.segment); i++)
		usleep(20 * 1000);
	rig_stop();
	expect_balance(deaths);
	cr_expect_geq(tally.unfinished, deaths, "%llu", (unsigned long long)tally.unfinished);
	free(seen);
}

/* Names so long that those of team and env find no room among the facts. */
static _Noreturn void
work_on_many(unsigned row, unsigned count)
{
	char name[256];

	memset(name, 'x', sizeof(name));
	if (segment_enter_row(rig.segment, row) != 0 ||
	    desk_enter(&desk, rig.segment, row, row) != 0)
		_exit(1);
	for (unsigned i = 0; i < count; i++) {
		unsigned slot = desk_begin(&desk);
		struct audit_facts f = desk_know(&desk, slot);

		audit_number(&f, AUDIT_rpc, i + 1);
		audit_text(&f, AUDIT_user, (struct str){name, sizeof(name)});
		audit_text(&f, AUDIT_run_id, (struct str){name, sizeof(name)});
		audit_text(&f, AUDIT_team, STR("t"));
		audit_text(&f, AUDIT_env, STR("prod"));
		desk_known(&desk, slot, &f);
		desk_place(&desk, slot, PAIR);
		atomic_fetch_add(&shared->begun, 1);
	}
	for (;;)
		pause();
}

Test(auditor_deaths, all_that_a_killed_worker_had_open_is_recorded_and_counted_where_it_belongs)
{
	enum { MANY = 5000 };
	const struct metrics_slot *books;
	pid_t pid;

	seen = calloc(NUMBERS_MAX, 1);
	rig_start();
	pid = fork();
	if (pid == 0)
		work_on_many(5, MANY);
	while (atomic_load(&shared->begun) < MANY)
		usleep(1000);
	kill(pid, SIGKILL);
	scratch_wait(pid);
	cr_expect(rig_wait_for(&tally.unfinished, MANY), "%llu",
		  (unsigned long long)tally.unfinished);
	cr_expect_eq(tally.lost, 0u);
	for (unsigned n = 1; n <= MANY; n++)
		cr_assert_eq(seen[n], 1, "%u", n);
	rig_stop();
	books = segment_metrics(rig.segment, 0);
	cr_expect_eq(atomic_load(&books->requests[PAIR][GRPC_UNAVAILABLE]), (uint64_t)MANY);
	cr_expect_eq(atomic_load(&books->errors[PAIR][METRICS_ERROR_worker_died]), (uint64_t)MANY);
	cr_expect_eq(atomic_load(&books->requests[0][GRPC_UNAVAILABLE]), 0u);
	cr_expect(leftover_is_empty(rig.segment));
	free(seen);
}

Test(auditor_deaths, a_dead_workers_row_may_be_given_to_another)
{
	pid_t pid;

	rig_start();
	pid = rig_fork_worker(5, 1, 10 * 1000 * 1000);
	rig_wait_begun(0, 6); /* now it pauses, with five under way */
	for (int i = 0; i < 10000 && count_open(5) < 5; i++)
		usleep(1000);
	kill(pid, SIGKILL);
	scratch_wait(pid);
	pid = fork();
	if (pid == 0) {
		if (segment_enter_row(rig.segment, 5) == 0)
			procs_enter(&segment_procs(rig.segment)[5], PROC_CHECKER, 0, 1, 0);
		pause();
	}
	cr_expect(rig_wait_for(&tally.unfinished, 5), "%llu", (unsigned long long)tally.unfinished);
	kill(pid, SIGKILL);
	scratch_wait(pid);
	rig_stop();
	cr_expect(leftover_is_empty(rig.segment));
}

Test(auditor_deaths, what_an_earlier_life_left_comes_first)
{
	const char *words = NULL;
	pid_t pids[2];

	seen = calloc(NUMBERS_MAX, 1);
	for (unsigned life = 0; life < 5; life++) {
		rig_start();
		for (unsigned i = 0; i < 2; i++) {
			uint64_t since = atomic_load(&shared->begun);

			pids[i] = rig_fork_worker(5 + i, 50, 500);
			rig_wait_begun(since, 500);
		}
		kill(rig.pid, SIGKILL);
		if (life % 2)
			usleep(50 * 1000); /* all stays in the rings */
		for (unsigned i = 0; i < 2; i++) {
			kill(pids[i], SIGKILL);
			scratch_wait(pids[i]);
		}
		rig_end();
		segment_detach(&rig.segment);
		cr_assert_eq(leftover_put_by(scratch_path("segment"), &words), 0);
		cr_assert_not_null(words);
		cr_assert_eq(segment_create(scratch_path("segment"), &rig.segment), 0);
		/* and once more before anybody came to read it: nothing new is put by */
		if (life == 3)
			cr_assert_eq(leftover_put_by(scratch_path("segment"), &words), 0);
	}
	rig_start();
	for (unsigned i = 0;
	     i < 500 * rig_patience() && access(scratch_path("segment.old.0"), F_OK) == 0; i++)
		usleep(10 * 1000);
	cr_expect_neq(access(scratch_path("segment.old.0"), F_OK), 0, "written out, so it is gone");
	rig_stop();
	rig_tally_all();
	for (uint64_t n = 1, missing = 0; n <= atomic_load(&shared->begun); n++) {
		missing += seen[n] == 0;
		cr_assert_leq(seen[n], 1, "%llu is there twice", (unsigned long long)n);
		cr_assert_leq(missing, 10u + tally.lost, "%llu are missing",
			      (unsigned long long)missing);
	}
	cr_expect_geq(tally.unfinished, 40u);
	rig_verify_all();
	free(seen);
}
