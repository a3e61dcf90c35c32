/*
 * The gateway's answers for people: JSON comes in, tables go out on standard output.
 */
#include "ctl/show.h"

#include "ctl/table.h"
#include "lib/panic.h"

#define OUTPUT_MAX	((size_t)256 * 1024 * 1024)
#define EXPIRES_SOON_MS (14 * 86400 * UINT64_C(1000)) /* as the alert has it */
#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static const char *
get_text(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key)); /* NULL: shown as "-" */
}

static const char *
get_item(const json_t *list, size_t i)
{
	const char *text = json_string_value(json_array_get(list, i));

	return text != NULL ? text : "";
}

static uint64_t
get_number(const json_t *row, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(row, key));
}

struct word {
	char text[TABLE_WORD];
};

static const char *
put_number(const json_t *row, const char *key, struct word *w)
{
	return table_number(get_number(row, key), w->text, sizeof(w->text));
}

static const char *
put_span(const json_t *row, const char *key, struct word *w)
{
	if (!json_is_integer(json_object_get(row, key)))
		return NULL;
	return table_age(get_number(row, key), w->text, sizeof(w->text));
}

/* How long ago; a time that is not known is "-". */
static const char *
put_age(const json_t *row, const char *key, uint64_t now_ms, struct word *w)
{
	uint64_t then_ms = get_number(row, key);

	if (then_ms == 0)
		return NULL;
	return table_age(now_ms > then_ms ? now_ms - then_ms : 0, w->text, sizeof(w->text));
}

static void
put_out(struct buf *out)
{
	ASSERT(!buf_failed(out));
	fwrite(out->p, 1, out->len, stdout);
	buf_clear(out);
}

/* What is wrong, or soon will be, and does not keep the gateway from being ready. */
static void
print_troubles(const json_t *status, struct buf *out)
{
	const json_t *audit = json_object_get(status, "audit"), *row;
	uint64_t now_ms = get_number(status, "now_ms"), lost = get_number(audit, "lost");
	struct word w;
	size_t i;

	if (get_number(json_object_get(status, "counters"), "reload_bad") != 0)
		buf_printf(out, "  the last reload failed: sparkgwd -t -c FILE says why\n");
	if (json_is_true(json_object_get(audit, "stalled")))
		buf_printf(out, "  audit records cannot be written: the log says why\n");
	if (lost > 0)
		buf_printf(out, "  audit records lost since the start: %s\n",
			   table_number(lost, w.text, sizeof(w.text)));
	json_array_foreach(json_object_get(status, "certificates"), i, row)
	{
		uint64_t end_ms = get_number(row, "expires_ms");

		if (end_ms == 0 || end_ms > now_ms + EXPIRES_SOON_MS)
			continue;
		buf_printf(
			out, "  the certificate %s of %s %s%s\n", get_text(row, "certificate"),
			get_text(row, "listener"), end_ms > now_ms ? "expires in " : "has expired",
			end_ms > now_ms ? table_age(end_ms - now_ms, w.text, sizeof(w.text)) : "");
	}
}

static void
print_summary(const json_t *status, struct buf *out)
{
	const json_t *drivers = json_object_get(status, "drivers");
	const json_t *missing = json_object_get(status, "missing");
	const char *version = get_text(status, "version");
	struct word w[6];
	const char *age = put_age(status, "started_ms", get_number(status, "now_ms"), &w[1]);

	buf_printf(out, "sparkgw %s, generation %s, up %s, %s\n", version != NULL ? version : "?",
		   put_number(status, "generation", &w[0]), age != NULL ? age : "?",
		   json_is_true(json_object_get(status, "ready")) ? "ready" : "not ready");
	for (size_t i = 0; i < json_array_size(missing); i++)
		buf_printf(out, "  %s\n", get_item(missing, i));
	print_troubles(status, out);
	buf_printf(out, "%s sessions; drivers: %s up, %s down, %s unknown, %s draining\n\n",
		   put_number(status, "sessions", &w[0]), put_number(drivers, "up", &w[2]),
		   put_number(drivers, "down", &w[3]), put_number(drivers, "unknown", &w[4]),
		   put_number(drivers, "draining", &w[5]));
}

