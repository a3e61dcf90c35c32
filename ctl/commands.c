/*
 * What sparkgwctl can do: each command asks the gateway once (sessions: page by page) and prints
 * the answer for people, or with
 * --json as it came. Messages of the gateway go to standard error.
 */
#include "ctl/commands.h"

#include <jansson.h>
#include "ctl/http.h"
#include "ctl/table.h"
#include "lib/panic.h"

#define OUTPUT_MAX	((size_t)256 * 1024 * 1024)
#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

enum { TAKES_USER = 1u << 0, TAKES_TEAM = 1u << 1, TAKES_NAME = 1u << 2 };

struct command {
	const char *group, *verb; /* verb NULL: a command of one word */
	const char *argument;	  /* as the usage shows it */
	const char *help;
	unsigned takes;
	enum commands_exit (*run)(const struct commands_wish *);
};

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
show_number(const json_t *row, const char *key, struct word *w)
{
	return table_number(get_number(row, key), w->text, sizeof(w->text));
}

static const char *
show_span(const json_t *row, const char *key, struct word *w)
{
	if (!json_is_integer(json_object_get(row, key)))
		return NULL;
	return table_age(get_number(row, key), w->text, sizeof(w->text));
}

/* How long ago; a time that is not known is "-". */
static const char *
show_age(const json_t *row, const char *key, uint64_t now_ms, struct word *w)
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

static void
print_refusal(const struct http_answer *answer)
{
	json_t *json = json_loadb((const char *)answer->body.p, answer->body.len, 0, NULL);
	const json_t *errors = json_object_get(json, "errors");

	for (size_t i = 0; i < json_array_size(errors); i++)
		fprintf(stderr, "%s\n", get_item(errors, i));
	if (json_array_size(errors) == 0)
		fprintf(stderr, "sparkgwctl: the gateway answered HTTP %u\n", answer->status);
	json_decref(json);
}

/* One exchange. *ret_json only when DONE; with --json it has been printed and is NULL, unless
 * `keep`. */
static enum commands_exit
ask(const struct commands_wish *w, const char *path, const char *body, bool keep, json_t **ret_json)
{
	struct http_answer answer;
	const char *words = "";
	enum commands_exit result = COMMANDS_DONE;
	int err = http_ask(w->socket_path, path, body, &answer, &words);

	*ret_json = NULL;
	if (err != 0) {
		fprintf(stderr, "sparkgwctl: no gateway at %s: %s\n", w->socket_path, words);
		return COMMANDS_NOBODY;
	}
	if (answer.status != 200) {
		print_refusal(&answer);
		result = COMMANDS_REFUSED;
	} else {
		if (w->json)
			printf("%.*s\n", (int)answer.body.len, (const char *)answer.body.p);
		if (!w->json || keep)
			*ret_json =
				json_loadb((const char *)answer.body.p, answer.body.len, 0, NULL);
		if (*ret_json == NULL && (!w->json || keep)) {
			fprintf(stderr, "sparkgwctl: the answer of %s is not JSON\n",
				w->socket_path);
			result = COMMANDS_NOBODY;
		}
	}
	buf_free(&answer.body);
	return result;
}

static void
print_summary(const json_t *status, struct buf *out)
{
	const json_t *drivers = json_object_get(status, "drivers");
	const json_t *missing = json_object_get(status, "missing");
	const char *version = get_text(status, "version");
	struct word w[6];
	const char *age = show_age(status, "started_ms", get_number(status, "now_ms"), &w[1]);

	buf_printf(out, "sparkgw %s, generation %s, up %s, %s\n", version != NULL ? version : "?",
		   show_number(status, "generation", &w[0]), age != NULL ? age : "?",
		   json_is_true(json_object_get(status, "ready")) ? "ready" : "not ready");
	for (size_t i = 0; i < json_array_size(missing); i++)
		buf_printf(out, "  %s\n", get_item(missing, i));
	buf_printf(out, "%s sessions; drivers: %s up, %s down, %s unknown, %s draining\n\n",
		   show_number(status, "sessions", &w[0]), show_number(drivers, "up", &w[2]),
		   show_number(drivers, "down", &w[3]), show_number(drivers, "unknown", &w[4]),
		   show_number(drivers, "draining", &w[5]));
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
			  (const char *[]){get_text(row, "kind"), show_number(row, "slot", &w[0]),
					   pid.text, show_number(row, "generation", &w[1]),
					   get_text(row, "state"),
					   show_age(row, "started_ms", now_ms, &w[2]),
					   show_span(row, "beat_age_ms", &w[3]),
					   show_number(row, "restarts", &w[4])});
	}
	table_flush(&t, out);
	table_free(&t);
	buf_add_byte(out, '\n');
}

