/*
 * The overview: the views that there are, the metrics of all processes added up by pair of team and
 * env, the state of the audit, key sets and certificates, the history.
 *
 * Rates and percentiles are made by the reader, out of two answers: counts only grow. Buckets are
 * each bucket's own count.
 */
#include "controller/overview.h"

#include "lib/clock.h"
#include "shm/earlier.h"
#include "shm/labels.h"
#include "shm/ledger.h"
#include "shm/metrics.h"

struct sums { /* of a pair, over all processes */
	uint64_t requests[GRPC_CODES], errors[METRICS_ERRORS_COUNT], latency[METRICS_BUCKETS];
};

static void
add_row(const struct metrics_slot *m, unsigned pair, struct sums *s)
{
	for (unsigned i = 0; i < GRPC_CODES; i++)
		s->requests[i] += atomic_load_explicit(&m->requests[pair][i], memory_order_relaxed);
	for (unsigned i = 0; i < METRICS_ERRORS_COUNT; i++)
		s->errors[i] += atomic_load_explicit(&m->errors[pair][i], memory_order_relaxed);
	for (unsigned i = 0; i < METHODS; i++)
		for (unsigned b = 0; b < METRICS_BUCKETS; b++)
			s->latency[b] += atomic_load_explicit(&m->latency[pair][i].count[b],
							      memory_order_relaxed);
}

static void
add_up(struct view *v, unsigned pair, struct sums *s)
{
	add_row(&segment_earlier(v->segment)->rpcs, pair, s);
	for (unsigned i = 0; i < SEGMENT_PROCS; i++) {
		const struct metrics_slot *m = segment_metrics(v->segment, i);

		if (m != NULL)
			add_row(m, pair, s);
	}
}

static json_t *
numbers(const uint64_t *list, unsigned count)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(array, json_integer((json_int_t)list[i]));
	return array;
}

static json_t *
show_errors(const struct sums *s)
{
	json_t *errors = json_object();

	for (unsigned i = 0; i < METRICS_ERRORS_COUNT; i++)
		if (s->errors[i] > 0)
			json_object_set_new(errors, metrics_errors[i].name,
					    json_integer((json_int_t)s->errors[i]));
	return errors;
}

static json_t *
show_pair(struct view *v, unsigned pair)
{
	const _Atomic uint32_t *sessions = segment_pair_sessions(v->segment);
	struct sums s = {0};
	struct str team, env;
	uint64_t total = 0;

	labels_get(segment_labels(v->segment), pair, &team, &env);
	add_up(v, pair, &s);
	for (unsigned i = 0; i < GRPC_CODES; i++)
		total += s.requests[i];
	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:o, s:o}", "team", view_text(team), "env",
			 view_text(env), "sessions",
			 (json_int_t)atomic_load_explicit(&sessions[pair], memory_order_relaxed),
			 "requests", (json_int_t)total, "failed",
			 (json_int_t)(total - s.requests[0]), "errors", show_errors(&s), "latency",
			 numbers(s.latency, METRICS_BUCKETS));
}

static json_t *
show_teams(struct view *v)
{
	unsigned count = labels_count(segment_labels(v->segment));
	json_t *teams = json_array();

	view_look_back(v);
	for (unsigned i = 1; i <= count; i++) /* "other" comes last */
		json_array_append_new(teams, show_pair(v, i % count));
	return teams;
}

json_t *
overview_audit(const struct overview *o)
{
	const struct metrics_keeper *m = segment_metrics_keeper(o->view->segment);
	const struct metrics_keeper *earlier = &segment_earlier(o->view->segment)->keeper;
	const struct ledger *ledger = segment_ledger(o->view->segment);
	json_t *audit = json_pack("{s:b, s:b}", "enabled", o->audited, "stalled",
				  atomic_load(&ledger->stalled) != 0);

	for (unsigned i = 0; i < METRICS_KEEPER_COUNT; i++)
		if (strncmp(metrics_keeper_info[i].name, "audit_", 6) == 0 &&
		    i != METRICS_KEEPER_audit_stalled)
			json_object_set_new(
				audit, metrics_keeper_info[i].name + 6,
				json_integer((json_int_t)(atomic_load(&m->number[i]) +
							  atomic_load(&earlier->number[i]))));
	return audit;
}

/* Of a provider only what cannot hold an address or words of its answer. */
static json_t *
show_providers(const struct overview *o)
{
	static const char *const shown[] = {"name", "type", "keys", "fetched_ms", "failures"};
	json_t *rows = json_array(), *list = json_array();
	const json_t *row;
	size_t i;

	if (o->providers != NULL)
		o->providers(o->arg, rows);
	json_array_foreach(rows, i, row)
	{
		json_t *provider = json_object();

		for (unsigned j = 0; j < sizeof(shown) / sizeof(*shown); j++)
			if (json_object_get(row, shown[j]) != NULL)
				json_object_set(provider, shown[j], json_object_get(row, shown[j]));
		json_array_append_new(list, provider);
	}
	json_decref(rows);
	return list;
}

static json_t *
show_certificates(const struct overview *o)
{
	json_t *list = json_array();

	if (o->certificates != NULL)
		o->certificates(o->arg, list);
	return list;
}

/* null: the store cannot be read yet. */
static json_t *
rows_of(struct view *v, int (*view)(struct view *, json_t **))
{
	json_t *json = NULL, *rows;

	if (view(v, &json) != 0)
		return json_null();
	rows = json_incref(json_object_get(json, "rows"));
	json_decref(json);
	return rows;
}

static json_t *
make(struct overview *o)
{
	static const uint64_t *const bounds = metrics_bounds_us;
	json_t *json = json_pack("{s:o}", "status", view_status(o->view));

	json_object_set_new(json, "clusters", rows_of(o->view, view_clusters));
	json_object_set_new(json, "drivers", rows_of(o->view, view_drivers));
	json_object_set_new(json, "bounds_us", numbers(bounds, METRICS_BUCKETS - 1));
	json_object_set_new(json, "teams", show_teams(o->view));
	json_object_set_new(json, "audit", overview_audit(o));
	json_object_set_new(json, "providers", show_providers(o));
	json_object_set_new(json, "certificates", show_certificates(o));
	json_object_set_new(json, "history",
			    o->history != NULL ? history_show(o->history) : json_null());
	return json;
}

json_t *
overview_show(struct overview *o)
{
	uint64_t now_ms = clock_ms();

	if (o->last == NULL || now_ms - o->made_ms >= OVERVIEW_FRESH_MS) {
		json_decref(o->last);
		o->last = make(o);
		o->made_ms = now_ms;
	}
	return json_incref(o->last);
}

void
overview_close(struct overview *o)
{
	json_decref(o->last);
	o->last = NULL;
}
