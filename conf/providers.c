/*
 * The checks of auth.providers. Which key belongs to which type is a matter of the schema; here is
 * what one key asks of another.
 */
#include "conf/names.h"
#include "conf/pattern.h"
#include "conf/providers.h"
#include "conf/url.h"

#define P "auth.providers[]."

/* Written down, even if its value was refused. */
static bool
stands(const struct loading *l, const struct conf_provider *p, const char *path)
{
	return loading_line(l, p, path, -1) > 0;
}

static bool
is_signed(const struct conf_provider *p)
{
	return p->type == PROVIDER_OIDC || p->type == PROVIDER_SERVICE;
}

static void
check_unique(struct loading *l)
{
	const struct conf *c = l->conf;
	struct names names = names_new(l, c->providers_count);
	struct names issuers = names_new(l, c->providers_count);

	for (unsigned i = 0; i < c->providers_count; i++) {
		names_add(&names, c->providers[i].name, &c->providers[i], -1);
		names_add(&issuers, c->providers[i].issuer, &c->providers[i], -1);
	}
	names_refuse_twins(l, &names, P "name");
	names_refuse_twins(l, &issuers, P "issuer");
}

static void
check_only_one(struct loading *l, enum conf_provider_type type, const char *word)
{
	const struct conf *c = l->conf;
	const struct conf_provider *first = NULL;

	for (unsigned i = 0; i < c->providers_count; i++) {
		const struct conf_provider *p = &c->providers[i];

		if (p->type != type)
			continue;
		if (first != NULL)
			loading_fail(l, p, P "type", -1,
				     "only one provider can be of type %s (first at line %u)", word,
				     loading_line(l, first, P "type", -1));
		else
			first = p;
	}
}

/* ---- issuers ---- */

/* Where keys are found by the issuer's own description, the issuer is what is fetched from. */
static void
check_issuer(struct loading *l, const struct conf_provider *p, bool found_by_issuer)
{
	struct str issuer = p->issuer;
	const char *wrong;

	if (issuer.p == NULL)
		return;
	if (!url_is_url(issuer) && found_by_issuer) {
		loading_fail(l, p, P "issuer", -1,
			     "is no URL to find the keys by; say jwks_url or jwks_file");
		return;
	}
	wrong = url_is_url(issuer) ? url_wrong(issuer) : NULL;
	if (wrong != NULL)
		loading_fail(l, p, P "issuer", -1, "%s", wrong);
	else if (found_by_issuer && url_has_query(issuer))
		loading_fail(l, p, P "issuer", -1,
			     "has a query, so that the keys cannot be found by it; say jwks_url or "
			     "jwks_file");
}

static void
check_audience(struct loading *l, struct conf_provider *p)
{
	static const char key[] = P "audience";

	if (p->audience_count > 0)
		return;
	if (stands(l, p, key)) {
		loading_fail(l, p, key, -1, "needs at least one");
	} else if (p->type == PROVIDER_OIDC) {
		loading_fail(l, p, key, -1,
			     "is missing, and type oidc needs it: without it a token that was made "
			     "for somebody else would do");
	} else {
		p->audience = arena_array(l->conf->arena, 1, sizeof(*p->audience));
		if (p->audience == NULL)
			return;
		p->audience[0] = STR("sparkgw");
		p->audience_count = 1;
	}
}

static void
check_oidc(struct loading *l, const struct conf_provider *p)
{
	bool has_url = stands(l, p, P "jwks_url"), has_file = stands(l, p, P "jwks_file");

	check_issuer(l, p, !has_url && !has_file);
	if (has_url && has_file)
		loading_fail(l, p, P "jwks_file", -1,
			     "stands beside jwks_url; only one of them can count");
	if (has_file && stands(l, p, P "ca"))
		loading_fail(l, p, P "ca", -1,
			     "has no use beside jwks_file: nothing is fetched then");
}

/* ---- subjects ---- */

static const struct conf_team *
find_team(const struct conf *c, struct str name)
{
	for (unsigned i = 0; i < c->teams_count; i++)
		if (str_eq(c->teams[i].name, name))
			return &c->teams[i];
	return NULL;
}

static bool
listed(struct str name, const struct str *list, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (str_eq(list[i], name))
			return true;
	return false;
}

