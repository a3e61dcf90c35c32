/*
 * For tests of policy/: one small world of three teams and six clusters, built anew for each test
 * and open to its changes.
 *
 *	fe-prod   team fe, prod, region west      fe.example.com      fe-1, fe-2
 *	fe-dev    team fe, dev                    *.dev.example.com   fe-dev
 *	shared    teams fe and ml, prod, west     shared.example.com  shared
 *	fe-east   team fe, prod, east                                 fe-east
 *	ml-dev    team ml, dev                    ml.dev.example.com  ml
 *	solo      team data alone, prod           solo.example.com    solo
 *
 * The gateway is in region west; team audit has no cluster, and team data is none of the
 * configuration's.
 */
#pragma once
#include "policy/router.h"

#define WORLD_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define WORLD_ID(slot) (101 + (slot)) /* of a driver */

enum { FE1, FE2, FE_DEV, FE_EAST, SHARED, ML, SOLO, DRIVERS }; /* slots */
enum { C_FE_PROD, C_FE_DEV, C_SHARED, C_FE_EAST, C_ML_DEV, C_SOLO, CLUSTERS };
enum { T_FE, T_ML, T_AUDIT, TEAMS };

struct world {
	struct conf conf;
	struct conf_team teams[TEAMS];
	struct registry registry;
	struct registry_cluster clusters[CLUSTERS];
	struct registry_driver drivers[DRIVERS];
	struct health_row rows[DRIVERS];
	_Atomic uint32_t sessions[DRIVERS];
	struct router_view view;
	struct arena *arena;
};
extern struct world world;

void world_build(void);
void world_drop(void);
void world_set_health(unsigned slot, enum health_state);
/* router_pick() over the world, with outputs that are zeroed before. */
int world_pick(const struct router_wish *, uint64_t key, struct router_choice *,
	       struct router_refusal *);
const char *world_driver_name(const struct router_choice *); /* "none" */
