/*
 * Who may go where, as a matrix: every kind of identity against every kind of request. Then the
 * same questions and many more, asked of rules that hold for every answer.
 */
#include <criterion/criterion.h>
#include <string.h>
#include "policy/still.h"
#include "t/unit/world.h"

TestSuite(matrix, .init = world_build, .fini = world_drop);

struct request {
	const char *team, *env, *config_team, *config_env, *host, *sni;
};

static const struct request requests[] = {
	/*  0 */ {0},
	/*  1 */ {.team = "fe"},
	/*  2 */ {.team = "fe", .env = "dev"},
	/*  3 */ {.team = "fe", .env = "qa"},	   /* the team's, but without a cluster */
	/*  4 */ {.team = "fe", .env = "staging"}, /* not the team's */
	/*  5 */ {.team = "features", .env = "production"},
	/*  6 */ {.team = "ml"},
	/*  7 */ {.team = "machine-learning", .env = "dev"},
	/*  8 */ {.team = "audit"}, /* without a cluster */
	/*  9 */ {.team = "data"},
	/* 10 */ {.team = "nope"},
	/* 11 */ {.env = "dev"},
	/* 12 */ {.host = "fe.example.com"},
	/* 13 */ {.host = "a.dev.example.com"},
	/* 14 */ {.host = "ml.dev.example.com"},
	/* 15 */ {.host = "shared.example.com"},
	/* 16 */ {.host = "shared.example.com", .team = "ml"},
	/* 17 */ {.host = "solo.example.com"},
	/* 18 */ {.sni = "fe.example.com"},
	/* 19 */ {.sni = "fe.example.com", .host = "a.dev.example.com"},
	/* 20 */ {.sni = "FE.example.com", .host = "fe.example.com"},
	/* 21 */ {.sni = "fe.example.com", .host = "gateway.example.com"},
	/* 22 */ {.host = "fe.example.com", .team = "ml"},
	/* 23 */ {.config_team = "fe", .config_env = "dev"},
	/* 24 */ {.team = "fe", .config_team = "features"},
	/* 25 */ {.team = "fe", .config_team = "ml"},
};

enum who {
	NOBODY,
	FE,
	MLER,
	BOTH,
	AUDITOR,
	STRANGER,
	TO_FE,
	TO_ML,
	TO_DATA,
	TO_NOWHERE,
	TO_FE_DEV,
	TO_FE_DEV_PROD,
	FE_IN_PROD,
	TO_ALIAS,
	WHOS
};

static struct str of_fe[] = {STR("other"), STR("eng-all")};
static struct str of_ml[] = {STR("ml")};
static struct str of_both[] = {STR("ml"), STR("eng-features")};
static struct str of_audit[] = {STR("auditors")};
static struct str of_none[] = {STR("eng"), STR("eng-all-of-them"), STR("ML")};
static struct str in_dev[] = {STR("dev")};
static struct str in_prod[] = {STR("prod")};
static struct str in_dev_prod[] = {STR("dev"), STR("prod")};

/* teams, envs: what such a one may use at most; NULL: everything */
static const struct person {
	struct identity identity;
	const char *teams, *envs;
} people[WHOS] = {
	[NOBODY] = {{.verified = false}, NULL, NULL},
	[FE] = {{.verified = true, .groups = of_fe, .groups_count = 2}, "fe", NULL},
	[MLER] = {{.verified = true, .groups = of_ml, .groups_count = 1}, "ml", NULL},
	[BOTH] = {{.verified = true, .groups = of_both, .groups_count = 2}, "fe ml", NULL},
	[AUDITOR] = {{.verified = true, .groups = of_audit, .groups_count = 1}, "audit", NULL},
	[STRANGER] = {{.verified = true, .groups = of_none, .groups_count = 3}, "", NULL},
	[TO_FE] = {{.verified = true, .team = STR("fe")}, "fe", NULL},
	/* a scope is all: groups add nothing to it */
	[TO_ML] = {{.verified = true, .team = STR("ml"), .groups = of_fe, .groups_count = 2},
		   "ml",
		   NULL},
	[TO_DATA] = {{.verified = true, .team = STR("data")}, "data", NULL},
	[TO_NOWHERE] = {{.verified = true, .team = STR("nowhere")}, "", NULL},
	[TO_FE_DEV] = {{.verified = true, .team = STR("fe"), .envs = in_dev, .envs_count = 1},
		       "fe",
		       "dev"},
	[TO_FE_DEV_PROD] =
		{{.verified = true, .team = STR("fe"), .envs = in_dev_prod, .envs_count = 2},
		 "fe",
		 "dev prod"},
	[FE_IN_PROD] = {{.verified = true,
			 .groups = of_fe,
			 .groups_count = 2,
			 .envs = in_prod,
			 .envs_count = 1},
			"fe",
			"prod"},
	[TO_ALIAS] = {{.verified = true, .team = STR("features")}, "", NULL},
};