static void
check_subject_envs(struct loading *l, const struct conf_subject *s)
{
	const struct conf_team *team = find_team(l->conf, s->team);

	for (unsigned i = 0; team != NULL && team->envs_count > 0 && i < s->envs_count; i++)
		if (s->envs[i].p != NULL && !listed(s->envs[i], team->envs, team->envs_count))
			loading_fail(l, s, P "subjects[].envs", (int)i,
				     "'%.*s' is not listed under envs of team '%.*s'",
				     STR_ARG(s->envs[i]), STR_ARG(team->name));
}

static bool
has_twin_stars(struct str match)
{
	return memmem(match.p, match.n, "**", 2) != NULL;
}

/* What matches a pattern's own text, stars as any byte, matches all that the pattern matches. */
static const struct conf_subject *
find_wider(const struct conf_provider *p, unsigned before)
{
	struct str match = p->subjects[before].match;

	for (unsigned i = 0; i < before; i++) {
		struct str wider = p->subjects[i].match;

		if (wider.p != NULL && pattern_matches(wider, match) && !has_twin_stars(wider))
			return &p->subjects[i];
	}
	return NULL;
}

static void
check_match(struct loading *l, const struct conf_provider *p, unsigned i)
{
	static const char key[] = P "subjects[].match";
	const struct conf_subject *s = &p->subjects[i], *wider;

	if (s->match.p == NULL)
		return;
	if (has_twin_stars(s->match)) {
		loading_fail(l, s, key, -1, "one * is enough for any run of characters");
		return;
	}
	wider = find_wider(p, i);
	if (wider != NULL)
		loading_fail(l, s, key, -1,
			     "is never reached: '%.*s' comes first (line %u) and matches all of it",
			     STR_ARG(wider->match), loading_line(l, wider, key, -1));
}

static void
check_subjects(struct loading *l, const struct conf_provider *p)
{
	if (p->subjects_count == 0 && stands(l, p, P "subjects"))
		loading_fail(
			l, p, P "subjects", -1,
			"lists nobody: name who is let in, or leave the key out to let in all that "
			"it vouches for");
	for (unsigned i = 0; i < p->subjects_count; i++) {
		const struct conf_subject *s = &p->subjects[i];

		check_match(l, p, i);
		names_check_team(l, s->team, s, P "subjects[].team", -1);
		check_subject_envs(l, s);
	}
}

/* ---- all ---- */

static void
check_certificate(struct loading *l, const struct conf_provider *p)
{
	const struct conf *c = l->conf;

	for (unsigned i = 0; i < c->listeners_count; i++)
		if (c->listeners[i].tls.client_ca.p != NULL)
			return;
	loading_fail(l, p, P "type", -1,
		     "needs a listener whose tls has client_ca: no client shows a certificate "
		     "otherwise");
}

/* False: there are so many that they are not even looked at. */
static bool
check_count(struct loading *l)
{
	const struct conf *c = l->conf;
	unsigned subjects = 0;

	for (unsigned i = 0; i < c->providers_count; i++)
		subjects += c->providers[i].subjects_count;
	if (c->auth_required && c->providers_count == 0)
		loading_fail(
			l, c, "auth.providers", -1,
			"needs at least one provider because auth.required is true; without any, "
			"say auth.required: false");
	if (c->providers_count > PROVIDERS_MAX)
		loading_fail(l, c, "auth.providers", -1, "%u providers, at most %u are possible",
			     c->providers_count, PROVIDERS_MAX);
	if (subjects > PROVIDERS_SUBJECTS_MAX)
		loading_fail(l, c, "auth.providers", -1,
			     "%u subjects in all providers, at most %u are possible", subjects,
			     PROVIDERS_SUBJECTS_MAX);
	return c->providers_count <= PROVIDERS_MAX && subjects <= PROVIDERS_SUBJECTS_MAX;
}

void
providers_check(struct loading *l)
{
	if (!check_count(l))
		return;
	check_unique(l);
	check_only_one(l, PROVIDER_PAT, "pat");
	check_only_one(l, PROVIDER_SERVICE, "service");
	for (unsigned i = 0; i < l->conf->providers_count; i++) {
		struct conf_provider *p = &l->conf->providers[i];

		if (is_signed(p))
			check_audience(l, p);
		if (p->type == PROVIDER_OIDC)
			check_oidc(l, p);
		if (p->type == PROVIDER_CERTIFICATE)
			check_certificate(l, p);
		check_subjects(l, p);
	}
}
