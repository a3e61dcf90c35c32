/* The shared segment: its file, its parts, and the small rows in it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "lib/clock.h"
#include "shm/counters.h"
#include "shm/health.h"
#include "shm/labels.h"
#include "shm/ledger.h"
#include "shm/metrics.h"
#include "shm/open.h"
#include "shm/ring.h"
#include "shm/procs.h"
#include "shm/segment.h"
#include "t/unit/scratch.h"

TestSuite(segment, .init = scratch_make, .fini = scratch_drop, .timeout = 20);

static struct segment *
make(void)
{
	struct segment *s = NULL;

	cr_assert_eq(segment_create(scratch_path("segment"), &s), 0);
	return s;
}

static unsigned interruptions; /* of posix_fallocate(), to come */

int
posix_fallocate(int fd, off_t at, off_t size)
{
	if (interruptions > 0) {
		interruptions--;
		return EINTR;
	}
	return fallocate(fd, 0, at, size) == 0 ? 0 : errno;
}

static struct segment *
attach(void)
{
	struct segment *s = NULL;

	cr_assert_eq(segment_attach(scratch_path("segment"), &s), 0);
	return s;
}

static unsigned
files_in_scratch(void)
{
	DIR *dir = opendir(scratch);
	unsigned n = 0;

	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

Test(segment, file_is_private_and_alone)
{
	struct segment *s = make();
	struct stat st;

	cr_assert_eq(stat(scratch_path("segment"), &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600u);
	cr_expect_neq(fcntl(segment_fd(s), F_GETFD) & FD_CLOEXEC, 0);
	cr_expect_eq(files_in_scratch(), 1u, "a temporary file was left");
	segment_detach(&s);
	cr_expect_null(s);
	cr_expect_eq(access(scratch_path("segment"), F_OK), 0, "detaching keeps the file");
}

static struct segment *
make_reserved(void)
{
	static const unsigned rows[] = {0, 1, SEGMENT_PROCS - 1};
	struct segment *s = make();

	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(segment_reserve(s, rows[i], SEGMENT_METRICS | SEGMENT_AUDIT), 0);
	return s;
}

Test(segment, parts_are_aligned_and_apart)
{
	struct segment *s = make_reserved();
	const struct {
		char *start;
		size_t size;
	} parts[] = {
		{(char *)(uintptr_t)segment_registry_generation(s), 8},
		{(char *)(uintptr_t)segment_keeper_ok(s), 4},
		{(char *)(uintptr_t)segment_generation(s, 0), SEGMENT_WHATS * 8},
		{(char *)segment_procs(s), SEGMENT_PROCS * sizeof(struct procs_row)},
		{(char *)segment_health(s), SEGMENT_DRIVERS * sizeof(struct health_row)},
		{(char *)segment_counters(s), SEGMENT_COUNTERS * sizeof(struct counters_slot)},
		{(char *)(uintptr_t)segment_driver_sessions(s), SEGMENT_DRIVERS * sizeof(uint32_t)},
		{(char *)(uintptr_t)segment_pair_sessions(s), SEGMENT_PAIRS * sizeof(uint32_t)},
		{(char *)segment_labels(s), sizeof(struct labels)},
		{(char *)segment_ledger(s), sizeof(struct ledger)},
		{(char *)segment_metrics_keeper(s), sizeof(struct metrics_keeper)},
		{(char *)segment_metrics(s, 0), sizeof(struct metrics_slot)},
		{(char *)segment_metrics(s, 1), sizeof(struct metrics_slot)},
		{(char *)segment_ring(s, 1), sizeof(struct ring)},
		{(char *)segment_ring(s, SEGMENT_PROCS - 1), sizeof(struct ring)},
		{(char *)segment_open(s, 1), sizeof(struct open_row)},
		{(char *)segment_open(s, SEGMENT_PROCS - 1), sizeof(struct open_row)},
	};
	const size_t n = sizeof(parts) / sizeof(parts[0]);

	for (size_t i = 0; i < n; i++)
		memset(parts[i].start, (int)i + 1, parts[i].size);
	for (size_t i = 0; i < n; i++) {
		cr_expect_eq(parts[i].start[0], (char)(i + 1), "part %zu", i);
		cr_expect_eq(parts[i].start[parts[i].size - 1], (char)(i + 1), "part %zu", i);
		cr_expect(i < 3 || (uintptr_t)parts[i].start % 4096 == 0, "part %zu", i);
	}
	segment_detach(&s);
}

Test(segment, two_mappings_see_one_file)
{
	struct segment *a = make(), *b = attach(), *c = NULL;

	atomic_store(segment_registry_generation(a), 42);
	atomic_store(&segment_driver_sessions(b)[SEGMENT_DRIVERS - 1], 7);
	cr_assert_eq(segment_attach_fd(dup(segment_fd(a)), &c), 0);
	cr_expect_eq(atomic_load(segment_registry_generation(c)), 42u);
	cr_expect_eq(atomic_load(&segment_driver_sessions(c)[SEGMENT_DRIVERS - 1]), 7u);
	segment_detach(&a);
	segment_detach(&b);
	cr_expect_eq(atomic_load(segment_registry_generation(c)), 42u);
	segment_detach(&c);
}

Test(segment, each_table_has_its_generation)
{
	struct segment *a = make(), *b = attach();

	for (int i = 0; i < SEGMENT_WHATS; i++)
		atomic_store(segment_generation(a, (enum segment_what)i), 10u + (unsigned)i);
	cr_expect_eq(atomic_load(segment_generation(b, SEGMENT_TOKENS)), 10u);
	cr_expect_eq(atomic_load(segment_generation(b, SEGMENT_KEYS)), 11u);
	cr_expect_eq(atomic_load(segment_generation(b, SEGMENT_SETTINGS)), 12u);
	cr_expect_eq(atomic_load(segment_registry_generation(b)), 0u);
	segment_detach(&a);
	segment_detach(&b);
}

Test(segment, wishes_for_keys_only_ever_move)
{
	struct segment *s = make();
	struct counters_slot *slot = &segment_counters(s)[7];

	counters_want_keys(slot, 0);
	counters_want_keys(slot, SEGMENT_PROVIDERS - 1);
	counters_want_keys(slot, SEGMENT_PROVIDERS - 1);
	counters_want_keys(slot, SEGMENT_PROVIDERS); /* of a configuration with that many */
	counters_clear(slot);
	counters_want_keys(slot, 0);
	cr_expect_eq(atomic_load(&slot->keys_wanted[0]), 2u, "over processes too");
	cr_expect_eq(atomic_load(&slot->keys_wanted[1]), 0u);
	cr_expect_eq(atomic_load(&slot->keys_wanted[SEGMENT_PROVIDERS - 1]), 2u);
	cr_expect_eq(atomic_load(&segment_counters(s)[8].v[0]), 0u);
	segment_detach(&s);
}

Test(segment, a_new_one_replaces_the_old_which_stays_whole)
{
	struct segment *old = make(), *new, *seen;

	atomic_store(segment_keeper_ok(old), 1);
	new = make();
	seen = attach();
	cr_expect_eq(atomic_load(segment_keeper_ok(seen)), 0u, "a new file starts empty");
	atomic_store(segment_keeper_ok(new), 9);
	cr_expect_eq(atomic_load(segment_keeper_ok(seen)), 9u);
	cr_expect_eq(atomic_load(segment_keeper_ok(old)), 1u);
	segment_detach(&old);
	segment_detach(&new);
	segment_detach(&seen);
}

static void
patch(off_t at, const void *p, size_t n)
{
	int fd = open(scratch_path("segment"), O_WRONLY);

	cr_assert_eq(pwrite(fd, p, n, at), (ssize_t)n);
	close(fd);
}

Test(segment, what_is_no_segment_is_refused)
{
	const char *path = scratch_path("segment");
	struct segment *s = NULL;
	struct stat st;

	cr_expect_eq(segment_attach(path, &s), E_NOT_FOUND);
	s = make();
	segment_detach(&s);
	patch(8, "\x63", 1); /* version */
	cr_expect_eq(segment_attach(path, &s), E_VERSION);
	s = make();
	segment_detach(&s);
	patch(16, "\xff", 1); /* size of a row */
	cr_expect_eq(segment_attach(path, &s), E_VERSION);
	patch(0, "x", 1); /* magic */
	cr_expect_eq(segment_attach(path, &s), E_SYNTAX);
	s = make();
	segment_detach(&s);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(truncate(path, st.st_size - 1), 0);
	cr_expect_eq(segment_attach(path, &s), E_SYNTAX);
	cr_assert_eq(truncate(path, 3), 0);
	cr_expect_eq(segment_attach(path, &s), E_SYNTAX);
	cr_expect_null(s);
	cr_expect_eq(segment_create(scratch_path("no/such/folder"), &s), E_IO);
	cr_expect_null(s);
}

Test(segment, a_process_row_from_entry_to_exit)
{
	struct segment *s = make();
	struct procs_row *row = &segment_procs(s)[3];
	pid_t pid = fork();

	if (pid == 0) {
		procs_enter(row, PROC_WORKER, 2, 7, 5);
		procs_set_state(row, PROC_READY);
		procs_beat(row, 123456);
		_exit(0); /* as if it had been killed: the row stays */
	}
	cr_assert_eq(scratch_wait(pid), 0);
	cr_expect_eq(atomic_load(&row->pid), (uint32_t)pid);
	cr_expect_str_eq(procs_kind_name(atomic_load(&row->kind)), "worker");
	cr_expect_str_eq(procs_state_name(atomic_load(&row->state)), "ready");
	cr_expect_eq(atomic_load(&row->slot), 2u);
	cr_expect_eq(atomic_load(&row->generation), 7u);
	cr_expect_eq(atomic_load(&row->restarts), 5u);
	cr_expect_eq(atomic_load(&row->beat_ms), 123456u);
	procs_enter(row, PROC_KEEPER, 0, 8, 6);
	cr_expect_eq(atomic_load(&row->pid), (uint32_t)getpid());
	cr_expect_str_eq(procs_state_name(atomic_load(&row->state)), "starting");
	cr_expect_leq(clock_ms() - atomic_load(&row->beat_ms), 5000u);
	procs_leave(row);
	cr_expect_eq(atomic_load(&row->pid), 0u);
	cr_expect_str_eq(procs_kind_name(77), "unknown");
	segment_detach(&s);
}

Test(segment, only_its_process_changes_a_row, .signal = SIGABRT)
{
	struct segment *s = make();

	/* a core of all the segment, as valgrind writes it, takes its time */
	cr_assert_eq(setrlimit(RLIMIT_CORE, &(struct rlimit){0}), 0);
	procs_set_state(&segment_procs(s)[0], PROC_READY);
}

Test(segment, a_process_that_does_not_beat_is_told_from_one_that_does)
{
	struct segment *s = make();
	struct procs_row *row = &segment_procs(s)[3];
	uint64_t now_ms = clock_ms();

	cr_expect_not(procs_is_beating(row, now_ms));
	procs_enter(row, PROC_WORKER, 0, 1, 0);
	cr_expect(procs_is_beating(row, now_ms));
	procs_beat(row, now_ms);
	cr_expect(procs_is_beating(row, now_ms + 14000));
	cr_expect_not(procs_is_beating(row, now_ms + 16000));
	procs_beat(row, now_ms + 16000);
	cr_expect(procs_is_beating(row, now_ms + 16000));
	procs_leave(row);
	cr_expect_not(procs_is_beating(row, now_ms + 16000));
	segment_detach(&s);
}

Test(segment, counters_add_up_over_slots_and_processes)
{
	struct segment *s = make();
	struct counters_slot *slots = segment_counters(s);
	uint64_t sums[COUNTERS_COUNT] = {0}, own[COUNTERS_COUNT];

	counters_add(&slots[0], COUNTER_rpcs_total, 5);
	counters_add(&slots[511], COUNTER_rpcs_total, 7);
	counters_add(&slots[1], COUNTER_rpcs_open, 2);
	counters_add(&slots[1], COUNTER_rpcs_open, -1);
	atomic_store(&slots[511].running[9], 4);
	for (unsigned i = 0; i < SEGMENT_COUNTERS; i++)
		counters_sum(&slots[i], i != 1, sums);
	cr_expect_eq(sums[COUNTER_rpcs_total], 12u);
	cr_expect_eq(sums[COUNTER_rpcs_open], 0u, "of a dead process");
	cr_expect_eq(sums[COUNTER_abuse_closed], 0u);
	counters_sum(&slots[1], true, sums);
	cr_expect_eq(sums[COUNTER_rpcs_open], 1u);
	for (int i = 0; i < 2; i++) { /* the next process, and the one after it */
		counters_add(&slots[511], COUNTER_rpcs_open, 1);
		counters_clear(&slots[511]);
	}
	counters_add(&slots[511], COUNTER_rpcs_total, 2);
	counters_get(&slots[511], own);
	cr_expect_eq(own[COUNTER_rpcs_total], 2u);
	memset(sums, 0, sizeof(sums));
	counters_sum(&slots[511], true, sums);
	cr_expect_eq(sums[COUNTER_rpcs_total], 9u);
	cr_expect_eq(sums[COUNTER_rpcs_open], 0u);
	cr_expect_eq(atomic_load(&slots[511].running[9]), 0u);
	cr_expect_str_eq(counters_info[COUNTER_rpcs_open].name, "rpcs_open");
	cr_expect(counters_info[COUNTER_rpcs_open].is_gauge);
	cr_expect_not(counters_info[COUNTER_rpcs_total].is_gauge);
	for (unsigned i = 0; i < COUNTERS_COUNT; i++)
		cr_expect(counters_info[i].name != NULL && counters_info[i].help != NULL);
	segment_detach(&s);
}

/* ---- rows that take memory when asked for ---- */

static uint64_t
memory_of_file(void)
{
	struct stat st;

	cr_assert_eq(stat(scratch_path("segment"), &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

Test(segment, most_of_the_file_is_hole)
{
	struct segment *s = make();
	uint64_t empty = memory_of_file(), one;

	cr_expect_leq(empty, (uint64_t)4 << 20, "%llu", (unsigned long long)empty);
	cr_expect_null(segment_ring(s, 9));
	cr_expect_null(segment_open(s, 9));
	cr_expect_null(segment_metrics(s, 9));
	cr_assert_eq(segment_reserve(s, 9, SEGMENT_METRICS), 0);
	cr_expect_not_null(segment_metrics(s, 9));
	cr_expect_null(segment_ring(s, 9));
	cr_assert_eq(segment_reserve(s, 9, SEGMENT_AUDIT | SEGMENT_METRICS), 0);
	cr_assert_eq(segment_reserve(s, 9, SEGMENT_AUDIT), 0, "again costs nothing");
	one = memory_of_file() - empty;
	cr_expect(one > (uint64_t)2 << 20 && one < (uint64_t)9 << 18, "%llu",
		  (unsigned long long)one);
	atomic_store(&segment_ring(s, 9)->head, 8);
	cr_assert_eq(segment_reserve(s, 9, SEGMENT_AUDIT), 0);
	cr_expect_eq(atomic_load(&segment_ring(s, 9)->head), 8u, "what stood there stays");
	segment_detach(&s);
}

Test(segment, a_full_tmpfs_is_an_error_at_once)
{
	struct segment *s = NULL;
	unsigned row = 0;

	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", scratch, "tmpfs", 0, "size=8m,mode=700") != 0)
		cr_skip_test("a small tmpfs cannot be mounted here: %s", strerror(errno));
	cr_assert_eq(segment_create(scratch_path("segment"), &s), 0);
	while (segment_reserve(s, row, SEGMENT_AUDIT | SEGMENT_METRICS) == 0)
		row++;
	cr_expect_eq(row, 2u);
	cr_expect_eq(segment_reserve(s, row, SEGMENT_AUDIT), E_FULL);
	cr_expect_null(segment_ring(s, row));
	segment_detach(&s);
	umount2(scratch, MNT_DETACH);
}

/* A tmpfs gives up in the middle for any signal, also that which lets a stopped process go on. */
Test(segment, a_signal_while_memory_is_reserved_is_no_failure)
{
	struct segment *s = NULL;

	interruptions = 2;
	cr_assert_eq(segment_create(scratch_path("segment"), &s), 0);
	interruptions = 2;
	cr_expect_eq(segment_reserve(s, 1, SEGMENT_AUDIT), 0);
	cr_expect_not_null(segment_ring(s, 1));
	cr_expect_eq(interruptions, 0u);
	segment_detach(&s);
}

Test(segment, a_row_is_its_process_until_that_is_dead)
{
	struct segment *s = make(), *other = attach();
	int fds[2];
	char byte;
	pid_t pid;

	cr_assert_eq(pipe(fds), 0);
	cr_expect_not(segment_row_lives(s, 7));
	pid = fork();
	if (pid == 0) {
		byte = segment_enter_row(s, 7) == 0 ? 'y' : 'n';
		if (write(fds[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	cr_assert_eq(read(fds[0], &byte, 1), 1);
	cr_expect_eq(byte, 'y');
	cr_expect(segment_row_lives(s, 7) && segment_row_lives(other, 7));
	cr_expect_not(segment_row_lives(s, 8));
	cr_expect_eq(segment_enter_row(s, 7), E_EXISTS);
	cr_expect_eq(segment_enter_row(s, 8), 0);
	kill(pid, SIGKILL);
	scratch_wait(pid);
	cr_expect_not(segment_row_lives(s, 7));
	cr_expect_eq(segment_enter_row(s, 7), 0);
	segment_detach(&other);
	segment_detach(&s);
}

Test(segment, of_an_old_one_the_audit_parts_are_found)
{
	const char *path = scratch_path("segment");
	struct segment *s = make(), *old = NULL;

	cr_assert_eq(segment_reserve(s, 2, SEGMENT_AUDIT), 0);
	atomic_store(&segment_ring(s, 2)->head, 16);
	atomic_store(&segment_open(s, 2)->life, 3);
	atomic_store(&segment_ledger(s)->last_seq, 99);
	segment_detach(&s);
	patch(8, "\x63", 1); /* version */
	cr_assert_eq(segment_attach_old(path, &old), 0,
		     "of a later version, with the same audit parts");
	cr_expect_eq(segment_rows(old), (unsigned)SEGMENT_PROCS);
	cr_expect_eq(atomic_load(&segment_ring(old, 2)->head), 16u);
	cr_expect_eq(atomic_load(&segment_open(old, 2)->life), 3u);
	cr_expect_eq(atomic_load(&segment_ledger(old)->last_seq), 99u);
	cr_expect_null(segment_ring(old, 1));
	segment_detach(&old);
	patch(28, "\xff\xff", 2); /* rows */
	cr_expect_eq(segment_attach_old(path, &old), E_SYNTAX);
	patch(24, "\x09", 1); /* format of the audit parts */
	cr_expect_eq(segment_attach_old(path, &old), E_VERSION);
	patch(0, "x", 1);
	cr_expect_eq(segment_attach_old(path, &old), E_SYNTAX);
	cr_expect_eq(segment_attach_old(scratch_path("none"), &old), E_NOT_FOUND);
}

/* ---- labels and metrics ---- */

Test(segment, pairs_have_numbers_that_stay)
{
	struct segment *s = make();
	struct labels *l = segment_labels(s);
	struct str team, env;
	char name[80];

	cr_expect(labels_count(l) == 1 && labels_find(l, STR("t"), STR("prod")) == 0);
	cr_expect_eq(labels_add(l, STR("t"), STR("prod")), 1u);
	cr_expect_eq(labels_add(l, STR("t"), STR("dev")), 2u);
	cr_expect_eq(labels_add(l, STR("t"), STR("prod")), 1u);
	cr_expect(labels_count(l) == 3 && labels_find(l, STR("t"), STR("dev")) == 2);
	cr_expect_eq(labels_find(l, STR("tp"), STR("rod")), 0u);
	labels_get(l, 2, &team, &env);
	cr_expect(str_eq(team, STR("t")) && str_eq(env, STR("dev")));
	labels_get(l, 0, &team, &env);
	cr_expect(str_eq(team, STR("other")) && str_eq(env, STR("other")));
	memset(name, 'x', sizeof(name));
	cr_expect_eq(labels_add(l, (struct str){name, 64}, STR("dev")), 0u);
	cr_expect_eq(labels_add(l, STR_NONE, STR("dev")), 0u);
	for (unsigned i = 3; i < SEGMENT_PAIRS; i++) {
		snprintf(name, sizeof(name), "team-%u", i);
		cr_expect_eq(labels_add(l, str_from(name), STR("dev")), i);
	}
	cr_expect_eq(labels_add(l, STR("late"), STR("dev")), 0u, "the table is full");
	cr_expect_eq(labels_count(l), (unsigned)SEGMENT_PAIRS);
	cr_expect_eq(labels_find(l, str_from(name), STR("dev")), SEGMENT_PAIRS - 1u);
	segment_detach(&s);
}

/* Who calls a team and its environment so has the same series, not a second one of that name. */
Test(segment, the_pair_of_others_is_one_pair)
{
	struct segment *s = make();
	struct labels *l = segment_labels(s);

	cr_expect_eq(labels_add(l, STR("other"), STR("other")), 0u);
	cr_expect_eq(labels_find(l, STR("other"), STR("other")), 0u);
	cr_expect_eq(labels_count(l), 1u);
	cr_expect(labels_is_other(STR("other"), STR("other")));
	cr_expect_eq(labels_add(l, STR("other"), STR("prod")), 1u);
	cr_expect_not(labels_is_other(STR("other"), STR("prod")));
	segment_detach(&s);
}

Test(segment, times_fall_into_honest_buckets)
{
	static const struct {
		uint64_t us;
		unsigned bucket;
	} cases[] = {{0, 0},	{1000, 0},	 {1001, 1},	  {2500, 1},
		     {2501, 2}, {300000000, 16}, {300000001, 17}, {UINT64_MAX / 2, 17}};
	struct metrics_histogram h = {0};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t before = atomic_load(&h.count[cases[i].bucket]);

		metrics_observe(&h, cases[i].us);
		cr_expect_eq(atomic_load(&h.count[cases[i].bucket]), before + 1, "case %zu", i);
		sum += cases[i].us;
	}
	cr_expect_eq(atomic_load(&h.sum_us), sum);
	for (unsigned i = 1; i < METRICS_BUCKETS - 1; i++)
		cr_expect_gt(metrics_bounds_us[i], metrics_bounds_us[i - 1]);
	for (unsigned i = 0; i < METRICS_ERRORS_COUNT; i++)
		cr_expect(metrics_errors[i].name != NULL && metrics_errors[i].help != NULL);
	for (unsigned i = 0; i < METRICS_KEEPER_COUNT; i++)
		cr_expect(metrics_keeper_info[i].name != NULL &&
			  metrics_keeper_info[i].help != NULL);
}