static void
print_processes(const json_t *status, struct buf *out)
{
	static const struct table_column columns[] = {
		{"PROCESS", false}, {"SLOT", true}, {"PID", true},  {"GENERATION", true},
		{"STATE", false},   {"AGE", true},  {"BEAT", true}, {"RESTARTS", true},
	};
	uint64_t now_ms = get_number(status, "now_ms");
	const json_t *rows = json_object_get(status, "processes");
	struct table t;

	table_init(&t, columns, COUNT_OF(columns));
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		struct word w[6], pid;

		snprintf(pid.text, sizeof(pid.text), "%d", (int)get_number(row, "pid"));
		table_add(&t,
			  (const char *[]){get_text(row, "kind"), put_number(row, "slot", &w[0]),
					   pid.text, put_number(row, "generation", &w[1]),
					   get_text(row, "state"),
					   put_age(row, "started_ms", now_ms, &w[2]),
					   put_span(row, "beat_age_ms", &w[3]),
					   put_number(row, "restarts", &w[4])});
	}
	table_flush(&t, out);
	table_free(&t);
	buf_add_byte(out, '\n');
}

/* Old generations of workers, and a gateway that stops: how much is left, how long it may take. */
static void
print_drains(const json_t *status, struct buf *out)
{
	static const struct table_column columns[] = {
		{"DRAINING", false},   {"SLOT", true}, {"PID", true},  {"GENERATION", true},
		{"CONNECTIONS", true}, {"RPCS", true}, {"LEFT", true},
	};
	const json_t *rows = json_object_get(status, "processes");
	struct table t;
	bool any = false;

	table_init(&t, columns, COUNT_OF(columns));
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i), *drain = json_object_get(row, "drain");
		struct word w[5], pid;

		if (drain == NULL)
			continue;
		any = true;
		snprintf(pid.text, sizeof(pid.text), "%d", (int)get_number(row, "pid"));
		table_add(&t,
			  (const char *[]){get_text(row, "kind"), put_number(row, "slot", &w[0]),
					   pid.text, put_number(row, "generation", &w[1]),
					   put_number(drain, "connections", &w[2]),
					   put_number(drain, "rpcs", &w[3]),
					   put_span(drain, "left_ms", &w[4])});
	}
	if (any) {
		table_flush(&t, out);
		buf_add_byte(out, '\n');
	}
	table_free(&t);
}

/* A row per worker, and one of all together, which also counts what dead workers did. */
static void
add_worker(struct table *t, const char *name, const json_t *counters)
{
	struct word w[7];

	table_add(t, (const char *[]){name, put_number(counters, "connections_open", &w[0]),
				      put_number(counters, "connections_total", &w[1]),
				      put_number(counters, "rpcs_open", &w[2]),
				      put_number(counters, "rpcs_total", &w[3]),
				      put_number(counters, "rpcs_failed", &w[4]),
				      put_number(counters, "rpcs_refused", &w[5]),
				      put_number(counters, "driver_connections", &w[6])});
}

static void
print_workers(const json_t *status, struct buf *out)
{
	static const struct table_column columns[] = {
		{"WORKER", false}, {"CONNECTIONS", true}, {"EVER", true},    {"RPCS", true},
		{"EVER", true},	   {"FAILED", true},	  {"REFUSED", true}, {"TO-DRIVERS", true},
	};
	const json_t *rows = json_object_get(status, "workers");
	struct table t;

	table_init(&t, columns, COUNT_OF(columns));
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		struct word name;

		add_worker(&t, put_number(row, "slot", &name), json_object_get(row, "counters"));
	}
	add_worker(&t, "all", json_object_get(status, "counters"));
	table_flush(&t, out);
	table_free(&t);
}

