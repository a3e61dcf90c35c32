/*
 * The audit file: batches, half lines, rotation, full and broken disks.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include "keeper/audit_line.h"
#include "lib/clock.h"
#include "t/unit/audit_rig.h"

TestSuite(audit_file, .init = rig_make, .fini = rig_drop, .timeout = 60);

/* ---- writing ---- */

Test(audit_file, batches_are_whole_and_chained)
{
	struct audit_verdict v;

	cr_assert_eq(rig_write_lines(3), 0);
	cr_assert_eq(rig_write_lines(2), 0);
	v = rig_verify(rig_live());
	cr_expect_str_eq(v.words, "");
	cr_expect(v.records == 6 && v.first_seq == 1 && v.last_seq == 6 && !v.sealed);
	cr_expect_str_eq(v.previous, "");
	cr_expect_eq(atomic_load(&rig.ledger.last_seq), 6u);
	cr_assert_eq(audit_file_begin(rig.file), 0);
	rig_add_lines(4);
	audit_file_abandon(rig.file);
	cr_assert_eq(rig_write_lines(1), 0);
	v = rig_verify(rig_live());
	cr_expect(v.words[0] == '\0' && v.records == 7, "%s", v.words);
	rig_load(rig_live());
	cr_expect(strstr(rig_text, "\"gateway\":\"gw \\\"a\\\"\"") != NULL);
}

Test(audit_file, lines_are_kept_until_they_are_on_the_disk)
{
	struct audit_tail *tail = audit_file_tail(rig.file);

	cr_assert_eq(rig_write_lines(3), 0);
	cr_expect_gt(audit_tail_bytes(tail), 100u);
	cr_expect_eq(audit_file_on_disk(rig.file), 0u);
	audit_tail_sync(tail);
	cr_assert_eq(rig_write_lines(1), 0); /* meanwhile */
	loop_run(rig.loop);
	cr_expect_eq(rig.synced_count, 1u);
	cr_expect(audit_tail_bytes(tail) > 0 && audit_file_on_disk(rig.file) > 0);
	audit_tail_finish(tail);
	cr_expect_eq(audit_tail_bytes(tail), 0u);
	cr_expect_eq(audit_file_on_disk(rig.file), audit_file_written(rig.file));
}

Test(audit_file, a_line_that_does_not_fit_is_not_there)
{
	static char huge[3 << 20];
	struct audit_batch *b;

	memset(huge, '\x01', sizeof(huge)); /* six bytes each */
	cr_assert_eq(audit_file_begin(rig.file), 0);
	b = audit_file_batch(rig.file);
	audit_line_text(audit_batch_line(b, "test", 1), "x", (struct str){huge, sizeof(huge)});
	cr_expect_not(audit_batch_end_line(b));
	rig_add_lines(2);
	cr_assert_eq(audit_file_write(rig.file), 0);
	cr_expect_str_eq(rig_verify(rig_live()).words, "");
	cr_expect_eq(rig_verify(rig_live()).records, 3u);
}

Test(audit_file, a_successor_goes_on)
{
	cr_assert_eq(rig_write_lines(3), 0);
	audit_file_free(&rig.file);
	memset(&rig.ledger, 0, sizeof(rig.ledger)); /* another life of the gateway */
	rig.file = rig_open(scratch);
	cr_assert_eq(rig_write_lines(3), 0);
	cr_expect_str_eq(rig_verify(rig_live()).words, "");
	cr_expect_eq(rig_verify(rig_live()).last_seq, 7u);
}

Test(audit_file, half_a_line_is_cut_off_and_told)
{
	int fd;

	cr_assert_eq(rig_write_lines(3), 0);
	audit_file_free(&rig.file);
	fd = open(rig_live(), O_WRONLY | O_APPEND);
	cr_assert_eq(write(fd, "{\"seq\":5,\"ti", 12), 12);
	close(fd);
	cr_expect_str_eq(rig_verify(rig_live()).words, "", "it may be on its way");
	rig.file = rig_open(scratch);
	cr_assert_eq(rig_write_lines(1), 0);
	cr_expect_str_eq(rig_verify(rig_live()).words, "");
	rig_load(rig_live());
	cr_expect(strstr(rig_text, "\"event\":\"repaired\",\"bytes\":12") != NULL);
	cr_expect_eq(rig_verify(rig_live()).records, 6u);
	audit_file_free(&rig.file);
	cr_assert_eq(truncate(rig_live(), 20), 0); /* half of the first */
	rig.file = rig_open(scratch);
	cr_assert_eq(rig_write_lines(1), 0);
	rig_load(rig_live());
	cr_expect(strstr(rig_text, "\"event\":\"missing\"") != NULL ||
		  strstr(rig_text, "repaired") != NULL);
}

