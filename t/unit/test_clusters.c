/*
 * Clusters by host name.
 */
#include <criterion/criterion.h>
#include "policy/clusters.h"
#include "t/unit/world.h"

TestSuite(clusters, .init = world_build, .fini = world_drop);

static const struct host_row {
	const char *pattern, *host;
	bool wanted;
} host_table[] = {
	{"fe.example.com", "fe.example.com", true},
	{"fe.example.com", "FE.Example.Com", true},
	{"fe.example.com", "fe.example.com.", true},
	{"fe.example.com", "fe.example.com..", false},
	{"fe.example.com", "xfe.example.com", false},
	{"fe.example.com", "fe.example.comx", false},
	{"fe.example.com", "", false},
	{"fe.example.com", ".", false},
	{"fe.example.com", "*.example.com", false},
	{"*.example.com", "a.example.com", true},
	{"*.example.com", "A.EXAMPLE.COM.", true},
	{"*.example.com", "a.b.example.com", false},
	{"*.example.com", "example.com", false},
	{"*.example.com", ".example.com", false},
	{"*.example.com", "aexample.com", false},
	{"*.example.com", "a.example.org", false},
	{"*.example.com", "", false},
	{"*.example.com", "*.example.com", true}, /* no client's name, and no harm */
	{"", "", false},
	{"", ".", false},
};

Test(clusters, host_patterns)
{
	for (size_t i = 0; i < WORLD_COUNT(host_table); i++)
		cr_expect_eq(clusters_host_matches(str_from(host_table[i].pattern),
						   str_from(host_table[i].host)),
			     host_table[i].wanted, "\"%s\" and \"%s\"", host_table[i].pattern,
			     host_table[i].host);
}

static const struct by_host_row {
	const char *host;
	int wanted; /* cluster, or -1 */
} by_host_table[] = {
	{"fe.example.com", C_FE_PROD},
	{"x.dev.example.com", C_FE_DEV},
	{"ml.dev.example.com", C_ML_DEV}, /* listed after the star that it fits, too */
	{"Ml.Dev.Example.Com.", C_ML_DEV},
	{"x.y.dev.example.com", -1},
	{"dev.example.com", -1},
	{"shared.example.com", C_SHARED},
	{"solo.example.com", C_SOLO},
	{"10.0.0.1", -1},
	{"", -1},
	{NULL, -1},
};

Test(clusters, by_host)
{
	for (size_t i = 0; i < WORLD_COUNT(by_host_table); i++) {
		const struct by_host_row *r = &by_host_table[i];
		const struct registry_cluster *c =
			clusters_by_host(&world.registry, str_from(r->host));

		cr_expect_eq(c, r->wanted >= 0 ? &world.clusters[r->wanted] : NULL, "%s", r->host);
	}
}

Test(clusters, whom_they_serve)
{
	cr_expect(clusters_serves(&world.clusters[C_FE_PROD], STR("fe")));
	cr_expect_not(clusters_serves(&world.clusters[C_FE_PROD], STR("ml")));
	cr_expect(clusters_serves(&world.clusters[C_SHARED], STR("fe")));
	cr_expect(clusters_serves(&world.clusters[C_SHARED], STR("ml")));
	cr_expect_not(clusters_serves(&world.clusters[C_SHARED], STR("data")));
	cr_expect_not(clusters_serves(&world.clusters[C_SHARED], STR_NONE));
	/* the teams of one that is not shared, and the owner of one that is, count for nothing */
	world.clusters[C_SHARED].shared = false;
	cr_expect_not(clusters_serves(&world.clusters[C_SHARED], STR("fe")));
	world.clusters[C_FE_PROD].shared = true;
	cr_expect_not(clusters_serves(&world.clusters[C_FE_PROD], STR("fe")));
}