static struct router_wish
wish_of(const struct request *r, enum who who)
{
	return (struct router_wish){.team = str_from(r->team),
				    .env = str_from(r->env),
				    .config_team = str_from(r->config_team),
				    .config_env = str_from(r->config_env),
				    .host = str_from(r->host),
				    .sni = str_from(r->sni),
				    .who = &people[who].identity};
}

/* One letter an answer: a cluster, or - PERMISSION_DENIED, * INVALID_ARGUMENT, ! UNAVAILABLE. */
static char
letter(int rc, const struct router_choice *c, const struct router_refusal *no)
{
	static const char clusters[CLUSTERS] = {'F', 'D', 'S', 'E', 'M', 'O'};

	if (rc == 0)
		return clusters[c->cluster - world.clusters];
	switch (no->code) {
	case GRPC_PERMISSION_DENIED: return '-';
	case GRPC_INVALID_ARGUMENT: return '*';
	case GRPC_UNAVAILABLE: return '!';
	default: return 'x';
	}
}

static void
expect_row(enum who who, const char *wanted)
{
	struct router_choice c;
	struct router_refusal no;

	cr_assert_eq(strlen(wanted), WORLD_COUNT(requests), "identity %d: columns", who);
	for (size_t i = 0; i < WORLD_COUNT(requests); i++) {
		struct router_wish w = wish_of(&requests[i], who);
		int rc = world_pick(&w, 1, &c, &no);
		char got = letter(rc, &c, &no);

		cr_expect_eq(got, wanted[i], "identity %d, request %zu: %c, not %c: %s", who, i,
			     got, wanted[i], rc != 0 ? no.words : "");
		arena_reset(world.arena);
	}
}

static void
expect_all(const char *const rows[WHOS])
{
	for (enum who who = 0; who < WHOS; who++)
		if (rows[who] != NULL)
			expect_row(who, rows[who]);
}

/* F fe-prod, D fe-dev, S shared, E fe-east, M ml-dev, O solo */
Test(matrix, who_may_go_where)
{
	/* clang-format off */
	static const char *const rows[WHOS] = {
		/*			0         1         2     */
		/*			01234567890123456789012345*/
		[NOBODY] =		"*FD*-FSM*O**FDM*SOF*FF*DF*",
		[FE] =			"FFD*-F----*DFD-S--F*FF*DF*",
		[MLER] =		"S-----SM--*M--MSS--*--*--*",
		[BOTH] =		"*FD*-FSM--**FDM*S-F*FF*DF*",
		[AUDITOR] =		"*-------*-**-------*--*--*",
		[STRANGER] =		"*---------**-------*--*--*",
		[TO_FE] =		"FFD*-F----*DFD-S--F*FF*DF*",
		[TO_ML] =		"S-----SM--*M--MSS--*--*--*",
		[TO_DATA] =		"O--------O**-----O-*--*--*",
		[TO_NOWHERE] =		"*---------**-------*--*--*",
		[TO_FE_DEV] =		"DDD-------*D-D-----*--*DD*",
		[TO_FE_DEV_PROD] =	"FFD--F----*DFD-S--F*FF*DF*",
		[FE_IN_PROD] =		"FF---F----*-F--S--F*FF*-F*",
		[TO_ALIAS] =		"*---------**-------*--*--*",
	};
	/* clang-format on */

	expect_all(rows);
}

static struct str to_east[] = {STR("east")};

/* Data of team fe may go to east alone; the clusters that state no region are in the gateway's. */
Test(matrix, where_data_may_go)
{
	/* clang-format off */
	static const char *const rows[WHOS] = {
		/*			01234567890123456789012345*/
		[NOBODY] =		"*E-*-ESM*O**--M*SO-*--*-E*",
		[FE] =			"EE-*-E----*--------*--*-E*",
		[MLER] =		"S-----SM--*M--MSS--*--*--*",
		[BOTH] =		"*E-*-ESM--**--M*S--*--*-E*",
		[TO_FE] =		"EE-*-E----*--------*--*-E*",
		[TO_FE_DEV] =		"----------*--------*--*--*",
	};
	/* clang-format on */

	world.teams[T_FE].regions = to_east;
	world.teams[T_FE].regions_count = 1;
	expect_all(rows);
}

static struct str fe_only[] = {STR("fe")};