/* ---- rotation ---- */

Test(audit_file, files_are_sealed_and_follow_each_other)
{
	struct audit_verdict a, b, c;

	cr_assert_eq(audit_file_rotate(rig.file), 0, "nothing in it: nothing happens");
	cr_assert_eq(rig_write_lines(3), 0);
	rig_rotate();
	cr_assert_eq(audit_file_rotate(rig.file), 0, "likewise");
	cr_assert_eq(rig_write_lines(2), 0);
	rig_rotate();
	cr_assert_eq(rig_write_lines(1), 0);
	a = rig_verify(rig_sealed(0));
	b = rig_verify(rig_sealed(1));
	c = rig_verify(rig_live());
	cr_expect(a.words[0] == '\0' && a.sealed && a.seal_fits && a.records == 4, "%s", a.words);
	cr_expect(b.words[0] == '\0' && b.sealed && b.first_seq == 5 && b.last_seq == 7, "%s",
		  b.words);
	cr_expect(c.words[0] == '\0' && !c.sealed && c.first_seq == 8, "%s", c.words);
	audit_verify_order(&a, &b);
	audit_verify_order(&b, &c);
	cr_expect(b.words[0] == '\0' && c.words[0] == '\0', "%s %s", b.words, c.words);
	audit_verify_order(&a, &c);
	cr_expect_str_eq(c.words, "removed: before it, records 5 to 7 are missing");
	cr_expect_eq(atomic_load(&rig.metrics.number[METRICS_KEEPER_audit_rotations]), 2u);
}

Test(audit_file, a_sealed_file_has_its_name_at_once)
{
	cr_assert_eq(audit_file_name_sealed(rig.file), 0, "nothing waits for a name");
	cr_assert_eq(rig_write_lines(3), 0);
	cr_assert_eq(audit_file_name_sealed(rig.file), 0);
	cr_assert_eq(audit_file_rotate(rig.file), 0);
	cr_expect_eq(audit_file_name_sealed(rig.file), E_AGAIN, "the seal is not on the disk");
	audit_tail_finish(audit_file_tail(rig.file));
	cr_assert_eq(audit_file_name_sealed(rig.file), 0);
	cr_expect(rig_verify(rig_sealed(0)).seal_fits);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(audit_file_rotate(rig.file), 0);
		cr_assert_eq(audit_file_name_sealed(rig.file), 0);
	}
	cr_expect_neq(access(rig_live(), F_OK), 0, "none is made for no record");
	cr_expect_str_eq(rig_sealed(1), "");
	cr_assert_eq(rig_write_lines(1), 0);
	cr_expect_str_eq(rig_verify(rig_live()).previous, rig_verify(rig_sealed(0)).seal);
	cr_expect_eq(rig_verify(rig_live()).first_seq, 5u);
}

/* A sync may end in the midst of a batch: then the folder is locked already. */
Test(audit_file, a_name_waits_for_the_folder)
{
	struct audit_file *mine = rig.file, *other;

	cr_assert_eq(rig_write_lines(3), 0);
	cr_assert_eq(audit_file_rotate(mine), 0);
	audit_tail_finish(audit_file_tail(mine));
	other = rig_open(scratch);
	rig.file = other;
	cr_assert_eq(audit_file_begin(other), 0, "which gives it its name");
	cr_expect(rig_verify(rig_sealed(0)).seal_fits);
	cr_expect_eq(audit_file_name_sealed(mine), E_AGAIN, "another keeper's turn");
	rig_add_lines(2);
	cr_assert_eq(audit_file_write(other), 0);
	cr_assert_eq(audit_file_name_sealed(mine), 0, "there is nothing to do");
	cr_expect_str_eq(rig_verify(rig_live()).words, "");
	cr_expect_eq(rig_verify(rig_live()).records, 3u, "the other's file was left alone");
	rig.file = mine;
	audit_file_free(&other);
}

Test(audit_file, size_and_age_make_it_due)
{
	cr_expect_not(audit_file_is_due(rig.file, clock_wall_ms()));
	cr_assert_eq(rig_write_lines(1), 0);
	cr_expect_not(audit_file_is_due(rig.file, clock_wall_ms()));
	cr_expect(audit_file_is_due(rig.file, clock_wall_ms() + 3600 * 1000));
	cr_assert_eq(rig_write_lines(200), 0);
	cr_expect(audit_file_is_due(rig.file, clock_wall_ms()));
	rig_rotate();
	cr_expect_not(audit_file_is_due(rig.file, clock_wall_ms() + 7200 * 1000));
}

