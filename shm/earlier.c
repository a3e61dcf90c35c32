/*
 * Earlier numbers: sums over the rows of a predecessor, raised to, word by word.
 */
#include "shm/earlier.h"

#include <stddef.h>
#include <stdlib.h>
#include "shm/labels.h"
#include "shm/ring.h"

static void
raise_to(_Atomic uint64_t *to, uint64_t value)
{
	uint64_t have = atomic_load_explicit(to, memory_order_relaxed);

	while (have < value && !atomic_compare_exchange_weak(to, &have, value))
		continue;
}

/* Structs of nothing but 64-bit numbers. */
static void
add(void *sum, const void *part, size_t bytes)
{
	const _Atomic uint64_t *from = part;
	_Atomic uint64_t *to = sum;

	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		metrics_add(&to[i], atomic_load_explicit(&from[i], memory_order_relaxed));
}

static void
raise_all(void *to, const void *sum, size_t bytes)
{
	const _Atomic uint64_t *from = sum;
	_Atomic uint64_t *words = to;

	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		raise_to(&words[i], atomic_load_explicit(&from[i], memory_order_relaxed));
}

/* ---- RPCs ---- */

/* A predecessor's pairs may have other numbers; those no longer configured are "other". */
static void
add_pairs(struct metrics_slot *sum, const struct metrics_slot *part, const struct labels *ours,
	  const struct labels *theirs)
{
	for (unsigned theirs_n = 0; theirs_n < labels_count(theirs); theirs_n++) {
		struct str team, env;
		unsigned n;

		labels_get(theirs, theirs_n, &team, &env);
		n = theirs_n != 0 ? labels_find(ours, team, env) : 0;
		add(sum->requests[n], part->requests[theirs_n], sizeof(sum->requests[n]));
		add(sum->errors[n], part->errors[theirs_n], sizeof(sum->errors[n]));
		add(sum->latency[n], part->latency[theirs_n], sizeof(sum->latency[n]));
	}
	add(sum->first_response, part->first_response, sizeof(sum->first_response));
	add(sum->overhead, part->overhead, sizeof(sum->overhead));
}

static int
bring_rpcs(struct earlier *e, struct segment *to, struct segment *from)
{
	const struct labels *ours = segment_labels(to), *theirs = segment_labels(from);
	struct metrics_slot *sum = calloc(1, sizeof(*sum));

	if (sum == NULL)
		return E_NOMEM;
	add_pairs(sum, &segment_earlier(from)->rpcs, ours, theirs);
	for (unsigned row = 0; row < SEGMENT_PROCS; row++)
		if (segment_metrics(from, row) != NULL)
			add_pairs(sum, segment_metrics(from, row), ours, theirs);
	raise_all(&e->rpcs, sum, sizeof(*sum));
	free(sum);
	return 0;
}

/* ---- the rest ---- */

static void
bring_counters(struct earlier *e, struct segment *from)
{
	const struct counters_slot *slots = segment_counters(from);
	uint64_t sum[COUNTERS_COUNT] = {0};

	for (unsigned row = 0; row < SEGMENT_COUNTERS; row++)
		counters_sum(&slots[row], false, sum);
	for (unsigned i = 0; i < COUNTERS_COUNT; i++)
		raise_to(&e->counters[i],
			 sum[i] + atomic_load(&segment_earlier(from)->counters[i]));
}

static void
bring_keeper(struct earlier *e, struct segment *from)
{
	struct metrics_keeper sum = {0};

	add(&sum, segment_metrics_keeper(from), sizeof(sum));
	add(&sum, &segment_earlier(from)->keeper, sizeof(sum));
	for (unsigned i = 0; i < METRICS_KEEPER_COUNT; i++)
		if (metrics_keeper_info[i].is_gauge)
			atomic_store(&sum.number[i], 0);
	raise_all(&e->keeper, &sum, sizeof(sum));
}

static void
bring_lost(struct earlier *e, struct segment *from)
{
	uint64_t lost = atomic_load(&segment_earlier(from)->lost);

	for (unsigned row = 0; row < SEGMENT_PROCS; row++) {
		const struct ring *ring = segment_ring(from, row);

		lost += ring != NULL ? atomic_load(&ring->lost) : 0;
	}
	raise_to(&e->lost, lost);
}

int
earlier_bring(struct segment *to, struct segment *from)
{
	struct earlier *e = segment_earlier(to);

	bring_counters(e, from);
	bring_keeper(e, from);
	bring_lost(e, from);
	return bring_rpcs(e, to, from);
}

bool
earlier_is_over(struct segment *from)
{
	for (unsigned row = 0; row < SEGMENT_PROCS; row++)
		if (segment_row_lives(from, row))
			return false;
	return true;
}
