/*
 * An RPC's record. In: what the states of rpc.c come to know; out: facts into the desk, numbers
 * into the process's metrics.
 */
#include <openssl/rand.h>
#include <stdlib.h>
#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/desk.h"
#include "shm/labels.h"
#include "workers/audit.h"
#include "workers/rpc.h"

#define AUDIT_MAGIC    0x41554449u
#define INFLATE_SECOND (64ull << 20) /* bytes of compressed plans; more are not looked into */
#define INFLATE_SENDER (32ull << 20) /* of one user's */
#define SENDERS	       256	     /* users share what is theirs with others of the same hash */
#define SEEDS	       32	     /* traces that one look at the random generator serves */

struct audit {
	unsigned magic;
	const struct labels *labels;
	struct plan_kit kit;
	struct hash_key senders_key;
	struct plan_quota senders[SENDERS];
	unsigned seeds_left;
	uint8_t seeds[SEEDS][TRACE_SEED];
	struct desk desk;
};

_Static_assert(AUDIT_STATES == RPC_DONE, "one duration for each state");

struct audit *
audit_new(struct worker *w)
{
	struct audit *a = calloc(1, sizeof(*a));
	int err;

	ASSERT(a != NULL);
	a->magic = AUDIT_MAGIC;
	a->labels = segment_labels(w->setup->segment);
	a->kit = (struct plan_kit){.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL),
				   .sql = w->conf->audit.sql != AUDIT_SQL_NONE};
	ASSERT(a->kit.sha256 != NULL);
	hash_key_random(&a->senders_key);
	audit_second(a);
	if (w->conf->audit.sql == AUDIT_SQL_TEXT)
		a->kit.sql_bytes = w->conf->audit.sql_bytes;
	err = desk_enter(&a->desk, w->setup->segment, w->setup->seat.row, w->setup->seat.slot);
	if (err != 0) {
		log_error(NULL, "no room for audit records and metrics: %s", err_text(err));
		audit_free(&a);
	}
	return a;
}

void
audit_free(struct audit **ret)
{
	struct audit *a = *ret;

	if (a == NULL)
		return;
	CHECK_MAGIC(a, AUDIT_MAGIC);
	*ret = NULL;
	EVP_MD_free(a->kit.sha256);
	a->magic = 0;
	free(a);
}

void
audit_second(struct audit *a)
{
	a->kit.credit = INFLATE_SECOND;
	for (unsigned i = 0; i < SENDERS; i++)
		a->senders[i].credit = INFLATE_SENDER;
}

/* ---- facts, in the order in which they become known ---- */

static struct str
method_name(const struct rpc *r)
{
	struct str path, name;

	if (r->method == NULL || r->method->id != METHOD_OTHER)
		return r->method != NULL ? str_from(r->method->name) : STR_NONE;
	path = h2_fields_get(&r->headers, STR(":path"));
	name = path;
	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] == '/')
			name = (struct str){path.p + i + 1, path.n - i - 1};
	return name;
}

static void
put_request(struct audit_facts *f, const struct rpc *r)
{
	const struct trace *t = &r->audit.trace;

	audit_number(f, AUDIT_begun, r->audit.begun_wall_ms);
	audit_number(f, AUDIT_client, r->conn->id);
	audit_number(f, AUDIT_rpc, r->id);
	audit_text(f, AUDIT_peer, str_from(r->conn->peer_text));
	audit_text(f, AUDIT_method, method_name(r));
	if (t->id[0] == '\0')
		return;
	audit_text(f, AUDIT_trace, (struct str){t->id, TRACE_ID});
	audit_text(f, AUDIT_span, (struct str){t->span, TRACE_SPAN});
	if (t->parent[0] != '\0')
		audit_text(f, AUDIT_parent, (struct str){t->parent, TRACE_SPAN});
	audit_number(f, AUDIT_sampled, t->flags & TRACE_SAMPLED);
}

