/*
 * Explanations, in the controller: a question in, the router's decisions and reasons out.
 */
#include "controller/explain.h"

#include <microhttpd.h>
#include "controller/rollout_routes.h"
#include "controller/suppose.h"
#include "policy/router.h"
#include "shm/segment.h"

#define ARENA_FIRST   ((size_t)16 * 1024)
#define ARENA_CEILING ((size_t)1024 * 1024)
#define VALUE_MAX     255

struct question {
	struct office *office;
	struct arena *arena;
	struct str user, groups, team, env, host;
	struct identity who;
	json_t *answer;
};

/* Words for the asker, or NULL. */
static const char *
read_question(struct question *x, struct admin_request *q)
{
	const struct {
		const char *key;
		struct str *ret;
	} values[] = {
		{"user", &x->user}, {"groups", &x->groups}, {"team", &x->team},
		{"env", &x->env},   {"host", &x->host},
	};

	if (admin_value(q, "token").p != NULL)
		return "a token does not belong into a URL: ask for its user and groups";
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		*values[i].ret = admin_value(q, values[i].key);
		if (values[i].ret->n > (i == 1 ? (size_t)8192 : VALUE_MAX))
			return "a value is too long";
		if (!str_is_utf8(*values[i].ret))
			return "a value is not UTF-8";
	}
	return x->user.n > 0 ? NULL : "user: a user id is expected";
}

static const char *
code_name(enum grpc_code code)
{
	switch (code) {
	case GRPC_INVALID_ARGUMENT: return "INVALID_ARGUMENT";
	case GRPC_PERMISSION_DENIED: return "PERMISSION_DENIED";
	case GRPC_UNAVAILABLE: return "UNAVAILABLE";
	default: return "UNKNOWN";
	}
}

static void
show_limits(const struct conf *conf, json_t *lines)
{
	char idle[32], text[160];

	str_put_duration(conf->session_idle_timeout_ms, idle, sizeof(idle));
	snprintf(text, sizeof(text), "a session ends when it has been idle for %s", idle);
	json_array_append_new(lines, json_string(text));
	snprintf(text, sizeof(text), "at most %u RPCs at once on a connection",
		 conf->limit_streams);
	json_array_append_new(lines, json_string(text));
	snprintf(text, sizeof(text), "at most %u connections to the gateway",
		 conf->limit_connections);
	json_array_append_new(lines, json_string(text));
	snprintf(text, sizeof(text), "after %u bad tokens of an address its refusals are held back",
		 conf->limit_failed_tokens);
	json_array_append_new(lines, json_string(text));
}

static void
show_trace(const struct router_trace *trace, json_t *lines)
{
	char text[64];

	for (unsigned i = 0; i < trace->count; i++)
		json_array_append_new(lines, view_text(str_from(trace->lines[i])));
	if (trace->left_out == 0)
		return;
	snprintf(text, sizeof(text), "and %u more", trace->left_out);
	json_array_append_new(lines, json_string(text));
}

static void
route(struct question *x, int live)
{
	const struct view *v = x->office->view;
	const struct router_view world = {
		.conf = x->office->conf,
		.registry = v->registry,
		.health = segment_health(v->segment),
		.driver_sessions = segment_driver_sessions(v->segment),
		.rollout = live,
	};
	struct router_trace trace = {.arena = x->arena};
	const struct router_wish wish = {
		.host = x->host, .team = x->team, .env = x->env, .who = &x->who, .trace = &trace};
	struct router_choice choice;
	struct router_refusal refusal = {.code = GRPC_UNAVAILABLE, .words = "out of memory"};
	int err = router_pick(&world, &wish, 0, x->arena, &choice, &refusal);

	show_trace(&trace, json_object_get(x->answer, "routing"));
	json_object_set_new(x->answer, "allowed", json_boolean(err == 0));
	if (err != 0) {
		json_object_set_new(x->answer, "refusal",
				    json_pack("{s:s, s:o}", "code", code_name(refusal.code),
					      "words", view_text(str_from(refusal.words))));
		return;
	}
	json_object_set_new(x->answer, "team", view_text(choice.team));
	json_object_set_new(x->answer, "env", view_text(choice.env));
	json_object_set_new(x->answer, "cluster", view_text(choice.cluster->name));
	json_object_set_new(x->answer, "driver", view_text(choice.driver->name));
	show_limits(x->office->conf, json_object_get(x->answer, "limits"));
}

/* E_STATE: no store yet. */
static int
explain(struct question *x)
{
	int live, err = view_refresh(x->office->view);

	if (err == 0)
		err = rollout_routes_live(x->office->view, &live);
	if (err != 0)
		return err;
	x->answer = json_pack("{s:o, s:[], s:[], s:[]}", "user", view_text(x->user), "identity",
			      "routing", "limits");
	err = suppose_identity(x->office->conf, x->office->view, x->user, x->groups, x->arena,
			       &x->who, json_object_get(x->answer, "identity"));
	if (err == 0)
		route(x, live);
	return err;
}

void
explain_show(struct office *o, struct admin_request *q)
{
	struct question x = {.office = o, .arena = arena_new(ARENA_FIRST, ARENA_CEILING)};
	const char *wrong = read_question(&x, q);

	if (x.arena == NULL) {
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
	} else if (wrong != NULL) {
		admin_refuse(q, MHD_HTTP_BAD_REQUEST, wrong);
	} else if (explain(&x) != 0) {
		json_decref(x.answer);
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the store cannot be read");
	} else {
		admin_answer(q, MHD_HTTP_OK, x.answer);
	}
	arena_free(&x.arena);
}
