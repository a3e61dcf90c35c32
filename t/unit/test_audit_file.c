/*
 * The audit file: batches, half lines, rotation, full and broken disks; and what the verifier finds
 * when somebody else was at it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include "ctl/audit_verify.h"
#include "keeper/audit_file.h"
#include "keeper/audit_line.h"
#include "lib/clock.h"
#include "lib/panic.h"
#include "t/unit/scratch.h"

static const uint8_t key[CHAIN_KEY] = {7};
static struct loop *loop;
static struct ledger ledger;
static struct metrics_keeper metrics;
static struct audit_file *file;
static unsigned synced_count;
static _Atomic int sync_errno; /* what fdatasync() says, instead of doing it */

int
fdatasync(int fd)
{
	if (atomic_load(&sync_errno) != 0) {
		errno = atomic_load(&sync_errno);
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static void
on_synced(void *arg)
{
	(void)arg;
	synced_count++;
	loop_stop(loop);
}

static struct audit_file *
open_it(const char *state_dir)
{
	const struct audit_file_setup with = {
		.loop = loop,
		.state_dir = state_dir,
		.gateway = STR("gw \"a\""),
		.max_bytes = 20000,
		.max_age_ms = 3600 * 1000,
		.key = key,
		.metrics = &metrics,
		.ledger = &ledger,
		.synced = on_synced,
	};
	struct audit_file *f = audit_file_new(&with);

	cr_assert_not_null(f);
	return f;
}

static void
make(void)
{
	scratch_make();
	loop = loop_new();
	file = open_it(scratch);
}

static void
drop(void)
{
	audit_file_free(&file);
	loop_free(&loop);
	scratch_drop();
}

TestSuite(audit_file, .init = make, .fini = drop, .timeout = 60);

static void
add_lines(unsigned count)
{
	struct audit_batch *b = audit_file_batch(file);

	for (unsigned i = 0; i < count; i++) {
		audit_line_number(audit_batch_line(b, "test", clock_wall_ms()), "n", i);
		cr_assert(audit_batch_end_line(b));
	}
}

static int
write_lines(unsigned count)
{
	int err = audit_file_begin(file);

	if (err != 0)
		return err;
	add_lines(count);
	return audit_file_write(file);
}

static void
rotate(void)
{
	cr_assert_eq(audit_file_rotate(file), 0);
	audit_tail_finish(audit_file_tail(file));
	cr_assert_eq(audit_file_name_sealed(file), 0);
}

static const char *
live(void)
{
	return scratch_path("audit/audit.log");
}

/* The n-th sealed file, by name. */
static const char *
sealed(unsigned n)
{
	static char path[4][PATH_MAX + 300];
	static unsigned turn;
	struct dirent **list;
	int count = scandir(scratch_path("audit"), &list, NULL, alphasort);
	char *p = path[turn++ % 4];

	*p = '\0';
	for (int i = 0; i < count; i++) {
		if (strncmp(list[i]->d_name, "audit-", 6) == 0 && n-- == 0)
			snprintf(p, sizeof(path[0]), "%s/audit/%s", scratch, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return p;
}

static struct audit_verdict
verify(const char *path)
{
	struct audit_verdict v;
	bool is_live = strcmp(path, live()) == 0;

	cr_assert_eq(audit_verify_file(path, key, is_live, &v), 0, "%s: %s", path, strerror(errno));
	audit_verify_name(path, &v);
	return v;
}

/* ---- the text of a file, to be changed ---- */

static char text[1 << 20];
static size_t text_n;

static void
load(const char *path)
{
	int fd = open(path, O_RDONLY);

	text_n = (size_t)read(fd, text, sizeof(text) - 1);
	text[text_n] = '\0';
	close(fd);
}

static void
save(const char *path)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	cr_assert_eq(write(fd, text, text_n), (ssize_t)text_n);
	close(fd);
}

static char *
line_at(unsigned n) /* from 1 */
{
	char *p = text;

	while (--n > 0)
		p = strchr(p, '\n') + 1;
	return p;
}

static void
remove_bytes(char *from, char *to)
{
	memmove(from, to, text_n - (size_t)(to - text) + 1);
	text_n -= (size_t)(to - from);
}

static void
insert(char *at, const char *words)
{
	size_t n = strlen(words);

	memmove(at + n, at, text_n - (size_t)(at - text) + 1);
	memcpy(at, words, n);
	text_n += n;
}

/* ---- writing ---- */

Test(audit_file, batches_are_whole_and_chained)
{
	struct audit_verdict v;

	cr_assert_eq(write_lines(3), 0);
	cr_assert_eq(write_lines(2), 0);
	v = verify(live());
	cr_expect_str_eq(v.words, "");
	cr_expect(v.records == 6 && v.first_seq == 1 && v.last_seq == 6 && !v.sealed);
	cr_expect_str_eq(v.previous, "");
	cr_expect_eq(atomic_load(&ledger.last_seq), 6u);
	cr_assert_eq(audit_file_begin(file), 0);
	add_lines(4);
	audit_file_abandon(file);
	cr_assert_eq(write_lines(1), 0);
	v = verify(live());
	cr_expect(v.words[0] == '\0' && v.records == 7, "%s", v.words);
	load(live());
	cr_expect(strstr(text, "\"gateway\":\"gw \\\"a\\\"\"") != NULL);
}

Test(audit_file, lines_are_kept_until_they_are_on_the_disk)
{
	struct audit_tail *tail = audit_file_tail(file);

	cr_assert_eq(write_lines(3), 0);
	cr_expect_gt(audit_tail_bytes(tail), 100u);
	cr_expect_eq(audit_file_on_disk(file), 0u);
	audit_tail_sync(tail);
	cr_assert_eq(write_lines(1), 0); /* meanwhile */
	loop_run(loop);
	cr_expect_eq(synced_count, 1u);
	cr_expect(audit_tail_bytes(tail) > 0 && audit_file_on_disk(file) > 0);
	audit_tail_finish(tail);
	cr_expect_eq(audit_tail_bytes(tail), 0u);
	cr_expect_eq(audit_file_on_disk(file), audit_file_written(file));
}

Test(audit_file, a_line_that_does_not_fit_is_not_there)
{
	static char huge[3 << 20];
	struct audit_batch *b;

	memset(huge, '\x01', sizeof(huge)); /* six bytes each */
	cr_assert_eq(audit_file_begin(file), 0);
	b = audit_file_batch(file);
	audit_line_text(audit_batch_line(b, "test", 1), "x", (struct str){huge, sizeof(huge)});
	cr_expect_not(audit_batch_end_line(b));
	add_lines(2);
	cr_assert_eq(audit_file_write(file), 0);
	cr_expect_str_eq(verify(live()).words, "");
	cr_expect_eq(verify(live()).records, 3u);
}

Test(audit_file, a_successor_goes_on)
{
	cr_assert_eq(write_lines(3), 0);
	audit_file_free(&file);
	memset(&ledger, 0, sizeof(ledger)); /* another life of the gateway */
	file = open_it(scratch);
	cr_assert_eq(write_lines(3), 0);
	cr_expect_str_eq(verify(live()).words, "");
	cr_expect_eq(verify(live()).last_seq, 7u);
}

Test(audit_file, half_a_line_is_cut_off_and_told)
{
	int fd;

	cr_assert_eq(write_lines(3), 0);
	audit_file_free(&file);
	fd = open(live(), O_WRONLY | O_APPEND);
	cr_assert_eq(write(fd, "{\"seq\":5,\"ti", 12), 12);
	close(fd);
	cr_expect_str_eq(verify(live()).words, "", "it may be on its way");
	file = open_it(scratch);
	cr_assert_eq(write_lines(1), 0);
	cr_expect_str_eq(verify(live()).words, "");
	load(live());
	cr_expect(strstr(text, "\"event\":\"repaired\",\"bytes\":12") != NULL);
	cr_expect_eq(verify(live()).records, 6u);
	audit_file_free(&file);
	cr_assert_eq(truncate(live(), 20), 0); /* half of the first */
	file = open_it(scratch);
	cr_assert_eq(write_lines(1), 0);
	load(live());
	cr_expect(strstr(text, "\"event\":\"missing\"") != NULL ||
		  strstr(text, "repaired") != NULL);
}

/* ---- rotation ---- */

Test(audit_file, files_are_sealed_and_follow_each_other)
{
	struct audit_verdict a, b, c;

	cr_assert_eq(audit_file_rotate(file), 0, "nothing in it: nothing happens");
	cr_assert_eq(write_lines(3), 0);
	rotate();
	cr_assert_eq(audit_file_rotate(file), 0, "likewise");
	cr_assert_eq(write_lines(2), 0);
	rotate();
	cr_assert_eq(write_lines(1), 0);
	a = verify(sealed(0));
	b = verify(sealed(1));
	c = verify(live());
	cr_expect(a.words[0] == '\0' && a.sealed && a.seal_fits && a.records == 4, "%s", a.words);
	cr_expect(b.words[0] == '\0' && b.sealed && b.first_seq == 5 && b.last_seq == 7, "%s",
		  b.words);
	cr_expect(c.words[0] == '\0' && !c.sealed && c.first_seq == 8, "%s", c.words);
	audit_verify_order(&a, &b);
	audit_verify_order(&b, &c);
	cr_expect(b.words[0] == '\0' && c.words[0] == '\0', "%s %s", b.words, c.words);
	audit_verify_order(&a, &c);
	cr_expect_str_eq(c.words, "removed: before it, records 5 to 7 are missing");
	cr_expect_eq(atomic_load(&metrics.number[METRICS_KEEPER_audit_rotations]), 2u);
}

Test(audit_file, a_sealed_file_has_its_name_at_once)
{
	cr_assert_eq(audit_file_name_sealed(file), 0, "nothing waits for a name");
	cr_assert_eq(write_lines(3), 0);
	cr_assert_eq(audit_file_name_sealed(file), 0);
	cr_assert_eq(audit_file_rotate(file), 0);
	cr_expect_eq(audit_file_name_sealed(file), E_AGAIN, "the seal is not on the disk");
	audit_tail_finish(audit_file_tail(file));
	cr_assert_eq(audit_file_name_sealed(file), 0);
	cr_expect(verify(sealed(0)).seal_fits);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(audit_file_rotate(file), 0);
		cr_assert_eq(audit_file_name_sealed(file), 0);
	}
	cr_expect_neq(access(live(), F_OK), 0, "none is made for no record");
	cr_expect_str_eq(sealed(1), "");
	cr_assert_eq(write_lines(1), 0);
	cr_expect_str_eq(verify(live()).previous, verify(sealed(0)).seal);
	cr_expect_eq(verify(live()).first_seq, 5u);
}

/* A sync may end in the midst of a batch: then the folder is locked already. */
Test(audit_file, a_name_waits_for_the_folder)
{
	struct audit_file *mine = file, *other;

	cr_assert_eq(write_lines(3), 0);
	cr_assert_eq(audit_file_rotate(mine), 0);
	audit_tail_finish(audit_file_tail(mine));
	other = open_it(scratch);
	file = other;
	cr_assert_eq(audit_file_begin(other), 0, "which gives it its name");
	cr_expect(verify(sealed(0)).seal_fits);
	cr_expect_eq(audit_file_name_sealed(mine), E_AGAIN, "another keeper's turn");
	add_lines(2);
	cr_assert_eq(audit_file_write(other), 0);
	cr_assert_eq(audit_file_name_sealed(mine), 0, "there is nothing to do");
	cr_expect_str_eq(verify(live()).words, "");
	cr_expect_eq(verify(live()).records, 3u, "the other's file was left alone");
	file = mine;
	audit_file_free(&other);
}

Test(audit_file, size_and_age_make_it_due)
{
	cr_expect_not(audit_file_is_due(file, clock_wall_ms()));
	cr_assert_eq(write_lines(1), 0);
	cr_expect_not(audit_file_is_due(file, clock_wall_ms()));
	cr_expect(audit_file_is_due(file, clock_wall_ms() + 3600 * 1000));
	cr_assert_eq(write_lines(200), 0);
	cr_expect(audit_file_is_due(file, clock_wall_ms()));
	rotate();
	cr_expect_not(audit_file_is_due(file, clock_wall_ms() + 7200 * 1000));
}

Test(audit_file, a_seal_without_its_name_gets_it_later)
{
	cr_assert_eq(write_lines(3), 0);
	cr_assert_eq(audit_file_rotate(file), 0);
	audit_file_free(&file); /* killed between seal and rename */
	file = open_it(scratch);
	cr_assert_eq(write_lines(1), 0);
	cr_expect(verify(sealed(0)).seal_fits);
	cr_expect_str_eq(verify(live()).previous, verify(sealed(0)).seal);
	audit_file_free(&file);
	cr_assert_eq(unlink(live()), 0); /* killed between rename and the next file, in effect */
	memset(&ledger, 0, sizeof(ledger));
	file = open_it(scratch);
	cr_assert_eq(write_lines(1), 0);
	cr_expect_eq(verify(live()).first_seq, 5u);
	cr_expect_str_eq(verify(live()).previous, verify(sealed(0)).seal);
}

Test(audit_file, old_files_go_and_the_newest_stays)
{
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(write_lines(3), 0);
		rotate();
	}
	cr_expect_eq(audit_file_expire(file, clock_wall_ms() - 3600 * 1000), 0u);
	cr_expect_eq(audit_file_expire(file, clock_wall_ms() + 3600 * 1000), 2u);
	cr_expect_eq(audit_file_expire(file, clock_wall_ms() + 3600 * 1000), 0u);
	cr_expect_str_eq(verify(sealed(0)).words, "");
	cr_assert_eq(write_lines(1), 0);
	cr_expect_str_eq(verify(live()).previous, verify(sealed(0)).seal);
}

Test(audit_file, two_keepers_write_in_turn)
{
	struct ledger other_ledger = {0};
	struct audit_file *mine = file, *other;

	cr_assert_eq(write_lines(3), 0);
	other = open_it(scratch);
	for (int i = 0; i < 20; i++) {
		file = i % 2 ? mine : other;
		cr_assert_eq(write_lines(3), 0);
		if (i == 9)
			rotate();
	}
	file = mine;
	cr_assert_eq(audit_file_begin(mine), 0);
	cr_expect_eq(audit_file_begin(other), E_AGAIN, "one at a time");
	audit_file_abandon(mine);
	audit_file_free(&other);
	cr_expect_str_eq(verify(sealed(0)).words, "");
	cr_expect_str_eq(verify(live()).words, "");
	cr_expect_eq(verify(live()).last_seq, 3u + 60 + 2);
	(void)other_ledger;
}

Test(audit_file, what_was_taken_away_shows_as_a_gap)
{
	struct audit_verdict v;

	cr_assert_eq(write_lines(3), 0);
	load(live());
	*line_at(3) = '\0';
	text_n = strlen(text);
	save(live()); /* while it is open */
	cr_assert_eq(write_lines(1), 0);
	v = verify(live());
	cr_expect_str_eq(v.words, "records 3 to 4 are missing, and were when it was written");
	load(live());
	cr_expect(strstr(text, "\"event\":\"missing\",\"records\":2") != NULL);
	cr_assert_eq(unlink(live()), 0);
	cr_assert_eq(write_lines(1), 0);
	cr_expect_gt(verify(live()).first_seq, 5u);
}

Test(audit_file, a_folder_that_was_taken_away_is_made_again)
{
	cr_assert_eq(write_lines(3), 0);
	cr_assert_eq(unlink(live()), 0);
	cr_assert_eq(rmdir(scratch_path("audit")), 0);
	cr_expect_eq(write_lines(3), E_IO);
	cr_assert_eq(write_lines(3), 0);
	cr_expect_eq(verify(live()).first_seq, 5u);
	cr_assert_eq(rename(live(), scratch_path("mine")), 0);
	cr_assert_eq(symlink(scratch_path("mine"), live()), 0);
	cr_expect_eq(write_lines(3), E_DENIED, "not through a link");
	cr_assert_eq(unlink(live()), 0);
	cr_expect_eq(write_lines(3), 0);
}

/* ---- the disk ---- */

static void
mount_small(void)
{
	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", scratch, "tmpfs", 0, "size=256k,mode=700") != 0)
		cr_skip_test("a small tmpfs cannot be mounted here: %s", strerror(errno));
}

Test(audit_file, a_full_disk_loses_no_line_and_leaves_no_half)
{
	unsigned batches = 0;
	int fd;

	mount_small();
	fd = open(scratch_path("ballast"), O_WRONLY | O_CREAT, 0600);
	cr_assert_eq(ftruncate(fd, 0), 0);
	cr_assert_eq(posix_fallocate(fd, 0, 200 * 1024), 0);
	while (write_lines(20) == 0)
		batches++;
	cr_expect_gt(batches, 3u);
	cr_expect_eq(write_lines(20), E_FULL);
	cr_expect_str_eq(verify(live()).words, "");
	cr_expect_eq(verify(live()).records, 1 + 20u * batches);
	cr_assert_eq(ftruncate(fd, 0), 0);
	close(fd);
	cr_assert_eq(write_lines(20), 0);
	cr_expect_str_eq(verify(live()).words, "");
	cr_expect_eq(verify(live()).records, 21 + 20u * batches);
	cr_expect_gt(atomic_load(&metrics.number[METRICS_KEEPER_audit_failures]), 0u);
	umount2(scratch, MNT_DETACH);
}

Test(audit_file, after_a_sync_that_failed_the_lines_are_written_again)
{
	struct audit_tail *tail = audit_file_tail(file);
	int fd;

	cr_assert_eq(write_lines(3), 0);
	audit_tail_finish(tail);
	cr_assert_eq(write_lines(3), 0);
	atomic_store(&sync_errno, EIO);
	audit_tail_sync(tail);
	loop_run(loop);
	cr_expect(audit_tail_is_broken(tail));
	cr_expect_eq(write_lines(1), E_IO, "nothing is added behind it");
	load(live());
	fd = open(live(), O_WRONLY); /* the system drops what it could not write */
	memset(text + text_n - 100, 0, 100);
	cr_assert_eq(pwrite(fd, text + text_n - 100, 100, (off_t)text_n - 100), 100);
	close(fd);
	audit_tail_sync(tail);
	loop_run(loop);
	cr_expect(audit_tail_is_broken(tail));
	atomic_store(&sync_errno, 0);
	audit_tail_sync(tail);
	loop_run(loop);
	cr_expect_not(audit_tail_is_broken(tail));
	cr_assert_eq(write_lines(1), 0);
	cr_expect_str_eq(verify(live()).words, "");
	cr_expect_eq(verify(live()).records, 8u);
	cr_expect_eq(atomic_load(&metrics.number[METRICS_KEEPER_audit_failures]), 2u);
}

/* ---- what a killed keeper left ---- */

static void
note_batch(struct ledger *l)
{
	audit_file_note(file, l);
}

Test(audit_file, a_batch_of_a_killed_keeper_is_there_or_not)
{
	struct ledger l = {0};
	bool written = true;
	struct stat st;

	cr_assert_eq(write_lines(3), 0);
	cr_assert_eq(audit_file_begin(file), 0);
	add_lines(5);
	note_batch(&l);
	audit_file_abandon(file);
	cr_assert_eq(audit_file_settle(file, &l, &written), 0);
	cr_expect_not(written, "nothing of it");
	cr_assert_eq(audit_file_begin(file), 0);
	add_lines(5);
	note_batch(&l);
	cr_assert_eq(audit_file_write(file), 0);
	audit_file_free(&file);
	file = open_it(scratch);
	cr_assert_eq(audit_file_settle(file, &l, &written), 0);
	cr_expect(written, "all of it");
	cr_assert_eq(stat(live(), &st), 0);
	for (off_t cut = 10; cut < 400; cut += 130) { /* a part of it */
		audit_file_free(&file);
		cr_assert_eq(truncate(live(), st.st_size - cut), 0);
		memset(&ledger, 0, sizeof(ledger));
		atomic_store(&ledger.last_seq, 4);
		file = open_it(scratch);
		cr_assert_eq(audit_file_settle(file, &l, &written), 0);
		cr_expect_not(written);
		cr_assert_eq(audit_file_begin(file), 0);
		cr_expect_eq(audit_file_batch(file)->before.next_seq, atomic_load(&l.first_seq));
		add_lines(5);
		note_batch(&l);
		cr_assert_eq(audit_file_write(file), 0);
		cr_expect_str_eq(verify(live()).words, "");
		cr_assert_eq(stat(live(), &st), 0);
	}
}

Test(audit_file, a_ledger_that_lies_cuts_nothing)
{
	struct ledger l = {0};
	bool written;
	struct stat before, after;

	cr_assert_eq(write_lines(50), 0);
	cr_assert_eq(stat(live(), &before), 0);
	note_batch(&l);
	atomic_store(&l.first_seq, 2);
	atomic_store(&l.end_seq, 1000);
	for (uint64_t offset = 0; offset < 300; offset += 7) {
		atomic_store(&l.offset, offset);
		cr_assert_eq(audit_file_settle(file, &l, &written), 0);
	}
	cr_assert_eq(stat(live(), &after), 0);
	cr_expect_eq(before.st_size, after.st_size);
}

/* ---- what the verifier finds ---- */

/* Two sealed files of 11 records each, and one that is written. */
static void
make_three(void)
{
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(write_lines(10), 0);
		if (i < 2)
			rotate();
	}
}