static void
put_who(struct audit_facts *f, const struct rpc *r)
{
	if (r->who == NULL || !r->who->verified)
		return;
	audit_text(f, AUDIT_user, r->who->user);
	audit_text(f, AUDIT_provider, r->who->provider);
}

static void
put_place(struct audit_facts *f, const struct rpc *r, struct str operation)
{
	audit_text(f, AUDIT_session, str_from(r->session_text));
	audit_text(f, AUDIT_team, r->audit.team);
	audit_text(f, AUDIT_env, r->audit.env);
	audit_text(f, AUDIT_cluster, r->audit.cluster);
	audit_text(f, AUDIT_operation, operation);
	audit_text(f, AUDIT_driver, r->audit.driver);
	audit_text(f, AUDIT_run_id, r->audit.run_id);
}

static struct plan_found
found_of(const struct rpc *r)
{
	struct plan_found found = {0};

	if (r->audit.plan != NULL)
		plan_found(r->audit.plan, &found);
	if (found.operation.n == 0)
		found.operation = r->audit.operation;
	return found;
}

static void
put_plan(struct audit_facts *f, const struct plan_found *p)
{
	audit_text(f, AUDIT_plan_kind, str_from(p->kind));
	audit_text(f, AUDIT_plan_command, str_from(p->command));
	audit_number(f, AUDIT_compressed, p->compressed);
	if (!p->has_sql)
		return;
	audit_text(f, AUDIT_sql, p->sql);
	audit_number(f, AUDIT_sql_length, p->sql_length);
	audit_text(f, AUDIT_sql_sha256, (struct str){(const char *)p->sha256, sizeof(p->sha256)});
}

/* ---- as it goes ---- */

void
audit_begin(struct rpc *r)
{
	r->audit.slot = desk_begin(&r->worker->audit->desk);
}

/* A client that took its time with them is not the gateway's doing. */
void
audit_started(struct rpc *r)
{
	r->audit.begun_ns = r->audit.entered_ns = clock_ns();
	r->audit.begun_wall_ms = clock_wall_ms();
}

void
audit_trace(struct rpc *r, struct str traceparent)
{
	struct audit *a = r->worker->audit;

	if (a->seeds_left == 0) {
		if (RAND_bytes(a->seeds[0], sizeof(a->seeds)) != 1)
			return;
		a->seeds_left = SEEDS;
	}
	if (traceparent.p != NULL && trace_parse(traceparent, &r->audit.trace) != 0)
		log_debug(NULL, "malformed traceparent: a trace is begun");
	trace_begin(&r->audit.trace, a->seeds[--a->seeds_left]);
}

/* Where they outlive this process. */
static void
know(struct rpc *r, unsigned state)
{
	struct desk *d = &r->worker->audit->desk;
	struct audit_facts f = desk_know(d, r->audit.slot);

	if (state == RPC_WHO)
		put_request(&f, r);
	else if (state == RPC_ENVELOPE)
		put_who(&f, r);
	else if (state == RPC_OPEN && !r->rerouted)
		put_place(&f, r, found_of(r).operation);
	desk_known(d, r->audit.slot, &f);
}

void
audit_enter(struct rpc *r, unsigned state)
{
	struct audit_rpc *x = &r->audit;
	uint64_t now = clock_ns();

	if (x->begun_ns != 0) /* else its headers never came */
		x->spent_ns[r->state] += now - x->entered_ns;
	x->entered_ns = now;
	if (state == RPC_PUMP)
		x->handed = true;
	if (state == RPC_WHO || state == RPC_ENVELOPE || state == RPC_OPEN)
		know(r, state);
}

/* NULL: nobody knows who it is. */
static struct plan_quota *
quota_of(struct audit *a, const struct rpc *r)
{
	struct str user = r->who != NULL && r->who->verified ? r->who->user : STR_NONE;

	return user.n > 0 ? &a->senders[hash_sip(&a->senders_key, user.p, user.n) % SENDERS] : NULL;
}

