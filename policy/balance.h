/*
 * Which driver of a cluster takes a new session: of those that can, the one with the fewest
 * sessions per weight; ties by rendezvous hash, so that all workers agree.
 *
 * Reads the checker's rows and the counts of sessions in shared memory; changes nothing.
 */
#pragma once
#include "policy/router_trace.h"
#include "shm/health.h"
#include "shm/registry.h"

struct balance {
	const struct health_row *health;	 /* by slot */
	const _Atomic uint32_t *driver_sessions; /* by slot */
	uint64_t key;				 /* of the session, for ties */
	uint32_t avoid;				 /* id of a driver that just failed, or 0 */
	struct router_trace *trace;		 /* NULL on the data path */
};

struct registry_driver *balance_pick(const struct balance *,
				     const struct registry_cluster *); /* NULL: none can */
