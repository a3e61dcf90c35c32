/*
 * Client to driver. In: the client's header block and DATA; out: a request to the driver whose
 * every message carries our user_context.
 *
 *	client DATA --> envelope_feed --+--> HEAD: kept until the driver is known, then sealed
 *	                                '--> PASS: lent to the driver's stream, copied once
 *
 * Credit: the client gets window for every byte that is not waiting here (credit_client).
 */
#include <stdio.h>
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "proto/fields.h"
#include "proto/timeout.h"
#include "workers/answer.h"
#include "workers/driver_pool.h"
#include "workers/request.h"
#include "workers/route.h"

#define REPLAY_MAX	65536
#define DEADLINE_MAX_MS (400ull * 24 * 3600 * 1000) /* longer ones are none */

/* ---- HEADERS ---- */

static bool
same_host(struct str authority, struct str host)
{
	return host.p == NULL || str_eq_nocase(authority, host);
}

/* The configuration's order of names decides, not the request's; of one name the first counts. */
static void
take_preferred(const struct conf_names *names, struct str name, struct str value, struct str *to,
	       unsigned *rank)
{
	unsigned better = to->p != NULL ? *rank : names->count;

	for (unsigned i = 0; i < better; i++)
		if (str_eq(name, names->names[i])) {
			*to = value;
			*rank = i;
			return;
		}
}

struct seen {
	struct str method, path, authority, host, timeout, trace;
	unsigned team_rank, env_rank, run_rank;
	bool two_traces;
	const char *wrong;
};

static void
take_once(struct seen *seen, struct str *to, struct str value, const char *wrong)
{
	if (to->p != NULL)
		seen->wrong = wrong;
	*to = value;
}

/* Whatever is said about the user must be true, so all of it must be the same. */
static void
take_user(const struct conf_names *names, struct str name, struct str value, struct rpc *r,
	  struct seen *seen)
{
	for (unsigned i = 0; i < names->count; i++) {
		if (!str_eq(name, names->names[i]))
			continue;
		if (r->user.p != NULL && !str_eq(r->user, value))
			seen->wrong = "two different user headers";
		r->user = value;
	}
}

static void
take_field(struct rpc *r, struct seen *seen, struct str name, struct str value)
{
	const struct conf *conf = r->worker->conf;

	switch (fields_name(name)) {
	case FIELD_METHOD: seen->method = value; break;
	case FIELD_PATH: seen->path = value; break;
	case FIELD_AUTHORITY: seen->authority = value; break;
	case FIELD_HOST: take_once(seen, &seen->host, value, "two host headers"); break;
	case FIELD_CONTENT_TYPE:
		take_once(seen, &r->content_type, value, "two content-type headers");
		break;
	case FIELD_AUTHORIZATION:
		take_once(seen, &r->authorization, value, "two authorization headers");
		break;
	case FIELD_AUTHENTICATION:
		take_once(seen, &r->authentication, value, "two authentication headers");
		break;
	case FIELD_GRPC_TIMEOUT:
		take_once(seen, &seen->timeout, value, "two grpc-timeout headers");
		break;
	case FIELD_TRACEPARENT:
		seen->two_traces = seen->trace.p != NULL;
		seen->trace = value;
		break;
	case FIELD_OPERATION_ID: r->audit.operation = value; break;
	case FIELD_OTHER:
		take_preferred(&conf->header_team, name, value, &r->team, &seen->team_rank);
		take_preferred(&conf->header_env, name, value, &r->env, &seen->env_rank);
		take_preferred(&conf->header_run_id, name, value, &r->audit.run_id,
			       &seen->run_rank);
		take_user(&conf->header_user, name, value, r, seen);
		break;
	default: break;
	}
}

static void
deadline_passed(void *arg)
{
	struct rpc *r = arg;

	(void)rpc_refuse(r, GRPC_DEADLINE_EXCEEDED, "grpc-timeout passed");
}

static enum rpc_step
set_deadline(struct rpc *r, struct str value)
{
	uint64_t ns;

	if (value.p == NULL)
		return STEP_ON;
	if (timeout_parse(value, &ns) != 0)
		return rpc_refuse(r, GRPC_INVALID_ARGUMENT,
				  "malformed grpc-timeout: 1 to 8 digits and a unit of HMSmun");
	if (ns == 0)
		return rpc_refuse(r, GRPC_DEADLINE_EXCEEDED, "grpc-timeout passed");
	if (ns / 1000000 > DEADLINE_MAX_MS)
		return STEP_ON;
	r->deadline_ns = clock_ns() + ns;
	loop_timer_start(r->worker->loop, &r->deadline, (ns + 999999) / 1000000, 0, deadline_passed,
			 r);
	return STEP_ON;
}

