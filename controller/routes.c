/*
 * The routes of the controller: a whole request comes in, a view or an answer of the keeper or of
 * the supervisor goes out.
 */
#include "controller/routes.h"

#include <microhttpd.h>
#include <stdlib.h>
#include "controller/acts.h"
#include "controller/certificates.h"
#include "controller/explain.h"
#include "controller/keysets.h"
#include "controller/metrics_route.h"
#include "controller/page.h"
#include "controller/record.h"
#include "controller/rollout_routes.h"
#include "controller/site.h"
#include "controller/ship.h"
#include "controller/signer.h"
#include "controller/spans.h"
#include "controller/token_routes.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "proto/uuid.h"

#define SUCCESSOR_MS 5000u

static void
show_health(struct office *o, struct admin_request *q)
{
	admin_answer_text(q, MHD_HTTP_OK, "ok\n");
}

static void
show_ready(struct office *o, struct admin_request *q)
{
	json_t *missing = view_missing(o->view);
	bool ready = json_array_size(missing) == 0;

	admin_answer(q, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
		     json_pack("{s:b, s:o}", "ready", ready, "missing", missing));
}

static void
show_status(struct office *o, struct admin_request *q)
{
	json_t *status = view_status(o->view), *providers = json_array();
	json_t *certificates = json_array();

	o->overview.providers(o->overview.arg, providers);
	certificates_show(o->certificates, certificates);
	json_object_set_new(status, "audit", overview_audit(&o->overview));
	json_object_set_new(status, "certificates", certificates);
	json_object_set_new(status, "providers", providers);
	json_object_set_new(status, "shipping", ship_show(o->ship));
	json_object_set_new(status, "tracing", spans_show(o->spans));
	admin_answer(q, MHD_HTTP_OK, status);
}

static void
show_overview(struct office *o, struct admin_request *q)
{
	admin_answer(q, MHD_HTTP_OK, overview_show(&o->overview));
}

static void
show_page(struct office *o, struct admin_request *q)
{
	const char *policy = site_policy();

	if (policy != NULL)
		admin_answer_page(q, site_page(), policy);
	else
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "no policy: see /v1/overview");
}

static void
answer_view(struct admin_request *q, int err, json_t *json)
{
	if (err == 0)
		admin_answer(q, MHD_HTTP_OK, json);
	else if (err == E_STATE)
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the store is not open yet");
	else
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the store cannot be read");
}

static void
show_clusters(struct office *o, struct admin_request *q)
{
	json_t *json = NULL;
	int err = view_clusters(o->view, &json);

	answer_view(q, err, json);
}

static void
show_drivers(struct office *o, struct admin_request *q)
{
	json_t *json = NULL;
	int err = view_drivers(o->view, &json);

	answer_view(q, err, json);
}

static void
show_sessions(struct office *o, struct admin_request *q)
{
	struct query query;
	const char *words;
	json_t *json = NULL;
	int err;

	if (query_parse(admin_value, q, &query, &words) != 0) {
		admin_refuse(q, MHD_HTTP_BAD_REQUEST, words);
		return;
	}
	err = page_sessions(o->view, &query, &json);
	answer_view(q, err, json);
}

static void
set_drain(struct office *o, struct admin_request *q, bool drain)
{
	struct keeper_drain message = {.head.type = KEEPER_DRAIN, .drain = drain};
	struct act act = {.request = q,
			  .counted = "driver_id",
			  .nobody = "no cluster has a driver of this name",
			  .twin = "several clusters have a driver of this name: say CLUSTER/NAME"};
	json_t *body = acts_body(q);
	const char *name;
	size_t size;

	if (body == NULL)
		return;
	if (json_unpack_ex(body, NULL, JSON_STRICT, "{s:s%}", "name", &name, &size) != 0 ||
	    size == 0 || size >= sizeof(message.name)) {
		admin_refuse(q, MHD_HTTP_BAD_REQUEST, "{\"name\": \"CLUSTER/DRIVER\"} expected");
	} else {
		str_copy(message.name, sizeof(message.name), (struct str){name, size});
		snprintf(act.what, sizeof(act.what), "driver %s %s", drain ? "drain" : "undrain",
			 message.name);
		acts_ask(o->asks, &act, &message, sizeof(message));
	}
	json_decref(body);
}

