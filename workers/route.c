/*
 * Which driver has this session? In: user and session id; out: a driver id whose binding is
 * committed, or a refusal. Nothing of a session reaches a driver before that.
 */
#include <stddef.h>
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "policy/still.h"
#include "proto/uuid.h"
#include "workers/answer.h"
#include "workers/misgivings.h"
#include "workers/route.h"

#define ANONYMOUS "anonymous"

/* ---- the key ---- */

static enum rpc_step
take_key(struct rpc *r)
{
	const struct envelope *e = &r->envelope;
	const struct identity *who = r->who;

	if (who->verified) {
		r->key.user = who->user; /* the RPC has its reference */
		/* never what the client wrote; nothing where it wrote nothing and nobody knows a
		 * name */
		r->user_name = who->name.n > 0	    ? who->name
			       : e->user_name.n > 0 ? who->user
						    : STR_NONE;
	} else {
		r->key.user = arena_str(r->arena, e->user_id.n > 0 ? e->user_id : STR(ANONYMOUS));
		r->user_name = e->user_name.n > 0 ? arena_str(r->arena, e->user_name) : STR_NONE;
	}
	str_copy(r->session_text, sizeof r->session_text, e->session_id);
	if (uuid_parse(e->session_id, r->key.id) != 0)
		return rpc_refuse(r, GRPC_INVALID_ARGUMENT, "session_id is not a UUID");
	if (r->key.user.n == 0 || r->key.user.n > SESSION_USER_MAX)
		return rpc_refuse(r, GRPC_INVALID_ARGUMENT,
				  "user id is empty or longer than 256 bytes");
	return arena_failed(r->arena) ? rpc_refuse(r, GRPC_RESOURCE_EXHAUSTED, "out of memory")
				      : STEP_ON;
}

static enum rpc_step
session_error(struct rpc *r, enum status_detail detail)
{
	struct status s = {
		.code = GRPC_INTERNAL, .detail = detail, .handle = str_from(r->session_text)};

	return rpc_refuse_with(r, &s);
}

/* ---- a binding that stands ---- */

enum rpc_step
route_lost(struct rpc *r)
{
	binder_lost(r->worker->binder, &r->key, r->driver_id, r->bound_at_ms);
	return session_error(r, STATUS_SESSION_CHANGED);
}

/* The checker saw the driver's process go after this binding was made. */
static bool
driver_was_lost(const struct rpc *r, const struct registry_driver *d)
{
	struct health h;

	return worker_health(r->worker, d, &h) && h.lost_wall_ms != 0 &&
	       r->bound_at_ms <= h.lost_wall_ms;
}

static enum rpc_step
use_binding(struct rpc *r, const struct binder_found *b)
{
	r->driver_id = b->driver_id;
	r->bound_at_ms = b->created_ms;
	audit_bound(r, b);
	if (b->state == SESSION_CLOSED)
		return session_error(r, STATUS_SESSION_CLOSED);
	if (b->state == SESSION_LOST)
		return session_error(r, STATUS_SESSION_CHANGED);
	struct registry_driver *d = worker_driver(r->worker, b->driver_id);
	if (d == NULL || driver_was_lost(r, d))
		return route_lost(r);
	r->bound = true;
	return STEP_ON;
}

/* ---- a new binding ---- */

static void
bind_done(struct binder_ask *a, int err, const struct binder_found *found)
{
	struct rpc *r = (struct rpc *)(void *)((char *)a - offsetof(struct rpc, ask));

	switch (err) {
	case 0: break;
	case E_TIMEOUT:
		(void)rpc_unavailable(r, "sessions cannot be placed at the moment", 1000);
		return;
	case E_FULL:
	case E_IO:
		(void)rpc_unavailable(r, "sessions cannot be stored at the moment", 5000);
		return;
	default:
		rpc_blame(r, METRICS_ERROR_no_driver);
		(void)rpc_unavailable(r, "the chosen driver has just been removed", 100);
		return;
	}
	r->fresh = found->driver_id == r->choice.driver->id;
	if (use_binding(r, found) == STEP_ON)
		rpc_run(r);
}

static int
pick(struct rpc *r, struct router_choice *ret, struct router_refusal *ret_refusal)
{
	struct worker *w = r->worker;
	char sni[SNI_SIZE]; /* wish.sni is read by nobody after this */
	struct router_view view = {w->conf, w->registry, w->health,
				   segment_driver_sessions(w->setup->segment), w->rollout};
	uint64_t key = hash_stable(r->key.id, sizeof r->key.id,
				   hash_stable(r->key.user.p, r->key.user.n, 0));

	r->wish.host = r->host;
	r->wish.team = r->team;
	r->wish.env = r->env;
	r->wish.sni = io_server_name(&r->conn->h2.io, sni);
	r->wish.who = r->who;
	return router_pick(&view, &r->wish, key, r->arena, ret, ret_refusal);
}

static enum rpc_step
refuse_wish(struct rpc *r, const struct router_refusal *no)
{
	if (no->code == GRPC_UNAVAILABLE) {
		audit_routed(r, no->team, no->env);
		rpc_blame(r, METRICS_ERROR_no_driver);
		return rpc_unavailable(r, no->words, 1000);
	}
	if (r->wish.config_team.n > 0 || r->wish.config_env.n > 0)
		misgivings_put(r->worker->misgivings, &r->key, &r->wish, no);
	return rpc_refuse(r, no->code, no->words);
}