static enum rpc_step
check_target(struct rpc *r, const struct seen *seen)
{
	if (seen->wrong != NULL)
		return rpc_refuse(r, GRPC_INVALID_ARGUMENT, seen->wrong);
	if (!fields_authority_ok(seen->authority.p != NULL ? seen->authority : seen->host) ||
	    (seen->authority.p != NULL && !same_host(seen->authority, seen->host)))
		return rpc_refuse(r, GRPC_INVALID_ARGUMENT,
				  "malformed :authority, or host differs from it");
	int found = methods_find(seen->path, &r->method);
	/* a method of the table has the path it should have */
	if ((found != 0 || r->method->id == METHOD_OTHER) && !fields_path_ok(seen->path))
		return rpc_refuse(r, GRPC_INVALID_ARGUMENT, "malformed :path");
	if (found != 0)
		return rpc_refuse(r, GRPC_UNIMPLEMENTED,
				  "unknown service: only " METHODS_SERVICE " is here");
	r->host = fields_authority_host(seen->authority.p != NULL ? seen->authority : seen->host);
	return STEP_ON;
}

enum rpc_step
request_headers(struct rpc *r)
{
	const struct h2_fields *f = &r->headers;
	struct seen seen = {0};

	audit_started(r);
	r->headers = h2_fields_keep(&r->client.in);
	if (r->client.too_large)
		return rpc_refuse(r, GRPC_RESOURCE_EXHAUSTED, "header block too large");
	for (unsigned i = 0; i < f->count; i++)
		take_field(r, &seen, h2_field_name(f, i), h2_field_value(f, i));
	audit_trace(r, seen.two_traces ? STR_NONE : seen.trace);
	if (!str_eq(seen.method, STR("POST")))
		return answer_http(r, "405");
	if (!grpc_is_content_type(r->content_type))
		return answer_http(r, "415");
	if (check_target(r, &seen) != STEP_ON)
		return STEP_END;
	return set_deadline(r, seen.timeout);
}

/* ---- bytes of the client ---- */

static void
credit_client(struct rpc *r)
{
	size_t waiting = body_len(&r->driver.out) + r->pending.len;

	if (r->request_debt > waiting) {
		h2_consume(&r->client, r->request_debt - waiting);
		r->request_debt = waiting;
	}
}

static void
remember(struct rpc *r, struct str bytes)
{
	if (!r->replayable)
		return;
	if (r->replay.len + bytes.n > REPLAY_MAX) {
		r->replayable = false;
		pool_clear(&r->replay);
		return;
	}
	pool_append(&r->replay, bytes.p, bytes.n);
}

static enum rpc_step
refuse_envelope(struct rpc *r)
{
	return rpc_refuse(r, (enum grpc_code)r->envelope.code, r->envelope.why);
}

static int
seal(struct rpc *r)
{
	struct str head;
	int rc = envelope_seal(&r->envelope, r->key.user, r->user_name, &head);

	if (rc != 0) {
		(void)refuse_envelope(r);
		return rc;
	}
	r->head_waits = false;
	remember(r, head);
	body_add(&r->driver.out, head);
	return 0;
}

/* Through the envelope; what passes is lent to the driver's stream. In ROUTE a head waits, or what
 * was sent already waits for another driver: the rest stays behind it. */
static void
feed(struct rpc *r, struct str bytes)
{
	while (bytes.n > 0 && r->state != RPC_DONE) {
		struct str pass = STR_NONE;
		size_t used = 0;

		if (r->head_waits || r->state == RPC_ROUTE) {
			pool_append(&r->pending, bytes.p, bytes.n);
			return;
		}
		int verdict = envelope_feed(&r->envelope, (const uint8_t *)bytes.p, bytes.n, &used,
					    &pass);
		if (verdict < 0) {
			(void)refuse_envelope(r);
			return;
		}
		bytes.p += used;
		bytes.n -= used;
		if (verdict == ENVELOPE_PASS) {
			remember(r, pass);
			if (r->audit.plan != NULL)
				plan_feed(r->audit.plan, (const uint8_t *)pass.p, pass.n);
			body_lend(&r->driver.out, pass);
		} else if (verdict == ENVELOPE_HEAD) {
			r->head_waits = true;
			audit_head(r);
			if (r->state == RPC_PUMP && seal(r) != 0)
				return;
		}
	}
}

