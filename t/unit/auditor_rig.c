/*
 * The rig itself; see auditor_rig.h.
 */
#include <errno.h>
#include <jansson.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "ctl/audit_files.h"
#include "ctl/audit_verify.h"
#include "keeper/audit_key.h"
#include "t/unit/auditor_rig.h"

struct shared *shared;
struct desk desk;
struct tally tally;
uint8_t *seen;

int
fdatasync(int fd)
{
	if (shared != NULL && atomic_load(&shared->sync_errno) != 0) {
		errno = atomic_load(&shared->sync_errno);
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (shared != NULL && atomic_load(&shared->write_errno) != 0) {
		errno = atomic_load(&shared->write_errno);
		return -1;
	}
	return syscall(SYS_pwrite64, fd, p, n, at);
}

void
rig_make_audited(void)
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

/* ---- what is in the files ---- */

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

void
rig_tally_all(void)
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

bool
rig_wait_for(const uint64_t *what, uint64_t count)
{
	for (int i = 0; i < 1000; i++) {
		rig_tally_all();
		if (*what >= count)
			return *what == count;
		usleep(10 * 1000);
	}
	return false;
}

void
rig_verify_all(void)
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

unsigned
rig_patience(void)
{
	return getenv("UNDER_VALGRIND") != NULL ? 20 : 1;
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

void
rig_end_all(unsigned count)
{
	unsigned slot;
	uint64_t n;

	while (count-- > 0) {
		begin(&slot, &n);
		end(slot, n);
	}
}

void
rig_enter(unsigned row)
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

pid_t
rig_fork_worker(unsigned row, unsigned burst, unsigned pause_us)
{
	pid_t pid = fork();

	if (pid == 0)
		work(row, burst, pause_us);
	return pid;
}

void
rig_wait_begun(uint64_t since, uint64_t count)
{
	for (int i = 0; i < 10000 && atomic_load(&shared->begun) < since + count; i++)
		usleep(1000);
	cr_assert_geq(atomic_load(&shared->begun), since + count);
}

uint64_t
rig_requests(void)
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