/* A row per worker, and one of all together, which also counts what dead workers did. */
static void
add_worker(struct table *t, const char *name, const json_t *counters)
{
	struct word w[7];

	table_add(t, (const char *[]){name, show_number(counters, "connections_open", &w[0]),
				      show_number(counters, "connections_total", &w[1]),
				      show_number(counters, "rpcs_open", &w[2]),
				      show_number(counters, "rpcs_total", &w[3]),
				      show_number(counters, "rpcs_failed", &w[4]),
				      show_number(counters, "rpcs_refused", &w[5]),
				      show_number(counters, "driver_connections", &w[6])});
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

		add_worker(&t, show_number(row, "slot", &name), json_object_get(row, "counters"));
	}
	add_worker(&t, "all", json_object_get(status, "counters"));
	table_flush(&t, out);
	table_free(&t);
}

static enum commands_exit
run_status(const struct commands_wish *w)
{
	json_t *status;
	enum commands_exit result = ask(w, "/v1/status", NULL, false, &status);
	struct buf out;

	if (status == NULL)
		return result;
	buf_init(&out, OUTPUT_MAX);
	print_summary(status, &out);
	print_processes(status, &out);
	print_workers(status, &out);
	put_out(&out);
	buf_free(&out);
	json_decref(status);
	return result;
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
	table_add(t, (const char *[]){get_text(row, "name"), shared ? teams : get_text(row, "team"),
				      shared ? "shared" : "own", get_text(row, "env"),
				      get_text(row, "region"), show_number(row, "drivers", &w[0]),
				      show_number(row, "up", &w[1]),
				      show_number(row, "draining", &w[2]),
				      show_number(row, "sessions", &w[3]), hosts});
}

static const struct table_column cluster_columns[] = {
	{"CLUSTER", false}, {"TEAM", false},   {"KIND", false}, {"ENV", false},
	{"REGION", false},  {"DRIVERS", true}, {"UP", true},	{"DRAINING", true},
	{"SESSIONS", true}, {"HOSTS", false},
};

static const char *
show_rtt(const json_t *row, struct word *w)
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
	struct word w[8];

	table_add(t, (const char *[]){get_text(row, "cluster"), get_text(row, "name"),
				      get_text(row, "address"), get_text(row, "resolved"),
				      get_text(row, "state"), get_text(row, "reason"),
				      show_age(row, "since_ms", now_ms, &w[0]),
				      show_rtt(row, &w[1]), show_number(row, "failures", &w[2]),
				      show_number(row, "changes", &w[3]),
				      show_number(row, "weight", &w[4]), get_text(row, "wanted"),
				      show_number(row, "sessions", &w[5]),
				      show_number(row, "running", &w[6])});
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
				      show_age(row, "created_ms", now_ms, &w[0]),
				      show_age(row, "seen_ms", now_ms, &w[1])});
}

static const struct table_column session_columns[] = {
	{"SESSION", false}, {"USER", false},  {"TEAM", false},	 {"ENV", false}, {"CLUSTER", false},
	{"DRIVER", false},  {"STATE", false}, {"CREATED", true}, {"SEEN", true},
};

static void
print_rows(struct table *t, const json_t *json,
	   void (*add)(struct table *, const json_t *, uint64_t now_ms))
{
	uint64_t now_ms = get_number(json, "now_ms");
	const json_t *rows = json_object_get(json, "rows");
	struct buf out;

	buf_init(&out, OUTPUT_MAX);
	for (size_t i = 0; i < json_array_size(rows); i++)
		add(t, json_array_get(rows, i), now_ms);
	table_flush(t, &out);
	put_out(&out);
	buf_free(&out);
}

static enum commands_exit
list(const struct commands_wish *w, const char *path, const struct table_column *columns,
     unsigned count, void (*add)(struct table *, const json_t *, uint64_t now_ms))
{
	json_t *json;
	enum commands_exit result = ask(w, path, NULL, false, &json);
	struct table t;

	if (json == NULL)
		return result;
	table_init(&t, columns, count);
	print_rows(&t, json, add);
	table_free(&t);
	json_decref(json);
	return result;
}

static enum commands_exit
run_clusters(const struct commands_wish *w)
{
	return list(w, "/v1/clusters", cluster_columns, COUNT_OF(cluster_columns), add_cluster);
}

static enum commands_exit
run_drivers(const struct commands_wish *w)
{
	return list(w, "/v1/drivers", driver_columns, COUNT_OF(driver_columns), add_driver);
}

static void
add_parameter(struct buf *path, const char *key, const char *value)
{
	if (value == NULL)
		return;
	buf_printf(path, "%c%s=", memchr(path->p, '?', path->len) != NULL ? '&' : '?', key);
	http_escape(path, value);
}

/* Page after page; each is printed before the next is asked for. */
static enum commands_exit
run_sessions(const struct commands_wish *w)
{
	enum commands_exit result;
	const char *after = NULL;
	json_t *page = NULL;
	struct table t;
	struct buf path;

	buf_init(&path, 8192);
	table_init(&t, session_columns, COUNT_OF(session_columns));
	do {
		buf_clear(&path);
		buf_add_str(&path, STR("/v1/sessions"));
		add_parameter(&path, "user", w->user);
		add_parameter(&path, "team", w->team);
		add_parameter(&path, "after", after);
		json_decref(page); /* `after` pointed into it */
		result = ask(w, buf_cstr(&path), NULL, true, &page);
		if (result != COMMANDS_DONE)
			break;
		if (!w->json)
			print_rows(&t, page, add_session);
		after = get_text(page, "next");
	} while (after != NULL);
	json_decref(page);
	table_free(&t);
	buf_free(&path);
	return result;
}

