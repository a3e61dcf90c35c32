/*
 * Wishes for tokens, in the controller: a JSON object in, a checked struct out.
 */
#include "controller/token_wish.h"

#include "conf/value.h"

#define USER_MAX 255

struct parse {
	const json_t *body;
	const struct conf *conf;
	struct arena *arena;
	struct token_wish *wish;
	const char *words;
};

static bool
refuse(struct parse *p, const char *words)
{
	p->words = words != NULL ? words : "out of memory";
	return false;
}

static struct str
text_of(const json_t *value)
{
	return (struct str){json_string_value(value), json_string_length(value)};
}

static struct str
get(const struct parse *p, const char *key)
{
	return text_of(json_object_get(p->body, key));
}

static bool
is_given(const struct parse *p, const char *key)
{
	return json_object_get(p->body, key) != NULL;
}

static bool
is_line(struct str s, size_t max)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return s.n > 0 && s.n <= max && str_is_utf8(s);
}

static bool
take_owner(struct parse *p)
{
	struct str user = get(p, "user"), service = get(p, "service");
	struct token_wish *w = p->wish;

	if (is_given(p, "user") == is_given(p, "service"))
		return refuse(p, "either \"user\" or \"service\" is expected");
	if (is_given(p, "user")) {
		if (!is_line(user, USER_MAX))
			return refuse(p, "user: a line of 1 to 255 bytes is expected");
		if (str_starts(user, STR(TOKEN_WISH_SERVICE)))
			return refuse(p, "user: names that begin with " TOKEN_WISH_SERVICE
					 " are those of services");
		w->type = TOKEN_PERSONAL;
		w->user = user;
		return true;
	}
	if (!value_is_name(service))
		return refuse(p, "service: a name of 1 to 63 letters, digits and \"-_.\" is"
				 " expected");
	w->type = TOKEN_SERVICE;
	w->service = service;
	w->user = str_from(arena_printf(p->arena, TOKEN_WISH_SERVICE "%.*s", STR_ARG(service)));
	return w->user.p != NULL || refuse(p, NULL);
}

static const char *
list_teams(struct parse *p)
{
	const char *words = "";

	for (unsigned i = 0; words != NULL && i < p->conf->teams_count && i < 20; i++)
		words = arena_printf(p->arena, "%s%s%.*s", words, i > 0 ? ", " : "",
				     STR_ARG(p->conf->teams[i].name));
	return words != NULL ? words : "";
}

/* Where the configuration lists no teams, each name may be one. */
static bool
take_team(struct parse *p)
{
	struct str team = get(p, "team");

	if (!value_is_name(team))
		return refuse(p, "team: the name of a team is expected");
	if (p->conf->teams_count > 0 && conf_team(p->conf, team) == NULL)
		return refuse(p, arena_printf(p->arena, "team: there is no team %.*s; known: %s",
					      STR_ARG(team), list_teams(p)));
	p->wish->team = team;
	return true;
}

static bool
is_env_of(const struct conf_team *team, struct str env)
{
	for (unsigned i = 0; team != NULL && i < team->envs_count; i++)
		if (str_eq(team->envs[i], env))
			return true;
	return team == NULL || team->envs_count == 0;
}

static bool
take_envs(struct parse *p)
{
	const json_t *envs = json_object_get(p->body, "envs");
	const struct conf_team *team = conf_team(p->conf, p->wish->team);
	struct token_wish *w = p->wish;

	if (envs == NULL)
		return true;
	if (!json_is_array(envs) || json_array_size(envs) > TOKEN_ENVS_MAX)
		return refuse(p, "envs: a list of at most 16 environments is expected");
	for (size_t i = 0; i < json_array_size(envs); i++) {
		struct str env = text_of(json_array_get(envs, i));

		if (!value_is_name(env))
			return refuse(p, "envs: names of environments are expected");
		if (!is_env_of(team, env))
			return refuse(p,
				      arena_printf(p->arena, "envs: %.*s is not open to team %.*s",
						   STR_ARG(env), STR_ARG(w->team)));
		w->envs[w->envs_count++] = env;
	}
	return true;
}

static bool
take_rest(struct parse *p)
{
	const json_t *ttl = json_object_get(p->body, "ttl_ms");
	struct str note = get(p, "note");

	p->wish->ttl_ms = TOKEN_WISH_TTL_MS;
	if (ttl != NULL)
		p->wish->ttl_ms = json_is_integer(ttl) && json_integer_value(ttl) > 0
					  ? (uint64_t)json_integer_value(ttl)
					  : 0;
	if (p->wish->ttl_ms < 1000 || p->wish->ttl_ms > TOKEN_WISH_TTL_MAX_MS)
		return refuse(p, "ttl: 1s to 366d is expected");
	if (is_given(p, "note") && !is_line(note, TOKEN_NOTE_MAX - 1))
		return refuse(p, "note: a line of 1 to 199 bytes is expected");
	p->wish->note = note;
	return true;
}

/* A wish that is not understood must not be passed over: it may be a restriction. */
static bool
check_keys(struct parse *p)
{
	static const char *const known[] = {"user", "service", "team", "envs", "ttl_ms", "note"};
	size_t count = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		count += is_given(p, known[i]);
	if (count != json_object_size(p->body))
		return refuse(p, "user or service, team, envs, ttl_ms and note are expected, and"
				 " nothing else");
	return true;
}

int
token_wish_parse(const json_t *body, const struct conf *conf, struct arena *arena,
		 struct token_wish *ret, const char **ret_words)
{
	struct parse p = {.body = body, .conf = conf, .arena = arena, .wish = ret};

	*ret = (struct token_wish){0};
	if (check_keys(&p) && take_owner(&p) && take_team(&p) && take_envs(&p) && take_rest(&p))
		return 0;
	*ret_words = p.words;
	return E_SYNTAX;
}