Test(audit_file, a_seal_without_its_name_gets_it_later)
{
	cr_assert_eq(rig_write_lines(3), 0);
	cr_assert_eq(audit_file_rotate(rig.file), 0);
	audit_file_free(&rig.file); /* killed between seal and rename */
	rig.file = rig_open(scratch);
	cr_assert_eq(rig_write_lines(1), 0);
	cr_expect(rig_verify(rig_sealed(0)).seal_fits);
	cr_expect_str_eq(rig_verify(rig_live()).previous, rig_verify(rig_sealed(0)).seal);
	audit_file_free(&rig.file);
	cr_assert_eq(unlink(rig_live()),
		     0); /* killed between rename and the next file, in effect */
	memset(&rig.ledger, 0, sizeof(rig.ledger));
	rig.file = rig_open(scratch);
	cr_assert_eq(rig_write_lines(1), 0);
	cr_expect_eq(rig_verify(rig_live()).first_seq, 5u);
	cr_expect_str_eq(rig_verify(rig_live()).previous, rig_verify(rig_sealed(0)).seal);
}

Test(audit_file, old_files_go_and_the_newest_stays)
{
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(rig_write_lines(3), 0);
		rig_rotate();
	}
	cr_expect_eq(audit_file_expire(rig.file, clock_wall_ms() - 3600 * 1000), 0u);
	cr_expect_eq(audit_file_expire(rig.file, clock_wall_ms() + 3600 * 1000), 2u);
	cr_expect_eq(audit_file_expire(rig.file, clock_wall_ms() + 3600 * 1000), 0u);
	cr_expect_str_eq(rig_verify(rig_sealed(0)).words, "");
	cr_assert_eq(rig_write_lines(1), 0);
	cr_expect_str_eq(rig_verify(rig_live()).previous, rig_verify(rig_sealed(0)).seal);
}

Test(audit_file, two_keepers_write_in_turn)
{
	struct ledger other_ledger = {0};
	struct audit_file *mine = rig.file, *other;

	cr_assert_eq(rig_write_lines(3), 0);
	other = rig_open(scratch);
	for (int i = 0; i < 20; i++) {
		rig.file = i % 2 ? mine : other;
		cr_assert_eq(rig_write_lines(3), 0);
		if (i == 9)
			rig_rotate();
	}
	rig.file = mine;
	cr_assert_eq(audit_file_begin(mine), 0);
	cr_expect_eq(audit_file_begin(other), E_AGAIN, "one at a time");
	audit_file_abandon(mine);
	audit_file_free(&other);
	cr_expect_str_eq(rig_verify(rig_sealed(0)).words, "");
	cr_expect_str_eq(rig_verify(rig_live()).words, "");
	cr_expect_eq(rig_verify(rig_live()).last_seq, 3u + 60 + 2);
	(void)other_ledger;
}

Test(audit_file, what_was_taken_away_shows_as_a_gap)
{
	struct audit_verdict v;

	cr_assert_eq(rig_write_lines(3), 0);
	rig_load(rig_live());
	*rig_line_at(3) = '\0';
	rig_text_n = strlen(rig_text);
	rig_save(rig_live()); /* while it is open */
	cr_assert_eq(rig_write_lines(1), 0);
	v = rig_verify(rig_live());
	cr_expect_str_eq(v.words, "records 3 to 4 are missing, and were when it was written");
	rig_load(rig_live());
	cr_expect(strstr(rig_text, "\"event\":\"missing\",\"records\":2") != NULL);
	cr_assert_eq(unlink(rig_live()), 0);
	cr_assert_eq(rig_write_lines(1), 0);
	cr_expect_gt(rig_verify(rig_live()).first_seq, 5u);
}

Test(audit_file, a_folder_that_was_taken_away_is_made_again)
{
	cr_assert_eq(rig_write_lines(3), 0);
	cr_assert_eq(unlink(rig_live()), 0);
	cr_assert_eq(rmdir(scratch_path("audit")), 0);
	cr_expect_eq(rig_write_lines(3), E_IO);
	cr_assert_eq(rig_write_lines(3), 0);
	cr_expect_eq(rig_verify(rig_live()).first_seq, 5u);
	cr_assert_eq(rename(rig_live(), scratch_path("mine")), 0);
	cr_assert_eq(symlink(scratch_path("mine"), rig_live()), 0);
	cr_expect_eq(rig_write_lines(3), E_DENIED, "not through a link");
	cr_assert_eq(unlink(rig_live()), 0);
	cr_expect_eq(rig_write_lines(3), 0);
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
	while (rig_write_lines(20) == 0)
		batches++;
	cr_expect_gt(batches, 3u);
	cr_expect_eq(rig_write_lines(20), E_FULL);
	cr_expect_str_eq(rig_verify(rig_live()).words, "");
	cr_expect_eq(rig_verify(rig_live()).records, 1 + 20u * batches);
	cr_assert_eq(ftruncate(fd, 0), 0);
	close(fd);
	cr_assert_eq(rig_write_lines(20), 0);
	cr_expect_str_eq(rig_verify(rig_live()).words, "");
	cr_expect_eq(rig_verify(rig_live()).records, 21 + 20u * batches);
	cr_expect_gt(atomic_load(&rig.metrics.number[METRICS_KEEPER_audit_failures]), 0u);
	umount2(scratch, MNT_DETACH);
}

