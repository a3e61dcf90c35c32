/*
 * The checks over the filled structs. A value that was refused before is absent here and is not
 * complained about again.
 */
#include <stdlib.h>
#include "conf/check.h"

/* A name and where it stands; lists of them are sorted to find what is there twice. */
struct named {
	struct str name;
	const void *base;
	int index;
	unsigned order;
};

struct names {
	struct named *list;
	unsigned count;
};

static struct names
names_new(struct loading *l, size_t max)
{
	return (struct names){arena_array(l->conf->arena, max, sizeof(struct named)), 0};
}

static void
add(struct names *names, struct str name, const void *base, int index)
{
	if (names->list == NULL || name.p == NULL)
		return;
	names->list[names->count] = (struct named){name, base, index, names->count};
	names->count++;
}

static int
compare(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order;

	if (x->name.n != y->name.n)
		return x->name.n < y->name.n ? -1 : 1;
	order = memcmp(x->name.p, y->name.p, x->name.n);
	return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

static void
refuse_twins(struct loading *l, struct names *names, const char *path)
{
	const struct named *first;

	if (names->count < 2)
		return;
	qsort(names->list, names->count, sizeof(*names->list), compare);
	first = &names->list[0];
	for (unsigned i = 1; i < names->count; i++) {
		const struct named *n = &names->list[i];

		if (!str_eq(first->name, n->name))
			first = n;
		else
			loading_fail(l, n->base, path, n->index,
				     "'%.*s' is used twice (first at line %u)", STR_ARG(n->name),
				     loading_line(l, first->base, path, first->index));
	}
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

		if (li->address.family == 0)
			continue;
		sock_addr_text(&li->address, text, sizeof(text));
		add(&names, arena_str(l->conf->arena, str_from(text)), li, -1);
		if (!li->has_tls && !li->insecure && !sock_addr_is_loopback(&li->address))
			loading_fail(
				l, li, key, -1,
				"clear text on an address that is not loopback: give it tls, or "
				"say insecure: true");
		if (l->conf->has_admin && sock_addr_eq(&li->address, &l->conf->admin))
			loading_fail(l, li, key, -1, "is the address of admin as well");
	}
	refuse_twins(l, &names, key);
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
check_auth(struct loading *l)
{
	const struct conf *c = l->conf;
	struct names names = names_new(l, c->providers_count);

	if (c->auth_required && c->providers_count == 0)
		loading_fail(
			l, c, "auth.providers", -1,
			"needs at least one provider because auth.required is true; without any, "
			"say auth.required: false");
	for (unsigned i = 0; i < c->providers_count; i++)
		add(&names, c->providers[i].name, &c->providers[i], -1);
	refuse_twins(l, &names, "auth.providers[].name");
}

static void
check_teams(struct loading *l)
{
	struct names names = names_new(l, l->conf->teams_count);

	for (unsigned i = 0; i < l->conf->teams_count; i++)
		add(&names, l->conf->teams[i].name, &l->conf->teams[i], -1);
	refuse_twins(l, &names, "teams[].name");
}

static bool
is_team(const struct conf *c, struct str name)
{
	for (unsigned i = 0; i < c->teams_count; i++)
		if (str_eq(c->teams[i].name, name))
			return true;
	return false;
}

static void
check_team(struct loading *l, const struct conf_cluster *cl, struct str team, const char *path,
	   int index)
{
	if (team.p != NULL && l->conf->teams_count > 0 && !is_team(l->conf, team))
		loading_fail(l, cl, path, index, "'%.*s' is not listed under teams", STR_ARG(team));
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
	check_team(l, cl, cl->team, "clusters[].team", -1);
	for (unsigned i = 0; i < cl->teams_count; i++)
		check_team(l, cl, cl->teams[i], "clusters[].teams", (int)i);
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
		add(&names, d->name, d, -1);
	}
	refuse_twins(l, &names, "clusters[].drivers[].name");
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

		add(&names, cl->name, cl, -1);
		drivers += cl->drivers_count;
		check_owner(l, cl);
		check_drivers(l, cl);
		if (cl->has_tls)
			check_driver_tls(l, &cl->tls);
	}
	refuse_twins(l, &names, "clusters[].name");
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
			add(&names, c->clusters[i].hosts[k], &c->clusters[i], (int)k);
	refuse_twins(l, &names, "clusters[].hosts");
}

void
check_all(struct loading *l)
{
	check_listeners(l);
	check_admin(l);
	check_auth(l);
	check_teams(l);
	check_clusters(l);
	check_hosts(l);
}
