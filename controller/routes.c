/*
 * The routes of the controller: a whole request comes in, a view or an answer of the keeper or of
 * the supervisor goes out.
 */
#include "controller/routes.h"

#include <microhttpd.h>
#include <stdlib.h>
#include "controller/page.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "proto/uuid.h"

static void
show_health(struct routes *r, struct admin_request *q)
{
	admin_answer_text(q, MHD_HTTP_OK, "ok\n");
}

static void
show_ready(struct routes *r, struct admin_request *q)
{
	json_t *missing = view_missing(r->view);
	bool ready = json_array_size(missing) == 0;

	admin_answer(q, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
		     json_pack("{s:b, s:o}", "ready", ready, "missing", missing));
}

static void
show_status(struct routes *r, struct admin_request *q)
{
	admin_answer(q, MHD_HTTP_OK, view_status(r->view));
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
show_clusters(struct routes *r, struct admin_request *q)
{
	json_t *json = NULL;
	int err = view_clusters(r->view, &json);

	answer_view(q, err, json);
}

static void
show_drivers(struct routes *r, struct admin_request *q)
{
	json_t *json = NULL;
	int err = view_drivers(r->view, &json);

	answer_view(q, err, json);
}

static void
show_sessions(struct routes *r, struct admin_request *q)
{
	struct query query;
	const char *words;
	json_t *json = NULL;
	int err;

	if (query_parse(admin_value, q, &query, &words) != 0) {
		admin_refuse(q, MHD_HTTP_BAD_REQUEST, words);
		return;
	}
	err = page_sessions(r->view, &query, &json);
	answer_view(q, err, json);
}

/* What was asked of the keeper, while its answer is awaited. */
struct act {
	struct admin_request *request;
	const char *counted; /* the member of the answer that tells keeper_done.count */
	const char *nobody;  /* words for E_NOT_FOUND */
	char what[96 + SESSION_USER_MAX];
};

static void
finish_act(void *arg, int err, const struct keeper_done *answer)
{
	struct act *act = arg;
	struct admin_request *q = act->request;

	if (err == 0)
		err = answer->result;
	if (err == 0)
		log_info(admin_peer(q), "%s: done", act->what);
	else
		log_warn(admin_peer(q), "%s: refused: %s", act->what, err_text(err));
	if (err == 0)
		admin_answer(q, MHD_HTTP_OK,
			     json_pack("{s:I}", act->counted, (json_int_t)answer->count));
	else if (err == E_NOT_FOUND)
		admin_refuse(q, MHD_HTTP_NOT_FOUND, act->nobody);
	else if (err == E_EXISTS)
		admin_refuse(q, MHD_HTTP_CONFLICT,
			     "several clusters have a driver of this name: say CLUSTER/NAME");
	else if (err == E_TIMEOUT || err == E_CLOSED)
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the keeper does not answer");
	else
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the keeper cannot commit");
	free(act);
}

static void
ask_keeper(struct routes *r, struct act *act, const void *message, size_t size)
{
	struct act *copy = malloc(sizeof(*copy));

	if (copy != NULL) {
		*copy = *act;
		if (asks_send(r->asks, message, size, finish_act, copy) == 0)
			return;
	}
	free(copy);
	admin_refuse(act->request, MHD_HTTP_SERVICE_UNAVAILABLE, "not possible now");
}

/* The body as an object, or NULL after the refusal. */
static json_t *
read_body(struct admin_request *q)
{
	struct str body = admin_body(q);
	json_error_t error;
	json_t *json =
		body.n > 0 ? json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, &error) : NULL;

	if (json_is_object(json))
		return json;
	json_decref(json);
	admin_refuse(q, MHD_HTTP_BAD_REQUEST, "the body is not a JSON object");
	return NULL;
}

static void
set_drain(struct routes *r, struct admin_request *q, bool drain)
{
	struct keeper_drain message = {.head.type = KEEPER_DRAIN, .drain = drain};
	struct act act = {.request = q,
			  .counted = "driver_id",
			  .nobody = "no cluster has a driver of this name"};
	json_t *body = read_body(q);
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
		ask_keeper(r, &act, &message, sizeof(message));
	}
	json_decref(body);
}

static void
drain_driver(struct routes *r, struct admin_request *q)
{
	set_drain(r, q, true);
}

static void
undrain_driver(struct routes *r, struct admin_request *q)
{
	set_drain(r, q, false);
}