/* Those whose keys are fetched or made. */
static void
print_providers(const json_t *status, struct buf *out)
{
	static const struct table_column columns[] = {
		{"PROVIDER", false}, {"TYPE", false}, {"KEYS", true},
		{"FETCHED", true},   {"TRIED", true}, {"ERROR", false},
	};
	uint64_t now_ms = get_number(status, "now_ms");
	const json_t *rows = json_object_get(status, "providers");
	struct table t;

	if (json_array_size(rows) == 0)
		return;
	buf_add_byte(out, '\n');
	table_init(&t, columns, COUNT_OF(columns));
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		struct word w[3];

		table_add(&t, (const char *[]){get_text(row, "name"), get_text(row, "type"),
					       put_number(row, "keys", &w[0]),
					       put_age(row, "fetched_ms", now_ms, &w[1]),
					       put_age(row, "tried_ms", now_ms, &w[2]),
					       get_text(row, "error")});
	}
	table_flush(&t, out);
	table_free(&t);
}

static void
print_shipping(const json_t *status, struct buf *out)
{
	const json_t *row = json_object_get(status, "shipping");
	const char *error = get_text(row, "error"), *ago;
	struct word w[2];

	if (!json_is_object(row))
		return;
	ago = put_age(row, "success_ms", get_number(status, "now_ms"), &w[1]);
	buf_printf(out, "\naudit files: %s wait to be shipped, ",
		   put_number(row, "pending", &w[0]));
	if (ago != NULL)
		buf_printf(out, "the last one was %s ago\n", ago);
	else
		buf_printf(out, "none was yet\n");
	if (error != NULL)
		buf_printf(out, "  %s\n", error);
}

static void
print_tracing(const json_t *status, struct buf *out)
{
	const json_t *row = json_object_get(status, "tracing");
	const char *error = get_text(row, "error");
	struct word w[3];

	if (!json_is_object(row))
		return;
	buf_printf(out, "\nspans: %s sent, %s wait, %s dropped\n",
		   put_number(row, "exported", &w[0]), put_number(row, "queued", &w[1]),
		   put_number(row, "dropped", &w[2]));
	if (error != NULL)
		buf_printf(out, "  %s\n", error);
}

void
show_status(const json_t *status)
{
	struct buf out;

	buf_init(&out, OUTPUT_MAX);
	print_summary(status, &out);
	print_processes(status, &out);
	print_drains(status, &out);
	print_workers(status, &out);
	print_providers(status, &out);
	print_shipping(status, &out);
	print_tracing(status, &out);
	put_out(&out);
	buf_free(&out);
}

/* Names with commas between, cut when there are more than fit. */
static const char *
join(const json_t *list, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < json_array_size(list); i++) {
		int n = snprintf(buf + at, size - at, "%s%s", i > 0 ? "," : "", get_item(list, i));

		if (n < 0 || (size_t)n >= size - at)
			break;
		at += (size_t)n;
	}
	return buf;
}

static void
add_cluster(struct table *t, const json_t *row, uint64_t now_ms)
{
	char teams[256], hosts[256];
	bool shared = json_is_true(json_object_get(row, "shared"));
	struct word w[4];

	join(json_object_get(row, "teams"), teams, sizeof(teams));
	join(json_object_get(row, "hosts"), hosts, sizeof(hosts));
	table_add(t,
		  (const char *[]){get_text(row, "name"), shared ? teams : get_text(row, "team"),
				   shared ? "shared" : "own", get_text(row, "env"),
				   get_text(row, "region"), put_number(row, "drivers", &w[0]),
				   put_number(row, "up", &w[1]), put_number(row, "draining", &w[2]),
				   put_number(row, "sessions", &w[3]), hosts});
}

static const struct table_column cluster_columns[] = {
	{"CLUSTER", false}, {"TEAM", false},   {"KIND", false}, {"ENV", false},
	{"REGION", false},  {"DRIVERS", true}, {"UP", true},	{"DRAINING", true},
	{"SESSIONS", true}, {"HOSTS", false},
};

static const char *
put_rtt(const json_t *row, struct word *w)
{
	uint64_t us = get_number(row, "rtt_us");

	if (us == 0)
		return NULL;
	if (us >= 10000)
		return table_age(us / 1000, w->text, sizeof(w->text));
	snprintf(w->text, sizeof(w->text), "%.1fms", (double)us / 1000);
	return w->text;
}

