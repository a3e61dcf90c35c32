/*
 * One RPC: a stream of a client, from its headers until both sides are closed. The spine of the
 * data path.
 *
 *	HEADERS   --> method, deadline, facts              request.c
 *	WHO       --> identity                             authn.c
 *	ENVELOPE  --> waits for the first message's head   request.c, proto/envelope
 *	ROUTE     --> binding, or a new one (waits)        route.c, router.c, binder.c
 *	OPEN      --> a stream to the driver               request.c, driver.c
 *	PUMP      --> both ways until trailers             request.c, answer.c
 *	DONE      --> counted, freed when both streams are closed
 *
 * rpc_enter() is the only writer of `state`. A refusal is one verb: rpc_refuse(). Private to
 * workers/.
 */
#pragma once
#include "h2/h2.h"
#include "proto/envelope.h"
#include "proto/grpc.h"
#include "proto/methods.h"
#include "proto/status.h"
#include "workers/audit.h"
#include "workers/authn.h"
#include "workers/binder.h"
#include "workers/client.h"
#include "workers/context.h"
#include "policy/router.h"

enum rpc_state { RPC_HEADERS, RPC_WHO, RPC_ENVELOPE, RPC_ROUTE, RPC_OPEN, RPC_PUMP, RPC_DONE };
enum rpc_step { STEP_ON, STEP_WAIT, STEP_END };

struct rpc {
	unsigned magic;
	enum rpc_state state;
	struct worker *worker;
	struct client *conn;
	uint32_t id;
	struct arena *arena;
	struct h2_stream client, driver;
	struct rpc *next_free;
	struct loop_later bury;

	/* from the headers */
	struct h2_fields headers; /* client.in may hold trailers by the time a driver is known */
	const struct method *method;
	struct str host, authorization, authentication, content_type, team, env, user;
	struct loop_timer deadline;
	uint64_t deadline_ns; /* monotonic; 0: none */
	struct identity *who; /* a reference; NULL before it is known */
	struct authn_wait keys;
	struct loop_timer slow;

	/* from the envelope, and the way to a driver */
	struct envelope envelope;
	struct session_key key;
	char session_text[40];
	struct str user_name; /* as verified; as the client wrote it when nobody did */
	struct binder_ask ask;
	struct router_wish wish;
	struct router_choice choice;
	struct registry *registry; /* the snapshot that choice points into */
	uint32_t driver_id;
	uint32_t driver_slot;
	uint64_t bound_at_ms; /* created_ms of the binding */

	/* bytes on their way */
	struct pool_chain pending; /* request bytes behind a head that waits for its driver */
	struct pool_chain replay;  /* what the driver was sent, while it may be sent again */
	/* a response kept back until its session is bound (CloneSession) */
	struct pool_chain held;
	struct h2_fields request_fields, answer_fields;
	size_t request_debt, answer_debt; /* received, no credit given yet */
	uint64_t request_bytes, answer_bytes;
	unsigned status; /* grpc status at the end */
	struct audit_rpc audit;

	/* flags, in the order of a good life */
	bool slowed;	      /* waits because of bad tokens from its address */
	bool waited_slow, waited_keys;
	bool head_waits;      /* a head is complete, its seal is due */
	bool request_ended;   /* the client sent everything */
	bool envelope_closed; /* and the envelope agreed */
	bool bound;	      /* driver_id is the session's */
	bool fresh;	      /* this RPC made its session's binding */
	bool rerouted;	      /* and made it twice: its first driver could not be reached */
	bool replayable, retried;
	bool driver_open, driver_ended;
	bool answered; /* response headers went to the client */
	bool ended;    /* the client has, or will get, its grpc-status */
	bool holding;  /* see held */
	bool client_closed, running_counted, buried;
};

struct h2_stream *rpc_new(struct client *); /* for h2's open(); NULL: refuse the stream */
void rpc_run(struct rpc *);		    /* from the present state on, until it must wait */
struct rpc *rpc_of_client(struct h2_stream *);
struct rpc *rpc_of_driver(struct h2_stream *);

/* The client gets this status instead of anything further; the driver's stream is cancelled. Always
 * answers STEP_END. */
enum rpc_step rpc_refuse(struct rpc *, enum grpc_code, const char *words);
enum rpc_step rpc_refuse_with(struct rpc *, const struct status *);
enum rpc_step rpc_unavailable(struct rpc *, const char *words, uint32_t retry_ms);

/* Whose fault it is that the RPC will not end well, when that is known better than by its status. */
static inline void
rpc_blame(struct rpc *r, enum metrics_error error)
{
	r->audit.blame = (uint8_t)(error + 1);
}

void rpc_finish(struct rpc *, unsigned status); /* the final grpc status is known; state DONE */
void rpc_maybe_free(struct rpc *);		/* after a stream of it was closed */
void rpc_uncount_running(struct rpc *);
void rpc_trim(void); /* frees what is kept for reuse; at the end of the worker */
