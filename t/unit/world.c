/*
 * The world of the policy tests.
 */
#include <string.h>
#include "t/unit/world.h"

struct world world;

static struct str fe_groups[] = {STR("eng-features"), STR("eng-all")};
static struct str fe_envs[] = {STR("dev"), STR("prod"), STR("qa")};
static struct str ml_groups[] = {STR("ml")};
static struct str audit_groups[] = {STR("auditors")};
static struct str fe_aliases[] = {STR("features"), STR("feature-eng")};
static struct str ml_aliases[] = {STR("machine-learning")};
static struct str prod_aliases[] = {STR("production"), STR("live")};
static struct conf_alias team_aliases[] = {{STR("fe"), fe_aliases, 2}, {STR("ml"), ml_aliases, 1}};
static struct conf_alias env_aliases[] = {{STR("prod"), prod_aliases, 2}};
static struct str team_headers[] = {STR("x-team"), STR("x-group")};
static struct str env_headers[] = {STR("x-env"), STR("x-environment")};

static struct str fe_hosts[] = {STR("fe.example.com")};
static struct str dev_hosts[] = {STR("*.dev.example.com")};
static struct str shared_hosts[] = {STR("shared.example.com")};
static struct str ml_hosts[] = {STR("ml.dev.example.com")};
static struct str solo_hosts[] = {STR("solo.example.com")};
static struct str shared_teams[] = {STR("fe"), STR("ml")};
static struct str solo_teams[] = {STR("data")};

void
world_set_health(unsigned slot, enum health_state state)
{
	struct health h = {.driver_id = WORLD_ID(slot),
			   .state = state,
			   .address = {.family = AF_INET, .port = 15002}};

	health_write(&world.rows[slot], &h);
}

static void
own(unsigned at, const char *name, const char *team, const char *env, const char *region,
    struct str *hosts, unsigned driver, unsigned count)
{
	world.clusters[at] = (struct registry_cluster){.name = str_from(name),
						       .team = str_from(team),
						       .env = str_from(env),
						       .region = str_from(region),
						       .origin = STR("config"),
						       .hosts = hosts,
						       .hosts_count = hosts != NULL,
						       .drivers = &world.drivers[driver],
						       .drivers_count = count};
}

static void
share(unsigned at, struct str *teams, unsigned count)
{
	world.clusters[at].team = STR_NONE;
	world.clusters[at].shared = true;
	world.clusters[at].teams = teams;
	world.clusters[at].teams_count = count;
}

static void
build_drivers(void)
{
	static const char *const names[DRIVERS] = {"fe-1",   "fe-2", "fe-dev", "fe-east",
						   "shared", "ml",   "solo"};

	for (unsigned i = 0; i < DRIVERS; i++) {
		world.drivers[i] = (struct registry_driver){
			.id = WORLD_ID(i), .slot = i, .name = str_from(names[i]), .weight = 1};
		world_set_health(i, HEALTH_UP);
	}
}

static void
build_conf(void)
{
	world.teams[T_FE] = (struct conf_team){.name = STR("fe"),
					       .groups = fe_groups,
					       .groups_count = 2,
					       .envs = fe_envs,
					       .envs_count = 3};
	world.teams[T_ML] =
		(struct conf_team){.name = STR("ml"), .groups = ml_groups, .groups_count = 1};
	world.teams[T_AUDIT] =
		(struct conf_team){.name = STR("audit"), .groups = audit_groups, .groups_count = 1};
	world.conf = (struct conf){.region = STR("west"),
				   .default_env = STR("prod"),
				   .teams = world.teams,
				   .teams_count = TEAMS,
				   .team_aliases = team_aliases,
				   .team_aliases_count = 2,
				   .env_aliases = env_aliases,
				   .env_aliases_count = 1,
				   .rollout_percent = 100,
				   .header_team = {team_headers, 2},
				   .header_env = {env_headers, 2}};
}

void
world_build(void)
{
	memset(&world, 0, sizeof world);
	build_drivers();
	build_conf();
	own(C_FE_PROD, "fe-prod", "fe", "prod", "west", fe_hosts, FE1, 2);
	own(C_FE_DEV, "fe-dev", "fe", "dev", NULL, dev_hosts, FE_DEV, 1);
	/* before those that rank above it */
	own(C_SHARED, "shared", NULL, "prod", "west", shared_hosts, SHARED, 1);
	share(C_SHARED, shared_teams, 2);
	own(C_FE_EAST, "fe-east", "fe", "prod", "east", NULL, FE_EAST, 1);
	own(C_ML_DEV, "ml-dev", "ml", "dev", NULL, ml_hosts, ML, 1);
	own(C_SOLO, "solo", NULL, "prod", NULL, solo_hosts, SOLO, 1);
	share(C_SOLO, solo_teams, 1);
	world.registry = (struct registry){.clusters = world.clusters, .clusters_count = CLUSTERS};
	world.view = (struct router_view){&world.conf, &world.registry, world.rows, world.sessions,
					  ROLLOUT_CONFIGURED};
	world.arena = arena_new(4096, 1u << 16);
}

void
world_drop(void)
{
	arena_free(&world.arena);
}

int
world_pick(const struct router_wish *w, uint64_t key, struct router_choice *c,
	   struct router_refusal *no)
{
	*c = (struct router_choice){0};
	*no = (struct router_refusal){0};
	return router_pick(&world.view, w, key, world.arena, c, no);
}

const char *
world_driver_name(const struct router_choice *c)
{
	return c->driver != NULL ? c->driver->name.p : "none";
}
