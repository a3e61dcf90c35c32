/*
 * The keeper with audit on, as a process: while all is well, what workers put into the segment and
 * what the controller asks for is in the file, soon, and once.
 */
#include "ctl/audit_files.h"
#include "shm/leftover.h"
#include "t/unit/auditor_rig.h"

TestSuite(auditor, .init = rig_make_audited, .fini = rig_drop, .timeout = 120);

/* ---- all is well ---- */

Test(auditor, records_come_into_the_file_soon)
{
	char *line = NULL, path[PATH_MAX + 64];
	size_t size = 0;
	uint64_t start_ms;
	FILE *f;

	rig_enter(5);
	rig_start();
	rig_end_all(1000);
	start_ms = clock_ms();
	cr_assert(rig_wait_for(&tally.rpcs, 1000), "%llu", (unsigned long long)tally.rpcs);
	cr_expect_leq(clock_ms() - start_ms, 1000u * rig_patience());
	cr_expect(tally.files == 1 && tally.gateway == 1, "its head, and the start");
	rig_stop();
	rig_verify_all();
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
	rig_enter(5);
	rig_start();
	rig_end_all(1500); /* several turns */
	rig_stop();
	rig_tally_all();
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
	rig_enter(5);
	rig_start();
	for (unsigned i = 1; i <= 3; i++) {
		rig_end_all(10);
		cr_assert(rig_wait_for(&tally.rpcs, 10 * i));
		rig_say(LEASH_REOPEN);
		cr_expect(wait_for_sealed(i), "%u", sealed_count());
	}
	rig_say(LEASH_REOPEN);
	rig_stop();
	cr_expect_eq(sealed_count(), 3u, "nothing had come since");
	rig_verify_all();
}

Test(auditor, a_seal_that_finds_no_room_comes_later)
{
	const _Atomic uint64_t *failures =
		&segment_metrics_keeper(rig.segment)->number[METRICS_KEEPER_audit_failures];

	rig_enter(5);
	rig_start();
	rig_end_all(10);
	cr_assert(rig_wait_for(&tally.rpcs, 10));
	atomic_store(&shared->write_errno, ENOSPC);
	rig_say(LEASH_REOPEN);
	for (int i = 0; i < 1000 && atomic_load(failures) == 0; i++)
		usleep(10 * 1000);
	cr_assert_gt(atomic_load(failures), 0u);
	atomic_store(&shared->write_errno, 0);
	cr_expect(wait_for_sealed(1), "%u", sealed_count());
	rig_stop();
	rig_verify_all();
}

Test(auditor, an_old_file_is_sealed_though_nothing_happens)
{
	rig.conf.audit.max_age_ms = 500;
	rig_enter(5);
	rig_start();
	rig_end_all(10);
	cr_expect(wait_for_sealed(1), "%u", sealed_count());
	usleep(2500 * 1000); /* several ages, and no empty file for them */
	cr_expect_eq(sealed_count(), 1u);
	cr_expect_neq(access(scratch_path("audit/audit.log"), F_OK), 0);
	rig_end_all(10);
	cr_expect(wait_for_sealed(2), "%u", sealed_count());
	rig_stop();
	rig_verify_all();
}

Test(auditor, a_full_file_is_sealed)
{
	struct audit_files files;

	rig.conf.audit.max_bytes = 64 << 10;
	rig_enter(5);
	rig_start();
	for (unsigned i = 1; i <= 10; i++) {
		rig_end_all(200);
		cr_assert(rig_wait_for(&tally.rpcs, 200 * i));
	}
	rig_stop();
	cr_assert_eq(audit_files_list(scratch, &files), 0);
	cr_expect_geq(files.count, 5u);
	audit_files_free(&files);
	rig_verify_all();
}

Test(auditor, sql_is_redacted)
{
	struct str patterns[] = {STR("pass[a-z]*'[^']*'"), STR("[0-9]{4}")};
	struct audit_facts *f;
	char path[PATH_MAX + 64], text[4096] = "";
	int fd;

	rig.conf.audit.redact = patterns;
	rig.conf.audit.redact_count = 2;
	rig_enter(5);
	rig_start();
	f = desk_build(&desk);
	audit_text(f, AUDIT_sql, STR("a password'hunter2' b 1234 c 5678 password'1234'"));
	desk_end(&desk, desk_begin(&desk), 0, 0);
	cr_assert(rig_wait_for(&tally.rpcs, 1));
	snprintf(path, sizeof(path), "%s/audit/audit.log", scratch);
	fd = open(path, O_RDONLY);
	cr_assert_gt(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	cr_expect(strstr(text, "\"sql\":\"a [redacted] b [redacted] c [redacted] [redacted]\"") !=
			  NULL,
		  "%s", text);
	rig_stop();
}

/* How many a second; the limit is wide, for sanitizers and busy machines. */
Test(auditor, it_is_quick)
{
	enum { TIMES = 30000 };
	uint64_t start_ms, done = 0;

	rig_enter(5);
	rig_start();
	start_ms = clock_ms();
	while (done < TIMES) {
		if (ring_fill(desk.ring) < RING_BYTES / 2) {
			rig_end_all(100);
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
	rig_verify_all();
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
	rig_tally_all();
	cr_expect_eq(tally.acts, 1u, "answered, so it is there");
	cr_expect_eq(ask_audit(7, "{\"act\": \"driver drain\", \"name\": \"a/one\"}").result, 0,
		     "asked again");
	cr_expect_eq(ask_audit(8, "{\"act\": \"x\", \"seq\": 1}").result, E_SYNTAX);
	cr_expect_eq(ask_audit(9, "not json").result, E_SYNTAX);
	cr_expect_eq(ask_audit(10, "{}").result, E_SYNTAX);
	cr_expect_eq(ask_audit(11, "{\"act\":\"two\\nlines\"}").result, 0);
	rig_tally_all();
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
	rig_verify_all();
}

Test(auditor, without_audit_nothing_is_written_and_nothing_stays)
{
	pid_t pid;

	rig.conf.audit.enabled = false;
	rig_start();
	pid = rig_fork_worker(5, 1, 1000);
	rig_wait_begun(0, 20);
	kill(pid, SIGKILL);
	scratch_wait(pid);
	for (int i = 0; i < 200 && !leftover_is_empty(rig.segment); i++)
		usleep(20 * 1000);
	cr_expect(leftover_is_empty(rig.segment), "slots of the dead are free");
	cr_expect_eq(ask_audit(7, "{\"act\":\"x\"}").result, E_STATE);
	rig_stop();
	cr_expect_neq(access(scratch_path("audit"), F_OK), 0);
	cr_expect_leq(atomic_load(&shared->begun) - rig_requests(), 1u, "but all are counted");
}
