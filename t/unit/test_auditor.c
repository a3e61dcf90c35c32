/*
 * The keeper with audit on, as a process: what workers put into the segment is in the file once,
 * whoever is killed, and whatever the disk does.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include "ctl/audit_files.h"
#include "ctl/audit_verify.h"
#include "keeper/audit_key.h"
#include "shm/desk.h"
#include "shm/leftover.h"
#include "t/unit/keeper_rig.h"

#define NUMBERS_MAX 4000000u
#define PAIR	    1 /* t/prod */

static struct shared {
	_Atomic int sync_errno;
	_Atomic uint64_t begun; /* RPCs: numbers of all below */
	_Atomic bool halt;	/* workers end what is under way, and leave */
} * shared;
static struct desk desk;
static uint8_t *seen; /* by number, how often */

int
fdatasync(int fd)
{
	if (shared != NULL && atomic_load(&shared->sync_errno) != 0) {
		errno = atomic_load(&shared->sync_errno);
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static void
make(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	cr_assert_neq(shared, MAP_FAILED);
	rig_make();
	rig.conf.run_dir = str_from(scratch);
	rig.conf.audit = (struct conf_audit){
		.enabled = true,
		.max_bytes = 64 << 20,
		.max_age_ms = 3600 * 1000,
		.gateway = STR("gw"),
	};
}

TestSuite(auditor, .init = make, .fini = rig_drop, .timeout = 120);

/* ---- what is in the files ---- */

static struct tally {
	uint64_t rpcs, unfinished, lost, acts, gateway, files;
} tally;

static void
tally_line(const char *line)
{
	json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	const char *kind = json_string_value(json_object_get(json, "kind"));

	cr_assert_not_null(json, "not JSON: %s", line);
	if (kind == NULL) {
		cr_assert_not_null(json_object_get(json, "seal"));
	} else if (strcmp(kind, "rpc") == 0) {
		uint64_t n = (uint64_t)json_integer_value(json_object_get(json, "rpc"));

		tally.rpcs++;
		tally.unfinished += json_is_true(json_object_get(json, "unfinished"));
		if (seen != NULL && n != 0 && n < NUMBERS_MAX)
			seen[n]++;
	} else if (strcmp(kind, "lost") == 0) {
		tally.lost += (uint64_t)json_integer_value(json_object_get(json, "records"));
	} else {
		tally.acts += strcmp(kind, "act") == 0;
		tally.gateway += strcmp(kind, "gateway") == 0;
		tally.files += strcmp(kind, "file") == 0;
	}
	json_decref(json);
}

static void
tally_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (f == NULL) /* it was renamed just now */
		return;
	while ((n = getline(&line, &size, f)) > 0)
		if (line[n - 1] == '\n')
			tally_line(line);
	free(line);
	fclose(f);
}

static void
tally_all(void)
{
	struct audit_files files;

	tally = (struct tally){0};
	if (seen != NULL)
		memset(seen, 0, NUMBERS_MAX);
	if (audit_files_list(scratch, &files) != 0)
		return;
	for (unsigned i = 0; i < files.count; i++)
		tally_file(files.paths[i]);
	audit_files_free(&files);
}

static bool
wait_for(const uint64_t *what, uint64_t count)
{
	for (int i = 0; i < 1000; i++) {
		tally_all();
		if (*what >= count)
			return *what == count;
		usleep(10 * 1000);
	}
	return false;
}

/* Every file, each the successor of the one before. */
static void
verify_all(void)
{
	struct audit_verdict v[2];
	struct audit_files files;
	uint8_t key[CHAIN_KEY];

	cr_assert_eq(audit_key_read(scratch, key), 0);
	cr_assert_eq(audit_files_list(scratch, &files), 0);
	for (unsigned i = 0; i < files.count; i++) {
		struct audit_verdict *this = &v[i % 2];

		cr_assert_eq(audit_verify_file(files.paths[i], key,
					       audit_files_is_live(files.paths[i]), this),
			     0);
		audit_verify_name(files.paths[i], this);
		if (i > 0)
			audit_verify_order(&v[(i - 1) % 2], this);
		cr_expect_str_eq(this->words, "", "%s: line %llu: %s", files.paths[i],
				 (unsigned long long)this->line, this->words);
	}
	audit_files_free(&files);
}

/* ---- workers ---- */

static void
begin(unsigned *ret_slot, uint64_t *ret_number)
{
	struct audit_facts f;

	*ret_number = atomic_fetch_add(&shared->begun, 1) + 1;
	*ret_slot = desk_begin(&desk);
	f = desk_know(&desk, *ret_slot);
	audit_number(&f, AUDIT_rpc, *ret_number);
	audit_text(&f, AUDIT_team, STR("t"));
	audit_text(&f, AUDIT_env, STR("prod"));
	desk_known(&desk, *ret_slot, &f);
}

static void
end(unsigned slot, uint64_t number)
{
	struct audit_facts *f = desk_build(&desk);

	audit_number(f, AUDIT_rpc, number);
	audit_number(f, AUDIT_time, clock_wall_ms());
	audit_text(f, AUDIT_user, STR("alice"));
	audit_text(f, AUDIT_session, STR("5e2a1c9e-6a0f-4c3e-9a55-0d7b8f1f2c3d"));
	audit_text(f, AUDIT_method, STR("ExecutePlan"));
	audit_text(f, AUDIT_sql, STR("select \"x\"\n\x1b from \xff t"));
	audit_number(f, AUDIT_us_total, 12345);
	desk_end(&desk, slot, PAIR, 0);
}

static void
end_all(unsigned count)
{
	unsigned slot;
	uint64_t n;

	while (count-- > 0) {
		begin(&slot, &n);
		end(slot, n);
	}
}

static void
enter(unsigned row)
{
	cr_assert_eq(segment_enter_row(rig.segment, row), 0);
	cr_assert_eq(desk_enter(&desk, rig.segment, row, row), 0);
}

/* In a process of its own: a little, a pause, again; some RPCs are always under way. */
static _Noreturn void
work(unsigned row, unsigned burst, unsigned pause_us)
{
	enum { OPEN = 5 };
	unsigned slots[OPEN];
	uint64_t numbers[OPEN];

	if (segment_enter_row(rig.segment, row) != 0 ||
	    desk_enter(&desk, rig.segment, row, row) != 0)
		_exit(1);
	for (unsigned i = 0; i < OPEN; i++)
		begin(&slots[i], &numbers[i]);
	for (uint64_t n = 0; !atomic_load(&shared->halt); n++) {
		end(slots[n % OPEN], numbers[n % OPEN]);
		begin(&slots[n % OPEN], &numbers[n % OPEN]);
		if (n % burst == 0)
			usleep(pause_us);
	}
	for (unsigned i = 0; i < OPEN; i++)
		end(slots[i], numbers[i]);
	_exit(0);
}

static pid_t
fork_worker(unsigned row, unsigned burst, unsigned pause_us)
{
	pid_t pid = fork();

	if (pid == 0)
		work(row, burst, pause_us);
	return pid;
}

/* Until so many RPCs have been begun since then: a worker that has just been forked is at work. */
static void
wait_begun(uint64_t since, uint64_t count)
{
	for (int i = 0; i < 10000 && atomic_load(&shared->begun) < since + count; i++)
		usleep(1000);
	cr_assert_geq(atomic_load(&shared->begun), since + count);
}

static unsigned
count_open(unsigned row)
{
	const struct open_row *open = segment_open(rig.segment, row);
	unsigned n = 0;

	for (unsigned i = 0; i < OPEN_SLOTS; i++)
		n += (atomic_load(&open->slots[i].word) & 3) == OPEN_STATE_OPEN;
	return n;
}

static uint64_t
requests(void)
{
	uint64_t sum = 0;

	for (unsigned row = 0; row < SEGMENT_PROCS; row++) {
		const struct metrics_slot *m = segment_metrics(rig.segment, row);

		for (unsigned code = 0; m != NULL && code < GRPC_CODES; code++)
			sum += atomic_load(&m->requests[PAIR][code]) +
			       atomic_load(&m->requests[0][code]);
	}
	return sum;
}

/* Of all RPCs begun each is in the file once, or one of those that were lost; or was begun by a
 * worker that had not yet written its number down (at most one per death). */
static void
expect_balance(uint64_t deaths)
{
	uint64_t missing = 0, twice = 0;

	tally_all();
	for (uint64_t n = 1; n <= atomic_load(&shared->begun); n++) {
		missing += seen[n] == 0;
		twice += seen[n] > 1;
	}
	cr_expect_eq(twice, 0u, "%llu are there twice", (unsigned long long)twice);
	cr_expect(missing <= tally.lost + deaths, "%llu are missing, %llu lost, %llu deaths",
		  (unsigned long long)missing, (unsigned long long)tally.lost,
		  (unsigned long long)deaths);
	cr_expect_eq(requests(), tally.rpcs + tally.lost, "%llu counted, %llu recorded, %llu lost",
		     (unsigned long long)requests(), (unsigned long long)tally.rpcs,
		     (unsigned long long)tally.lost);
	verify_all();
}

/* ---- all is well ---- */

/* valgrind makes everything slower */
static unsigned
patience(void)
{
	return getenv("UNDER_VALGRIND") != NULL ? 20 : 1;
}

Test(auditor, records_come_into_the_file_soon)
{
	char *line = NULL, path[PATH_MAX + 64];
	size_t size = 0;
	uint64_t start_ms;
	FILE *f;

	enter(5);
	rig_start();
	end_all(1000);
	start_ms = clock_ms();
	cr_assert(wait_for(&tally.rpcs, 1000), "%llu", (unsigned long long)tally.rpcs);
	cr_expect_leq(clock_ms() - start_ms, 1000u * patience());
	cr_expect(tally.files == 1 && tally.gateway == 1, "its head, and the start");
	rig_stop();
	verify_all();
	snprintf(path, sizeof(path), "%s/audit/audit.log", scratch);
	f = fopen(path, "r");
	for (int i = 0; i < 3; i++)
		cr_assert_gt(getline(&line, &size, f), 0);
	cr_expect(strstr(line, "\"worker\":5,\"client\":0,\"rpc\":1,\"user\":\"alice\"") != NULL,
		  "%s", line);
	cr_expect(strstr(line, "\"status\":\"OK\",\"code\":0,\"bytes_in\":0") != NULL, "%s", line);
	cr_expect(strstr(line,
			 "\"ms\":{\"total\":12.345},\"plan\":{\"sql\":"
			 "\"select \\\"x\\\"\\n\\u001b from \xef\xbf\xbd t\"},\"chain\"") != NULL,
		  "%s", line);
	free(line);
	fclose(f);
	cr_expect_eq(
		atomic_load(
			&segment_metrics_keeper(rig.segment)->number[METRICS_KEEPER_audit_records]),
		1000u);
}

Test(auditor, what_is_there_when_it_is_drained_is_written)
{
	enter(5);
	rig_start();
	end_all(1500); /* several turns */
	rig_stop();
	tally_all();
	cr_expect_eq(tally.rpcs, 1500u);
	cr_expect_eq(ring_fill(desk.ring), 0u);
}

static unsigned
sealed_count(void)
{
	struct audit_files files;
	unsigned count;

	if (audit_files_list(scratch, &files) != 0)
		return 0; /* there is no folder yet */
	count = files.count;
	for (unsigned i = 0; i < files.count; i++)
		count -= audit_files_is_live(files.paths[i]);
	audit_files_free(&files);
	return count;
}

static bool
wait_for_sealed(unsigned wanted)
{
	for (int i = 0; i < 500 && sealed_count() < wanted; i++)
		usleep(20 * 1000);
	return sealed_count() == wanted;
}

/* No record comes to help. */
Test(auditor, reopening_seals_the_file)
{
	enter(5);
	rig_start();
	for (unsigned i = 1; i <= 3; i++) {
		end_all(10);
		cr_assert(wait_for(&tally.rpcs, 10 * i));
		rig_say(LEASH_REOPEN);
		cr_expect(wait_for_sealed(i), "%u", sealed_count());
	}
	rig_say(LEASH_REOPEN);
	rig_stop();
	cr_expect_eq(sealed_count(), 3u, "nothing had come since");
	verify_all();
}

Test(auditor, an_old_file_is_sealed_though_nothing_happens)
{
	rig.conf.audit.max_age_ms = 500;
	enter(5);
	rig_start();
	end_all(10);
	cr_expect(wait_for_sealed(1), "%u", sealed_count());
	usleep(2500 * 1000); /* several ages, and no empty file for them */
	cr_expect_eq(sealed_count(), 1u);
	cr_expect_neq(access(scratch_path("audit/audit.log"), F_OK), 0);
	end_all(10);
	cr_expect(wait_for_sealed(2), "%u", sealed_count());
	rig_stop();
	verify_all();
}

Test(auditor, a_full_file_is_sealed)
{
	struct audit_files files;

	rig.conf.audit.max_bytes = 64 << 10;
	enter(5);
	rig_start();
	for (unsigned i = 1; i <= 10; i++) {
		end_all(200);
		cr_assert(wait_for(&tally.rpcs, 200 * i));
	}
	rig_stop();
	cr_assert_eq(audit_files_list(scratch, &files), 0);
	cr_expect_geq(files.count, 5u);
	audit_files_free(&files);
	verify_all();
}

Test(auditor, sql_is_redacted)
{
	struct str patterns[] = {STR("pass[a-z]*'[^']*'"), STR("[0-9]{4}")};
	struct audit_facts *f;
	char path[PATH_MAX + 64], text[4096] = "";
	int fd;

	rig.conf.audit.redact = patterns;
	rig.conf.audit.redact_count = 2;
	enter(5);
	rig_start();
	f = desk_build(&desk);
	audit_text(f, AUDIT_sql, STR("a password'hunter2' b 1234 c 5678 password'1234'"));
	desk_end(&desk, desk_begin(&desk), 0, 0);
	cr_assert(wait_for(&tally.rpcs, 1));
	snprintf(path, sizeof(path), "%s/audit/audit.log", scratch);
	fd = open(path, O_RDONLY);
	cr_assert_gt(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	cr_expect(strstr(text, "\"sql\":\"a [redacted] b [redacted] c [redacted] [redacted]\"") !=
			  NULL,
		  "%s", text);
	rig_stop();
}

/* ---- acts ---- */

static struct keeper_done
ask_audit(uint32_t id, const char *text)
{
	struct keeper_audit m = {.head = {KEEPER_AUDIT, sizeof(m), id}};

	str_copy(m.text, sizeof(m.text), str_from(text));
	return rig_ask(&m.head);
}

Test(auditor, acts_are_recorded_once_and_answered_when_they_are_safe)
{
	struct keeper_done done;
	char path[PATH_MAX + 64], text[4096] = "";
	int fd;

	rig_start();
	done = ask_audit(7, "{\"act\": \"driver drain\", \"name\": \"a/one\"}");
	cr_expect(done.result == 0 && done.count == 1);
	tally_all();
	cr_expect_eq(tally.acts, 1u, "answered, so it is there");
	cr_expect_eq(ask_audit(7, "{\"act\": \"driver drain\", \"name\": \"a/one\"}").result, 0,
		     "asked again");
	cr_expect_eq(ask_audit(8, "{\"act\": \"x\", \"seq\": 1}").result, E_SYNTAX);
	cr_expect_eq(ask_audit(9, "not json").result, E_SYNTAX);
	cr_expect_eq(ask_audit(10, "{}").result, E_SYNTAX);
	cr_expect_eq(ask_audit(11, "{\"act\":\"two\\nlines\"}").result, 0);
	tally_all();
	cr_expect_eq(tally.acts, 2u);
	snprintf(path, sizeof(path), "%s/audit/audit.log", scratch);
	fd = open(path, O_RDONLY);
	cr_assert_gt(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	cr_expect(
		strstr(text,
		       "\"kind\":\"act\",\"act\":\"driver drain\",\"name\":\"a/one\",\"chain\"") !=
			NULL,
		"%s", text);
	rig_stop();
	verify_all();
}

Test(auditor, without_audit_nothing_is_written_and_nothing_stays)
{
	pid_t pid;

	rig.conf.audit.enabled = false;
	rig_start();
	pid = fork_worker(5, 1, 1000);
	wait_begun(0, 20);
	kill(pid, SIGKILL);
	scratch_wait(pid);
	for (int i = 0; i < 200 && !leftover_is_empty(rig.segment); i++)
		usleep(20 * 1000);
	cr_expect(leftover_is_empty(rig.segment), "slots of the dead are free");
	cr_expect_eq(ask_audit(7, "{\"act\":\"x\"}").result, E_STATE);
	rig_stop();
	cr_expect_neq(access(scratch_path("audit"), F_OK), 0);
	cr_expect_leq(atomic_load(&shared->begun) - requests(), 1u, "but all are counted");
}

/* ---- deaths ---- */

Test(auditor, books_balance_whoever_is_killed)
{
	enum { WORKERS = 3, DEATHS = 60 };
	pid_t pids[WORKERS];
	uint64_t deaths = 0;

	seen = calloc(NUMBERS_MAX, 1);
	srandom(3);
	rig.conf.audit.max_bytes = 256 << 10;
	rig_start();
	for (unsigned i = 0; i < WORKERS; i++)
		pids[i] = fork_worker(5 + i, 50, 500);
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
		pids[w] = fork_worker(5 + w, 50, 500);
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

Test(auditor, all_that_a_killed_worker_had_open_is_recorded_and_counted_where_it_belongs)
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
	cr_expect(wait_for(&tally.unfinished, MANY), "%llu", (unsigned long long)tally.unfinished);
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

Test(auditor, a_dead_workers_row_may_be_given_to_another)
{
	pid_t pid;

	rig_start();
	pid = fork_worker(5, 1, 10 * 1000 * 1000);
	wait_begun(0, 6); /* now it pauses, with five under way */
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
	cr_expect(wait_for(&tally.unfinished, 5), "%llu", (unsigned long long)tally.unfinished);
	kill(pid, SIGKILL);
	scratch_wait(pid);
	rig_stop();
	cr_expect(leftover_is_empty(rig.segment));
}

Test(auditor, what_an_earlier_life_left_comes_first)
{
	const char *words = NULL;
	pid_t pids[2];

	seen = calloc(NUMBERS_MAX, 1);
	for (unsigned life = 0; life < 5; life++) {
		rig_start();
		for (unsigned i = 0; i < 2; i++) {
			uint64_t since = atomic_load(&shared->begun);

			pids[i] = fork_worker(5 + i, 50, 500);
			wait_begun(since, 500);
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
		if (life ==
		    3) /* and once more before anybody came to read it: nothing new is put by */
			cr_assert_eq(leftover_put_by(scratch_path("segment"), &words), 0);
	}
	rig_start();
	for (unsigned i = 0;
	     i < 500 * patience() && access(scratch_path("segment.old.0"), F_OK) == 0; i++)
		usleep(10 * 1000);
	cr_expect_neq(access(scratch_path("segment.old.0"), F_OK), 0, "written out, so it is gone");
	rig_stop();
	tally_all();
	for (uint64_t n = 1, missing = 0; n <= atomic_load(&shared->begun); n++) {
		missing += seen[n] == 0;
		cr_assert_leq(seen[n], 1, "%llu is there twice", (unsigned long long)n);
		cr_assert_leq(missing, 10u + tally.lost, "%llu are missing",
			      (unsigned long long)missing);
	}
	cr_expect_geq(tally.unfinished, 40u);
	verify_all();
	free(seen);
}

/* ---- the disk ---- */

static void
mount_small(void)
{
	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", scratch_path("state"), "tmpfs", 0, "size=4m,mode=700") != 0)
		cr_skip_test("a small tmpfs cannot be mounted here: %s", strerror(errno));
}

Test(auditor, a_full_disk_is_outlived_and_what_was_lost_is_counted)
{
	static char state[PATH_MAX + 16];
	char ballast[PATH_MAX + 32];
	uint64_t lost;
	int fd;

	snprintf(state, sizeof(state), "%s/state", scratch);
	cr_assert_eq(mkdir(state, 0700), 0);
	mount_small();
	rig.conf.state_dir = str_from(state);
	str_copy(scratch, sizeof(scratch), str_from(state)); /* where the files are looked for */
	enter(5);
	enter(6);
	rig_start();
	end_all(100);
	cr_assert(wait_for(&tally.rpcs, 100));
	snprintf(ballast, sizeof(ballast), "%s/ballast", state);
	fd = open(ballast, O_WRONLY | O_CREAT, 0600);
	for (off_t at = 0; posix_fallocate(fd, at, 4096) == 0; at += 4096)
		continue;
	while (!desk_is_pressed(&desk)) {
		end_all(10);
		usleep(1000);
	}
	cr_expect_eq(atomic_load(&segment_ledger(rig.segment)->stalled), 1u);
	cr_expect_eq(atomic_load(&desk.ring->lost), 0u,
		     "nothing is lost when plans are refused now");
	while (atomic_load(&desk.ring->lost) < 500) /* but these go on */
		end_all(100);
	lost = atomic_load(&desk.ring->lost);
	cr_assert_eq(ftruncate(fd, 0), 0);
	close(fd);
	cr_assert(wait_for(&tally.lost, lost), "%llu of %llu are told",
		  (unsigned long long)tally.lost, (unsigned long long)lost);
	end_all(100);
	cr_assert(wait_for(&tally.rpcs, atomic_load(&shared->begun) - lost));
	cr_expect_eq(atomic_load(&segment_ledger(rig.segment)->stalled), 0u);
	cr_expect_not(desk_is_pressed(&desk));
	rig_stop();
	verify_all();
	umount2(state, MNT_DETACH);
	*strrchr(scratch, '/') = '\0';
}

Test(auditor, a_disk_that_cannot_sync_is_outlived)
{
	struct metrics_keeper *m = segment_metrics_keeper(rig.segment);
	uint64_t begun;

	enter(5);
	rig_start();
	end_all(100);
	cr_assert(wait_for(&tally.rpcs, 100));
	usleep(200 * 1000);
	atomic_store(&shared->sync_errno, EIO);
	end_all(100);
	for (int i = 0; i < 200 && atomic_load(&segment_ledger(rig.segment)->stalled) == 0; i++)
		usleep(10 * 1000);
	cr_expect_eq(atomic_load(&segment_ledger(rig.segment)->stalled), 1u);
	cr_expect_gt(atomic_load(&m->number[METRICS_KEEPER_audit_failures]), 0u);
	end_all(100);
	begun = atomic_load(&shared->begun);
	usleep(500 * 1000);
	cr_expect_gt(ring_fill(desk.ring), 0u, "nothing more is taken");
	atomic_store(&shared->sync_errno, 0);
	cr_expect(wait_for(&tally.rpcs, begun));
	cr_expect_eq(atomic_load(&segment_ledger(rig.segment)->stalled), 0u);
	cr_expect_eq(tally.lost, 0u);
	rig_stop();
	verify_all();
}

/* How many a second; the limit is wide, for sanitizers and busy machines. */
Test(auditor, it_is_quick)
{
	enum { TIMES = 30000 };
	uint64_t start_ms, done = 0;

	enter(5);
	rig_start();
	start_ms = clock_ms();
	while (done < TIMES) {
		if (ring_fill(desk.ring) < RING_BYTES / 2) {
			end_all(100);
			done += 100;
		}
	}
	while (ring_fill(desk.ring) > 0)
		usleep(100);
	start_ms = clock_ms() - start_ms;
	cr_log_info("%llu records a second", TIMES * 1000ull / (start_ms + 1));
	cr_expect_leq(start_ms, 30000u);
	cr_expect_eq(atomic_load(&desk.ring->lost), 0u);
	rig_stop();
	verify_all();
}
