/*
 * The spine: one function moves every RPC through its states, in the order of a good RPC's life.
 * What the steps do stands in request.c, route.c and answer.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "workers/answer.h"
#include "workers/request.h"
#include "workers/route.h"
#include "workers/rpc.h"

#define RPC_MAGIC     0x52504321u
#define ARENA_FIRST   4096
#define ARENA_CEILING (1u << 20) /* headers both ways, two envelope heads */
#define FREE_MAX      256

static struct rpc *free_list;
static unsigned free_count;

struct rpc *
rpc_of_client(struct h2_stream *s)
{
	struct rpc *r = (struct rpc *)(void *)((char *)s - offsetof(struct rpc, client));

	CHECK_MAGIC(r, RPC_MAGIC);
	return r;
}

struct rpc *
rpc_of_driver(struct h2_stream *s)
{
	struct rpc *r = (struct rpc *)(void *)((char *)s - offsetof(struct rpc, driver));

	CHECK_MAGIC(r, RPC_MAGIC);
	return r;
}

/* ---- birth and death ---- */

static struct rpc *
take(void)
{
	struct rpc *r = free_list;
	struct arena *arena;

	if (r != NULL) {
		free_list = r->next_free;
		free_count--;
		arena = r->arena;
	} else {
		r = malloc(sizeof *r);
		arena = arena_new(ARENA_FIRST, ARENA_CEILING);
		if (r == NULL || arena == NULL) {
			free(r);
			arena_free(&arena);
			return NULL;
		}
	}
	memset(r, 0, sizeof *r);
	r->arena = arena;
	return r;
}

struct h2_stream *
rpc_new(struct client *c)
{
	struct rpc *r = take();

	if (r == NULL)
		return NULL;
	r->magic = RPC_MAGIC;
	r->state = RPC_HEADERS;
	r->worker = c->worker;
	r->conn = c;
	r->id = ++c->rpcs;
	r->replayable = true;
	h2_stream_init(&r->client, &request_ops, r->arena);
	h2_stream_init(&r->driver, &answer_ops, r->arena);
	envelope_init(&r->envelope, r->arena);
	audit_begin(r);
	counters_add(r->worker->counters, COUNTER_rpcs_open, 1);
	counters_add(r->worker->counters, COUNTER_rpcs_total, 1);
	return &r->client;
}

static void
bury(void *arg)
{
	struct rpc *r = arg;

	CHECK_MAGIC(r, RPC_MAGIC);
	h2_fields_clear(&r->client.in);
	h2_fields_clear(&r->driver.in);
	body_clear(&r->client.out);
	body_clear(&r->driver.out);
	pool_clear(&r->pending);
	pool_clear(&r->replay);
	pool_clear(&r->held);
	registry_unref(&r->registry);
	identity_unref(&r->who);
	r->magic = 0;
	if (free_count >= FREE_MAX) {
		arena_free(&r->arena);
		free(r);
		return;
	}
	arena_reset(r->arena);
	r->next_free = free_list;
	free_list = r;
	free_count++;
}

void
rpc_trim(void)
{
	while (free_list != NULL) {
		struct rpc *r = free_list;

		free_list = r->next_free;
		arena_free(&r->arena);
		free(r);
	}
	free_count = 0;
}

/* The streams' frames may point into the arena until nghttp2 has closed both. */
void
rpc_maybe_free(struct rpc *r)
{
	if (!r->client_closed || r->driver.h2 != NULL || r->buried)
		return;
	ASSERT(r->state == RPC_DONE);
	r->buried = true;
	rpc_uncount_running(r);
	counters_add(r->worker->counters, COUNTER_rpcs_open, -1);
	counters_add(r->worker->counters, COUNTER_bytes_from_clients, (int64_t)r->request_bytes);
	counters_add(r->worker->counters, COUNTER_bytes_to_clients, (int64_t)r->answer_bytes);
	loop_later(r->worker->loop, LOOP_FREE, &r->bury, bury, r);
}

void
rpc_uncount_running(struct rpc *r)
{
	if (!r->running_counted)
		return;
	r->running_counted = false;
	_Atomic uint32_t *running = &r->worker->counters->running[r->driver_slot];
	atomic_store_explicit(running, atomic_load_explicit(running, memory_order_relaxed) - 1,
			      memory_order_relaxed);
}

/* ---- the states ---- */

static void
enter(struct rpc *r, enum rpc_state state)
{
	ASSERT(state == r->state + 1 || state == RPC_DONE);
	ASSERT(r->state != RPC_DONE);
	audit_enter(r, state);
	r->state = state;
}

static void
be_quick(struct rpc *r)
{
	if (!r->slowed)
		return;
	r->slowed = false;
	authn_slow_leave(r->worker->authn, r->conn);
}

/* For whatever it waits. */
static void
stop_waiting(struct rpc *r)
{
	loop_timer_stop(&r->deadline);
	binder_cancel(r->worker->binder, &r->ask);
	authn_cancel(r->worker->authn, &r->keys);
	loop_timer_stop(&r->slow);
	be_quick(r);
}

void
rpc_finish(struct rpc *r, unsigned status)
{
	if (r->state == RPC_DONE)
		return;
	enter(r, RPC_DONE);
	r->status = status;
	stop_waiting(r);
	if (status != GRPC_OK)
		counters_add(r->worker->counters, COUNTER_rpcs_failed, 1);
}

