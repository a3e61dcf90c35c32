/*
 * What sparkgwctl can do: each command asks the gateway once (sessions: page by page) and prints
 * the answer for people, or with
 * --json as it came. Messages of the gateway go to standard error.
 */
#include "ctl/commands.h"

#include <jansson.h>
#include "ctl/http.h"
#include "ctl/show.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

enum { TAKES_USER = 1u << 0, TAKES_TEAM = 1u << 1, TAKES_NAME = 1u << 2 };

struct command {
	const char *group, *verb; /* verb NULL: a command of one word */
	const char *argument;	  /* as the usage shows it */
	const char *help;
	unsigned takes;
	enum commands_exit (*run)(const struct commands_wish *);
};

static void
print_refusal(const struct http_answer *answer)
{
	json_t *json = json_loadb((const char *)answer->body.p, answer->body.len, 0, NULL);
	const json_t *errors = json_object_get(json, "errors");

	for (size_t i = 0; i < json_array_size(errors); i++)
		fprintf(stderr, "%s\n", json_string_value(json_array_get(errors, i)));
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

static enum commands_exit
run_status(const struct commands_wish *w)
{
	json_t *status;
	enum commands_exit result = ask(w, "/v1/status", NULL, false, &status);

	if (status != NULL)
		show_status(status);
	json_decref(status);
	return result;
}

static enum commands_exit
list(const struct commands_wish *w, const char *path, enum show_list what)
{
	json_t *json;
	enum commands_exit result = ask(w, path, NULL, false, &json);
	struct show show;

	if (json == NULL)
		return result;
	show_begin(&show, what);
	show_rows(&show, json);
	show_end(&show);
	json_decref(json);
	return result;
}

static enum commands_exit
run_clusters(const struct commands_wish *w)
{
	return list(w, "/v1/clusters", SHOW_CLUSTERS);
}

static enum commands_exit
run_drivers(const struct commands_wish *w)
{
	return list(w, "/v1/drivers", SHOW_DRIVERS);
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
	struct show show;
	struct buf path;

	buf_init(&path, 8192);
	show_begin(&show, SHOW_SESSIONS);
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
			show_rows(&show, page);
		after = json_string_value(json_object_get(page, "next"));
	} while (after != NULL);
	json_decref(page);
	show_end(&show);
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
		printf("sessions closed: %d\n",
		       (int)json_integer_value(json_object_get(json, "closed")));
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