static void
drain_driver(struct office *o, struct admin_request *q)
{
	set_drain(o, q, true);
}

static void
undrain_driver(struct office *o, struct admin_request *q)
{
	set_drain(o, q, false);
}

static void
close_session(struct office *o, struct admin_request *q)
{
	struct keeper_close message = {.head.type = KEEPER_CLOSE};
	struct act act = {.request = q, .counted = "closed", .nobody = "there is no such session"};
	json_t *body = acts_body(q);
	const char *id, *user = "";
	size_t id_size, user_size = 0;
	char text[UUID_TEXT];

	if (body == NULL)
		return;
	if (json_unpack_ex(body, NULL, JSON_STRICT, "{s:s%, s?:s%}", "id", &id, &id_size, "user",
			   &user, &user_size) != 0 ||
	    uuid_parse((struct str){id, id_size}, message.key.id) != 0) {
		admin_refuse(q, MHD_HTTP_BAD_REQUEST,
			     "id: the UUID of a session is expected, beside it nothing but user");
	} else if (user_size > SESSION_USER_MAX || (user_size == 0 && json_object_size(body) > 1)) {
		admin_refuse(q, MHD_HTTP_BAD_REQUEST, "user: 1 to 256 bytes expected");
	} else {
		memcpy(message.key.user, user, user_size);
		message.key.user_len = (uint16_t)user_size;
		snprintf(act.what, sizeof(act.what), "session close %s%s%s",
			 uuid_text(message.key.id, text), user_size > 0 ? " of user " : "", user);
		acts_ask(o->asks, &act, &message, sizeof(message));
	}
	json_decref(body);
}

static void
answer_reload(struct office *o, unsigned status, json_t *json)
{
	struct admin_request *q = o->reloading;

	o->reloading = NULL;
	o->reloaded = false;
	loop_timer_stop(&o->reload_timer);
	admin_answer(q, status, json);
}

static void
give_up_reload(void *arg)
{
	struct office *o = arg;

	log_warn(admin_peer(o->reloading), "reload: the supervisor does not answer");
	record_act(o->asks, "reload", admin_peer(o->reloading), "the supervisor does not answer");
	answer_reload(o, MHD_HTTP_SERVICE_UNAVAILABLE,
		      json_pack("{s:[s]}", "errors", "the supervisor does not answer"));
}

static void
tell_reloaded(void *arg)
{
	answer_reload(arg, MHD_HTTP_OK, json_pack("{s:b}", "reloaded", 1));
}

static void
reload(struct office *o, struct admin_request *q)
{
	if (o->reloading != NULL) {
		admin_refuse(q, MHD_HTTP_CONFLICT, "a reload is under way already");
		return;
	}
	if (child_ask_reload(o->child) != 0) {
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the supervisor cannot be asked now");
		return;
	}
	o->reloading = q;
	loop_timer_start(o->child->loop, &o->reload_timer, ROUTES_RELOAD_MS, 0, give_up_reload, o);
}

static json_t *
split_lines(struct str words)
{
	json_t *lines = json_array();

	while (words.p != NULL) {
		struct str line = str_cut(words, '\n', &words);

		if (line.n > 0)
			json_array_append_new(lines, str_is_utf8(line)
							     ? json_stringn(line.p, line.n)
							     : json_string("(not UTF-8)"));
	}
	return lines;
}

/* Whoever asks something after the reload must not be answered by us, who still have the old
 * configuration: the reload is over when somebody else answers at the socket. */
static void
wait_for_successor(struct office *o)
{
	o->reloaded = true;
	loop_timer_start(o->child->loop, &o->reload_timer, SUCCESSOR_MS, 0, tell_reloaded, o);
}