static enum rpc_step
bind_new(struct rpc *r)
{
	struct worker *w = r->worker;
	struct router_refusal no;

	if (misgivings_find(w->misgivings, &r->key, &no))
		return rpc_refuse(r, no.code, no.words);
	if (pick(r, &r->choice, &no) != 0)
		return refuse_wish(r, &no);
	registry_unref(&r->registry);
	r->registry = registry_ref(w->registry);
	audit_routed(r, r->choice.team, r->choice.env);
	r->ask.done = bind_done;
	binder_bind(w->binder, &r->ask, &r->key, r->choice.driver->id, r->choice.cluster->name,
		    r->choice.team, r->choice.env);
	return STEP_WAIT;
}

bool
route_has_other(struct rpc *r)
{
	struct router_choice other;
	struct router_refusal no;

	r->wish.avoid_driver = r->driver_id;
	return pick(r, &other, &no) == 0;
}

bool
route_elsewhere(struct rpc *r)
{
	if (r->rerouted)
		return false;
	r->rerouted = true;
	r->fresh = r->bound = false;
	r->wish.avoid_driver = r->driver_id;
	binder_release(r->worker->binder, &r->key, r->driver_id);
	audit_enter(r, RPC_ROUTE);
	r->state = RPC_ROUTE; /* the one step back: nothing was sent, and the binding is nobody's
				 yet */
	(void)bind_new(r);
	return true;
}

static void
take_pairs(struct rpc *r)
{
	router_config_pairs(r->worker->conf, r->envelope.body_start, &r->wish);
	if (r->wish.config_team.n > 0 || r->wish.config_env.n > 0)
		misgivings_drop(r->worker->misgivings, &r->key, &r->wish);
}

static enum rpc_step
unbound(struct rpc *r)
{
	switch (r->method->unbound) {
	case UNBOUND_NOT_FOUND: return session_error(r, STATUS_SESSION_NOT_FOUND);
	case UNBOUND_EMPTY: return answer_empty(r);
	case UNBOUND_CREATE: break;
	}
	if (r->who->expired)
		return rpc_refuse(r, GRPC_UNAUTHENTICATED, "token expired");
	if (r->method->id == METHOD_CONFIG && r->envelope.whole)
		take_pairs(r);
	return bind_new(r);
}

/* A session that stands is used by who may use its team's clusters still; what was begun may be
 * ended by whoever began it, also when his token is over meanwhile (auth.grace). */
static enum rpc_step
check_rights(struct rpc *r, const struct binder_found *b)
{
	const struct registry_driver *d = worker_driver(r->worker, b->driver_id);
	const char *why;

	if (r->who->expired && b->created_ms > r->who->expires_ms)
		return rpc_refuse(r, GRPC_UNAUTHENTICATED, "token expired");
	if (!r->method->plan || still_allowed(r->worker->conf, r->who, str_from(b->team),
					      d->cluster, r->arena, &why) == 0)
		return STEP_ON;
	return rpc_refuse(r, GRPC_PERMISSION_DENIED, why);
}

static bool
agrees(const struct rpc *r, const struct binder_found *b)
{
	const struct conf *conf = r->worker->conf;
	const struct router_wish *w = &r->wish;

	return (w->config_team.n == 0 ||
		str_eq(teams_name(conf, w->config_team), str_from(b->team))) &&
	       (w->config_env.n == 0 || str_eq(teams_env(conf, w->config_env), str_from(b->env)));
}

/* A pair that comes when the session has its place already: PySpark 3.5 sends each in a call of its
 * own, after another call. It cannot move the session; so it is refused, and so are its plans. */
static enum rpc_step
check_wish(struct rpc *r, const struct binder_found *b)
{
	struct router_choice other;
	struct router_refusal no;

	if (!r->method->plan)
		return STEP_ON;
	if (r->method->id == METHOD_CONFIG && r->envelope.whole)
		take_pairs(r);
	if (!agrees(r, b)) {
		if (pick(r, &other, &no) == 0 || no.code == GRPC_UNAVAILABLE)
			no = (struct router_refusal){
				.code = GRPC_INVALID_ARGUMENT,
				.words = arena_printf(
					r->arena,
					"the session is bound for team \"%s\", env \"%s\" "
					"already: name team and env in the address",
					b->team, b->env)};
		return refuse_wish(r, &no);
	}
	if (misgivings_find(r->worker->misgivings, &r->key, &no))
		return rpc_refuse(r, no.code, no.words);
	return STEP_ON;
}

enum rpc_step
route_step(struct rpc *r)
{
	struct binder_found found;

	if (r->bound)
		return STEP_ON;
	worker_refresh(r->worker);
	if (take_key(r) != STEP_ON)
		return STEP_END;
	switch (binder_find(r->worker->binder, &r->key, &found)) {
	case 0: break;
	case E_NOT_FOUND: return unbound(r);
	default: return rpc_unavailable(r, "the session store cannot be read", 1000);
	}
	if (use_binding(r, &found) != STEP_ON || check_rights(r, &found) != STEP_ON ||
	    check_wish(r, &found) != STEP_ON)
		return STEP_END;
	binder_touch(r->worker->binder, &r->key, &found);
	return STEP_ON;
}
