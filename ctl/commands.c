/*
 * What sparkgwctl can do: each command asks the gateway once (long lists: page by page) and prints
 * the answer for people, or with --json as it came. Messages of the gateway go to standard error.
 */
#include "ctl/commands.h"

#include "ctl/audit.h"
#include "ctl/explain.h"
#include "ctl/list.h"
#include "ctl/rollout.h"
#include "ctl/token.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))
#define WIDTH		34 /* of the usage's first column */

struct command {
	const char *group, *verb; /* verb NULL: a command of one word */
	const char *argument;	  /* as the usage shows it; NULL: none; "[...]": any number */
	unsigned takes, needs;	  /* options; what is needed is taken, too */
	const char *help;
	enum ask_result (*run)(const struct wish *);
};

static enum ask_result
run_status(const struct wish *w)
{
	return ask_show(w, "/v1/status", show_status);
}

static enum ask_result
run_clusters(const struct wish *w)
{
	return list_print(w, "/v1/clusters", SHOW_CLUSTERS);
}

static enum ask_result
run_drivers(const struct wish *w)
{
	return list_print(w, "/v1/drivers", SHOW_DRIVERS);
}

static enum ask_result
run_sessions(const struct wish *w)
{
	enum ask_result result;
	struct buf path;

	buf_init(&path, 8192);
	buf_add_str(&path, STR("/v1/sessions"));
	ask_parameter(&path, "user", w->user);
	ask_parameter(&path, "team", w->team);
	result = list_print(w, buf_cstr(&path), SHOW_SESSIONS);
	buf_free(&path);
	return result;
}

/* POST of {"key": name}, plus "user" when given. */
static enum ask_result
act(const struct wish *w, const char *path, const char *key, json_t **ret_json)
{
	return ask_post(w, path, json_pack("{s:s, s:s*}", key, w->name, "user", w->user), ret_json);
}

static enum ask_result
run_drain(const struct wish *w)
{
	json_t *json;
	enum ask_result result = act(w, "/v1/drivers/drain", "name", &json);

	if (json != NULL)
		printf("%s gets no new sessions\n", w->name);
	json_decref(json);
	return result;
}

static enum ask_result
run_undrain(const struct wish *w)
{
	json_t *json;
	enum ask_result result = act(w, "/v1/drivers/undrain", "name", &json);

	if (json != NULL)
		printf("%s gets new sessions again\n", w->name);
	json_decref(json);
	return result;
}

static enum ask_result
run_close(const struct wish *w)
{
	json_t *json;
	enum ask_result result = act(w, "/v1/sessions/close", "id", &json);

	if (json != NULL)
		printf("sessions closed: %d\n",
		       (int)json_integer_value(json_object_get(json, "closed")));
	json_decref(json);
	return result;
}

static enum ask_result
run_reload(const struct wish *w)
{
	json_t *json;
	enum ask_result result = ask(w, "/v1/reload", "{}", ASK_PRINT, &json);

	if (json != NULL)
		printf("reloaded\n");
	json_decref(json);
	return result;
}

/* Of commands with the same words the first one counts that takes all the options given. */
static const struct command table[] = {
	{"status", NULL, NULL, 0, 0, "processes, providers, counters, readiness", run_status},
	{"clusters", NULL, NULL, 0, 0, "the clusters and how many of their drivers are up",
	 run_clusters},
	{"drivers", NULL, NULL, 0, 0, "the drivers, their health and load", run_drivers},
	{"sessions", NULL, NULL, OPTION_USER | OPTION_TEAM, 0,
	 "the sessions and where they are bound", run_sessions},
	{"driver", "drain", "NAME", 0, 0, "give no new sessions to a driver", run_drain},
	{"driver", "undrain", "NAME", 0, 0, "give new sessions to it again", run_undrain},
	{"session", "close", "ID", OPTION_USER, 0, "end a session, of one user or of every one",
	 run_close},
	{"reload", NULL, NULL, 0, 0, "read the configuration again", run_reload},
	{"explain", NULL, NULL, OPTION_GROUPS | OPTION_TEAM | OPTION_ENV | OPTION_HOST, OPTION_USER,
	 "where a session would go, and why", explain_session},
	{"token", "create", NULL, OPTION_ENVS | OPTION_TTL | OPTION_NOTE, OPTION_USER | OPTION_TEAM,
	 "make a personal token", token_create},
	{"token", "create", NULL, OPTION_ENVS | OPTION_TTL | OPTION_NOTE,
	 OPTION_SERVICE | OPTION_TEAM, "make a token of a service", token_create},
	{"token", "list", NULL, OPTION_USER | OPTION_TEAM | OPTION_ALL, 0,
	 "the tokens; --all: also those that are over", token_list},
	{"token", "revoke", "ID", 0, 0, "refuse a token from now on", token_revoke},
	{"token", "rotate", NULL, 0, 0, "sign service tokens with a new key", token_rotate},
	{"token", "keys", NULL, 0, 0, "the keys that verify service tokens", token_keys},
	{"rollout", "show", NULL, 0, 0, "the share of the teams that may come in", rollout_show},
	{"rollout", "set", "PERCENT", 0, 0, "change it, until it is reset", rollout_set},
	{"rollout", "reset", NULL, 0, 0, "as configured again", rollout_reset},
	{"audit", "tail", NULL, OPTION_STATE_DIR | OPTION_FOLLOW | OPTION_LINES, 0,
	 "the last records; -f: and those that come", audit_tail},
	{"audit", "verify", "[FILE...]", OPTION_STATE_DIR, 0,
	 "whether anything was changed in these files, or in all", audit_verify},
};