static void
expect_wrong(const char *path, uint64_t line, const char *words)
{
	struct audit_verdict v = verify(path);

	cr_expect(strstr(v.words, words) != NULL && v.line == line,
		  "line %llu: %s, wanted %llu: %s", (unsigned long long)v.line, v.words,
		  (unsigned long long)line, words);
}

Test(audit_file, one_flipped_byte_is_found_wherever_it_is)
{
	const char *path;
	char copy[sizeof(text)];
	unsigned line = 1, found = 0;
	size_t n;

	make_three();
	path = sealed(0);
	load(path);
	n = text_n;
	memcpy(copy, text, n);
	for (size_t i = 0; i < n; i++) {
		struct audit_verdict v;

		text[i] ^= 1;
		save(path);
		v = verify(path);
		found += v.words[0] != '\0' && v.line >= line - (copy[i] == '\n') &&
			 v.line <= line + 1;
		memcpy(text, copy, n);
		line += copy[i] == '\n';
	}
	cr_expect_eq(found, n, "%u of %zu", found, n);
}

Test(audit_file, lines_that_are_gone_are_found)
{
	const char *path;
	char copy[sizeof(text)];
	size_t n;

	make_three();
	path = sealed(0);
	load(path);
	n = text_n;
	memcpy(copy, text, n);
	for (unsigned line = 1; line <= 12; line++) {
		char *p = line_at(line);

		remove_bytes(p, strchr(p, '\n') + 1);
		save(path);
		if (line == 1)
			expect_wrong(path, 1, "cut: what comes before it is missing");
		else if (line == 11)
			expect_wrong(path, 11, "removed: before the seal, records up to 11");
		else if (line == 12)
			expect_wrong(path, 0, "cut: the seal is missing");
		else
			expect_wrong(path, line, "removed: before it, records");
		memcpy(text, copy, n + 1);
		text_n = n;
	}
	text_n -= 300;
	save(path);
	cr_expect(strstr(verify(path).words, "cut") != NULL);
}