void
routes_reloaded(struct office *o, const struct leash_reloaded *answer)
{
	struct str words = {answer->words, strnlen(answer->words, sizeof(answer->words))};

	if (o->reloading == NULL)
		return; /* a SIGHUP, or the asker was told of a time-out */
	log_info(admin_peer(o->reloading), "reload: %s", answer->failed ? "refused" : "done");
	record_act(o->asks, "reload", admin_peer(o->reloading),
		   answer->failed ? answer->words : NULL);
	if (answer->failed)
		answer_reload(o, MHD_HTTP_CONFLICT,
			      json_pack("{s:o}", "errors", split_lines(words)));
	else
		wait_for_successor(o);
}

void
routes_replaced(struct office *o)
{
	if (o->reloaded)
		tell_reloaded(o);
}

void
routes_close(struct office *o)
{
	routes_replaced(o);
	if (o->reloading != NULL)
		answer_reload(o, MHD_HTTP_SERVICE_UNAVAILABLE,
			      json_pack("{s:[s]}", "errors", "the gateway is going down"));
}

struct route {
	const char *method, *path;
	unsigned doors;
	void (*run)(struct office *, struct admin_request *);
};

static const struct route table[] = {
	{"GET", "/healthz", ADMIN_TCP | ADMIN_CONTROL, show_health},
	{"GET", "/readyz", ADMIN_TCP | ADMIN_CONTROL, show_ready},
	{"GET", "/", ADMIN_TCP | ADMIN_CONTROL, show_page},
	{"GET", "/status", ADMIN_TCP | ADMIN_CONTROL, show_page},
	{"GET", "/v1/overview", ADMIN_TCP | ADMIN_CONTROL, show_overview},
	{"GET", "/metrics", ADMIN_TCP | ADMIN_CONTROL, metrics_route_show},
	{"GET", "/v1/status", ADMIN_CONTROL, show_status},
	{"GET", "/v1/clusters", ADMIN_CONTROL, show_clusters},
	{"GET", "/v1/drivers", ADMIN_CONTROL, show_drivers},
	{"GET", "/v1/sessions", ADMIN_CONTROL, show_sessions},
	{"POST", "/v1/drivers/drain", ADMIN_CONTROL, drain_driver},
	{"POST", "/v1/drivers/undrain", ADMIN_CONTROL, undrain_driver},
	{"POST", "/v1/sessions/close", ADMIN_CONTROL, close_session},
	{"POST", "/v1/reload", ADMIN_CONTROL, reload},
	{"GET", "/v1/tokens", ADMIN_CONTROL, token_routes_list},
	{"POST", "/v1/tokens", ADMIN_CONTROL, token_routes_create},
	{"POST", "/v1/tokens/revoke", ADMIN_CONTROL, token_routes_revoke},
	{"POST", "/v1/tokens/rotate", ADMIN_CONTROL, token_routes_rotate},
	{"GET", "/v1/tokens/keys", ADMIN_CONTROL, token_routes_keys},
	{"GET", "/v1/rollout", ADMIN_CONTROL, rollout_routes_show},
	{"POST", "/v1/rollout", ADMIN_CONTROL, rollout_routes_set},
	{"GET", "/v1/explain", ADMIN_CONTROL, explain_show},
};

/* For 405: "GET, HEAD, POST". */
static const char *
allow(unsigned methods)
{
	static const char *const lists[] = {"", "GET, HEAD", "POST", "GET, HEAD, POST"};

	return lists[methods];
}

void
routes_handle(void *arg, struct admin_request *q)
{
	struct str path = admin_path(q), method = admin_method(q);
	unsigned others = 0;

	if (str_eq(method, STR("HEAD")))
		method = STR("GET"); /* the library leaves the body out */
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const struct route *route = &table[i];

		if (!(route->doors & admin_door(q)) || !str_eq(path, str_from(route->path)))
			continue;
		if (str_eq(method, str_from(route->method))) {
			route->run(arg, q);
			return;
		}
		others |= strcmp(route->method, "GET") == 0 ? 1u : 2u;
	}
	if (others != 0)
		admin_answer_405(q, allow(others));
	else
		admin_refuse(q, MHD_HTTP_NOT_FOUND, "there is nothing at this path");
}
