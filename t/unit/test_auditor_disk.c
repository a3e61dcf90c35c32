/*
 * The keeper with audit on, as a process: what workers put into the segment is in the file once, or
 * counted as lost, whatever the disk does.
 */
#include <sched.h>
#include <sys/stat.h>
#include "t/unit/auditor_rig.h"

TestSuite(auditor_disk, .init = rig_make_audited, .fini = rig_drop, .timeout = 120);

static void
mount_small(void)
{
	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", scratch_path("state"), "tmpfs", 0, "size=4m,mode=700") != 0)
		cr_skip_test("a small tmpfs cannot be mounted here: %s", strerror(errno));
}

Test(auditor_disk, a_full_disk_is_outlived_and_what_was_lost_is_counted)
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
	rig_enter(5);
	rig_enter(6);
	rig_start();
	rig_end_all(100);
	cr_assert(rig_wait_for(&tally.rpcs, 100));
	snprintf(ballast, sizeof(ballast), "%s/ballast", state);
	fd = open(ballast, O_WRONLY | O_CREAT, 0600);
	for (off_t at = 0; posix_fallocate(fd, at, 4096) == 0; at += 4096)
		continue;
	while (!desk_is_pressed(&desk)) {
		rig_end_all(10);
		usleep(1000);
	}
	cr_expect_eq(atomic_load(&segment_ledger(rig.segment)->stalled), 1u);
	cr_expect_eq(atomic_load(&desk.ring->lost), 0u,
		     "nothing is lost when plans are refused now");
	while (atomic_load(&desk.ring->lost) < 500) /* but these go on */
		rig_end_all(100);
	lost = atomic_load(&desk.ring->lost);
	cr_assert_eq(ftruncate(fd, 0), 0);
	close(fd);
	cr_assert(rig_wait_for(&tally.lost, lost), "%llu of %llu are told",
		  (unsigned long long)tally.lost, (unsigned long long)lost);
	rig_end_all(100);
	cr_assert(rig_wait_for(&tally.rpcs, atomic_load(&shared->begun) - lost));
	cr_expect_eq(atomic_load(&segment_ledger(rig.segment)->stalled), 0u);
	cr_expect_not(desk_is_pressed(&desk));
	rig_stop();
	rig_verify_all();
	umount2(state, MNT_DETACH);
	*strrchr(scratch, '/') = '\0';
}

Test(auditor_disk, a_disk_that_cannot_sync_is_outlived)
{
	struct metrics_keeper *m = segment_metrics_keeper(rig.segment);
	uint64_t begun;

	rig_enter(5);
	rig_start();
	rig_end_all(100);
	cr_assert(rig_wait_for(&tally.rpcs, 100));
	usleep(200 * 1000);
	atomic_store(&shared->sync_errno, EIO);
	rig_end_all(100);
	for (int i = 0; i < 200 && atomic_load(&segment_ledger(rig.segment)->stalled) == 0; i++)
		usleep(10 * 1000);
	cr_expect_eq(atomic_load(&segment_ledger(rig.segment)->stalled), 1u);
	cr_expect_gt(atomic_load(&m->number[METRICS_KEEPER_audit_failures]), 0u);
	rig_end_all(100);
	begun = atomic_load(&shared->begun);
	usleep(500 * 1000);
	cr_expect_gt(ring_fill(desk.ring), 0u, "nothing more is taken");
	atomic_store(&shared->sync_errno, 0);
	cr_expect(rig_wait_for(&tally.rpcs, begun));
	cr_expect_eq(atomic_load(&segment_ledger(rig.segment)->stalled), 0u);
	cr_expect_eq(tally.lost, 0u);
	rig_stop();
	rig_verify_all();
}

/* A sync that failed, and then a write of its lines anew that fails, too. */
Test(auditor_disk, a_disk_that_takes_nothing_any_more_is_outlived)
{
	const _Atomic uint64_t *failures =
		&segment_metrics_keeper(rig.segment)->number[METRICS_KEEPER_audit_failures];
	uint64_t before;

	rig_enter(5);
	rig_start();
	rig_end_all(100);
	cr_assert(rig_wait_for(&tally.rpcs, 100));
	atomic_store(&shared->sync_errno, EIO);
	rig_end_all(100);
	for (int i = 0; i < 1000 && atomic_load(&segment_ledger(rig.segment)->stalled) == 0; i++)
		usleep(10 * 1000);
	cr_assert_eq(atomic_load(&segment_ledger(rig.segment)->stalled), 1u);
	before = atomic_load(failures);
	atomic_store(&shared->write_errno, ENOSPC);
	for (int i = 0; i < 1000 && atomic_load(failures) < before + 2; i++)
		usleep(10 * 1000);
	cr_expect_geq(atomic_load(failures), before + 2, "it is tried again and again");
	atomic_store(&shared->sync_errno, 0);
	atomic_store(&shared->write_errno, 0);
	rig_end_all(100);
	cr_expect(rig_wait_for(&tally.rpcs, atomic_load(&shared->begun)));
	cr_expect_eq(atomic_load(&segment_ledger(rig.segment)->stalled), 0u);
	cr_expect_eq(tally.lost, 0u);
	rig_stop();
	rig_verify_all();
}