static void
to_driver(struct rpc *r)
{
	if (r->driver_open)
		h2_push(&r->driver);
	else
		body_store(&r->driver.out);
	credit_client(r);
}

static void
close_envelope(struct rpc *r)
{
	if (!r->request_ended || r->head_waits || r->pending.len > 0 || r->envelope_closed ||
	    r->state == RPC_DONE)
		return;
	r->envelope_closed = true;
	if (envelope_end(&r->envelope) != 0)
		(void)refuse_envelope(r);
	else if (r->driver_open)
		h2_end(&r->driver);
}

static void
on_data(struct h2_stream *s, struct str bytes)
{
	struct rpc *r = rpc_of_client(s);

	r->request_debt += bytes.n;
	r->request_bytes += bytes.n;
	if (r->state == RPC_DONE) { /* refused; what still comes is dropped */
		h2_consume(s, r->request_debt);
		r->request_debt = 0;
		return;
	}
	feed(r, bytes);
	if (r->state == RPC_ENVELOPE && r->head_waits)
		rpc_run(r);
	to_driver(r);
}

static void
on_end(struct h2_stream *s)
{
	struct rpc *r = rpc_of_client(s);

	r->request_ended = true;
	close_envelope(r);
}

static void
on_headers(struct h2_stream *s, enum h2_block block, bool end)
{
	struct rpc *r = rpc_of_client(s);

	if (block == H2_REQUEST && r->state == RPC_HEADERS)
		rpc_run(r);
	else if (r->state != RPC_DONE && h2_fields_get(&s->in, STR("authorization")).p != NULL)
		(void)rpc_refuse(r, GRPC_INVALID_ARGUMENT, "authorization in trailers");
	if (end)
		on_end(s);
}

/* ---- ENVELOPE, OPEN, PUMP ---- */

enum rpc_step
request_envelope(struct rpc *r)
{
	return r->head_waits ? STEP_ON : STEP_WAIT;
}

/* Answers to Config are read here (answer.c), so they must not come compressed. */
static bool
goes_on(const struct rpc *r, struct str name)
{
	enum field_name id = fields_name(name);

	if (id == FIELD_TRACESTATE && r->audit.trace.parent[0] == '\0')
		return false; /* of a trace that is not gone on with */
	return fields_forward_request(id) &&
	       (r->method->id != METHOD_CONFIG || !str_eq(name, STR("grpc-accept-encoding")));
}

static void
add_trace(struct rpc *r, struct h2_fields *to)
{
	char *text = r->audit.trace.id[0] != '\0' ? arena_alloc(r->arena, TRACE_TEXT) : NULL;

	if (text != NULL)
		h2_fields_add_once(to, r->arena, STR("traceparent"),
				   trace_put(&r->audit.trace, text));
}

/* Rebuilt, not copied: pseudo-headers and te are ours, tokens are replaced, the timeout is what is
 * left of it. */
static int
build_fields(struct rpc *r, const struct driver *d)
{
	struct h2_fields *to = &r->request_fields, *from = &r->headers;
	struct arena *a = r->arena;
	char left[16];

	*to = (struct h2_fields){0};
	driver_request_fields(d, to, a, h2_fields_get(from, STR(":path")), r->content_type);
	if (r->deadline_ns != 0) {
		uint64_t now = clock_ns();
		timeout_put(r->deadline_ns > now ? r->deadline_ns - now : 1, left, sizeof left);
		h2_fields_add_once(to, a, STR("grpc-timeout"), arena_str(a, str_from(left)));
	}
	add_trace(r, to);
	for (unsigned i = 0; i < from->count; i++)
		if (goes_on(r, h2_field_name(from, i)))
			h2_fields_pass(to, a, from, i);
	return arena_failed(a) ? E_NOMEM : 0;
}

