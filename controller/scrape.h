/*
 * One look at all numbers of the gateway, for a page of metrics: sums over the slots of all
 * processes, dead ones included, made once; then a function per source of the table
 * (metrics_table.h), which writes the series of one metric.
 *
 * Controller only; reads the segment, the registry's snapshot and what scrape_from has.
 */
#pragma once
#include "conf/conf.h"
#include "controller/exposition.h"
#include "controller/view.h"
#include "shm/counters.h"
#include "shm/metrics.h"

struct certificates;
struct ship_numbers;

struct scrape_from {
	const struct conf *conf;
	struct view *view;
	const struct certificates *certificates; /* NULL: none */
	const struct ship_numbers *shipping;	 /* NULL: there is no store for audit files */
	json_t *providers;			 /* rows as keysets_show() makes them */
	int rollout;				 /* percent */
};

enum scrape_driver {
	SCRAPE_UP,
	SCRAPE_DRAINING,
	SCRAPE_SESSIONS,
	SCRAPE_RUNNING,
	SCRAPE_WEIGHT,
	SCRAPE_PROBE
};
enum scrape_provider { SCRAPE_KEYS, SCRAPE_KEYS_AGE, SCRAPE_FAILURES };
enum scrape_process { SCRAPE_ALIVE, SCRAPE_BEAT };
enum scrape_configured { SCRAPE_CONNECTIONS, SCRAPE_GENERATION, SCRAPE_ROLLOUT };
enum scrape_shipping { SCRAPE_PENDING, SCRAPE_PENDING_BYTES, SCRAPE_SUCCESS };
enum scrape_rings { SCRAPE_LOST, SCRAPE_FILL };

struct scrape_histogram {
	uint64_t count[METRICS_BUCKETS], sum_us;
};
struct scrape { /* private, but for the sources */
	const struct scrape_from *from;
	struct segment *segment;
	struct exposition x;
	unsigned pairs;
	uint64_t wall_ms, mono_ms;
	uint64_t counters[COUNTERS_COUNT];
	struct metrics_slot *sum; /* of all rows; nobody else has it */
};

/* E_NOMEM. */
int scrape_begin(struct scrape *, const struct scrape_from *, struct buf *out) MUST_CHECK;
void scrape_end(struct scrape *);

static inline uint64_t
scrape_load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}
struct scrape_histogram scrape_read(const struct metrics_histogram *);

/* ---- the sources ---- */

#define SCRAPE_SOURCES(X)                                                                      \
	X(requests)                                                                            \
	X(latency)                                                                             \
	X(sessions)                                                                            \
	X(errors)                                                                              \
	X(overhead)                                                                            \
	X(first_response)                                                                      \
	X(label_pairs)                                                                         \
	X(counter)                                                                             \
	X(configured)                                                                          \
	X(driver)                                                                              \
	X(provider)                                                                            \
	X(certificate)                                                                         \
	X(build_info)                                                                          \
	X(ready)                                                                               \
	X(start)                                                                               \
	X(process)                                                                             \
	X(restarts)                                                                            \
	X(reloads)                                                                             \
	X(last_reload)                                                                         \
	X(keeper_ok)                                                                           \
	X(keeper)                                                                              \
	X(keeper_times)                                                                        \
	X(rings)                                                                               \
	X(synced_age)                                                                          \
	X(shipping)
#define SCRAPE_DECLARE(source) void scrape_##source(struct scrape *, unsigned what);
SCRAPE_SOURCES(SCRAPE_DECLARE)
#undef SCRAPE_DECLARE
