/*
 * Counters of each process, a slot per process row; for `sparkgwctl status` and /metrics. Deaths and
 * reloads are counted by the supervisor, what leaves for a store or a collector by the controller,
 * the rest by workers.
 *
 * Writer of a slot: its process. Readers add up the slots. Relaxed atomics: a counter may lag,
 * never tear. What a process counted stays in the slot's base when another one takes the slot, so
 * that totals never go back. A new counter is a row of COUNTERS.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "shm/limits.h"

/*	name			kind	help */
/* clang-format off */
#define COUNTERS(X) \
	X(connections_open,	gauge,	"client connections open") \
	X(connections_total,	count,	"client connections accepted") \
	X(handshakes_failed,	count,	"TLS handshakes that failed") \
	X(rpcs_open,		gauge,	"RPCs under way") \
	X(rpcs_total,		count,	"RPCs begun") \
	X(rpcs_failed,		count,	"RPCs that ended with a status other than OK") \
	X(rpcs_refused,		count,	"RPCs that the gateway answered itself with an error") \
	X(driver_connections,	gauge,	"connections to drivers open") \
	X(bytes_from_clients,	count,	"request body bytes") \
	X(bytes_to_clients,	count,	"response body bytes") \
	X(abuse_closed,		count,	"connections ended by the abuse budget") \
	X(auth_refused,		count,	"RPCs without a good token") \
	X(auth_verified,	count,	"tokens verified") \
	X(auth_slowed,		count,	"tokens looked at later because of bad ones from there") \
	X(ship_files,		count,	"audit files shipped") \
	X(ship_failures,	count,	"attempts to ship an audit file that failed") \
	X(spans_sent,		count,	"spans that a collector took") \
	X(spans_dropped,	count,	"spans that no collector took in time") \
	X(restarts_worker,	count,	"workers that died and were started again") \
	X(restarts_checker,	count,	"checkers that died and were started again") \
	X(restarts_keeper,	count,	"keepers that died and were started again") \
	X(restarts_controller,	count,	"controllers that died and were started again") \
	X(reloads_ok,		count,	"reloads of the configuration that were done") \
	X(reloads_failed,	count,	"reloads of the configuration that were refused") \
	X(reload_ended_ms,	gauge,	"when the last reload ended (wall clock; 0: there was none)") \
	X(reload_bad,		gauge,	"1 while the last reload is one that was refused")
/* clang-format on */

enum counter {
#define COUNTER_ENUM(name, kind, help) COUNTER_##name,
	COUNTERS(COUNTER_ENUM)
#undef COUNTER_ENUM
		COUNTERS_COUNT
};

struct counters_slot {
	_Atomic uint64_t v[COUNTERS_COUNT];
	_Atomic uint64_t base[COUNTERS_COUNT]; /* of earlier processes; of gauges 0 */
	/* RPCs under way per driver slot */
	_Atomic uint32_t running[SEGMENT_DRIVERS];
	/* By provider of the process's configuration: tokens met whose key is not known here. Only
	 * ever moves, over processes too; the controller compares with what it saw last. */
	_Atomic uint32_t keys_wanted[SEGMENT_PROVIDERS];
} __attribute__((aligned(64)));

struct counter_info {
	const char *name, *help;
	int is_gauge;
};
extern const struct counter_info counters_info[COUNTERS_COUNT];

static inline void
counters_add(struct counters_slot *s, enum counter c, int64_t delta)
{
	atomic_store_explicit(
		&s->v[c], atomic_load_explicit(&s->v[c], memory_order_relaxed) + (uint64_t)delta,
		memory_order_relaxed);
}

static inline void
counters_set(struct counters_slot *s, enum counter gauge, uint64_t value)
{
	atomic_store_explicit(&s->v[gauge], value, memory_order_relaxed);
}

/* A worker: a token names a key of this provider that nobody has yet. */
static inline void
counters_want_keys(struct counters_slot *s, unsigned provider)
{
	if (provider < SEGMENT_PROVIDERS) /* one writer: no locked instruction */
		atomic_store_explicit(&s->keys_wanted[provider],
				      atomic_load_explicit(&s->keys_wanted[provider],
							   memory_order_relaxed) + 1,
				      memory_order_relaxed);
}

/* Its process, at start and end: counts go into the base, gauges and what runs become 0. */
void counters_clear(struct counters_slot *);
void counters_get(const struct counters_slot *, uint64_t ret[COUNTERS_COUNT]); /* base not in it */
/* Counts with the base. Gauges only when the process lives: what was open in it went with it. */
void counters_sum(const struct counters_slot *, bool alive, uint64_t sum[COUNTERS_COUNT]);