/* How many of the words are the command's; 0: it is another one. */
static int
match(const struct command *c, char *const *words, int count)
{
	int used = c->verb != NULL ? 2 : 1;

	if (count < used || strcmp(words[0], c->group) != 0 ||
	    (used == 2 && strcmp(words[1], c->verb) != 0))
		return 0;
	return used;
}

static unsigned
taken(const struct command *c)
{
	unsigned bits = c->takes | c->needs;

	return bits & OPTION_ENVS ? bits | OPTION_ENV : bits;
}

/* For one command --env is given once, for another several times: both bits are set by it. */
static unsigned
given(const struct command *c, const struct wish *w)
{
	unsigned bits = w->given;

	if (w->envs_count == 1 && taken(c) & OPTION_ENV)
		bits &= ~(unsigned)OPTION_ENVS;
	return bits;
}

static bool
takes_any(const struct command *c)
{
	return c->argument != NULL && c->argument[0] == '[';
}

static const char *
check(const struct command *c, int arguments, const struct wish *w, const char **ret_about)
{
	int wanted = c->argument == NULL ? 0 : takes_any(c) ? arguments : 1;

	*ret_about = NULL;
	if (arguments < wanted)
		return "an argument is missing";
	if (arguments > wanted)
		return "there are too many arguments";
	*ret_about = options_name(given(c, w) & ~taken(c));
	if (*ret_about != NULL)
		return "not for this command, or too often";
	*ret_about = options_name(c->needs & ~w->given);
	if (*ret_about != NULL)
		return "this option is needed";
	return NULL;
}

static const struct command *
choose(char *const *words, int count, const struct wish *w)
{
	const struct command *first = NULL;

	for (size_t i = 0; i < COUNT_OF(table); i++) {
		const struct command *c = &table[i];

		if (match(c, words, count) == 0)
			continue;
		if ((given(c, w) & ~taken(c)) == 0)
			return c;
		if (first == NULL)
			first = c;
	}
	return first;
}

const struct command *
commands_find(char *const *words, int count, struct wish *w, const char **ret_problem,
	      const char **ret_about)
{
	const struct command *c = choose(words, count, w);
	int used;

	*ret_about = NULL;
	*ret_problem = count > 0 ? "there is no such command" : "a command is missing";
	if (c == NULL)
		return NULL;
	used = match(c, words, count);
	*ret_problem = check(c, count - used, w, ret_about);
	if (*ret_problem != NULL)
		return NULL;
	w->name = count > used ? words[used] : NULL;
	w->names = words + used;
	w->names_count = count - used;
	return c;
}

enum ask_result
commands_run(const struct command *c, const struct wish *w)
{
	return c->run(w);
}

static void
print_command(FILE *f, const struct command *c)
{
	struct buf line;

	buf_init(&line, 1024);
	buf_printf(&line, "%s%s%s%s%s", c->group, c->verb != NULL ? " " : "",
		   c->verb != NULL ? c->verb : "", c->argument != NULL ? " " : "",
		   c->argument != NULL ? c->argument : "");
	options_usage(c->takes, c->needs, &line);
	if (line.len > WIDTH)
		fprintf(f, "  %s\n  %*s %s\n", buf_cstr(&line), WIDTH, "", c->help);
	else
		fprintf(f, "  %-*s %s\n", WIDTH, buf_cstr(&line), c->help);
	buf_free(&line);
}

bool
commands_hint(FILE *f, const char *group)
{
	bool known = false;

	for (size_t i = 0; i < COUNT_OF(table); i++)
		if (strcmp(table[i].group, group) == 0) {
			print_command(f, &table[i]);
			known = true;
		}
	return known;
}

void
commands_usage(FILE *f)
{
	fprintf(f, "usage: sparkgwctl [-c FILE | -s SOCKET] [--json] COMMAND\n\n");
	for (size_t i = 0; i < COUNT_OF(table); i++)
		print_command(f, &table[i]);
	fprintf(f, "\n  -c FILE    the gateway's configuration, for its run_dir or state_dir\n"
		   "  -s SOCKET  its control socket; default /run/sparkgw/control.sock\n"
		   "  --json     the answer as it came\n"
		   "  --help, --version\n");
}
