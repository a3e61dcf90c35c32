/*
 * Counters: names and sums. Each slot has one writer, so adding needs no locked instruction.
 */
#include "shm/counters.h"

const struct counter_info counters_info[COUNTERS_COUNT] = {
#define gauge				  1
#define count				  0
#define COUNTER_INFO(name_, kind_, help_) [COUNTER_##name_] = {#name_, help_, kind_},
	COUNTERS(COUNTER_INFO)
#undef COUNTER_INFO
#undef count
#undef gauge
};

static uint64_t
load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static void
store(_Atomic uint64_t *p, uint64_t value)
{
	atomic_store_explicit(p, value, memory_order_relaxed);
}

void
counters_clear(struct counters_slot *s)
{
	for (unsigned i = 0; i < COUNTERS_COUNT; i++) {
		if (!counters_info[i].is_gauge)
			store(&s->base[i], load(&s->base[i]) + load(&s->v[i]));
		store(&s->v[i], 0);
	}
	for (unsigned i = 0; i < SEGMENT_DRIVERS; i++)
		atomic_store_explicit(&s->running[i], 0, memory_order_relaxed);
}

void
counters_get(const struct counters_slot *s, uint64_t ret[COUNTERS_COUNT])
{
	for (unsigned i = 0; i < COUNTERS_COUNT; i++)
		ret[i] = load(&s->v[i]);
}

void
counters_sum(const struct counters_slot *s, bool alive, uint64_t sum[COUNTERS_COUNT])
{
	for (unsigned i = 0; i < COUNTERS_COUNT; i++)
		if (alive || !counters_info[i].is_gauge)
			sum[i] += load(&s->v[i]) + load(&s->base[i]);
}