Test(audit_file, after_a_sync_that_failed_the_lines_are_written_again)
{
	struct audit_tail *tail = audit_file_tail(rig.file);
	int fd;

	cr_assert_eq(rig_write_lines(3), 0);
	audit_tail_finish(tail);
	cr_assert_eq(rig_write_lines(3), 0);
	atomic_store(&rig.sync_errno, EIO);
	audit_tail_sync(tail);
	loop_run(rig.loop);
	cr_expect(audit_tail_is_broken(tail));
	cr_expect_eq(rig_write_lines(1), E_IO, "nothing is added behind it");
	rig_load(rig_live());
	fd = open(rig_live(), O_WRONLY); /* the system drops what it could not write */
	memset(rig_text + rig_text_n - 100, 0, 100);
	cr_assert_eq(pwrite(fd, rig_text + rig_text_n - 100, 100, (off_t)rig_text_n - 100), 100);
	close(fd);
	audit_tail_sync(tail);
	loop_run(rig.loop);
	cr_expect(audit_tail_is_broken(tail));
	atomic_store(&rig.sync_errno, 0);
	audit_tail_sync(tail);
	loop_run(rig.loop);
	cr_expect_not(audit_tail_is_broken(tail));
	cr_assert_eq(rig_write_lines(1), 0);
	cr_expect_str_eq(rig_verify(rig_live()).words, "");
	cr_expect_eq(rig_verify(rig_live()).records, 8u);
	cr_expect_eq(atomic_load(&rig.metrics.number[METRICS_KEEPER_audit_failures]), 2u);
}

/* ---- what a killed keeper left ---- */

static void
note_batch(struct ledger *l)
{
	audit_file_note(rig.file, l);
}

Test(audit_file, a_batch_of_a_killed_keeper_is_there_or_not)
{
	struct ledger l = {0};
	bool written = true;
	struct stat st;

	cr_assert_eq(rig_write_lines(3), 0);
	cr_assert_eq(audit_file_begin(rig.file), 0);
	rig_add_lines(5);
	note_batch(&l);
	audit_file_abandon(rig.file);
	cr_assert_eq(audit_file_settle(rig.file, &l, &written), 0);
	cr_expect_not(written, "nothing of it");
	cr_assert_eq(audit_file_begin(rig.file), 0);
	rig_add_lines(5);
	note_batch(&l);
	cr_assert_eq(audit_file_write(rig.file), 0);
	audit_file_free(&rig.file);
	rig.file = rig_open(scratch);
	cr_assert_eq(audit_file_settle(rig.file, &l, &written), 0);
	cr_expect(written, "all of it");
	cr_assert_eq(stat(rig_live(), &st), 0);
	for (off_t cut = 10; cut < 400; cut += 130) { /* a part of it */
		audit_file_free(&rig.file);
		cr_assert_eq(truncate(rig_live(), st.st_size - cut), 0);
		memset(&rig.ledger, 0, sizeof(rig.ledger));
		atomic_store(&rig.ledger.last_seq, 4);
		rig.file = rig_open(scratch);
		cr_assert_eq(audit_file_settle(rig.file, &l, &written), 0);
		cr_expect_not(written);
		cr_assert_eq(audit_file_begin(rig.file), 0);
		cr_expect_eq(audit_file_batch(rig.file)->before.next_seq,
			     atomic_load(&l.first_seq));
		rig_add_lines(5);
		note_batch(&l);
		cr_assert_eq(audit_file_write(rig.file), 0);
		cr_expect_str_eq(rig_verify(rig_live()).words, "");
		cr_assert_eq(stat(rig_live(), &st), 0);
	}
}

Test(audit_file, a_ledger_that_lies_cuts_nothing)
{
	struct ledger l = {0};
	bool written;
	struct stat before, after;

	cr_assert_eq(rig_write_lines(50), 0);
	cr_assert_eq(stat(rig_live(), &before), 0);
	note_batch(&l);
	atomic_store(&l.first_seq, 2);
	atomic_store(&l.end_seq, 1000);
	for (uint64_t offset = 0; offset < 300; offset += 7) {
		atomic_store(&l.offset, offset);
		cr_assert_eq(audit_file_settle(rig.file, &l, &written), 0);
	}
	cr_assert_eq(stat(rig_live(), &after), 0);
	cr_expect_eq(before.st_size, after.st_size);
}
