/*
 * Questions about clusters. Any process.
 */
#include "lib/names.h"
#include "policy/clusters.h"

bool
clusters_serves(const struct registry_cluster *c, struct str team)
{
	if (!c->shared)
		return str_eq(c->team, team);
	for (unsigned i = 0; i < c->teams_count; i++)
		if (names_same(c->teams[i], team))
			return true;
	return false;
}

bool
clusters_host_matches(struct str pattern, struct str host)
{
	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	if (!str_starts(pattern, STR("*.")))
		return host.n > 0 && str_eq_nocase(pattern, host);
	struct str tail = {pattern.p + 1, pattern.n - 1}; /* ".example.com" */
	if (host.n <= tail.n)
		return false;
	struct str end = {host.p + host.n - tail.n, tail.n};
	struct str label = {host.p, host.n - tail.n};
	return str_eq_nocase(end, tail) && memchr(label.p, '.', label.n) == NULL;
}

struct registry_cluster *
clusters_by_host(const struct registry *r, struct str host)
{
	struct registry_cluster *wild = NULL;

	for (unsigned i = 0; host.n > 0 && i < r->clusters_count; i++)
		for (unsigned k = 0; k < r->clusters[i].hosts_count; k++) {
			struct str pattern = r->clusters[i].hosts[k];

			if (!clusters_host_matches(pattern, host))
				continue;
			if (pattern.p[0] != '*')
				return &r->clusters[i];
			if (wild == NULL)
				wild = &r->clusters[i];
		}
	return wild;
}
