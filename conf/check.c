/*
 * The checks over the filled structs. A value that was refused before is absent here and is not
 * complained about again.
 */
#include <regex.h>
#include "conf/aliases.h"
#include "conf/check.h"
#include "conf/export.h"
#include "conf/names.h"
#include "conf/providers.h"

/* Of more certificates on one listener: no file is there twice. */
static void
check_more(struct loading *l, const struct conf_tls *tls)
{
	static const char key[] = "listeners[].tls.more[].certificate";
	struct names names = names_new(l, tls->more_count);

	for (unsigned i = 0; i < tls->more_count; i++) {
		const struct conf_certificate *more = &tls->more[i];

		if (more->certificate.p != NULL && str_eq(more->certificate, tls->certificate))
			loading_fail(l, more, key, -1, "is the listener's first one as well");
		names_add(&names, more->certificate, more, -1);
	}
	names_refuse_twins(l, &names, key);
}

static void
check_listeners(struct loading *l)
{
	static const char key[] = "listeners[].address";
	struct names names = names_new(l, l->conf->listeners_count);
	char text[SOCK_ADDR_TEXT];

	if (l->conf->listeners_count == 0)
		loading_fail(l, l->conf, "listeners", -1, "needs at least one listener");
	for (unsigned i = 0; i < l->conf->listeners_count; i++) {
		const struct conf_listener *li = &l->conf->listeners[i];

		check_more(l, &li->tls);
		if (li->address.family == 0)
			continue;
		sock_addr_text(&li->address, text, sizeof(text));
		names_add(&names, arena_str(l->conf->arena, str_from(text)), li, -1);
		if (!li->has_tls && !li->insecure && !sock_addr_is_loopback(&li->address))
			loading_fail(
				l, li, key, -1,
				"clear text on an address that is not loopback: give it tls, or "
				"say insecure: true");
		if (l->conf->has_admin && sock_addr_eq(&li->address, &l->conf->admin))
			loading_fail(l, li, key, -1, "is the address of admin as well");
	}
	names_refuse_twins(l, &names, key);
}

static void
check_admin(struct loading *l)
{
	const struct conf *c = l->conf;

	if (c->has_admin && c->admin.family != 0 && !sock_addr_is_loopback(&c->admin))
		loading_fail(l, c, "admin.address", -1,
			     "must be loopback (127.0.0.1 or [::1]): anybody who reaches it may "
			     "read it");
}

static void
check_teams(struct loading *l)
{
	struct names names = names_new(l, l->conf->teams_count);

	for (unsigned i = 0; i < l->conf->teams_count; i++)
		names_add(&names, l->conf->teams[i].name, &l->conf->teams[i], -1);
	names_refuse_twins(l, &names, "teams[].name");
}

static void
check_owner(struct loading *l, const struct conf_cluster *cl)
{
	bool has_team = cl->team.p != NULL || loading_line(l, cl, "clusters[].team", -1) > 0;

	if (!has_team && !cl->shared)
		loading_fail(l, cl, "clusters[].team", -1,
			     "is missing: name the owner, or say shared: true and list teams");
	if (has_team && cl->shared)
		loading_fail(
			l, cl, "clusters[].team", -1,
			"a shared cluster has no owner; list those who may use it under teams");
	if (cl->shared && cl->teams_count == 0)
		loading_fail(l, cl, "clusters[].teams", -1,
			     "is missing: a shared cluster lists the teams that may use it");
	if (!cl->shared && cl->teams_count > 0)
		loading_fail(l, cl, "clusters[].teams", -1,
			     "only for a shared cluster: say team, or shared: true");
	names_check_team(l, cl->team, cl, "clusters[].team", -1);
	for (unsigned i = 0; i < cl->teams_count; i++)
		names_check_team(l, cl->teams[i], cl, "clusters[].teams", (int)i);
}

static void
check_drivers(struct loading *l, const struct conf_cluster *cl)
{
	struct names names = names_new(l, cl->drivers_count);

	if (cl->drivers_count == 0)
		loading_fail(l, cl, "clusters[].drivers", -1, "needs at least one driver");
	for (unsigned i = 0; i < cl->drivers_count; i++) {
		struct conf_driver *d = &cl->drivers[i];

		if (d->name.p == NULL)
			d->name = d->address;
		names_add(&names, d->name, d, -1);
	}
	names_refuse_twins(l, &names, "clusters[].drivers[].name");
}

static void
check_driver_tls(struct loading *l, const struct conf_driver_tls *tls)
{
	if (tls->certificate.p != NULL && tls->key.p == NULL)
		loading_fail(l, tls, "clusters[].tls.certificate", -1, "needs its key beside it");
	if (tls->key.p != NULL && tls->certificate.p == NULL)
		loading_fail(l, tls, "clusters[].tls.key", -1, "needs its certificate beside it");
}

