/*
 * Identities for `explain`, in the controller: a user id and the configuration in, an identity and
 * the reasons for it out.
 */
#include "controller/suppose.h"

#include <stdarg.h>
#include "conf/pattern.h"
#include "controller/token_page.h"

#define GROUPS_MAX 256
#define TOKENS_MAX 20 /* of the user, that are looked at */

struct suppose {
	const struct conf *conf;
	const struct view *view;
	struct arena *arena;
	struct identity *who;
	json_t *lines;
};

__attribute__((format(printf, 2, 3))) static void
say(struct suppose *s, const char *fmt, ...)
{
	va_list ap;
	char *words;

	va_start(ap, fmt);
	words = arena_vprintf(s->arena, fmt, ap);
	va_end(ap);
	if (words != NULL)
		json_array_append_new(s->lines, view_text(str_from(words)));
}

static const char *
join(struct suppose *s, const struct str *list, unsigned count)
{
	const char *words = "";

	for (unsigned i = 0; words != NULL && i < count; i++)
		words = arena_printf(s->arena, "%s%s%.*s", words, i > 0 ? ", " : "",
				     STR_ARG(list[i]));
	return words != NULL && count > 0 ? words : "none";
}

static const char *
type_name(enum conf_provider_type type)
{
	static const char *const names[] = {
		[PROVIDER_STATIC] = "static",
		[PROVIDER_OIDC] = "oidc",
		[PROVIDER_PAT] = "pat",
		[PROVIDER_SERVICE] = "service",
		[PROVIDER_CERTIFICATE] = "certificate",
	};

	return names[type];
}

/* ---- the four ways ---- */

static bool
as_stated(struct suppose *s, struct str groups)
{
	struct str *list;

	if (groups.p == NULL)
		return false;
	list = arena_array(s->arena, GROUPS_MAX, sizeof(*list));
	while (list != NULL && groups.p != NULL && s->who->groups_count < GROUPS_MAX) {
		struct str group = str_trim(str_cut(groups, ',', &groups));

		if (group.n > 0)
			list[s->who->groups_count++] = group;
	}
	s->who->groups = list;
	say(s, "groups: %s; as stated in the question",
	    list != NULL ? join(s, list, s->who->groups_count) : "none");
	return true;
}

static bool
by_file(struct suppose *s, const struct conf_provider *p)
{
	for (unsigned i = 0; i < p->tokens_count; i++) {
		const struct conf_token *t = &p->tokens[i];

		if (!str_eq(t->user, s->who->user))
			continue;
		s->who->groups = t->groups;
		s->who->groups_count = t->groups_count;
		s->who->provider = p->name;
		say(s, "provider %.*s (static): lists the user with the groups %s",
		    STR_ARG(p->name), join(s, t->groups, t->groups_count));
		return true;
	}
	return false;
}

/* Of people's providers: their subjects need not be their user ids, but mostly are. */
static bool
by_subject(struct suppose *s, const struct conf_provider *p)
{
	for (unsigned i = 0; i < p->subjects_count; i++) {
		const struct conf_subject *rule = &p->subjects[i];

		if (!pattern_matches(rule->match, s->who->user))
			continue;
		say(s,
		    "provider %.*s (%s): the subject matches \"%.*s\", which stands for %s%.*s;"
		    " envs: %s",
		    STR_ARG(p->name), type_name(p->type), STR_ARG(rule->match),
		    rule->team.n > 0 ? "team " : "the teams of its groups", STR_ARG(rule->team),
		    rule->envs_count > 0 ? join(s, rule->envs, rule->envs_count) : "as the team's");
		if (rule->user.n > 0)
			s->who->user = rule->user;
		s->who->team = rule->team;
		s->who->envs = rule->envs;
		s->who->envs_count = rule->envs_count;
		s->who->provider = p->name;
		return true;
	}
	return false;
}

static void
take_token(struct suppose *s, const json_t *row)
{
	const json_t *envs = json_object_get(row, "envs");
	size_t count = json_array_size(envs);
	struct str *list = arena_array(s->arena, count + 1, sizeof(*list));

	s->who->token_id =
		arena_str(s->arena, str_from(json_string_value(json_object_get(row, "id"))));
	s->who->team =
		arena_str(s->arena, str_from(json_string_value(json_object_get(row, "team"))));
	for (size_t i = 0; list != NULL && i < count; i++)
		list[i] = arena_str(s->arena, str_from(json_string_value(json_array_get(envs, i))));
	s->who->envs = list;
	s->who->envs_count = list != NULL ? (unsigned)count : 0;
	say(s, "token %.*s (%s), given out by this gateway: team %.*s, envs: %s",
	    STR_ARG(s->who->token_id), json_string_value(json_object_get(row, "type")),
	    STR_ARG(s->who->team),
	    count > 0 && list != NULL ? join(s, list, (unsigned)count) : "as the team's");
}

static bool
by_token(struct suppose *s)
{
	const struct token_query q = {.user = s->who->user, .limit = TOKENS_MAX};
	const json_t *rows;
	json_t *page = NULL;
	size_t count;

	if (token_page(s->view, &q, &page) != 0)
		return false;
	rows = json_object_get(page, "rows");
	count = json_array_size(rows);
	if (count > 0)
		take_token(s, json_array_get(rows, 0));
	if (count > 1)
		say(s, "the user has %zu tokens or more; this is one of them", count);
	json_decref(page);
	return count > 0;
}

/* ---- all of them ---- */

static bool
by_provider(struct suppose *s)
{
	for (unsigned i = 0; i < s->conf->providers_count; i++)
		if (by_file(s, &s->conf->providers[i]) || by_subject(s, &s->conf->providers[i]))
			return true;
	return false;
}

static void
tell_providers(struct suppose *s)
{
	if (!s->conf->auth_required)
		say(s, "auth.required is false: without a token one is whom the request names");
	for (unsigned i = 0; i < s->conf->providers_count; i++) {
		const struct conf_provider *p = &s->conf->providers[i];

		if (p->type == PROVIDER_OIDC)
			say(s,
			    "provider %.*s (oidc): takes the user from the claim \"%.*s\", groups"
			    " from \"%.*s\"%s",
			    STR_ARG(p->name), STR_ARG(p->claim_user), STR_ARG(p->claim_groups),
			    p->subjects_count > 0 ? ", and only subjects that are listed" : "");
	}
}

int
suppose_identity(const struct conf *conf, const struct view *view, struct str user,
		 struct str groups, struct arena *arena, struct identity *ret, json_t *lines)
{
	struct suppose s = {conf, view, arena, ret, lines};

	*ret = (struct identity){.refs = 1, .verified = true, .user = user};
	if (!as_stated(&s, groups) && !by_provider(&s) && !by_token(&s)) {
		tell_providers(&s);
		say(&s, "nothing here tells the user's groups: state them with --groups");
	}
	return arena_failed(arena) ? E_NOMEM : 0;
}