void
audit_head(struct rpc *r)
{
	const struct envelope *e = &r->envelope;

	if (e->messages > 0 || r->audit.plan != NULL || !r->worker->conf->audit.enabled)
		return;
	r->audit.plan = plan_new(r->arena, &r->worker->audit->kit, r->method->id, e->total);
	if (r->audit.plan == NULL)
		return;
	plan_set_quota(r->audit.plan, quota_of(r->worker->audit, r));
	plan_feed(r->audit.plan, (const uint8_t *)e->body_start.p, e->body_start.n);
}

void
audit_routed(struct rpc *r, struct str team, struct str env)
{
	struct audit_rpc *x = &r->audit;

	x->team = arena_str(r->arena, team);
	x->env = arena_str(r->arena, env);
	x->pair = labels_find(r->worker->audit->labels, x->team, x->env);
	desk_place(&r->worker->audit->desk, x->slot, x->pair);
}

void
audit_bound(struct rpc *r, const struct binder_found *b)
{
	const struct registry_driver *d = worker_driver(r->worker, b->driver_id);
	struct audit_rpc *x = &r->audit;

	audit_routed(r, str_from(b->team), str_from(b->env));
	x->cluster = arena_str(r->arena, str_from(b->cluster));
	x->driver = d != NULL ? arena_str(r->arena, d->name) : STR_NONE;
}

void
audit_first(struct rpc *r)
{
	r->audit.first_ns = clock_ns();
}

void
audit_last(struct rpc *r)
{
	r->audit.last_ns = clock_ns();
	if (r->audit.first_ns == 0)
		r->audit.first_ns = r->audit.last_ns;
}

bool
audit_is_full(const struct rpc *r)
{
	const struct conf_audit *conf = &r->worker->conf->audit;

	return conf->enabled && conf->on_full == AUDIT_REFUSE &&
	       (r->method->id == METHOD_EXECUTE_PLAN || r->method->id == METHOD_ANALYZE_PLAN) &&
	       desk_is_pressed(&r->worker->audit->desk);
}

/* ---- whose fault ---- */

/* UNAVAILABLE by the state in which it was said; who knows better has said so (rpc_blame). */
static enum metrics_error
unavailable_in(enum rpc_state state)
{
	switch (state) {
	case RPC_WHO: return METRICS_ERROR_authentication;
	case RPC_ROUTE: return METRICS_ERROR_keeper_away;
	case RPC_OPEN: return METRICS_ERROR_no_driver;
	case RPC_PUMP: return METRICS_ERROR_driver_broke;
	default: return METRICS_ERROR_internal;
	}
}

static enum metrics_error
error_by_code(unsigned code, enum rpc_state state)
{
	switch (code) {
	case GRPC_UNAUTHENTICATED: return METRICS_ERROR_authentication;
	case GRPC_PERMISSION_DENIED: return METRICS_ERROR_authorization;
	case GRPC_INVALID_ARGUMENT:
	case GRPC_ALREADY_EXISTS:
	case GRPC_UNIMPLEMENTED: return METRICS_ERROR_invalid_request;
	case GRPC_RESOURCE_EXHAUSTED: return METRICS_ERROR_overload;
	case GRPC_DEADLINE_EXCEEDED: return METRICS_ERROR_deadline;
	case GRPC_CANCELLED: return METRICS_ERROR_cancelled;
	case GRPC_UNAVAILABLE: return unavailable_in(state);
	default: return METRICS_ERROR_internal;
	}
}

static enum metrics_error
error_of_refusal(const struct rpc *r, const struct status *status)
{
	switch (status->detail) {
	case STATUS_SESSION_NOT_FOUND: return METRICS_ERROR_session_unknown;
	case STATUS_SESSION_CLOSED: return METRICS_ERROR_session_closed;
	case STATUS_SESSION_CHANGED: return METRICS_ERROR_driver_lost;
	default: return error_by_code(status->code, r->state);
	}
}

void
audit_refused(struct rpc *r, const struct status *status, struct str words)
{
	r->audit.refused = true;
	r->audit.words = words;
	if (r->audit.blame == 0)
		rpc_blame(r, error_of_refusal(r, status));
}

