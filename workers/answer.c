/*
 * Driver to client. In: the driver's response; out: the same to the client, ended by exactly one
 * grpc-status whatever the driver does: dies, answers HTML, resets, or forgets its trailers.
 *
 *	driver DATA --> lent to the client's stream, copied once --> credit to the driver when left
 */
#include <stdio.h>
#include <stdlib.h>
#include "lib/log.h"
#include "lib/panic.h"
#include "proto/fields.h"
#include "proto/redact.h"
#include "proto/uuid.h"
#include "workers/answer.h"
#include "workers/request.h"
#include "workers/route.h"

/* a CloneSessionResponse is some hundred bytes; all of a session's configuration some ten KiB */
#define HELD_MAX ((size_t)256 << 10)

/* ---- the gateway's own answers ---- */

static void
add_status(struct rpc *r, struct h2_fields *to, const struct status_fields *f)
{
	h2_fields_add(to, r->arena, STR("grpc-status"), f->code);
	if (f->message.n > 0)
		h2_fields_add(to, r->arena, STR("grpc-message"), f->message);
	if (f->details.n > 0)
		h2_fields_add(to, r->arena, STR("grpc-status-details-bin"), f->details);
}

static void
begin_own(struct rpc *r, struct h2_fields *to)
{
	*to = (struct h2_fields){0};
	h2_fields_add(to, r->arena, STR(":status"), STR("200"));
	h2_fields_add(to, r->arena, STR("content-type"), STR("application/grpc"));
}

