/*
 * The roll-out over HTTP, in the controller.
 */
#include "controller/rollout_routes.h"

#include <microhttpd.h>
#include "controller/acts.h"
#include "policy/rollout.h"
#include "shm/settings.h"

_Static_assert(ROLLOUT_CONFIGURED == SETTINGS_UNSET, "one word for: as configured");

int
rollout_routes_live(const struct view *v, int *ret)
{
	int err;

	if (v->db == NULL)
		return E_STATE;
	err = db_read_begin(v->db);
	if (err == 0)
		err = settings_rollout(v->db, ret);
	db_read_end(v->db);
	return err;
}

static json_t *
names(const struct conf_names *list)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < list->count; i++)
		json_array_append_new(array, view_text(list->names[i]));
	return array;
}

static json_t *
describe(const struct conf *conf, int live)
{
	json_t *json = json_pack("{s:i, s:o, s:i}", "percent", rollout_percent(conf, live), "live",
				 live == ROLLOUT_CONFIGURED ? json_null() : json_integer(live),
				 "configured", (int)conf->rollout_percent);

	json_object_set_new(json, "allow_teams", names(&conf->rollout_allow_teams));
	json_object_set_new(json, "allow_users", names(&conf->rollout_allow_users));
	json_object_set_new(json, "deny_teams", names(&conf->rollout_deny_teams));
	json_object_set_new(json, "deny_users", names(&conf->rollout_deny_users));
	return json;
}

void
rollout_routes_show(struct office *o, struct admin_request *q)
{
	int live;

	if (rollout_routes_live(o->view, &live) != 0)
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the store cannot be read");
	else
		admin_answer(q, MHD_HTTP_OK, describe(o->conf, live));
}

/* null: as configured again. */
static bool
read_percent(const json_t *body, int *ret)
{
	const json_t *percent = json_object_get(body, "percent");

	if (json_object_size(body) != 1 || !(json_is_null(percent) || json_is_integer(percent)))
		return false;
	if (json_is_null(percent))
		*ret = ROLLOUT_CONFIGURED;
	else if (json_integer_value(percent) >= 0 && json_integer_value(percent) <= 100)
		*ret = (int)json_integer_value(percent);
	else
		return false;
	return true;
}

static void
ask(struct office *o, struct admin_request *q, int live)
{
	struct keeper_rollout m = {.head.type = KEEPER_ROLLOUT, .percent = live};
	struct act act = {.request = q};
	json_t *answer = describe(o->conf, live);

	act.answer = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	if (act.answer == NULL) {
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
		return;
	}
	if (live == ROLLOUT_CONFIGURED)
		snprintf(act.what, sizeof(act.what), "rollout reset");
	else
		snprintf(act.what, sizeof(act.what), "rollout set %d", live);
	acts_ask(o->asks, &act, &m, sizeof(m));
}

void
rollout_routes_set(struct office *o, struct admin_request *q)
{
	json_t *body = acts_body(q);
	int live;

	if (body == NULL)
		return;
	if (read_percent(body, &live))
		ask(o, q, live);
	else
		admin_refuse(q, MHD_HTTP_BAD_REQUEST, "{\"percent\": 0 to 100, or null} expected");
	json_decref(body);
}
