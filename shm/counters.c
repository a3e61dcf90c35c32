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

void
counters_clear(struct counters_slot *s)
{
	for (unsigned i = 0; i < COUNTERS_COUNT; i++)
		atomic_store_explicit(&s->v[i], 0, memory_order_relaxed);
	for (unsigned i = 0; i < SEGMENT_DRIVERS; i++)
		atomic_store_explicit(&s->running[i], 0, memory_order_relaxed);
}

void
counters_sum(const struct counters_slot *slots, unsigned count, uint64_t ret[COUNTERS_COUNT])
{
	for (unsigned c = 0; c < COUNTERS_COUNT; c++) {
		ret[c] = 0;
		for (unsigned i = 0; i < count; i++)
			ret[c] += atomic_load_explicit(&slots[i].v[c], memory_order_relaxed);
	}
}