static void
close_session(struct routes *r, struct admin_request *q)
{
	struct keeper_close message = {.head.type = KEEPER_CLOSE};
	struct act act = {.request = q, .counted = "closed", .nobody = "there is no such session"};
	json_t *body = read_body(q);
	const char *id, *user = "";
	size_t id_size, user_size = 0;
	char text[UUID_TEXT];

	if (body == NULL)
		return;
	if (json_unpack_ex(body, NULL, JSON_STRICT, "{s:s%, s?:s%}", "id", &id, &id_size, "user",
			   &user, &user_size) != 0 ||
	    uuid_parse((struct str){id, id_size}, message.key.id) != 0) {
		admin_refuse(q, MHD_HTTP_BAD_REQUEST,
			     "{\"id\": \"a UUID\"} expected, and maybe \"user\"");
	} else if (user_size > SESSION_USER_MAX || (user_size == 0 && json_object_size(body) > 1)) {
		admin_refuse(q, MHD_HTTP_BAD_REQUEST, "user: 1 to 256 bytes expected");
	} else {
		memcpy(message.key.user, user, user_size);
		message.key.user_len = (uint16_t)user_size;
		snprintf(act.what, sizeof(act.what), "session close %s%s%s",
			 uuid_text(message.key.id, text), user_size > 0 ? " of user " : "", user);
		ask_keeper(r, &act, &message, sizeof(message));
	}
	json_decref(body);
}

static void
answer_reload(struct routes *r, unsigned status, json_t *json)
{
	struct admin_request *q = r->reloading;

	r->reloading = NULL;
	loop_timer_stop(&r->reload_timer);
	admin_answer(q, status, json);
}

static void
give_up_reload(void *arg)
{
	struct routes *r = arg;

	log_warn(admin_peer(r->reloading), "reload: the supervisor does not answer");
	answer_reload(r, MHD_HTTP_SERVICE_UNAVAILABLE,
		      json_pack("{s:[s]}", "errors", "the supervisor does not answer"));
}

static void
reload(struct routes *r, struct admin_request *q)
{
	if (r->reloading != NULL) {
		admin_refuse(q, MHD_HTTP_CONFLICT, "a reload is under way already");
		return;
	}
	if (child_ask_reload(r->child) != 0) {
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the supervisor cannot be asked now");
		return;
	}
	r->reloading = q;
	loop_timer_start(r->child->loop, &r->reload_timer, ROUTES_RELOAD_MS, 0, give_up_reload, r);
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

void
routes_reloaded(struct routes *r, const struct leash_reloaded *answer)
{
	struct str words = {answer->words, strnlen(answer->words, sizeof(answer->words))};

	if (r->reloading == NULL)
		return; /* a SIGHUP, or the asker was told of a time-out */
	log_info(admin_peer(r->reloading), "reload: %s", answer->failed ? "refused" : "done");
	if (answer->failed)
		answer_reload(r, MHD_HTTP_CONFLICT,
			      json_pack("{s:o}", "errors", split_lines(words)));
	else
		answer_reload(r, MHD_HTTP_OK, json_pack("{s:b}", "reloaded", 1));
}

void
routes_close(struct routes *r)
{
	if (r->reloading != NULL)
		answer_reload(r, MHD_HTTP_SERVICE_UNAVAILABLE,
			      json_pack("{s:[s]}", "errors", "the gateway is going down"));
}

struct route {
	const char *method, *path;
	unsigned doors;
	void (*run)(struct routes *, struct admin_request *);
};

static const struct route table[] = {
	{"GET", "/healthz", ADMIN_TCP | ADMIN_CONTROL, show_health},
	{"GET", "/readyz", ADMIN_TCP | ADMIN_CONTROL, show_ready},
	{"GET", "/v1/status", ADMIN_CONTROL, show_status},
	{"GET", "/v1/clusters", ADMIN_CONTROL, show_clusters},
	{"GET", "/v1/drivers", ADMIN_CONTROL, show_drivers},
	{"GET", "/v1/sessions", ADMIN_CONTROL, show_sessions},
	{"POST", "/v1/drivers/drain", ADMIN_CONTROL, drain_driver},
	{"POST", "/v1/drivers/undrain", ADMIN_CONTROL, undrain_driver},
	{"POST", "/v1/sessions/close", ADMIN_CONTROL, close_session},
	{"POST", "/v1/reload", ADMIN_CONTROL, reload},
};

void
routes_handle(void *arg, struct admin_request *q)
{
	struct str path = admin_path(q), method = admin_method(q);

	if (str_eq(method, STR("HEAD")))
		method = STR("GET"); /* the library leaves the body out */
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const struct route *route = &table[i];

		if (!(route->doors & admin_door(q)) || !str_eq(path, str_from(route->path)))
			continue;
		if (str_eq(method, str_from(route->method)))
			route->run(arg, q);
		else
			admin_answer_405(q, strcmp(route->method, "GET") == 0 ? "GET, HEAD"
									      : route->method);
		return;
	}
	admin_refuse(q, MHD_HTTP_NOT_FOUND, "there is nothing at this path");
}