static void
add_driver(struct table *t, const json_t *row, uint64_t now_ms)
{
	const char *reason = get_text(row, "reason");
	struct word w[8];

	if (reason != NULL && strcmp(reason, "ok") == 0)
		reason = NULL;
	table_add(t,
		  (const char *[]){
			  get_text(row, "cluster"), get_text(row, "name"), get_text(row, "address"),
			  get_text(row, "resolved"), get_text(row, "state"), reason,
			  put_age(row, "since_ms", now_ms, &w[0]), put_rtt(row, &w[1]),
			  put_number(row, "failures", &w[2]), put_number(row, "changes", &w[3]),
			  put_number(row, "weight", &w[4]), get_text(row, "wanted"),
			  put_number(row, "sessions", &w[5]), put_number(row, "running", &w[6])});
}

static const struct table_column driver_columns[] = {
	{"CLUSTER", false}, {"DRIVER", false}, {"ADDRESS", false}, {"RESOLVED", false},
	{"STATE", false},   {"REASON", false}, {"SINCE", true},	   {"RTT", true},
	{"FAILURES", true}, {"CHANGES", true}, {"WEIGHT", true},   {"WANTED", false},
	{"SESSIONS", true}, {"RPCS", true},
};

static void
add_session(struct table *t, const json_t *row, uint64_t now_ms)
{
	struct word w[2];

	table_add(t, (const char *[]){get_text(row, "id"), get_text(row, "user"),
				      get_text(row, "team"), get_text(row, "env"),
				      get_text(row, "cluster"), get_text(row, "driver"),
				      get_text(row, "state"),
				      put_age(row, "created_ms", now_ms, &w[0]),
				      put_age(row, "seen_ms", now_ms, &w[1])});
}

static const struct table_column session_columns[] = {
	{"SESSION", false}, {"USER", false},  {"TEAM", false},	 {"ENV", false}, {"CLUSTER", false},
	{"DRIVER", false},  {"STATE", false}, {"CREATED", true}, {"SEEN", true},
};

static const char *
put_left(const json_t *row, uint64_t now_ms, struct word *w)
{
	uint64_t expires_ms = get_number(row, "expires_ms");

	if (expires_ms <= now_ms)
		return NULL;
	return table_age(expires_ms - now_ms, w->text, sizeof(w->text));
}

static void
add_token(struct table *t, const json_t *row, uint64_t now_ms)
{
	char envs[256];
	struct word w[3];

	table_add(t, (const char *[]){get_text(row, "id"), get_text(row, "type"),
				      get_text(row, "user"), get_text(row, "team"),
				      join(json_object_get(row, "envs"), envs, sizeof(envs)),
				      get_text(row, "state"),
				      put_age(row, "created_ms", now_ms, &w[0]),
				      put_age(row, "used_ms", now_ms, &w[1]),
				      put_left(row, now_ms, &w[2]), get_text(row, "note")});
}

static const struct table_column token_columns[] = {
	{"TOKEN", false}, {"TYPE", false},   {"USER", false}, {"TEAM", false}, {"ENVS", false},
	{"STATE", false}, {"CREATED", true}, {"USED", true},  {"LEFT", true},  {"NOTE", false},
};

static const struct {
	const struct table_column *columns;
	unsigned count;
	void (*add)(struct table *, const json_t *row, uint64_t now_ms);
} lists[] = {
	[SHOW_CLUSTERS] = {cluster_columns, COUNT_OF(cluster_columns), add_cluster},
	[SHOW_DRIVERS] = {driver_columns, COUNT_OF(driver_columns), add_driver},
	[SHOW_SESSIONS] = {session_columns, COUNT_OF(session_columns), add_session},
	[SHOW_TOKENS] = {token_columns, COUNT_OF(token_columns), add_token},
};

void
show_begin(struct show *s, enum show_list list)
{
	s->list = list;
	table_init(&s->table, lists[list].columns, lists[list].count);
}

void
show_rows(struct show *s, const json_t *answer)
{
	uint64_t now_ms = get_number(answer, "now_ms");
	const json_t *rows = json_object_get(answer, "rows");
	struct buf out;

	buf_init(&out, OUTPUT_MAX);
	for (size_t i = 0; i < json_array_size(rows); i++)
		lists[s->list].add(&s->table, json_array_get(rows, i), now_ms);
	table_flush(&s->table, &out);
	put_out(&out);
	buf_free(&out);
}

void
show_end(struct show *s)
{
	table_free(&s->table);
}
