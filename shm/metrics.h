/*
 * Numbers for /metrics: a slot per process row, and one of the keeper.
 *
 * Writer of a slot: the process in its row. Of slot 0 (the supervisor's row): the keeper, for RPCs
 * whose worker was killed. Slots are never cleared, so that what a dead worker counted is not lost:
 * readers add up all slots that segment_metrics() has. Relaxed atomics, one writer each: a number
 * may lag, never tear, and adding needs no locked instruction.
 */
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "proto/grpc.h"
#include "proto/methods.h"
#include "shm/limits.h"

/* Upper bounds of the buckets in microseconds; a last bucket holds what is longer. */
#define METRICS_BOUNDS                                                                         \
	1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000,       \
		5000000, 10000000, 30000000, 60000000, 120000000, 300000000
#define METRICS_BUCKETS 18

/*	name			help (spark_connect_errors_total{error_type}) */
/* clang-format off */
#define METRICS_ERRORS(X) \
	X(authentication,	"no good token") \
	X(authorization,	"not allowed: team, env, another's session") \
	X(invalid_request,	"malformed, or nothing to route it by") \
	X(session_unknown,	"there is no such session") \
	X(session_closed,	"ended by an administrator or by policy") \
	X(no_driver,		"no healthy driver to send it to") \
	X(driver_lost,		"its session's driver is gone") \
	X(driver_broke,		"the stream of the driver broke") \
	X(driver_error,		"the driver answered with an error") \
	X(overload,		"a limit or a quota was reached") \
	X(draining,		"the gateway is going down") \
	X(keeper_away,		"no binding could be written") \
	X(audit,		"refused because it could not be recorded") \
	X(deadline,		"the client's deadline passed") \
	X(cancelled,		"the client gave it up") \
	X(worker_died,		"its worker was killed") \
	X(internal,		"any other failure of the gateway")
/*	name			kind	help; of the keeper */
#define METRICS_KEEPER(X) \
	X(commits,		count,	"transactions committed to the store") \
	X(commit_failures,	count,	"transactions that the store refused") \
	X(audit_records,	count,	"audit records written") \
	X(audit_bytes,		count,	"bytes of audit files written") \
	X(audit_lost,		count,	"audit records lost, as the audit file itself says") \
	X(audit_unfinished,	count,	"RPCs recorded for a worker that was killed") \
	X(audit_failures,	count,	"attempts to write or to sync the audit file that failed") \
	X(audit_rotations,	count,	"audit files sealed") \
	X(audit_stalled,	gauge,	"1 while audit records cannot be written") \
	X(audit_synced_ms,	gauge,	"when all records known were last on the disk (wall clock)")
/* clang-format on */

enum metrics_error {
#define METRICS_ENUM(name, help) METRICS_ERROR_##name,
	METRICS_ERRORS(METRICS_ENUM)
#undef METRICS_ENUM
		METRICS_ERRORS_COUNT
};
enum metrics_keeper_number {
#define METRICS_ENUM(name, kind, help) METRICS_KEEPER_##name,
	METRICS_KEEPER(METRICS_ENUM)
#undef METRICS_ENUM
		METRICS_KEEPER_COUNT
};

struct metrics_histogram {
	_Atomic uint64_t count[METRICS_BUCKETS]; /* each bucket's own, not the sum up to it */
	_Atomic uint64_t sum_us;
};
struct metrics_slot {
	_Atomic uint64_t requests[SEGMENT_PAIRS][GRPC_CODES]; /* ended, by grpc status */
	_Atomic uint64_t errors[SEGMENT_PAIRS][METRICS_ERRORS_COUNT];
	struct metrics_histogram latency[SEGMENT_PAIRS][METHODS]; /* to the end of the stream */
	struct metrics_histogram first_response[METHODS];
	struct metrics_histogram overhead[METHODS]; /* the gateway's own share */
};
struct metrics_keeper {
	_Atomic uint64_t number[METRICS_KEEPER_COUNT];
	struct metrics_histogram commit, audit_sync;
};

struct metrics_info {
	const char *name, *help;
	int is_gauge;
};
extern const uint64_t metrics_bounds_us[METRICS_BUCKETS - 1];
extern const struct metrics_info metrics_errors[METRICS_ERRORS_COUNT];
extern const struct metrics_info metrics_keeper_info[METRICS_KEEPER_COUNT];

static inline void
metrics_add(_Atomic uint64_t *n, uint64_t by)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + by,
			      memory_order_relaxed);
}

void metrics_observe(struct metrics_histogram *, uint64_t us);