static enum rpc_step
no_connection(struct rpc *r, int rc)
{
	if (r->fresh && route_elsewhere(r))
		return STEP_WAIT;
	switch (rc) {
	case E_LIMIT:
		rpc_blame(r, METRICS_ERROR_overload);
		return rpc_unavailable(r, "all connections to the session's driver are full", 1000);
	case E_NOMEM: return rpc_unavailable(r, "out of memory", 1000);
	default: return rpc_unavailable(r, "the session's driver does not answer", 500);
	}
}

/* What was sent to a driver that has seen nothing of it goes out again. */
static void
reload_body(struct rpc *r)
{
	h2_fields_clear(&r->driver.in);
	body_clear(&r->driver.out);
	h2_stream_init(&r->driver, &answer_ops, r->arena);
	for (struct pool_block *b = r->replay.first; b != NULL; b = b->next)
		body_add(&r->driver.out,
			 (struct str){(const char *)b->data + b->start, b->end - b->start});
}

static void
count_running(struct rpc *r, uint32_t slot)
{
	rpc_uncount_running(r);
	r->driver_slot = slot;
	r->running_counted = true;
	_Atomic uint32_t *running = &r->worker->counters->running[slot];
	atomic_store_explicit(running, atomic_load_explicit(running, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

enum rpc_step
request_open(struct rpc *r)
{
	struct registry_driver *rd = worker_driver(r->worker, r->driver_id);
	struct h2 *h2;

	if (rd == NULL)
		return route_lost(r);
	struct driver *d = driver_pool_get(r->worker->drivers, rd);
	int rc = driver_connection(d, &h2);
	if (rc != 0)
		return no_connection(r, rc);
	if (r->replay.len > 0)
		reload_body(r);
	if (build_fields(r, d) != 0)
		return rpc_refuse(r, GRPC_RESOURCE_EXHAUSTED, "header block too large");
	if (h2_request(h2, &r->driver, &r->request_fields, false) != 0)
		return rpc_unavailable(r, "no stream to the session's driver could be opened", 500);
	r->driver_open = true;
	count_running(r, rd->slot);
	return STEP_ON;
}

/* First entry: the head is sealed, and what waited behind it follows. */
enum rpc_step
request_pump(struct rpc *r)
{
	if (r->head_waits && seal(r) != 0)
		return STEP_END;
	while (r->pending.len > 0 && r->state == RPC_PUMP) {
		struct pool_block *b = r->pending.first;

		/* taken off the chain first: feed() may put the rest back behind a head */
		r->pending.first = b->next;
		if (r->pending.first == NULL)
			r->pending.last = NULL;
		r->pending.len -= b->end - b->start;
		feed(r, (struct str){(const char *)b->data + b->start, b->end - b->start});
		body_store(&r->driver.out);
		pool_put(b);
	}
	if (r->state == RPC_DONE)
		return STEP_END;
	to_driver(r);
	close_envelope(r);
	if (r->envelope_closed && r->state != RPC_DONE)
		h2_end(&r->driver);
	return STEP_WAIT;
}

void
request_again(struct rpc *r)
{
	ASSERT(r->replayable && !r->retried && r->state == RPC_PUMP);
	r->retried = true;
	if (r->fresh && route_has_other(r) && route_elsewhere(r))
		return;
	if (request_open(r) == STEP_ON)
		(void)request_pump(r);
}

/* ---- the client's stream ---- */

static void
on_sent(struct h2_stream *s) /* response bytes have left */
{
	answer_credit(rpc_of_client(s));
}

static void
on_stalled(struct h2_stream *s)
{
	struct rpc *r = rpc_of_client(s);

	if (r->state == RPC_DONE) {
		h2_reset(s, NGHTTP2_CANCEL);
		return;
	}
	rpc_blame(r, METRICS_ERROR_cancelled);
	(void)rpc_unavailable(r, "the client has taken next to nothing for ten minutes", 1000);
}

static void
on_closed(struct h2_stream *s, uint32_t code)
{
	struct rpc *r = rpc_of_client(s);

	r->client_closed = true;
	if (r->state != RPC_DONE) {
		rpc_finish(r, r->ended ? r->status : GRPC_CANCELLED);
		h2_reset(&r->driver, NGHTTP2_CANCEL);
	}
	audit_end(r, code == NGHTTP2_NO_ERROR);
	rpc_maybe_free(r);
}

void
request_credit(struct rpc *r)
{
	credit_client(r);
}

const struct h2_stream_ops request_ops = {on_headers, on_data,	  on_end,
					  on_sent,    on_stalled, on_closed};
