/*
 * Which driver? Pure decisions over the registry's snapshot and the checker's rows; one file of
 * rules (DESIGN: Which cluster).
 *
 * The first of these that speaks decides, and two that contradict each other are an error: the host
 * the client asked for; the team and env headers; the pairs of the session's first Config call; the
 * user's only team and routing.default_env.
 */
#pragma once
#include "conf/conf.h"
#include "lib/arena.h"
#include "policy/identity.h"
#include "proto/grpc.h"
#include "shm/health.h"
#include "shm/registry.h"

struct router_wish {
	struct str host;		    /* of :authority, without port; or STR_NONE */
	struct str team, env;		    /* from headers */
	struct str config_team, config_env; /* from the first Config call */
	const struct identity *who;
	uint32_t avoid_driver; /* id of a driver that just failed, or 0 */
};

struct router_choice {
	struct registry_cluster *cluster;
	struct registry_driver *driver;
	struct str team, env; /* under which the session is booked */
};

/* How the router sees the world beyond the registry. */
struct router_view {
	const struct conf *conf;
	const struct registry *registry;
	const struct health_row *health;	 /* by slot */
	const _Atomic uint32_t *driver_sessions; /* by slot */
};

struct router_refusal {
	enum grpc_code code;
	const char *words; /* in the arena, or constant */
};

/* key: hash of user and session id, for ties. E_DENIED: *ret_refusal says why; its code UNAVAILABLE
 * means "no driver now". */
int router_pick(const struct router_view *, const struct router_wish *, uint64_t key,
		struct arena *, struct router_choice *ret,
		struct router_refusal *ret_refusal) MUST_CHECK;

/* Reads `spark.connect.grpc.header.NAME` pairs out of a ConfigRequest (whole message without
 * prefix) into wish->config_*. */
void router_config_pairs(const struct conf *, struct str message, struct router_wish *);
