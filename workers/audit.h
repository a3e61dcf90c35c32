/*
 * What is told of an RPC: one audit record, and the numbers of /metrics, when the client's stream
 * closes: before the bytes that end it leave the process. Every RPC is recorded and counted once,
 * however it ends; one that a killed worker left is the keeper's (shm/open.h).
 *
 * Numbers:
 * - requests, errors: by the status at the end of the stream. A client that went, or reset the
 *   stream, before all of its answer had left is CANCELLED, whatever the driver had said.
 * - latency: from the headers to the end of the stream; of every RPC.
 * - first_response: from the headers to the driver's response headers; of answered ones.
 * - overhead: what the gateway itself added to an RPC that reached a driver: the time in HEADERS,
 *   WHO, ROUTE and OPEN (waiting for keys, the keeper, or a penalty among it), and from the driver's
 *   trailers until they were handed on. Not: waiting for the first message, a driver's connection
 *   that is being opened, bytes on their way.
 *
 * Costs: nine looks at a clock for an RPC, and one copy of its record. Private to workers/.
 */
#pragma once
#include "proto/grpc.h"
#include "proto/plan.h"
#include "proto/trace.h"
#include "shm/metrics.h"

#define AUDIT_STATES 6 /* those of rpc.h that take time */

struct audit;
struct binder_found;
struct rpc;
struct status;
struct worker;

/* Part of struct rpc. */
struct audit_rpc {
	unsigned slot, pair;
	uint8_t blame; /* one more than the METRICS_ERROR; 0: as the status says */
	bool refused, handed; /* answered by the gateway itself; something went to a driver */
	uint64_t begun_wall_ms;
	uint64_t begun_ns, entered_ns, first_ns, last_ns; /* last: the driver's trailers came */
	uint64_t spent_ns[AUDIT_STATES];
	struct grpc_counter answers;
	struct trace trace;
	struct str run_id, operation; /* as headers say */
	struct str team, env, cluster, driver, words;
	struct plan *plan;
};

struct audit *audit_new(struct worker *); /* NULL: no room in the shared segment, or no memory */
void audit_free(struct audit **);
void audit_second(struct audit *); /* once a second */

void audit_begin(struct rpc *);			/* a stream was opened */
void audit_started(struct rpc *);		/* its headers have come */
void audit_trace(struct rpc *, struct str traceparent); /* STR_NONE: a trace begins here */
void audit_enter(struct rpc *, unsigned state); /* before it moves from its present state */
void audit_head(struct rpc *);			/* the first message's head is complete */
void audit_routed(struct rpc *, struct str team, struct str env); /* whether or not it gets there */
void audit_bound(struct rpc *, const struct binder_found *);
void audit_first(struct rpc *);			/* the driver's response headers came */
void audit_last(struct rpc *);			/* its trailers came */
void audit_refused(struct rpc *, const struct status *, struct str words);
void audit_end(struct rpc *, bool whole); /* whole: all of the answer has left */

/* Nothing new should be begun, as it could not be recorded (audit.on_full: refuse). */
bool audit_is_full(const struct rpc *);