static void
check_clusters(struct loading *l)
{
	const struct conf *c = l->conf;
	struct names names = names_new(l, c->clusters_count);
	unsigned drivers = 0;

	for (unsigned i = 0; i < c->clusters_count; i++) {
		const struct conf_cluster *cl = &c->clusters[i];

		names_add(&names, cl->name, cl, -1);
		drivers += cl->drivers_count;
		check_owner(l, cl);
		check_drivers(l, cl);
		if (cl->has_tls)
			check_driver_tls(l, &cl->tls);
	}
	names_refuse_twins(l, &names, "clusters[].name");
	if (drivers > CHECK_DRIVERS_MAX)
		loading_fail(l, c, "clusters", -1,
			     "%u drivers in all clusters, at most %u are possible", drivers,
			     CHECK_DRIVERS_MAX);
}

static void
check_hosts(struct loading *l)
{
	const struct conf *c = l->conf;
	struct names names;
	size_t count = 0;

	for (unsigned i = 0; i < c->clusters_count; i++)
		count += c->clusters[i].hosts_count;
	names = names_new(l, count);
	for (unsigned i = 0; i < c->clusters_count; i++)
		for (unsigned k = 0; k < c->clusters[i].hosts_count; k++)
			names_add(&names, c->clusters[i].hosts[k], &c->clusters[i], (int)k);
	names_refuse_twins(l, &names, "clusters[].hosts");
}

static bool
stands_in(const struct conf_names *list, struct str name)
{
	for (unsigned i = 0; name.p != NULL && i < list->count; i++)
		if (str_eq(list->names[i], name))
			return true;
	return false;
}

/* Those of `other`, the list of `other_path`, must not stand here. */
static void
check_rollout_list(struct loading *l, const struct conf_names *list, const char *path,
		   const struct conf_names *other, const char *other_path)
{
	struct names names = names_new(l, list->count);

	for (unsigned i = 0; i < list->count; i++) {
		names_add(&names, list->names[i], l->conf, (int)i);
		if (stands_in(other, list->names[i]))
			loading_fail(l, l->conf, path, (int)i, "'%.*s' stands in %s as well",
				     STR_ARG(list->names[i]), other_path);
	}
	names_refuse_twins(l, &names, path);
}

static void
check_rollout(struct loading *l)
{
	static const char deny_teams[] = "rollout.deny_teams", deny_users[] = "rollout.deny_users";
	static const char allow_teams[] = "rollout.allow_teams";
	const struct conf *c = l->conf;
	const struct conf_names *deny = &c->rollout_deny_teams, *allow = &c->rollout_allow_teams;
	const struct conf_names none = {0};

	check_rollout_list(l, deny, deny_teams, &none, "");
	check_rollout_list(l, &c->rollout_deny_users, deny_users, &none, "");
	check_rollout_list(l, allow, allow_teams, deny, deny_teams);
	check_rollout_list(l, &c->rollout_allow_users, "rollout.allow_users",
			   &c->rollout_deny_users, deny_users);
	for (unsigned i = 0; i < deny->count; i++)
		names_check_team(l, deny->names[i], c, deny_teams, (int)i);
	for (unsigned i = 0; i < allow->count; i++)
		names_check_team(l, allow->names[i], c, allow_teams, (int)i);
}

/* A back reference can take as long as it likes. */
static const char *
why_no_regex(const char *text)
{
	static char words[128];
	regex_t regex;
	int code = regcomp(&regex, text, REG_EXTENDED);

	if (code != 0) {
		regerror(code, &regex, words, sizeof(words));
		return words;
	}
	regfree(&regex);
	for (const char *c = text; *c != '\0' && c[1] != '\0'; c += *c == '\\' ? 2 : 1)
		if (*c == '\\' && c[1] >= '1' && c[1] <= '9')
			return "back references are not supported";
	return NULL;
}

static void
check_audit(struct loading *l)
{
	const struct conf_audit *a = &l->conf->audit;

	for (unsigned i = 0; i < a->redact_count; i++) {
		const char *why = why_no_regex(a->redact[i].p);

		if (why != NULL)
			loading_fail(l, l->conf, "audit.redact", (int)i,
				     "'%.*s' is no regular expression: %s", STR_ARG(a->redact[i]),
				     why);
	}
}

void
check_all(struct loading *l)
{
	check_listeners(l);
	check_admin(l);
	providers_check(l);
	check_teams(l);
	check_clusters(l);
	check_hosts(l);
	aliases_check(l);
	check_rollout(l);
	check_audit(l);
	export_check(l);
}