static void
slow_is_over(void *arg)
{
	struct rpc *r = arg;

	be_quick(r);
	rpc_run(r);
}

/* Nobody knows whether the token is good: no more served than with a bad one, and counted so. */
static enum rpc_step
not_now(struct rpc *r, const char *words, uint32_t retry_ms)
{
	counters_add(r->worker->counters, COUNTER_auth_refused, 1);
	return rpc_unavailable(r, words, retry_ms);
}

/* Too many bad tokens came from this address: this one is looked at in a moment. */
static enum rpc_step
slow_down(struct rpc *r)
{
	struct worker *w = r->worker;

	if (!authn_slow_enter(w->authn, r->conn))
		return not_now(r, "too many bad tokens have come from this address",
			       2 * AUTHN_SLOW_MS);
	counters_add(w->counters, COUNTER_auth_slowed, 1);
	r->slowed = r->waited_slow = true;
	loop_timer_start(w->loop, &r->slow, AUTHN_SLOW_MS, 0, slow_is_over, r);
	return STEP_WAIT;
}

static void
keys_came(struct authn_wait *x)
{
	rpc_run((struct rpc *)(void *)((char *)x - offsetof(struct rpc, keys)));
}

static enum rpc_step
wait_for_keys(struct rpc *r)
{
	r->waited_keys = true;
	if (authn_wait(r->worker->authn, &r->keys, keys_came) != 0)
		return not_now(r, "too many requests wait for keys of tokens", 1000);
	return STEP_WAIT;
}

static enum rpc_step
step_who(struct rpc *r)
{
	const struct authn_facts facts = {.authorization = r->authorization,
					  .authentication = r->authentication,
					  .user = r->user,
					  .client = r->conn,
					  .waited_keys = r->waited_keys,
					  .waited_slow = r->waited_slow};
	struct authn_answer a;

	switch (authn_check(r->worker->authn, &facts, &a)) {
	case 0: break;
	case E_AGAIN: return a.slow ? slow_down(r) : wait_for_keys(r);
	default:
		return a.code == GRPC_UNAVAILABLE ? not_now(r, a.why, a.retry_ms)
						  : rpc_refuse(r, a.code, a.why);
	}
	r->who = a.who;
	if (r->who->expired && !r->method->grace)
		return rpc_refuse(r, GRPC_UNAUTHENTICATED, "token expired");
	if (audit_is_full(r)) {
		rpc_blame(r, METRICS_ERROR_audit);
		return rpc_unavailable(r, "new plans cannot be recorded at the moment", 5000);
	}
	return STEP_ON;
}

void
rpc_run(struct rpc *r)
{
	CHECK_MAGIC(r, RPC_MAGIC);
	for (;;) {
		enum rpc_step s = STEP_WAIT;

		switch (r->state) {
		case RPC_HEADERS: s = request_headers(r); break;   /* :path -> method, deadline */
		case RPC_WHO: s = step_who(r); break;		   /* token -> person */
		case RPC_ENVELOPE: s = request_envelope(r); break; /* first message -> session */
		case RPC_ROUTE: s = route_step(r); break;	   /* session -> driver */
		case RPC_OPEN: s = request_open(r); break;	   /* a stream to it */
		case RPC_PUMP: s = request_pump(r); break;	   /* both ways until trailers */
		case RPC_DONE: return;
		}
		if (s == STEP_WAIT || r->state == RPC_DONE)
			return;
		ASSERT(s == STEP_ON);
		enter(r, r->state + 1);
	}
}

/* ---- refusing ---- */

/* The client is told the words; here they are for the one who debugs, not a line per refusal at all
 * times. */
static void
say_refused(const struct rpc *r, const char *code, struct str words)
{
	char ctx[320], client[128];

	if (!log_wants(LOG_LEVEL_DEBUG))
		return;
	snprintf(ctx, sizeof ctx, "%s rpc=%u trace=%s session=%s",
		 client_text(r->conn, client, sizeof client), r->id, r->audit.trace.id,
		 r->session_text);
	log_write(LOG_LEVEL_DEBUG, ctx, "refused: %s: %.*s", code, STR_ARG(words));
}

enum rpc_step
rpc_refuse_with(struct rpc *r, const struct status *status)
{
	if (r->state == RPC_DONE)
		return STEP_END;
	say_refused(r, grpc_code_name(status->code), status->message);
	answer_refusal(r, status);
	counters_add(r->worker->counters, COUNTER_rpcs_refused, 1);
	rpc_finish(r, status->code);
	h2_reset(&r->driver, NGHTTP2_CANCEL);
	return STEP_END;
}

enum rpc_step
rpc_refuse(struct rpc *r, enum grpc_code code, const char *words)
{
	struct status status = {.code = code, .detail = STATUS_PLAIN, .message = str_from(words)};

	return rpc_refuse_with(r, &status);
}

enum rpc_step
rpc_unavailable(struct rpc *r, const char *words, uint32_t retry_ms)
{
	struct status status = {
		.code = GRPC_UNAVAILABLE,
		.detail = STATUS_RETRY,
		.message = str_from(words),
		.retry_ms = retry_ms,
	};

	return rpc_refuse_with(r, &status);
}
