/* Numbers of programs before this one: each once, under this one's pairs, and never less than
 * before. */
#include "lib/clock.h"
#include "shm/earlier.h"
#include "shm/labels.h"
#include "shm/ring.h"
#include "t/unit/scratch.h"

static struct segment *oldest, *older, *own;

static void
make(void)
{
	scratch_make();
	cr_assert_eq(segment_create(scratch_path("oldest"), &oldest), 0);
	cr_assert_eq(segment_create(scratch_path("older"), &older), 0);
	cr_assert_eq(segment_create(scratch_path("own"), &own), 0);
}

static void
drop(void)
{
	segment_detach(&oldest);
	segment_detach(&older);
	segment_detach(&own);
	scratch_drop();
}

TestSuite(earlier, .init = make, .fini = drop, .timeout = 60);

static struct metrics_slot *
slot(struct segment *s, unsigned row)
{
	cr_assert_eq(segment_reserve(s, row, SEGMENT_METRICS | SEGMENT_AUDIT), 0);
	return segment_metrics(s, row);
}

static void
bring(struct segment *to, struct segment *from)
{
	cr_assert_eq(earlier_bring(to, from), 0);
}

Test(earlier, pairs_are_found_by_their_names)
{
	struct metrics_slot *m = slot(older, 3), *n = slot(older, 7);
	const struct metrics_slot *got = &segment_earlier(own)->rpcs;

	cr_assert_eq(labels_add(segment_labels(older), STR("gone"), STR("dev")), 1u);
	cr_assert_eq(labels_add(segment_labels(older), STR("eng"), STR("prod")), 2u);
	cr_assert_eq(labels_add(segment_labels(own), STR("eng"), STR("prod")), 1u);
	metrics_add(&m->requests[0][0], 1);
	metrics_add(&m->requests[1][0], 10);
	metrics_add(&m->requests[2][14], 100);
	metrics_add(&n->requests[2][14], 1000);
	metrics_add(&n->errors[2][METRICS_ERROR_deadline], 5);
	metrics_observe(&n->latency[2][METHOD_CONFIG], 1500);
	metrics_observe(&n->overhead[METHOD_CONFIG], 7);
	bring(own, older);
	cr_expect_eq(got->requests[0][0], 11u, "what is not configured any more is other");
	cr_expect_eq(got->requests[1][14], 1100u);
	cr_expect_eq(got->errors[1][METRICS_ERROR_deadline], 5u);
	cr_expect(got->latency[1][METHOD_CONFIG].count[1] == 1 &&
		  got->latency[1][METHOD_CONFIG].sum_us == 1500);
	cr_expect_eq(got->overhead[METHOD_CONFIG].sum_us, 7u);
}

Test(earlier, brought_twice_it_is_there_once)
{
	struct metrics_slot *m = slot(older, 3);
	const struct metrics_slot *got = &segment_earlier(own)->rpcs;

	metrics_add(&m->requests[0][0], 3);
	bring(own, older);
	bring(own, older);
	cr_expect_eq(got->requests[0][0], 3u);
	metrics_add(&m->requests[0][0], 1);
	bring(own, older);
	cr_expect_eq(got->requests[0][0], 4u);
}

Test(earlier, a_chain_comes_along)
{
	metrics_add(&slot(oldest, 3)->requests[0][0], 1);
	metrics_add(&slot(older, 3)->requests[0][0], 10);
	atomic_store(&segment_ring(oldest, 3)->lost, 2);
	atomic_store(&segment_ring(older, 3)->lost, 20);
	bring(older, oldest);
	bring(own, older);
	cr_expect_eq(segment_earlier(own)->rpcs.requests[0][0], 11u);
	cr_expect_eq(segment_earlier(own)->lost, 22u);
}

Test(earlier, counts_go_on_and_gauges_do_not)
{
	struct counters_slot *c = &segment_counters(older)[5];
	struct metrics_keeper *k = segment_metrics_keeper(older);
	const struct earlier *e = segment_earlier(own);

	counters_add(c, COUNTER_rpcs_total, 7);
	counters_add(c, COUNTER_rpcs_open, 2);
	counters_clear(c); /* its process ended, another came */
	counters_add(c, COUNTER_rpcs_total, 1);
	counters_add(c, COUNTER_rpcs_open, 1);
	metrics_add(&k->number[METRICS_KEEPER_audit_records], 9);
	metrics_add(&k->number[METRICS_KEEPER_audit_stalled], 1);
	metrics_add(&k->number[METRICS_KEEPER_audit_synced_ms], 12345);
	metrics_observe(&k->commit, 10);
	bring(own, older);
	cr_expect_eq(e->counters[COUNTER_rpcs_total], 8u);
	cr_expect_eq(e->counters[COUNTER_rpcs_open], 0u);
	cr_expect_eq(e->keeper.number[METRICS_KEEPER_audit_records], 9u);
	cr_expect_eq(e->keeper.number[METRICS_KEEPER_audit_stalled], 0u);
	cr_expect_eq(e->keeper.number[METRICS_KEEPER_audit_synced_ms], 0u);
	cr_expect_eq(e->keeper.commit.count[0], 1u);
}

Test(earlier, it_is_over_when_nobody_lives_there)
{
	struct segment *theirs = NULL;
	int said[2];
	char byte;
	pid_t pid;

	cr_expect(earlier_is_over(older));
	cr_assert_eq(pipe(said), 0);
	pid = fork();
	if (pid == 0) {
		if (segment_attach(scratch_path("older"), &theirs) == 0 &&
		    segment_enter_row(theirs, 9) == 0 && write(said[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	cr_assert_eq(read(said[0], &byte, 1), 1);
	cr_expect_not(earlier_is_over(older));
	kill(pid, SIGKILL);
	scratch_wait(pid);
	cr_expect(earlier_is_over(older));
}