/* Nobody's turn has come, but team fe is let in by name. What contradicts itself stays an error. */
Test(matrix, whose_turn_it_is)
{
	/* clang-format off */
	static const char *const rows[WHOS] = {
		/*			01234567890123456789012345*/
		[NOBODY] =		"*FD*-F----**FD-*--F*FF*DF*",
		[FE] =			"FFD*-F----*DFD-S--F*FF*DF*",
		[MLER] =		"----------*--------*--*--*",
		[BOTH] =		"*FD*-F----**FD-*--F*FF*DF*",
		[TO_DATA] =		"----------*--------*--*--*",
	};
	/* clang-format on */

	world.view.rollout = 0;
	world.conf.rollout_allow_teams = (struct conf_names){fe_only, 1};
	expect_all(rows);
}

/* ---- rules for every answer ---- */

static const char *const said_teams[] = {NULL, "fe", "features", "ml", "data", "nope"};
static const char *const said_envs[] = {NULL, "dev", "live", "staging"};
static const char *const said_hosts[] = {NULL,
					 "fe.example.com",
					 "b.dev.example.com",
					 "ml.dev.example.com.",
					 "shared.example.com",
					 "elsewhere.example.com"};
static const struct request said_configs[] = {
	{0}, {.config_team = "feature-eng"}, {.config_team = "ml", .config_env = "prod"}};

static bool
among(const char *names, struct str name)
{
	struct str rest = str_from(names);

	while (names != NULL && rest.p != NULL)
		if (str_eq(str_cut(rest, ' ', &rest), name))
			return true;
	return names == NULL;
}

static bool
serves(const struct registry_cluster *c, struct str team)
{
	bool found = !c->shared && str_eq(c->team, team);

	for (unsigned i = 0; c->shared && i < c->teams_count; i++)
		found = found || str_eq(c->teams[i], team);
	return found;
}

static void
expect_good(const struct router_choice *c, enum who who, const char *about)
{
	const struct person *p = &people[who];
	const char *words = "";

	cr_expect(serves(c->cluster, c->team), "%s: another team's cluster", about);
	cr_expect(str_eq(c->cluster->env, c->env), "%s: another env", about);
	cr_expect(among(p->teams, c->team), "%s: not a member of %.*s", about, STR_ARG(c->team));
	cr_expect(among(p->envs, c->env), "%s: env %.*s", about, STR_ARG(c->env));
	cr_expect(!str_eq(c->team, STR("fe")) || among("dev prod qa", c->env), "%s: env", about);
	cr_expect(c->driver >= c->cluster->drivers &&
			  c->driver < c->cluster->drivers + c->cluster->drivers_count,
		  "%s: the driver of another cluster", about);
	cr_expect_eq(
		still_allowed(&world.conf, &p->identity, c->team, c->cluster, world.arena, &words),
		0, "%s: placed, but may not stay: %s", about, words);
}

static void
expect_sane(const struct request *r, enum who who)
{
	struct router_trace trace = {.arena = world.arena};
	struct router_wish w = wish_of(r, who);
	struct router_choice c, again;
	struct router_refusal no, no_again;
	char about[200];
	int rc = world_pick(&w, 1, &c, &no);

	snprintf(about, sizeof about, "identity %d, team %s, env %s, config %s, host %s, sni %s",
		 who, r->team, r->env, r->config_team, r->host, r->sni);
	if (rc == 0)
		expect_good(&c, who, about);
	else
		cr_expect(letter(rc, &c, &no) != 'x' && strlen(no.words) > 8 &&
				  strlen(no.words) < 400,
			  "%s: code %d, %s", about, no.code, no.words);
	w.trace = &trace;
	cr_expect_eq(rc, world_pick(&w, 1, &again, &no_again), "%s: traced", about);
	cr_expect(rc != 0 || c.driver == again.driver, "%s: traced", about);
	cr_expect(rc == 0 || strcmp(no.words, no_again.words) == 0, "%s: traced", about);
	cr_expect(trace.count > 0 && trace.left_out == 0, "%s: %u lines", about, trace.count);
	arena_reset(world.arena);
}

static void
expect_all_sane(enum who who, const char *host, const char *sni)
{
	for (size_t t = 0; t < WORLD_COUNT(said_teams); t++)
		for (size_t e = 0; e < WORLD_COUNT(said_envs); e++)
			for (size_t k = 0; k < WORLD_COUNT(said_configs); k++) {
				struct request r = said_configs[k];

				r.team = said_teams[t];
				r.env = said_envs[e];
				r.host = host;
				r.sni = sni;
				expect_sane(&r, who);
			}
}

Test(matrix, every_answer_keeps_the_rules)
{
	for (enum who who = 0; who < WHOS; who++)
		for (size_t h = 0; h < WORLD_COUNT(said_hosts); h++)
			for (size_t s = 0; s < WORLD_COUNT(said_hosts); s++)
				expect_all_sane(who, said_hosts[h], said_hosts[s]);
}