void
answer_refusal(struct rpc *r, const struct status *status)
{
	struct status_fields f;

	if (r->ended)
		return;
	r->ended = true;
	if (status_encode(status, r->arena, &f) != 0) {
		h2_reset(&r->client, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	struct h2_fields *to = r->answered ? &r->client.trailers : &r->answer_fields;
	if (r->answered) {
		*to = (struct h2_fields){0};
	} else {
		begin_own(r, to);
		if (status->code ==
		    GRPC_UNIMPLEMENTED) /* how a gRPC peer learns that we do not inflate */
			h2_fields_add(to, r->arena, STR("grpc-accept-encoding"), STR("identity"));
	}
	add_status(r, to, &f);
	audit_refused(r, status, f.message);
	if (arena_failed(r->arena) || (!r->answered && h2_respond(&r->client, to, true) != 0))
		h2_reset(&r->client, NGHTTP2_INTERNAL_ERROR);
	else if (r->answered)
		h2_cut_short(&r->client);
	r->answered = true;
}

enum rpc_step
answer_http(struct rpc *r, const char *http_status)
{
	struct h2_fields *to = &r->answer_fields;

	*to = (struct h2_fields){0};
	h2_fields_add(to, r->arena, STR(":status"), str_from(http_status));
	if (strcmp(http_status, "405") == 0)
		h2_fields_add(to, r->arena, STR("allow"), STR("POST"));
	r->answered = r->ended = true;
	counters_add(r->worker->counters, COUNTER_rpcs_refused, 1);
	if (arena_failed(r->arena) || h2_respond(&r->client, to, true) != 0)
		h2_reset(&r->client, NGHTTP2_INTERNAL_ERROR);
	r->audit.refused = true;
	r->audit.words = str_from(arena_printf(r->arena, "HTTP %s", http_status));
	rpc_blame(r, METRICS_ERROR_invalid_request);
	rpc_finish(r, GRPC_UNKNOWN);
	return STEP_END;
}

static void
ok_trailers(struct rpc *r)
{
	r->client.trailers = (struct h2_fields){0};
	h2_fields_add(&r->client.trailers, r->arena, STR("grpc-status"), STR("0"));
}

enum rpc_step
answer_empty(struct rpc *r)
{
	struct str frame;

	if (status_empty_answer(r->method->id, str_from(r->session_text), r->arena, &frame) != 0)
		return rpc_refuse(r, GRPC_RESOURCE_EXHAUSTED, "out of memory");
	begin_own(r, &r->answer_fields);
	ok_trailers(r);
	r->answered = r->ended = true;
	if (arena_failed(r->arena) || h2_respond(&r->client, &r->answer_fields, false) != 0) {
		h2_reset(&r->client, NGHTTP2_INTERNAL_ERROR);
	} else {
		body_add(&r->client.out, frame);
		r->answer_bytes += frame.n;
		r->audit.answers.messages++;
		h2_trailers(&r->client);
	}
	rpc_finish(r, GRPC_OK);
	return STEP_END;
}

/* ---- the driver's headers and trailers ---- */

static bool
is_verdict(enum field_name name)
{
	return name == FIELD_GRPC_STATUS || name == FIELD_GRPC_MESSAGE ||
	       name == FIELD_GRPC_STATUS_DETAILS;
}

static bool
came_before(const struct h2_fields *f, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (str_eq(h2_field_name(f, k), h2_field_name(f, i)))
			return true;
	return false;
}

/* :status was checked to be 200. The verdict is told once: at the end, the first of two. */
static bool
passes(const struct h2_fields *f, unsigned i, bool end)
{
	enum field_name name = fields_name(h2_field_name(f, i));

	if (is_verdict(name))
		return end && !came_before(f, i);
	return name == FIELD_STATUS || fields_forward_response(name);
}

static bool
needs_rebuild(const struct h2_fields *f, bool end)
{
	for (unsigned i = 0; i < f->count; i++)
		if (!passes(f, i, end))
			return true;
	return false;
}

/* What goes on to the client: usually the very list that came. */
static const struct h2_fields *
forwarded(struct rpc *r, const struct h2_fields *from, struct h2_fields *room, bool end)
{
	if (!needs_rebuild(from, end))
		return from;
	*room = (struct h2_fields){0};
	for (unsigned i = 0; i < from->count; i++)
		if (passes(from, i, end))
			h2_fields_pass(room, r->arena, from, i);
	return room;
}

static unsigned
http_status(const struct h2_fields *f)
{
	struct str value = h2_fields_get(f, STR(":status"));
	uint64_t n = 0;

	return str_u64(value, 999, &n) == 0 ? (unsigned)n : 0;
}

static void
broken(struct rpc *r, enum grpc_code code, const char *words)
{
	rpc_blame(r, METRICS_ERROR_driver_broke);
	(void)rpc_refuse(r, code, words);
}

/* Side effects of an RPC that the driver answered with OK. */
static void
settled(struct rpc *r, unsigned status)
{
	if (status == GRPC_OK && r->method->id == METHOD_RELEASE_SESSION)
		binder_release(r->worker->binder, &r->key, r->driver_id);
}

/* Everything of the answer is on its way: nothing more is wanted of the driver. */
static void
answered_fully(struct rpc *r, unsigned status)
{
	r->ended = true;
	if (status != GRPC_OK)
		rpc_blame(r, METRICS_ERROR_driver_error);
	settled(r, status);
	if (!h2_end_sent(&r->driver)) /* an early answer: the upload may stop */
		h2_reset(&r->driver, NGHTTP2_NO_ERROR);
	rpc_finish(r, status);
}

static void
release_held(struct rpc *r)
{
	for (struct pool_block *b = r->held.first; b != NULL; b = b->next)
		body_add(&r->client.out,
			 (struct str){(const char *)b->data + b->start, b->end - b->start});
	pool_clear(&r->held);
	r->holding = false;
}

static void
forward_trailers(struct rpc *r, unsigned status)
{
	release_held(r);
	r->client.trailers = *forwarded(r, &r->driver.in, &r->answer_fields, true);
	if (arena_failed(r->arena))
		h2_reset(&r->client, NGHTTP2_INTERNAL_ERROR);
	h2_trailers(&r->client);
	answered_fully(r, status);
}

/* ---- CloneSession: the new session is bound before its owner hears of it ---- */

static void
clone_unbound(struct rpc *r)
{
	rpc_blame(r, METRICS_ERROR_keeper_away);
	(void)rpc_unavailable(r, "the cloned session could not be bound", 1000);
}

static void
clone_bound(struct binder_ask *a, int err, const struct binder_found *found)
{
	struct rpc *r = (struct rpc *)(void *)((char *)a - offsetof(struct rpc, ask));

	if (err != 0)
		clone_unbound(r);
	else if (found->state != SESSION_BOUND || found->driver_id != r->driver_id)
		broken(r, GRPC_ALREADY_EXISTS, "the new session's id is in use elsewhere");
	else
		forward_trailers(r, GRPC_OK);
}

/* The one message that was held, out of its frame; STR_NONE when it is none, or no room. */
static struct str
take_held(struct rpc *r)
{
	size_t n = r->held.len;
	char *message = arena_alloc(r->arena, n + 1);
	struct grpc_prefix prefix;

	if (message == NULL || n < GRPC_PREFIX)
		return STR_NONE;
	pool_take(&r->held, message, n);
	if (grpc_prefix_get((const uint8_t *)message, &prefix) != 0 || prefix.compressed ||
	    prefix.length != n - GRPC_PREFIX)
		return STR_NONE;
	return (struct str){message + GRPC_PREFIX, n - GRPC_PREFIX};
}

static void
bind_clone(struct rpc *r)
{
	struct session_key key = {.user = r->key.user};
	struct str message = take_held(r), id;

	if (message.p == NULL) {
		broken(r, GRPC_INTERNAL, "the driver's CloneSessionResponse cannot be read");
		return;
	}
	pool_append(&r->held, message.p - GRPC_PREFIX, message.n + GRPC_PREFIX);
	if (status_cloned_session(message, &id) != 0 || uuid_parse(id, key.id) != 0) {
		broken(r, GRPC_INTERNAL, "the driver's CloneSessionResponse names no session");
		return;
	}
	r->ask.done = clone_bound;
	if (binder_bind_like(r->worker->binder, &r->ask, &key, &r->key) != 0)
		clone_unbound(r);
}

/* ---- Config: the driver's own token is not for clients ---- */

static struct str
driver_secret(const struct rpc *r)
{
	const struct registry_driver *d = worker_driver(r->worker, r->driver_id);
	const struct conf_cluster *c =
		d != NULL ? conf_cluster(r->worker->conf, d->cluster->name) : NULL;

	return c != NULL ? c->token : STR_NONE;
}

static void
redact(struct rpc *r)
{
	struct str message = take_held(r), clean;
	uint8_t prefix[GRPC_PREFIX];
	bool changed;

	if (message.p == NULL ||
	    redact_config(message, driver_secret(r), r->arena, &clean, &changed) != 0) {
		broken(r, GRPC_INTERNAL, "the driver's ConfigResponse cannot be read");
		return;
	}
	grpc_prefix_put(prefix, (uint32_t)clean.n);
	pool_append(&r->held, prefix, sizeof prefix);
	pool_append(&r->held, clean.p, clean.n);
	forward_trailers(r, GRPC_OK);
}

/* Also for trailers-only answers (block is the response, and its end). */
static void
take_trailers(struct rpc *r, bool only)
{
	const struct h2_fields *from = &r->driver.in;
	struct str text = h2_fields_get(from, STR("grpc-status"));
	unsigned status;

	audit_last(r);
	if (r->driver.too_large) {
		broken(r, GRPC_INTERNAL, "the driver's trailers are too large");
		return;
	}
	if (text.p == NULL || grpc_status_parse(text, &status) != 0) {
		broken(r, GRPC_UNKNOWN, "the driver ended its answer without a grpc-status");
		return;
	}
	r->driver_ended = true;
	if (r->holding && status == GRPC_OK) {
		if (r->method->id == METHOD_CONFIG)
			redact(r);
		else
			bind_clone(r);
		return;
	}
	if (only) {
		const struct h2_fields *to = forwarded(r, from, &r->answer_fields, true);
		r->answered = true;
		if (arena_failed(r->arena) || h2_respond(&r->client, to, true) != 0)
			h2_reset(&r->client, NGHTTP2_INTERNAL_ERROR);
		answered_fully(r, status);
	} else {
		forward_trailers(r, status);
	}
}

static void
take_response(struct rpc *r, bool end)
{
	const struct h2_fields *f = &r->driver.in;
	unsigned http = http_status(f);
	char words[64];

	r->replayable = false;
	pool_clear(&r->replay);
	audit_first(r);
	if (r->driver.too_large) {
		broken(r, GRPC_INTERNAL, "the driver's header block is too large");
		return;
	}
	if (http != 200) {
		snprintf(words, sizeof words, "the driver answered HTTP %u instead of gRPC", http);
		broken(r, grpc_code_from_http(http), words);
		return;
	}
	if (!grpc_is_content_type(h2_fields_get(f, STR("content-type")))) {
		broken(r, GRPC_UNKNOWN, "the driver's answer is not gRPC");
		return;
	}
	if (end) {
		take_trailers(r, true);
		return;
	}
	r->holding = r->method->id == METHOD_CLONE_SESSION ||
		     (r->method->id == METHOD_CONFIG && driver_secret(r).n > 0);
	r->answered = true;
	if (h2_respond(&r->client, forwarded(r, f, &r->answer_fields, false), false) != 0 ||
	    arena_failed(r->arena))
		h2_reset(&r->client, NGHTTP2_INTERNAL_ERROR);
}

static void
on_headers(struct h2_stream *s, enum h2_block block, bool end)
{
	struct rpc *r = rpc_of_driver(s);

	if (r->state == RPC_DONE)
		return;
	if (block == H2_RESPONSE)
		take_response(r, end);
	else if (end)
		take_trailers(r, false);
}

/* ---- bytes ---- */

void
answer_credit(struct rpc *r)
{
	size_t waiting = body_len(&r->client.out) + r->held.len;

	if (r->answer_debt > waiting) {
		h2_consume(&r->driver, r->answer_debt - waiting);
		r->answer_debt = waiting;
	}
}

static void
on_data(struct h2_stream *s, struct str bytes)
{
	struct rpc *r = rpc_of_driver(s);

	if (r->state == RPC_DONE || !r->answered)
		return; /* the stream is being reset */
	r->answer_debt += bytes.n;
	r->answer_bytes += bytes.n;
	grpc_count(&r->audit.answers, (const uint8_t *)bytes.p, bytes.n);
	if (r->holding) {
		pool_append(&r->held, bytes.p, bytes.n);
		if (r->held.len > HELD_MAX)
			broken(r, GRPC_INTERNAL, "the driver's answer is too long");
		return;
	}
	body_lend(&r->client.out, bytes);
	h2_push(&r->client);
	answer_credit(r);
}

static void
on_end(struct h2_stream *s)
{
	struct rpc *r = rpc_of_driver(s);

	if (r->state != RPC_DONE)
		broken(r, GRPC_UNKNOWN, "the driver ended its answer without a grpc-status");
}

static void
on_sent(struct h2_stream *s) /* request bytes have left */
{
	request_credit(rpc_of_driver(s));
}

static void
on_stalled(struct h2_stream *s)
{
	(void)s; /* a driver that does not read: its business, and the deadline's */
}

static void
driver_gone(struct rpc *r, uint32_t code)
{
	if (code == H2_NEVER_SENT && r->replayable && !r->retried) {
		request_again(r);
		return;
	}
	if (r->fresh && code == H2_NEVER_SENT) /* the next try may choose anew */
		binder_release(r->worker->binder, &r->key, r->driver_id);
	if (code == H2_NEVER_SENT)
		rpc_blame(r, METRICS_ERROR_no_driver);
	if (code == H2_NEVER_SENT && !r->answered)
		(void)rpc_unavailable(r, "the session's driver does not answer", 500);
	else if (code == H2_CONNECTION_LOST)
		broken(r, GRPC_UNAVAILABLE, "the connection to the session's driver broke");
	else
		broken(r, grpc_code_from_rst(code), "the session's driver reset the stream");
}

static void
on_closed(struct h2_stream *s, uint32_t code)
{
	struct rpc *r = rpc_of_driver(s);

	r->driver_open = false;
	if (r->state != RPC_DONE && !r->driver_ended)
		driver_gone(r, code);
	rpc_maybe_free(r);
}

const struct h2_stream_ops answer_ops = {on_headers, on_data,	 on_end,
					 on_sent,    on_stalled, on_closed};
