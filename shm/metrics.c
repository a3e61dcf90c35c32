/*
 * Names of metrics, and into which bucket a time falls.
 */
#include "shm/metrics.h"

const uint64_t metrics_bounds_us[METRICS_BUCKETS - 1] = {METRICS_BOUNDS};

const struct metrics_info metrics_errors[METRICS_ERRORS_COUNT] = {
#define METRICS_INFO(name_, help_) [METRICS_ERROR_##name_] = {#name_, help_, 0},
	METRICS_ERRORS(METRICS_INFO)
#undef METRICS_INFO
};

const struct metrics_info metrics_keeper_info[METRICS_KEEPER_COUNT] = {
#define gauge				  1
#define count				  0
#define METRICS_INFO(name_, kind_, help_) [METRICS_KEEPER_##name_] = {#name_, help_, kind_},
	METRICS_KEEPER(METRICS_INFO)
#undef METRICS_INFO
#undef count
#undef gauge
};

void
metrics_observe(struct metrics_histogram *h, uint64_t us)
{
	unsigned i = 0;

	while (i < METRICS_BUCKETS - 1 && us > metrics_bounds_us[i])
		i++;
	metrics_add(&h->count[i], 1);
	metrics_add(&h->sum_us, us);
}