/* POST of {"key": name}, plus "user" when given. */
static enum commands_exit
act(const struct commands_wish *w, const char *path, const char *key, json_t **ret_json)
{
	json_t *wish = json_pack("{s:s, s:s*}", key, w->name, "user", w->user);
	char *body = wish != NULL ? json_dumps(wish, JSON_COMPACT) : NULL;
	enum commands_exit result = COMMANDS_USAGE;

	*ret_json = NULL;
	if (body != NULL)
		result = ask(w, path, body, false, ret_json);
	else
		fprintf(stderr, "sparkgwctl: the arguments are not UTF-8\n");
	free(body);
	json_decref(wish);
	return result;
}

static enum commands_exit
run_drain(const struct commands_wish *w)
{
	json_t *json;
	enum commands_exit result = act(w, "/v1/drivers/drain", "name", &json);

	if (json != NULL)
		printf("%s gets no new sessions\n", w->name);
	json_decref(json);
	return result;
}

static enum commands_exit
run_undrain(const struct commands_wish *w)
{
	json_t *json;
	enum commands_exit result = act(w, "/v1/drivers/undrain", "name", &json);

	if (json != NULL)
		printf("%s gets new sessions again\n", w->name);
	json_decref(json);
	return result;
}

static enum commands_exit
run_close(const struct commands_wish *w)
{
	json_t *json;
	enum commands_exit result = act(w, "/v1/sessions/close", "id", &json);

	if (json != NULL)
		printf("sessions closed: %d\n", (int)get_number(json, "closed"));
	json_decref(json);
	return result;
}

static enum commands_exit
run_reload(const struct commands_wish *w)
{
	json_t *json;
	enum commands_exit result = ask(w, "/v1/reload", "{}", false, &json);

	if (json != NULL)
		printf("reloaded\n");
	json_decref(json);
	return result;
}

static const struct command table[] = {
	{"status", NULL, "", "processes, counters, readiness", 0, run_status},
	{"clusters", NULL, "", "the clusters and how many of their drivers are up", 0,
	 run_clusters},
	{"drivers", NULL, "", "the drivers, their health and load", 0, run_drivers},
	{"sessions", NULL, " [--user U] [--team T]", "the sessions and where they are bound",
	 TAKES_USER | TAKES_TEAM, run_sessions},
	{"driver", "drain", " NAME", "give no new sessions to a driver", TAKES_NAME, run_drain},
	{"driver", "undrain", " NAME", "give new sessions to it again", TAKES_NAME, run_undrain},
	{"session", "close", " ID [--user U]", "end a session, of one user or of every one",
	 TAKES_NAME | TAKES_USER, run_close},
	{"reload", NULL, "", "read the configuration again", 0, run_reload},
};

static const char *
check(const struct command *c, int arguments, const struct commands_wish *w)
{
	int wanted = c->takes & TAKES_NAME ? 1 : 0;

	if (arguments < wanted)
		return "an argument is missing";
	if (arguments > wanted)
		return "there are too many arguments";
	if (w->user != NULL && !(c->takes & TAKES_USER))
		return "--user is not for this command";
	if (w->team != NULL && !(c->takes & TAKES_TEAM))
		return "--team is not for this command";
	return NULL;
}

const struct command *
commands_find(char *const *words, int count, const struct commands_wish *w, const char **ret_name,
	      const char **ret_problem)
{
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		const struct command *c = &table[i];
		int used = c->verb != NULL ? 2 : 1;

		if (count < used || strcmp(words[0], c->group) != 0 ||
		    (used == 2 && strcmp(words[1], c->verb) != 0))
			continue;
		*ret_problem = check(c, count - used, w);
		if (*ret_problem != NULL)
			return NULL;
		*ret_name = count > used ? words[used] : NULL;
		return c;
	}
	*ret_problem = count > 0 ? "there is no such command" : "a command is missing";
	return NULL;
}

enum commands_exit
commands_run(const struct command *c, const struct commands_wish *w)
{
	return c->run(w);
}

void
commands_usage(FILE *f)
{
	fprintf(f, "usage: sparkgwctl [-c FILE | -s SOCKET] [--json] COMMAND\n\n");
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		char line[64];

		snprintf(line, sizeof(line), "%s%s%s%s", table[i].group,
			 table[i].verb != NULL ? " " : "",
			 table[i].verb != NULL ? table[i].verb : "", table[i].argument);
		fprintf(f, "  %-32s %s\n", line, table[i].help);
	}
	fprintf(f, "\n  -c FILE    the gateway's configuration, for its run_dir\n"
		   "  -s SOCKET  its control socket; default /run/sparkgw/control.sock\n"
		   "  --json     the answer as it came\n"
		   "  --help, --version\n");
}