/* ---- the end ---- */

#define TRUSTED_US 10000000u /* the wall clock is not looked at again within */

static uint64_t
us(uint64_t ns)
{
	return ns / 1000;
}

static uint64_t
since(const struct rpc *r, uint64_t ns)
{
	return r->audit.begun_ns != 0 && ns > r->audit.begun_ns ? us(ns - r->audit.begun_ns) : 0;
}

static void
observe(struct rpc *r, struct metrics_slot *m, uint64_t total_us, unsigned status)
{
	enum method_id method = r->method != NULL ? r->method->id : METHOD_OTHER;
	const struct audit_rpc *x = &r->audit;
	uint64_t own = x->spent_ns[RPC_HEADERS] + x->spent_ns[RPC_WHO] + x->spent_ns[RPC_ROUTE] +
		       x->spent_ns[RPC_OPEN];

	metrics_observe(&m->latency[x->pair][method], total_us);
	if (x->first_ns != 0)
		metrics_observe(&m->first_response[method], since(r, x->first_ns));
	if (x->last_ns != 0 && x->entered_ns > x->last_ns)
		own += x->entered_ns - x->last_ns;
	if (x->handed)
		metrics_observe(&m->overhead[method], us(own));
	if (status == GRPC_OK)
		return;
	metrics_add(&m->errors[x->pair]
			      [x->blame != 0 ? x->blame - 1u : error_by_code(status, RPC_DONE)],
		    1);
}

static void
put_end(struct audit_facts *f, const struct rpc *r, uint64_t total_us, unsigned status)
{
	const struct audit_rpc *x = &r->audit;

	bool quick = x->begun_wall_ms != 0 && total_us < TRUSTED_US;

	audit_number(f, AUDIT_time, quick ? x->begun_wall_ms + total_us / 1000 : clock_wall_ms());
	audit_number(f, AUDIT_status, status);
	audit_number(f, AUDIT_refused, x->refused);
	audit_text(f, AUDIT_words, x->words);
	audit_number(f, AUDIT_bytes_in, r->request_bytes);
	audit_number(f, AUDIT_bytes_out, r->answer_bytes);
	audit_number(f, AUDIT_messages_in, r->envelope.messages);
	audit_number(f, AUDIT_messages_out, x->answers.messages);
	audit_number(f, AUDIT_us_who, us(x->spent_ns[RPC_WHO]));
	audit_number(f, AUDIT_us_envelope, us(x->spent_ns[RPC_ENVELOPE]));
	audit_number(f, AUDIT_us_route, us(x->spent_ns[RPC_ROUTE]));
	audit_number(f, AUDIT_us_open, us(x->spent_ns[RPC_OPEN]));
	if (x->first_ns != 0)
		audit_number(f, AUDIT_us_first, since(r, x->first_ns));
	audit_number(f, AUDIT_us_total, total_us);
}

void
audit_end(struct rpc *r, bool whole)
{
	struct audit *a = r->worker->audit;
	uint64_t total_us = since(r, clock_ns());
	unsigned status = r->status < GRPC_CODES ? r->status : GRPC_UNKNOWN;

	CHECK_MAGIC(a, AUDIT_MAGIC);
	if (!whole && status != GRPC_CANCELLED) {
		status = GRPC_CANCELLED;
		rpc_blame(r, METRICS_ERROR_cancelled);
	}
	observe(r, a->desk.metrics, total_us, status);
	if (r->worker->conf->audit.enabled) {
		struct audit_facts *f = desk_build(&a->desk);
		struct plan_found found = found_of(r);

		put_end(f, r, total_us, status);
		put_request(f, r);
		put_who(f, r);
		put_place(f, r, found.operation);
		put_plan(f, &found);
		desk_end(&a->desk, r->audit.slot, r->audit.pair, status);
	} else {
		desk_end_unrecorded(&a->desk, r->audit.slot, r->audit.pair, status);
	}
	plan_free(&r->audit.plan);
}