Test(audit_file, lines_that_came_in_are_found)
{
	const char *path;
	char forged[512], copy[sizeof(text)];
	struct chain *chain = chain_new();
	size_t n;

	make_three();
	path = sealed(0);
	load(path);
	n = text_n;
	memcpy(copy, text, n + 1);
	insert(line_at(4), "{\"seq\":4,\"chain\":\"00000000000000000000000000000000\"}\n");
	save(path);
	expect_wrong(path, 4, "inserted");
	memcpy(text, copy, n + 1);
	text_n = n;
	str_copy(forged, sizeof(forged),
		 (struct str){line_at(5), (size_t)(line_at(6) - line_at(5))});
	insert(line_at(8), forged); /* a true one, again */
	save(path);
	expect_wrong(path, 8, "inserted");
	memcpy(text, copy, n + 1);
	text_n = n;
	insert(text + text_n, "{}\n");
	save(path);
	expect_wrong(path, 13, "inserted: behind the seal");
	memcpy(text, copy, n + 1);
	text_n = n;
	insert(line_at(6), "hello\n");
	save(path);
	expect_wrong(path, 6, "inserted");
	chain_free(&chain);
}

/* Somebody who knows how it works, but has no key: the chain is right again. */
Test(audit_file, a_file_that_was_written_anew_has_a_wrong_seal)
{
	struct chain *chain = chain_new();
	const char *path;
	char *p;

	make_three();
	path = sealed(0);
	load(path);
	p = strstr(line_at(5), "\"n\":3");
	cr_assert_not_null(p);
	p[4] = '9';
	for (unsigned line = 1; line <= 11; line++) {
		size_t n;

		p = line_at(line);
		n = (size_t)(strchr(p, '\n') - p) + 1 - CHAIN_TAIL;
		chain_add(chain, p, n, p + n);
	}
	p = strstr(line_at(12), "\"chain\":\"") + 9;
	memcpy(p, chain_value(chain), CHAIN_HEX);
	save(path);
	expect_wrong(path, 12, "the seal does not fit");
	chain_free(&chain);
}

Test(audit_file, files_that_changed_places_are_found)
{
	struct audit_verdict a, b;
	char first[PATH_MAX + 300], second[PATH_MAX + 300];

	make_three();
	str_copy(first, sizeof(first), str_from(sealed(0)));
	str_copy(second, sizeof(second), str_from(sealed(1)));
	cr_assert_eq(rename(first, scratch_path("x")), 0);
	cr_assert_eq(rename(second, first), 0);
	cr_assert_eq(rename(scratch_path("x"), second), 0);
	a = verify(first);
	cr_expect(strstr(a.words, "swapped") != NULL, "%s", a.words);
	b = verify(second);
	cr_expect(strstr(b.words, "swapped") != NULL, "%s", b.words);
	b = verify(live());
	cr_assert_eq(audit_verify_file(second, key, false, &a), 0);
	audit_verify_order(&a, &b);
	cr_expect(strstr(b.words, "removed: before it") != NULL, "%s", b.words);
}
